"What the exercises of the chapter on how the course runs are held against"
import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from course_lib.core import mean_ci
from course_lib.exercises import Answer, Wrong, exercise, expect, mistake, same, wrong
from course_lib.extras import needs

with needs('collab'): from scipy import stats


def _states() -> dict:
    return {'PyTorch': torch.get_rng_state().tolist(), "Python's random": random.getstate(),
            'NumPy': str(np.random.get_state())}


def _moved(before: dict) -> list:
    "Names of the global generators that are not where they were"
    return [name for name, state in _states().items() if state != before[name]]


class _Kept:
    "Puts the three global generators back, whatever the learner does"
    def __enter__(self) -> Any: self.saved = torch.get_rng_state(), random.getstate(), np.random.get_state()
    def __exit__(self, *exc: Any) -> None:
        torch.set_rng_state(self.saved[0])
        random.setstate(self.saved[1])
        np.random.set_state(self.saved[2])


_SPREAD = [4.0, -3.0, 1.5, -2.2, 3.1, 0.4, -1.0, 2.7]
_NOISE = [0.1, -0.1, 0.05, 0.0, -0.05, 0.1, -0.1, 0.02]
_STEPS = [float(i) for i in range(1, 9)]
_PAIRS: dict[str, tuple[list, list]] = {  # each mistake answers them in a way of its own
    'runs that lie about 5 above their partners': ([5 + e for e in _NOISE], _NOISE[::-1]),
    'runs that lie about 5 below their partners': (_NOISE[::-1], [5 + e for e in _NOISE]),
    'runs that jump about': ([2.0, -1.6, 0.9, -1.1, 1.4, -0.7, 0.3, -0.5], [0.1]*8),
    'runs that fall while their partners rise': ([s + 0.3 for s in _STEPS[::-1]], _STEPS),
    'three runs that scatter': ([0.5, 1.5, 2.5], [0.0]*3),
    'runs that scatter widely and lie one half above their partners': (
        [s + 0.5 + e for s, e in zip(_SPREAD, _NOISE)], _SPREAD),
    'runs that lie one hundredth above their partners': ([0.11, 0.12, 0.13], [0.10, 0.11, 0.12001]),
}


@exercise
def differs(answer: Answer) -> None:
    def ask(fn: Callable) -> dict: return {story: fn(*pair) for story, pair in _PAIRS.items()}
    same(ask(answer), {story: 0 not in mean_ci(*pair) for story, pair in _PAIRS.items()}, what='answer',
         mistakes=answer.mistakes(ask))


@mistake(differs, 'your answer is True when zero is inside the interval: that is the wrong way round')
def reversed_answer(runs: list, baseline: list) -> bool: return 0 in mean_ci(runs, baseline)

@mistake(differs, 'for runs that lie about 5 below their partners yours says no, and worse is different too: zero can '
         'be left out on either side')
def only_better(runs: list, baseline: list) -> bool: return mean_ci(runs, baseline).low > 0

@mistake(differs, 'a mean difference that is not exactly zero is not enough, it needs its interval')
def any_difference(runs: list, baseline: list) -> bool: return mean_ci(runs, baseline).value != 0

@mistake(differs, 'the pairs belong together as they came, by seed: sorting each list first makes new pairs')
def sorts_first(runs: list, baseline: list) -> bool: return 0 not in mean_ci(sorted(runs), sorted(baseline))

@mistake(differs, 'two standard errors are too short for three runs: the fewer the runs, the wider the interval must '
                  'be')
def two_errors(runs: list, baseline: list) -> bool:
    d = [a - b for a, b in zip(runs, baseline)]
    return abs(statistics.mean(d)) > 2*statistics.stdev(d)/len(d)**0.5

@mistake(differs, 'the two single intervals overlap where the seeds scatter widely, but seed by seed the difference '
                  'may '
         'always be near one half: subtract pair by pair first')
def unpaired(runs: list, baseline: list) -> bool:
    a, b = mean_ci(runs), mean_ci(baseline)
    return a.high < b.low or b.high < a.low

@mistake(differs, 'a small difference that is the same in each pair counts as well: only its interval decides, not its '
         'size')
