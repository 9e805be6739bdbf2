"What the exercises of the chapter on text are held against"
import math

import torch
from torch import Tensor

from course_lib.exercises import Answer, exercise, mistake, same

_Pair = tuple[int, int]
_Step = tuple[Tensor, Tensor]
_Kept = tuple[Tensor, Tensor, Tensor]


def _joined(tokens: list, pair: tuple, new: object) -> list:
    out: list = []
    i = 0
    while i < len(tokens):
        found = tuple(tokens[i:i + 2]) == pair
        out.append(new if found else tokens[i])
        i += 1 + found
    return out


@exercise
def one_merge(answer: Answer) -> None:
    for ids, pair in (([5, 1, 2, 7, 1, 2], (1, 2)), ([1, 1, 1, 3], (1, 1)), ([1, 1, 1, 1, 1], (1, 1)),
                      ([2, 1, 2, 1, 1, 2], (1, 2)), ([3, 4], (1, 2)), ([], (1, 2)), ([1, 2, 2, 1], (1, 2))):
        same(answer(list(ids), pair, 9), _joined(ids, pair, 9), what='tokens after the merge',
             mistakes=answer.mistakes())


@mistake(one_merge, 'yours merges the first place alone: the pair is joined wherever it stands')
def _first_place(ids: list[int], pair: _Pair, new: int) -> list[int]:
    for i in range(len(ids) - 1):
        if (ids[i], ids[i + 1]) == pair: return ids[:i] + [new] + ids[i + 2:]
    return ids


@mistake(one_merge, 'yours keeps the second token of the pair: the new one stands for both')
def _keeps_second(ids: list[int], pair: _Pair, new: int) -> list[int]:
    return [new if (ids[i], *ids[i + 1:i + 2]) == pair else ids[i] for i in range(len(ids))]


@mistake(one_merge, 'yours goes from right to left: of three equal tokens in a row the first two are joined')
def _from_the_right(ids: list[int], pair: _Pair, new: int) -> list[int]:
    return _joined(ids[::-1], pair[::-1], new)[::-1]


@mistake(one_merge, 'yours takes the pair in either order: 2, 1 is not the pair 1, 2')
def _either_order(ids: list[int], pair: _Pair, new: int) -> list[int]:
    return _joined(_joined(ids, pair, new), pair[::-1], new)


@mistake(one_merge, 'yours drops the pair and puts nothing in its place')
def _dropped(ids: list[int], pair: _Pair, new: int) -> list[int]: return [t for t in _joined(ids, pair, -1) if t != -1]


@exercise
def encode_word(answer: Answer) -> None:
    merges = [('a', 'b'), ('b', 'c'), ('ab', 'c'), ('c', 'a'), ('abc', 'abc')]
    for word in ('abcca', 'abcabc', 'cab', 'bca', 'abab', 'xbcx', '', 'aabcc'):
        want = list(word)
        for pair in merges: want = _joined(want, pair, ''.join(pair))
        same(answer(word, list(merges)), want, what=f'tokens of {word!r}', mistakes=answer.mistakes())


@mistake(encode_word, 'yours does the merges in the wrong order: the one that was learned first comes first')
def _last_first(word: str, merges: list) -> list[str]:
    out = list(word)
    for pair in reversed(merges): out = _joined(out, pair, ''.join(pair))
    return out


@mistake(encode_word, 'yours takes the longest token that fits: merges are done in order, whatever their length')
def _longest(word: str, merges: list) -> list[str]:
    known, out = {a + b for a, b in merges}, []
    while word:
        size = max(n for n in range(1, len(word) + 1) if n == 1 or word[:n] in known)
        out.append(word[:size])
        word = word[size:]
    return out


@mistake(encode_word, 'yours stops after the first merge that fits')
def _one_only(word: str, merges: list) -> list[str]:
    for pair in merges:
        out = _joined(list(word), pair, ''.join(pair))
        if len(out) < len(word): return out
    return list(word)


@mistake(encode_word, 'yours merges letters alone: what a merge has made can be merged again')
def _letters_only(word: str, merges: list) -> list[str]:
    out = list(word)
    for pair in merges:
        if max(map(len, pair)) == 1: out = _joined(out, pair, ''.join(pair))
    return out


@mistake(encode_word, 'yours goes from left to right and takes any pair: the earliest merge goes first')
def _leftmost(word: str, merges: list) -> list[str]:
    out, i = list(word), 0
    while i < len(out) - 1:
        if (out[i], out[i + 1]) in merges: out[i:i + 2] = [out[i] + out[i + 1]]
        else: i += 1
    return out


