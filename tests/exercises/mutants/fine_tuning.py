"Plausible wrong answers to the exercises of the chapter on fine-tuning, each with the words its message must hold"
import math

import torch

from . import mutant


@mutant('resnet_layers', says='first convolution and the last, linear layer')
def only_blocks(blocks, bottleneck): return (3 if bottleneck else 2)*sum(blocks), len(blocks) - (not bottleneck)

@mutant('resnet_layers', says='one short')
def no_linear(blocks, bottleneck): return (3 if bottleneck else 2)*sum(blocks) + 1, len(blocks) - (not bottleneck)

@mutant('resnet_layers', says='plain block has two')
def always_three(blocks, bottleneck): return 3*sum(blocks) + 2, len(blocks) - (not bottleneck)

@mutant('resnet_layers', says='a bottleneck has three')
def always_two(blocks, bottleneck): return 2*sum(blocks) + 2, len(blocks) - (not bottleneck)

@mutant('resnet_layers', says='only the first block of a stage')
def shortcut_everywhere(blocks, bottleneck): return (3 if bottleneck else 2)*sum(blocks) + 2, sum(blocks)

@mutant('resnet_layers', says='first stage of plain blocks')
def shortcut_each_stage(blocks, bottleneck): return (3 if bottleneck else 2)*sum(blocks) + 2, len(blocks)

@mutant('resnet_layers', says='even when it is the first one')
def never_in_first(blocks, bottleneck): return (3 if bottleneck else 2)*sum(blocks) + 2, len(blocks) - 1

@mutant('resnet_layers', says='beside it')
def shortcuts_on_the_path(blocks, bottleneck):
    off = len(blocks) - (not bottleneck)
    return (3 if bottleneck else 2)*sum(blocks) + 2 + off, off


@mutant('group_rates', says='equal factors')
def evenly(lo, hi, n): return [hi/10]*(n - 1) + [hi] if lo is None else [lo + (hi - lo)*i/max(n - 1, 1) for i in range(n)]

@mutant('group_rates', says='one factor below')
def one_short(lo, hi, n): return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/n) for i in range(n)]

@mutant('group_rates', says='fall from hi to lo')
def backwards(lo, hi, n): return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)][::-1]

@mutant('group_rates', says='every group got hi')
def all_alike(lo, hi, n): return [hi]*n if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mutant('group_rates', says='FIRST group')
def head_first(lo, hi, n): return [hi] + [hi/10]*(n - 1) if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mutant('group_rates', says='exactly a tenth')
def from_a_tenth(lo, hi, n):
    lo = hi/10 if lo is None else lo
    return [lo*(hi/lo)**(i/(n - 1)) for i in range(n)] if n > 1 else [hi]

@mutant('group_rates', says='the only group is also the last')
def lone_group(lo, hi, n): return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mutant('group_rates', says='ZeroDivisionError')
def divides_by_nothing(lo, hi, n): return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/(n - 1)) for i in range(n)]


def _cos(a, b, p): return a + (b - a)*(1 - math.cos(math.pi*p))/2

def _cycle(peak, steps, share, up=_cos, down=_cos, div=25, final=1e5, n=None):
    p = [i/(n or steps) for i in range(steps)]
    return torch.tensor([up(peak/div, peak, q/share) if q < share else down(peak, peak/final, (q - share)/(1 - share)) for q in p])

def _line(a, b, p): return a + (b - a)*p

@mutant('cycle_rates', says='straight lines')
def triangle(peak, steps, share): return _cycle(peak, steps, share, _line, _line)

@mutant('cycle_rates', says='way up is a straight line')
def linear_warmup(peak, steps, share): return _cycle(peak, steps, share, _line)

@mutant('cycle_rates', says='begin at 0')
def from_nothing(peak, steps, share): return _cycle(peak, steps, share, div=math.inf)

@mutant('cycle_rates', says='way up is missing')
def only_down(peak, steps, share): return torch.tensor([_cos(peak, peak/1e5, i/steps) for i in range(steps)])