def big_enough(runs: list, baseline: list) -> bool:
    return 0 not in mean_ci(runs, baseline) and abs(mean_ci(runs, baseline).value) > 0.1


@exercise
def shuffled(answer: Answer) -> None:
    words = list('abcdefgh')
    def call(items: Any, seed: int) -> tuple:
        with _Kept():
            before, gen = _states(), torch.Generator().manual_seed(seed)
            state = gen.get_state()
            got = answer.call(list(items), gen, may_change=True)
            moved = _moved(before)
        expect(not moved, f'{" and ".join(moved)}: a global generator has moved. Take every draw from `gen`, so that '
                          'nobody else\'s draws change yours, nor yours theirs')
        given, gen = answer.inputs[:2]
        expect(list(given) == list(items), f'the list that the caller passed is now {given}: it was changed in place. '
                                           'Return a new list and leave theirs alone')
        expect(isinstance(got, list), f'a list is asked for, yours is of type {type(got).__name__}')
        expect(len(got) == len(items), f'{len(items)} items went in and {len(got)} came out')
        if set(got) <= set(range(len(items))) and items and not set(got) <= set(items):
            wrong(f'yours holds positions ({got}), not the items that stand there')
        lost = [x for x in items if x not in got]
        expect(not lost, f'the items {", ".join(map(str, lost))} got lost and others came twice: draw the positions '
                         'without replacement')
        expect(sorted(got) == sorted(items), 'the items that came out are not those that went in')
        return got, gen.get_state().equal(state)
    for items in (words, words[:1], []): call(items, 0)
    a, still = call(words, 5)
    expect(not still, '`gen` is where it was before the call: nothing was drawn from it, so a second call would give '
                      'the same order again')
    same(call(words, 5)[0], a, what='order from a generator with the same seed')
    orders = {tuple(call(words, seed)[0]) for seed in range(6)}
    expect(len(orders) > 1, 'six generators with six seeds give one and the same order: is `gen` seeded again inside?')
    orders = {tuple(call('abc', seed)[0]) for seed in range(120)}
    expect(len(orders) == 6, f'three items can stand in 6 orders, and in 120 tries yours gives only {len(orders)}: '
                             'every order must be possible')


def _t_half(x: list, level: float) -> float:
    "Half the width of the interval of the mean, with Student's t"
    return float(stats.t.ppf((1 + level)/2, len(x) - 1)*statistics.stdev(x)/len(x)**0.5)


def _around(x: list, half: Any) -> tuple: return statistics.mean(x) - half, statistics.mean(x) + half


@exercise
def mean_interval(answer: Answer) -> None:
    for n, level in [(3, 0.95), (5, 0.9), (2, 0.95), (12, 0.5)]:
        x = [0.91, 0.93, 0.92] if n == 3 else torch.randn(n, generator=answer.generator).double().tolist()
        got = answer(x, level)
        expect(isinstance(got, (tuple, list)) and len(got) == 2,
               f'two numbers are asked for, (low, high), yours is {got!r}')
        same(tuple(float(v) for v in got), _around(x, _t_half(x, level)),
             what=f'interval of {n} runs at level {level:.0%}',
             mistakes=answer.mistakes(n=n, level=level, rest=1 - level))


@mistake(mean_interval, 'the factor comes from the bell curve: with few runs the spread itself is uncertain, and '
         "Student's t is wider")
def bell_curve(runs: list, level: float) -> tuple:
    return _around(runs, stats.norm.ppf((1 + level)/2)*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'two standard errors, whatever the number of runs and the level: the factor is a quantile '
         "of Student's t")
def rule_of_thumb(runs: list, level: float) -> tuple: return _around(runs, 2*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'the spread divides by n = {n}; the standard deviation of a sample divides by n - 1')
def numpy_std(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*np.std(runs)/len(runs)**0.5)

@mistake(mean_interval, 'the range is that of one run, not of their mean: the spread is not divided by the square '
         'root of n')
def no_root(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*statistics.stdev(runs))

