"Plausible wrong answers to the exercises of the chapter on the foundations, each with the words its message must hold"
import torch

from course_lib.foundations import SGD

from . import mutant


@mutant('root_mean_squared_error', says='in place')
def writes_into_preds(preds, targets): return preds.sub_(targets).square().mean().sqrt()

@mutant('root_mean_squared_error', says='should be a tensor')
def gives_a_float(preds, targets): return (preds - targets).square().mean().sqrt().item()


@mutant('weighted_sums', says='in place')
def adds_to_bias(x, weight, bias): return bias.add_((x @ weight.T)[0]).expand(len(x), -1)


@mutant('standardise_pixels', says='dividing by it gives nan')
def still_pixels_forgotten(xs): return (xs - xs.mean(0))/xs.std(0)

@mutant('standardise_pixels', says='off in the last digit')
def tiny_epsilon(xs): return (xs - xs.mean(0))/(xs.std(0) + 1e-8)

@mutant('standardise_pixels', says='as little as a thousandth')
def large_floor(xs):
    still = xs.amax(0) == xs.amin(0)
    return torch.where(still, 0., (xs - xs.mean(0))/xs.std(0).clamp(min=1e-2))


@mutant('standardise_pixels', says='in place')
def subtracts_in_place(xs):
    spread = xs.std(0)
    return xs.sub_(xs.mean(0))/spread


@mutant('class_distances', says='in place')
def brightens(xs, means): return (xs.mul_(1.5)[:, None] - means).abs().mean((2, 3))


@mutant('numerical_gradient', says='is `h` used')
def by_autograd(f, w, h): return torch.autograd.grad(f(v := w.clone().requires_grad_()), v)[0]


@mutant('numerical_gradient', says='in place')
def nudges_the_input(f, w, h):
    out = torch.zeros_like(w)
    for i in range(w.numel()):
        w.view(-1)[i] += h
        high = f(w)
        w.view(-1)[i] -= 2*h
        out.view(-1)[i] = (high - f(w))/(2*h)
    return out


@mutant('minibatches', says='old order')
def in_order(n, batch_size, generator): return list(torch.arange(n).split(batch_size))

@mutant('minibatches', says='more than once')
def with_replacement(n, batch_size, generator):
    return list(torch.randint(n, (n,), generator=generator).split(batch_size))

@mutant('minibatches', says='never shown')
def drops_last(n, batch_size, generator):
    order = torch.randperm(n, generator=generator)
    return [order[i:i + batch_size] for i in range(0, n - batch_size + 1, batch_size)]

@mutant('minibatches', says='drawn from `generator`')
def global_order(n, batch_size, generator): return list(torch.randperm(n).split(batch_size))

@mutant('minibatches', says='seeded again')
def seeds_again(n, batch_size, generator):
    return list(torch.randperm(n, generator=generator.manual_seed(0)).split(batch_size))

@mutant('minibatches', says='shuffles whole batches')
def shuffles_batches(n, batch_size, generator):
    batches = torch.arange(n).split(batch_size)
    whole, rest = [b for b in batches if len(b) == batch_size], [b for b in batches if len(b) < batch_size]
    return [whole[i] for i in torch.randperm(len(whole), generator=generator)] + rest

@mutant('minibatches', says='not how many there are')
def so_many_batches(n, batch_size, generator):
    return list(torch.randperm(n,
                               generator=generator).tensor_split(batch_size)) if n > batch_size else [torch.randperm(n,
                                   generator=generator)]

