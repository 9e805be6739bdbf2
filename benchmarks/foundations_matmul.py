"""Matrix multiplication on this machine's GPU against its CPU: `python -m benchmarks.foundations_matmul` (needs CUDA).

Writes results/foundations_matmul.md and .csv.
"""
import sys

import torch

from benchmarks.harness import interleaved, machine, median, ratio, write


def measure(device: str, sides: tuple[int, ...] = (256, 1024, 4096)) -> list[dict]:
    "One row for each size: seconds on CPU and on `device`, and their ratio with its interval"
    rows = []
    for n in sides:
        a, b = torch.randn(2, n, n)
        da, db = a.to(device), b.to(device)
        times = interleaved({"cpu": lambda a=a, b=b: a @ b, device + " ": lambda a=da, b=db: a @ b}, rounds=9)
        cpu, other = times.values()
        rows.append({"side": n, "cpu s": median(cpu), f"{device} s": median(other), "ratio": ratio(cpu, other)})
    return rows


if __name__ == "__main__":
    if not torch.cuda.is_available(): sys.exit("no CUDA device here: there is nothing to compare with the CPU")
    head = ("# Matrix products on a GPU and on its CPU\n\n"
            "Square float32 matrices. The ratio is CPU time over GPU time, median and 95 % interval. ")
    write("foundations_matmul", head + machine(device="cuda"), measure("cuda"))
