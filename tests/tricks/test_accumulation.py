"""Accumulated gradients equal those of the large batch, for every loss that a mean can be taken of, and nothing stays
behind. All in float64, to 1e-12."""
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.foundations import Batches, Callback, Dataset, Learner, mse
from course_lib.losses import cross_entropy
from course_lib.tricks import Accumulate, accumulate, label_count, multi_target

N, C = 23, 4
WEIGHT = torch.tensor([1., 3., 9., 0.5], dtype=torch.float64)


def setting(places=()):
    "A model, and inputs with labels (some ignored), soft targets and numbers, with further axes `places`"
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, C)).double()
    x = torch.randn(N, *places, 5, dtype=torch.float64)
    labels = torch.randint(C, (N, *places))
    labels[torch.rand(N, *places) < 0.4] = -100
    labels[:6] = -100  # a whole part without labels
    soft = torch.randn(N, *places, C, dtype=torch.float64).softmax(-1)
    return model, x, labels, soft


def channels_second(out): return out.movedim(-1, 1)


def gradients(model, fill):
    "What `fill()` leaves in the gradients, and what it returns"
    model.zero_grad()
    loss = fill()
    return [p.grad.clone() for p in model.parameters()], loss


def agree(got, want, atol=1e-12):
    "The same numbers"
    for a, b in zip(got[0], want[0], strict=True): torch.testing.assert_close(a, b, rtol=0, atol=atol)
    torch.testing.assert_close(got[1], want[1].detach(), rtol=0, atol=atol)


SIZES = (1, 4, 6, 10, N, 50)  # even and uneven parts, single items, one part


@pytest.mark.parametrize("places", [(), (3,)], ids=["items", "places"])
@pytest.mark.parametrize("loss", [F.cross_entropy, cross_entropy], ids=["torch", "course"])
@pytest.mark.parametrize("smoothing", [0., 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weights"])
def test_labels(places, loss, smoothing, weight):
    model, x, labels, _ = setting(places)
    call = partial(loss, weight=weight, label_smoothing=smoothing)
    want = gradients(model, lambda: backward(call(channels_second(model(x)), labels)))
    for size in SIZES:
        got = gradients(model, lambda: accumulate(
            zip(x.split(size), labels.split(size)),
            lambda a, y: call(channels_second(model(a)), y, reduction="sum"), lambda a, y: label_count(y, weight)))
        agree(got, want)


def backward(loss):
    loss.backward()
    return loss


@pytest.mark.parametrize("places", [(), (3,)], ids=["items", "places"])
@pytest.mark.parametrize("loss", [F.cross_entropy, cross_entropy], ids=["torch", "course"])
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.2}], ids=str)
def test_soft_targets(places, loss, options):
    model, x, _, soft = setting(places)
    call = partial(loss, **options)
    soft = channels_second(soft)
    want = gradients(model, lambda: backward(call(channels_second(model(x)), soft)))
    for size in SIZES:
        got = gradients(model, lambda: accumulate(
            zip(x.split(size), soft.split(size)),
            lambda a, y: call(channels_second(model(a)), y, reduction="sum"), lambda a, y: label_count(y)))
        agree(got, want)


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean", "each item alone"])
def test_every_reduction(reduction):
    "A sum is divided by one, a mean by what it counts; a mean of the items' own means by the number of items"
    model, x, _, soft = setting()
    whole = {"mean": lambda a, y: F.mse_loss(model(a), y), "sum": lambda a, y: F.mse_loss(model(a), y, reduction="sum"),
             "batchmean": lambda a, y: F.kl_div(model(a).log_softmax(1), y, reduction="batchmean"),
             "each item alone": lambda a, y: F.mse_loss(model(a), y, reduction="none").mean(1).mean()}[reduction]
    part = {"batchmean": lambda a, y: F.kl_div(model(a).log_softmax(1), y, reduction="sum"),
            "each item alone": lambda a, y: F.mse_loss(model(a), y, reduction="none").mean(1).sum()}.get(
                reduction, lambda a, y: F.mse_loss(model(a), y, reduction="sum"))
    count = {"mean": lambda a, y: y.numel(), "sum": lambda a, y: len(a)/N}.get(reduction, lambda a, y: len(y))
    want = gradients(model, lambda: backward(whole(x, soft)))
    for size in SIZES:
        agree(gradients(model, lambda: accumulate(zip(x.split(size), soft.split(size)), part, count)), want)


