"What the exercises of the chapter on how the course runs are held against"
import math
import random
import statistics

import numpy as np
import torch

from course_lib.core import mean_ci
from course_lib.exercises import Wrong, exercise, expect, same, wrong


def _states(): return {'PyTorch': torch.get_rng_state().tolist(), "Python's random": random.getstate(), 'NumPy': str(np.random.get_state())}


def _moved(before):
    "Names of the global generators that are not where they were"
    return [name for name, state in _states().items() if state != before[name]]


class _Kept:
    "Puts the three global generators back, whatever the learner does"
    def __enter__(self): self.saved = torch.get_rng_state(), random.getstate(), np.random.get_state()
    def __exit__(self, *exc):
        for put_back, state in zip((torch.set_rng_state, random.setstate, np.random.set_state), self.saved): put_back(state)


@exercise
def differs(answer):
    spread = [4.0, -3.0, 1.5, -2.2, 3.1, 0.4, -1.0, 2.7]
    noise = [0.1, -0.1, 0.05, 0.0, -0.05, 0.1, -0.1, 0.02]
    jumps = [2.0, -1.6, 0.9, -1.1, 1.4, -0.7, 0.3, -0.5]
    steps = [float(i) for i in range(1, 9)]
    def held(runs, baseline):
        e = mean_ci(runs, baseline)
        return f'the interval of the differences goes from {e.low:.2f} to {e.high:.2f}'
    for runs, baseline, want, cause in [
        ([5 + e for e in noise], noise[::-1], True, 'every run lies about 5 above its partner: does your answer say True when zero is inside the interval? That is the wrong way round'),
        (noise[::-1], [5 + e for e in noise], True, 'every run lies about 5 below its partner, and worse is different too: zero can be left out on either side'),
        (jumps, [0.1]*8, False, 'a mean difference that is not exactly zero is not enough, it needs its interval'),
        ([s + 0.3 for s in steps[::-1]], steps, False, 'the pairs belong together as they came, by seed: sorting each list first makes new pairs'),
        ([0.5, 1.5, 2.5], [0.0]*3, False, 'two standard errors are too short for three runs: the fewer the runs, the wider the interval must be'),
        ([s + 0.5 + e for s, e in zip(spread, noise)], spread, True, 'the two single intervals overlap, because the seeds scatter widely, but seed by seed the difference is always near one half: subtract pair by pair first'),
        ([0.11, 0.12, 0.13], [0.10, 0.11, 0.12001], True, 'a small difference that is the same in each pair counts as well: only its interval decides, not its size'),
    ]:
        same(answer(runs, baseline), want, what=f'answer ({held(runs, baseline)})', mistakes={cause: not want})


@exercise
def shuffled(answer):
    words = list('abcdefgh')
    def call(items, seed):
        with _Kept():
            before, gen = _states(), torch.Generator().manual_seed(seed)
            state = gen.get_state()
            got = answer.call(list(items), gen, may_change=True)
            moved = _moved(before)
        expect(not moved, f'{" and ".join(moved)}: a global generator has moved. Take every draw from `gen`, so that nobody else\'s draws change yours, nor yours theirs')
        given, gen = answer.inputs[:2]
        expect(list(given) == list(items), f'the list that the caller passed is now {given}: it was changed in place. Return a new list and leave theirs alone')
        expect(isinstance(got, list), f'a list is asked for, yours is of type {type(got).__name__}')
        expect(len(got) == len(items), f'{len(items)} items went in and {len(got)} came out')
        if set(got) <= set(range(len(items))) and items and not set(got) <= set(items):
            wrong(f'yours holds positions ({got}), not the items that stand there')
        lost = [x for x in items if x not in got]
        expect(not lost, f'the items {", ".join(map(str, lost))} got lost and others came twice: draw the positions without replacement')
        expect(sorted(got) == sorted(items), 'the items that came out are not those that went in')
        return got, gen.get_state().equal(state)
    for items in (words, words[:1], []): call(items, 0)
    a, still = call(words, 5)
    expect(not still, '`gen` is where it was before the call: nothing was drawn from it, so a second call would give the same order again')
    same(call(words, 5)[0], a, what='order from a generator with the same seed')
    orders = {tuple(call(words, seed)[0]) for seed in range(6)}
    expect(len(orders) > 1, 'six generators with six seeds give one and the same order: is `gen` seeded again inside?')
    orders = {tuple(call('abc', seed)[0]) for seed in range(120)}
    expect(len(orders) == 6, f'three items can stand in 6 orders, and in 120 tries yours gives only {len(orders)}: every order must be possible')


