"Plausible wrong answers to the exercises on how the course runs, each with the words its message must hold"
import contextlib
import random
import statistics
import time

import numpy as np
import torch
from scipy import stats

from course_lib.core import seed_everything

from . import mutant


@mutant('shuffled', says='PyTorch: a global generator has moved')
def forgets_gen(items, gen): return [items[i] for i in torch.randperm(len(items))]

@mutant('shuffled', says="Python's random: a global generator has moved")
def python_shuffle(items, gen): return random.sample(items, len(items))

@mutant('shuffled', says='a global generator has moved')
def seeds_the_world(items, gen):
    torch.manual_seed(gen.initial_seed())
    return [items[i] for i in torch.randperm(len(items))]

@mutant('shuffled', says='without replacement')
def with_replacement(items, gen):
    return [items[i] for i in torch.randint(len(items), (len(items),), generator=gen)] if items else []

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
def fixed_order(items, gen):
    return [items[i] for i in torch.randperm(len(items), generator=torch.Generator().manual_seed(1))]


def _k(n, p=0.025): return max(int(stats.binom.ppf(p, n, 0.5)), 1)


@mutant('median_interval', says='changes its input in place')
def sorts_in_place(times):
    times.sort()
    k = _k(len(times))
    return times[k-1], times[-k]

@mutant('median_interval', says='rank from the coin tosses may be 0')
def forgets_few(times):
    xs, k = sorted(times), int(stats.binom.ppf(0.025, len(times), 0.5))
    return xs[k-1], xs[len(xs) - k]


def _span(f, clock):
    start = clock(); f()
    return clock() - start

def _pairs(fn, peer, clock, repeats): return [(_span(fn, clock), _span(peer, clock)) for _ in range(repeats)]


@mutant('times_as_long', says='`peer` before `fn`')
def peer_first(fn, peer, clock, repeats):
    return statistics.median(1/r for r in (b/a for b, a in _pairs(peer, fn, clock, repeats)))

@mutant('times_as_long', says='in a row')
def in_blocks(fn, peer, clock, repeats):
    a = [_span(fn, clock) for _ in range(repeats)]
    b = [_span(peer, clock) for _ in range(repeats)]
    return statistics.median(x/y for x, y in zip(a, b))


@mutant('times_as_long', says='repeats is 5')
def warms_up(fn, peer, clock, repeats):
    fn(); peer()
    return statistics.median(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mutant('times_as_long', says='repeats is 5')
def one_short(fn, peer, clock, repeats): return statistics.median(a/b for a, b in _pairs(fn, peer, clock, repeats - 1))

@mutant('times_as_long', says='never asked for the time')
def own_clock(fn, peer, clock, repeats):
    return statistics.median(a/b for a, b in _pairs(fn, peer, time.perf_counter, repeats))


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
