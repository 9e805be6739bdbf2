"Run by torchrun in two processes, which accelerate finds, or by accelerate in one, and imported beside them."
import os
import random
import sys
import time
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from course_lib.distillation import Distill, cwtm_loss
from course_lib.losses import CrossEntropyLoss
from course_lib.scaling import distribute

ROWS, CLASSES = 31, 3


def made(): return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, CLASSES)).double()


class Rounded(CrossEntropyLoss):
    "A loss in float32, all that fastai's recorder takes, of logits and with gradients in float64"
    def forward(self, input, target): return super().forward(input, target).float()


def taught(*args, **options): return cwtm_loss(*args, **options).float()


def train(distill):
    "Weights and losses of a fastai Learner, alone or on all processes, with a teacher or without"
    import fastai.callback.schedule  # noqa: F401 (gives a Learner no_bar and fit_one_cycle)
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    torch.manual_seed(0)
    random.seed(0)
    x = torch.randn(ROWS, 5, dtype=torch.float64)
    rows = list(zip(x, (x.sum(1) > 0).long()))
    dls = DataLoaders(DataLoader(rows, bs=8, shuffle=True, num_workers=0), DataLoader(rows, bs=8, num_workers=0),
                      device="cpu")
    teacher, model = made(), made()
    normalizer = dist.group.WORLD if dist.is_initialized() else "batch"
    cbs = [Distill(teacher, partial(taught, normalizer=normalizer))] if distill else []
    loss = Rounded(torch.tensor([1., 2., 3.], dtype=torch.float64))
    learn = distribute(Learner(dls, model, loss, lr=0.01, cbs=cbs))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(2)
    assert learn.model is model and learn.loss_func is loss
    return model.state_dict(), [float(v) for v in learn.recorder.losses], [float(v[-1]) for v in learn.recorder.values]


if __name__ == "__main__":
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == int(sys.argv[2]) and (accelerator.num_processes == 1 or dist.get_backend() == "gloo")
    out = [train(False), train(True)]
    torch.save(out, f"{sys.argv[1]}.{accelerator.process_index}")
    while len(list(Path(f"{sys.argv[1]}.0").parent.glob("out.*"))) < int(sys.argv[2]): time.sleep(0.05)
    # a process that leaves, be it after a barrier, closes connections that the other may still read from
    sys.stdout.flush()
    os._exit(0)
