"What the exercises of the chapter on the learning-rate finder are held against"
import copy
import math

import torch
from torch import nn

from course_lib.exercises import exercise, expect, same, wrong
from course_lib.lr_finder import moving_average


@exercise
def equal_factors(answer):
    for start, end, n in [(1e-4, 1., 5), (1e-7, 10., 24), (0.5, 2., 2), (1e-3, 3e-3, 7)]:
        i = torch.arange(n)
        got = answer(start, end, n)
        if isinstance(got, torch.Tensor) and got.ndim == 1 and len(got) == n + 1:
            wrong(f'{n} rates are asked for and yours are {n + 1}: both ends count among them, so there is one step fewer than there are rates')
        same(got, start*(end/start)**(i/(n - 1)), what='rates', atol=0, mistakes={
            'your rates grow by equal amounts; they should grow by equal factors, so that every power of ten gets as many': torch.linspace(start, end, n),
            f'your last rate stays one step below {end:g}: n rates with both ends have n - 1 steps between them': lambda: start*(end/start)**(i/n),
            f'your first rate is already one step above {start:g}: the first one has made no step yet': lambda: start*(end/start)**((i + 1)/n),
            f'yours grow by a factor of ten whatever the end is, and do not arrive at {end:g}: the factor follows from start, end and n': lambda: start*10.**i,
            'your rates are ten to the power of what they should go from and to: `logspace` takes exponents, not rates': lambda: torch.logspace(start, end, n),
            'yours go down from the end to the start: the search begins with the smallest rate': lambda: end*(start/end)**(i/(n - 1)),
        })


def _average(losses, beta, start=0., keep=None, correct=lambda avg, beta, t: avg/(1 - beta**t), fed_back=False, new=None):
    avg, out = start, []
    for t, loss in enumerate(losses.tolist(), 1):
        avg = (beta if keep is None else keep)*avg + (1 - beta if new is None else new)*loss
        shown = correct(avg, beta, t)
        out.append(shown)
        if fed_back: avg = shown
    return torch.tensor(out)


@exercise
def corrected_average(answer):
    for n, beta in [(5, 0.9), (40, 0.98), (1, 0.5), (3, 0.)]:
        x = 2 + torch.rand(n, generator=answer.generator)
        late = x[0].item()
        plain = lambda avg, beta, t: avg
        got = answer(x, beta)
        if isinstance(got, torch.Tensor) and n > 1 and got.numel() == 1: wrong('your function gives one number: it should give the average after every loss')
        if isinstance(got, torch.Tensor) and got.shape == x.shape and got[0].isinf():
            wrong(f'the first of your averages is {got[0].item()}: with t counted from 0 the first one is divided by 1 - beta**0, which is nothing')
        same(got, moving_average(x, beta).float(), what='averages', rtol=1e-3, mistakes={
            f'your first average is {(1 - beta)*late:.3g} where the only loss so far is {late:.3g}: the share that went to the made-up zero is not given back': lambda: _average(x, beta, correct=plain),
            'the corrected value goes on into the next average: keep the uncorrected one for the recurrence and correct only what you write down': lambda: _average(x, beta, fed_back=True),
            'beta and 1 - beta have changed places: beta is the share of the old average, so a large beta smooths much': lambda: _average(x, beta, keep=1 - beta, new=beta),
            'beta and 1 - beta have changed places, in the average and in its correction: a large beta should smooth much': lambda: _average(x, beta, keep=1 - beta, new=beta, correct=lambda a, b, t: a/(1 - (1 - b)**t) if b else math.nan),
            'yours begins with the first loss as if it had been the average for ever: that gives one noisy loss the weight of many. Begin with zero and correct': lambda: _average(x, beta, start=late, correct=plain),
            'yours is the plain mean of all losses so far, in which beta has no say: an old loss should count less than a new one': lambda: x.cumsum(0)/torch.arange(1, n + 1),
            'after the first loss your correction lags by one: divide the average after t losses by 1 minus beta to the power of t, not of t - 1': lambda: _average(x, beta, correct=lambda a, b, t: a/(1 - b**max(t - 1, 1)) if t > 1 else a/(1 - b)),
            'the share that real losses got is 1 minus beta to the power of t; yours takes beta times t': lambda: _average(x, beta, correct=lambda a, b, t: a/(1 - b*t) if b*t != 1 else math.inf),
        })


