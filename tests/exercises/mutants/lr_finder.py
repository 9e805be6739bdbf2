"Plausible wrong answers to the exercises of the chapter on the learning-rate finder, each with the words its message must hold"
import copy
import math

import torch

from . import mutant


@mutant('equal_factors', says='equal amounts')
def added(start, end, n): return torch.linspace(start, end, n)

@mutant('equal_factors', says='one step below')
def stops_short(start, end, n): return start*(end/start)**(torch.arange(n)/n)

@mutant('equal_factors', says='already one step above')
def begins_late(start, end, n): return start*(end/start)**(torch.arange(1, n + 1)/n)

@mutant('equal_factors', says='both ends count among them')
def one_too_many(start, end, n): return start*(end/start)**(torch.arange(n + 1)/n)

@mutant('equal_factors', says='factor of ten whatever')
def always_tenfold(start, end, n): return start*10.**torch.arange(n)

@mutant('equal_factors', says='takes exponents')
def logspace_of_rates(start, end, n): return torch.logspace(start, end, n)

@mutant('equal_factors', says='go down')
def downwards(start, end, n): return end*(start/end)**(torch.arange(n)/(n - 1))


def averages(losses, beta, start=0., correct=True, swap=False):
    avg, out = start, []
    keep, new = (1 - beta, beta) if swap else (beta, 1 - beta)
    for t, loss in enumerate(losses, 1):
        avg = keep*avg + new*loss
        out.append(avg/(1 - beta**t) if correct else avg)
    return torch.stack(out)

@mutant('corrected_average', says='not given back')
def uncorrected(losses, beta): return averages(losses, beta, correct=False)

@mutant('corrected_average', says='changed places')
def swapped(losses, beta): return averages(losses, beta, swap=True)

@mutant('corrected_average', says='as if it had been the average for ever')
def from_first_loss(losses, beta): return averages(losses, beta, losses[0], correct=False)

@mutant('corrected_average', says='t counted from 0')
def t_from_zero(losses, beta):
    avg, out = 0., []
    for t, loss in enumerate(losses):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta**t))
    return torch.stack(out)

@mutant('corrected_average', says='goes on into the next average')
def fed_back(losses, beta):
    avg, out = 0., []
    for t, loss in enumerate(losses, 1):
        avg = (beta*avg + (1 - beta)*loss)/(1 - beta**t)
        out.append(avg)
    return torch.stack(out)

@mutant('corrected_average', says='beta times t')
def product_for_power(losses, beta):
    avg, out = 0., []
    for t, loss in enumerate(losses, 1):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta*t))
    return torch.stack(out)

@mutant('corrected_average', says='one number')
def last_only(losses, beta): return averages(losses, beta)[-1]

@mutant('corrected_average', says='in place')
def overwritten(losses, beta):
    for t in range(1, len(losses)): losses[t] = beta*losses[t - 1] + (1 - beta)*losses[t]
    return losses


def stop(averages, best=lambda seen, all_: min(seen), limit=lambda b: b + 3*abs(b), beyond=lambda x, l: x > l, bad=lambda x: not math.isfinite(x), never=len, plus=0):
    for i, x in enumerate(averages):
        if bad(x) or beyond(x, limit(best(averages[:i + 1], averages))): return i + plus
    return never(averages)

@mutant('stops_at', says='size')
def four_times_best(averages): return stop(averages, limit=lambda b: 4*b)

@mutant('stops_at', says='looks ahead')
def best_of_all(averages): return stop(averages, best=lambda seen, all_: min(all_))

@mutant('stops_at', says='not with the first')
def against_first(averages): return stop(averages, best=lambda seen, all_: seen[0])

@mutant('stops_at', says='not with the one before')
def against_previous(averages): return stop(averages, best=lambda seen, all_: seen[-2] if len(seen) > 1 else seen[-1])

@mutant('stops_at', says='nan')
def blind_to_nan(averages): return stop(averages, bad=lambda x: x == math.inf)

@mutant('stops_at', says='infinite')
def blind_to_inf(averages): return stop(averages, bad=math.isnan)

@mutant('stops_at', says='exactly three times')
def at_the_limit(averages): return stop(averages, beyond=lambda x, l: x >= l and l != 0)

@mutant('stops_at', says='place of the last one')
def last_place(averages): return stop(averages, never=lambda a: len(a) - 1)

@mutant('stops_at', says='`return` missing')
def falls_through(averages): return stop(averages, never=lambda a: None)

@mutant('stops_at', says='counted from 0')
def one_too_high(averages): return stop(averages, plus=1)


def bell(lrs, losses, width, place=torch.log10, half=0.5, axis=1, mean=True, past=False):
    x = place(lrs)
    w = torch.exp(-half*((x[None] - x[:, None])/width)**2)
    if past: w = w.tril()
    return (w/w.sum(axis, keepdim=True) if mean else w) @ losses

@mutant('bell_smooth', says='rates themselves')
def raw_distance(lrs, losses, width): return bell(lrs, losses, width, place=lambda r: r)

