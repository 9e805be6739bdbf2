"The callbacks for fastai's Learner, beside the faults of its own tools"
import io
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.callback.training import GradientAccumulation
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import SGD
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.tricks import accumulate_callback, cutmix, ema_callback, label_count, mix_callback, mixup

torch.manual_seed(0)
X, Y = torch.randn(44, 4), torch.randint(3, (44,))
WEIGHT = torch.tensor([1., 3., 9.])


class Watch(Callback):
    "Keeps the gradients of the steps that are taken, and those that are left at the end"
    order, run_valid = 100, False
    def __init__(self): self.steps, self.left = [], []
    def before_step(self): self.steps.append(self.learn.model.weight.grad.clone().cpu())
    def after_fit(self): self.left.append(self.learn.model.weight.grad.clone())


def learner(batch, cbs=(), loss=None, rows=44):
    torch.manual_seed(0)
    data = TensorDataset(X[:rows], Y[:rows])
    dls = DataLoaders(DataLoader(data, batch), DataLoader(data, 44))  # on the GPU where there is one, WEIGHT is not
    return Learner(dls, nn.Linear(4, 3), loss_func=loss or nn.CrossEntropyLoss(), opt_func=SGD, cbs=list(cbs),
                   train_bn=False)


def fit(learn, epochs=1, lr=0.):
    with learn.no_bar(), learn.no_logging(): learn.fit(epochs, lr, wd=0.)


@pytest.mark.parametrize("size,batch", [(3, 8), (2, 7), (50, 8), (1, 20)])
def test_every_window_is_stepped_with_the_gradient_of_all_its_rows(size, batch):
    watch = Watch()
    learn = learner(batch, [accumulate_callback(size, partial(label_count, weight=WEIGHT)), watch],
                    nn.CrossEntropyLoss(weight=WEIGHT))
    fit(learn, 2)
    windows = [rows for _ in range(2) for rows in torch.arange(44).split(size*batch)]
    assert len(watch.steps) == len(windows) and not watch.left[0].any()
    for got, rows in zip(watch.steps, windows):
        learn.model.zero_grad()
        F.cross_entropy(learn.model.cpu()(X[rows]), Y[rows], WEIGHT).backward()
        torch.testing.assert_close(got, learn.model.weight.grad)


def test_fastai_steps_late_with_a_gradient_too_large_and_leaves_the_rest():
    watch = Watch()
    learn = learner(8, [GradientAccumulation(20), watch], rows=40)
    fit(learn)
    learn.model.zero_grad()
    F.cross_entropy(learn.model.cpu()(X[:24]), Y[:24]).backward()
    torch.testing.assert_close(watch.steps[0], 1.2*learn.model.weight.grad)
    assert len(watch.steps) == 1 and watch.left[0].any()


def test_at_a_share_of_one_the_losses_are_the_plain_ones_bit_for_bit():
    runs = []
    for mix in (None, mixup):
        learn = learner(11, [mix_callback(partial(mix, share=1.))] if mix else [], CrossEntropyLossFlat(weight=WEIGHT))
        fit(learn)
        runs.append(torch.stack(list(learn.recorder.losses)))
    assert torch.equal(*runs)


def test_mixing_changes_training_alone_and_gives_the_loss_back_also_after_an_error():
    loss = CrossEntropyLossFlat()
    learn = learner(11, [mix_callback()], loss)
    fit(learn)
    assert learn.loss_func is loss
    plain = learner(11, [], loss)
    fit(plain)
    assert learn.recorder.values[0][1] == plain.recorder.values[0][1]  # the validation loss is not mixed
    learn.add_cb(Break())
    with pytest.raises(KeyboardInterrupt): fit(learn)
    learn.remove_cb(Break)
    fit(learn)
    assert learn.loss_func is loss


class Break(Callback):
    def after_backward(self): raise KeyboardInterrupt


def test_a_last_batch_of_one_trains_too_and_a_mixed_loss_is_not_exported():
    learn = learner(43, [mix_callback(partial(mixup, alpha=1.))])
    fit(learn)
    kept = {}
    class Export(Callback):
        order = 50
        def after_pred(self):
            if self.training: kept["loss"] = pickle.loads(pickle.dumps(self.learn.loss_func))
    learn.add_cb(Export())
    fit(learn)
    assert type(kept["loss"]) is nn.CrossEntropyLoss


def test_the_callbacks_travel_with_an_export():
    weights = partial(label_count, weight=WEIGHT)
    for made in (accumulate_callback(3, weights), mix_callback(partial(mixup, alpha=1.)), ema_callback(0.5)):
        again = pickle.loads(pickle.dumps(made))
        assert type(again) is type(made)
    assert pickle.loads(pickle.dumps(accumulate_callback(3, weights))).size == 3


def test_cutmix_serves_fastai_too():
    pictures = TensorDataset(torch.randn(8, 3, 6, 6), torch.randint(2, (8,)))
    dls = DataLoaders(DataLoader(pictures, 4), DataLoader(pictures, 8))
    learn = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(108, 2)), loss_func=nn.CrossEntropyLoss(), opt_func=SGD,
                    cbs=[mix_callback(cutmix)], train_bn=False)
    fit(learn)
    assert learn.recorder.losses[0].isfinite()


def test_the_average_is_made_anew_with_each_fit():
    average = ema_callback(0.5)
    learn = learner(8, [average])
    for _ in range(2):
        fit(learn, lr=0.1)
        assert average.ema.steps == 6 and not torch.equal(average.ema.model.weight, learn.model.weight)
    torch.save(average.ema.model.state_dict(), io.BytesIO())


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="size must be at least 1"): accumulate_callback(0)
    with pytest.raises(TypeError, match="must be callable"): mix_callback(0.4)
    with pytest.raises(ValueError, match="decay"): ema_callback(1)