@exercise
def causal_mask(answer: Answer) -> None:
    for new, every in ((4, 4), (1, 5), (2, 6), (1, 1), (3, 5)):
        want = torch.tensor([[key <= every - new + query for key in range(every)] for query in range(new)])
        same(answer(new, every), want, what=f'mask for {new} of {every} tokens', mistakes=answer.mistakes())


@mistake(causal_mask, 'yours marks what may not be seen: True is where a query may look')
def _opposite(new: int, every: int) -> Tensor: return torch.ones(new, every, dtype=torch.bool).triu(every - new + 1)


@mistake(causal_mask, 'yours hides a token from itself: it may look at its own place')
def _not_itself(new: int, every: int) -> Tensor: return torch.ones(new, every, dtype=torch.bool).tril(every - new - 1)


@mistake(causal_mask, 'yours counts the new tokens from the start: they are the last of all')
def _from_start(new: int, every: int) -> Tensor: return torch.ones(new, every, dtype=torch.bool).tril()


@mistake(causal_mask, 'yours lets each token see the next one, which is what it has to guess')
def _one_ahead(new: int, every: int) -> Tensor: return torch.ones(new, every, dtype=torch.bool).tril(every - new + 1)


@mistake(causal_mask, 'yours hides the past and shows the future')
def _future(new: int, every: int) -> Tensor: return torch.ones(new, every, dtype=torch.bool).triu(every - new)


@exercise
def lstm_step(answer: Answer) -> None:
    for n, width, hidden in ((2, 3, 4), (1, 2, 2), (3, 1, 5)):
        shapes = (n, width), (n, hidden), (n, hidden), (4*hidden, width), (4*hidden, hidden), (4*hidden,)
        given = [torch.randn(shape, generator=answer.generator, dtype=torch.float64) for shape in shapes]
        same(answer(*given), _lstm(*given), what='h and c', mistakes=answer.mistakes(), rtol=1e-6, atol=1e-8)