@mutant('bell_smooth', says='natural logarithms')
def natural_log(lrs, losses, width): return bell(lrs, losses, width, place=torch.log)

@mutant('bell_smooth', says='counted in batches')
def by_batch(lrs, losses, width): return bell(lrs, losses, width, place=lambda r: torch.arange(len(r), dtype=r.dtype))

@mutant('bell_smooth', says='backwards')
def only_past(lrs, losses, width): return bell(lrs, losses, width, past=True)

@mutant('bell_smooth', says='half')
def no_half(lrs, losses, width): return bell(lrs, losses, width, half=1.)

@mutant('bell_smooth', says='wrong axis')
def other_axis(lrs, losses, width): return bell(lrs, losses, width, axis=0)

@mutant('bell_smooth', says='add up to 1')
def summed(lrs, losses, width): return bell(lrs, losses, width, mean=False)


def suggest(lrs, losses, cut=True, level=lambda y: y[:len(y)//5].mean(), goal=lambda low, level: low + (level - low)/5, begin=lambda low: low, never=-1, answer=lambda lrs, low, at: min(lrs[at]/3, lrs[low])):
    bad = (~losses.isfinite()).nonzero()
    n = int(bad[0]) if cut and len(bad) else len(losses)
    lrs, losses = lrs[:n], losses[:n]
    low = int(losses.argmin())
    first = begin(low)
    back = (losses[first:] >= goal(losses[low], level(losses))).nonzero()
    return float(answer(lrs, low, first + int(back[0]) if len(back) else (low if never is None else never)))

@mutant('suggest_lr', says='on the left')
def from_the_left(lrs, losses): return suggest(lrs, losses, begin=lambda low: 0)

@mutant('suggest_lr', says='take a third of it')
def no_third(lrs, losses): return suggest(lrs, losses, answer=lambda lrs, low, at: lrs[at])

@mutant('suggest_lr', says='beyond the lowest point')
def no_cap(lrs, losses): return suggest(lrs, losses, answer=lambda lrs, low, at: lrs[at]/3)

@mutant('suggest_lr', says='fifth of the lowest loss')
def fifth_of_lowest(lrs, losses): return suggest(lrs, losses, goal=lambda low, level: low + low.abs()/5)

@mutant('suggest_lr', says='very first loss')
def first_loss(lrs, losses): return suggest(lrs, losses, level=lambda y: y[0])

@mutant('suggest_lr', says='mean of the first fifth, not from the highest')
def highest_loss(lrs, losses): return suggest(lrs, losses, level=lambda y: y.max())

@mutant('suggest_lr', says='not finite')
def nan_counts(lrs, losses): return suggest(lrs, losses, cut=False)

@mutant('suggest_lr', says='last rate counts')
def lowest_without_climb(lrs, losses): return suggest(lrs, losses, never=None)

@mutant('suggest_lr', says='not the place')
def a_place(lrs, losses): return int(losses.nan_to_num(math.inf).argmin())

@mutant('suggest_lr', says='suggestion on')
def tenth_of_minimum(lrs, losses): return float(lrs[losses.nan_to_num(math.inf).argmin()]/10)


def weigh(rates, losses, ratio=lambda best, v: (best/v)**5, to=math.log, back=math.exp, total=sum, counts=math.isfinite):
    best = min(v for v in losses if math.isfinite(v))
    w = [ratio(best, v) if counts(v) else 0. for v in losses]
    return back(sum(a*to(r) for a, r in zip(w, rates))/total(w))

@mutant('weigh_trials', says='weigh the same')
def all_alike(rates, losses): return weigh(rates, losses, ratio=lambda best, v: 1.)

@mutant('weigh_trials', says='stands on its head')
def worst_counts_most(rates, losses): return weigh(rates, losses, ratio=lambda best, v: (v/best)**5)

@mutant('weigh_trials', says='fifth power')
def plain_ratio(rates, losses): return weigh(rates, losses, ratio=lambda best, v: best/v)

@mutant('weigh_trials', says='logarithms')
def mean_of_rates(rates, losses): return weigh(rates, losses, to=float, back=float)

@mutant('weigh_trials', says='add up to one')
def by_number(rates, losses): return weigh(rates, losses, total=len)

@mutant('weigh_trials', says='lucky')
def best_alone(rates, losses): return rates[losses.index(min(v for v in losses if math.isfinite(v)))]

@mutant('weigh_trials', says='not finite')
def nan_weighs(rates, losses): return weigh(rates, losses, counts=lambda v: True)


def keep(trainer, weights=True, buffers=True, memory=True, modes=True, random=True):
    "Write down parts of the trainer; return what puts them back"
    model, opt = trainer.model, trainer.opt
    saved, remembered = copy.deepcopy((model.state_dict(), opt.state_dict()))
    kept, state = [m.training for m in model.modules()], torch.get_rng_state()
    def put():
        if weights and buffers: model.load_state_dict(saved)
        elif weights:
            with torch.no_grad():
                for n, p in model.named_parameters(): p.copy_(saved[n])
        if memory: opt.load_state_dict(remembered)
        if modes:
            for m, training in zip(model.modules(), kept): m.training = training
        if random: torch.set_rng_state(state)
    return put

def tried(trainer, search, **kwargs):
    put = keep(trainer, **kwargs)
    try: return search(trainer)
    finally: put()

@mutant('leave_no_trace', says='share memory')
def not_copied(trainer, search):
    put, saved = keep(trainer, weights=False), trainer.model.state_dict()
    try: return search(trainer)
    finally:
        trainer.model.load_state_dict(saved)
        put()

@mutant('leave_no_trace', says='raised an error the weights.*skipped')
def only_when_all_went_well(trainer, search):
    put = keep(trainer)
    found = search(trainer)
    put()
    return found

@mutant('leave_no_trace', says='Ctrl-C.*skipped')
def only_exceptions(trainer, search):
    put = keep(trainer)
    try: found = search(trainer)
    except Exception:
        put()
        raise
    put()
    return found

@mutant('leave_no_trace', says='must hear')
def swallowed(trainer, search):
    put = keep(trainer)
    found = []
    try: found = search(trainer)
    except BaseException: pass
    put()
    return found

@mutant('leave_no_trace', says='buffers')
def parameters_only(trainer, search): return tried(trainer, search, buffers=False)

@mutant('leave_no_trace', says='optimizer remembers')
def no_memory(trainer, search): return tried(trainer, search, memory=False)

@mutant('leave_no_trace', says='optimizer remembers')
def memory_not_copied(trainer, search):
    put, remembered = keep(trainer, memory=False), trainer.opt.state_dict()
    try: return search(trainer)
    finally:
        trainer.opt.load_state_dict(remembered)
        put()

@mutant('leave_no_trace', says='another mode')
def all_to_train(trainer, search):
    put = keep(trainer, modes=False)
    try: return search(trainer)
    finally:
        trainer.model.train()
        put()

@mutant('leave_no_trace', says='random numbers')
def moved_generator(trainer, search): return tried(trainer, search, random=False)

@mutant('leave_no_trace', says='same objects')
def model_replaced(trainer, search):
    put, old = keep(trainer, weights=False), copy.deepcopy(trainer.model)
    try: return search(trainer)
    finally:
        put()
        trainer.model = old

@mutant('leave_no_trace', says='new parameters')
def parameters_replaced(trainer, search):
    put, old = keep(trainer, weights=False), copy.deepcopy(dict(trainer.model.named_modules()))
    try: return search(trainer)
    finally:
        put()
        for name, m in trainer.model.named_modules(): m._parameters.update(old[name]._parameters); m._buffers.update(old[name]._buffers)

@mutant('leave_no_trace', says='hand on')
def forgets_result(trainer, search): tried(trainer, search)

@mutant('leave_no_trace', says='work on the real one')
def search_on_a_copy(trainer, search):
    model = trainer.model
    trainer.model = copy.deepcopy(model)
    try: return search(trainer)
    finally: trainer.model = model


@mutant('corrected_average', says='lags by one')
def corrected_one_late(losses, beta):
    avg, out = 0., []
    for t, loss in enumerate(losses.tolist()):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta**t) if t else loss)
    return torch.tensor(out)

