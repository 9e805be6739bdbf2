"What the exercises of the chapter on the learning-rate finder are held against"
import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises import Answer, exercise, expect, mistake, same, wrong
from course_lib.lr_finder import moving_average


@exercise
def equal_factors(answer: Answer) -> None:
    for start, end, n in [(1e-4, 1., 5), (1e-7, 10., 24), (0.5, 2., 2), (1e-3, 3e-3, 7)]:
        i = torch.arange(n)
        got = answer(start, end, n)
        if isinstance(got, torch.Tensor) and got.ndim == 1 and len(got) == n + 1:
            wrong(f'{n} rates are asked for and yours are {n + 1}: both ends count among them, so there is one step '
                  'fewer than there are rates')
        same(got, start*(end/start)**(i/(n - 1)), what='rates', atol=0, mistakes=answer.mistakes(end=end, start=start))


@mistake(equal_factors, 'your rates grow by equal amounts; they should grow by equal factors, so that every power '
         'of ten gets as many')
def added(start: float, end: float, n: int) -> Tensor: return torch.linspace(start, end, n)

@mistake(equal_factors, 'your last rate stays one step below {end:g}: n rates with both ends have n - 1 steps '
         'between them')
def stops_short(start: float, end: float, n: int) -> Tensor: return start*(end/start)**(torch.arange(n)/n)

@mistake(equal_factors, 'your first rate is already one step above {start:g}: the first one has made no step yet')
def begins_late(start: float, end: float, n: int) -> Tensor: return start*(end/start)**(torch.arange(1, n + 1)/n)

@mistake(equal_factors, 'yours grow by a factor of ten whatever the end is, and do not arrive at {end:g}: the '
         'factor follows from start, end and n')
def always_tenfold(start: float, end: float, n: int) -> Tensor: return start*10.**torch.arange(n)

@mistake(equal_factors, 'your rates are ten to the power of what they should go from and to: `logspace` takes '
         'exponents, not rates')
def logspace_of_rates(start: float, end: float, n: int) -> Tensor: return torch.logspace(start, end, n)

@mistake(equal_factors, 'yours go down from the end to the start: the search begins with the smallest rate')
def downwards(start: float, end: float, n: int) -> Tensor: return end*(start/end)**(torch.arange(n)/(n - 1))


def _average(losses: Tensor, beta: float, start: float = 0., keep: float | None = None, correct: Callable = lambda avg,
             beta, t: avg/(1 - beta**t), fed_back: bool = False, new: float | None = None) -> Tensor:
    avg, out = start, []
    for t, loss in enumerate(losses.tolist(), 1):
        avg = (beta if keep is None else keep)*avg + (1 - beta if new is None else new)*loss
        shown = correct(avg, beta, t)
        out.append(shown)
        if fed_back: avg = shown
    return torch.tensor(out)


@exercise
def corrected_average(answer: Answer) -> None:
    for n, beta in [(5, 0.9), (40, 0.98), (1, 0.5), (3, 0.)]:
        x = 2 + torch.rand(n, generator=answer.generator)
        late = x[0].item()
        got = answer(x, beta)
        if isinstance(got, torch.Tensor) and n > 1 and got.numel() == 1:
            wrong('your function gives one number: it should give the average after every loss')
        if isinstance(got, torch.Tensor) and got.shape == x.shape and got[0].isinf():
            wrong(f'the first of your averages is {got[0].item()}: with t counted from 0 the first one is divided by 1 '
                  '- beta**0, which is nothing')
        same(got, moving_average(x, beta).float(), what='averages', rtol=1e-3,
             mistakes=answer.mistakes(first=(1 - beta) * late, late=late) | {
            'beta and 1 - beta have changed places, in the average and in its correction: a large beta should smooth '
            'much': lambda: _average(x, beta, keep=1 - beta, new=beta, correct=lambda a, b,
                                     t: a/(1 - (1 - b)**t) if b else math.nan),
        })


def keep(trainer: Any, weights: bool = True, buffers: bool = True, memory: bool = True, modes: bool = True,
         random: bool = True) -> Callable:
    "Write down parts of the trainer; return what puts them back"
    model, opt = trainer.model, trainer.opt
    saved, remembered = copy.deepcopy((model.state_dict(), opt.state_dict()))
    kept, state = [m.training for m in model.modules()], torch.get_rng_state()
    def put() -> None:
        if weights and buffers: model.load_state_dict(saved)
        elif weights:
            with torch.no_grad():
                for n, p in model.named_parameters(): p.copy_(saved[n])
        if memory: opt.load_state_dict(remembered)
        if modes:
            for m, training in zip(model.modules(), kept): m.training = training
        if random: torch.set_rng_state(state)
    return put