def _layers(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    return (x @ w.T + h @ u.T + b).chunk(4, 1)


def _lstm(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    take, keep, new, show = _layers(x, h, w, u, b)
    c = keep.sigmoid()*c + take.sigmoid()*new.tanh()
    return show.sigmoid()*c.tanh(), c


@mistake(lstm_step, 'yours keeps with the gate that takes in: the second layer says what is kept')
def _swapped(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    keep, take, new, show = _layers(x, h, w, u, b)
    c = keep.sigmoid()*c + take.sigmoid()*new.tanh()
    return show.sigmoid()*c.tanh(), c


@mistake(lstm_step, 'yours shows the old memory: h is made of the new c')
def _old_memory(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    take, keep, new, show = _layers(x, h, w, u, b)
    return show.sigmoid()*c.tanh(), keep.sigmoid()*c + take.sigmoid()*new.tanh()


@mistake(lstm_step, 'yours shows c as it is: it goes through tanh first')
def _no_tanh(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    c = _lstm(x, h, c, w, u, b)[1]
    return _layers(x, h, w, u, b)[3].sigmoid()*c, c


@mistake(lstm_step, 'yours makes the new content with a sigmoid: it must be able to be below zero, so tanh')
def _all_sigmoid(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    take, keep, new, show = (layer.sigmoid() for layer in _layers(x, h, w, u, b))
    c = keep*c + take*new
    return show*c.tanh(), c


@mistake(lstm_step, 'yours leaves the bias out')
def _no_bias(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor) -> _Step:
    return _lstm(x, h, c, w, u, 0*b)


@exercise
def cached_step(answer: Answer) -> None:
    for past, width, deep in ((3, 4, 4), (0, 4, 2), (6, 9, 9), (1, 2, 3)):
        shapes = (1, width), (1, width), (1, deep), (past, width), (past, deep)
        given = [torch.randn(shape, generator=answer.generator, dtype=torch.float64) for shape in shapes]
        same(answer(*given), _cached(*given), what='answer, keys, values', mistakes=answer.mistakes(),
             rtol=1e-6, atol=1e-8)


def _cached(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    keys, values = torch.cat([keys, k]), torch.cat([values, v])
    return (q @ keys.T/math.sqrt(q.shape[1])).softmax(1) @ values, keys, values


@mistake(cached_step, 'yours does not divide by the root of the width')
def _unscaled(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    return _cached(q*math.sqrt(q.shape[1]), k, v, keys, values)


@mistake(cached_step, 'yours divides by the width: the root of it is right')
def _too_small(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    return _cached(q/math.sqrt(q.shape[1]), k, v, keys, values)


@mistake(cached_step, 'yours puts the new token in front: what was read first stands first')
def _in_front(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    return (_cached(q, k, v, keys, values)[0], torch.cat([k, keys]), torch.cat([v, values]))


@mistake(cached_step, 'yours hands the old cache on: the next step needs the new key and value in it')
def _not_kept(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    return _cached(q, k, v, keys, values)[0], keys, values


@mistake(cached_step, 'yours looks at the new token alone: its query goes over all keys')
def _itself_alone(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> _Kept:
    return v, torch.cat([keys, k]), torch.cat([values, v])


@exercise
def log_ratios(answer: Answer) -> None:
    for n, words in ((6, 3), (20, 5), (9, 4)):
        there = torch.rand(n, words, generator=answer.generator) < torch.linspace(0.2, 0.9, words)
        labels = (torch.arange(n) % 3 == 0).long()
        there[labels == 1, 0] = False
        same(answer(there, labels), _ratios(there, labels), what='log ratios', mistakes=answer.mistakes())


def _shares(there: Tensor, labels: Tensor, which: int, more: float = 1.) -> Tensor:
    counts = there[labels == which].double().sum(0) + more
    return counts/counts.sum()


def _ratios(there: Tensor, labels: Tensor) -> Tensor:
    return (_shares(there, labels, 1)/_shares(there, labels, 0)).log().float()


@mistake(log_ratios, 'yours has the classes the wrong way round: class 1 is above, class 0 below')
def _upside_down(there: Tensor, labels: Tensor) -> Tensor: return -_ratios(there, labels)


@mistake(log_ratios, 'yours is the ratio itself: take its logarithm')
def _no_log(there: Tensor, labels: Tensor) -> Tensor: return _ratios(there, labels).exp()


@mistake(log_ratios, 'yours adds nothing to the counts: a word that one class never has must not be infinitely sure')
def _bare(there: Tensor, labels: Tensor) -> Tensor:
    return (_shares(there, labels, 1, 0.)/_shares(there, labels, 0, 0.)).log().float()


@mistake(log_ratios, 'yours compares counts: divide by the sum of the counts of the class')
def _counts(there: Tensor, labels: Tensor) -> Tensor:
    return ((there[labels == 1].sum(0) + 1)/(there[labels == 0].sum(0) + 1)).log()


@mistake(log_ratios, 'yours divides by the number of texts: divide by the sum of the counts of the class')
def _by_texts(there: Tensor, labels: Tensor) -> Tensor:
    one, other = ((there[labels == c].sum(0) + 1)/(labels == c).sum() for c in (1, 0))
    return (one/other).log()


@exercise
def suspects(answer: Answer) -> None:
    for n, k in ((8, 3), (20, 5), (5, 1), (6, 6)):
        second = torch.rand(n, generator=answer.generator)
        labels = (torch.rand(n, generator=answer.generator) < 0.5).long()
        labels[0] = int(second[0] < 0.5)
        same(answer(second, labels, k), _odd(second, labels, k), what='suspects', mistakes=answer.mistakes())


def _odd(second: Tensor, labels: Tensor, k: int) -> list[int]:
    return torch.where(labels == 1, second, 1 - second).argsort()[:k].tolist()


@mistake(suspects, 'yours lists the texts whose label is surest: the least probable labels are asked for')
def _surest(second: Tensor, labels: Tensor, k: int) -> list[int]: return _odd(second, 1 - labels, k)


@mistake(suspects, 'yours looks at the probability of class 1 for all: a text of class 0 is odd where that is high')
def _one_class(second: Tensor, labels: Tensor, k: int) -> list[int]: return second.argsort()[:k].tolist()


@mistake(suspects, 'yours lists what the model is unsure of: a wrong label is where it is sure of the other class')
def _unsure(second: Tensor, labels: Tensor, k: int) -> list[int]: return (second - 0.5).abs().argsort()[:k].tolist()


@mistake(suspects, 'yours begins with the least odd of them: the most suspicious comes first')
def _turned_round(second: Tensor, labels: Tensor, k: int) -> list[int]: return _odd(second, labels, k)[::-1]


@mistake(suspects, 'yours sorts the places by number: the most suspicious comes first')
def _by_place(second: Tensor, labels: Tensor, k: int) -> list[int]: return sorted(_odd(second, labels, k))
