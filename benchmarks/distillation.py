"""Time and peak memory of the distillation losses beside `F.cross_entropy`, alone and within a training step.

`python -m benchmarks.distillation` writes results/distillation.md and .csv; `--device cuda` measures a GPU. One thread
unless OMP_NUM_THREADS says otherwise. All losses are called in turn; a ratio is taken within each round.
"""
import argparse
import os
from collections.abc import Callable, Iterator

os.environ.setdefault("KINETO_LOG_LEVEL", "99")
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from benchmarks.harness import interleaved, machine, median, peak_memory, ratio, seconds, write  # noqa: E402
from course_lib.distillation import cwtm_loss, kd_loss  # noqa: E402

SHAPES = ((64, 10), (256, 37), (128, 1000), (64, 32000), (16, 151936))
COMPILED = ((64, 10), (128, 1000), (64, 32000))
DTYPES = (torch.float32, torch.bfloat16)
PEER = "F.cross_entropy"
HEAD = """# Distillation losses beside cross-entropy

{machine}

Forward and backward. Each ratio is the median over {rounds} rounds of (loss / `F.cross_entropy`) with its 95 %
interval; in a round all are called in turn. Buffers: the most memory alive at once, the gradient included, in units
of the logits.

Aims: at 16 × 151,936 in float32 at most 0.6 × the time of cross-entropy and one buffer, in bfloat16 at most 1.2
buffers; at 64 × 10 at most 2.5 ×, and a training step with cached confidence within 1.03 ×. Between the two shapes
`CWTMFunction` runs as the lesson writes it, without a path of its own for middle sizes."""


def by_formula(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    "CWTM written down in three lines"
    sure = torch.softmax(t.float(), 1).amax(1)
    w = sure/sure.sum()
    return -(w*torch.log_softmax(x.float(), 1).gather(1, y[:, None]).squeeze(1)).sum()


def losses(x: Tensor, y: Tensor, t: Tensor, compiled: bool) -> dict[str, Callable[[], Tensor]]:
    "The losses of one batch by name, the peer first"
    sure = torch.softmax(t.float(), 1).amax(1)
    named = {PEER: lambda: F.cross_entropy(x, y), "cwtm_loss": lambda: cwtm_loss(x, y, t),
             "cwtm_loss, cached confidence": lambda: cwtm_loss(x, y, confidence=sure),
             "CWTM by formula": lambda: by_formula(x, y, t), "kd_loss": lambda: kd_loss(x, y, t)}
    if not compiled: return named
    torch._dynamo.reset()
    ce, cwtm = torch.compile(F.cross_entropy), torch.compile(cwtm_loss, fullgraph=True)
    return named | {f"{PEER}, compiled": lambda: ce(x, y), "cwtm_loss, compiled": lambda: cwtm(x, y, t)}


def step(loss: Callable[[], Tensor], x: Tensor) -> None:
    "One forward and backward"
    x.grad = None
    loss().backward()


def compared(what: str, steps: dict[str, Callable[[], None]], rounds: int) -> Iterator[dict]:
    "A row for each of `steps`, timed against the first"
    for run in steps.values(): seconds(run, 3)
    first = next(iter(steps))
    calls = max(1, min(50, int(0.004/seconds(steps[first], 3))))
    times = interleaved(steps, rounds, calls)
    for name, took in times.items():
        yield {"what": what, "loss": name, "us": 1e6*median(took), "ratio": ratio(took, times[first])}


def measure(n: int, classes: int, dtype: torch.dtype, device: str, rounds: int, compiled: bool) -> Iterator[dict]:
    "Rows of results for one shape and dtype"
    gen = torch.Generator().manual_seed(0)
    x, t = (torch.randn(n, classes, generator=gen).to(device, dtype) for _ in range(2))
    y = torch.randint(classes, (n,), generator=gen).to(device)
    x.requires_grad_()
    steps = {name: lambda f=f: step(f, x) for name, f in losses(x, y, t, compiled).items()}
    for row in compared(f"{n} × {classes}, {str(dtype)[6:]}", steps, rounds):
        x.grad = None
        yield row | {"buffers": peak_memory(steps[row["loss"]], device)/(x.numel()*x.element_size())}


def training(device: str, rounds: int) -> Iterator[dict]:
    "Rows of results for a training step of a small network"
    torch.manual_seed(0)
    layers = lambda: (nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    student, teacher = nn.Sequential(*layers()).to(device), nn.Sequential(*layers()).to(device)
    x, y, sure = torch.randn(128, 64, device=device), torch.randint(10, (128,), device=device), torch.rand(128)
    def taught() -> None:
        with torch.no_grad(): t = teacher(x)
        kd_loss(student(x), y, t).backward()
    steps = {PEER: lambda: F.cross_entropy(student(x), y).backward(),
             "cwtm_loss, cached confidence": lambda: cwtm_loss(student(x), y, confidence=sure).backward(),
             "kd_loss with its teacher": taught}
    for row in compared("training step", steps, rounds): yield row | {"buffers": ""}


def main() -> None:
    "Measure and write"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=101, help="per shape and dtype")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true", help="also the compiled versions, at three shapes")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    rows = [row for dtype in DTYPES for n, c in SHAPES
            for row in measure(n, c, dtype, args.device, args.rounds, args.compile and (n, c) in COMPILED)]
    rows += training(args.device, args.rounds)
    head = HEAD.format(machine=machine(device=args.device), rounds=args.rounds)
    write("distillation" + "_cuda"*(args.device == "cuda"), head, rows)


if __name__ == "__main__": main()