def _t_half(x, level, dof=None, ddof=1, root=True):
    from scipy.stats import t
    n, s = len(x), np.std(x, ddof=ddof)
    return float(t.ppf((1 + level)/2, n - 1 if dof is None else dof)*s/(n**0.5 if root else 1))


@exercise
def mean_interval(answer):
    from scipy.stats import norm, t
    def around(x, half): return float(np.mean(x) - half), float(np.mean(x) + half)
    for n, level in [(3, 0.95), (5, 0.9), (2, 0.95), (12, 0.5)]:
        x = [0.91, 0.93, 0.92] if n == 3 else torch.randn(n, generator=answer.generator).double().tolist()
        s, m = np.std(x, ddof=1), float(np.mean(x))
        half = _t_half(x, level)
        got = answer(x, level)
        expect(isinstance(got, (tuple, list)) and len(got) == 2, f'two numbers are asked for, (low, high), yours is {got!r}')
        same(tuple(float(v) for v in got), (m - half, m + half), what=f'interval of {n} runs at level {level:.0%}', mistakes={
            'the factor comes from the bell curve: with few runs the spread itself is uncertain, and Student\'s t is wider': around(x, norm.ppf((1 + level)/2)*s/n**0.5),
            'two standard errors, whatever the number of runs and the level: the factor is a quantile of Student\'s t': around(x, 2*s/n**0.5),
            'one standard error, without the factor from Student\'s t': around(x, s/n**0.5),
            f'the spread divides by n = {n}; the standard deviation of a sample divides by n - 1': around(x, _t_half(x, level, ddof=0)),
            'the range is that of one run, not of their mean: the spread is not divided by the square root of n': around(x, _t_half(x, level, root=False)),
            'the spread is divided by n and not by its square root': around(x, half/n**0.5),
            f'the t distribution has {n} degrees of freedom here; one is used up by the mean, so it is n - 1': around(x, _t_half(x, level, dof=n)),
            f'the whole {1 - level:.0%} is cut off at each end; half of it belongs to each side': around(x, float(t.ppf(level, n - 1))*s/n**0.5),
            'your interval is that of 95%, whatever `level` is': around(x, _t_half(x, 0.95)),
            f'your quantile is asked for as if {level:.0%} were the share outside the interval; `level` is the share inside it': around(x, float(t.ppf(1 - level/2, n - 1))*s/n**0.5),
            f'your quantile is asked for as if {level:.0%} were the share outside; `level` is the share inside, and the quantile wanted lies above the middle': around(x, float(t.ppf(level/2, n - 1))*s/n**0.5),
            'low and high have changed places': (m + half, m - half),
            'yours is the half width and not the two ends around the mean': (-half, half),
        })


def _rank(n, p=0.025):
    from scipy.stats import binom
    return max(int(binom.ppf(p, n, 0.5)), 1)


@exercise
def median_interval(answer):
    for n in (6, 100, 21, 9, 3):
        times = [3, 1, 4, 9, 5, 2] if n == 6 else torch.empty(n, dtype=torch.float64).exponential_(generator=answer.generator).tolist()
        xs, k = sorted(times), _rank(n)
        one, half = _rank(n, 0.05), _t_half(times, 0.95)
        try: got = answer(times)
        except Wrong as e:
            if 'IndexError' not in str(e): raise
            wrong(f'a rank fell outside the {n} sorted times. For so few of them the rank from the coin tosses may be 0: the interval then starts at the smallest time, rank 1')
        expect(isinstance(got, (tuple, list)) and len(got) == 2, f'two numbers are asked for, (low, high), yours is {got!r}')
        def at(i, j): return (xs[i], xs[j]) if -n <= i < n and -n <= j < n else None
        same(tuple(float(v) for v in got), (float(xs[k-1]), float(xs[n-k])), what=f'interval of the median of {n} times', mistakes={
            'ranks belong to the sorted times, yours are taken in the order in which they came': (times[k-1], times[n-k]),
            'that is where 95 of 100 single times fall. We ask where the median is, which is known far more closely': tuple(np.quantile(times, [0.025, 0.975]).tolist()),
            'from the smallest to the largest time: so wide a range is needed for a handful of times only': (xs[0], xs[-1]),
            'both ends stand one place too far inside: a rank counts from 1, a position in a list from 0': at(k, n - k - 1),
            'the lower end stands one place too far inside: a rank counts from 1, a position in a list from 0': at(k, n - k),
            'the upper end stands one place too far outside: it is the k-th from the top, as the lower end is the k-th from below': at(k - 1, n - k + 1),
            'low and high have changed places. For so few times the tosses give 0 for the rank: raise it to 1': (xs[-1], xs[0]) if k == 1 else None,
            'low and high have changed places': (xs[n-k], xs[k-1]),
            'ends cut off at 5% each leave 90% between them; 2.5% belongs to each side': at(one - 1, n - one),
            'that is the interval of the mean, with Student\'s t; times have a long tail, and no bell curve is to be assumed': (float(np.mean(times)) - half, float(np.mean(times)) + half),
        })


