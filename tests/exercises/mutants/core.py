"Plausible wrong answers to the exercises of the chapter on how the course runs, each with the words its message must hold"
import contextlib
import random
import statistics
import time

import numpy as np
import torch
from scipy import stats

from course_lib.core import mean_ci, seed_everything

from . import mutant


@mutant('differs', says='single intervals overlap')
def unpaired(runs, baseline):
    a, b = mean_ci(runs), mean_ci(baseline)
    return a.high < b.low or b.high < a.low

@mutant('differs', says='worse is different too')
def only_better(runs, baseline): return mean_ci(runs, baseline).low > 0

@mutant('differs', says='not exactly zero is not enough')
def any_difference(runs, baseline): return mean_ci(runs, baseline).value != 0

@mutant('differs', says='wrong way round')
def reversed_answer(runs, baseline): return 0 in mean_ci(runs, baseline)

@mutant('differs', says='sorting each list')
def sorts_first(runs, baseline): return 0 not in mean_ci(sorted(runs), sorted(baseline))

@mutant('differs', says='standard errors are too short')
def two_errors(runs, baseline):
    d = [a - b for a, b in zip(runs, baseline)]
    return abs(statistics.mean(d)) > 2*statistics.stdev(d)/len(d)**0.5

@mutant('differs', says='not its size')
def big_enough(runs, baseline): return 0 not in mean_ci(runs, baseline) and abs(mean_ci(runs, baseline).value) > 0.1


@mutant('shuffled', says='PyTorch: a global generator has moved')
def forgets_gen(items, gen): return [items[i] for i in torch.randperm(len(items))]

@mutant('shuffled', says="Python's random: a global generator has moved")
def python_shuffle(items, gen): return random.sample(items, len(items))

@mutant('shuffled', says='a global generator has moved')
def seeds_the_world(items, gen):
    torch.manual_seed(gen.initial_seed())
    return [items[i] for i in torch.randperm(len(items))]

@mutant('shuffled', says='without replacement')
def with_replacement(items, gen): return [items[i] for i in torch.randint(len(items), (len(items),), generator=gen)] if items else []

@mutant('shuffled', says='seeded again inside')
def reseeds(items, gen): return [items[i] for i in torch.randperm(len(items), generator=gen.manual_seed(0))]

@mutant('shuffled', says='positions')
def gives_positions(items, gen): return torch.randperm(len(items), generator=gen).tolist()

@mutant('shuffled', says='changed in place')
def in_place(items, gen):
    items[:] = [items[i] for i in torch.randperm(len(items), generator=gen)]
    return items

@mutant('shuffled', says='of 6 orders|stand in 6 orders')
def only_turns(items, gen):
    k = int(torch.randint(max(len(items), 1), (1,), generator=gen))
    return items[k:] + items[:k]

@mutant('shuffled', says='7 came out|1 items went in and 0')
def loses_the_last(items, gen): return [items[i] for i in torch.randperm(max(len(items) - 1, 0), generator=gen)]

@mutant('shuffled', says='nothing was drawn from it')
def fixed_order(items, gen): return [items[i] for i in torch.randperm(len(items), generator=torch.Generator().manual_seed(1))]


def _around(x, half): return statistics.mean(x) - half, statistics.mean(x) + half

@mutant('mean_interval', says='bell curve')
def bell_curve(runs, level): return _around(runs, stats.norm.ppf((1 + level)/2)*statistics.stdev(runs)/len(runs)**0.5)

@mutant('mean_interval', says='standard errors, whatever the number')
def rule_of_thumb(runs, level): return _around(runs, 2*statistics.stdev(runs)/len(runs)**0.5)

@mutant('mean_interval', says='divides by n = ')
def numpy_std(runs, level): return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*np.std(runs)/len(runs)**0.5)

@mutant('mean_interval', says='that of one run, not of their mean')
def no_root(runs, level): return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*statistics.stdev(runs))

@mutant('mean_interval', says='not by its square root')
def whole_n(runs, level): return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*statistics.stdev(runs)/len(runs))

@mutant('mean_interval', says='degrees of freedom')
def n_degrees(runs, level): return _around(runs, stats.t.ppf((1 + level)/2, len(runs))*statistics.stdev(runs)/len(runs)**0.5)

@mutant('mean_interval', says='half of it belongs to each side')
def one_sided(runs, level): return _around(runs, stats.t.ppf(level, len(runs) - 1)*statistics.stdev(runs)/len(runs)**0.5)