@mistake(mean_interval, 'the spread is divided by n and not by its square root')
def whole_n(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf((1 + level)/2, len(runs) - 1)*statistics.stdev(runs)/len(runs))

@mistake(mean_interval, 'the t distribution has {n} degrees of freedom here; one is used up by the mean, so it is n '
         '- 1')
def n_degrees(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf((1 + level)/2, len(runs))*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'the whole {rest:.0%} is cut off at each end; half of it belongs to each side')
def one_sided(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf(level, len(runs) - 1)*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'your interval is that of 95%, whatever `level` is')
def always_95(runs: list, level: float) -> tuple: return (e := mean_ci(runs)).low, e.high

@mistake(mean_interval, 'your quantile is asked for as if {level:.0%} were the share outside the interval; `level` '
         'is the share inside it')
def level_outside(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf(1 - level/2, len(runs) - 1)*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'your quantile is asked for as if {level:.0%} were the share outside; `level` is the share '
         'inside, and the quantile wanted lies above the middle')
def below_the_middle(runs: list, level: float) -> tuple:
    return _around(runs, stats.t.ppf(level/2, len(runs) - 1)*statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, "one standard error, without the factor from Student's t")
def one_error(runs: list, level: float) -> tuple: return _around(runs, statistics.stdev(runs)/len(runs)**0.5)

@mistake(mean_interval, 'low and high have changed places')
def high_first(runs: list, level: float) -> tuple: return _around(runs, -_t_half(runs, level))

@mistake(mean_interval, 'yours is the half width and not the two ends around the mean')
def around_zero(runs: list, level: float) -> tuple:
    return -(e := mean_ci(runs, level=level)).high + e.value, e.high - e.value


def _rank(n: int, p: float = 0.025) -> int:
    "The rank, counted from 1, below which the median lies with the probability `p`"
    return max(int(stats.binom.ppf(p, n, 0.5)), 1)


@exercise
def median_interval(answer: Answer) -> None:
    for n in (6, 100, 21, 9, 3):
        times = torch.empty(n, dtype=torch.float64).exponential_(generator=answer.generator).tolist()
        if n == 6: times = [3, 1, 4, 9, 5, 2]
        xs, k = sorted(times), _rank(n)
        try: got = answer(times)
        except Wrong as e:
            if 'IndexError' not in str(e): raise
            wrong(f'a rank fell outside the {n} sorted times. For so few of them the rank from the coin tosses may be '
                  '0: the interval then starts at the smallest time, rank 1')
        expect(isinstance(got, (tuple, list)) and len(got) == 2,
               f'two numbers are asked for, (low, high), yours is {got!r}')
        same(tuple(float(v) for v in got), (float(xs[k-1]), float(xs[n-k])),
             what=f'interval of the median of {n} times', mistakes=answer.mistakes())


@mistake(median_interval, 'ranks belong to the sorted times, yours are taken in the order in which they came')
def unsorted(times: list) -> tuple: return times[_rank(len(times)) - 1], times[len(times) - _rank(len(times))]

@mistake(median_interval, 'that is where 95 of 100 single times fall. We ask where the median is, which is known '
         'far more closely')
def quantiles(times: list) -> tuple: return tuple(np.quantile(times, [0.025, 0.975]))

@mistake(median_interval, 'from the smallest to the largest time: so wide a range is needed for a handful of times '
         'only')
def smallest_and_largest(times: list) -> tuple: return min(times), max(times)

@mistake(median_interval, 'both ends stand one place too far inside: a rank counts from 1, a position in a list '
         'from 0')
def rank_is_position(times: list) -> tuple:
    xs, k = sorted(times), _rank(len(times))
    return xs[k], xs[-k - 1]

@mistake(median_interval, 'the lower end stands one place too far inside: a rank counts from 1, a position in a '
         'list from 0')
def lower_off_by_one(times: list) -> tuple:
    xs, k = sorted(times), _rank(len(times))
    return xs[k], xs[-k]

@mistake(median_interval, 'low and high have changed places. For so few times the tosses give 0 for the rank: raise '
         'it to 1')
def rank_zero(times: list) -> tuple:
    xs, k = sorted(times), int(stats.binom.ppf(0.025, len(times), 0.5))
    return xs[k - 1], xs[-k]