def averages(losses: Tensor, beta: float, start: Any = 0., correct: bool = True, swap: bool = False) -> Tensor:
    avg, out = start, []
    keep, new = (1 - beta, beta) if swap else (beta, 1 - beta)
    for t, loss in enumerate(losses, 1):
        avg = keep*avg + new*loss
        out.append(avg/(1 - beta**t) if correct else avg)
    return torch.stack(out)

@mistake(corrected_average, 'your first average is {first:.3g} where the only loss so far is {late:.3g}: '
         'the share that went to the made-up zero is not given back')
def uncorrected(losses: Tensor, beta: float) -> Tensor: return averages(losses, beta, correct=False)

@mistake(corrected_average, 'the corrected value goes on into the next average: keep the uncorrected one for the '
         'recurrence and correct only what you write down')
def fed_back(losses: Tensor, beta: float) -> Tensor:
    avg, out = 0., []
    for t, loss in enumerate(losses, 1):
        avg = (beta*avg + (1 - beta)*loss)/(1 - beta**t)
        out.append(avg)
    return torch.stack(out)

@mistake(corrected_average, 'beta and 1 - beta have changed places: beta is the share of the old average, so a '
         'large beta smooths much')
def swapped(losses: Tensor, beta: float) -> Tensor: return averages(losses, beta, swap=True)

@mistake(corrected_average, 'yours begins with the first loss as if it had been the average for ever: that gives '
         'one noisy loss the weight of many. Begin with zero and correct')
def from_first_loss(losses: Tensor, beta: float) -> Tensor: return averages(losses, beta, losses[0], correct=False)

@mistake(corrected_average, 'yours is the plain mean of all losses so far, in which beta has no say: an old loss '
         'should count less than a new one')
def plain_mean(losses: Tensor, beta: float) -> Tensor: return losses.cumsum(0)/torch.arange(1, len(losses) + 1)

@mistake(corrected_average, 'after the first loss your correction lags by one: divide the average after t losses by '
         '1 minus beta to the power of t, not of t - 1')
def corrected_one_late(losses: Tensor, beta: float) -> Tensor:
    avg, out = 0., []
    for t, loss in enumerate(losses.tolist()):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta**t) if t else loss)
    return torch.tensor(out)

@mistake(corrected_average, 'the share that real losses got is 1 minus beta to the power of t; yours takes beta '
         'times t')
def product_for_power(losses: Tensor, beta: float) -> Tensor:
    avg, out = 0., []
    for t, loss in enumerate(losses, 1):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta*t))
    return torch.stack(out)


@exercise
def stops_at(answer: Answer) -> None:
    nan, inf = math.nan, math.inf
    for averages, want in [([1.0, 0.5, 0.4, 1.7, 0.3], 3), ([8.0, 3.0, 0.5, 0.6, 2.7], 4),
                           ([2.0, 1.0, 2.5, 3.9, 4.5], 4),
                           ([1.0, 4.0, 4.1], 2), ([-1.0, -2.0, -1.9, 3.9, 4.1], 4), ([1.0, 0.5, nan, 0.4], 2),
                           ([inf, 1.0], 0), ([1.0, 0.9, 0.8], 3), ([5.0], 1)]:
        got = answer.call(averages)
        expect(got is not None, f'your function returned nothing for {averages}: is a `return` missing for the case '
                                'that no loss ends the search?')
        if min(averages) < 0 and got in range(want):
            wrong(f'with a negative best your search ends at place {got} of {averages}, too soon: your limit lies '
                  'below the best itself. Measure three times the *size* of the best')
        same(got, want, what=f'place where {averages} ends', mistakes=answer.mistakes())


def stop(averages: list, best: Callable = lambda seen, all_: min(seen), limit: Callable = lambda b: b + 3*abs(b),
         beyond: Callable = lambda x, l: x > l, bad: Callable = lambda x: not math.isfinite(x), never: Callable = len,
         plus: int = 0) -> int:
    for i, x in enumerate(averages):
        if bad(x) or beyond(x, limit(best(averages[:i + 1], averages))): return i + plus
    return never(averages)

