"""Error rate of fine-tuning on real photographs of pets, with ImageNet's weights, the course's own, and none.

    COURSE_LIB_DATA=... python -m benchmarks.fine_tuning_pets [--seeds 3] [--epochs 5] [--size 160] [--only NAME]

Needs photographs in `COURSE_LIB_DATA` (`oxford-iiit-pet`, and `oxford-iiit-pet-extra` where it is there) and, for the
ImageNet rows, `weights/mobilenetv2_100-timm-same-from-tflite.pth` there, or a network that fetches timm's. Each seed
splits off a fifth of the photographs, by chance and breed by breed, and judges by that. Every run is added to the CSV
at once, and the page is made from all rows of the CSV: another device, or a run that was cut short, adds to what is
there.
"""
import argparse
import csv
import datetime
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import timm
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter
from fastai.metrics import error_rate
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageBlock

from benchmarks.harness import RESULTS, command, place, table
from course_lib.core import Timer, default_device, mean_ci, seed_everything
from course_lib.data import get
from course_lib.fine_tuning import learner

ARM = "photos", "arch", "weights", "size", "epochs", "rate", "device"  # what runs of one row of the page share
FIELDS = (*ARM[:-1], "seed", "device", "train", "held_out", "breeds", "error_rate", "seconds", "date", "torch",
          "command")
ARMS = (("mobilenetv2_100", "imagenet", 5e-3), ("resnet10", "embedded", 5e-3),
        ("resnet10", None, 5e-3))  # architecture, weights, rate
HEAD = """# Fine-tuning on real photographs of pets

Error rate on photographs held out by chance, mean over seeds, 95 % interval (Student's t). The photographs are a sample
of the Oxford-IIIT Pet set with the shorter side at most 256 pixels, so these figures cannot be compared with published
ones. Many of the breeds are classes of ImageNet too. `resnet10` with its embedded weights has seen drawn things only,
no photograph: for photographs take ImageNet's weights. A guess errs in 97.3 % of cases with 37 breeds. On a GPU the
same command runs with `--device cuda`; every row names the device it was measured on, and the seconds were taken while
another core was at work."""
TAIL = """Commands: {commands}, with `COURSE_LIB_DATA` set; {dates}; torch {torch}, timm {timm}. The ImageNet weights of
`mobilenetv2_100` are the half-precision file in `COURSE_LIB_DATA/weights`, converted from Google's quantised network;
timm's own may do a little better."""


def breed(file: Path) -> str:
    "What the name of a photograph says it shows"
    return file.stem.rpartition("_")[0]


def photos() -> dict[str, list[Path]]:
    "The sets to judge by: all breeds of the sample, and where there is more, the breeds with most photographs"
    files = sorted((get("oxford-iiit-pet")/"images").glob("*.jpg"))
    sets = {f"{len({breed(f) for f in files})} breeds": files}
    try: extra = sorted((get("oxford-iiit-pet-extra")/"images").glob("*.jpg"))
    except FileNotFoundError: return sets
    named = {breed(f) for f in extra}
    many = list({f.name: f for f in files + extra if breed(f) in named}.values())
    return sets | {f"{len(named)} breeds": many}


def loaders(files: list[Path], seed: int, size: int, device: torch.device, bs: int = 32) -> DataLoaders:
    "fastai's DataLoaders; a fifth of every breed is held out"
    rng, held_out, places = np.random.default_rng(seed), [], defaultdict(list)
    for i, f in enumerate(files): places[breed(f)].append(i)
    for group in places.values(): held_out += rng.permutation(group)[:round(len(group)/5)].tolist()
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=lambda _: files, get_y=breed,
                      splitter=IndexSplitter(held_out), item_tfms=Resize(size*5//4),
                      batch_tfms=aug_transforms(size=size, min_scale=0.75))
    return block.dataloaders(".", bs=bs, num_workers=0, device=device)


def run(files: list[Path], arch: str, weights: str | None, lr: float, seed: int, epochs: int, size: int,
        device: torch.device) -> dict:
    "One training and what it reached; at the same number of epochs with and without weights"
    seed_everything(seed)
    dls = loaders(files, seed, size, device)
    learn = learner(dls, arch, weights=weights, metrics=error_rate)
    with learn.no_bar(), learn.no_logging(), Timer() as t:
        if weights: learn.fine_tune(epochs - 1, lr, freeze_epochs=1)
        else: learn.fit_one_cycle(epochs, lr)
    return {"train": len(dls.train_ds), "held_out": len(dls.valid_ds), "breeds": len(dls.vocab),
            "error_rate": round(float(learn.recorder.values[-1][-1]), 4), "seconds": round(t.seconds, 1)}


def line(runs: list[dict]) -> dict:
    "The row of the page for runs that differ in their seed alone"
    err, one = [float(r["error_rate"]) for r in runs], runs[0]
    e = mean_ci(err) if len(err) > 1 else None
    return {"photographs": one["photos"], "train / held out": f"{one['train']} / {one['held_out']}",
            "architecture": one["arch"], "weights": one["weights"], "pixels": one["size"], "epochs": one["epochs"],
            "error rate": f"{np.mean(err):.1%}", "interval": f"{e.low:.1%} to {e.high:.1%}" if e else "one run",
            "seeds": len(err), "seconds a run": f"{np.mean([float(r['seconds']) for r in runs]):.0f}",
            "device": one["device"]}


def page(rows: list[dict]) -> str:
    "Head, a row an arm, and the commands"
    arms = defaultdict(list)
    for r in rows: arms[tuple(r[k] for k in ARM)].append(r)
    def said(key: str, join: str = ", ", quote: str = "") -> str:
        return join.join(dict.fromkeys(f"{quote}{r[key]}{quote}" for r in rows))
    tail = TAIL.format(commands=said("command", "; ", "`"), dates=said("date"), torch=said("torch"),
                       timm=timm.__version__)
    return "\n\n".join([HEAD, table([line(runs) for runs in arms.values()]), tail]) + "\n"


def add(file: Path, row: dict) -> None:
    "One more row of the CSV"
    new = not file.exists()
    with open(file, "a", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, FIELDS, lineterminator="\n")
        if new: out.writeheader()
        out.writerow(row)


def main() -> None:
    "Run every arm that is asked for and write the page"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--device", default=str(default_device()), help="'cpu' or 'cuda'; default: the fastest")
    parser.add_argument("--only", help="one architecture")
    parser.add_argument("--photos", help="one set, such as '37 breeds'")
    parser.add_argument("--out", type=Path, default=RESULTS/"fine_tuning_pets.csv")
    args = parser.parse_args()
    if not os.environ.get("COURSE_LIB_DATA"): parser.error("set COURSE_LIB_DATA to the folder with the photographs")
    said = {"size": args.size, "epochs": args.epochs, "device": place(args.device),
            "date": str(datetime.date.today()), "torch": torch.__version__, "command": command()}
    jobs = [(called, files, *arm, seed) for called, files in photos().items() for arm in ARMS
            for seed in range(args.seeds) if args.only in (None, arm[0]) and args.photos in (None, called)]
    for called, files, arch, weights, lr, seed in jobs:
        found = run(files, arch, weights, lr, seed, args.epochs, args.size, torch.device(args.device))
        row = {"photos": called, "arch": arch, "weights": str(weights), "rate": lr, "seed": seed} | found | said
        add(args.out, row)
        print({k: row[k] for k in ("photos", "arch", "weights", "seed", "error_rate", "seconds")}, flush=True)
    with open(args.out, newline="", encoding="utf-8") as f: text = page(list(csv.DictReader(f)))
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__": main()
