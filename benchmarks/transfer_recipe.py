"""Which part of a recipe fine-tuning gains from: the rates, the head or the crops, one at a time and together.

    python -m benchmarks.transfer_recipe [--seeds 5] [--epochs 10]

The pictures are those of `benchmarks.transfer`: 12 drawn breeds, 20 pictures of each to train on, 30 to judge by. Every
arm has the embedded weights, the same pictures and batches of a seed, and as many epochs. A run that is in the CSV
already is not repeated.
"""
import argparse
import csv

import torch
from fastai.callback.core import Callback, CancelValidException
from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.transforms import IndexSplitter, IntToFloatTensor
from fastai.metrics import accuracy
from fastai.torch_core import TensorImage
from fastai.vision.augment import Flip, RandomResizedCropGPU, aug_transforms
from torch import nn

from benchmarks.harness import RESULTS, machine
from benchmarks.transfer import SIDE, SIZE, pets
from course_lib.core import Timer, mean_ci, seed_everything
from course_lib.data import PET_BREEDS
from course_lib.fine_tuning import learner

FIELDS = "rates", "head", "crops", "epochs", "seed", "accuracy", "seconds"
LOW, HIGH = "fine_tune(5e-3)", "never frozen, 1e-3 and 1e-2"  # rates of body and head
FASTAI, LINEAR = "fastai's", "linear"
WIDE, GENTLE = "aug_transforms", f"at least {58/SIDE:.0%} of the side"
ARMS = ((LOW, FASTAI, WIDE), (HIGH, FASTAI, WIDE), (LOW, LINEAR, WIDE), (LOW, FASTAI, GENTLE),
        (HIGH, LINEAR, WIDE), (HIGH, LINEAR, GENTLE))


class JudgeAtTheEnd(Callback):
    "Skip the validation of every epoch but the last"
    def before_validate(self) -> None:
        "Leave early epochs unjudged"
        if self.epoch < self.n_epoch - 1: raise CancelValidException


def loaders(train: list, held_out: list, crops: str):
    "DataLoaders of pictures that are kept in memory"
    items = [(TensorImage(torch.as_tensor(x.copy())).permute(2, 0, 1).contiguous(), y) for x, y in train + held_out]
    gentle = [RandomResizedCropGPU(SIZE, min_scale=(58/SIDE)**2, ratio=(1, 1)), Flip()]
    picture = TransformBlock(type_tfms=lambda i: items[i][0], batch_tfms=IntToFloatTensor)
    block = DataBlock((picture, CategoryBlock(vocab=list(PET_BREEDS))), get_y=lambda i: PET_BREEDS[items[i][1]],
                      splitter=IndexSplitter(range(len(train), len(items))),
                      batch_tfms=gentle if crops == GENTLE else aug_transforms(size=SIZE, min_scale=0.75, max_warp=0.))
    return block.dataloaders(list(range(len(items))), bs=32, num_workers=0)


def run(seed: int, train: list, held_out: list, epochs: int, rates: str, head: str, crops: str) -> tuple[float, float]:
    "Accuracy on the held-out pictures, and seconds of training"
    seed_everything(seed)
    linear = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, len(PET_BREEDS)))
    more = {"custom_head": linear} if head == LINEAR else {}
    learn = learner(loaders(train, held_out, crops), "resnet10", metrics=accuracy, cbs=JudgeAtTheEnd(), **more)
    with learn.no_bar(), learn.no_logging(), Timer() as t:
        if rates == LOW: learn.fine_tune(epochs - 1, 5e-3)
        else:
            learn.unfreeze()
            learn.fit_one_cycle(epochs, slice(1e-2))
    return float(learn.recorder.values[-1][-1]), t.seconds


def page(rows: list[dict]) -> str:
    "The table of all arms, and what each differs from the first by, pair by pair"
    by_arm: dict[tuple, dict] = {arm: {} for arm in ARMS}
    for r in rows: by_arm[r["rates"], r["head"], r["crops"]][r["seed"]] = float(r["accuracy"])
    first, lines = by_arm[ARMS[0]], []
    for arm, scores in by_arm.items():
        both = [s for s in scores if s in first]
        if len(both) < 2: continue
        e = mean_ci([scores[s] for s in both])
        less = mean_ci([scores[s] for s in both], [first[s] for s in both]) if arm != ARMS[0] else None
        gain = f"{100*less.value:+.1f} [{100*less.low:+.1f}, {100*less.high:+.1f}]" if less else ""
        lines.append(f"| {' | '.join(arm)} | {e.value:.1%} [{e.low:.1%}, {e.high:.1%}] | {gain} | {len(both)} |")
    return "\n".join(["# Which part of the recipe", "", machine("fastai", "timm"), "",
                      f"12 breeds, 20 training pictures of each, {rows[0]['epochs']} epochs. Five arms against the "
                      "first are five intervals, so one that just misses zero proves little. Intervals: 95 %, "
                      "Student's t over seeds.", "",
                      "| rates | head | crops | held-out accuracy | less the first row, points | seeds |",
                      "|---|---|---|---|---|---|", *lines, ""])


def main() -> None:
    "Run what is missing, write the CSV after every run and the page at the end"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    out = RESULTS/"transfer_recipe.csv"
    rows = list(csv.DictReader(out.open(newline="", encoding="utf-8"))) if out.exists() else []
    done = {tuple(r[f] for f in FIELDS[:5]) for r in rows}
    trains, held_out = pets(args.seeds)
    for seed in range(args.seeds):
        for arm in ARMS:
            key = (*arm, str(args.epochs), str(seed))
            if key in done: continue
            score, took = run(seed, trains[seed], held_out, args.epochs, *arm)
            rows.append(dict(zip(FIELDS, (*key, f"{score:.4f}", f"{took:.1f}"))))
            print(*rows[-1].values(), flush=True)
            with out.open("w", newline="", encoding="utf-8") as f:
                table = csv.DictWriter(f, FIELDS, lineterminator="\n")
                table.writeheader()
                table.writerows(rows)
    out.with_suffix(".md").write_text(page(rows), encoding="utf-8")
    print(page(rows))


if __name__ == "__main__": main()
