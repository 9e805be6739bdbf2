"""Error rate of fine-tuning on real photographs of pets, with ImageNet's weights, the course's own, and none.

    COURSE_LIB_DATA=... python benchmarks/fine_tuning_pets.py [--seeds 3] [--epochs 5] [--size 160] [--device cuda] [--only NAME]

Needs photographs in `COURSE_LIB_DATA` (`oxford-iiit-pet`, and `oxford-iiit-pet-extra` where it is there) and, for the ImageNet rows,
`weights/mobilenetv2_100-timm-same-from-tflite.pth` there, or a network that fetches timm's. Each seed splits off a fifth of the
photographs, by chance and breed by breed, and judges by that. Every run is added to the CSV at once, and the page is made from
all rows of the CSV: another device, or a run that was cut short, adds to what is there.
"""
import argparse
import csv
import datetime
import os
import platform
import shlex
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import timm
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter
from fastai.metrics import error_rate
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageBlock

from course_lib.core import Timer, default_device, mean_ci, seed_everything
from course_lib.data import get
from course_lib.fine_tuning import learner

FIELDS = 'photos', 'arch', 'weights', 'size', 'epochs', 'rate', 'seed', 'device', 'train', 'held_out', 'breeds', 'error_rate', 'seconds', 'date', 'torch', 'command'
ARMS = (('mobilenetv2_100', 'imagenet', 5e-3), ('resnet10', 'embedded', 5e-3), ('resnet10', None, 5e-3)) # architecture, weights, rate


def breed(file: Path) -> str: return file.stem.rpartition('_')[0]


def photos() -> dict[str, list[Path]]:
    "The sets to judge by: all breeds of the sample, and where there is more, the breeds with most photographs"
    files = sorted((get('oxford-iiit-pet')/'images').glob('*.jpg'))
    sets = {f'{len({breed(f) for f in files})} breeds': files}
    try: extra = sorted((get('oxford-iiit-pet-extra')/'images').glob('*.jpg'))
    except FileNotFoundError: return sets
    named = {breed(f) for f in extra}
    many = list({f.name: f for f in files + extra if breed(f) in named}.values())
    return sets | {f'{len(named)} breeds': many}


