"What the exercises of the chapter on fine-tuning are held against"
import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.exercises import Answer, exercise, expect, mistake, same, wrong


@exercise
def resnet_layers(answer: Answer) -> None:
    for blocks, bottleneck in [([2, 2, 2, 2], False), ([3, 4, 6, 3], True), ([3, 4, 23, 3], True),
                               ([1, 1, 1, 1], False), ([3, 4, 6, 3], False), ([2, 5], True), ([4], False)]:
        each, n = 3 if bottleneck else 2, sum(blocks)
        off = len(blocks) - (not bottleneck)
        got = answer(blocks, bottleneck)
        if isinstance(got, list): got = tuple(got)
        if isinstance(got, torch.Tensor):
            wrong('give two whole numbers, not a tensor: the layers on the main path, and the shortcut convolutions')
        def plus(main: int = 0, shortcuts: int = 0) -> tuple: return (each*n + 2 + main, off + shortcuts)
        same(got, plus(), what=f'the layers of blocks {blocks} with bottleneck={bottleneck}',
             mistakes=answer.mistakes() | {
            'the two numbers have changed places': lambda: (off, each*n + 2),
        })


@mistake(resnet_layers, 'the main path is one short: besides the blocks there is the first convolution and the '
         'last, linear layer')
def no_linear(blocks: list, bottleneck: bool) -> tuple:
    return (3 if bottleneck else 2)*sum(blocks) + 1, len(blocks) - (not bottleneck)

@mistake(resnet_layers, 'the main path is two short: the first convolution and the last, linear layer are on it too')
def only_blocks(blocks: list, bottleneck: bool) -> tuple:
    return (3 if bottleneck else 2)*sum(blocks), len(blocks) - (not bottleneck)

@mistake(resnet_layers, 'you counted every block with three layers; a plain block has two, only a bottleneck has '
         'three')
def always_three(blocks: list, bottleneck: bool) -> tuple: return 3*sum(blocks) + 2, len(blocks) - (not bottleneck)

@mistake(resnet_layers, 'you counted every block with two layers; a bottleneck has three')
def always_two(blocks: list, bottleneck: bool) -> tuple: return 2*sum(blocks) + 2, len(blocks) - (not bottleneck)

@mistake(resnet_layers, 'every block got a shortcut convolution; only the first block of a stage needs one, where '
         'the size changes')
def shortcut_everywhere(blocks: list, bottleneck: bool) -> tuple:
    return (3 if bottleneck else 2)*sum(blocks) + 2, sum(blocks)

@mistake(resnet_layers, 'every stage got a shortcut convolution; in the first stage of plain blocks the size stays '
         'and the shortcut is bare')
def shortcut_each_stage(blocks: list, bottleneck: bool) -> tuple:
    return (3 if bottleneck else 2)*sum(blocks) + 2, len(blocks)

@mistake(resnet_layers, 'a stage of bottlenecks widens its features even when it is the first one, so it too needs '
         'a shortcut convolution')
def never_in_first(blocks: list, bottleneck: bool) -> tuple:
    return (3 if bottleneck else 2)*sum(blocks) + 2, len(blocks) - 1

@mistake(resnet_layers, 'the shortcut convolutions stand among those of the main path: they are beside it, so the '
         'longest way never goes through them')
def shortcuts_on_the_path(blocks: list, bottleneck: bool) -> tuple:
    off = len(blocks) - (not bottleneck)
    return (3 if bottleneck else 2)*sum(blocks) + 2 + off, off


