"""The harness of `benchmarks.lr_problems`: networks of one shape, trained side by side as one stack.

Each network has its own first weights, batches and rate. `search` is `find_lr` for all of them at once; `check` holds
one of its curves beside that of `find_lr` itself.
"""
import torch
from torch import Tensor

from course_lib.lr_finder import LRCurve, find_lr, lr_sweep
from course_lib.lr_finder.search import _Stop


class Problem:
    """A stack of R networks of one shape, each with its own seed: `stack(seeds)` makes them, `forward(params, x)` runs
    them all"""
    opt, bs, steps, wd = "adam", 64, 160, 0.  # wd: weight decay, within the gradient or, for adamw, beside it
    x: tuple[Tensor, ...]
    y: Tensor
    vx: tuple[Tensor, ...]
    vy: Tensor

    def stack(self, seeds: list[int]) -> dict[str, Tensor]:
        "The weights of the networks of all seeds, along a new first dimension"
        raise NotImplementedError

    def forward(self, params: dict[str, Tensor], x: tuple[Tensor, ...]) -> Tensor:
        "The answers of all networks, each to its own batch"
        raise NotImplementedError

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        "The mean loss of each network"
        raise NotImplementedError

    def order(self, seed: int, steps: int, stream: int) -> Tensor:
        "Indices [steps, bs]: shuffled passes over the data, other ones for each seed and stream"
        g, n = torch.Generator().manual_seed(1000*(stream + 1) + seed), len(self.y)
        per = n//self.bs
        passes = [torch.randperm(n, generator=g)[:per*self.bs].view(per, self.bs) for _ in range(steps//per + 1)]
        return torch.cat(passes)[:steps]

    def batch(self, idx: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        "Inputs and targets of some examples"
        return tuple(x[idx] for x in self.x), self.y[idx]


def step(problem: Problem, params: dict[str, Tensor], state: dict, grads: tuple[Tensor, ...], lr: Tensor,
         t: int) -> None:
    "One optimizer step with a rate for each network, as torch.optim.Adam, AdamW or SGD(momentum=0.9) do it"
    for (k, w), g in zip(params.items(), grads):
        r = lr.view(-1, *[1]*(w.dim() - 1)).to(w.dtype)
        if problem.opt == "adamw": w.mul_(1 - r*problem.wd)
        elif problem.wd: g = g.add(w, alpha=problem.wd)
        if problem.opt == "sgd":
            m = state.setdefault(k, torch.zeros_like(w)).mul_(0.9).add_(g)
            w.sub_(r*m)
            continue
        m, v = state.setdefault(k, (torch.zeros_like(w), torch.zeros_like(w)))
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        w.sub_(r/(1 - 0.9**t)*m/((v/(1 - 0.999**t)).sqrt_() + 1e-8))


def train(problem: Problem, params: dict[str, Tensor], order: Tensor, rates: Tensor,
          looks: tuple[int, ...] = ()) -> tuple[Tensor, list[Tensor]]:
    """Train a stack in place on the batches [steps, R, bs] with the rates [steps, R]: losses [steps, R], and the
    validation losses [R] after some steps"""
    state: dict = {}
    losses, seen = [], []
    for t, lr in enumerate(rates, 1):
        x, y = problem.batch(order[t-1])
        for w in params.values(): w.requires_grad_(True)
        loss = problem.loss(problem.forward(params, x), y)
        grads = torch.autograd.grad(loss.sum(), list(params.values()))
        for w in params.values(): w.requires_grad_(False)
        step(problem, params, state, grads, lr, t)
        losses.append(loss.detach().double())
        if t in looks: seen.append(validate(problem, params))
    return torch.stack(losses), seen


@torch.no_grad()
def validate(problem: Problem, params: dict[str, Tensor]) -> Tensor:
    "Validation losses [R] of a stack"
    size = len(next(iter(params.values())))
    out = []
    for part in torch.arange(size).split(32):
        *x, y = (v.expand(len(part), *v.shape) for v in (*problem.vx, problem.vy))
        out.append(problem.loss(problem.forward({k: v[part] for k, v in params.items()}, tuple(x)), y))
    return torch.cat(out).double()


def search(problem: Problem, seeds: list[int], num_it: int = 100) -> list[LRCurve]:
    "A curve for each seed, stopped as `find_lr` stops; its batches are other ones than those of the runs"
    rates, curves = lr_sweep(num_it=num_it), []
    order = torch.stack([problem.order(s, num_it, stream=1) for s in seeds], 1)
    losses, _ = train(problem, problem.stack(seeds), order, rates[:, None].expand(-1, len(seeds)))
    for run in losses.T:
        stop, n = _Stop(), 0
        for x in run.tolist():
            n += 1
            if stop(x): break
        curves.append(LRCurve(rates[:n], (run[:n],), num_it))
    return curves


def check(problem: Problem) -> None:
    "The stacked search is `find_lr`: the same curve from a torch module, a torch optimizer and a list of batches"
    start = problem.stack([0])

    class Net(torch.nn.Module):
        "The stack as a module"
        def __init__(self) -> None:
            super().__init__()
            self.p = torch.nn.ParameterList([torch.nn.Parameter(v) for v in start.values()])

        def forward(self, *x: Tensor) -> Tensor: return problem.forward(dict(zip(start, self.p)), x)

    net, order = Net(), problem.order(0, 100, 1)
    batches = [(*(v[None] for v in x), y[None]) for x, y in map(problem.batch, order)]
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[problem.opt]
    more = {"momentum": 0.9} if problem.opt == "sgd" else {}
    opt = make(net.parameters(), 0.1, weight_decay=problem.wd, **more)
    ours, peer = find_lr(net, batches, lambda o, y: problem.loss(o, y).sum(), opt), search(problem, [0])[0]
    calm = peer.lrs < 1e-2
    torch.testing.assert_close(ours.losses[:len(calm)][calm], peer.losses[calm], rtol=2e-3, atol=1e-4)
