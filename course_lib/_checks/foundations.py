"What the exercises of the chapter on the foundations are held against"
import re

import torch

from course_lib.exercises import Wrong, exercise, expect, same, wrong
from course_lib.foundations import l1


def _run(fn, what):
    "fn(), every failure put into words"
    try: return fn()
    except Wrong: raise
    except NotImplementedError: wrong('not written yet: put your own lines in the place of `raise NotImplementedError`')
    except Exception as e: wrong(f'your {what} raised {type(e).__name__}: {e}')


def _where_it_fits(fn):
    "fn, or None where the shapes do not fit the mistake"
    def attempt():
        try: return fn()
        except RuntimeError: return None
    return attempt


@exercise
def root_mean_squared_error(answer):
    for shape in [(7,), (3, 5), (1, 4), (2, 3, 4)]:
        a, b = torch.randn(2, *shape, generator=answer.generator)
        d = a - b
        same(answer(a, b), d.square().mean().sqrt(), what='error', mistakes={
            'yours is the mean squared error: the root is missing, so its unit is the square of the unit of the values': d.square().mean(),
            'yours is the mean absolute error: the root of each square only takes the sign off, so take it once, at the end': d.abs().mean(),
            'yours is the root of the sum: it grows with the number of values, divide by their number before the root': d.square().sum().sqrt(),
            'yours divides by the number of values after the root: the mean belongs under the root': d.square().sum().sqrt()/d.numel(),
            'yours lets differences of opposite sign cancel: square each one before you average': lambda: d.mean().abs(),
            'yours averages before it squares, and opposite signs cancel: each difference is squared first': lambda: d.mean().square().sqrt(),
            'yours gives one error for each row: a single number over all values is asked for': lambda: d.square().mean(-1).sqrt(),
            'yours takes a root for each row and averages the roots: there is one mean over all values, and one root': lambda: d.square().mean(-1).sqrt().mean(),
        })


@exercise
def weighted_sums(answer):
    def layer(x, weight, bias): return x @ weight.T + bias
    for n, n_in, n_out in [(4, 4, 4), (5, 3, 2), (1, 6, 3), (3, 2, 1), (2, 5, 7)]:
        x, weight, bias = [torch.randn(*s, generator=answer.generator) for s in [(n, n_in), (n_out, n_in), (n_out,)]]
        want = layer(x, weight, bias)
        same(answer(x, weight, bias), want, what='output', mistakes={
            'yours takes the columns of `weight`: one row of it belongs to each output, so it has to be turned over': _where_it_fits(lambda: x @ weight + bias),
            'the weighted sums are right and the bias is missing: an input of zeros should give the bias': want - bias,
            'yours adds the bias along the batch, a number for each item: it has a number for each output': _where_it_fits(lambda: x @ weight.T + bias[:, None]),
            'yours adds the bias before the result is turned over, so it goes along the batch: it has a number for each output': _where_it_fits(lambda: weight @ x.T + bias),
            'yours is the mean of the products, not their sum': lambda: x @ weight.T/n_in + bias,
            'yours bends the sums as well: what is below zero must stay below zero here': want.relu(),
            'the values are right and stand on their side: a row of the result belongs to an item of the batch': want.T,
            'yours multiplies by the bias: it is added': lambda: (x @ weight.T)*bias,
            'yours gives one number for each item: sum over the inputs, and keep the outputs apart': want.sum(1),
            'yours answers the first item only: every row of `x` needs its sums': want[0],
            'yours gives every item the sums of the first one': want[:1].expand_as(want),
        })