@exercise
def stops_at(answer):
    nan, inf = math.nan, math.inf
    for averages, want, mistakes in [
        ([1.0, 0.5, 0.4, 1.7, 0.3], 3, {
            'your search goes on where the loss is 1.7 and the best was 0.4: compare with the best so far, not with the first': 5,
            'your answer is one too high: give the place of the loss that ends the search, counted from 0': 4}),
        ([8.0, 3.0, 0.5, 0.6, 2.7], 4, {
            'your search ends at once although the loss only falls: the best *so far* counts, and yours looks ahead at losses that have not come yet': 0}),
        ([2.0, 1.0, 2.5, 3.9, 4.5], 4, {'the loss climbs slowly, from one to the next never threefold, and your search never ends: compare with the best so far, not with the one before': 5}),
        ([1.0, 4.0, 4.1], 2, {'a loss of exactly three times the best above the best does not end it yet, only one beyond does': 1}),
        ([-1.0, -2.0, -1.9, 3.9, 4.1], 4, {}),
        ([1.0, 0.5, nan, 0.4], 2, {'a loss that is nan is not greater than anything, so a comparison alone never sees it: ask for it': 4}),
        ([inf, 1.0], 0, {'the first loss is infinite and your search goes on: what is not finite ends it, wherever it stands': 2}),
        ([1.0, 0.9, 0.8], 3, {'no loss ends this search: the answer is the number of losses then, yours is the place of the last one': 2,
                              'no loss ends this search: the answer is the number of losses then': -1}),
        ([5.0], 1, {}),
    ]:
        got = answer.call(averages)
        expect(got is not None, f'your function returned nothing for {averages}: is a `return` missing for the case that no loss ends the search?')
        if min(averages) < 0 and got in range(want):
            wrong(f'with a negative best your search ends at place {got} of {averages}, too soon: your limit lies below the best itself. Measure three times the *size* of the best')
        same(got, want, what=f'place where {averages} ends', mistakes=mistakes)


def _bell(d, width, half=0.5): return torch.exp(-half*(d/width)**2)


@exercise
def bell_smooth(answer):
    for n, width in [(9, 0.5), (30, 0.3), (2, 1.0)]:
        gaps = 0.1 + torch.rand(n, generator=answer.generator, dtype=torch.float64)*0.3
        lrs = 10**(gaps.cumsum(0) - 6)
        y = torch.rand(n, generator=answer.generator, dtype=torch.float64) + 1
        x, i = lrs.log10(), torch.arange(n, dtype=torch.float64)
        w = _bell(x[None] - x[:, None], width)
        past = w.tril()
        got = answer(lrs, y, width)
        if isinstance(got, torch.Tensor) and got.shape == y.shape and torch.allclose(got, w @ y):
            wrong(f'all losses lie between {y.min():.2f} and {y.max():.2f}, yours go up to {got.max():.2f}: the weights of one place must add up to 1')
        same(got, w @ y/w.sum(1), what='smoothed losses', mistakes={
            'the distance should be counted in powers of ten; yours is the difference of the rates themselves, and nearly all rates are next to zero': lambda: (lambda v: v @ y/v.sum(1))(_bell(lrs[None] - lrs[:, None], width)),
            'the distance is counted in natural logarithms: a decade is 2.3 of them, so your bell is too narrow': lambda: (lambda v: v @ y/v.sum(1))(_bell((x[None] - x[:, None])*math.log(10), width)),
            'the distance is counted in batches: the answer then changes with the number of batches in a decade': lambda: (lambda v: v @ y/v.sum(1))(_bell(i[None] - i[:, None], width)),
            'your weights add up to 1 over the whole table, all places together: the weights of each place must add up to 1': lambda: (w/w.sum()) @ y,
            'the width stands outside of the square: divide the distance by it first, then square': lambda: (lambda v: v @ y/v.sum(1))(_bell(x[None] - x[:, None], width**0.5)),
            'your average looks only backwards, at lower rates: that is the lag which this smoothing is there to avoid': lambda: past @ y/past.sum(1),
            'your bell is too narrow: the half in front of the square is missing': lambda: (lambda v: v @ y/v.sum(1))(_bell(x[None] - x[:, None], width, 1.)),
            'the weights add up to 1 along the wrong axis: the weights that one place gives to all losses should add up to 1': lambda: (w/w.sum(0, keepdim=True)) @ y,
        })


