"What the exercises of the chapter on the foundations are held against"
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises import (Answer, NotWritten, Wrong, difference, exercise, expect, mistake, same, told,
                                  wrong)
from course_lib.foundations import SGD, l1


def _run(fn: Callable, what: str) -> Any:
    "fn(), every failure put into words"
    try: return fn()
    except Wrong: raise
    except NotImplementedError: raise NotWritten() from None
    except Exception as e: wrong(f'your {what} raised {told(e)}')


def _where_it_fits(fn: Callable) -> Callable:
    "fn, or None where the shapes do not fit the mistake"
    def attempt() -> Tensor | None:
        try: return fn()
        except RuntimeError: return None
    return attempt


@exercise
def root_mean_squared_error(answer: Answer) -> None:
    for shape in [(7,), (3, 5), (1, 4), (2, 3, 4)]:
        a, b = torch.randn(2, *shape, generator=answer.generator)
        same(answer(a, b), (a - b).square().mean().sqrt(), what='error', mistakes=answer.mistakes())


@mistake(root_mean_squared_error, 'yours is the mean squared error: the root is missing, so its unit is the square '
         'of the unit of the values')
def mse(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).square().mean()

@mistake(root_mean_squared_error, 'yours is the mean absolute error: the root of each square only takes the sign '
         'off, so take it once, at the end')
def root_first(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).square().sqrt().mean()

@mistake(root_mean_squared_error, 'yours is the root of the sum: it grows with the number of values, divide by '
         'their number before the root')
def root_of_sum(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).square().sum().sqrt()

@mistake(root_mean_squared_error, 'yours divides by the number of values after the root: the mean belongs under the '
         'root')
def norm_over_n(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).norm()/preds.numel()

@mistake(root_mean_squared_error, 'yours lets differences of opposite sign cancel: square each one before you '
         'average')
def mean_first(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).mean().square().sqrt()

@mistake(root_mean_squared_error, 'yours gives one error for each row: a single number over all values is asked for')
def row_by_row(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).square().mean(-1).sqrt()

@mistake(root_mean_squared_error, 'yours takes a root for each row and averages the roots: there is one mean over '
         'all values, and one root')
def mean_of_roots(preds: Tensor, targets: Tensor) -> Tensor: return (preds - targets).square().mean(-1).sqrt().mean()


@exercise
def weighted_sums(answer: Answer) -> None:
    def layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return x @ weight.T + bias
    for n, n_in, n_out in [(4, 4, 4), (5, 3, 2), (1, 6, 3), (3, 2, 1), (2, 5, 7)]:
        x, weight, bias = [torch.randn(*s, generator=answer.generator) for s in [(n, n_in), (n_out, n_in), (n_out,)]]
        want = layer(x, weight, bias)
        same(answer(x, weight, bias), want, what='output', mistakes=answer.mistakes() | {
            'yours adds the bias before the result is turned over, so it goes along the batch: it has a number for '
            'each output': _where_it_fits(lambda: weight @ x.T + bias),
            'yours gives one number for each item: sum over the inputs, and keep the outputs apart': want.sum(1),
            'yours gives every item the sums of the first one': want[:1].expand_as(want),
        })


@mistake(weighted_sums, 'yours takes the columns of `weight`: one row of it belongs to each output, so it has to be '
         'turned over')
