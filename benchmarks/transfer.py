"""What the embedded weights are worth: 12 drawn breeds, 20 pictures of each, fine-tuned against trained from scratch.

    python benchmarks/transfer.py [--seeds 5] [--epochs 10] [--out benchmarks/results/transfer.csv]

Each seed has training pictures, batch order and head of its own; the held-out pictures are the same for all. Both sides get the
same network, head, augmentation and number of epochs. Scratch is run at several rates and, at the best of them, for twice and four
times as many epochs; the best rate is picked on the held-out pictures, which favours scratch. A run that is in the CSV already, of the same weights, is not repeated.
"""
import argparse
import csv
import datetime
import json
import platform
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.transforms import IndexSplitter, IntToFloatTensor
from fastai.metrics import accuracy
from fastai.vision.augment import aug_transforms
from fastai.vision.core import PILImage

from course_lib.core import Timer, asset, mean_ci, seed_everything
from course_lib.data import PET_BREEDS, draw_pet
from course_lib.fine_tuning import learner

SHOTS, HELD_OUT, SIDE, SIZE = 20, 30, 72, 64 # pictures of a breed to train on and to judge by; pixels as stored and as seen
RATES = 1e-3, 3e-3, 1e-2, 3e-2


def draw(breed: int, i: int) -> np.ndarray:
    "One pet, squeezed into a square"
    return np.asarray(draw_pet(PET_BREEDS[breed], [2026, breed, i], size=(96, 200))[0].resize((SIDE, SIDE)))


def pets(seeds: int, shots: int = SHOTS, held_out: int = HELD_OUT) -> tuple[list, list]:
    "One list of pictures (array, breed) for each seed, and the held-out one; no picture is in two of them"
    def some(first, n): return [(draw(b, i), b) for b in range(len(PET_BREEDS)) for i in range(first, first + n)]
    return [some(1000 + s*shots, shots) for s in range(seeds)], some(0, held_out)


def loaders(train: list, held_out: list, bs: int = 32):
    "fastai's DataLoaders, augmented in batches"
    items = train + held_out
    block = DataBlock(blocks=(TransformBlock(type_tfms=lambda i: PILImage.create(items[i][0]), batch_tfms=IntToFloatTensor), CategoryBlock(vocab=list(PET_BREEDS))),
                      get_items=lambda _: list(range(len(items))), get_y=lambda i: PET_BREEDS[items[i][1]],
                      splitter=IndexSplitter(range(len(train), len(items))), batch_tfms=aug_transforms(size=SIZE, min_scale=0.75, max_warp=0.))
    return block.dataloaders('.', bs=bs, num_workers=0)


def run(seed: int, train: list, held_out: list, epochs: int, weights: str | None, lr: float, frozen: bool = False) -> tuple[float, float]:
    "Accuracy on the held-out pictures and seconds of training: `fine_tune` with weights, one cycle without"
    seed_everything(seed)
    learn = learner(loaders(train, held_out), 'resnet10', weights=weights, metrics=accuracy)
    with learn.no_bar(), learn.no_logging(), Timer() as t:
        if frozen or not weights: learn.fit_one_cycle(epochs, lr)
        else: learn.fine_tune(epochs - 1, lr, freeze_epochs=1)
    return float(learn.recorder.values[-1][-1]), t.seconds


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seeds', type=int, default=5)
    p.add_argument('--epochs', type=int, default=10)
    p.add_argument('--out', type=Path, default=Path(__file__).parent/'results'/'transfer.csv')
    a = p.parse_args()
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '') if Path('/proc/cpuinfo').exists() else platform.processor()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f'{cpu}, {torch.get_num_threads()} thread(s)'
    sha = json.loads(asset('resnet10.json').read_text(encoding='utf-8'))['sha256'][:12]
    trains, held_out = pets(a.seeds)
    old, rows = {}, [] # method, weights, epochs, rate, seed, device, accuracy, seconds
    if a.out.exists():
        with open(a.out, newline='', encoding='utf-8') as f: old = {tuple(r[:6]): r for r in list(csv.reader(f))[1:]}
    def keep(rows):
        with open(a.out, 'w', newline='', encoding='utf-8') as f:
            out = csv.writer(f, lineterminator='\n')
            out.writerow(['method', 'weights', 'epochs', 'rate', 'seed', 'device', 'accuracy', 'seconds'])
            out.writerows(rows)
    def arm(method, epochs, lr, weights=None, **kw):
        for s in range(a.seeds):
            key = (method, sha if weights else 'none', str(epochs), f'{lr:g}', str(s), where)
            if key not in old:
                acc, seconds = run(s, trains[s], held_out, epochs, weights, lr, **kw)
                old[key] = [*key, f'{acc:.4f}', f'{seconds:.2f}']
                print(*old[key], flush=True)
                keep(old.values())
            rows.append(old[key])
        return [float(r[6]) for r in rows[-a.seeds:]]
    a.out.parent.mkdir(exist_ok=True)
    scratch = {lr: arm('scratch', a.epochs, lr) for lr in RATES}
    best = max(scratch, key=lambda lr: np.mean(scratch[lr]))
    longer = {k: arm('scratch', k*a.epochs, best) for k in (2, 4)}
    tuned = arm('fine-tuned', a.epochs, 5e-3, weights='embedded')
    arm('body frozen, head only', a.epochs, 1e-2, weights='embedded', frozen=True)

    keep(rows)
    table = []
    for key in dict.fromkeys((r[0], r[2], r[3]) for r in rows):
        of = [r for r in rows if (r[0], r[2], r[3]) == key]
        e = mean_ci([float(r[6]) for r in of])
        table.append(f'| {" | ".join(key)} | {e.value:.1%} | {e.low:.1%} to {e.high:.1%} | {np.mean([float(r[7]) for r in of]):.1f} |')
    def more(other):
        e = mean_ci(tuned, other)
        return f'{100*e.value:+.1f} points ({100*e.low:+.1f} to {100*e.high:+.1f}, {e.n} seeds)'
    a.out.with_suffix('.md').write_text(f"""# Fine-tuned against from scratch, on drawn pets

`python benchmarks/transfer.py --seeds {a.seeds} --epochs {a.epochs}`, {datetime.date.today()}, {where}, torch {torch.__version__}

12 breeds, {SHOTS} training pictures of each, {len(held_out)} held-out pictures, {SIZE} pixels. The body is `resnet10` with the course's own
weights (sha256 {sha}...), which were trained on drawn things that are no pets, or with random ones. Chance is {1/len(PET_BREEDS):.1%}. Intervals: 95 %, Student's t over seeds.
What is held equal is the number of epochs; the seconds were taken while another core was at work.

| method | epochs | rate | held-out accuracy | interval | seconds |
|---|---|---|---|---|---|
{chr(10).join(table)}

Fine-tuned less scratch, pair by pair: in the same number of epochs and at scratch's best rate ({best:g}) {more(scratch[best])}; with twice the epochs for
scratch {more(longer[2])}; with four times {more(longer[4])}. Scratch's best rate was picked on the held-out pictures.
""", encoding='utf-8')
    print(a.out.with_suffix('.md').read_text(encoding='utf-8'))


if __name__ == '__main__': main()