@exercise
def standardise_pixels(answer):
    for n, h, w in [(5, 3, 4), (7, 2, 5), (4, 3, 3), (6, 2, 1)]:
        xs = torch.rand(n, h, w, generator=answer.generator)*torch.linspace(0.5, 3, w) + torch.linspace(0, 2, n)[:, None, None] + 1
        mean, std = xs.mean(0), xs.std(0)
        want = (xs - mean)/std
        same(answer(xs), want, what='standardised stack', rtol=1e-3, atol=1e-5, mistakes={
            'yours uses one mean and one standard deviation for all numbers: every pixel position has its own': (xs - xs.mean())/xs.std(),
            'yours standardises each picture by itself: the mean is taken over the pictures, at each position': lambda: (xs - xs.mean((1, 2), keepdim=True))/xs.std((1, 2), keepdim=True),
            'yours standardises along the rows of a picture: the pictures lie along axis 0': lambda: (xs - xs.mean(1, keepdim=True))/xs.std(1, keepdim=True),
            'yours has mean 0 and its old spread: divide by the standard deviation as well': xs - mean,
            'yours divides by the variance: its unit is the square of that of the values, so its root is needed': (xs - mean)/std.square(),
            'yours divides without taking the mean away first': xs/std,
            'yours divides the squares by n: PyTorch\'s own standard deviation, with n - 1, is asked for': lambda: (xs - mean)/xs.std(0, correction=0),
        })
    still = torch.rand(7, 3, 4, generator=answer.generator)
    still[:, 0, 0], still[:, 2, 1], still[:, 1, 3] = 0., 0.7, 1/3
    got = answer(still)
    expect(isinstance(got, torch.Tensor) and got.shape == still.shape, f'pictures of the shape {list(still.shape)} are asked for')
    never = got[:, [0, 2, 1], [0, 1, 3]]
    expect(not never.isnan().any() and not never.isinf().any(), 'a position that never changes has the standard deviation 0, and dividing by it gives nan: such a position should become 0')
    expect(never.abs().max() < 1e-6, f'a position that never changes should be 0, yours is {never.abs().max().item():.2g} there: the mean of equal numbers can be off in the last digit, '
           'and a division by something tiny makes that large. Ask for such positions by another way than their standard deviation')
    faint = torch.rand(6, 2, 3, generator=answer.generator)*1e-3 + 0.5
    got, spread = answer(faint), None
    if isinstance(got, torch.Tensor) and got.shape == faint.shape: spread = got.std(0).mean().item()
    expect(spread is not None and abs(spread - 1) < 0.01, f'positions that change by as little as a thousandth should get the standard deviation 1 too, yours get {spread if spread is None else round(spread, 3)}: '
           'is something added to the divisor, or is it held above too large a number?')


@exercise
def class_distances(answer):
    for n, c, h, w in [(4, 3, 2, 5), (1, 2, 3, 3), (3, 3, 4, 2), (5, 1, 2, 2), (6, 10, 3, 4)]:
        xs, means = torch.rand(n, h, w, generator=answer.generator), torch.rand(c, h, w, generator=answer.generator)
        want, d = l1(xs[:, None], means), xs[:, None] - means
        same(answer(xs, means), want, what='table of distances', mistakes={
            'yours is the sum of the absolute differences: divide by the number of pixels': d.abs().sum((2, 3)),
            'yours lets dark and light pixels cancel: take the sign off each difference before you average': d.mean((2, 3)),
            'yours takes the sign off after averaging, when dark and light pixels have cancelled already': d.mean((2, 3)).abs(),
            'yours squares the differences: the mean absolute difference is asked for': d.square().mean((2, 3)),
            'yours is the root of the mean squared difference: the mean absolute difference is asked for': d.square().mean((2, 3)).sqrt(),
            'the distances are right and turned over: a row for each picture, a column for each class': want.T,
            'yours compares picture i with class i only: every picture needs its distance to every class': _where_it_fits(lambda: (xs - means).abs().mean((1, 2))),
            'yours is the distance to the nearest class alone: keep all of them': want.min(1).values,
            'yours is the number of the nearest class: the distances are asked for': want.argmin(1),
            'yours keeps an axis of pixels: average over both the rows and the columns of a picture': lambda: d.abs().mean(2),
            'yours keeps the axis of pixel rows: average over both the rows and the columns of a picture': lambda: d.abs().mean(3),
        })


