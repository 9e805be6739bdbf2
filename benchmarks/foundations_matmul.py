"""Matrix multiplication on this machine's GPU against its CPU: `python benchmarks/foundations_matmul.py` (needs CUDA).

Writes results/foundations_matmul.md and .csv; the chapter on foundations shows the former.
"""
import csv, datetime, platform, sys
from pathlib import Path

import torch
from course_lib.core import time_ratio, timeit

RESULTS = Path(__file__).parent/"results"


def measure(device: str, sizes=(256, 1024, 4096)) -> list[dict]:
    "One row for each size: seconds on CPU and on `device`, and their ratio with its interval"
    rows = []
    for n in sizes:
        a, b = torch.randn(2, n, n)
        da, db = a.to(device), b.to(device)
        ratio = time_ratio(lambda: a @ b, lambda: da @ db, repeats=9)
        rows.append({"side": n, "cpu s": timeit(lambda: a @ b, 9).value, f"{device} s": timeit(lambda: da @ db, 9).value,
                     "ratio": ratio.value, "low": ratio.low, "high": ratio.high})
    return rows


def report(rows: list[dict], device: str, folder: Path = RESULTS) -> None:
    "Write the rows with the machine's description as csv and as a markdown table"
    with open(folder/"foundations_matmul.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, rows[0]); writer.writeheader(); writer.writerows(rows)
    name = torch.cuda.get_device_name() if device == "cuda" else device
    lines = [f"Square float32 matrices, {name} against {torch.get_num_threads()} CPU threads ({platform.processor() or platform.machine()}), "
             f"torch {torch.__version__}, {datetime.date.today()}, `python benchmarks/foundations_matmul.py`. The ratio is CPU time over {device} time, median and 95% interval.", "",
             "| " + " | ".join(rows[0]) + " |", "|" + "---|"*len(rows[0])]
    lines += ["| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in r.values()) + " |" for r in rows]
    (folder/"foundations_matmul.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if not torch.cuda.is_available(): sys.exit("no CUDA device here: there is nothing to compare with the CPU")
    report(measure("cuda"), "cuda")
