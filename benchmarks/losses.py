"""Time and peak memory of `course_lib.losses.cross_entropy` against PyTorch's, forward and backward.

`python -m benchmarks.losses` writes results/losses.md and .csv; `--device cuda` measures a GPU (losses_cuda.md). All
four, eager and compiled, are called in turn; a ratio is taken within each round.
"""
import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial

os.environ.setdefault("KINETO_LOG_LEVEL", "99")
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.harness import interleaved, machine, median, peak_memory, ratio, seconds, write  # noqa: E402
from course_lib.losses import cross_entropy  # noqa: E402

SHAPES = ((64, 10), (256, 37), (128, 1000), (64, 32000))
DTYPES = (torch.float32, torch.bfloat16)
PAIRS = (("ours eager", "torch eager"), ("ours compiled", "torch compiled"), ("ours compiled", "torch eager"))
HEAD = """# cross_entropy: time and peak memory, forward and backward

{machine}

Each ratio is the median over {rounds} rounds of (ours / peer) with its 95 % interval; in a round all four are called in
turn. Memory is the most alive at once beyond logits and labels, the new gradient included, in units of the logits.
Error is the distance of the mean loss from float64.

Aims: compiled at most 1.1 x compiled `F.cross_entropy`; eager at most 1.5 x at C >= 1000; memory at most 1.0 x."""


def step(loss: Callable, x: Tensor, y: Tensor) -> None:
    "One forward and backward"
    x.grad = None
    loss(x, y).backward()


def aims(ours: str, peer: str, classes: int, time: float, memory: float) -> str:
    "Which aims of a pair are met"
    if ours.split()[1] != peer.split()[1]: return ""
    limit = 1.1 if "compiled" in ours else 1.5 if classes >= 1000 else None
    said = [f"time {'met' if time <= limit else f'missed (aim {limit})'}"] if limit else []
    return ", ".join([*said, f"memory {'met' if memory <= 1.005 else 'missed (aim 1)'}"])


def measure(n: int, classes: int, dtype: torch.dtype, device: str, rounds: int) -> Iterator[dict]:
    "Rows of results for one shape and dtype"
    gen = torch.Generator().manual_seed(0)
    x = (3*torch.randn(n, classes, generator=gen)).to(device, dtype).requires_grad_()
    y = torch.randint(classes, (n,), generator=gen).to(device)
    losses = {"ours eager": cross_entropy, "torch eager": F.cross_entropy}
    compiled = partial(torch.compile, fullgraph=True, dynamic=False)
    losses |= {name.replace("eager", "compiled"): compiled(lambda a, b, f=f: f(a, b)) for name, f in losses.items()}
    steps = {name: lambda f=f: step(f, x, y) for name, f in losses.items()}
    for run in steps.values(): seconds(run, 3)
    calls = max(1, min(20, int(0.004/seconds(steps["torch eager"], 3))))
    times = interleaved(steps, rounds, calls)
    size = x.numel()*x.element_size()
    memory = {name: peak_memory(run, device)/size for name, run in steps.items()}
    exact = F.cross_entropy(x.detach().double(), y)
    for ours, peer in PAIRS:
        time = ratio(times[ours], times[peer])
        yield {"logits": f"{n} x {classes}", "dtype": str(dtype)[6:], "ours": ours.split()[1], "peer": peer.split()[1],
               "ours ms": median(times[ours])*1e3, "peer ms": median(times[peer])*1e3, "time ratio": time,
               "memory ours": memory[ours], "memory peer": memory[peer],
               "error ours": (losses[ours](x, y).double() - exact).abs().item(),
               "error peer": (losses[peer](x, y).double() - exact).abs().item(),
               "aims": aims(ours, peer, classes, time.value, memory[ours]/memory[peer])}


def main() -> None:
    "Measure and write the results"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=41, help="rounds per shape and dtype")
    args = parser.parse_args()
    torch._dynamo.config.recompile_limit = 64
    rows = [r for dtype in DTYPES for n, c in SHAPES for r in measure(n, c, dtype, args.device, args.rounds)]
    write("losses" if args.device == "cpu" else f"losses_{args.device}",
          HEAD.format(machine=machine(device=args.device), rounds=args.rounds), rows)


if __name__ == "__main__": main()