@exercise
def group_rates(answer: Answer) -> None:
    for lo, hi, n in [(1e-5, 1e-3, 3), (1e-4, 1e-2, 5), (None, 1e-3, 4), (2e-3, 2e-3, 2), (None, 0.3, 2),
                      (1e-3, 1e-1, 4), (1e-4, 1e-2, 1), (None, 0.02, 1)]:
        got = answer(lo, hi, n)
        if isinstance(got, torch.Tensor): got = got.tolist()
        got = [float(g) for g in got] if isinstance(got, (list, tuple)) else got
        if isinstance(got, list) and len(got) != n:
            wrong(f'{n} groups want {n} rates, yours are {len(got)}: both ends count, so there is one step fewer than '
                  'there are groups')
        if lo is None:
            want = [hi/10]*(n - 1) + [hi]
            mistakes = answer.mistakes() | {
                'with lo left out all groups got a tenth: the last one keeps hi': [hi/10]*n,
            }
        else:
            want = [lo*(hi/lo)**(i/(n - 1)) if n > 1 else hi for i in range(n)]
            mistakes = answer.mistakes() | {
                'all groups but the last got a tenth of hi: that is the rule for when lo is left '
                'out': [hi/10]*(n - 1) + [hi],
            }
        same(got, want, what=f'the rates for lo={lo}, hi={hi}, n={n}', atol=0, mistakes=mistakes)


@mistake(group_rates, 'with lo left out every group got hi: only the last one does, the others get a tenth')
def all_alike(lo: float | None, hi: float, n: int) -> list:
    return [hi]*n if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mistake(group_rates, 'with lo left out the FIRST group got hi: the head is the last group')
def head_first(lo: float | None, hi: float, n: int) -> list:
    return [hi] + [hi/10]*(n - 1) if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mistake(group_rates, 'with lo left out you went from a tenth to hi in equal ratios: all groups but the last get '
         'exactly a tenth')
def from_a_tenth(lo: float | None, hi: float, n: int) -> list:
    lo = hi/10 if lo is None else lo
    return [lo*(hi/lo)**(i/(n - 1)) for i in range(n)] if n > 1 else [hi]

@mistake(group_rates, 'with a single group you give lo: the only group is also the last, and gets hi')
def lone_group(lo: float | None, hi: float, n: int) -> list:
    return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)]

@mistake(group_rates, 'your rates are evenly spaced; they should grow by equal factors')
def evenly(lo: float, hi: float, n: int) -> list:
    return [hi/10]*(n - 1) + [hi] if lo is None else [lo + (hi - lo)*i/max(n - 1, 1) for i in range(n)]

@mistake(group_rates, 'your last rate is one factor below hi: n rates with both ends have n - 1 steps between them')
def one_short(lo: float, hi: float, n: int) -> list:
    return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/n) for i in range(n)]

@mistake(group_rates, 'yours fall from hi to lo: the first group, nearest the picture, gets the lowest rate')
def backwards(lo: float, hi: float, n: int) -> list:
    return [hi/10]*(n - 1) + [hi] if lo is None else [lo*(hi/lo)**(i/max(n - 1, 1)) for i in range(n)][::-1]


@exercise
def cycle_rates(answer: Answer) -> None:
    for peak, steps, share in [(3e-3, 40, 0.3), (1., 8, 0.25), (0.1, 10, 0.5), (2., 33, 0.7), (1., 2000, 0.25)]:
        got = answer(peak, steps, share)
        if isinstance(got, (list, tuple)): got = torch.tensor([float(g) for g in got], dtype=torch.float64)
        expect(isinstance(got, torch.Tensor), f'give the rates as a tensor or list of {steps} numbers, not '
                                              f'{type(got).__name__}')
        got = got.double()
        expect(len(got) == steps, f'{steps} steps want {steps} rates, yours are {len(got)}')
        def rates(fn: Callable, case: tuple = (peak, steps, share)) -> Tensor: return fn(*case).double()
        same(got, rates(_cycle), what='rates', rtol=1e-3, atol=1e-7,
             mistakes=answer.mistakes(rates, first=peak/25, steps=steps))


def _cos(a: float, b: float, p: float) -> float: return a + (b - a)*(1 - math.cos(math.pi*p))/2


