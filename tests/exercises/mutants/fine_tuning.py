"Plausible wrong answers to the exercises of the chapter on fine-tuning, each with the words its message must hold"
import math

import torch

from . import mutant


@mutant('group_rates', says='ZeroDivisionError')
def divides_by_nothing(lo, hi, n):
    return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/(n - 1)) for i in range(n)]


def _cos(a, b, p): return a + (b - a)*(1 - math.cos(math.pi*p))/2

def _cycle(peak, steps, share, up=_cos, down=_cos, div=25, final=1e5, n=None):
    p = [i/(n or steps) for i in range(steps)]
    return torch.tensor([up(peak/div, peak, q/share) if q < share else down(peak, peak/final, (q - share)/(1 - share))
                         for q in p])


@mutant('cycle_rates', says='wants? .* rates, yours are')
def one_too_many(peak, steps, share): return _cycle(peak, steps + 1, share)


def _freeze(groups, first, free=True, frozen=False):
    for i, g in enumerate(groups):
        for p in g:
            if i >= first and free is not None: p.requires_grad_(free)
            if i < first: p.requires_grad_(frozen)

def _first(groups, n): return n if n >= 0 else len(groups) + n

def _count(groups): return sum(p.numel() for g in groups for p in g if p.requires_grad)

@mutant('freeze_groups', says='wrong side is frozen')
def other_side(groups, n):
    _freeze(groups, _first(groups, n), False, True)
    return _count(groups)

@mutant('freeze_groups', says='counts from the end')
def no_negatives(groups, n):
    _freeze(groups, n)
    return _count(groups)

@mutant('freeze_groups', says='set free again')
def never_thaws(groups, n):
    _freeze(groups, _first(groups, n), None)
    return _count(groups)

@mutant('freeze_groups', says='group n itself is trained')
def one_more(groups, n):
    _freeze(groups, _first(groups, n) + 1)
    return _count(groups)


@mutant('freeze_groups', says='None')
def says_nothing(groups, n): _freeze(groups, _first(groups, n))

@mutant('freeze_groups', says='values of the parameters have changed')
def zeroes(groups, n):
    _freeze(groups, _first(groups, n))
    for g in groups[:_first(groups, n)]:
        for p in g: p.data.zero_()
    return _count(groups)

@mutant('freeze_groups', says='nothing has changed|set free again')
def sets_the_list(groups, n):
    groups = [[p.detach().requires_grad_(i >= _first(groups, n)) for p in g] for i, g in enumerate(groups)]
    return _count(groups)


def _rows(parts): return sum(len(y) for _, y in parts)


@mutant('accumulated_step', says='step once')
def steps_each(model, opt, loss_func, parts):
    opt.zero_grad(); total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward(); total += loss.item(); opt.step(); opt.zero_grad()
    return total


@mutant('accumulated_step', says='made no step')
def never_steps(model, opt, loss_func, parts):
    opt.zero_grad()
    for x, y in parts: (loss_func(model(x), y)*len(y)/_rows(parts)).backward()
    return 0.


@mutant('scaled_step', says='skip the whole step')
def never_skips(weights, half_grads, scale, lr): return weights - lr*half_grads.float()/scale, scale

@mutant('scaled_step', says='other weights have moved')
def drops_the_bad(weights, half_grads, scale, lr):
    ok = half_grads.isfinite()
    return weights - lr*torch.where(ok, half_grads.float(), torch.zeros(()))/scale, scale if ok.all() else scale/2

@mutant('scaled_step', says='nan')
def forgets_nan(weights, half_grads, scale, lr):
    if half_grads.isinf().any(): return weights, scale/2
    return weights - lr*half_grads.float()/scale, scale


@mutant('scaled_step', says='master weights stay float32|small digits')
def half_weights(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights.half() - (lr*half_grads.float()/scale).half(), scale
