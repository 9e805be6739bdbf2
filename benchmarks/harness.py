"""What every benchmark needs once: the machine in a line, peers called in turn, memory at its peak, tables and files.

    from benchmarks.harness import interleaved, machine, ratio, write

    times = interleaved({"ours": ours, "peer": peer}, rounds=21)
    write("name", f"# Title\\n\\n{machine()}", [{"what": "time", "ratio": ratio(times["ours"], times["peer"])}])
"""
import csv
import datetime
import importlib.metadata
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parent/"results"


def processor() -> str:
    "The name of the CPU"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration): return platform.processor() or platform.machine()


def place(device: str = "cpu") -> str:
    "What the work runs on: the GPU's name, or the CPU's with its threads and cores"
    if device == "cuda": return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s'*(threads > 1)}, {os.cpu_count()} cores"


def command() -> str:
    "The command that runs this benchmark again"
    return shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])


def machine(*packages: str, device: str = "cpu") -> str:
    "A line that says when, where, with which versions (torch and `packages`) and by which command it was measured"
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("torch", *packages)]
    return (f"{datetime.date.today()}, {place(device)}, Python {platform.python_version()}, {', '.join(versions)}. "
            f"Command: `{command()}`")


def synchronize() -> None:
    "Wait for the GPU, if there is one"
    if torch.cuda.is_available(): torch.cuda.synchronize()


def seconds(fn: Callable[[], object], calls: int = 1, clock: Callable[[], float] = time.perf_counter) -> float:
    "Seconds a call of `fn`, over `calls` of them"
    synchronize()
    start = clock()
    for _ in range(calls): fn()
    synchronize()
    return (clock() - start)/calls


def interleaved(fns: Mapping[str, Callable[[], object]], rounds: int = 21, calls: int = 1, warmup: int = 2,
                clock: Callable[[], float] = time.perf_counter) -> dict:
    """{name: seconds a call in each round}: in a round all are called in turn, in an order that moves on each time.

    `clock=time.process_time` counts CPU seconds, which others on a shared machine do not lengthen."""
    names, times = list(fns), {name: [] for name in fns}
    for i in range(-warmup, rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            took = seconds(fns[name], calls, clock)
            if i >= 0: times[name].append(took)
    return times


def median(xs: Sequence[float]) -> float: return statistics.median(xs)


def ratio(ours: Sequence[float], peer: Sequence[float]):
    "Median with 95 % interval of the ratio of two rows of `interleaved`, taken round by round"
    from course_lib.timing import median_ci
    return median_ci([a/b for a, b in zip(ours, peer)], "x")


def peak_memory(step: Callable[[], object], device: str = "cpu") -> int:
    "Most bytes alive at once during `step`, beyond what was there before it; temporaries inside kernels among them"
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as prof: step()
    now = most = 0
    for event in prof.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


def shown(value: object) -> str:
    "A value in a table: three digits of a number, an estimate with its interval"
    if isinstance(value, bool): return str(value)
    if isinstance(value, float): return f"{value:.3g}"
    if hasattr(value, "low"): return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]"
    return str(value)


def table(rows: Sequence[Mapping]) -> str:
    "Rows of one kind as a Markdown table"
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|"*len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(shown(v) for v in r.values()) + " |" for r in rows])


def write(name: str, head: str, rows: Sequence[Mapping], tail: str = "", folder: Path = RESULTS) -> str:
    "Write results/NAME.md (head, table, tail) and results/NAME.csv, print the page and return it"
    folder.mkdir(exist_ok=True)
    page = "\n\n".join(filter(None, [head.strip(), table(rows) if rows else "", tail.strip()])) + "\n"
    (folder/f"{name}.md").write_text(page, encoding="utf-8")
    if rows: write_csv(folder/f"{name}.csv", rows)
    print(page)
    return page


def write_csv(path: Path, rows: Sequence[Mapping]) -> None:
    "Write rows with every digit; an estimate becomes three columns"
    flat = [{k + end: v for key, value in r.items() for k, end, v in columns(key, value)} for r in rows]
    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, flat[0], lineterminator="\n")
        out.writeheader()
        out.writerows(flat)


def columns(key: str, value: object) -> list[tuple[str, str, object]]:
    "The columns that a value fills: one, or the value and both ends of an estimate"
    if hasattr(value, "low"): return [(key, "", value.value), (key, " low", value.low), (key, " high", value.high)]
    return [(key, "", value)]