@exercise
def numerical_gradient(answer):
    def cubes(w): return (w**3).sum()
    def waves(w): return (torch.sin(2*w)*torch.arange(1, w.numel() + 1, dtype=w.dtype).view(w.shape)).sum()
    def tied(w): return w.prod() + w.square().sum()
    def slopes(f, w, up, down, over):
        out = torch.zeros_like(w)
        for i in range(w.numel()):
            nudge = torch.zeros(w.numel(), dtype=w.dtype)
            nudge[i] = 1
            nudge = nudge.view(w.shape)
            out.view(-1)[i] = (f(w + up*nudge) - f(w - down*nudge))/over
        return out
    for f, shape, h in [(cubes, (4,), 0.1), (cubes, (2, 3), 0.05), (waves, (3, 2), 0.2), (tied, (1, 4), 1e-3), (tied, (5,), 0.1), (cubes, (), 0.1), (waves, (2, 1, 3), 1e-2)]:
        w = torch.randn(shape, generator=answer.generator, dtype=torch.float64) + 0.5
        want = slopes(f, w, h, h, 2*h)
        exact = torch.autograd.grad(f(v := w.clone().requires_grad_()), v)[0]
        def at_once(): return ((f(w + h) - f(w - h))/(2*h)).expand(shape).clone()
        def by_rows(): return torch.stack([(f(w + h*e) - f(w - h*e))/(2*h)*torch.ones_like(w[0]) for e in _rows(w)])
        def left_moved():
            v, out = w.clone(), torch.zeros_like(w)
            for i in range(v.numel()):
                v.view(-1)[i] += h; high = f(v)
                v.view(-1)[i] -= 2*h
                out.view(-1)[i] = (high - f(v))/(2*h)
            return out
        same(answer(f, w, h), want, what='gradient', rtol=1e-6, atol=1e-8, mistakes={
            'yours looks to one side only: nudge up and down, the error is then far smaller': slopes(f, w, h, 0, h),
            'yours looks down only: nudge up as well': slopes(f, w, 0, h, h),
            'yours is twice too large: from one nudged place to the other it is two steps of `h`': 2*want,
            'yours has the wrong sign: the value above minus the value below': -want,
            'yours is the difference of the values: a slope is that difference divided by the way walked': 2*h*want,
            'yours is not the slope over steps of `h`: is `h` used, or a step of your own, or autograd?': exact,
            'yours nudges all parameters at once: nudge one, with the others where they were': at_once,
            'yours nudges a whole row at a time: with more than one axis every single number has its turn': lambda: by_rows() if w.ndim > 1 else want,
            'yours does not put a number back before it nudges the next one': left_moved,
            'the values are right and stand in a row: give them the shape of `w`': want.flatten(),
            'yours gives one number: the gradient has a number for each parameter': lambda: want.sum(),
        })


def _rows(w):
    for i in range(len(w)):
        e = torch.zeros_like(w)
        e[i] = 1
        yield e


