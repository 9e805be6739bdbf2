"""Tricks on one task: the drawn pets, ten pictures of a breed to learn from, a fine-tuned network, several seeds.

    python -m benchmarks.tricks [--seeds 6] [--epochs 8]

Every arm of a seed has the same pictures, the same first weights and the same order of batches; a row is the paired
difference to the plain run. Views, EMA and soup are answers of the plain run (the soup adds a second run, which differs
in its order of batches alone); the others are trained anew. The intervals are not widened for the number of rows:
`comparisons` in the page says how many there are.
"""
import argparse
import copy
from collections import defaultdict
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from benchmarks.harness import machine, write
from course_lib.core import mean_ci, seed_everything
from course_lib.data import get
from course_lib.fine_tuning import backbone
from course_lib.foundations import Batches, Dataset, Learner, OneCycle
from course_lib.tricks import Accumulate, Average, Mix, cutmix, refresh_batch_norm, soup, tta, views

EACH, LEARNED, SIDE, LR = 30, 10, 64, 0.004  # pictures of a breed, of which to learn from; pixels; highest rate


def pictures() -> tuple[Tensor, Tensor]:
    "The pets as normalised squares [N, 3, SIDE, SIDE], breed by breed, and their labels"
    files = defaultdict(list)
    for f in sorted((get("pets")/"images").glob("*.jpg")): files[f.name.rpartition("_")[0]].append(f)
    squares = []
    for f in (f for group in files.values() for f in group[:EACH]):
        with Image.open(f) as im:
            square = ImageOps.fit(im.convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC)
            squares.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
    mean, std = (torch.tensor(s)[:, None, None] for s in backbone("resnet10").stats)
    return (torch.stack(squares)/255 - mean)/std, torch.arange(len(files)).repeat_interleave(EACH)


class Seed:
    "One split of the pictures, one set of first weights"
    def __init__(self, seed: int, xs: Tensor, ys: Tensor, epochs: int) -> None:
        self.seed, self.epochs = seed, epochs
        order = torch.rand(len(ys)//EACH, EACH, generator=torch.Generator().manual_seed(seed)).argsort(1)
        places = (torch.arange(len(ys)//EACH)[:, None]*EACH + order)
        learn, judge = places[:, :LEARNED].flatten(), places[:, LEARNED:].flatten()
        self.train, self.x, self.y = Dataset(xs[learn], ys[learn]), xs[judge], ys[judge]
        seed_everything(seed)
        self.net = nn.Sequential(backbone("resnet10"), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.25),
                                 nn.Linear(256, len(ys)//EACH))

    def trained(self, loss: nn.Module | None = None, callbacks: tuple = (), batch: int = 24,
                order: int = 0) -> nn.Module:
        "The network after training; `order` chooses the order of the batches and the dropout"
        gen = seed_everything(1000*order + self.seed)
        few = Dataset(self.x[:2], self.y[:2])  # the Learner wants something to judge; the judging is done below
        learner = Learner(Batches(self.train, batch, shuffle=True, generator=gen), Batches(few, 2),
                          copy.deepcopy(self.net), loss or nn.CrossEntropyLoss(),
                          partial(torch.optim.AdamW, weight_decay=0.01), callbacks=[OneCycle(), *callbacks])
        learner.fit(self.epochs, LR)
        return learner.model

    def judged(self, model: nn.Module, looks: list) -> tuple[float, float]:
        "Share of right answers, and log loss, averaged over views"
        device = next(model.parameters()).device
        logits = torch.cat([tta(model, x.to(device), looks).cpu() for x in self.x.split(60)])
        return (logits.argmax(1) == self.y).double().mean().item(), F.cross_entropy(logits, self.y).item()

    def arms(self) -> dict[str, tuple[float, float]]:
        "{trick: accuracy and log loss}"
        average, plain_view = Average(0.9), views(mirror=False)
        plain = self.trained(callbacks=(average,))
        second = self.trained(order=1)
        mean = copy.deepcopy(plain)
        mean.load_state_dict(soup([plain.state_dict(), second.state_dict()]))
        refresh_batch_norm(mean, self.train.xs.to(next(mean.parameters()).device).split(40))
        fresh = {"label smoothing 0.1": self.trained(nn.CrossEntropyLoss(label_smoothing=0.1)),
                 "MixUp, α = 0.4": self.trained(callbacks=(Mix(),)),
                 "CutMix, α = 1": self.trained(callbacks=(Mix(cutmix),)),
                 "accumulation, 2 batches of 12": self.trained(callbacks=(Accumulate(2),), batch=12)}
        found = {"plain": self.judged(plain, plain_view), "2 views: mirrored": self.judged(plain, views()),
                 "10 views: mirrored, moved by 4 pixels": self.judged(plain, views(move=4)),
                 "EMA, decay 0.9": self.judged(average.ema.model, plain_view),
                 "soup of two runs": self.judged(mean, plain_view)}
        return found | {name: self.judged(model, plain_view) for name, model in fresh.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    xs, ys = pictures()
    found: dict[str, list] = defaultdict(list)
    for seed in range(200, 200 + args.seeds):
        for name, result in Seed(seed, xs, ys, args.epochs).arms().items(): found[name].append(result)
        print(seed, {name: f"{100*runs[-1][0]:.1f}" for name, runs in found.items()}, flush=True)
    plain = found.pop("plain")
    accuracy, log_loss = (mean_ci([run[i] for run in plain]) for i in (0, 1))
    rows = [{"trick": name, "points of accuracy": mean_ci(*([100*r[0] for r in runs] for runs in (of, plain))),
             "log loss": mean_ci(*([r[1] for r in runs] for runs in (of, plain)))} for name, of in found.items()]
    learned, count = LEARNED*len(ys)//EACH, len(rows)
    head = f"""# Tricks, each with its interval

{machine()}

{learned} drawn pets of {len(ys)//EACH} breeds to learn from, {len(ys) - learned} others to judge by, {SIDE} pixels
square, `resnet10` with the course's weights, all of it trained for {args.epochs} epochs with AdamW and one cycle up
to {LR}. The plain run names {accuracy.value:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}] of them rightly, with a
log loss of {log_loss.value:.3f}. Each row is the paired difference to it over {args.seeds} seeds, with a 95% interval
(Student's t): more points and less loss are what one hopes for."""
    tail = f"""{count} comparisons in each column: if none of the tricks did anything, {1 - 0.95**count:.0%} of such
columns would still show an interval that leaves out zero. The move of the views was
chosen beforehand, among a dozen sets of views, on other seeds."""
    write("tricks", head, rows, tail)


if __name__ == "__main__": main()