def test_a_window_without_labels_adds_zero_and_an_empty_loader_is_refused():
    model, x, labels, _ = setting()
    model[0].weight.grad = before = torch.ones_like(model[0].weight)
    loss = accumulate(zip(x.split(8), labels.fill_(-100).split(8)),
                      lambda a, y: F.cross_entropy(model(a), y, reduction="sum"), lambda a, y: label_count(y))
    assert loss == 0 and torch.equal(model[0].weight.grad, torch.ones_like(before))
    with pytest.raises(ValueError, match="at least one part"): accumulate([], lambda x: x, len)


def test_gradients_that_are_there_already_are_added_to():
    model, x, _, soft = setting()
    once, _ = gradients(model, lambda: accumulate([(x, soft)], lambda a, y: F.mse_loss(model(a), y, reduction="sum"),
                                                   lambda a, y: 1))
    for p, g in zip(model.parameters(), once): p.grad = g.clone()
    accumulate(zip(x.split(5), soft.split(5)), lambda a, y: F.mse_loss(model(a), y, reduction="sum"),
               lambda a, y: len(a))
    for p, g in zip(model.parameters(), once): torch.testing.assert_close(p.grad, g + g/N, rtol=0, atol=1e-12)


def test_under_fp16_scaling():
    "The scale of a GradScaler goes through: after unscaling, the float32 gradients agree within their rounding"
    model, x, labels, _ = setting()
    model, x = model.float(), x.float()
    weight = WEIGHT.float()
    want, _ = gradients(model, lambda: backward(F.cross_entropy(model(x), labels, weight)))
    scaler, opt = torch.amp.GradScaler("cpu", init_scale=2.**12), torch.optim.SGD(model.parameters(), lr=0.)
    for size in (4, 10):
        model.zero_grad()
        accumulate(zip(x.split(size), labels.split(size)),
                   lambda a, y: F.cross_entropy(model(a), y, weight, reduction="sum"),
                   lambda a, y: label_count(y, weight), lambda loss: scaler.scale(loss).backward())
        scaler.unscale_(opt)
        for p, g in zip(model.parameters(), want): torch.testing.assert_close(p.grad, g, rtol=1e-5, atol=1e-7)
        scaler.step(opt)
        scaler.update()


def test_half_precision_gradients_agree_within_their_rounding():
    model, x, labels, _ = setting()
    want, _ = gradients(model, lambda: backward(F.cross_entropy(model(x), labels)))
    model, x = model.half(), x.half()
    got, _ = gradients(model, lambda: accumulate(
        zip(x.split(6), labels.split(6)), lambda a, y: F.cross_entropy(model(a).float(), y, reduction="sum"),
        lambda a, y: label_count(y), lambda loss: (loss*2**8).backward()))
    for g, w in zip(got, want): torch.testing.assert_close(g.double()/2**8, w, rtol=0.02,
                                                                 atol=0.02*w.abs().max().item())


class Steps(Callback):
    "Keeps the gradient of each step"
    def __init__(self): self.seen = []
    def after_backward(self, learn):
        if learn.model.weight.grad is not None: self.seen.append(learn.model.weight.grad.clone())


