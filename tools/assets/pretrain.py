"""Train the course's own pretrained network and write it into `course_lib/_assets`.

    python -m tools.assets.pretrain                                    # on a GPU if there is one
    python -m tools.assets.pretrain --bf16                             # twice as fast on processors that multiply in
    bfloat16 python -m tools.assets.pretrain --minutes 50                       # as many epochs as fit, counted on the
    first batches python -m tools.assets.pretrain --epochs 1 --per-class 8 --out tiny

The pictures are drawn by `tools/assets/drawn_things.py` (things, textures and invented creatures; no cat and no dog),
once, into the course's cache. The network is a ResNet-10 of half the usual width. Two files come out:
`resnet10.safetensors`, the weights with their classifier in half precision, and `resnet10.json`, the recipe: how to
build the network, what it was trained on and how well it did. Both are written only when the training has ended. The
same seed and epochs give the same weights on the same machine with the same number of threads. The recipe also holds
the command, the machine and the seconds of the committed files.
"""
import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import time
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.core import cache_dir, default_device
from tools.assets import drawn_things
from tools.notebooks import ROOT

NAME = 'resnet10'
MODEL, KWARGS = 'resnet10t', {'channels': [32, 64, 128, 256]}
SIZE = 64 # side of what the network sees, in pixels
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH, LR, DECAY, SMOOTH = 128, 4e-3, 0.05, 0.1
HELD_OUT = 20 # pictures of each class that are never trained on
CLASSES = list(drawn_things.CLASSES)


def build(seed: int = 0) -> nn.Module:
    "The network with random weights that follow from the seed alone"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(MODEL, num_classes=len(CLASSES), **KWARGS)


