"Wrong answers to the exercises on text, written without a look at the checks"
import torch

from tests.exercises.mutants import mutant


@mutant('one_merge', says='place 1 should be 1, yours is 9')
def overlaps(ids, pair, new):
    out = []
    for i, t in enumerate(ids):
        if tuple(ids[i:i + 2]) == pair: out.append(new)
        elif i == 0 or tuple(ids[i - 1:i + 1]) != pair: out.append(t)
    return out

@mutant('one_merge', says='should have 4 items, yours has 6')
def puts_the_pair(ids, pair, new):
    return [pair[0] if t == new else t for t in ids]


@mutant('encode_word', says="'abcabc' should have 1 items, yours has 3")
def first_place_only(word, merges):
    out = list(word)
    for a, b in merges:
        for i in range(len(out) - 1):
            if out[i] == a and out[i + 1] == b:
                out[i:i + 2] = [a + b]
                break
    return out

@mutant('encode_word', says="'abcca' should have 2 items, yours has 5")
def only_letters(word, merges): return list(word)


@mutant('causal_mask', says=r'at \[0, 1\] it should be 0, yours is 1')
def sees_all(new, every): return torch.ones(new, every, dtype=torch.bool)

@mutant('causal_mask', says=r'at \[1, 0\] it should be 1, yours is 0')
def only_itself(new, every): return torch.eye(every, dtype=torch.bool)[every - new:]


@mutant('lstm_step', says='wrong values in the h and c')
def gates_by_tanh(x, h, c, w, u, b):
    i, f, g, o = (x @ w.T + h @ u.T + b).chunk(4, 1)
    c = f.tanh()*c + i.tanh()*g.tanh()
    return o.tanh()*c.tanh(), c

@mutant('lstm_step', says='wrong values in the h and c')
def forgets_the_state(x, h, c, w, u, b):
    i, f, g, o = (x @ w.T + b).chunk(4, 1)
    c = f.sigmoid()*c + i.sigmoid()*g.tanh()
    return o.sigmoid()*c.tanh(), c


@mutant('cached_step', says='wrong values in the answer')
def past_alone(q, k, v, keys, values):
    out = (q @ keys.T/q.shape[1]**0.5).softmax(1) @ values
    return out, torch.cat([keys, k]), torch.cat([values, v])

@mutant('cached_step', says='wrong values in the answer')
def no_softmax(q, k, v, keys, values):
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    return q @ keys.T/q.shape[1]**0.5 @ values, keys, values


@mutant('log_ratios', says='wrong values in the log ratios')
def halves(there, labels):
    a, b = there[labels == 1].float().sum(0) + 0.5, there[labels == 0].float().sum(0) + 0.5
    return (a/a.sum()).log() - (b/b.sum()).log()

@mutant('log_ratios', says='wrong values in the log ratios')
def base_two(there, labels):
    a, b = there[labels == 1].float().sum(0) + 1, there[labels == 0].float().sum(0) + 1
    return (a/a.sum()).log2() - (b/b.sum()).log2()


@mutant('suspects', says='place 1 should be 10, yours is 11')
def sure_of_anything(second, labels, k): return (second - 0.5).abs().argsort(descending=True)[:k].tolist()

@mutant('suspects', says='place 0 should be 2, yours is 0')
def only_by_guess(second, labels, k): return ((second > 0.5).long() != labels).nonzero()[:k, 0].tolist()