@pytest.mark.parametrize("size,batch", [(1, 8), (3, 4), (2, 5), (7, 4), (100, 3)])
def test_the_callback_steps_every_window_with_the_gradient_of_all_its_rows(size, batch):
    torch.manual_seed(0)
    xs, ys = torch.randn(N, 3, dtype=torch.float64), torch.randint(2, (N,))
    model = nn.Linear(3, 2).double()
    steps = Steps()
    loader = Batches(Dataset(xs, ys), batch)
    learn = Learner(loader, loader, model, nn.CrossEntropyLoss(), callbacks=[Accumulate(size), steps],
                    device=torch.device("cpu"))
    learn.fit(2, lr=1e-300)  # so that the weights stay
    windows = [rows for _ in range(2) for rows in torch.arange(N).split(size*batch)]
    assert len(steps.seen) == len(windows)
    for got, rows in zip(steps.seen, windows):
        model.zero_grad()
        F.cross_entropy(model(xs[rows]), ys[rows]).backward()
        torch.testing.assert_close(got, model.weight.grad, rtol=0, atol=1e-12)


def test_a_broken_fit_leaves_nothing_for_the_next():
    xs, ys = torch.randn(12, 3), torch.randn(12, 1)
    calls = []
    def breaks(preds, targets):
        calls.append(1)
        if len(calls) == 2: raise KeyboardInterrupt
        return mse(preds, targets)
    steps = Steps()
    loader = Batches(Dataset(xs, ys), 3)
    learn = Learner(loader, loader, nn.Linear(3, 1), breaks, callbacks=[Accumulate(2), steps],
                    device=torch.device("cpu"))
    with pytest.raises(KeyboardInterrupt): learn.fit(1, lr=1e-30)
    learn.fit(1, lr=1e-30)
    learn.model.zero_grad()
    mse(learn.model(xs[:6]), ys[:6]).backward()
    torch.testing.assert_close(steps.seen[0], learn.model.weight.grad)


def test_label_count_refuses_what_is_no_target():
    for bad in (None, "cat", [1, 2], torch.tensor([True])):
        with pytest.raises(TypeError, match="class indices or class probabilities"): label_count(bad)


# several targets

def test_the_loss_of_slices_is_the_sum_of_the_losses_with_their_gradients():
    torch.manual_seed(0)
    out = torch.randn(5, 9, dtype=torch.float64, requires_grad=True)
    a, b, c = torch.randint(4, (5,)), torch.rand(5, 2, dtype=torch.float64), torch.randint(3, (5,))
    loss = multi_target([(slice(2, 6), F.cross_entropy), (slice(2), F.mse_loss), (slice(6, None), F.cross_entropy)])
    want = F.cross_entropy(out[:, 2:6], a) + F.mse_loss(out[:, :2], b) + F.cross_entropy(out[:, 6:], c)
    got = loss(out, a, b, c)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(each, out, retain_graph=True)[0] for each in (got, want)))


def test_targets_may_be_the_columns_of_one_tensor():
    out, both = torch.randn(4, 5), torch.tensor([[0, 1], [2, 0], [1, 1], [2, 1]])
    loss = multi_target([(slice(3), F.cross_entropy), (slice(3, 5), F.cross_entropy)])
    assert torch.equal(loss(out, both), loss(out, both[:, 0], both[:, 1]))
    assert torch.equal(multi_target([(slice(5), F.cross_entropy)])(out, both[:, 0]), F.cross_entropy(out, both[:, 0]))


@pytest.mark.parametrize("slices", [(slice(3), slice(2, 5)), (slice(3), slice(3, 4)), (slice(0, 5, 2), slice(3))],
                         ids=str)
def test_slices_take_each_column_once(slices):
    loss = multi_target([(s, F.cross_entropy) for s in slices])
    with pytest.raises(ValueError, match="each of the 5 columns"):
        loss(torch.randn(4, 5), *[torch.zeros(4, dtype=int)]*2)


def test_targets_are_counted():
    loss = multi_target([(slice(3), F.cross_entropy), (slice(3, 5), F.cross_entropy)])
    with pytest.raises(ValueError, match="each of 2 parts, got 3"):
        loss(torch.randn(4, 5), *[torch.zeros(4, dtype=int)]*3)
    with pytest.raises(ValueError, match="at least one"): multi_target([])