@mistake(stops_at, 'your search goes on where the loss is 1.7 and the best was 0.4: compare with the best so far, '
         'not with the first')
def against_first(averages: list) -> int: return stop(averages, best=lambda seen, all_: seen[0])

@mistake(stops_at, 'your answer is one too high: give the place of the loss that ends the search, counted from 0')
def one_too_high(averages: list) -> int: return stop(averages, plus=1)

@mistake(stops_at, 'your search ends at once although the loss only falls: the best *so far* counts, and yours '
         'looks ahead at losses that have not come yet')
def best_of_all(averages: list) -> int: return stop(averages, best=lambda seen, all_: min(all_))

@mistake(stops_at, 'the loss climbs slowly, from one to the next never threefold, and your search never ends: '
         'compare with the best so far, not with the one before')
def against_previous(averages: list) -> int:
    return stop(averages, best=lambda seen, all_: seen[-2] if len(seen) > 1 else seen[-1])

@mistake(stops_at, 'a loss of exactly three times the best above the best does not end it yet, only one beyond does')
def at_the_limit(averages: list) -> int: return stop(averages, beyond=lambda x, l: x >= l and l != 0)

@mistake(stops_at, 'a loss that is nan is not greater than anything, so a comparison alone never sees it: ask for it')
def blind_to_nan(averages: list) -> int: return stop(averages, bad=lambda x: x == math.inf)

@mistake(stops_at, 'the first loss is infinite and your search goes on: what is not finite ends it, wherever it '
         'stands')
def blind_to_inf(averages: list) -> int: return stop(averages, bad=math.isnan)

@mistake(stops_at, 'no loss ends this search: the answer is the number of losses then, yours is the place of the '
         'last one')
def last_place(averages: list) -> int: return stop(averages, never=lambda a: len(a) - 1)


def _bell(d: Tensor, width: float, half: float = 0.5) -> Tensor: return torch.exp(-half*(d/width)**2)


@exercise
def bell_smooth(answer: Answer) -> None:
    for n, width in [(9, 0.5), (30, 0.3), (2, 1.0)]:
        gaps = 0.1 + torch.rand(n, generator=answer.generator, dtype=torch.float64)*0.3
        lrs = 10**(gaps.cumsum(0) - 6)
        y = torch.rand(n, generator=answer.generator, dtype=torch.float64) + 1
        x = lrs.log10()
        w = _bell(x[None] - x[:, None], width)
        w.tril()
        got = answer(lrs, y, width)
        if isinstance(got, torch.Tensor) and got.shape == y.shape and torch.allclose(got, w @ y):
            wrong(f'all losses lie between {y.min():.2f} and {y.max():.2f}, yours go up to {got.max():.2f}: the '
                  'weights of one place must add up to 1')
        same(got, w @ y/w.sum(1), what='smoothed losses', mistakes=answer.mistakes())


def bell(lrs: Tensor, losses: Tensor, width: float, place: Callable = torch.log10, half: float = 0.5, axis: int = 1,
         mean: bool = True, past: bool = False) -> Tensor:
    x = place(lrs)
    w = torch.exp(-half*((x[None] - x[:, None])/width)**2)
    if past: w = w.tril()
    return (w/w.sum(axis, keepdim=True) if mean else w) @ losses

@mistake(bell_smooth, 'the distance should be counted in powers of ten; yours is the difference of the rates '
         'themselves, and nearly all rates are next to zero')
def raw_distance(lrs: Tensor, losses: Tensor, width: float) -> Tensor:
    return bell(lrs, losses, width, place=lambda r: r)

@mistake(bell_smooth, 'the distance is counted in natural logarithms: a decade is 2.3 of them, so your bell is too '
         'narrow')
def natural_log(lrs: Tensor, losses: Tensor, width: float) -> Tensor: return bell(lrs, losses, width, place=torch.log)

@mistake(bell_smooth, 'the distance is counted in batches: the answer then changes with the number of batches in a '
         'decade')
def by_batch(lrs: Tensor, losses: Tensor, width: float) -> Tensor:
    return bell(lrs, losses, width, place=lambda r: torch.arange(len(r), dtype=r.dtype))