def not_turned(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return x @ weight + bias

@mistake(weighted_sums, 'yours multiplies from the other side: a row of the result belongs to an item, as a row of '
         '`x` does')
def weight_first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return weight @ x + bias

@mistake(weighted_sums, 'the weighted sums are right and the bias is missing: an input of zeros should give the bias')
def no_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return x @ weight.T

@mistake(weighted_sums, 'yours adds the bias along the batch, a number for each item: it has a number for each '
         'output')
def bias_upright(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return x @ weight.T + bias[:, None]

@mistake(weighted_sums, 'yours is the mean of the products, not their sum')
def mean_for_sum(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return (x[:, None]*weight).mean(-1) + bias

@mistake(weighted_sums, 'yours bends the sums as well: what is below zero must stay below zero here')
def with_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return (x @ weight.T + bias).relu()

@mistake(weighted_sums, 'the values are right and stand on their side: a row of the result belongs to an item of '
         'the batch')
def outputs_first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return weight @ x.T + bias[:, None]

@mistake(weighted_sums, 'yours multiplies by the bias: it is added')
def times_bias(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return (x @ weight.T)*bias

@mistake(weighted_sums, 'yours answers the first item only: every row of `x` needs its sums')
def batch_of_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: return weight @ x[0] + bias


@exercise
def standardise_pixels(answer: Answer) -> None:
    for n, h, w in [(5, 3, 4), (7, 2, 5), (4, 3, 3), (6, 2, 1)]:
        xs = torch.rand(n, h, w, generator=answer.generator)*torch.linspace(0.5, 3, w) + torch.linspace(0, 2, n)[:,
            None, None] + 1
        mean, std = xs.mean(0), xs.std(0)
        want = (xs - mean)/std
        same(answer(xs), want, what='standardised stack', rtol=1e-3, atol=1e-5, mistakes=answer.mistakes())
    still = torch.rand(7, 3, 4, generator=answer.generator)
    still[:, 0, 0], still[:, 2, 1], still[:, 1, 3] = 0., 0.7, 1/3
    got = answer(still)
    expect(isinstance(got, torch.Tensor) and got.shape == still.shape,
           f'pictures of the shape {list(still.shape)} are asked for')
    never = got[:, [0, 2, 1], [0, 1, 3]]
    expect(not never.isnan().any() and not never.isinf().any(),
           'a position that never changes has the standard deviation 0, and dividing by it gives nan: such a position '
           'should become 0')
    expect(never.abs().max() < 1e-6, 'a position that never changes should be 0, yours is '
                                     f'{never.abs().max().item():.2g} there: the mean of equal numbers can be off in '
                                     'the last digit, '
           'and a division by something tiny makes that large. Ask for such positions by another way than their '
           'standard deviation')
    faint = torch.rand(6, 2, 3, generator=answer.generator)*1e-3 + 0.5
    got, spread = answer(faint), None
    if isinstance(got, torch.Tensor) and got.shape == faint.shape: spread = got.std(0).mean().item()
    expect(spread is not None and abs(spread - 1) < 0.01, 'positions that change by as little as a thousandth should '
                                                          'get the standard deviation 1 too, yours get '
                                                          f'{spread if spread is None else round(spread, 3)}: '
           'is something added to the divisor, or is it held above too large a number?')


@mistake(standardise_pixels, 'yours uses one mean and one standard deviation for all numbers: every pixel position '
         'has its own')
def over_all(xs: Tensor) -> Tensor: return (xs - xs.mean())/xs.std()

@mistake(standardise_pixels, 'yours standardises each picture by itself: the mean is taken over the pictures, at '
         'each position')
def within_picture(xs: Tensor) -> Tensor: return (xs - xs.mean((1, 2), keepdim=True))/xs.std((1, 2), keepdim=True)

@mistake(standardise_pixels, 'yours standardises along the rows of a picture: the pictures lie along axis 0')
def along_rows(xs: Tensor) -> Tensor: return (xs - xs.mean(1, keepdim=True))/xs.std(1, keepdim=True)

@mistake(standardise_pixels, 'yours has mean 0 and its old spread: divide by the standard deviation as well')
def centred_only(xs: Tensor) -> Tensor: return xs - xs.mean(0)

@mistake(standardise_pixels, 'yours divides by the variance: its unit is the square of that of the values, so its '
         'root is needed')
def by_variance(xs: Tensor) -> Tensor: return (xs - xs.mean(0))/xs.var(0)

@mistake(standardise_pixels, 'yours divides without taking the mean away first')
def scaled_only(xs: Tensor) -> Tensor: return xs/xs.std(0)

@mistake(standardise_pixels, "yours divides the squares by n: PyTorch's own standard deviation, with n - 1, is "
         'asked for')
def by_n(xs: Tensor) -> Tensor: return (xs - xs.mean(0))/xs.std(0, correction=0)


@exercise
def class_distances(answer: Answer) -> None:
    for n, c, h, w in [(4, 3, 2, 5), (1, 2, 3, 3), (3, 3, 4, 2), (5, 1, 2, 2), (6, 10, 3, 4)]:
        xs, means = torch.rand(n, h, w, generator=answer.generator), torch.rand(c, h, w, generator=answer.generator)
        want, d = l1(xs[:, None], means), xs[:, None] - means
        same(answer(xs, means), want, what='table of distances', mistakes=answer.mistakes() | {
            'yours compares picture i with class i only: every picture needs its distance to every '
            'class': _where_it_fits(lambda: (xs - means).abs().mean((1, 2))),
            'yours is the distance to the nearest class alone: keep all of them': want.min(1).values,
            'yours keeps the axis of pixel rows: average over both the rows and the columns of a '
            'picture': lambda: d.abs().mean(3),
        })


@mistake(class_distances, 'yours is the sum of the absolute differences: divide by the number of pixels')
def summed(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).abs().sum((2, 3))

@mistake(class_distances, 'yours lets dark and light pixels cancel: take the sign off each difference before you '
         'average')
def signed(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).mean((2, 3))

@mistake(class_distances, 'yours takes the sign off after averaging, when dark and light pixels have cancelled '
         'already')
def sign_off_late(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).mean((2, 3)).abs()

@mistake(class_distances, 'yours squares the differences: the mean absolute difference is asked for')
def squared(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).square().mean((2, 3))

@mistake(class_distances, 'yours is the root of the mean squared difference: the mean absolute difference is asked '
         'for')
def rooted(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).square().mean((2, 3)).sqrt()

@mistake(class_distances, 'the distances are right and turned over: a row for each picture, a column for each class')
def classes_first(xs: Tensor, means: Tensor) -> Tensor: return (means[:, None] - xs).abs().mean((2, 3))

@mistake(class_distances, 'yours is the number of the nearest class: the distances are asked for')
def nearest(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).abs().mean((2, 3)).argmin(1)

@mistake(class_distances, 'yours keeps an axis of pixels: average over both the rows and the columns of a picture')
def one_axis(xs: Tensor, means: Tensor) -> Tensor: return (xs[:, None] - means).abs().mean(2)


def _nudge_each(f: Callable, w: Tensor, h: float, slope: Callable) -> Tensor:
    "`slope(f, w nudged up, w, w nudged down)` for each number of `w`"
    out = torch.zeros_like(w)
    for i in range(w.numel()):
        nudge = torch.zeros_like(w)
        nudge.view(-1)[i] = h
        out.view(-1)[i] = slope(f, w + nudge, w, w - nudge)
    return out


@exercise
def numerical_gradient(answer: Answer) -> None:
    def cubes(w: Tensor) -> Tensor: return (w**3).sum()
    def waves(w: Tensor) -> Tensor:
        return (torch.sin(2*w)*torch.arange(1, w.numel() + 1, dtype=w.dtype).view(w.shape)).sum()
    def tied(w: Tensor) -> Tensor: return w.prod() + w.square().sum()
    cases: list[tuple] = [(cubes, (4,), 0.1), (cubes, (2, 3), 0.05), (waves, (3, 2), 0.2), (tied, (1, 4), 1e-3),
                          (tied, (5,), 0.1), (cubes, (), 0.1), (waves, (2, 1, 3), 1e-2)]
    for f, shape, h in cases:
        w = torch.randn(shape, generator=answer.generator, dtype=torch.float64) + 0.5
        want = _nudge_each(f, w, h, lambda f, up, w, down: (f(up) - f(down))/(2*h))
        same(answer(f, w, h), want, what='gradient', rtol=1e-6, atol=1e-8, mistakes=answer.mistakes())


@mistake(numerical_gradient, 'yours looks to one side only: nudge up and down, the error is then far smaller')
def forward_only(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(up) - f(w))/h)

@mistake(numerical_gradient, 'yours is twice too large: from one nudged place to the other it is two steps of `h`')
def forgets_two(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(up) - f(down))/h)

@mistake(numerical_gradient, 'yours has the wrong sign: the value above minus the value below')
def below_minus_above(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(down) - f(up))/(2*h))

@mistake(numerical_gradient, 'yours is the difference of the values: a slope is that difference divided by the way '
         'walked')
def only_difference(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: f(up) - f(down))

@mistake(numerical_gradient, 'yours is not the slope over steps of `h`: is `h` used, or a step of your own, or '
         'autograd?')
def own_step(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, 1e-5, lambda f, up, w, down: (f(up) - f(down))/2e-5)

@mistake(numerical_gradient, 'yours nudges all parameters at once: nudge one, with the others where they were')
def all_at_once(f: Callable, w: Tensor, h: float) -> Tensor:
    return torch.full_like(w, float((f(w + h) - f(w - h))/(2*h)))

@mistake(numerical_gradient, 'yours nudges a whole row at a time: with more than one axis every single number has '
         'its turn')
def rows_only(f: Callable, w: Tensor, h: float) -> Tensor:
    out = torch.zeros_like(w)
    for i in range(len(w)):
        nudge = torch.zeros_like(w)
        nudge[i] = h
        out[i] = (f(w + nudge) - f(w - nudge))/(2*h)
    return out

@mistake(numerical_gradient, 'yours does not put a number back before it nudges the next one')
def never_put_back(f: Callable, w: Tensor, h: float) -> Tensor:
    w, out = w.clone(), torch.zeros_like(w)
    for i in range(w.numel()):
        w.view(-1)[i] += h
        high = f(w)
        w.view(-1)[i] -= 2*h
        out.view(-1)[i] = (high - f(w))/(2*h)
    return out

@mistake(numerical_gradient, 'the values are right and stand in a row: give them the shape of `w`')
def stays_flat(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(up) - f(down))/(2*h)).flatten()

