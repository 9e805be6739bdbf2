"Two processes: every rank sees the same curve and makes the same suggestion"
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from course_lib.lr_finder import find_lr


def worker(rank, port, out):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    try:
        g = torch.Generator().manual_seed(0)
        x = torch.randn(256, 5, generator=g); y = x @ torch.randn(5, 1, generator=g) + 0.1*torch.randn(256, 1, generator=g)
        torch.manual_seed(0)
        model = DistributedDataParallel(nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1)), gradient_as_bucket_view=True)
        data = TensorDataset(x, y)
        dl = DataLoader(data, 16, sampler=DistributedSampler(data, 2, rank, seed=1))
        opt, before = torch.optim.Adam(model.parameters()), [p.detach().clone() for p in model.parameters()]
        nn.functional.mse_loss(model(x[:8]), y[:8]).backward(); grads = [p.grad.clone() for p in model.parameters()]
        curve = find_lr(model, dl, nn.functional.mse_loss, opt)
        trials = curve.suggest('trials', total_steps=80)
        same = all(p.equal(q) for p, q in zip(model.parameters(), before)) and all(p.grad.equal(q) for p, q in zip(model.parameters(), grads)) and not opt.state
        out.put((rank, curve.losses.tolist(), curve.suggest(), trials, same))
    finally: dist.destroy_process_group()


def test_two_processes_agree():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    ctx = mp.get_context('spawn'); out = ctx.Queue()
    procs = [ctx.Process(target=worker, args=(r, port, out)) for r in range(2)]
    for p in procs: p.start()
    a, b = sorted(out.get(timeout=120) for _ in procs)
    for p in procs: p.join(30)
    assert a[1:] == b[1:] and a[4] and isinstance(a[2], float) and isinstance(a[3], float)
