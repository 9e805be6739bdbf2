"""Run every notebook and every test file, each in a process of its own, and count what ran.

`python -m tools.suite [NAMES] [--flags cuda] [--shuffle SEED]` (in the environment; `course.py test` calls this). On
Linux the processes are forked from one that has imported the large packages already, which saves their import (some
ten CPU seconds) for each of about a hundred files; elsewhere each process starts anew. Notebooks run offline, on the
course's own data.
"""
import argparse
import csv
import gc
import importlib
import json
import multiprocessing
import os
import random
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tools.notebooks import ROOT

RESULTS = ROOT/".course"
OFFLINE = ROOT/"tools"/"offline"
PRELOAD = ("nbformat", "torch._dynamo", "fastai.vision.all", "sklearn.datasets", "pytest", "nbdev.test",
           "matplotlib.pyplot")  # nbformat too: each process imports this file, and its JSON schemas take two seconds
MANY = 8  # from so many files on, importing them once for all pays
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "HF_HUB_OFFLINE": "1", "KINETO_LOG_LEVEL": "99"}


class Row(NamedTuple):
    "What became of a notebook or test file"
    path: Path
    passed: int
    failed: int
    skipped: int
    seconds: float  # on the clock
    cpu: float  # of the processor, with all processes it started
    output: str


def seconds_last_time(notebook: Path) -> int:
    "How long a notebook took when it was last executed"
    return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("course_lib", {}).get("seconds", 0)


def jobs(names: list[str]) -> list[Path]:
    "The notebooks, longest first, and the test files whose path holds one of `names` (all without names)"
    notebooks = sorted((ROOT/"nbs").glob("**/[!_.]*.ipynb"), key=seconds_last_time, reverse=True)
    everything = [p.relative_to(ROOT) for p in notebooks + sorted((ROOT/"tests").glob("**/test_*.py"))]
    names = [Path(n).as_posix() for n in names]
    unknown = [n for n in names if not any(n in p.as_posix() for p in everything)]
    if unknown:
        raise ValueError(f"Nothing is called {unknown[0]!r}; there are: {', '.join(p.stem for p in everything)}")
    return [p for p in everything if not names or any(n in p.as_posix() for n in names)]


def report(path: Path) -> Path:
    "Where the counts of a test file are written"
    return RESULTS/("-".join(path.with_suffix("").parts) + ".xml")


def work(path: Path, flags: str, shuffle: int | None, out: Path) -> None:
    """In a process of its own: run one notebook or test file, what it prints into the file `out`, its verdict and its
    CPU seconds beside it"""
    with open(out, "wb") as f: os.dup2(f.fileno(), 1), os.dup2(f.fileno(), 2)
    os.chdir(ROOT)
    gc.freeze()  # what was imported before the fork stays; pytest alone would look through all of it five times
    multiprocessing.set_start_method(None, force=True)  # not the suite's: loaders start their workers as they always do
    code = run_notebook(path, flags) if path.suffix == ".ipynb" else run_tests(path, flags, shuffle)
    sys.stdout.flush()
    out.with_suffix(".end").write_text(f"{code} {sum(os.times()[:4]):.1f}")
    os._exit(code)  # a thread that a test left behind must not keep it


def run_notebook(path: Path, flags: str) -> int:
    "0 if every cell of the notebook ran, offline"
    os.environ.pop("COURSE_LIB_DATA", None)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
    importlib.import_module("tools.offline.sitecustomize")  # for this process; the path is for those it starts
    from nbdev.config import get_config
    from nbdev.test import test_nb
    done, _ = test_nb((ROOT/path).absolute(), get_config(ROOT).tst_flags.split(), flags.split(), basepath=ROOT)
    return int(not done)


def run_tests(path: Path, flags: str, shuffle: int | None) -> int:
    "pytest's exit code for the test file"
    import pytest
    options = (["-m", flags] if flags else []) + (["--shuffle", str(shuffle)] if shuffle is not None else [])
    return pytest.main([str(path), "-q", "-rs", "--junitxml", str(report(path)), *options])