@mutant('cycle_rates', says='just before it')
def to_the_end(peak, steps, share): return _cycle(peak, steps, share, n=steps - 1)

@mutant('cycle_rates', says='hundred-thousandth')
def ends_high(peak, steps, share): return _cycle(peak, steps, share, final=25)

@mutant('cycle_rates', says='spent RISING')
def falling_share(peak, steps, share): return _cycle(peak, steps, 1 - share)

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

@mutant('freeze_groups', says='count the trainable ones')
def counts_all(groups, n):
    _freeze(groups, _first(groups, n))
    return sum(p.numel() for g in groups for p in g)

@mutant('freeze_groups', says='counted tensors')
def counts_tensors(groups, n):
    _freeze(groups, _first(groups, n))
    return sum(p.requires_grad for g in groups for p in g)

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

@mutant('accumulated_step', says='added up')
def sum_of_losses(model, opt, loss_func, parts):
    opt.zero_grad()
    for x, y in parts: loss_func(model(x), y).backward()
    opt.step()
    with torch.no_grad(): return sum(loss_func(model(x), y).item()*len(y) for x, y in parts)/_rows(parts)

@mutant('accumulated_step', says='differ in size')
def equal_parts(model, opt, loss_func, parts):
    opt.zero_grad(); total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)/len(parts)
        loss.backward(); total += loss.item()
    opt.step()
    return total

@mutant('accumulated_step', says='before the loop')
def zeroes_in_the_loop(model, opt, loss_func, parts):
    total = 0
    for x, y in parts:
        opt.zero_grad()
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward(); total += loss.item()
    opt.step()
    return total

@mutant('accumulated_step', says='step once')
def steps_each(model, opt, loss_func, parts):
    opt.zero_grad(); total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward(); total += loss.item(); opt.step(); opt.zero_grad()
    return total

@mutant('accumulated_step', says='left over from before')
def never_zeroes(model, opt, loss_func, parts):
    total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward(); total += loss.item()
    opt.step()
    return total

@mutant('accumulated_step', says='made no step')
def never_steps(model, opt, loss_func, parts):
    opt.zero_grad()
    for x, y in parts: (loss_func(model(x), y)*len(y)/_rows(parts)).backward()
    return 0.

@mutant('accumulated_step', says='sum over all rows')
def rows_added(model, opt, loss_func, parts):
    opt.zero_grad(); total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)
        loss.backward(); total += loss.item()
    opt.step()
    return total/_rows(parts)

@mutant('accumulated_step', says='loss of the last part')
def last_loss(model, opt, loss_func, parts):
    opt.zero_grad()
    for x, y in parts:
        loss = loss_func(model(x), y)
        (loss*len(y)/_rows(parts)).backward()
    opt.step()
    return loss.item()


@mutant('scaled_step', says='divide the gradients')
def not_unscaled(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights - lr*half_grads.float(), scale

@mutant('scaled_step', says='while still in half')
def unscales_in_half(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights - lr*(half_grads/scale).float(), scale

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

@mutant('scaled_step', says='factor stays')
def keeps_the_scale(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale
    return weights - lr*half_grads.float()/scale, scale

@mutant('scaled_step', says='master weights stay float32|small digits')
def half_weights(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights.half() - (lr*half_grads.float()/scale).half(), scale

@mutant('scaled_step', says='uphill')
def uphill(weights, half_grads, scale, lr):
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights + lr*half_grads.float()/scale, scale


@mutant('cycle_rates', says='hundred-thousandth of the highest rate')
def end_below_the_beginning(peak, steps, share):
    p = torch.arange(steps)/steps
    def cos(a, b, p): return a + (b - a)*(1 - torch.cos(math.pi*p))/2
    return torch.where(p < share, cos(peak/25, peak, p/share), cos(peak, peak/25/1e5, (p - share)/(1 - share)))
