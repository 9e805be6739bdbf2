"""How fast this machine is just now: a fixed piece of work here, beside the machine for which the notebooks' limits of
time were set (it executed 00_start in 25 CPU seconds)."""
import time

import numpy as np

SECONDS = 0.32  # what `work` took on that machine


def work() -> float:
    "The CPU seconds of a loop in Python, of products of matrices and of sums of arrays, about a third for each"
    rng = np.random.default_rng(0)
    square, long = rng.random((400, 400), dtype=np.float32), rng.random(2_000_000, dtype=np.float32)
    start = time.process_time()
    for i in range(2_000_000): i*i
    for _ in range(120): square @ square
    for _ in range(300): long + long
    return time.process_time() - start


def pace() -> float:
    "How many times as long as there this machine takes now, at its best of three (2: it is half as fast)"
    return min(work() for _ in range(3))/SECONDS


if __name__ == "__main__": print(f"{pace():.2f}")