def _cycle(peak: float, steps: int, share: float, up: Callable = _cos, down: Callable = _cos, div: float = 25,
           final: float = 1e5, n: int | None = None) -> Tensor:
    p = [i/(n or steps) for i in range(steps)]
    return torch.tensor([up(peak/div, peak, q/share) if q < share else down(peak, peak/final, (q - share)/(1 - share))
                         for q in p], dtype=torch.float64)


def _line(a: float, b: float, p: float) -> float: return a + (b - a)*p

@mistake(cycle_rates, 'you go up and down in straight lines; the cycle follows half a cosine each way')
def triangle(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, _line, _line)

@mistake(cycle_rates, 'the way up is a straight line; it follows half a cosine too')
def linear_warmup(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, _line)

@mistake(cycle_rates, 'the way down is a straight line; it follows half a cosine too')
def linear_way_down(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, down=_line)

@mistake(cycle_rates, 'the cosines are upside down: half a cosine begins and ends flat, and yours jump at the ends')
def upside_down(peak: float, steps: int, share: float) -> Tensor:
    return _cycle(peak, steps, share, lambda a, b, p: _cos(b, a, p), lambda a, b, p: _cos(b, a, p))

@mistake(cycle_rates, 'yours begin at 0; the first rate is the highest one divided by 25, here {first:.3g}')
def from_nothing(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, div=math.inf)

@mistake(cycle_rates, 'yours begin at the highest rate: the way up is missing')
def only_down(peak: float, steps: int, share: float) -> Tensor:
    return torch.tensor([_cos(peak, peak/1e5, i/steps) for i in range(steps)])

@mistake(cycle_rates, 'the last step already stands at the very end: step i stands at the share i/{steps}, so the '
         'last one is just before it')
def to_the_end(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, n=steps - 1)

@mistake(cycle_rates, 'the way down ends at a twenty-fifth of the highest rate; it should fall towards a '
         'hundred-thousandth')
def ends_high(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, share, final=25)

@mistake(cycle_rates, 'your lowest rate belongs to a hundred-thousandth of where you begin: the end is a '
         'hundred-thousandth of the highest rate')
def end_below_the_beginning(peak: float, steps: int, share: float) -> Tensor:
    p = torch.arange(steps)/steps
    def cos(a: float, b: float, p: Tensor) -> Tensor: return a + (b - a)*(1 - torch.cos(math.pi*p))/2
    return torch.where(p < share, cos(peak/25, peak, p/share), cos(peak, peak/25/1e5, (p - share)/(1 - share)))

@mistake(cycle_rates, 'the two halves have changed their shares: `share` is the part of the steps spent RISING')
def falling_share(peak: float, steps: int, share: float) -> Tensor: return _cycle(peak, steps, 1 - share)


@exercise
def freeze_groups(answer: Answer) -> None:  # noqa: C901 - one branch for each way in which a group can be left
    for sizes, n in [((2, 3, 1), 1), ((4, 2), 0), ((3, 1), 2), ((2, 3, 1), -1), ((1, 2, 3, 4), -2)]:
        for start in (True, False):
            groups = [[nn.Parameter(torch.randn(s + 1, i + 2, generator=answer.generator), requires_grad=start)
                       for i in range(s)] for s in sizes]
            counts = [sum(p.numel() for p in g) for g in groups]
            first = n if n >= 0 else len(groups) + n
            kept = [[p.detach().clone() for p in g] for g in groups]
            got = answer.call(groups, n, may_change=True)
            groups = answer.inputs[0]
            asked = f'with {len(sizes)} groups and n={n}'
            state = [[p.requires_grad for p in g] for g in groups]
            want = [[i >= first]*s for i, s in enumerate(sizes)]
            if state != want:
                if state == [[i < first]*s for i, s in enumerate(sizes)]:
                    wrong(f'{asked} the wrong side is frozen: groups before n are frozen, those from n on are trained')
                if n < 0 and state == [[True]*s for s in sizes]:
                    wrong(f'{asked} nothing is frozen: a negative n counts from the end, as in a list')
                if n < 0 and state == [[False]*s for s in sizes]:
                    wrong(f'{asked} everything is frozen: a negative n counts from the end, as in a list')
                if not start and state == [[False]*s for s in sizes]:
                    wrong(f'{asked} groups that were frozen before stay frozen: those from n on must be set free again')
                if state == [[start]*s for s in sizes]:
                    wrong(f'{asked} nothing has changed: set `requires_grad` of the parameters themselves')
                if any(any(s) and not all(s) for s in state):
                    wrong(f'{asked} only some parameters of a group are set: go through all of them')
                if state == [[i > first]*s for i, s in enumerate(sizes)]:
                    wrong(f'{asked} one group too many is frozen: group n itself is trained')
                wrong(f'{asked} the groups should be trained: {[all(s) for s in want]}, yours are: '
                      f'{[all(s) for s in state]}')
            expect(all(p.equal(q) for g, k in zip(groups, kept) for p, q in zip(g, k)),
                   'the values of the parameters have changed: freezing only decides who gets a gradient')
            expect(got is not None, 'your function returned nothing (None): is `return` missing?')
            total = sum(counts[first:])
            same(got, total, what=f'the count {asked}', mistakes=answer.mistakes() | {
                'you counted the frozen parameters; count the trainable ones': sum(counts[:first]),
                'you counted groups; count the parameters in them': len(sizes) - first,
            })


