"""What find_lr costs: time for each iteration beside the bare loop, and saving and restoring a large model.

`python -m benchmarks.lr_finder_cost [--rounds 21]` writes results/lr_finder_cost.md and .csv. Search and bare loop are
called in turn, and ratios are taken round by round; a model is saved beside a file, as fastai's finder does it.
"""
import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import interleaved, machine, ratio, write
from course_lib.lr_finder import find_lr, lr_sweep
from course_lib.state import Snapshot
from course_lib.timing import median_ci

SHAPES = (64, 64), (512, 128)  # width of the network, batch size
SHORT, LONG = 100, 500  # iterations


def searches(width: int, bs: int) -> tuple[Callable[[int], object], Callable[[int], object]]:
    "A search of n iterations, and the bare loop with the same rates"
    net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    data = torch.utils.data.TensorDataset(torch.randn(bs*20, 64), torch.randint(0, 10, (bs*20,)))
    dl, opt = torch.utils.data.DataLoader(data, bs), torch.optim.Adam(net.parameters())
    loss_func = nn.CrossEntropyLoss()
    start = {k: v.clone() for k, v in net.state_dict().items()}
    def bare(n: int) -> None:
        net.load_state_dict(start)
        opt.state.clear()
        batches = iter(())
        for lr in lr_sweep(end_lr=1e-3, num_it=n).tolist():
            if (batch := next(batches, None)) is None:
                batches = iter(dl)
                batch = next(batches)
            opt.param_groups[0]["lr"] = lr
            opt.zero_grad()
            loss = loss_func(net(batch[0]), batch[1])
            loss.backward()
            opt.step()
            loss.item()
    def ours(n: int) -> object: return find_lr(net, dl, loss_func, opt, end_lr=1e-3, stop_div=False, num_it=n)
    return ours, bare


def overhead(width: int, bs: int, rounds: int) -> list[dict]:
    "Time of a search over that of the bare loop: of the first 100 iterations, of the 400 after them, and the constant"
    ours, bare = searches(width, bs)
    t = interleaved({(name, n): lambda run=run, n=n: run(n) for n in (SHORT, LONG)
                     for name, run in (("ours", ours), ("bare", bare))}, rounds)
    def beyond(name: str) -> list[float]: return [b - a for a, b in zip(t[name, SHORT], t[name, LONG])]
    each = median_ci([a/b for a, b in zip(beyond("ours"), beyond("bare"))], "x")
    share = SHORT/(LONG - SHORT)
    fixed = median_ci([1e3*(a - b - share*(c - d)) for a, b, c, d in zip(
        t["ours", SHORT], t["bare", SHORT], beyond("ours"), beyond("bare"))], "ms")
    shape = f"64-{width}-{width}-10, batches of {bs}"
    return [row(f"time per iteration over the bare loop, {shape} ({LONG - SHORT} iterations beyond the first {SHORT})",
                each, "x", 1.05),
            row(f"the same over the first {SHORT} iterations, checks, saving and restoring among them",
                ratio(t["ours", SHORT], t["bare", SHORT]), "x"),
            row("what checks, saving and restoring cost once", fixed, "ms")]


def row(what: str, measured: object, unit: str, goal: float | None = None) -> dict:
    "A line of the table; the goal is held against the median"
    met = "" if goal is None else "met" if getattr(measured, "value", measured) <= goal else "missed"
    return {"what": what, "measured": measured, "unit": unit, "goal": "" if goal is None else goal, "the median": met}


def large_model() -> tuple[nn.Module, torch.optim.Optimizer, list[Tensor]]:
    "26 million parameters with Adam's state, and all of their tensors"
    net = nn.ModuleList([nn.Linear(500, 325) for _ in range(160)])
    opt = torch.optim.Adam(net.parameters())
    for p in net.parameters(): p.grad = torch.zeros_like(p)
    opt.step()
    opt.zero_grad()
    return net, opt, [*net.parameters(), *(v for s in opt.state.values() for v in s.values())]


def through_a_file(net: nn.Module, opt: torch.optim.Optimizer) -> None:
    "Save and load, as fastai's finder does"
    with tempfile.TemporaryDirectory() as place:
        torch.save({"model": net.state_dict(), "opt": opt.state_dict()}, Path(place)/"x.pth")
        saved = torch.load(Path(place)/"x.pth")
    net.load_state_dict(saved["model"])
    opt.load_state_dict(saved["opt"])


def snapshot(rounds: int) -> list[dict]:
    "Seconds to save and restore a large model, and the snapshot's size over that of its tensors"
    net, opt, state = large_model()
    snap, there = Snapshot(net, opt), [v.detach().clone() for v in state]
    times = interleaved({
        "both": lambda: Snapshot(net, opt).restore(), "file": lambda: through_a_file(net, opt),
        "saving": lambda: Snapshot(net, opt), "putting back": snap.restore,
        "copy": lambda: [a.copy_(b.detach()) for a, b in zip(there, state)]}, rounds)
    took = {name: median_ci(of, "s") for name, of in times.items()}
    millions = sum(p.numel() for p in net.parameters())/1e6
    size = snap.nbytes/sum(t.numel()*t.element_size() for t in state)
    return [row(f"saving and restoring {millions:.1f} million parameters with Adam, in memory", took["both"], "s", 0.1),
            row("the same through a file, as fastai's finder does", took["file"], "s"),
            *(row(f"{name} alone", took[name], "s") for name in ("saving", "putting back")),
            row("copying the same tensors once into memory already in use", took["copy"], "s"),
            row("snapshot size over parameters, buffers and optimizer state", size, "x", 1)]


def main() -> None:
    "Measure and write the page"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    torch.manual_seed(0)
    rows = [r for width, bs in SHAPES for r in overhead(width, bs, args.rounds)] + snapshot(args.rounds)
    write("lr_finder_cost", "# What a search costs\n\n" + machine("course_lib") + " Medians with 95 % intervals over "
          f"{args.rounds} rounds, on a machine that others used too.", rows)


if __name__ == "__main__": main()
