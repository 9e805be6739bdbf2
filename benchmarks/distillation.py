"""CWTM beside cross-entropy: time and peak memory of forward and backward, eager and compiled, and a training step with cached confidence.

`python benchmarks/distillation.py` writes benchmarks/results/distillation.md and .csv. One thread unless OMP_NUM_THREADS says otherwise.
"""
import argparse, csv, datetime, os, platform, statistics, sys, time
from pathlib import Path

import torch
import torch.nn.functional as F

from course_lib.distillation import cwtm_loss, kd_loss

SHAPES = [(64, 10), (256, 37), (128, 1000), (64, 32000), (16, 151936)]
COMPILED = {(64, 10), (128, 1000), (64, 32000)}


def naive(x, y, t):
    conf = torch.softmax(t.float(), 1).max(1)[0]
    w = conf/conf.sum()
    return -(w*torch.log_softmax(x.float(), 1).gather(1, y[:, None]).squeeze(1)).sum()


def times(fns, seconds):
    "Median seconds of each, called in turn"
    for f in fns: f(); f()
    out, end = [[] for _ in fns], time.perf_counter() + seconds
    while time.perf_counter() < end or len(out[0]) < 11:
        for f, o in zip(fns, out):
            start = time.perf_counter(); f(); o.append(time.perf_counter() - start)
    return out


def peak(fn):
    "Most bytes that `fn` holds at once on the CPU, above what was there"
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as prof: fn()
    now = high = 0
    for e in sorted((e for e in prof.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        now += e.nbytes(); high = max(high, now)
    return high


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4, help="per shape and dtype")
    parser.add_argument("--compile", action="store_true", help="also the compiled versions, at a small, a middle and a large shape")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        for n, c in SHAPES:
            g = torch.Generator().manual_seed(0)
            x = torch.randn(n, c, generator=g).to(dtype).requires_grad_()
            y, t = torch.randint(c, (n,), generator=g), torch.randn(n, c, generator=g).to(dtype)
            conf = torch.softmax(t.float(), 1).amax(1)
            losses = {"F.cross_entropy": lambda: F.cross_entropy(x, y), "cwtm_loss": lambda: cwtm_loss(x, y, t),
                      "cwtm_loss, cached confidence": lambda: cwtm_loss(x, y, confidence=conf), "naive formula": lambda: naive(x, y, t)}
            if args.compile and (n, c) in COMPILED:
                torch._dynamo.reset()
                ce, ours = torch.compile(F.cross_entropy), torch.compile(cwtm_loss, fullgraph=True)
                losses |= {"F.cross_entropy, compiled": lambda: ce(x, y), "cwtm_loss, compiled": lambda: ours(x, y, t)}
            def step(f):
                def run(): x.grad = None; f().backward()
                return run
            fns = [step(f) for f in losses.values()]
            measured = times(fns, args.seconds)
            for name, f, ts in zip(losses, fns, measured):
                x.grad = None
                ratio = sorted(a/b for a, b in zip(ts, measured[0]))
                rows.append({"dtype": str(dtype)[6:], "shape": f"{n}x{c}", "loss": name, "us": round(1e6*statistics.median(ts), 1),
                             "ratio to F.cross_entropy": round(statistics.median(ratio), 2), "quartiles": f"{ratio[len(ratio)//4]:.2f}-{ratio[3*len(ratio)//4]:.2f}",
                             "peak buffers": round(peak(f)/(x.numel()*x.element_size()), 2)})
    torch.manual_seed(0)
    make = lambda: torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    student, teacher, xb, yb, conf = make(), make(), torch.randn(128, 64), torch.randint(10, (128,)), torch.rand(128)
    def taught():
        with torch.no_grad(): t = teacher(xb)
        kd_loss(student(xb), yb, t).backward()
    steps = {"cross-entropy": lambda: F.cross_entropy(student(xb), yb).backward(), "cwtm_loss, cached confidence": lambda: cwtm_loss(student(xb), yb, confidence=conf).backward(), "kd_loss with its teacher": taught}
    for (name, _), ts in zip(steps.items(), (measured := times(list(steps.values()), args.seconds))):
        ratio = sorted(a/b for a, b in zip(ts, measured[0]))
        rows.append({"dtype": "float32", "shape": "training step", "loss": name, "us": round(1e6*statistics.median(ts), 1), "ratio to F.cross_entropy": round(statistics.median(ratio), 2), "quartiles": f"{ratio[len(ratio)//4]:.2f}-{ratio[3*len(ratio)//4]:.2f}", "peak buffers": ""})
    out = Path(__file__).parent/"results"
    out.mkdir(exist_ok=True)
    with open(out/"distillation.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0]); writer.writeheader(); writer.writerows(rows)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "") if Path("/proc/cpuinfo").exists() else platform.processor()
    head = f"# CWTM beside cross-entropy\n\n{datetime.date.today()}, {cpu or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s), torch {torch.__version__}, Python {platform.python_version()}.\nCommand: `python benchmarks/distillation.py {' '.join(sys.argv[1:])}`\n\nForward and backward, called in turn; medians. Peak buffers: the most memory held at once, in units of the logits, the gradient included.\n\n"
    (out/"distillation.md").write_text(head + "|" + "|".join(rows[0]) + "|\n" + "|---"*len(rows[0]) + "|\n" + "".join("|" + "|".join(str(v) for v in r.values()) + "|\n" for r in rows))


if __name__ == "__main__": main()