@mutant('mean_interval', says='whatever `level` is')
def always_95(runs, level): return (e := mean_ci(runs)).low, e.high

@mutant('mean_interval', says='half width')
def around_zero(runs, level): return -(e := mean_ci(runs, level=level)).high + e.value, e.high - e.value


def _k(n, p=0.025): return max(int(stats.binom.ppf(p, n, 0.5)), 1)

@mutant('median_interval', says='order in which they came')
def unsorted(times): return times[_k(len(times)) - 1], times[len(times) - _k(len(times))]

@mutant('median_interval', says='95 of 100 single times')
def quantiles(times): return tuple(np.quantile(times, [0.025, 0.975]))

@mutant('median_interval', says='a handful of times only')
def smallest_and_largest(times): return min(times), max(times)

@mutant('median_interval', says='ends stand one place too far inside')
def rank_is_position(times):
    xs, k = sorted(times), _k(len(times))
    return xs[k], xs[-k - 1]

@mutant('median_interval', says='lower end stands one place')
def lower_off_by_one(times):
    xs, k = sorted(times), _k(len(times))
    return xs[k], xs[-k]

@mutant('median_interval', says='belongs to each side')
def one_tail(times):
    xs, k = sorted(times), _k(len(times), 0.05)
    return xs[k-1], xs[-k]

@mutant('median_interval', says='interval of the mean')
def of_the_mean(times): return (e := mean_ci(times)).low, e.high

@mutant('median_interval', says='changes its input in place')
def sorts_in_place(times):
    times.sort()
    k = _k(len(times))
    return times[k-1], times[-k]

@mutant('median_interval', says='rank from the coin tosses may be 0')
def forgets_few(times):
    xs, k = sorted(times), int(stats.binom.ppf(0.025, len(times), 0.5))
    return xs[k-1], xs[len(xs) - k]


def _out(xs): return 0 not in mean_ci(xs)

@mutant('first_find', says='after the third')
def from_two(differences): return next((k for k in range(2, len(differences) + 1) if _out(differences[:k])), 0)

@mutant('first_find', says='position of the last run')
def position(differences): return next((k - 1 for k in range(3, len(differences) + 1) if _out(differences[:k])), 0)

@mutant('first_find', says='one run more')
def one_more(differences): return next((k + 1 for k in range(3, len(differences) + 1) if _out(differences[:k])), 0)

@mutant('first_find', says='below as well as above')
def only_above(differences): return next((k for k in range(3, len(differences) + 1) if mean_ci(differences[:k]).low > 0), 0)

@mutant('first_find', says='goes on to the last')
def never_stops(differences):
    found = 0
    for k in range(3, len(differences) + 1):
        if _out(differences[:k]): found = k
    return found

@mutant('first_find', says='looks once')
def looks_once(differences): return len(differences) if _out(differences) else 0

@mutant('first_find', says='answer is 0')
def all_when_none(differences): return next((k for k in range(3, len(differences) + 1) if _out(differences[:k])), len(differences))

@mutant('first_find', says='wrong way round')
def stops_inside(differences): return next((k for k in range(3, len(differences) + 1) if not _out(differences[:k])), 0)

@mutant('first_find', says='all runs so far')
def window(differences): return next((k for k in range(3, len(differences) + 1) if _out(differences[k-3:k])), 0)

@mutant('first_find', says='last look, after all')
def forgets_the_end(differences): return next((k for k in range(3, len(differences)) if _out(differences[:k])), 0)


def _span(f, clock):
    start = clock(); f()
    return clock() - start

def _pairs(fn, peer, clock, repeats): return [(_span(fn, clock), _span(peer, clock)) for _ in range(repeats)]

@mutant('times_as_long', says='over fn: asked is')
def upside_down(fn, peer, clock, repeats): return statistics.median(b/a for a, b in _pairs(fn, peer, clock, repeats))

@mutant('times_as_long', says='`peer` before `fn`')
def peer_first(fn, peer, clock, repeats): return statistics.median(1/r for r in (b/a for b, a in _pairs(peer, fn, clock, repeats)))

@mutant('times_as_long', says='in a row')
def in_blocks(fn, peer, clock, repeats):
    a = [_span(fn, clock) for _ in range(repeats)]
    b = [_span(peer, clock) for _ in range(repeats)]
    return statistics.median(x/y for x, y in zip(a, b))