def _freeze(groups: list, first: int, free: bool | None = True, frozen: bool = False) -> None:
    for i, g in enumerate(groups):
        for p in g:
            if i >= first and free is not None: p.requires_grad_(free)
            if i < first: p.requires_grad_(frozen)


def _first(groups: list, n: int) -> int: return n if n >= 0 else len(groups) + n

@mistake(freeze_groups, 'you counted all parameters; count the trainable ones')
def counts_all(groups: list, n: int) -> int:
    _freeze(groups, _first(groups, n))
    return sum(p.numel() for g in groups for p in g)

@mistake(freeze_groups, 'you counted tensors; a tensor holds many parameters, `numel()` says how many')
def counts_tensors(groups: list, n: int) -> int:
    _freeze(groups, _first(groups, n))
    return sum(p.requires_grad for g in groups for p in g)


class _Counting(torch.optim.SGD):
    "SGD that counts its steps"
    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr, momentum=0.9)
        self.steps = 0
    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(closure)


def _whole_batch(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    "The step that is to be reached: all rows at once"
    opt.zero_grad()
    x, y = (torch.cat(p) for p in zip(*parts))
    loss = loss_func(model(x), y)
    loss.backward()
    opt.step()
    return loss.item()


def _one_accumulated(step: Callable, first: nn.Module, parts: list, dirty: bool = False) -> tuple[Tensor, Any, Any]:
    "The weights after a step that starts from `first`, the optimizer, and what the step returns"
    model = copy.deepcopy(first)
    opt = _Counting(model.parameters(), 0.1)
    for p in model.parameters(): p.grad = torch.ones_like(p) if dirty else None
    out = step(_Held(model), _Held(opt), nn.functional.cross_entropy, parts)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), opt, out


