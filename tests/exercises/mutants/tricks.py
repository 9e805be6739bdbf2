"Wrong answers to the exercises on tricks, written without a look at the checks"
import torch
import torch.nn.functional as F

from tests.exercises.mutants import mutant


@mutant('whole_mean', says='mean of the means')
def parts_equal(parts, ignore):
    found = [l[t != ignore].mean() for l, t in parts if (t != ignore).any()]
    return sum(found)/len(found) if found else torch.zeros(())

@mutant('whole_mean', says='not a number|zero')
def no_guard(parts, ignore):
    l, t = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    return l[t != ignore].mean()

@mutant('whole_mean', says='ignored items')
def divides_by_length(parts, ignore):
    l, t = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    return (l*(t != ignore)).mean()


@mutant('way_back', says='first to be undone')
def socks_first(maps, mirrored, turns):
    if mirrored: maps = maps.flip(-1)
    for _ in range(turns): maps = maps.transpose(2, 3).flip(3)
    return maps

@mutant('way_back', says='(?i)other way|same direction')
def on_and_on(maps, mirrored, turns):
    for _ in range(turns): maps = maps.transpose(2, 3).flip(2)
    return maps.flip(3) if mirrored else maps

@mutant('way_back', says='(?i)wrong values|should be')
def one_turn(maps, mirrored, turns):
    if turns: maps = maps.rot90(-1, (2, 3))
    return maps.flip(3) if mirrored else maps


@mutant('share_left', says='outside the picture')
def never_cut(height, width, row, column, lam):
    s = (1 - lam)**0.5
    return 1 - int(s*height)*int(s*width)/height/width

@mutant('share_left', says='should be')
def cut_at_start_only(height, width, row, column, lam):
    s, area = (1 - lam)**0.5, 1
    for n, m in ((height, row), (width, column)):
        k = int(n*s)
        area *= m - k//2 + k - max(m - k//2, 0)
    return 1 - area/(height*width)

@mutant('share_left', says='should be')
def swapped_sides(height, width, row, column, lam):
    s, area = (1 - lam)**0.5, 1
    for n, m in ((width, row), (height, column)):
        k = int(n*s)
        area *= max(min(m - k//2 + k, n) - max(m - k//2, 0), 0)
    return 1 - area/(height*width)


@mutant('two_targets', says='one softmax')
def competing(output, first, second, columns):
    log_p = output.log_softmax(1)
    rows = torch.arange(len(output))
    return -(log_p[rows, first] + log_p[rows, second + columns]).mean()

@mutant('two_targets', says='(?i)wrong|should be|IndexError')
def labels_count_on(output, first, second, columns):
    return F.cross_entropy(output[:, :columns], first) + F.cross_entropy(output[:, columns:], second - columns)

@mutant('two_targets', says='mean of the two')
def halved(output, first, second, columns):
    return torch.stack([F.cross_entropy(output[:, :columns], first), F.cross_entropy(output[:, columns:], second)]).mean()


@mutant('ema_step', says='wrong way round')
def backwards(average, now, decay):
    return {k: torch.lerp(average[k], now[k], decay) if now[k].is_floating_point() else now[k] for k in now}

@mutant('ema_step', says='in place')
def writes_over(average, now, decay):
    for k, v in average.items():
        if v.is_floating_point(): v.mul_(decay).add_(now[k], alpha=1 - decay)
        else: v.copy_(now[k])
    return average

@mutant('ema_step', says='count')
def forgets_counts(average, now, decay):
    return {k: decay*v + (1 - decay)*now[k] for k, v in average.items() if v.is_floating_point()}


@mutant('stirred', says='bias')
def first_keys(states):
    return {k: sum(s[k].float() for s in states if k in s).div(len(states)).to(v.dtype)
            if v.is_floating_point() else v for k, v in states[0].items()}

@mutant('stirred', says='broadcast|weight')
def broadcasts(states):
    if any(s.keys() != states[0].keys() for s in states): raise ValueError('bias is missing')
    return {k: (sum(s[k].float() for s in states)/len(states)).to(v.dtype)
            if v.is_floating_point() else v for k, v in states[0].items()}

@mutant('stirred', says='float16|dtype')
def widened(states):
    for s in states[1:]:
        for k in states[0].keys() | s.keys():
            if k not in s or k not in states[0] or s[k].shape != states[0][k].shape: raise ValueError(k)
    return {k: torch.stack([s[k].float() for s in states]).mean(0) if v.is_floating_point() else v
            for k, v in states[0].items()}
