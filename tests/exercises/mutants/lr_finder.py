"Wrong answers to the exercises on the learning-rate finder, each with the words its message must hold"
import copy
import math

import torch

from . import mutant


@mutant('equal_factors', says='both ends count among them')
def one_too_many(start, end, n): return start*(end/start)**(torch.arange(n + 1)/n)


def averages(losses, beta, start=0., correct=True, swap=False):
    avg, out = start, []
    keep, new = (1 - beta, beta) if swap else (beta, 1 - beta)
    for t, loss in enumerate(losses, 1):
        avg = keep*avg + new*loss
        out.append(avg/(1 - beta**t) if correct else avg)
    return torch.stack(out)


@mutant('corrected_average', says='t counted from 0')
def t_from_zero(losses, beta):
    avg, out = 0., []
    for t, loss in enumerate(losses):
        avg = beta*avg + (1 - beta)*loss
        out.append(avg/(1 - beta**t))
    return torch.stack(out)


@mutant('corrected_average', says='one number')
def last_only(losses, beta): return averages(losses, beta)[-1]

@mutant('corrected_average', says='in place')
def overwritten(losses, beta):
    for t in range(1, len(losses)): losses[t] = beta*losses[t - 1] + (1 - beta)*losses[t]
    return losses


def stop(averages, best=lambda seen, all_: min(seen), limit=lambda b: b + 3*abs(b), beyond=lambda x, l: x > l,
         bad=lambda x: not math.isfinite(x), never=len, plus=0):
    for i, x in enumerate(averages):
        if bad(x) or beyond(x, limit(best(averages[:i + 1], averages))): return i + plus
    return never(averages)

@mutant('stops_at', says='size')
def four_times_best(averages): return stop(averages, limit=lambda b: 4*b)


@mutant('stops_at', says='`return` missing')
def falls_through(averages): return stop(averages, never=lambda a: None)


def bell(lrs, losses, width, place=torch.log10, half=0.5, axis=1, mean=True, past=False):
    x = place(lrs)
    w = torch.exp(-half*((x[None] - x[:, None])/width)**2)
    if past: w = w.tril()
    return (w/w.sum(axis, keepdim=True) if mean else w) @ losses


@mutant('bell_smooth', says='add up to 1')
def summed(lrs, losses, width): return bell(lrs, losses, width, mean=False)


@mutant('suggest_lr', says='not the place')
def a_place(lrs, losses): return int(losses.nan_to_num(math.inf).argmin())

@mutant('suggest_lr', says='suggestion on')
def tenth_of_minimum(lrs, losses): return float(lrs[losses.nan_to_num(math.inf).argmin()]/10)


def weigh(rates, losses, ratio=lambda best, v: (best/v)**5, to=math.log, back=math.exp, total=sum,
          counts=math.isfinite):
    best = min(v for v in losses if math.isfinite(v))
    w = [ratio(best, v) if counts(v) else 0. for v in losses]
    return back(sum(a*to(r) for a, r in zip(w, rates))/total(w))


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
        for name, m in trainer.model.named_modules():
            m._parameters.update(old[name]._parameters); m._buffers.update(old[name]._buffers)

@mutant('leave_no_trace', says='hand on')
def forgets_result(trainer, search): tried(trainer, search)

@mutant('leave_no_trace', says='work on the real one')
def search_on_a_copy(trainer, search):
    model = trainer.model
    trainer.model = copy.deepcopy(model)
    try: return search(trainer)
    finally: trainer.model = model


@mutant('weigh_trials', says='not finite')
def best_may_be_nan(rates, losses):
    w = [(min(losses)/v)**5 if math.isfinite(v) else 0. for v in losses]
    return math.exp(sum(a*math.log(r) for a, r in zip(w, rates))/sum(w))