@mutant('times_as_long', says='mean of the ratios')
def mean_ratio(fn, peer, clock, repeats): return statistics.mean(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mutant('times_as_long', says='ratio of the two medians')
def ratio_of_medians(fn, peer, clock, repeats):
    a, b = zip(*_pairs(fn, peer, clock, repeats))
    return statistics.median(a)/statistics.median(b)

@mutant('times_as_long', says='ratio of the totals')
def totals(fn, peer, clock, repeats):
    a, b = zip(*_pairs(fn, peer, clock, repeats))
    return sum(a)/sum(b)

@mutant('times_as_long', says='repeats is 5')
def warms_up(fn, peer, clock, repeats):
    fn(); peer()
    return statistics.median(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mutant('times_as_long', says='repeats is 5')
def one_short(fn, peer, clock, repeats): return statistics.median(a/b for a, b in _pairs(fn, peer, clock, repeats - 1))

@mutant('times_as_long', says='never asked for the time')
def own_clock(fn, peer, clock, repeats): return statistics.median(a/b for a, b in _pairs(fn, peer, time.perf_counter, repeats))

@mutant('times_as_long', says='runs on from before the first call')
def one_start(fn, peer, clock, repeats):
    ratios = []
    for _ in range(repeats):
        start = clock(); fn(); a = clock() - start; peer(); b = clock() - start
        ratios.append(a/b)
    return statistics.median(ratios)

@mutant('times_as_long', says='half way between')
def upper_middle(fn, peer, clock, repeats): return statistics.median_high(a/b for a, b in _pairs(fn, peer, clock, repeats))


class _Guard:
    "What a right answer does, in parts that the mutants leave out or change"
    def __init__(self, seed): self.seed = seed
    def keep(self): self.kept = torch.get_rng_state(), random.getstate(), np.random.get_state()
    def put_back(self):
        torch.set_rng_state(self.kept[0]); random.setstate(self.kept[1]); np.random.set_state(self.kept[2])
    def __enter__(self): self.keep(); seed_everything(self.seed)
    def __exit__(self, *exc): self.put_back()

@mutant('seeded', says='none of the three generators was put back')
class NeverBack(_Guard):
    def put_back(self): pass

@mutant('seeded', says='PyTorch: in the block')
class SeedsPythonOnly(_Guard):
    def __enter__(self): self.keep(); random.seed(self.seed); np.random.seed(self.seed)

@mutant('seeded', says='NumPy: after the block')
class ForgetsNumpy(_Guard):
    def put_back(self): torch.set_rng_state(self.kept[0]); random.setstate(self.kept[1])

@mutant('seeded', says="Python's random and NumPy: after the block")
class OnlyTorchBack(_Guard):
    def put_back(self): torch.set_rng_state(self.kept[0])

@mutant('seeded', says='ended with an error nothing was put back')
class NotAfterErrors(_Guard):
    def __exit__(self, kind, *exc):
        if kind is None: self.put_back()

@mutant('seeded', says='swallows the error')
class Swallows(_Guard):
    def __exit__(self, *exc):
        self.put_back()
        return True

@mutant('seeded', says='when the object was made, not where they were when the block began')
class KeepsTooEarly(_Guard):
    def __init__(self, seed): self.seed = seed; self.keep()
    def __enter__(self): seed_everything(self.seed)

@mutant('seeded', says='kept after seeding')
class KeepsTooLate(_Guard):
    def __enter__(self): seed_everything(self.seed); self.keep()

@mutant('seeded', says='kept in `self`')
class OneForAll(_Guard):
    def keep(self): OneForAll.kept = torch.get_rng_state(), random.getstate(), np.random.get_state()

@mutant('seeded', says='when the object was made')
class SeedsAtOnce(_Guard):
    def __init__(self, seed): self.seed = seed; self.keep(); seed_everything(seed)
    def __enter__(self): pass

@mutant('seeded', says='none of the three generators goes on')
@contextlib.contextmanager
def fixed_afterwards(seed):
    seed_everything(seed)
    yield
    seed_everything(seed + 1)


@mutant('mean_interval', says='share inside it')
def level_outside(runs, level):
    half = stats.t.ppf(1 - level/2, len(runs) - 1)*statistics.stdev(runs)/len(runs)**0.5
    return statistics.mean(runs) - half, statistics.mean(runs) + half

@mutant('median_interval', says='raise it to 1')
def rank_zero(times):
    xs, k = sorted(times), int(stats.binom.ppf(0.025, len(times), 0.5))
    return xs[k - 1], xs[-k]
