"""How fast this machine is while something runs: a fixed piece of work here, beside the machine for which the notebooks'
limits of time were set. A slow or busy machine then stamps about the same seconds."""
import threading
import time

import torch
from torch.nn.functional import conv2d

SECONDS = 0.0165  # of `work` on that machine: 2.2 times as fast, by 00_start, as the one where this was measured
EVERY = 5.  # seconds between two pieces of work


def work() -> float:
    "The CPU seconds that this thread takes for a convolution of 64 pictures, forward and backward"
    pictures, kernels = torch.ones(64, 16, 32, 32), torch.ones(32, 16, 3, 3, requires_grad=True)
    start = time.thread_time()
    conv2d(pictures, kernels, padding=1).relu().sum().backward()
    return time.thread_time() - start


class Pace(threading.Thread):
    "Works now and then beside what is measured; `factor` says how many times as long as there it took"
    def __init__(self) -> None:
        super().__init__(daemon=True)
        work()  # the first call sets things up
        self.taken, self.ended = [work()], threading.Event()
        self.start()

    def run(self) -> None:
        "A piece of work every few seconds, until the end"
        while not self.ended.wait(EVERY): self.taken.append(work())

    def factor(self) -> float:
        "The mean over all pieces; 2: the machine was half as fast"
        self.ended.set()
        self.join()
        return sum(self.taken)/len(self.taken)/SECONDS