def loaders(files: list[Path], seed: int, size: int, device: torch.device, bs: int = 32):
    rng, held_out = np.random.default_rng(seed), []
    of = defaultdict(list)
    for i, f in enumerate(files): of[breed(f)].append(i)
    for group in of.values(): held_out += rng.permutation(group)[:round(len(group)/5)].tolist()
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=lambda _: files, get_y=breed, splitter=IndexSplitter(held_out),
                      item_tfms=Resize(size*5//4), batch_tfms=aug_transforms(size=size, min_scale=0.75))
    return block.dataloaders('.', bs=bs, num_workers=0, device=device)


def run(files: list[Path], arch: str, weights: str | None, lr: float, seed: int, epochs: int, size: int, device: torch.device) -> dict:
    "One training and what it reached; at the same number of epochs with and without weights"
    seed_everything(seed)
    dls = loaders(files, seed, size, device)
    learn = learner(dls, arch, weights=weights, metrics=error_rate)
    with learn.no_bar(), learn.no_logging(), Timer() as t:
        if weights: learn.fine_tune(epochs - 1, lr, freeze_epochs=1)
        else: learn.fit_one_cycle(epochs, lr)
    return dict(train=len(dls.train_ds), held_out=len(dls.valid_ds), breeds=len(dls.vocab), error_rate=round(float(learn.recorder.values[-1][-1]), 4), seconds=round(t.seconds, 1))


def page(rows: list[dict]) -> str:
    keys = [k for k in FIELDS if k in ('photos', 'arch', 'weights', 'size', 'epochs', 'rate', 'device')]
    lines = []
    for key in dict.fromkeys(tuple(r[k] for k in keys) for r in rows):
        of = [r for r in rows if tuple(r[k] for k in keys) == key]
        err, r = [float(r['error_rate']) for r in of], of[0]
        e = mean_ci(err) if len(err) > 1 else None
        lines.append(f"| {r['photos']} | {r['train']} / {r['held_out']} | {r['arch']} | {r['weights']} | {r['size']} | {r['epochs']} | {np.mean(err):.1%} | "
                     f"{f'{e.low:.1%} to {e.high:.1%}' if e else 'one run'} | {len(err)} | {np.mean([float(r['seconds']) for r in of]):.0f} | {r['device']} |")
    return f"""# Fine-tuning on real photographs of pets

Error rate on photographs held out by chance, mean over seeds, 95 % interval (Student's t). The photographs are a sample of the
Oxford-IIIT Pet set with the shorter side at most 256 pixels, so these figures cannot be compared with published ones. Many of the breeds are classes of
ImageNet too. `resnet10` with its embedded weights has seen drawn things only, no photograph: for
photographs take ImageNet's weights. A guess errs in 97.3 % of cases with 37 breeds. On a GPU the same command runs with `--device cuda`; every row names
the device it was measured on, and the seconds were taken while another core was at work.

| photographs | train / held out | architecture | weights | pixels | epochs | error rate | interval | seeds | seconds a run | device |
|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

Commands: {'; '.join(f'`{c}`' for c in dict.fromkeys(r['command'] for r in rows))}, with `COURSE_LIB_DATA` set; {', '.join(dict.fromkeys(r['date'] for r in rows))}; torch {', '.join(dict.fromkeys(r['torch'] for r in rows))}, timm {timm.__version__}.
The ImageNet weights of `mobilenetv2_100` are the half-precision file in `COURSE_LIB_DATA/weights`, converted from Google's quantised network; timm's own may do a little better.
"""


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seeds', type=int, default=3)
    p.add_argument('--epochs', type=int, default=5)
    p.add_argument('--size', type=int, default=160)
    p.add_argument('--device', default=str(default_device()), help="'cpu' or 'cuda'; default: the fastest there is")
    p.add_argument('--only', help='one architecture')
    p.add_argument('--photos', help="one set, such as '37 breeds'")
    p.add_argument('--out', type=Path, default=Path(__file__).parent/'results'/'fine_tuning_pets.csv')
    a = p.parse_args()
    device = torch.device(a.device)
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '') if Path('/proc/cpuinfo').exists() else platform.processor()
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'{cpu}, {torch.get_num_threads()} thread(s)'
    said = dict(size=a.size, epochs=a.epochs, device=name, date=str(datetime.date.today()), torch=torch.__version__, command=shlex.join(['python', 'benchmarks/fine_tuning_pets.py', *sys.argv[1:]]))
    if not os.environ.get('COURSE_LIB_DATA'): p.error('set COURSE_LIB_DATA to the folder with the photographs')
    for called, files in photos().items():
        for arch, weights, lr in ARMS:
            if a.only not in (None, arch) or a.photos not in (None, called): continue
            for seed in range(a.seeds):
                row = dict(photos=called, arch=arch, weights=str(weights), rate=lr, seed=seed) | run(files, arch, weights, lr, seed, a.epochs, a.size, device) | said
                new = not a.out.exists()
                with open(a.out, 'a', newline='', encoding='utf-8') as f:
                    out = csv.DictWriter(f, FIELDS, lineterminator='\n')
                    if new: out.writeheader()
                    out.writerow(row)
                print({k: row[k] for k in ('photos', 'arch', 'weights', 'seed', 'error_rate', 'seconds')}, flush=True)
    with open(a.out, newline='', encoding='utf-8') as f: a.out.with_suffix('.md').write_text(page(list(csv.DictReader(f))), encoding='utf-8')
    print(a.out.with_suffix('.md').read_text(encoding='utf-8'))


if __name__ == '__main__': main()