@mistake(numerical_gradient, 'yours looks down only: nudge up as well')
def backward_only(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(w) - f(down))/h)

@mistake(numerical_gradient, 'yours gives one number: the gradient has a number for each parameter')
def added_up(f: Callable, w: Tensor, h: float) -> Tensor:
    return _nudge_each(f, w, h, lambda f, up, w, down: (f(up) - f(down))/(2*h)).sum()


@exercise
def minibatches(answer: Answer) -> None:
    def call(n: int, size: int, seed: int) -> tuple:
        gen = torch.Generator().manual_seed(seed)
        state = gen.get_state()
        got = answer(n, size, gen)
        expect(isinstance(got, (list, tuple)), f'a list of index tensors is asked for, yours is a {type(got).__name__}')
        for b in got:
            expect(isinstance(b, torch.Tensor) and b.ndim == 1,
                   f'each batch should be a tensor with one axis that holds positions, yours holds {b!r:.60}')
        for b in got:
            expect(b.dtype == torch.int64, 'positions are whole numbers (int64), yours are '
                                           f'{str(b.dtype).removeprefix("torch.")}')
        return [b.tolist() for b in got], not answer.inputs[2].get_state().equal(state)
    for n, size in [(10, 4), (12, 3), (7, 7), (5, 8), (1, 3), (9, 1), (100, 16)]:
        got, moved = call(n, size, n)
        flat, sizes, want = [i for b in got for i in b], [len(b)
                                                          for b in got], [size]*(n//size) + [n % size]*(n % size > 0)
        told = f'with {n} items in batches of {size},'
        expect(0 not in sizes, f'{told} there is an empty batch in yours: when the items come out even, nothing is '
                               'left for another batch')
        expect(not flat or max(flat) < n, f'{told} the positions go from 0 to {n - 1}, yours go up to '
                                          f'{max(flat, default=0)}')
        twice = sorted({i for i in flat if flat.count(i) > 1})
        expect(not twice, f'{told} position {min(twice, default=0)} comes more than once: draw without putting back, '
                          'so that an epoch shows every item once')
        expect(len(flat) >= n, f'{told} {n - len(flat)} of the {n} items are never shown: the last batch may be '
                               'smaller, and it belongs to the epoch')
        if len(got) == size != len(want):
            wrong(f'{told} yours gives {len(got)} batches: the number is the size of a batch, not how many there are')
        expect(sizes == want, f'{told} the sizes should be {want}, yours are {sizes}')
        if n >= 9:
            expect(flat != list(range(n)), f'{told} yours come in their old order: nothing was shuffled')
            expect(size == 1 or any(b != list(range(b[0], b[0] + len(b))) for b in got),
                   f'{told} yours shuffles whole batches: the same items always meet, shuffle the items before they '
                   'are cut')
            expect(moved, 'nothing was drawn from `generator`: your order comes from somewhere else, and the next '
                          'epoch would begin where this one began')
    orders = {tuple(i for b in call(12, 4, seed)[0] for i in b) for seed in range(4)}
    expect(len(orders) > 1, 'generators with different seeds give the same order: is the generator seeded again '
                            'inside?')
    first, again = call(30, 4, 3)[0], call(30, 4, 3)[0]
    expect(first == again, 'a generator with the same seed gives another order each time: take the whole draw from '
                           '`generator`')


def _descend(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple[Tensor, list]:
    "Step by step downhill: the parameters at the end, and the loss before each step and after the last"
    w, losses = start.clone(), []
    while True:
        v = w.clone().requires_grad_()
        error = loss_func(v)
        losses.append(error.item())
        if error <= good_enough or len(losses) > max_steps: return w, losses
        w = w - lr*torch.autograd.grad(error, v)[0]


def _weights_and_losses(got: Any, start: Tensor) -> tuple[Tensor, list[float]]:
    "The two parts of an answer to `seven_steps`, if it has them"
    expect(isinstance(got, (tuple, list)) and len(got) == 2,
           'two things are asked for: the parameters, and the list of losses')
    w, losses = got
    expect(isinstance(w, Tensor) and w.shape == start.shape,
           f'the parameters should be a tensor of the shape {list(start.shape)}')
    expect(isinstance(losses, (list, tuple)), f'the losses should be a list, yours is a {type(losses).__name__}')
    expect(len(losses) > 0, 'your list of losses is empty: the first one is the loss at `start`')
    return w, [float(x.detach() if isinstance(x, Tensor) else x) for x in losses]


def _right_number_of_steps(losses: list[float], want: list[float], good: float, most: int) -> None:
    "Raises `Wrong` where the walk has too many or too few steps"
    n = len(losses)
    if len(want) == 1 and most > 0:
        expect(n == 1, f'at the start the loss is {want[0]:g}, and {good:g} is good enough: no step is needed, yours '
                       f'takes {n - 1}. Ask before you step, and count "equal" as good enough')
    expect(n != len(want) - 1, f'yours has {n} losses after {n} steps: the first is that of the start, and the last '
                               'that of the parameters you return')
    expect(n <= most + 1, f'`max_steps` is {most}, so there are at most {most + 1} losses, yours has {n}: when it is '
                          'reached, stop')
    expect(n != len(want) + 1, f'yours takes a step more after a loss of {want[-1]:.3g}, when {good:g} is good enough: '
                               'stop before the step')
    expect(not (n == 2 < len(want) and good < losses[-1]),
           'yours stops after the first step: repeat until the loss is good enough')


@exercise
def seven_steps(answer: Answer) -> None:
    def bowl(w: Tensor) -> Tensor: return ((w - torch.tensor([2., -1.]))**2).sum() + 0.25
    def bent(w: Tensor) -> Tensor: return (w**4).mean() + w.square().sum()
    for f, start, lr, good, most in [
        (bowl, torch.tensor([5., 3.]), 0.1, 0.3, 100), (bowl, torch.tensor([5., 3.]), 0.02, 0.1, 7),
        (bent, torch.tensor([[0.9], [-0.4], [0.2]]), 0.05, 1e-3, 60), (bowl, torch.tensor([2., -1.]), 0.1, 0.25, 20),
        (bowl, torch.tensor([0., 0.]), 0.3, 0.0, 1), (bowl, torch.tensor([1., 1.]), 0.3, 0.0, 0),
    ]:
        inputs = f, start, lr, good, most
        want_w, want_losses = _descend(*inputs)
        w, losses = _weights_and_losses(answer(*inputs), start)
        walks = answer.mistakes(lambda fn: fn(*inputs)[1] if good else None)
        if losses != want_losses and len(losses) > 1: _same_walk(losses, want_losses, walks)
        _right_number_of_steps(losses, want_losses, good, most)
        same(losses, want_losses, what='list of losses', rtol=1e-3, mistakes=walks | {
            'your losses do not change: do the parameters that you step with reach the next '
            'prediction?': [want_losses[0]]*len(want_losses),
        })
        expect(not w.requires_grad, 'the parameters that you return still keep a record for gradients: hand them over '
                                    'without it')
        same(w, want_w, what='parameters', rtol=1e-3, mistakes=answer.mistakes(lambda fn: fn(*inputs)[0]))


def _same_walk(losses: list[float], want: list[float], walks: dict) -> None:
    "Raises `Wrong` if a known mistake takes just these steps, however many"
    for words, walk in walks.items():
        taken = walk()
        if difference(taken, want, rtol=1e-3) and not difference(losses, taken, rtol=1e-3): wrong(words)


@mistake(seven_steps, 'your losses grow: the gradient points uphill, and a step goes the other way')
def climbs(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    return _descend(loss_func, start, -lr, good_enough, max_steps)

@mistake(seven_steps, 'yours walks with the sum of all gradients so far: clear them after each step')
def never_clears(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    w, losses = start.clone().requires_grad_(), []
    while True:
        error = loss_func(w)
        losses.append(error.item())
        if error <= good_enough or len(losses) > max_steps: return w.detach(), losses
        error.backward()
        with torch.no_grad(): w -= lr*w.grad  # type: ignore[operator]

@mistake(seven_steps, 'yours takes steps of one length: a step is `lr` times the gradient, small where the ground '
         'is flat')
def sign_steps(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    w, losses = start.clone(), []
    while True:
        v = w.clone().requires_grad_()
        error = loss_func(v)
        losses.append(error.item())
        if error <= good_enough or len(losses) > max_steps: return w, losses
        w = w - lr*torch.autograd.grad(error, v)[0].sign()

@mistake(seven_steps, 'your losses are right, and the parameters you return are those of one step earlier')
def a_step_behind(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    _, losses = _descend(loss_func, start, lr, good_enough, max_steps)
    return _descend(loss_func, start, lr, good_enough, len(losses) - 2)[0], losses

@mistake(seven_steps, 'yours returns the parameters it began with')
def returns_the_start(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    return start, _descend(loss_func, start, lr, good_enough, max_steps)[1]

@mistake(seven_steps, 'yours does not use `lr`: the step is the learning rate times the gradient')
def whole_gradient(loss_func: Callable, start: Tensor, lr: float, good_enough: float, max_steps: int) -> tuple:
    return _descend(loss_func, start, 1., good_enough, max_steps)


class _Momentum(SGD):
    "What is asked for; a mistake changes what is done to one parameter"
    def __init__(self, params: list, lr: float, beta: float) -> None:
        super().__init__(params, lr)
        self.beta, self.speeds = beta, [torch.zeros_like(p) for p in self.params]
    @torch.no_grad()
    def step(self) -> None:
        for i, p in enumerate(self.params):
            if p.grad is not None: self.one(i, p, p.grad)
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        self.speeds[i] = self.beta*self.speeds[i] + grad
        p -= self.lr*self.speeds[i]


def _put_gradients(params: Sequence[Tensor], grads: list) -> None:
    "In the same memory as the last ones, as `zero_grad(set_to_none=False)` leaves it"
    for p, g in zip(params, grads):
        if p.grad is None or g is None: p.grad = None if g is None else g.clone()
        else: p.grad.copy_(g)


def _walked(make: Callable, start: list, steps: list, lr: float, beta: float) -> list[Tensor]:
    "Where an optimizer takes the parameters"
    params = [p.detach().clone().requires_grad_() for p in start]
    opt = make(params, lr, beta)
    for grads in steps:
        _put_gradients(params, grads)
        opt.step()
    return [p.detach() for p in params]


def _one_step(opt: Any, params: Sequence[Tensor], grads: list) -> None:
    "Let the learner's optimizer take a step, every failure put into words"
    try: opt.step()
    except NotImplementedError: raise NotWritten() from None
    except Exception as e:
        expect(None not in [p.grad for p in params], 'a parameter without a gradient (its `.grad` is None) stops your '
                                                     'step: leave such a parameter alone')
        shapes = [tuple(p.shape) for p in params]
        hint = ''
        if re.search('shape|size', str(e)): hint = ': does every parameter have a speed of its own, in its own shape?'
        elif 'leaf' in str(e): hint = (': a step is no part of what backward() looks back on, so switch gradients off '
                                       'while it is made')
        wrong(f'your step raised {told(e)} (parameters of the shapes {shapes}){hint}')
    for p, g in zip(params, grads):
        expect(g is None or (p.grad is not None and p.grad.equal(g)),
               'your step changes `.grad`: is the speed the same memory as the gradient? Keep a tensor of its own')


@exercise
def momentum(answer: Answer) -> None:
    cases: list[tuple] = [([(3,)], 0.1, 0.9, 4, None), ([(4,), (4,)], 0.2, 0.8, 3, None),
                          ([(2, 3), (3,)], 0.05, 0.5, 5, None), ([(2,), (3, 2), (2,)], 0.1, 0.9, 3, 1),
                          ([(2, 2)], 0.3, 0.0, 2, None)]
    for shapes, lr, beta, n, frozen in cases:
        start = [torch.randn(s, generator=answer.generator).requires_grad_() for s in shapes]
        steps = [[None if i == frozen else torch.randn(s, generator=answer.generator) for i, s in enumerate(shapes)]
                 for _ in range(n)]
        opt = answer(start, lr, beta)
        params = answer.inputs[0]
        for name in ('step', 'zero_grad'):
            expect(callable(getattr(opt, name, None)), f'your optimizer has no method `{name}`')
        for grads in steps:
            _put_gradients(params, grads)
            _one_step(opt, params, grads)
        _run(opt.zero_grad, 'zero_grad')
        expect(all(p.requires_grad and p.is_leaf for p in params),
               'your parameters no longer ask for gradients: change their values in place, with gradients switched off')
        expect(not all(p.detach().equal(s.detach()) for p, s in zip(params, start)),
               'your step leaves the parameters where they are: the very tensors that were passed in have to move')
        for i, w in enumerate(_walked(_Momentum, start, steps, lr, beta)):
            def walked(make: Callable, i: int = i) -> Tensor: return _walked(make, start, steps, lr, beta)[i]
            same(params[i].detach(), w, what=f'parameter after {n} steps', mistakes=answer.mistakes(walked))


@mistake(momentum, 'yours takes plain steps of gradient descent: the speed of the last step is forgotten')
class NoSpeed(_Momentum):
    def one(self, i: int, p: Tensor, grad: Tensor) -> None: p -= self.lr*grad

@mistake(momentum, 'yours multiplies the gradient by 1 - beta: here the whole gradient is added to the speed')
class Damped(_Momentum):
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        self.speeds[i] = self.beta*self.speeds[i] + (1 - self.beta)*grad
        p -= self.lr*self.speeds[i]

@mistake(momentum, 'yours walks with the speed from before this gradient: the new speed first, then the step')
class OldSpeed(_Momentum):
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        p -= self.lr*self.speeds[i]
        self.speeds[i] = self.beta*self.speeds[i] + grad

@mistake(momentum, 'yours walks uphill: the speed is taken away from the parameter')
class Uphill(_Momentum):
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        self.speeds[i] = self.beta*self.speeds[i] + grad
        p += self.lr*self.speeds[i]

@mistake(momentum, "yours looks ahead by a second beta (that is Nesterov's momentum): the step is lr times the speed")
class LooksAhead(_Momentum):
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        self.speeds[i] = self.beta*self.speeds[i] + grad
        p -= self.lr*(grad + self.beta*self.speeds[i])

@mistake(momentum, 'your parameters share one speed: each needs its own')
class OneSpeed(_Momentum):
    speed: Any = 0.
    def one(self, i: int, p: Tensor, grad: Tensor) -> None:
        self.speed = self.beta*self.speed + grad
        p -= self.lr*self.speed