@mistake(median_interval, 'ends cut off at 5% each leave 90% between them; 2.5% belongs to each side')
def one_tail(times: list) -> tuple:
    xs, k = sorted(times), _rank(len(times), 0.05)
    return xs[k-1], xs[-k]

@mistake(median_interval, 'low and high have changed places')
def median_high_first(times: list) -> tuple:
    xs, k = sorted(times), _rank(len(times))
    return xs[-k], xs[k-1]

@mistake(median_interval, "that is the interval of the mean, with Student's t; times have a long tail, and no bell "
         'curve is to be assumed')
def of_the_mean(times: list) -> tuple: return (e := mean_ci(times)).low, e.high


_PEEKS = [  # the first is chosen so that each mistake gives another number of runs
    [-0.7, -0.6, 0.1, -0.5, -0.7, 2.0, 2.2, 1.7, 1.1, 1.4, 1.3, 2.0, 0.7, -1.8, -0.9],
    [0.3, -0.4, 0.5, -0.2, 0.1, -0.6],
    [0.3, 0.5, 0.4],
    [0.3, 0.5, 0.4, -2.0],
    [-0.3, 0.9, 0.8, 0.7, 0.9, 0.6],
]


def _out(xs: list) -> bool:
    "Does the interval leave zero out?"
    return 0 not in mean_ci(xs)


@exercise
def first_find(answer: Answer) -> None:
    def ask(fn: Callable) -> list: return [fn(xs) for xs in _PEEKS]
    want = [next((k for k in range(3, len(xs) + 1) if _out(xs[:k])), 0) for xs in _PEEKS]
    same(ask(answer), want, what='list of numbers of runs that the person uses', mistakes=answer.mistakes(ask))


@mistake(first_find, 'yours gives the number of all runs where zero stays inside to the end, and for that the answer '
                     'is 0')
def all_when_none(differences: list) -> int:
    return next((k for k in range(3, len(differences) + 1) if _out(differences[:k])), len(differences))

@mistake(first_find, 'the last look, after all the runs, counts too')
def forgets_the_end(differences: list) -> int:
    return next((k for k in range(3, len(differences)) if _out(differences[:k])), 0)

@mistake(first_find, 'yours looks once, after the first three runs. The person looks again after each run that follows')
def only_three(differences: list) -> int: return 3 if _out(differences[:3]) else 0

@mistake(first_find, 'two runs are too few to look at: the first look comes after the third')
def from_two(differences: list) -> int:
    return next((k for k in range(2, len(differences) + 1) if _out(differences[:k])), 0)

@mistake(first_find, 'that is the position of the last run used, not how many runs were used')
def position(differences: list) -> int:
    return next((k - 1 for k in range(3, len(differences) + 1) if _out(differences[:k])), 0)

@mistake(first_find, 'that is one run more than were used: a slice up to k holds k runs already')
def one_more(differences: list) -> int:
    return next((k + 1 for k in range(3, len(differences) + 1) if _out(differences[:k])), 0)

@mistake(first_find, 'zero is left out below as well as above: a method that seems worse is a find too')
def only_above(differences: list) -> int:
    return next((k for k in range(3, len(differences) + 1) if mean_ci(differences[:k]).low > 0), 0)

@mistake(first_find, 'the person stops at the first find; yours goes on to the last')
def never_stops(differences: list) -> int:
    found = 0
    for k in range(3, len(differences) + 1):
        if _out(differences[:k]): found = k
    return found

@mistake(first_find, 'yours looks once, with all runs. The person looks after each')
def looks_once(differences: list) -> int: return len(differences) if _out(differences) else 0

@mistake(first_find, 'yours stops where zero is still inside the interval: that is the wrong way round')
def stops_inside(differences: list) -> int:
    return next((k for k in range(3, len(differences) + 1) if not _out(differences[:k])), 0)

@mistake(first_find, 'yours looks at each run and the two before it; the person looks at all runs so far')
def window(differences: list) -> int:
    return next((k for k in range(3, len(differences) + 1) if _out(differences[k-3:k])), 0)


