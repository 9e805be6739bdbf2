"""What find_lr costs: time for each iteration beside the bare loop, and saving and restoring a large model, beside fastai's finder.

`OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 python benchmarks/lr_finder_cost.py` writes results/lr_finder_cost.md.
"""
import datetime, os, platform, tempfile, time
from pathlib import Path

import torch
from torch import nn

import course_lib
from course_lib.core import time_ratio, timeit
from course_lib.lr_finder import find_lr, lr_sweep
from course_lib.state import Snapshot
from lr_finder import cpu

torch.manual_seed(0)


def overhead(width, bs):
    "Time of a search over that of the bare loop with the same rates: of 100 iterations, and of 400 beyond the first 100"
    net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    x, y = torch.randn(bs*20, 64), torch.randint(0, 10, (bs*20,))
    dl = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), bs)
    opt, f = torch.optim.Adam(net.parameters()), nn.CrossEntropyLoss()
    start = {k: v.clone() for k, v in net.state_dict().items()}
    def bare(n):
        net.load_state_dict(start); opt.state.clear()
        rates, it = lr_sweep(end_lr=1e-3, num_it=n).tolist(), iter(())
        for lr in rates:
            batch = next(it, None)
            if batch is None: it = iter(dl); batch = next(it)
            opt.param_groups[0]['lr'] = lr
            opt.zero_grad(); loss = f(net(batch[0]), batch[1]); loss.backward(); opt.step(); loss.item()
    ours = lambda n: find_lr(net, dl, f, opt, end_lr=1e-3, stop_div=False, num_it=n)
    def seconds(run, n):
        at = time.perf_counter(); run(n)
        return time.perf_counter() - at
    for run in (ours, bare): run(100)
    each, fixed = [], []
    for _ in range(9):
        a1, b1, a5, b5 = seconds(ours, 100), seconds(bare, 100), seconds(ours, 500), seconds(bare, 500)
        each.append((a5 - a1)/(b5 - b1)); fixed.append(1e3*((a1 - b1) - ((a5 - a1) - (b5 - b1))/4))
    return time_ratio(lambda: ours(100), lambda: bare(100), repeats=11), sorted(each), sorted(fixed)[4]


def snapshot():
    "Seconds to save and restore 26 million parameters with Adam's state, and the snapshot's size over theirs"
    net = nn.ModuleList([nn.Linear(500, 325) for _ in range(160)])
    opt = torch.optim.Adam(net.parameters())
    for p in net.parameters(): p.grad = torch.zeros_like(p)
    opt.step(); opt.zero_grad()
    state = [*net.parameters(), *(v for s in opt.state.values() for v in s.values())]
    size = sum(t.numel()*t.element_size() for t in state)
    t = timeit(lambda: Snapshot(net, opt).restore(), repeats=11)
    snap, there = Snapshot(net, opt), [v.detach().clone() for v in state]
    parts = timeit(lambda: Snapshot(net, opt), repeats=11), timeit(snap.restore, repeats=11), timeit(lambda: [a.copy_(b) for a, b in zip(there, [v.detach() for v in state])], repeats=11)
    def disk():
        with tempfile.TemporaryDirectory() as d:
            torch.save({'model': net.state_dict(), 'opt': opt.state_dict()}, Path(d)/'x.pth')
            s = torch.load(Path(d)/'x.pth'); net.load_state_dict(s['model']); opt.load_state_dict(s['opt'])
    return sum(p.numel() for p in net.parameters()), t, timeit(disk, repeats=6, warmup=1), Snapshot(net, opt).nbytes/size, parts


if __name__ == '__main__':
    rows = [(w, bs, *overhead(w, bs)) for w, bs in ((64, 64), (512, 128))]
    n, ours, disk, ratio, (save, back, copy) = snapshot()
    met = lambda x, goal: 'met' if x <= goal else 'MISSED'
    text = f"""# What a search costs

{datetime.date.today()}, {cpu()}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s), Python {platform.python_version()}, torch {torch.__version__}, course_lib {course_lib.__version__}. Command: `OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 python benchmarks/lr_finder_cost.py`. Medians with 95% intervals.

| what | measured | goal | median against it |
|---|---|---|---|
""" + '\n'.join(f'| time per iteration over the bare loop, 64-{w}-{w}-10, batches of {bs} (400 iterations beyond the first 100) | {each[4]:.2f}x (lowest of 9 {each[0]:.2f}, highest {each[-1]:.2f}) | 1.05 | {met(each[4], 1.05)} |\n| the same with the constant cost of {fixed:.1f} ms for checks, saving and restoring, spread over 100 iterations | {e} | | |' for w, bs, e, each, fixed in rows) + f"""
| saving and restoring {n/1e6:.1f} million parameters with Adam, in memory | {ours} | 0.1 s | {met(ours.value, 0.1)} |
| the same through a file, as fastai's finder does | {disk} | | |
| snapshot size over parameters, buffers and optimizer state | {ratio:.4f} | 1 | {met(ratio, 1)} |

Of that, saving takes {save} and putting back {back}. Copying the same tensors once more into memory already in use takes {copy}: the rest of the saving is fresh memory and the walk through the model.
"""
    (Path(__file__).parent/'results'/'lr_finder_cost.md').write_text(text)
    print(text)