@mutant('minibatches', says='empty batch')
def one_batch_more(n, batch_size, generator):
    order = torch.randperm(n, generator=generator)
    return [order[i*batch_size:(i + 1)*batch_size] for i in range(n//batch_size + 1)]

@mutant('minibatches', says='go up to')
def counts_from_one(n, batch_size, generator):
    return list((torch.randperm(n, generator=generator) + 1).split(batch_size))


@mutant('seven_steps', says='no step is needed')
def asks_after_the_step(loss_func, start, lr, good_enough, max_steps):
    w, losses = start.clone().requires_grad_(), []
    for _ in range(max_steps):
        error = loss_func(w)
        losses.append(error.item())
        slope, = torch.autograd.grad(error, w)
        w = (w - lr*slope).detach().requires_grad_()
        if loss_func(w) <= good_enough: break
    return w.detach(), losses + [loss_func(w).item()]

@mutant('seven_steps', says='`max_steps` is')
def one_step_too_many(loss_func, start, lr, good_enough, max_steps):
    return _descend(loss_func, start, lr, good_enough, max_steps + 1)

@mutant('seven_steps', says='never ends|`max_steps` is')
def forgets_max_steps(loss_func, start, lr, good_enough, max_steps):
    return _descend(loss_func, start, lr, good_enough, 1000)

@mutant('seven_steps', says='that of the start')
def losses_without_the_last(loss_func, start, lr, good_enough, max_steps):
    w, losses = _descend(loss_func, start, lr, good_enough, max_steps)
    return w, losses[:-1] if len(losses) > 1 else losses

@mutant('seven_steps', says='record for gradients')
def keeps_the_record(loss_func, start, lr, good_enough, max_steps):
    w, losses = _descend(loss_func, start, lr, good_enough, max_steps)
    return w.requires_grad_(), losses


@mutant('seven_steps', says='in place')
def moves_the_start(loss_func, start, lr, good_enough, max_steps):
    w, losses = _descend(loss_func, start, lr, good_enough, max_steps)
    return start.copy_(w), losses

@mutant('seven_steps', says='`equal`|"equal"')
def strictly_below(loss_func, start, lr, good_enough, max_steps):
    return _descend(loss_func, start, lr, good_enough - 1e-7, max_steps)

def _descend(loss_func, start, lr, good_enough, max_steps):
    w, losses = start.clone(), []
    while True:
        v = w.clone().requires_grad_()
        error = loss_func(v)
        losses.append(error.item())
        if error <= good_enough or len(losses) > max_steps: return w, losses
        w = w - lr*torch.autograd.grad(error, v)[0]


class _Base(SGD):
    def __init__(self, params, lr, beta):
        super().__init__(params, lr)
        self.beta, self.speeds = beta, [torch.zeros_like(p) for p in self.params]
    @torch.no_grad()
    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is not None: self.one(i, p)
    def one(self, i, p):
        self.speeds[i] = self.beta*self.speeds[i] + p.grad
        p -= self.lr*self.speeds[i]


@mutant('momentum', says='changes `.grad`')
class SpeedIsGradient(_Base):
    def one(self, i, p):
        p.grad.add_(self.beta*self.speeds[i])
        self.speeds[i] = p.grad
        p -= self.lr*p.grad

@mutant('momentum', says='leave such a parameter alone')
class NeedsEveryGradient(_Base):
    @torch.no_grad()
    def step(self):
        for i, p in enumerate(self.params): self.one(i, p)

@mutant('momentum', says='leaves the parameters where they are')
class MovesCopies(_Base):
    def one(self, i, p):
        self.speeds[i] = self.beta*self.speeds[i] + p.grad
        p = p - self.lr*self.speeds[i]

@mutant('momentum', says='switch gradients off')
class KeepsTheRecord(_Base):
    def step(self):
        for i, p in enumerate(self.params): self.one(i, p)


@mutant('momentum', says='same memory as the gradient')
class FirstSpeedIsTheGradient(SGD):
    def __init__(self, params, lr, beta):
        super().__init__(params, lr)
        self.beta, self.speeds = beta, [None]*len(self.params)
    @torch.no_grad()
    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is None: continue
            if self.speeds[i] is None: self.speeds[i] = p.grad
            else: self.speeds[i].mul_(self.beta).add_(p.grad)
            p -= self.lr*self.speeds[i]


@mutant('weighted_sums', says='from the other side')
def the_formula_of_books(x, weight, bias): return torch.matmul(weight, x) + bias
