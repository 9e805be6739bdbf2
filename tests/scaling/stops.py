"What runs in processes that are killed, go on, and do not come."
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from course_lib import scaling
from course_lib.losses import cross_entropy

ROWS, STEPS = 16, 9


def run(rank, world, folder, killed_after=None):
    "Train for nine steps with dropout and momentum, saving every second; the last process may be killed on the way"
    torch.manual_seed(7 + rank)  # dropout differs between processes, and goes on where it was
    net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for p in net.parameters(): p.copy_(torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view(p.shape))
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(ROWS, 6, generator=g, dtype=torch.float64), torch.randint(3, (ROWS,), generator=g)
    model = DistributedDataParallel(net)
    opt = torch.optim.AdamW(model.parameters(), lr=0.05)
    first = scaling.resume(folder, model, opt)
    for step in range(first, STEPS):
        rows = torch.randperm(ROWS, generator=torch.Generator().manual_seed(step))[:11][rank::world]
        opt.zero_grad()
        cross_entropy(model(x[rows]), y[rows], normalizer=dist.group.WORLD).backward()
        if step == killed_after and rank == world - 1: os._exit(9)
        opt.step()
        if step % 2: scaling.save(folder, step + 1, model, opt)
    return first, net.state_dict()


def run_and_fail(rank, world, whole, broken):
    "The run that was killed and one that was not; then the last process fails, and the others wait for it"
    found = [run(rank, world, whole), run(rank, world, broken)]
    if rank == 0: torch.save(found, os.path.join(whole, "found.pt"))
    dist.barrier()
    if rank == world - 1: raise KeyError("a fault of mine")
    dist.barrier()


def stay_away(rank, world):
    "The last process does not come"
    if rank == world - 1: time.sleep(1000)
    dist.barrier()