@mistake(bell_smooth, 'your weights add up to 1 over the whole table, all places together: the weights of each '
         'place must add up to 1')
def one_for_the_table(lrs: Tensor, losses: Tensor, width: float) -> Tensor:
    w = torch.exp(-0.5*((lrs.log10()[None] - lrs.log10()[:, None])/width)**2)
    return (w/w.sum()) @ losses

@mistake(bell_smooth, 'the width stands outside of the square: divide the distance by it first, then square')
def width_outside(lrs: Tensor, losses: Tensor, width: float) -> Tensor:
    w = torch.exp(-0.5*(lrs.log10()[None] - lrs.log10()[:, None])**2/width)
    return w @ losses/w.sum(1)

@mistake(bell_smooth, 'your average looks only backwards, at lower rates: that is the lag which this smoothing is '
         'there to avoid')
def only_past(lrs: Tensor, losses: Tensor, width: float) -> Tensor: return bell(lrs, losses, width, past=True)

@mistake(bell_smooth, 'your bell is too narrow: the half in front of the square is missing')
def no_half(lrs: Tensor, losses: Tensor, width: float) -> Tensor: return bell(lrs, losses, width, half=1.)

@mistake(bell_smooth, 'the weights add up to 1 along the wrong axis: the weights that one place gives to all losses '
         'should add up to 1')
def other_axis(lrs: Tensor, losses: Tensor, width: float) -> Tensor: return bell(lrs, losses, width, axis=0)


def _curve(n: int = 150, end: float = 0., fall_at: float = -3.5, fall_width: float = 0.2, rise: float = 1.,
           rise_at: float = -1., slope: float = 5., shift: float = 0.) -> tuple:
    lrs = torch.logspace(-6, end, n, dtype=torch.float64)
    x = lrs.log10()
    wiggle = 0.8*torch.cos(torch.arange(n, dtype=torch.float64)*2.1)*(x < fall_at - 1)
    return lrs, 2 - 1.5*torch.sigmoid((x - fall_at)/fall_width) + rise*10**(slope*(x - rise_at)) + shift + wiggle