class _Machine:
    "A pretended machine with a clock of its own: what was called, in which order, and for how long"
    def __init__(self, seconds: dict, speed: Callable) -> None:
        self.now, self.seconds, self.speed, self.reads = 0.0, seconds, speed, 0
        self.log: list[str] = []

    def functions(self) -> tuple:
        def clock() -> float:
            self.reads += 1
            return self.now
        def made(name: str) -> Callable:
            def work() -> None:
                self.log.append(name)
                self.now += self.seconds[name]*self.speed(len(self.log) - 1, name)
            return work
        return made('fn'), made('peer'), clock


def _timed(fn: Callable, repeats: int, speed: Callable) -> tuple[Any, _Machine]:
    "What an answer says of a machine on which `fn` takes three seconds and `peer` two, and the machine afterwards"
    machine = _Machine({'fn': 3.0, 'peer': 2.0}, speed)
    return fn(*machine.functions(), repeats), machine


_PACE, _HICCUPS = [1.0, 5.0, 2.0, 4.0, 8.0, 3.0, 7.0], {0: 40.0, 4: 60.0, 9: 30.0}
_EVEN = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0]


def _constant(i: int, name: str) -> float: return 1.0
def _slower_and_slower(i: int, name: str) -> float: return 1.0 + i
def _uneven(i: int, name: str) -> float: return _PACE[i//2]*_HICCUPS.get(i, 1.0)
def _even(i: int, name: str) -> float: return _EVEN[i]


@exercise
def times_as_long(answer: Answer) -> None:
    for repeats, speed, want, what in [(5, _constant, 1.5, 'ratio of 3 seconds to 2'),
                                       (6, _slower_and_slower, None, ''),
                                       (7, _uneven, 1.5, 'ratio on a machine with three hiccups'),
                                       (4, _even, 2.25, 'median of four ratios')]:
        got, machine = _timed(answer, repeats, speed)
        expect(machine.reads > 0, '`clock` is never asked for the time. On this machine only `clock()` knows it')
        for name in ('fn', 'peer'):
            n = machine.log.count(name)
            expect(n == repeats, f'`{name}` is called {n} times, and repeats is {repeats}: each of the two is called '
                                 'once a pair, with no pair before or after')
        if want is None: _calls_in_turn(got, machine.log, repeats)
        elif machine.log == ['fn', 'peer']*repeats:
            def timed(fn: Callable, repeats: int = repeats, speed: Callable = speed) -> Any:
                return _timed(fn, repeats, speed)[0]
            same(got, want, what=what, mistakes=answer.mistakes(timed))
        else: expect(math.isfinite(got), f'yours is {got}')


def _calls_in_turn(got: float, log: list, repeats: int) -> None:
    "Raises `Wrong` unless `fn` and `peer` were called in turn on the machine that gets slower and slower"
    expect(log != ['peer', 'fn']*repeats, 'in each pair yours calls `peer` before `fn`: here `fn` comes first')
    if log[0] == log[1]:
        wrong(f'yours calls `{log[0]}` {log.index("peer" if log[0] == "fn" else "fn")} times in a row. While this '
              f'machine gets busier, that makes {got:.3g} of a ratio that is near 1.5: call the two in turn')


def _span(f: Callable, clock: Callable) -> float:
    "Seconds that a call takes"
    start = clock()
    f()
    return clock() - start


def _pairs(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> list:
    return [(_span(fn, clock), _span(peer, clock)) for _ in range(repeats)]

@mistake(times_as_long, 'peer over fn: asked is how many times as long `fn` takes')
def upside_down(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return statistics.median(b/a for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'the second time runs on from before the first call: read the clock right before and right '
         'after each call')
def one_start(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    ratios = []
    for _ in range(repeats):
        start = clock()
        fn()
        a = clock() - start
        peer()
        ratios.append(a/(clock() - start))
    return statistics.median(ratios)

@mistake(times_as_long, 'the mean of the ratios: three hiccups among fourteen calls drag it away, the median stays')
def mean_ratio(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return statistics.mean(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'the ratio of the two medians: divide within each pair first, then what slows both of a '
         'pair cancels')
def ratio_of_medians(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    a, b = zip(*_pairs(fn, peer, clock, repeats))
    return statistics.median(a)/statistics.median(b)

@mistake(times_as_long, 'the ratio of the totals (or of the means): one slow call decides it')
def totals(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    a, b = zip(*_pairs(fn, peer, clock, repeats))
    return sum(a)/sum(b)

@mistake(times_as_long, 'with an even number of pairs the median lies half way between the two in the middle')
def upper_middle(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return statistics.median_high(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'with an even number of pairs the median lies half way between the two in the middle; yours is '
         'the lower one')
def lower_middle(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return statistics.median_low(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'that is the difference in seconds, not the ratio')
def in_seconds(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return statistics.median(a - b for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'the smallest ratio: the luckiest pair is no typical one')
def luckiest_pair(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    return min(a/b for a, b in _pairs(fn, peer, clock, repeats))

@mistake(times_as_long, 'the ratio of the two smallest times: they come from different pairs')
def smallest_times(fn: Callable, peer: Callable, clock: Callable, repeats: int) -> float:
    a, b = zip(*_pairs(fn, peer, clock, repeats))
    return min(a)/min(b)


def _draws() -> dict:
    return {'PyTorch': torch.rand(1).item(), "Python's random": random.random(), 'NumPy': float(np.random.rand())}


def _start(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def _different(a: dict, b: dict) -> str: return ' and '.join(name for name in a if a[name] != b[name])


@exercise
def seeded(answer: Answer) -> None:
    with _Kept():
        _start(11)
        first, second, third = _draws(), _draws(), _draws()
        _start(7)
        inside, next_inside = _draws(), _draws()
        _start(8)
        other = _draws()

        def block(guard: Any, fails: bool = False) -> dict:
            with guard:
                got = _draws()
                if fails: raise ZeroDivisionError('on purpose')
            return got

        _start(11)
        guard = answer(7)
        after_making = _states()
        _start(11)
        expect(after_making == _states(), 'a global generator has moved when the object was made: nothing may be drawn '
                                          'or seeded before the block begins')
        _draws()
        got = block(guard)
        expect(not (d := _different(got, inside)), f'{d}: in the block the draws are not those that follow from seed '
                                                   '7. All three generators are seeded when the block begins')
        after = _draws()
        expect(after != next_inside, 'after the block the draws go on from the seed of the block: none of the three '
                                     'generators was put back')
        if after == first:
            wrong('after the block the generators are where they were when the object was made, not where they were '
                  'when the block began: look again at when you keep their states')
        if after == inside:
            wrong('after the block the generators stand at the start of the seed again: their states were kept after '
                  'seeding, and must be kept before')
        d = _different(after, second)
        if d.count(' and ') == 2:
            wrong('after the block none of the three generators goes on where it had stopped before it: keep their '
                  'states and put them back')
        expect(not d, f'{d}: after the block the draws do not go on where they had stopped before it. Keep and put '
                      'back the state of each of the three generators')

        _start(11)
        _draws()
        try: block(answer(7), fails=True)
        except ZeroDivisionError: pass
        else:
            wrong('an error was raised in the block and nobody heard of it: what `__exit__` returns decides that, and '
                  'anything true swallows the error')
        expect(not (d := _different(_draws(), second)), f'{d}: after a block that ended with an error nothing was put '
                                                        'back. `__exit__` is called in that case too')

        _start(11)
        _draws()
        with answer(8):
            block(answer(7))
            got = _draws()
        expect(not (d := _different(got, other)), f'{d}: one block inside another: after the inner one the outer does '
                                                  'not go on where it was')
        expect(not (d := _different(_draws(), second)), f'{d}: one block inside another: after the outer one the state '
                                                        'of the inner one came back. Each object needs a state of its '
                                                        'own, kept in `self`')
        guard = answer(7)
        expect(block(guard) == inside and block(guard) == inside,
               'the same object used for a second block gives other draws')
        expect(not (d := _different(_draws(), third)), f'{d}: after a second block with the same object the draws do '
                                                       'not go on')
