"Functions of the library in the hands of other libraries' tables and tracers; a client that is missing is skipped by name"
import numpy as np
import pytest
import torch
from torch import nn

from course_lib.collab import Ratings
from course_lib.distillation import kd_loss
from course_lib.losses import CrossEntropyLoss

TABLE = {"user": ["b", "a", "b"], "item": [3, 1, 2], "rating": [1., 2., 3.]}

def batch(): return torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


@pytest.mark.parametrize("client", ["pandas", "polars", "pyarrow", "numpy"])
def test_frames_of_every_kind_give_the_same_ratings(client):
    if client == "numpy": table = np.array(list(zip(*TABLE.values())), dtype=[("user", "U1"), ("item", int), ("rating", float)])
    else:
        made = pytest.importorskip(client)
        table = made.table(TABLE) if client == "pyarrow" else made.DataFrame(TABLE)
    r = Ratings.from_df(table)
    assert list(r.users) == ["a", "b"] and r.user.tolist() == [1, 0, 1] and r.item.tolist() == [2, 0, 1] and r.rating.tolist() == [1, 2, 3]


def test_fx_traces_a_model_that_holds_the_loss():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.loss = nn.Linear(4, 3), CrossEntropyLoss(label_smoothing=0.1)
        def forward(self, x, y): return self.loss(self.body(x), y) + kd_loss(self.body(x), y, self.body(x).flip(1))
    model, (x, y) = Model(), batch()
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x, y), model(x, y))