def _suggested(lrs: Tensor, losses: Tensor, fifth: int | None = None, third: float = 3., cap: bool = True,
               right: bool = True, share: str = 'fall', level: str = 'mean', late: str = 'last',
               cut: bool = True) -> float:
    bad = (~losses.isfinite()).nonzero()
    n = int(bad[0]) if len(bad) and cut else len(losses)
    lrs, losses = lrs[:n], losses[:n]
    top = {'mean': losses[:fifth or n//5].mean(), 'first': losses[0], 'max': losses.max(), 'all': losses.mean()}[level]
    low = int(losses.argmin())
    goal = losses[low] + {'fall': top - losses[low], 'low': losses[low].abs(), 'level': top.abs(),
                          'near': 4*(top - losses[low])}[share]/5
    begin = low if right else 0
    back = (losses[begin:] >= goal).nonzero()
    climbed = lrs[begin + int(back[0])] if len(back) else lrs[-1 if late == 'last' else low]
    return float(min(climbed/third, lrs[low]) if cap else climbed/third)


@exercise
def suggest_lr(answer: Answer) -> None:
    early, cut, gone, hole = _curve(n=120, slope=1.), _curve(n=170, end=1.), _curve(n=140), _curve(n=140, fall_at=-2.)
    cut[1][130:] = math.nan
    gone[1][131] = math.inf
    hole[1][int(hole[1].argmin()) + 3] = math.inf
    i = torch.arange(200, dtype=torch.float64)
    half = torch.logspace(-6, 0, 200, dtype=torch.float64), torch.where(i < 60, 5 - 4*((i - 16)/44).clamp(min=0),
        1 + 0.11*(i - 60))
    half[1][80:] = math.nan
    for name, (lrs, losses) in {'a curve that falls and climbs': _curve(n=400, fall_at=-2.2, rise=0.3, shift=1.),
                                'another curve that falls and climbs': _curve(fall_at=-2.),
                                'a curve whose lowest point comes early': early,
                                'a curve with fewer points': _curve(n=33, fall_at=-2.),
                                'a curve whose losses are negative': _curve(fall_at=-2.2, shift=-5.),
                                'a curve that ends in nan': cut, 'a curve that is infinite in one place': gone,
                                'a curve that ends before it climbs '
                                'back': _curve(fall_at=-2., rise=0.2, rise_at=0., slope=9.),
                                'a curve that is infinite once before it climbs back': hole,
                                'a curve that ends in nan half-way': half}.items():
        finite = losses.isfinite()
        got = answer(lrs, losses)
        low = int(losses.nan_to_num(math.inf).argmin())
        if isinstance(got, int) and not isinstance(got, bool):
            wrong(f'on {name} your answer is {got}, a whole number: give the rate that stands at that place, not the '
                  'place')
        if isinstance(got, float) and not math.isfinite(got):
            wrong(f'on {name} your rate is {got}: only what comes before the first loss that is not finite counts')
        try: number = float(got)
        except (TypeError, ValueError): number = got
        same(number, _suggested(lrs, losses), what=f'suggestion on {name}',
             mistakes=answer.mistakes(name=name, lowest=float(lrs[low])) | {
            'the fall is measured from the mean of the whole curve: use the mean of its first fifth, before anything '
            'happens': lambda: _suggested(lrs, losses, level='all'),
            **({} if finite.all() else {
                'some losses are not finite, and yours decide the answer: only what comes before the first of them '
                'counts': lambda: _suggested(lrs, losses, cut=False),
                'the first fifth is counted of all points: count it of those before the first loss that is not '
                'finite': lambda: _suggested(lrs, losses, fifth=len(losses)//5),
                'you leave out the losses that are not finite and go on behind them: the curve ends at the first of '
                'them': lambda: _suggested(lrs[finite], losses[finite])}),
        })


def suggest(lrs: Tensor, losses: Tensor, cut: bool = True, level: Callable = lambda y: y[:len(y)//5].mean(),
            goal: Callable = lambda low, level: low + (level - low)/5, begin: Callable = lambda low: low,
            never: int | None = -1, answer: Callable = lambda lrs, low, at: min(lrs[at]/3, lrs[low])) -> float:
    bad = (~losses.isfinite()).nonzero()
    n = int(bad[0]) if cut and len(bad) else len(losses)
    lrs, losses = lrs[:n], losses[:n]
    low = int(losses.argmin())
    first = begin(low)
    back = (losses[first:] >= goal(losses[low], level(losses))).nonzero()
    return float(answer(lrs, low, first + int(back[0]) if len(back) else (low if never is None else never)))

@mistake(suggest_lr, 'your climb is found on the left, before the loss has fallen: begin to look at the lowest point')
def from_the_left(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, begin=lambda low: 0)

@mistake(suggest_lr, 'your rate is where the loss has climbed back already: take a third of it')
def no_third(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, answer=lambda lrs, low, at: lrs[at])

@mistake(suggest_lr, 'your rate is that of the lowest point itself, and a third of the rate of the climb lies below '
         'it here: is the third taken, and is the fall measured from the mean of the first fifth, not from the '
         'highest loss?')
def highest_loss(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, level=lambda y: y.max())

@mistake(suggest_lr, 'on {name} your suggestion lies beyond the lowest point, which is at {lowest:.1e}: it '
         'may never be higher than that')
def no_cap(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, answer=lambda lrs, low, at: lrs[at]/3)

@mistake(suggest_lr, 'your climb is a fifth of the lowest loss: it should be a fifth of the fall, so that adding '
         'the same number to all losses changes nothing')
def fifth_of_lowest(lrs: Tensor, losses: Tensor) -> float:
    return suggest(lrs, losses, goal=lambda low, level: low + low.abs()/5)

@mistake(suggest_lr, 'your climb is a fifth of the level itself: it should be a fifth of the fall, from the level '
         'down to the lowest loss')
def fifth_of_level(lrs: Tensor, losses: Tensor) -> float:
    return suggest(lrs, losses, goal=lambda low, level: low + level/5)

@mistake(suggest_lr, 'your climb is found where only a fifth of the fall is left: the loss should be back up by a '
         'fifth of it, near the bottom')
def nearly_back(lrs: Tensor, losses: Tensor) -> float:
    return suggest(lrs, losses, goal=lambda low, level: level - (level - low)/5)

@mistake(suggest_lr, 'the fall is measured from the very first loss, one noisy number: use the mean of the first '
         'fifth')
def first_loss(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, level=lambda y: y[0])

@mistake(suggest_lr, 'this curve ends before it has climbed back: its last rate counts as the one where it has')
def lowest_without_climb(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, never=None)

@mistake(suggest_lr, 'some losses are not finite, and yours decide the answer: only what comes before the first of '
         'them counts')
def nan_counts(lrs: Tensor, losses: Tensor) -> float: return suggest(lrs, losses, cut=False)

@mistake(suggest_lr, 'the first fifth is counted of all points: count it of those before the first loss that is not '
         'finite')
def fifth_of_all(lrs: Tensor, losses: Tensor) -> float:
    fifth = len(losses)//5
    return suggest(lrs, losses, level=lambda y: y[:fifth].mean())

@mistake(suggest_lr, 'you leave out the losses that are not finite and go on behind them: the curve ends at the '
         'first of them')
def holes_left_out(lrs: Tensor, losses: Tensor) -> float:
    return suggest(lrs[losses.isfinite()], losses[losses.isfinite()])


def _weighed(rates: list, losses: list, power: int = 5, weight: Callable | None = None, mean: str = 'log',
             divide: bool = True) -> float:
    best = min(v for v in losses if math.isfinite(v))
    w = [(weight(best, v) if weight else (best/v)**power) if math.isfinite(v) else 0. for v in losses]
    if mean == 'log': return math.exp(sum(a*math.log(r) for a, r in zip(w, rates))/(sum(w) if divide else len(w)))
    return sum(a*r for a, r in zip(w, rates))/sum(w)


@exercise
def weigh_trials(answer: Answer) -> None:
    for rates, losses in [([0.01, 0.02, 0.04], [0.8, 1.0, 0.9]), ([1e-3, 1e-2, 1e-1, 1.], [0.30, 0.35, 0.33, 1.2]),
                          ([0.1, 0.2, 0.4], [0.5, math.inf, 0.5]), ([0.1, 0.3], [2.0, math.nan]),
                          ([0.1, 0.3, 0.2], [math.nan, 2.0, 1.5]), ([0.05], [3.])]:
        bad = not all(map(math.isfinite, losses))
        expect(not (bad and isinstance(got := answer(rates, losses), float) and not math.isfinite(got)),
               f'of the losses {losses} one is not finite, and so is your rate: a trial that diverged should count '
               'nothing')
        same(answer(rates, losses), _weighed(rates, losses), what=f'rate for the losses {losses}',
             mistakes=answer.mistakes())


def weigh(rates: list, losses: list, ratio: Callable = lambda best, v: (best/v)**5, to: Any = math.log,
          back: Any = math.exp, total: Callable = sum, counts: Callable = math.isfinite) -> float:
    best = min(v for v in losses if math.isfinite(v))
    w = [ratio(best, v) if counts(v) else 0. for v in losses]
    return back(sum(a*to(r) for a, r in zip(w, rates))/total(w))

@mistake(weigh_trials, 'all your trials weigh the same: the better ones should weigh more')
def all_alike(rates: list, losses: list) -> float: return weigh(rates, losses, ratio=lambda best, v: 1.)

@mistake(weigh_trials, 'your worst trial weighs most: the ratio of the losses stands on its head')
def worst_counts_most(rates: list, losses: list) -> float:
    return weigh(rates, losses, ratio=lambda best, v: (v/best)**5)

@mistake(weigh_trials, 'your weights are the plain ratio of the losses; it should be taken to the fifth power')
def plain_ratio(rates: list, losses: list) -> float: return weigh(rates, losses, ratio=lambda best, v: best/v)

@mistake(weigh_trials, 'yours is a mean of the rates themselves, in which the largest one counts most: take the '
         'mean of their logarithms')
def mean_of_rates(rates: list, losses: list) -> float: return weigh(rates, losses, to=float, back=float)

@mistake(weigh_trials, 'the weights do not add up to one: divide by their sum, not by the number of trials')
def by_number(rates: list, losses: list) -> float: return weigh(rates, losses, total=len)

@mistake(weigh_trials, 'yours is the rate of the best trial alone: one lucky trial decides then')
def best_alone(rates: list, losses: list) -> float:
    return rates[losses.index(min(v for v in losses if math.isfinite(v)))]


class _Trainer:
    "A network and its optimizer; a copy of it is itself, so that the check can look at what the answer left behind"
    def __init__(self, trained: bool) -> None:
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), inner, nn.Dropout(0.3), nn.Linear(4, 1))
        self.opt = torch.optim.Adam(self.model.parameters(), 0.02)
        inner[1].eval()  # as when one layer is frozen
        if trained: _steps(self, 2)
    def __deepcopy__(self, memo: dict) -> Any: return self


def _steps(trainer: Any, n: int, lr: float | None = None) -> list:
    losses = []
    for _ in range(n):
        if lr is not None:
            for g in trainer.opt.param_groups: g['lr'] = lr
        trainer.opt.zero_grad()
        loss = trainer.model(torch.randn(8, 3)).square().mean()
        loss.backward()
        trainer.opt.step()
        losses.append(loss.item())
    return losses


class _Broken(RuntimeError): pass


def _searching(trainer: Any, expected: tuple, end: Any = None) -> list:
    if trainer.model is not expected[0] or trainer.opt is not expected[1]:
        wrong('the search was handed another model or optimizer than the trainer had: let it work on the real one')
    losses = _steps(trainer, 4, lr=0.5)
    trainer.model.eval()
    trainer.model[2].train()
    if end is not None: raise end
    return losses


def _state(trainer: Any) -> dict:
    model = trainer.model
    return copy.deepcopy(dict(weights=dict(model.named_parameters()), averages=dict(model.named_buffers()),
                              memory=trainer.opt.state_dict()['state'],
                              rates=[g['lr'] for g in trainer.opt.param_groups],
                              modes=[m.training for m in model.modules()], random=torch.get_rng_state()))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict): return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    return a.equal(b) if isinstance(a, torch.Tensor) else a == b


def _left(before: dict, trainer: Any, objects: tuple, when: str, hint: str) -> None:
    model, opt, params = objects
    expect(trainer.model is model and trainer.opt is opt,
           f'{when} trainer holds another model or optimizer: put the old values back into the same objects, which '
           'others hold too')
    expect(all(p is q for p, q in zip(params, model.parameters())),
           f'{when} the model has new parameters, and the optimizer still moves the old ones: copy the old values into '
           'them instead')
    after = _state(trainer)
    for part, what in [('weights', 'the weights are those that the search has left: ' + hint),
                       ('averages', 'the running averages of batch norm are those of the search: a model holds buffers '
                                    'besides its parameters'),
                       ('memory', 'the optimizer remembers the gradients of the search: its state has to be copied and '
                                  'put back too (the tensors in it are changed in place)'),
                       ('rates', 'the optimizer has the learning rate of the search'),
                       ('modes', 'a layer is in another mode than before (train or eval): layers may differ, so each '
                                 'one\'s own mode has to come back'),
                       ('random', 'the generator of random numbers has moved, so the next batches and dropout will be '
                                  'others')]:
        expect(_equal(before[part], after[part]), f'{when} {what}')


@exercise
def leave_no_trace(answer: Answer) -> None:
    for trained in (True, False):
        trainer = _Trainer(trained)
        objects = trainer.model, trainer.opt, list(trainer.model.parameters())
        before = _state(trainer)
        seen = []
        def search(t: Any) -> list:
            if t is not trainer: wrong('the search was handed something else than `trainer`')
            seen.append(_searching(t, objects))
            return seen[-1]
        got = answer.call(trainer, search)
        expect(len(seen) > 0, 'the search was never called')
        expect(len(seen) == 1, f'the search was called {len(seen)} times: once is enough')
        expect(got is not None, 'your function returned nothing (None): hand on what the search returned')
        same(got, seen[0], what='losses that the search returned')
        _left(before, trainer, objects, 'after a search that ended well',
              'were they written down as copies, or do yours share memory with the model, which changes them in place?')
        for end, when in [(_Broken('out of data'), 'after a search that raised an error'),
                          (KeyboardInterrupt(), 'after a search that was stopped by Ctrl-C (a KeyboardInterrupt is no '
                                                '`Exception`)')]:
            trainer = _Trainer(trained)
            objects = trainer.model, trainer.opt, list(trainer.model.parameters())
            before = _state(trainer)
            fails = lambda t, objects=objects, end=end: _searching(t, objects, end)
            answer.raises(type(end), trainer, fails, why='whoever called must hear that the search has failed')
            _left(before, trainer, objects, when, 'what comes after the search is skipped when it ends so; is there a '
                                                  'way that is taken at every end?')