_PEEKS = [  # the first is chosen so that each mistake gives another number of runs
    [-0.7, -0.6, 0.1, -0.5, -0.7, 2.0, 2.2, 1.7, 1.1, 1.4, 1.3, 2.0, 0.7, -1.8, -0.9],
    [0.3, -0.4, 0.5, -0.2, 0.1, -0.6],
    [0.3, 0.5, 0.4],
    [0.3, 0.5, 0.4, -2.0],
    [-0.3, 0.9, 0.8, 0.7, 0.9, 0.6],
]


def _leaves_out(xs): return 0 not in mean_ci(xs)


@exercise
def first_find(answer):
    for xs in _PEEKS:
        n = len(xs)
        seen = [k for k in range(3, n + 1) if _leaves_out(xs[:k])]
        above = [k for k in range(3, n + 1) if mean_ci(xs[:k]).low > 0]
        want = seen[0] if seen else 0
        got = answer(xs)
        same(got, want, what=f'number of runs that the person uses of {n}', mistakes={
            **({} if seen else {'zero stays inside to the end here, and for that the answer is 0': n}),
            **({'the last look, after all the runs, counts too': 0} if want == n else {}),
            'two runs are too few to look at: the first look comes after the third': next((k for k in range(2, n + 1) if _leaves_out(xs[:k])), 0),
            'that is the position of the last run used, not how many runs were used': want - 1,
            'that is one run more than were used: a slice up to k holds k runs already': want + 1,
            'zero is left out below as well as above: a method that seems worse is a find too': above[0] if above else 0,
            'the person stops at the first find; yours goes on to the last': seen[-1] if seen else 0,
            'yours looks once, with all runs. The person looks after each': n if _leaves_out(xs) else 0,
            'yours stops where zero is still inside the interval: that is the wrong way round': next((k for k in range(3, n + 1) if not _leaves_out(xs[:k])), 0),
            'yours looks at each run and the two before it; the person looks at all runs so far': next((k for k in range(3, n + 1) if _leaves_out(xs[k-3:k])), 0),
        })


class _Machine:
    "A pretended machine with a clock of its own: what was called, in which order, and for how long"
    def __init__(self, seconds, speed): self.now, self.seconds, self.speed, self.log, self.reads = 0.0, seconds, speed, [], 0

    def functions(self):
        def clock():
            self.reads += 1
            return self.now
        def made(name):
            def work():
                self.log.append(name)
                self.now += self.seconds[name]*self.speed(len(self.log) - 1, name)
            return work
        return made('fn'), made('peer'), clock