@exercise
def accumulated_step(answer: Answer) -> None:
    for sizes in [(4, 4, 4), (5, 3), (6, 1, 2), (1,)]:
        gen = answer.generator
        x, y = torch.randn(sum(sizes), 3, generator=gen), torch.randint(0, 4, (sum(sizes),), generator=gen)
        parts = list(zip(x.split(sizes), y.split(sizes)))
        first = nn.Linear(3, 4)
        with torch.no_grad():
            for p in first.parameters(): p.copy_(torch.randn(p.shape, generator=gen))
        def run(step: Callable, part: int, dirty: bool = False, case: tuple = (first, parts)) -> Any:
            return _one_accumulated(step, case[0], case[1], dirty)[part]
        def ask(*args: Any) -> Any: return answer.call(*args, may_change=True)
        want, mean = run(_whole_batch, 0), run(_whole_batch, 2)
        got, opt, said = _one_accumulated(ask, first, parts)
        expect(opt.steps > 0, 'the optimizer made no step: after all parts, call `opt.step()` once')
        expect(opt.steps == 1 or len(sizes) == 1,
               f'your optimizer made {opt.steps} steps for {len(sizes)} parts: the later parts then see another model. '
               'Gather the gradients first, step once after every part is in')
        story = f'{len(sizes)} parts of {", ".join(map(str, sizes))} rows'
        same(got, want, what=f'the weights after the step ({story})',
             mistakes=answer.mistakes(lambda fn: run(fn, 0), story=story))
        same(run(ask, 0, dirty=True), want, what='the weights when an old gradient was left behind',
             mistakes=answer.mistakes(lambda fn: run(fn, 0, dirty=True)))
        expect(said is not None, 'your function returned nothing (None): is `return` missing?')
        same(float(said.detach() if isinstance(said, Tensor) else said), mean, what='the loss',
             mistakes=answer.mistakes(lambda fn: run(fn, 2)))


def _rows(parts: list) -> int: return sum(len(y) for _, y in parts)

@mistake(accumulated_step, 'your losses are added up: the gradient of the sum is as many times too large as there '
         'are parts. Weigh each part by its share of the rows')