def pictures(per_class: int, seed: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pictures [classes*per_class, h, w, 3] and their labels, drawn once and then read from the cache; picture
    `first + i` of a class depends on nothing else"""
    code = Path(drawn_things.__file__).read_bytes()
    key = hashlib.sha256(code + f'{per_class} {seed} {first}'.encode()).hexdigest()[:16]
    file = cache_dir()/'made'/f'drawn-things-{key}.npy'
    if not file.exists():
        side = drawn_things.SIDE
        x = np.empty((len(CLASSES), per_class, side, side, 3), np.uint8)
        for c, name in enumerate(CLASSES):
            for i in range(per_class): x[c, i] = drawn_things.draw(name, np.random.default_rng([seed, c, first + i]))
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f'.{file.name}.{os.getpid()}.npy')
        np.save(part, x)
        os.replace(part, file)
    x = np.load(file)
    return x.reshape(-1, *x.shape[2:]), np.repeat(np.arange(len(CLASSES)), per_class)


def normalise(x: Tensor) -> Tensor:
    "uint8 [n,h,w,3] to normalised floats [n,3,h,w]"
    mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1)*255 for v in (MEAN, STD))
    return (x.permute(0, 3, 1, 2).float() - mean)/std


def random_view(x: Tensor, g: torch.Generator) -> Tensor:
    """Each picture [n,3,h,w] flipped, turned, zoomed and moved on its own, cut to SIZE, with other light, sometimes
    with a patch missing"""
    n, side = len(x), x.shape[-1]
    def u(lo, hi, *shape): return (torch.rand(n, *shape, generator=g)*(hi - lo) + lo).to(x.device)
    flip, angle, zoom = torch.where(u(0, 1) < .5, -1., 1.), u(-.2, .2), SIZE/side*torch.exp(u(-.35, .12))
    stretch, dx, dy = torch.exp(u(-.12, .12)), u(-1, 1)*(1 - zoom).clamp(min=0), u(-1, 1)*(1 - zoom).clamp(min=0)
    c, s = torch.cos(angle)*zoom, torch.sin(angle)*zoom
    theta = torch.stack([torch.stack([flip*c*stretch, -s, dx], 1), torch.stack([flip*s*stretch, c, dy], 1)], 1)
    x = F.grid_sample(x, F.affine_grid(theta, [n, 3, SIZE, SIZE], align_corners=False), padding_mode='reflection',
                      align_corners=False)
    x = x*u(.75, 1.25, 1, 1, 1) + u(-.35, .35, 1, 1, 1) + u(-.2, .2, 3, 1, 1)
    at = torch.arange(SIZE, device=x.device)
    y0, x0, h, w = (u(0, SIZE), u(0, SIZE), u(8, 24), u(8, 24))
    down, along = at - y0[:, None], at - x0[:, None]
    gone = ((down > 0) & (down < h[:, None]))[:, :, None] & ((along > 0) & (along < w[:, None]))[:, None]
    return torch.where((gone & (u(0, 1, 1, 1) < .3))[:, None], u(-1.5, 1.5, 3, 1, 1), x)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    "Share of pictures named right, from their middles, without augmentation"
    model.eval()
    m = (x.shape[1] - SIZE)//2
    right = [(model(normalise(xb[:, m:m+SIZE, m:m+SIZE])).argmax(1) == yb).sum() for xb,
             yb in zip(x.split(256), y.split(256))]
    return float(sum(right))/len(y)


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, g: torch.Generator, bf16: bool = False, minutes: float
          | None = None) -> tuple[int, list[float]]:
    """One cycle of AdamW over the rates; returns the number of epochs and the mean loss of each. With `minutes`, the
    first 12 batches set the number of epochs."""
    model.train()
    steps = max(len(y)//BATCH, 1)
    def step(i):
        xb = random_view(normalise(x[i]), g).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16): out = model(xb)
        loss = F.cross_entropy(out.float(), y[i], label_smoothing=SMOOTH)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.)
        return loss.detach()
    if minutes:
        before, noise = {k: v.clone() for k, v in model.state_dict().items()}, g.get_state()
        for i in range(12):
            if i == 2: start = time.perf_counter()
            step(torch.arange(i*BATCH, (i+1)*BATCH) % len(y))
            model.zero_grad()
        per_epoch = (time.perf_counter() - start)/10*steps
        epochs = max(int(minutes*60/per_epoch), 1)
        model.load_state_dict(before)
        g.set_state(noise)
        print(f'{per_epoch:.1f} s an epoch: {epochs} epochs in {minutes:g} minutes', flush=True)
    decay, rest = [p for p in model.parameters() if p.ndim > 1], [p for p in model.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW([{'params': decay, 'weight_decay': DECAY}, {'params': rest, 'weight_decay': 0}], lr=LR,
                            betas=(.9, .99))
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, LR, epochs*steps, pct_start=.2, cycle_momentum=False)
    losses = []
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.
        for i in torch.randperm(len(y), generator=g)[:steps*BATCH].split(BATCH):
            total += step(i.to(x.device))
            opt.step()
            opt.zero_grad()
            cycle.step()
        losses.append(float(total)/steps)
        print(f'epoch {epoch + 1}/{epochs}: loss {losses[-1]:.3f}, {time.perf_counter() - start:.0f} s', flush=True)
    return epochs, losses


def processor() -> str:
    "The name of the CPU, where the system tells it"
    try: return next(line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name'))
    except (OSError, StopIteration): return platform.processor() or platform.machine()


def main(argv: list[str] | None = None) -> Path:
    "Draw, train, measure and write; returns the folder"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--epochs', type=int, default=26)
    p.add_argument('--minutes', type=float,
                   help='train for about so long instead of --epochs; the recipe then says how many epochs that was')
    p.add_argument('--per-class', type=int, default=360, help='pictures of each class to train on')
    p.add_argument('--seed', type=int, default=42)
    p.add_argument('--out', type=Path, default=ROOT/'course_lib'/'_assets')
    p.add_argument('--bf16', action='store_true',
                   help='multiply in bfloat16: about twice as fast on processors that can')
    p.add_argument('--device', default=None, help="'cpu' or 'cuda'; default: the fastest there is")
    a = p.parse_args(argv)
    if a.epochs < 1 or a.per_class < 1:
        p.error(f'--epochs and --per-class must be at least 1, got {a.epochs} and {a.per_class}')
    device = torch.device(a.device) if a.device else default_device()

    start = time.perf_counter()
    x, y = (torch.from_numpy(v) for v in pictures(a.per_class, a.seed))
    held_x, held_y = (torch.from_numpy(v) for v in pictures(min(HELD_OUT, a.per_class), a.seed, first=1_000_000))
    drawn = time.perf_counter() - start
    print(f'{len(y)} pictures of {len(CLASSES)} classes, {drawn:.0f} s', flush=True)
    x, y, held_x, held_y = (v.to(device) for v in (x, y, held_x, held_y))

    g = torch.Generator().manual_seed(a.seed)
    model = build(a.seed).to(device, memory_format=torch.channels_last)
    start = time.perf_counter()
    epochs, losses = train(model, x, y, a.epochs, g, a.bf16, a.minutes)
    seconds = time.perf_counter() - start

    weights = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in model.state_dict().items()}
    a.out.mkdir(parents=True, exist_ok=True)
    file = a.out/f'{NAME}.safetensors'
    save_file(weights, file)
    again = build().to(device)
    again.load_state_dict(load_file(file), strict=True) # half precision, as a user gets it
    first_held = held_x.view(len(CLASSES), -1, *held_x.shape[1:])[:, 0]
    recipe = {
        'name': NAME, 'model': MODEL, 'kwargs': KWARGS, 'num_classes': len(CLASSES), 'head': 'fc', 'image_size': SIZE,
        'mean': MEAN, 'std': STD,
        'parameters': sum(v.numel() for v in model.parameters()),
        'heldout_accuracy': round(accuracy(again, held_x, held_y), 4),
        'train_accuracy': round(accuracy(again, x[::max(len(y)//5000, 1)], y[::max(len(y)//5000, 1)]), 4),
        'train_loss': [round(v, 4) for v in losses],
        'data': {'what': drawn_things.__doc__.split('\n')[0], 'drawn_by': 'tools/assets/drawn_things.py',
                 'side': drawn_things.SIDE,
                 'first_heldout_sha256': hashlib.sha256(first_held.cpu().numpy().tobytes()).hexdigest(),
                 'train_pictures': len(y), 'heldout_pictures': len(held_y), 'classes': CLASSES},
        'seed': a.seed, 'epochs': epochs, 'batch_size': BATCH,
        'optimizer': f'AdamW, weight decay {DECAY}, one cycle up to {LR}', 'label_smoothing': SMOOTH,
        'augmentation': random_view.__doc__, 'seconds': round(seconds), 'seconds_drawing': round(drawn),
        'device': torch.cuda.get_device_name() if device.type == 'cuda' else processor(),
        'threads': torch.get_num_threads(),
        'versions': {'python': platform.python_version(), 'torch': torch.__version__, 'timm': timm.__version__,
                     'numpy': np.__version__},
        'command': f'python -m tools.assets.pretrain --epochs {epochs} --per-class {a.per_class} --seed {a.seed}'
        + ' --bf16'*a.bf16 + (f' --device {shlex.quote(a.device)}' if a.device else ''),
        'date': datetime.date.today().isoformat(), 'licence': 'Apache-2.0, as the course', 'bytes': file.stat().st_size,
        'sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    (a.out/f'{NAME}.json').write_text(json.dumps(recipe, indent=1) + '\n', encoding='utf-8')
    print(f"held-out accuracy {recipe['heldout_accuracy']:.1%}, train {recipe['train_accuracy']:.1%}, "
          f"{recipe['bytes']/1e6:.2f} MB, {seconds:.0f} s", flush=True)
    return a.out


if __name__ == '__main__': main()