@mutant('bell_smooth', says='whole table')
def one_for_the_table(lrs, losses, width):
    w = torch.exp(-0.5*((lrs.log10()[None] - lrs.log10()[:, None])/width)**2)
    return (w/w.sum()) @ losses

@mutant('bell_smooth', says='outside of the square')
def width_outside(lrs, losses, width):
    w = torch.exp(-0.5*(lrs.log10()[None] - lrs.log10()[:, None])**2/width)
    return w @ losses/w.sum(1)

@mutant('suggest_lr', says='fifth of the level itself')
def fifth_of_level(lrs, losses): return suggest(lrs, losses, goal=lambda low, level: low + level/5)

@mutant('suggest_lr', says='go on behind them')
def holes_left_out(lrs, losses): return suggest(lrs[losses.isfinite()], losses[losses.isfinite()])

@mutant('weigh_trials', says='not finite')
def best_may_be_nan(rates, losses):
    w = [(min(losses)/v)**5 if math.isfinite(v) else 0. for v in losses]
    return math.exp(sum(a*math.log(r) for a, r in zip(w, rates))/sum(w))

@mutant('corrected_average', says='plain mean of all losses')
def plain_mean(losses, beta): return losses.cumsum(0)/torch.arange(1, len(losses) + 1)

@mutant('suggest_lr', says='fifth of the fall is left')
def nearly_back(lrs, losses): return suggest(lrs, losses, goal=lambda low, level: level - (level - low)/5)

@mutant('suggest_lr', says='counted of all points')
def fifth_of_all(lrs, losses):
    fifth = len(losses)//5
    return suggest(lrs, losses, level=lambda y: y[:fifth].mean())
