"""What the embedded weights are worth: 12 drawn breeds, 20 pictures of each, fine-tuned against trained from scratch.

    python -m benchmarks.transfer [--seeds 5] [--epochs 10]

Each seed has training pictures, batch order and head of its own; the held-out pictures are the same for all. Both sides
get the same network, head, augmentation and number of epochs. Scratch is run at several rates and, at the best of them,
for twice and four times as many epochs; the best rate is picked on the held-out pictures, which favours scratch. A run
that is in the CSV already, of the same weights, is not repeated.
"""
import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, IntToFloatTensor
from fastai.metrics import accuracy
from fastai.vision.augment import aug_transforms
from fastai.vision.core import PILImage

from benchmarks.harness import RESULTS, machine, place, table
from course_lib.core import Timer, asset, mean_ci, seed_everything
from course_lib.data import PET_BREEDS, draw_pet
from course_lib.fine_tuning import learner

SHOTS, HELD_OUT = 20, 30  # pictures of a breed to train on and to judge by
SIDE, SIZE = 72, 64  # pixels as stored and as seen
RATES = 1e-3, 3e-3, 1e-2, 3e-2
FIELDS = "method", "weights", "epochs", "rate", "seed", "device", "accuracy", "seconds"
Pictures = list[tuple[np.ndarray, int]]  # (pixels, breed)


def draw(breed: int, i: int) -> np.ndarray:
    "One pet, squeezed into a square"
    return np.asarray(draw_pet(PET_BREEDS[breed], [2026, breed, i], size=(96, 200))[0].resize((SIDE, SIDE)))


def pets(seeds: int, shots: int = SHOTS, held_out: int = HELD_OUT) -> tuple[list[Pictures], Pictures]:
    "One list of pictures for each seed, and the held-out one; no picture is in two of them"
    def some(first: int, n: int) -> Pictures:
        return [(draw(b, i), b) for b in range(len(PET_BREEDS)) for i in range(first, first + n)]
    return [some(1000 + s*shots, shots) for s in range(seeds)], some(0, held_out)


def loaders(train: Pictures, held_out: Pictures, bs: int = 32) -> DataLoaders:
    "fastai's DataLoaders, augmented in batches"
    items = train + held_out
    picture = TransformBlock(type_tfms=lambda i: PILImage.create(items[i][0]), batch_tfms=IntToFloatTensor)
    block = DataBlock(blocks=(picture, CategoryBlock(vocab=list(PET_BREEDS))),
                      get_items=lambda _: list(range(len(items))), get_y=lambda i: PET_BREEDS[items[i][1]],
                      splitter=IndexSplitter(range(len(train), len(items))),
                      batch_tfms=aug_transforms(size=SIZE, min_scale=0.75, max_warp=0.))
    return block.dataloaders(".", bs=bs, num_workers=0)


def run(seed: int, train: Pictures, held_out: Pictures, epochs: int, weights: str | None, lr: float,
        frozen: bool = False) -> tuple[float, float]:
    "Accuracy on the held-out pictures and seconds of training: `fine_tune` with weights, one cycle without"
    seed_everything(seed)
    learn = learner(loaders(train, held_out), "resnet10", weights=weights, metrics=accuracy)
    with learn.no_bar(), learn.no_logging(), Timer() as t:
        if frozen or not weights: learn.fit_one_cycle(epochs, lr)
        else: learn.fine_tune(epochs - 1, lr, freeze_epochs=1)
    return float(learn.recorder.values[-1][-1]), t.seconds


class Runs:
    "Every run there has been, in a CSV that grows with each; an arm is a method at a rate for so many epochs"
    def __init__(self, file: Path, seeds: int) -> None:
        self.file, self.seeds, self.shown = file, seeds, {}
        self.trains, self.held_out = pets(seeds)
        self.where = place("cuda" if torch.cuda.is_available() else "cpu")
        self.sha = json.loads(asset("resnet10.json").read_text(encoding="utf-8"))["sha256"][:12]
        lines = file.read_text(encoding="utf-8").splitlines()[1:] if file.exists() else []
        self.rows = {tuple(r[:6]): r for r in csv.reader(lines)}

    def arm(self, method: str, epochs: int, lr: float, weights: str | None = None, frozen: bool = False) -> list[float]:
        "The accuracy of each seed; what was not run before is run"
        mine = []
        for s in range(self.seeds):
            key = (method, self.sha if weights else "none", str(epochs), f"{lr:g}", str(s), self.where)
            if key not in self.rows:
                score, seconds = run(s, self.trains[s], self.held_out, epochs, weights, lr, frozen)
                self.rows[key] = [*key, f"{score:.4f}", f"{seconds:.2f}"]
                print(*self.rows[key], flush=True)
                self.save()
            mine.append(self.rows[key])
        self.shown[method, epochs, f"{lr:g}"] = mine
        return [float(r[6]) for r in mine]

    def save(self) -> None:
        "Write all rows"
        with open(self.file, "w", newline="", encoding="utf-8") as f:
            out = csv.writer(f, lineterminator="\n")
            out.writerow(FIELDS)
            out.writerows(self.rows.values())

    def lines(self) -> list[dict]:
        "A line of the table for each arm"
        return [dict(zip(("method", "epochs", "rate"), arm))
                | {"held-out accuracy": percent([float(r[6]) for r in mine]),
                   "seconds": f"{np.mean([float(r[7]) for r in mine]):.1f}"} for arm, mine in self.shown.items()]


def percent(scores: Sequence[float]) -> str:
    "Mean with its interval"
    e = mean_ci(scores)
    return f"{e.value:.1%} [{e.low:.1%}, {e.high:.1%}]"


def more(ours: Sequence[float], other: Sequence[float]) -> str:
    "What is gained, pair by pair"
    e = mean_ci(ours, other)
    return f"{100*e.value:+.1f} points ({100*e.low:+.1f} to {100*e.high:+.1f}, {e.n} seeds)"


def main() -> None:
    "Run what is missing and write the page"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS/"transfer.csv")
    args = parser.parse_args()
    runs = Runs(args.out, args.seeds)
    scratch = {lr: runs.arm("scratch", args.epochs, lr) for lr in RATES}
    best = max(scratch, key=lambda lr: np.mean(scratch[lr]))
    longer = {k: runs.arm("scratch", k*args.epochs, best) for k in (2, 4)}
    tuned = runs.arm("fine-tuned", args.epochs, 5e-3, weights="embedded")
    runs.arm("body frozen but for batch norm", args.epochs, 1e-2, weights="embedded", frozen=True)
    text = f"""# Fine-tuned against from scratch, on drawn pets

{machine("fastai", "timm", device="cuda" if torch.cuda.is_available() else "cpu")}

12 breeds, {SHOTS} training pictures of each, {len(runs.held_out)} held-out pictures, {SIZE} pixels. The body is
`resnet10` with the course's own weights (sha256 {runs.sha}...), which were trained on drawn things that are no pets, or
with random ones. Chance is {1/len(PET_BREEDS):.1%}. Intervals: 95 %, Student's t over seeds. What is held equal is the
number of epochs; the seconds were taken on a machine that others used too.

{table(runs.lines())}

Fine-tuned less scratch, pair by pair: in the same number of epochs and at scratch's best rate ({best:g})
{more(tuned, scratch[best])}; with twice the epochs for scratch {more(tuned, longer[2])}; with four times
{more(tuned, longer[4])}. Scratch's best rate was picked on the held-out pictures.
"""
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__": main()