@exercise
def minibatches(answer):
    def call(n, size, seed):
        gen = torch.Generator().manual_seed(seed)
        state = gen.get_state()
        got = answer(n, size, gen)
        expect(isinstance(got, (list, tuple)), f'a list of index tensors is asked for, yours is a {type(got).__name__}')
        for b in got: expect(isinstance(b, torch.Tensor) and b.ndim == 1, f'each batch should be a tensor with one axis that holds positions, yours holds {b!r:.60}')
        for b in got: expect(b.dtype == torch.int64, f'positions are whole numbers (int64), yours are {str(b.dtype).removeprefix("torch.")}')
        return [b.tolist() for b in got], not answer.inputs[2].get_state().equal(state)
    for n, size in [(10, 4), (12, 3), (7, 7), (5, 8), (1, 3), (9, 1), (100, 16)]:
        got, moved = call(n, size, n)
        flat, sizes, want = [i for b in got for i in b], [len(b) for b in got], [size]*(n//size) + [n % size]*(n % size > 0)
        told = f'with {n} items in batches of {size},'
        expect(0 not in sizes, f'{told} there is an empty batch in yours: when the items come out even, nothing is left for another batch')
        expect(not flat or max(flat) < n, f'{told} the positions go from 0 to {n - 1}, yours go up to {max(flat, default=0)}')
        twice = sorted({i for i in flat if flat.count(i) > 1})
        expect(not twice, f'{told} position {min(twice, default=0)} comes more than once: draw without putting back, so that an epoch shows every item once')
        expect(len(flat) >= n, f'{told} {n - len(flat)} of the {n} items are never shown: the last batch may be smaller, and it belongs to the epoch')
        if len(got) == size != len(want): wrong(f'{told} yours gives {len(got)} batches: the number is the size of a batch, not how many there are')
        expect(sizes == want, f'{told} the sizes should be {want}, yours are {sizes}')
        if n >= 9:
            expect(flat != list(range(n)), f'{told} yours come in their old order: nothing was shuffled')
            expect(size == 1 or any(b != list(range(b[0], b[0] + len(b))) for b in got), f'{told} yours shuffles whole batches: the same items always meet, shuffle the items before they are cut')
            expect(moved, 'nothing was drawn from `generator`: your order comes from somewhere else, and the next epoch would begin where this one began')
    orders = {tuple(i for b in call(12, 4, seed)[0] for i in b) for seed in range(4)}
    expect(len(orders) > 1, 'generators with different seeds give the same order: is the generator seeded again inside?')
    first, again = call(30, 4, 3)[0], call(30, 4, 3)[0]
    expect(first == again, 'a generator with the same seed gives another order each time: take the whole draw from `generator`')


@exercise
def seven_steps(answer):
    def descend(f, start, lr, good_enough, max_steps, sign=1, clear=True, stop=lambda error, good: error <= good):
        w, losses, total = start.clone(), [], torch.zeros_like(start)
        while True:
            v = w.clone().requires_grad_()
            error = f(v)
            losses.append(error.item())
            if stop(losses[-1], good_enough) or len(losses) > max_steps: return w, losses
            slope, = torch.autograd.grad(error, v)
            total = slope if clear else total + slope
            w = w - sign*lr*total
    def bowl(w): return ((w - torch.tensor([2., -1.]))**2).sum() + 0.25
    def bent(w): return (w**4).mean() + w.square().sum()
    flat = torch.tensor([2., -1.])
    for f, start, lr, good, most, why in [
        (bowl, torch.tensor([5., 3.]), 0.1, 0.3, 100, ''), (bowl, torch.tensor([5., 3.]), 0.02, 0.1, 7, 'steps'), (bent, torch.tensor([[0.9], [-0.4], [0.2]]), 0.05, 1e-3, 60, ''),
        (bowl, flat, 0.1, 0.25, 20, 'there'), (bowl, torch.tensor([0., 0.]), 0.3, 0.0, 1, 'steps'), (bowl, torch.tensor([1., 1.]), 0.3, 0.0, 0, 'none'),
    ]:
        want_w, want_losses = descend(f, start, lr, good, most)
        got = answer(f, start, lr, good, most)
        expect(isinstance(got, (tuple, list)) and len(got) == 2, 'two things are asked for: the parameters, and the list of losses')
        w, losses = got
        expect(isinstance(w, torch.Tensor) and w.shape == start.shape, f'the parameters should be a tensor of the shape {list(start.shape)}')
        expect(isinstance(losses, (list, tuple)), f'the losses should be a list, yours is a {type(losses).__name__}')
        losses = [float(x.detach() if isinstance(x, torch.Tensor) else x) for x in losses]
        expect(losses, 'your list of losses is empty: the first one is the loss at `start`')
        if why == 'there':
            expect(len(losses) == 1, f'at the start the loss is {want_losses[0]:g}, and {good:g} is good enough: no step is needed, yours takes {len(losses) - 1}. Ask before you step, and count "equal" as good enough')
        for message, kind in {
            'your losses grow: the gradient points uphill, and a step goes the other way': dict(sign=-1),
            'yours walks with the sum of all gradients so far: clear them after each step': dict(clear=False),
        }.items():
            bad = descend(f, start, lr, good, most, **kind)[1]
            if bad != want_losses and len(bad) > 1 and len(losses) == len(bad): same(losses, want_losses, what='list of losses', rtol=1e-3, mistakes={message: bad})
        if len(losses) == len(want_losses) - 1: wrong(f'yours has {len(losses)} losses after {len(want_losses) - 1} steps: the first is that of the start, and the last that of the parameters you return')
        if why in ('steps', 'none'): expect(len(losses) <= most + 1, f'`max_steps` is {most}, so there are at most {most + 1} losses, yours has {len(losses)}: when it is reached, stop')
        if len(losses) == len(want_losses) + 1: wrong(f'yours takes a step more after a loss of {want_losses[-1]:.3g}, when {good:g} is good enough: stop before the step')
        if len(losses) == 2 and len(want_losses) > 2 and good < losses[-1]: wrong('yours stops after the first step: repeat until the loss is good enough')
        same(losses, want_losses, what='list of losses', rtol=1e-3, mistakes={
            'yours does not use `lr`: the step is the learning rate times the gradient': lambda: descend(f, start, 1., good, most)[1],
            'yours takes steps of one length: a step is `lr` times the gradient, small where the ground is flat': lambda: _sign_losses(f, start, lr, good, most),
            'your losses do not change: do the parameters that you step with reach the next prediction?': [want_losses[0]]*len(want_losses),
        })
        expect(not w.requires_grad, 'the parameters that you return still keep a record for gradients: hand them over without it')
        same(w, want_w, what='parameters', rtol=1e-3, mistakes={
            'yours returns the parameters it began with': start,
            'your losses are right, and the parameters you return are those of one step earlier': lambda: descend(f, start, lr, good, len(want_losses) - 2)[0],
        })


def _sign_losses(f, start, lr, good, most):
    w, losses = start.clone(), []
    while True:
        v = w.clone().requires_grad_()
        error = f(v)
        losses.append(error.item())
        if losses[-1] <= good or len(losses) > most: return losses
        w = w - lr*torch.autograd.grad(error, v)[0].sign()


@exercise
def momentum(answer):
    def walk(start, grads, lr, beta, kind):
        w, v = [p.detach().clone() for p in start], [torch.zeros_like(p) for p in start]
        for step in grads:
            for i, g in enumerate(step):
                if g is None: continue
                old, v[i] = v[i], beta*v[i] + (1 - beta if kind == 'damped' else 1)*g
                w[i] = w[i] - lr*{'late': old, 'plain': g, 'up': -v[i], 'ahead': g + beta*v[i]}.get(kind, v[i])
                if kind == 'reset': v[i] = torch.zeros_like(v[i])
        return w
    for shapes, lr, beta, n, frozen in [([(3,)], 0.1, 0.9, 4, None), ([(2, 3), (3,)], 0.05, 0.5, 5, None), ([(4,), (4,)], 0.2, 0.8, 3, None), ([(2,), (3, 2), (2,)], 0.1, 0.9, 3, 1), ([(2, 2)], 0.3, 0.0, 2, None)]:
        start = [torch.randn(s, generator=answer.generator).requires_grad_() for s in shapes]
        grads = [[None if i == frozen else torch.randn(s, generator=answer.generator) for i, s in enumerate(shapes)] for _ in range(n)]
        opt = answer(start, lr, beta)
        params = answer.inputs[0]
        for name in ('step', 'zero_grad'): expect(callable(getattr(opt, name, None)), f'your optimizer has no method `{name}`')
        for step in grads:
            for p, g in zip(params, step):  # in the same memory as the last one, as zero_grad(set_to_none=False) leaves it
                if p.grad is None or g is None: p.grad = None if g is None else g.clone()
                else: p.grad.copy_(g)
            try: opt.step()
            except NotImplementedError: wrong('not written yet: put your own lines in the place of `raise NotImplementedError`')
            except Exception as e:
                if frozen is not None: wrong('a parameter without a gradient (its `.grad` is None) stops your step: leave such a parameter alone')
                hint = (': does every parameter have a speed of its own, in its own shape?' if re.search('shape|size', str(e)) else
                        ': a step is no part of what backward() looks back on, so switch gradients off while it is made' if 'leaf' in str(e) else '')
                wrong(f'your step raised {type(e).__name__}: {e} (parameters of the shapes {shapes}){hint}')
            for p, g in zip(params, step):
                expect(g is None or (p.grad is not None and p.grad.equal(g)), 'your step changes `.grad`: is the speed the same memory as the gradient? Keep a tensor of its own')
        _run(opt.zero_grad, 'zero_grad')
        want = walk(start, grads, lr, beta, '')
        expect(all(p.requires_grad and p.is_leaf for p in params), 'your parameters no longer ask for gradients: change their values in place, with gradients switched off')
        if all(p.detach().equal(s.detach()) for p, s in zip(params, start)): wrong('your step leaves the parameters where they are: the very tensors that were passed in have to move')
        for i, (p, w) in enumerate(zip(params, want)):
            def took(kind, i=i): return walk(start, grads, lr, beta, kind)[i]
            def shared(i=i):
                if len({tuple(s) for s in shapes}) > 1: return want[i]
                v, ws = torch.zeros(shapes[0]), [s.detach().clone() for s in start]
                for step in grads:
                    for j, g in enumerate(step):
                        v = beta*v + g
                        ws[j] = ws[j] - lr*v
                return ws[i]
            same(p.detach(), w, what=f'parameter after {n} steps', mistakes={
                'yours takes plain steps of gradient descent: the speed of the last step is forgotten': took('plain'),
                'yours starts each step with the speed zero': took('reset'),
                'yours multiplies the gradient by 1 - beta: here the whole gradient is added to the speed': took('damped'),
                'yours walks with the speed from before this gradient: the new speed first, then the step': took('late'),
                'yours walks uphill: the speed is taken away from the parameter': took('up'),
                'yours looks ahead by a second beta (that is Nesterov\'s momentum): the step is lr times the speed': took('ahead'),
                'your parameters share one speed: each needs its own': shared,
            })