def sum_of_losses(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    opt.zero_grad()
    for x, y in parts: loss_func(model(x), y).backward()
    opt.step()
    with torch.no_grad(): return sum(loss_func(model(x), y).item()*len(y) for x, y in parts)/_rows(parts)

@mistake(accumulated_step, 'every part weighs the same, but they differ in size ({story}): the mean over all '
         'rows gives a part of two rows twice the weight of a part of one')
def equal_parts(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    opt.zero_grad()
    total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)/len(parts)
        loss.backward()
        total += loss.item()
    opt.step()
    return total

@mistake(accumulated_step, 'only the last part has left a gradient: `zero_grad` belongs before the loop, not into it')
def zeroes_in_the_loop(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    total = 0
    for x, y in parts:
        opt.zero_grad()
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward()
        total += loss.item()
    opt.step()
    return total

@mistake(accumulated_step, 'your gradient is the sum over all rows; the loss is their mean')
def rows_added(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    opt.zero_grad()
    total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)
        loss.backward()
        total += loss.item()
    opt.step()
    return total/_rows(parts)

@mistake(accumulated_step, 'gradients left over from before are mixed in: call `zero_grad` before the first part')
def never_zeroes(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    total = 0
    for x, y in parts:
        loss = loss_func(model(x), y)*len(y)/_rows(parts)
        loss.backward()
        total += loss.item()
    opt.step()
    return total

@mistake(accumulated_step, 'you return the sum of the losses; return the mean over all rows')
def returns_the_sum(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    each = [loss_func(model(x), y).item() for x, y in parts]
    _whole_batch(model, opt, loss_func, parts)
    return sum(each)

@mistake(accumulated_step, 'you return the mean of the losses, but the parts differ in size')
def returns_the_mean_of_parts(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    return returns_the_sum(model, opt, loss_func, parts)/len(parts)

@mistake(accumulated_step, 'you return the loss of the last part; return the mean over all rows')
def last_loss(model: Any, opt: Any, loss_func: Callable, parts: list) -> float:
    opt.zero_grad()
    for x, y in parts:
        loss = loss_func(model(x), y)
        (loss*len(y)/_rows(parts)).backward()
    opt.step()
    return loss.item()


class _Held:
    "Hands a model or an optimizer to an answer as it is, where an answer would otherwise get a copy"
    def __init__(self, thing: Any) -> None: self.__dict__['thing'] = thing
    def __deepcopy__(self, memo: dict) -> Any: return self
    def __getattr__(self, name: str) -> Callable: return getattr(self.__dict__['thing'], name)
    def __call__(self, *args: Any, **kwargs: Any) -> Tensor: return self.__dict__['thing'](*args, **kwargs)


@exercise
def scaled_step(answer: Answer) -> None:
    gen = answer.generator
    for n, scale, lr in [(5, 1024., 0.1), (3, 2.**14, 1e-3), (1, 8., 0.5)]:
        w = torch.randn(n, generator=gen)
        true = torch.randn(n, generator=gen)*1e-2
        g = (true*scale).half()
        got = answer(w, g, scale, lr)
        expect(isinstance(got, (tuple, list)) and len(got) == 2,
               'give two things: the new weights and the factor for the next step')
        want = w - lr*g.float()/scale
        expect(got[0].dtype == torch.float32, f'your new weights are {str(got[0].dtype).removeprefix("torch.")}: the '
                                              'master weights stay float32')
        known = answer.mistakes(lambda fn: fn(w, g, scale, lr)[0])
        same(got[0], want, what='the new weights', rtol=1e-6, atol=1e-8, mistakes=known)
        same(float(got[1]), scale, what='the next factor', mistakes={
            'the factor was halved although every gradient is finite': scale/2,
            'the factor was doubled: here it only ever falls': scale*2})
    w, scale = torch.randn(4, generator=gen), 2.**16
    tiny = torch.tensor([1, 2, 3, 5], dtype=torch.float32)*2.**-24
    got = answer(w*0, tiny.half(), scale, 1.)
    same(got[0], -tiny/scale, what='the weights after tiny gradients', rtol=1e-5, atol=0,
         mistakes=answer.mistakes(lambda fn: fn(w*0, tiny.half(), scale, 1.)[0]))
    for bad in (math.inf, -math.inf, math.nan):
        g = torch.tensor([1., bad, 2., 3.]).half()
        got = answer(w, g, scale, 0.1)
        kind = 'nan' if bad != bad else 'infinite'
        if got[0].isfinite().all() and not got[0].equal(w):
            wrong(f'one gradient is {kind}, and the other weights have moved: the whole step is skipped, since nobody '
                  'knows which gradients can be trusted')
        expect(got[0].equal(w), f'one gradient is {kind}, and it went into the weights: skip the whole step')
        same(float(got[1]), scale/2, what=f'the factor after an {kind} gradient',
             mistakes=answer.mistakes(lambda fn: float(fn(w, g, scale, 0.1)[1]), kind=kind) | {
            'the factor was doubled after an overflow: it was too large already': scale*2,
            'the factor fell to one: half of it is enough': 1.,
        })


@mistake(scaled_step, 'your step is as many times too large as the factor: divide the gradients by `scale` again')
def not_unscaled(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights - lr*half_grads.float(), scale

@mistake(scaled_step, 'your step is scaled twice: divide the gradients by `scale`, do not multiply')
def scaled_again(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights - lr*half_grads.float()*scale, scale

@mistake(scaled_step, 'very small gradients have become zero: they were divided while still in half precision; turn '
         'them into float32 first')
def unscales_in_half(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights - lr*(half_grads/scale).float(), scale

@mistake(scaled_step, 'your new weights have lost their small digits: they were rounded to half on the way')
def half_on_the_way(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return (weights.half() - lr*(half_grads.float()/scale).half()).float(), scale

@mistake(scaled_step, 'the new weights were rounded to half at the end')
def half_at_the_end(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return (weights - lr*half_grads.float()/scale).half().float(), scale

@mistake(scaled_step, 'the weights have not moved, though every gradient is finite')
def never_steps(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    return weights, scale if half_grads.isfinite().all() else scale/2

@mistake(scaled_step, 'the step goes uphill: take it against the gradient')
def uphill(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale/2
    return weights + lr*half_grads.float()/scale, scale

@mistake(scaled_step, 'the step is skipped but the factor stays: the next step would end {kind} again')
def keeps_the_scale(weights: Tensor, half_grads: Tensor, scale: float, lr: float) -> tuple:
    if not half_grads.isfinite().all(): return weights, scale
    return weights - lr*half_grads.float()/scale, scale