def _curve(n=150, end=0., fall_at=-3.5, fall_width=0.2, rise=1., rise_at=-1., slope=5., shift=0.):
    lrs = torch.logspace(-6, end, n, dtype=torch.float64)
    x = lrs.log10()
    wiggle = 0.8*torch.cos(torch.arange(n, dtype=torch.float64)*2.1)*(x < fall_at - 1)
    return lrs, 2 - 1.5*torch.sigmoid((x - fall_at)/fall_width) + rise*10**(slope*(x - rise_at)) + shift + wiggle


def _suggested(lrs, losses, fifth=None, third=3., cap=True, right=True, share='fall', level='mean', late='last', cut=True):
    bad = (~losses.isfinite()).nonzero()
    n = int(bad[0]) if len(bad) and cut else len(losses)
    lrs, losses = lrs[:n], losses[:n]
    top = {'mean': losses[:fifth or n//5].mean(), 'first': losses[0], 'max': losses.max(), 'all': losses.mean()}[level]
    low = int(losses.argmin())
    goal = losses[low] + {'fall': top - losses[low], 'low': losses[low].abs(), 'level': top.abs(), 'near': 4*(top - losses[low])}[share]/5
    begin = low if right else 0
    back = (losses[begin:] >= goal).nonzero()
    climbed = lrs[begin + int(back[0])] if len(back) else lrs[-1 if late == 'last' else low]
    return float(min(climbed/third, lrs[low]) if cap else climbed/third)


@exercise
def suggest_lr(answer):
    early, cut, gone, hole = _curve(n=120, slope=1.), _curve(n=170, end=1.), _curve(n=140), _curve(n=140, fall_at=-2.)
    cut[1][130:] = math.nan
    gone[1][131] = math.inf
    hole[1][int(hole[1].argmin()) + 3] = math.inf
    i = torch.arange(200, dtype=torch.float64)
    half = torch.logspace(-6, 0, 200, dtype=torch.float64), torch.where(i < 60, 5 - 4*((i - 16)/44).clamp(min=0), 1 + 0.11*(i - 60))
    half[1][80:] = math.nan
    for name, (lrs, losses) in {'a curve that falls and climbs': _curve(n=400, fall_at=-2.2, rise=0.3, shift=1.), 'another curve that falls and climbs': _curve(fall_at=-2.), 'a curve whose lowest point comes early': early, 'a curve with fewer points': _curve(n=33, fall_at=-2.),
                                'a curve whose losses are negative': _curve(fall_at=-2.2, shift=-5.), 'a curve that ends in nan': cut, 'a curve that is infinite in one place': gone,
                                'a curve that ends before it climbs back': _curve(fall_at=-2., rise=0.2, rise_at=0., slope=9.),
                                'a curve that is infinite once before it climbs back': hole, 'a curve that ends in nan half-way': half}.items():
        finite = losses.isfinite()
        got = answer(lrs, losses)
        low = int(losses.nan_to_num(math.inf).argmin())
        if isinstance(got, int) and not isinstance(got, bool): wrong(f'on {name} your answer is {got}, a whole number: give the rate that stands at that place, not the place')
        if isinstance(got, float) and not math.isfinite(got): wrong(f'on {name} your rate is {got}: only what comes before the first loss that is not finite counts')
        try: number = float(got)
        except (TypeError, ValueError): number = got
        same(number, _suggested(lrs, losses), what=f'suggestion on {name}', mistakes={
            'your climb is found on the left, before the loss has fallen: begin to look at the lowest point': lambda: _suggested(lrs, losses, right=False),
            'your rate is where the loss has climbed back already: take a third of it': lambda: _suggested(lrs, losses, third=1., cap=False),
            'your rate is that of the lowest point itself, and a third of the rate of the climb lies below it here: is the third taken, and is the fall measured from the mean of the first fifth, not from the highest loss?': lambda: _suggested(lrs, losses, third=1.),
            f'on {name} your suggestion lies beyond the lowest point, which is at {float(lrs[low]):.1e}: it may never be higher than that': lambda: _suggested(lrs, losses, cap=False),
            'your climb is a fifth of the lowest loss: it should be a fifth of the fall, so that adding the same number to all losses changes nothing': lambda: _suggested(lrs, losses, share='low'),
            'your climb is a fifth of the level itself: it should be a fifth of the fall, from the level down to the lowest loss': lambda: _suggested(lrs, losses, share='level'),
            'your climb is found where only a fifth of the fall is left: the loss should be back up by a fifth of it, near the bottom': lambda: _suggested(lrs, losses, share='near'),
            'the fall is measured from the very first loss, one noisy number: use the mean of the first fifth': lambda: _suggested(lrs, losses, level='first'),
            'the fall is measured from the mean of the whole curve: use the mean of its first fifth, before anything happens': lambda: _suggested(lrs, losses, level='all'),
            'this curve ends before it has climbed back: its last rate counts as the one where it has': lambda: _suggested(lrs, losses, late='low'),
            **({} if finite.all() else {
                'some losses are not finite, and yours decide the answer: only what comes before the first of them counts': lambda: _suggested(lrs, losses, cut=False),
                'the first fifth is counted of all points: count it of those before the first loss that is not finite': lambda: _suggested(lrs, losses, fifth=len(losses)//5),
                'you leave out the losses that are not finite and go on behind them: the curve ends at the first of them': lambda: _suggested(lrs[finite], losses[finite])}),
        })


def _weighed(rates, losses, power=5, weight=None, mean='log', divide=True):
    best = min(v for v in losses if math.isfinite(v))
    w = [(weight(best, v) if weight else (best/v)**power) if math.isfinite(v) else 0. for v in losses]
    if mean == 'log': return math.exp(sum(a*math.log(r) for a, r in zip(w, rates))/(sum(w) if divide else len(w)))
    return sum(a*r for a, r in zip(w, rates))/sum(w)


@exercise
def weigh_trials(answer):
    for rates, losses in [([0.01, 0.02, 0.04], [0.8, 1.0, 0.9]), ([1e-3, 1e-2, 1e-1, 1.], [0.30, 0.35, 0.33, 1.2]), ([0.1, 0.2, 0.4], [0.5, math.inf, 0.5]), ([0.1, 0.3], [2.0, math.nan]), ([0.1, 0.3, 0.2], [math.nan, 2.0, 1.5]), ([0.05], [3.])]:
        bad = not all(map(math.isfinite, losses))
        expect(not (bad and isinstance(got := answer(rates, losses), float) and not math.isfinite(got)), f'of the losses {losses} one is not finite, and so is your rate: a trial that diverged should count nothing')
        same(answer(rates, losses), _weighed(rates, losses), what=f'rate for the losses {losses}', mistakes={
            'all your trials weigh the same: the better ones should weigh more': lambda: _weighed(rates, losses, 0),
            'your worst trial weighs most: the ratio of the losses stands on its head': lambda: _weighed(rates, losses, weight=lambda b, v: (v/b)**5),
            'your weights are the plain ratio of the losses; it should be taken to the fifth power': lambda: _weighed(rates, losses, 1),
            'yours is a mean of the rates themselves, in which the largest one counts most: take the mean of their logarithms': lambda: _weighed(rates, losses, mean='plain'),
            'the weights do not add up to one: divide by their sum, not by the number of trials': lambda: _weighed(rates, losses, divide=False),
            'yours is the rate of the best trial alone: one lucky trial decides then': lambda: rates[min((i for i in range(len(rates)) if math.isfinite(losses[i])), key=lambda i: losses[i])],
        })


class _Trainer:
    "A network and its optimizer; a copy of it is itself, so that the check can look at what the answer left behind"
    def __init__(self, trained):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Dropout(0.3), nn.Linear(4, 1))
        self.opt = torch.optim.Adam(self.model.parameters(), 0.02)
        self.model[2][1].eval()  # as when one layer is frozen
        if trained: _steps(self, 2)
    def __deepcopy__(self, memo): return self


def _steps(trainer, n, lr=None):
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


def _searching(trainer, expected, end=None):
    if trainer.model is not expected[0] or trainer.opt is not expected[1]: wrong('the search was handed another model or optimizer than the trainer had: let it work on the real one')
    losses = _steps(trainer, 4, lr=0.5)
    trainer.model.eval()
    trainer.model[2].train()
    if end is not None: raise end
    return losses


def _state(trainer):
    model = trainer.model
    return copy.deepcopy(dict(weights=dict(model.named_parameters()), averages=dict(model.named_buffers()), memory=trainer.opt.state_dict()['state'],
                              rates=[g['lr'] for g in trainer.opt.param_groups], modes=[m.training for m in model.modules()], random=torch.get_rng_state()))


def _equal(a, b):
    if isinstance(a, dict): return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    return a.equal(b) if isinstance(a, torch.Tensor) else a == b


def _left(before, trainer, objects, when, hint):
    model, opt, params = objects
    expect(trainer.model is model and trainer.opt is opt, f'{when} trainer holds another model or optimizer: put the old values back into the same objects, which others hold too')
    expect(all(p is q for p, q in zip(params, model.parameters())), f'{when} the model has new parameters, and the optimizer still moves the old ones: copy the old values into them instead')
    after = _state(trainer)
    for part, what in [('weights', 'the weights are those that the search has left: ' + hint),
                       ('averages', 'the running averages of batch norm are those of the search: a model holds buffers besides its parameters'),
                       ('memory', 'the optimizer remembers the gradients of the search: its state has to be copied and put back too (the tensors in it are changed in place)'),
                       ('rates', 'the optimizer has the learning rate of the search'),
                       ('modes', 'a layer is in another mode than before (train or eval): layers may differ, so each one\'s own mode has to come back'),
                       ('random', 'the generator of random numbers has moved, so the next batches and dropout will be others')]:
        expect(_equal(before[part], after[part]), f'{when} {what}')


@exercise
def leave_no_trace(answer):
    for trained in (True, False):
        trainer = _Trainer(trained)
        objects = trainer.model, trainer.opt, list(trainer.model.parameters())
        before = _state(trainer)
        seen = []
        def search(t):
            if t is not trainer: wrong('the search was handed something else than `trainer`')
            seen.append(_searching(t, objects))
            return seen[-1]
        got = answer.call(trainer, search)
        expect(seen, 'the search was never called')
        expect(len(seen) == 1, f'the search was called {len(seen)} times: once is enough')
        expect(got is not None, 'your function returned nothing (None): hand on what the search returned')
        same(got, seen[0], what='losses that the search returned')
        _left(before, trainer, objects, 'after a search that ended well', 'were they written down as copies, or do yours share memory with the model, which changes them in place?')
        for end, when in [(_Broken('out of data'), 'after a search that raised an error'), (KeyboardInterrupt(), 'after a search that was stopped by Ctrl-C (a KeyboardInterrupt is no `Exception`)')]:
            trainer = _Trainer(trained)
            objects = trainer.model, trainer.opt, list(trainer.model.parameters())
            before = _state(trainer)
            fails = lambda t, objects=objects, end=end: _searching(t, objects, end)
            answer.raises(type(end), trainer, fails, why='whoever called must hear that the search has failed')
            _left(before, trainer, objects, when, 'what comes after the search is skipped when it ends so; is there a way that is taken at every end?')