@exercise
def times_as_long(answer):
    def run(repeats, speed, seconds=(3.0, 2.0)):
        machine = _Machine(dict(zip(('fn', 'peer'), seconds)), speed)
        fn, peer, clock = machine.functions()
        got = answer(fn, peer, clock, repeats)
        expect(machine.reads > 0, '`clock` is never asked for the time. On this machine only `clock()` knows it')
        for name in ('fn', 'peer'):
            n = machine.log.count(name)
            expect(n == repeats, f'`{name}` is called {n} times, and repeats is {repeats}: each of the two is called once a pair, with no pair before or after')
        return got, machine.log
    got, log = run(5, lambda i, name: 1.0)
    same(got, 1.5, what='ratio of 3 seconds to 2', mistakes={
        'peer over fn: asked is how many times as long `fn` takes': 2/3,
        'that is the difference in seconds, not the ratio': 1.0,
        'the second time runs on from before the first call: read the clock right before and right after each call': 3/5})
    got, log = run(6, lambda i, name: 1.0 + i)  # a machine that gets slower and slower
    if log == ['peer', 'fn']*6: wrong('in each pair yours calls `peer` before `fn`: here `fn` comes first')
    if log[:2] in (['fn', 'fn'], ['peer', 'peer']):
        wrong(f'yours calls `{log[0]}` {log.index("peer" if log[0] == "fn" else "fn")} times in a row. While this machine gets busier, that makes {got:.3g} of a ratio that is near 1.5: call the two in turn')
    hiccups = {0: 40.0, 4: 60.0, 9: 30.0}
    pace = [1.0, 5.0, 2.0, 4.0, 8.0, 3.0, 7.0]
    def uneven(i, name): return pace[i//2]*hiccups.get(i, 1.0)
    pairs = {name: [s*pace[j]*hiccups.get(2*j + late, 1.0) for j in range(7)] for late, (name, s) in enumerate((('fn', 3.0), ('peer', 2.0)))}
    got, log = run(7, uneven)
    if log[0] == 'fn' and log[1] == 'peer' and log == ['fn', 'peer']*7:
        a, b = pairs['fn'], pairs['peer']
        same(got, 1.5, what='ratio on a machine with three hiccups', mistakes={
            'the mean of the ratios: three hiccups among fourteen calls drag it away, the median stays': statistics.mean(x/y for x, y in zip(a, b)),
            'the ratio of the two medians: divide within each pair first, then what slows both of a pair cancels': statistics.median(a)/statistics.median(b),
            'the ratio of the totals (or of the means): one slow call decides it': sum(a)/sum(b),
            'the smallest ratio: the luckiest pair is no typical one': min(x/y for x, y in zip(a, b)),
            'the ratio of the two smallest times: they come from different pairs': min(a)/min(b),
            'that is the upper of the middle values, or a value of one pair: take the median of all the ratios': a[-1]/b[-1]})
    else: expect(math.isfinite(got), f'yours is {got}')
    even = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0]
    got, log = run(4, lambda i, name: even[i])
    if log == ['fn', 'peer']*4:
        ratios = sorted(1.5*even[2*j]/even[2*j + 1] for j in range(4))
        same(got, statistics.median(ratios), what='median of four ratios', mistakes={
            'with an even number of pairs the median lies half way between the two in the middle': ratios[2],
            'with an even number of pairs the median lies half way between the two in the middle; yours is the lower one': ratios[1]})


def _draws(): return {'PyTorch': torch.rand(1).item(), "Python's random": random.random(), 'NumPy': float(np.random.rand())}


def _start(seed): torch.manual_seed(seed); random.seed(seed); np.random.seed(seed)


def _different(a, b): return ' and '.join(name for name in a if a[name] != b[name])


@exercise
def seeded(answer):
    with _Kept():
        _start(11)
        first, second, third = _draws(), _draws(), _draws()
        _start(7)
        inside, next_inside = _draws(), _draws()
        _start(8)
        other = _draws()

        def block(guard, fails=False):
            with guard:
                got = _draws()
                if fails: raise ZeroDivisionError('on purpose')
            return got

        _start(11)
        guard = answer(7)
        after_making = _states()
        _start(11)
        expect(after_making == _states(), 'a global generator has moved when the object was made: nothing may be drawn or seeded before the block begins')
        _draws()
        got = block(guard)
        expect(not (d := _different(got, inside)), f'{d}: in the block the draws are not those that follow from seed 7. All three generators are seeded when the block begins')
        after = _draws()
        expect(after != next_inside, 'after the block the draws go on from the seed of the block: none of the three generators was put back')
        if after == first: wrong('after the block the generators are where they were when the object was made, not where they were when the block began: look again at when you keep their states')
        if after == inside: wrong('after the block the generators stand at the start of the seed again: their states were kept after seeding, and must be kept before')
        d = _different(after, second)
        if d.count(' and ') == 2: wrong('after the block none of the three generators goes on where it had stopped before it: keep their states and put them back')
        expect(not d, f'{d}: after the block the draws do not go on where they had stopped before it. Keep and put back the state of each of the three generators')

        _start(11)
        _draws()
        try: block(answer(7), fails=True)
        except ZeroDivisionError: pass
        else: wrong('an error was raised in the block and nobody heard of it: what `__exit__` returns decides that, and anything true swallows the error')
        expect(not (d := _different(_draws(), second)), f'{d}: after a block that ended with an error nothing was put back. `__exit__` is called in that case too')

        _start(11)
        _draws()
        with answer(8):
            block(answer(7))
            got = _draws()
        expect(not (d := _different(got, other)), f'{d}: one block inside another: after the inner one the outer does not go on where it was')
        expect(not (d := _different(_draws(), second)), f'{d}: one block inside another: after the outer one the state of the inner one came back. Each object needs a state of its own, kept in `self`')
        guard = answer(7)
        expect(block(guard) == inside and block(guard) == inside, 'the same object used for a second block gives other draws')
        expect(not (d := _different(_draws(), third)), f'{d}: after a second block with the same object the draws do not go on')
