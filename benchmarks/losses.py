"""Time and peak memory of `course_lib.losses.cross_entropy` against `torch.nn.functional.cross_entropy`, forward and backward.

`python benchmarks/losses.py` writes `benchmarks/results/losses.md` and `losses.csv`. All four (ours and PyTorch's, eager and
compiled) are called in turn, in an order that rotates, and a ratio is taken within each round. `--device cuda` measures a GPU.
"""
import argparse
import csv
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault('KINETO_LOG_LEVEL', '99')
import torch
import torch.nn.functional as F

from course_lib.core import _median_ci
from course_lib.losses import cross_entropy

SHAPES = ((64, 10), (256, 37), (128, 1000), (64, 32000))
DTYPES = (torch.float32, torch.bfloat16)
RESULTS = Path(__file__).parent/'results'


def sync(device):
    if device == 'cuda': torch.cuda.synchronize()


def step(fn, x, y):
    "One forward and backward"
    x.grad = None
    fn(x, y).backward()


def seconds(fn, x, y, calls):
    "Seconds per forward and backward, over `calls` of them"
    sync(x.device.type)
    start = time.perf_counter()
    for _ in range(calls): step(fn, x, y)
    sync(x.device.type)
    return (time.perf_counter() - start)/calls


def peak(fn, x, y):
    "Most bytes alive at once in forward and backward beyond `x` and `y`, the gradient included, over the bytes of `x`"
    x.grad = None
    size = x.numel()*x.element_size()
    if x.device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(); before = torch.cuda.memory_allocated()
        step(fn, x, y)
        return (torch.cuda.max_memory_allocated() - before)/size
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as prof: step(fn, x, y)
    now = most = 0
    for event in prof.profiler.kineto_results.events():
        if event.name() == '[memory]': now += event.nbytes(); most = max(most, now)
    return most/size


def measure(n, c, dtype, device, rounds):
    "Rows of results for one shape and dtype"
    gen = torch.Generator().manual_seed(0)
    x = (3*torch.randn(n, c, generator=gen)).to(device, dtype).requires_grad_()
    y = torch.randint(c, (n,), generator=gen).to(device)
    fns = {'ours eager': cross_entropy, 'torch eager': F.cross_entropy,
           'ours compiled': torch.compile(cross_entropy, fullgraph=True, dynamic=False),
           'torch compiled': torch.compile(lambda x, y: F.cross_entropy(x, y), fullgraph=True, dynamic=False)}
    for fn in fns.values():
        for _ in range(3): step(fn, x, y)
    calls = max(1, min(20, int(0.004/seconds(F.cross_entropy, x, y, 3))))
    times, names = {k: [] for k in fns}, list(fns)
    for i in range(rounds):
        for k in names[i % 4:] + names[:i % 4]: times[k].append(seconds(fns[k], x, y, calls))
    memory = {k: peak(fn, x, y) for k, fn in fns.items()}
    exact = F.cross_entropy(x.detach().double(), y)
    for a, b, aim in (('ours eager', 'torch eager', 1.5 if c >= 1000 else None), ('ours compiled', 'torch compiled', 1.1), ('ours compiled', 'torch eager', None)):
        ratio = _median_ci([s/t for s, t in zip(times[a], times[b])], 'x')
        yield dict(shape=f'({n}, {c})', dtype=str(dtype)[6:], ours=a, peer=b, ms=_median_ci(times[a], 's').value*1e3, peer_ms=_median_ci(times[b], 's').value*1e3,
                   ratio=ratio.value, low=ratio.low, high=ratio.high, aim=aim, memory=memory[a], peer_memory=memory[b],
                   memory_ratio=memory[a]/memory[b], error=(fns[a](x, y).double() - exact).abs().item(), peer_error=(fns[b](x, y).double() - exact).abs().item())


def cpu_name():
    try: return next(line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name'))
    except (OSError, StopIteration): return platform.processor()


def verdict(row):
    "Whether the aims are met, in words"
    said = []
    if row['aim']: said.append('met' if row['ratio'] <= row['aim'] else f"missed ({row['ratio']:.2f} > {row['aim']})")
    said.append('met' if row['memory_ratio'] <= 1.005 else f"missed ({row['memory_ratio']:.2f} > 1.0)")
    return ', '.join(f'{k} {v}' for k, v in zip(('time', 'memory') if row['aim'] else ('memory',), said))


def report(rows, args):
    "The results as Markdown"
    where = torch.cuda.get_device_name() if args.device == 'cuda' else f'{cpu_name()}, {torch.get_num_threads()} thread of {os.cpu_count()} cores'
    lines = ['# cross_entropy: time and peak memory, forward and backward', '',
             f"Machine: {where}; Python {platform.python_version()}, torch {torch.__version__}. Date: {time.strftime('%Y-%m-%d')}. Command: `python {' '.join(['benchmarks/losses.py', *sys.argv[1:]])}`.", '',
             f"Each ratio is the median over {args.rounds} rounds of (ours / peer) with its 95% interval; in a round all four functions are called in turn. "
             "Memory is the most alive at once beyond logits and labels, the new gradient included, in units of the logits: " +
             ("`torch.cuda.max_memory_allocated`." if args.device == 'cuda' else "the allocations and frees that `torch.profiler` records, temporaries inside kernels among them.") +
             " Error is the distance of the mean loss from float64.", '',
             'Aims: compiled at most 1.1 x compiled `F.cross_entropy`; eager at most 1.5 x at C >= 1000; memory at most 1.0 x.', '',
             '| logits | dtype | ours | peer | ours ms | peer ms | time ratio | memory ours | memory peer | error ours | error peer | aims |', '|' + '---|'*12]
    for r in rows:
        lines.append(f"| {r['shape']} | {r['dtype']} | {r['ours'].split()[1]} | {r['peer']} | {r['ms']:.3f} | {r['peer_ms']:.3f} | {r['ratio']:.2f} [{r['low']:.2f}, {r['high']:.2f}] | "
                     f"{r['memory']:.2f} | {r['peer_memory']:.2f} | {r['error']:.1e} | {r['peer_error']:.1e} | {verdict(r) if r['ours'].split()[1] == r['peer'].split()[1] else ''} |")
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--rounds', type=int, default=41, help='rounds per shape and dtype')
    args = parser.parse_args()
    torch._dynamo.config.recompile_limit = 64
    rows = [row for dtype in DTYPES for n, c in SHAPES for row in measure(n, c, dtype, args.device, args.rounds)]
    text = report(rows, args)
    stem = 'losses' if args.device == 'cpu' else f'losses_{args.device}'
    (RESULTS/f'{stem}.md').write_text(text)
    with open(RESULTS/f'{stem}.csv', 'w', newline='') as f:
        writer = csv.DictWriter(f, rows[0].keys(), lineterminator='\n'); writer.writeheader()
        writer.writerows({k: f'{v:.6g}' if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    print(text)