def run_job(path: Path, flags: str, shuffle: int | None, context: multiprocessing.context.BaseContext) -> Row:
    "Start a process for one notebook or test file, wait for it, and count"
    out = RESULTS/("-".join(path.parts) + ".out")
    end = out.with_suffix(".end")
    for old in (end, report(path)): old.unlink(missing_ok=True)
    start = time.time()
    process = context.Process(target=work, args=(path, flags, shuffle, out))  # type: ignore[attr-defined]
    process.start()
    process.join()
    seconds, output = time.time() - start, out.read_text(encoding="utf-8", errors="replace")
    if end.exists():  # its own word, not the status that the server of forks passes on
        code, cpu = end.read_text().split()
        return Row(path, *counts(path, int(code)), seconds, float(cpu), output)
    return Row(path, 0, 1, 0, seconds, 0,
               f"{output}\nthe process ended with code {process.exitcode} before it was done\n")


def counts(path: Path, code: int) -> tuple[int, int, int]:
    "How many passed, failed and were skipped in a notebook or test file whose process ended with `code`"
    if path.suffix == ".ipynb": return int(code == 0), int(code != 0), 0
    suite = ElementTree.parse(report(path)).getroot()[0].attrib
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    passed = int(suite["tests"]) - failed - skipped
    return passed, failed if code in (0, 1, 5) else max(failed, 1), skipped  # 5: no test selected


def show(row: Row) -> None:
    "A line for a notebook or test file, its output if something failed, else what it skipped and counted"
    print(f"{'FAIL' if row.failed else 'ok  '} {row.seconds:>6.1f} s  {row.path.as_posix()} "
          f"({row.passed} passed, {row.failed} failed, {row.skipped} skipped)")
    notes = [f"     {line}" for line in row.output.splitlines() if line.startswith(("SKIPPED", "counted:"))]
    print(row.output if row.failed else "\n".join(notes), end="\n" if row.failed or notes else "", flush=True)


def run(todo: list[Path], flags: str = "", shuffle: int | None = None) -> list[Row]:
    """Run all of `todo`, as many at a time as there are cores (one with flags: there is one GPU), and show each as
    it ends; the files and the tests of each in the random order `shuffle`, if one is given"""
    if shuffle is not None: random.Random(shuffle).shuffle(todo)
    workers = 1 if flags else os.cpu_count() or 1
    print(f"{len(todo)} notebooks and test files, {workers} at a time", flush=True)
    RESULTS.mkdir(exist_ok=True)
    os.environ.update(ENVIRONMENT)  # before torch is imported anywhere: it counts its threads then
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux" and len(todo) >= MANY: context.set_forkserver_preload(list(PRELOAD))
    rows = []
    with ThreadPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(run_job, p, flags, shuffle, context) for p in todo]):
            rows.append(done.result())
            show(rows[-1])
    return rows


def summary(rows: list[Row]) -> int:
    "Write the table of times, print the notebooks' and the counts; 1 if something failed or nothing ran"
    with open(RESULTS/"times.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.writer(f)
        table.writerow(["path", "passed", "failed", "skipped", "seconds", "cpu_seconds"])
        table.writerows([r.path.as_posix(), *r[1:4], round(r.seconds, 1), r.cpu] for r in rows)
    print(f"\n{'notebook':<40} {'seconds':>8}")
    for r in sorted(rows, key=lambda r: -r.seconds):
        if r.path.suffix == ".ipynb": print(f"{r.path.stem:<40} {r.seconds:>8.1f}")
    passed, failed, skipped = (sum(r[i] for r in rows) for i in (1, 2, 3))
    if skipped: print(f"\n{skipped} skipped, for the reasons above")
    print(f"\n{sum(r.cpu for r in rows)/60:.1f} CPU minutes\n\n{passed} passed, {failed} failed")
    return int(failed > 0 or not passed)


def main() -> int:
    "The verdict over everything that was asked for"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of a path, such as 05 or losses")
    parser.add_argument("--flags", default="", help="run the cells and tests with this mark alone, such as 'cuda'")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="run files and tests in this random order")
    args = parser.parse_args()
    try: todo = jobs(args.names)
    except ValueError as e: print(e, file=sys.stderr); return 2
    if args.flags: todo = [p for p in todo if args.flags in (ROOT/p).read_text(encoding="utf-8")]
    return summary(run(todo, args.flags, args.shuffle))


if __name__ == "__main__": sys.exit(main())
