"""The library of the chapter on foundations: against references, on bad input, and on real digits.

Mutants tried, each caught here: relu as `x*(x > 0)` (nan for -inf) or by `x > 0` (swallows nan); sigmoid as 1/(1 + exp(-x)) (nan slope
at -100); matmul summed over the wrong axis; the last knot kept in `relus_through`; sums for means in mae, mse, l1; argmax over the wrong
axis or for argmin; a distance ignored; batches that drop the last one, keep one order or count themselves short; SGD that adds, fails
without a gradient or does not clear; a Learner that validates in train mode or with gradients, averages the loss over batches without
weights, does not clear the gradients, leaves the model in eval mode or every module in the root's, calls `before_epoch` before `train()`,
does not call `after_fit` after an error, trains on with nan, or returns all epochs; a mistyped callback let through; files unsorted.
"""
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from PIL import Image
from torch import nn

from course_lib import foundations as f
from course_lib.core import seed_everything

CPU = torch.device("cpu")


def randn(*shape, seed=0, dtype=torch.float64): return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# functions against references

SPECIAL = torch.tensor([-math.inf, -1e4, -100., -20., -1., -1e-30, -0., 0., 1e-30, 0.5, 20., 100., 1e4, math.inf], dtype=torch.float64)


@pytest.mark.parametrize("ours, theirs", [(f.relu, F.relu), (f.sigmoid, torch.sigmoid)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bends_equal_torch_in_value_and_slope(ours, theirs, dtype):
    x = torch.cat([SPECIAL, randn(200)*5]).to(dtype)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=0 if ours is f.relu else 1e-37)
    x = x[x.isfinite()].requires_grad_()
    mine, = torch.autograd.grad(ours(x).sum(), x)
    peer, = torch.autograd.grad(theirs(x).sum(), x)
    assert torch.allclose(mine, peer, rtol=1e-5, atol=1e-7)


def test_bends_pass_nan_on():
    assert f.relu(torch.tensor(math.nan)).isnan() and f.sigmoid(torch.tensor(math.nan)).isnan()


def test_relu_keeps_the_dtype():
    assert f.relu(torch.tensor([-2, 3])).tolist() == [0, 3] and f.relu(torch.tensor([-2, 3])).dtype == torch.int64


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_matmul_equals_torch(n, k, m):
    a, b = randn(n, k), randn(k, m, seed=1)
    assert f.matmul(a, b).shape == (n, m) and torch.allclose(f.matmul(a, b), a @ b)


def test_matmul_gradients():
    a, b = randn(3, 4).requires_grad_(), randn(4, 2, seed=1).requires_grad_()
    for mine, peer in zip(torch.autograd.grad(f.matmul(a, b).square().sum(), (a, b)), torch.autograd.grad((a @ b).square().sum(), (a, b))):
        assert torch.allclose(mine, peer)


@pytest.mark.parametrize("a, b", [((2, 3), (2, 3)), ((3,), (3, 2)), ((1, 2, 3), (3, 2))])
def test_matmul_refuses(a, b):
    with pytest.raises(ValueError, match="matmul needs shapes"): f.matmul(torch.zeros(a), torch.zeros(b))


@given(st.integers(1, 20), st.integers(0, 100))
def test_relus_go_through_their_points(k, seed):
    x = randn(k + 1, seed=seed).abs().cumsum(0) + 0.01*torch.arange(k + 1)
    y = randn(k + 1, seed=seed + 1000)
    knots, slopes, bias = f.relus_through(x, y)
    assert len(knots) == len(slopes) == k
    assert torch.allclose(f.sum_of_relus(x, knots, slopes, bias), y, atol=1e-8)
    between = (x[1:] + x[:-1])/2
    assert torch.allclose(f.sum_of_relus(between, knots, slopes, bias), (y[1:] + y[:-1])/2, atol=1e-8)
    assert torch.allclose(f.sum_of_relus(x[:1] - 5, knots, slopes, bias), y[:1])


def test_sum_of_relus_takes_any_shape():
    x = randn(2, 3, 4)
    assert f.sum_of_relus(x, randn(5), randn(5), 1.).shape == x.shape


@pytest.mark.parametrize("x, y, match", [([0., 0., 1.], [0., 0., 0.], "increasing"), ([0., math.nan], [0., 0.], "increasing"),
                                         ([0., 1.], [0.], "one length"), ([0.], [0.], "at least 2")])
def test_relus_through_refuses(x, y, match):
    with pytest.raises(ValueError, match=match): f.relus_through(torch.tensor(x), torch.tensor(y))


@pytest.mark.parametrize("ours, theirs", [(f.mae, F.l1_loss), (f.mse, F.mse_loss), (f.rmse, lambda p, t: F.mse_loss(p, t)**0.5)])
def test_losses_equal_torch(ours, theirs):
    a, b = randn(4, 3).requires_grad_(), randn(4, 3, seed=1)
    assert torch.isclose(ours(a, b), theirs(a, b))
    assert torch.allclose(*[torch.autograd.grad(loss(a, b), a)[0] for loss in (ours, theirs)])
    with pytest.raises(ValueError, match=r"\[4, 1\] and \[4\]"): ours(torch.zeros(4, 1), torch.zeros(4))


def test_distances_are_per_picture_and_broadcast():
    xs, means = randn(6, 1, 4, 5), randn(3, 4, 5, seed=1)
    l1, l2 = f.l1(xs, means), f.l2(xs, means)
    assert l1.shape == l2.shape == (6, 3)
    assert torch.isclose(l1[4, 2], F.l1_loss(xs[4, 0], means[2])) and torch.isclose(l2[4, 2], F.mse_loss(xs[4, 0], means[2]).sqrt())
    assert (l2 >= l1).all()


def test_class_means_and_nearest_class():
    ys = torch.tensor([0, 1, 2]*10)
    xs = randn(30, 4, 5)*0.1 + ys[:, None, None]
    means = f.class_means(xs, ys)
    assert means.shape == (3, 4, 5) and torch.allclose(means[1], xs[1::3].mean(0))
    for distance in (f.l1, f.l2): assert f.nearest_class(xs, means, distance).equal(ys)


def test_nearest_class_uses_its_distance():
    means = torch.stack([torch.zeros(1, 4), torch.full((1, 4), 1.)])
    x = torch.tensor([[[0., 0., 0., 2.4]]])  # on average nearer to 0, but its one large pixel counts more when squared
    assert f.nearest_class(x, means, f.l1).item() == 0 and f.nearest_class(x, means, f.l2).item() == 1


def test_pixel_similarity_refuses():
    with pytest.raises(ValueError, match="counts"): f.class_means(torch.zeros(2, 3, 3), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="equally long"): f.class_means(torch.zeros(2, 3, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="counts"): f.class_means(torch.zeros(0, 3, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="one size"): f.nearest_class(torch.zeros(2, 3, 4), torch.zeros(2, 1, 4))


def test_accuracies():
    logits = torch.tensor([[1., 2., 0.], [5., 1., 1.], [0., 0., 1.], [3., 2., 1.]])
    assert f.accuracy(logits, torch.tensor([1, 0, 2, 2])) == 0.75
    assert f.binary_accuracy(torch.tensor([-1., 2., 0.5]), torch.tensor([0, 1, 0])) == f.binary_accuracy(torch.tensor([[-1.], [2.], [0.5]]), torch.tensor([0., 1., 0.]))
    assert abs(f.binary_accuracy(torch.tensor([-1., 2., 0.5]), torch.tensor([0, 1, 0])) - 2/3) < 1e-6
    for bad in [(logits, torch.zeros(3)), (logits[0], torch.zeros(3)), (logits, torch.zeros(4, 1))]:
        with pytest.raises(ValueError, match="accuracy needs"): f.accuracy(*bad)
    with pytest.raises(ValueError, match="pair up"): f.binary_accuracy(logits, torch.zeros(4))


# data

def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def test_load_images(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 3, 5), dtype=np.uint8)
    for name, p in zip(["b/2.png", "b/10.png", "a/1.png", "other/1.png"], pictures): save(tmp_path/name, p)
    xs, ys = f.load_images(tmp_path, ["b", "a"])
    assert xs.shape == (3, 3, 5) and xs.dtype == torch.float32 and ys.tolist() == [0, 0, 1]
    assert np.array_equal((xs*255).round().byte().numpy(), pictures[[1, 0, 2]])  # sorted by name: 10.png, 2.png
    with pytest.raises(FileNotFoundError, match="zzz"): f.load_images(tmp_path, ["a", "zzz"])
    save(tmp_path/"a/2.png", np.zeros((5, 3), np.uint8))
    with pytest.raises(ValueError, match="one size.*2.png"): f.load_images(tmp_path, ["a"])


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_batches_show_each_item_once(n, size, shuffle):
    ds = f.Dataset(torch.arange(n), 10*torch.arange(n))
    dl = f.Batches(ds, size, shuffle, torch.Generator().manual_seed(0))
    batches = list(dl)
    xs, ys = [torch.cat(part) for part in zip(*batches)]
    assert len(dl) == len(batches) == math.ceil(n/size) and [len(x) for x, _ in batches[:-1]] == [size]*(len(batches) - 1)
    assert sorted(xs.tolist()) == list(range(n)) and ys.equal(10*xs)
    if not shuffle: assert xs.tolist() == list(range(n))


def test_shuffling_is_new_each_pass_and_repeatable():
    ds = f.Dataset(torch.arange(50), torch.arange(50))
    def passes(): return [torch.cat([x for x, _ in dl]) for dl in [f.Batches(ds, 7, True, torch.Generator().manual_seed(3))] for _ in range(2)]
    first, again = passes(), passes()
    assert not first[0].equal(first[1]) and all(a.equal(b) for a, b in zip(first, again))


def test_data_refuses():
    with pytest.raises(ValueError, match="3 and 2"): f.Dataset(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="batch_size.*0"): f.Batches(f.Dataset(torch.zeros(3), torch.zeros(3)), 0)
    with pytest.raises(ValueError, match="at least one item"): f.Batches(f.Dataset(torch.zeros(0), torch.zeros(0)), 4)


# the optimizer

def test_sgd_equals_torch():
    mine, peer = [randn(4, 3).requires_grad_() for _ in range(2)]
    unused = randn(2).requires_grad_()
    address = mine.data_ptr()
    for p, opt in ((mine, f.SGD([mine, unused], 0.1)), (peer, torch.optim.SGD([peer], 0.1))):
        for _ in range(5):
            p.pow(4).sum().backward()
            opt.step()
            opt.zero_grad()
            assert p.grad is None
    assert torch.allclose(mine, peer, rtol=1e-12) and mine.data_ptr() == address and mine.requires_grad and unused.equal(randn(2))


def test_sgd_takes_a_generator_and_refuses():
    assert len(f.SGD(nn.Linear(2, 3).parameters(), 0.1).params) == 2
    for lr in (0, -1., math.nan):
        with pytest.raises(ValueError, match="lr must be above 0"): f.SGD([torch.zeros(1)], lr)
    with pytest.raises(ValueError, match="at least one tensor"): f.SGD([], 0.1)
    with pytest.raises(TypeError, match=r"write \[tensor\]"): f.SGD(torch.zeros(3), 0.1)


# the learner

class Diary(f.Callback):
    def __init__(self, name="", pages=None): self.name, self.pages = name, [] if pages is None else pages

for event in f.EVENTS:
    setattr(Diary, event, lambda self, learn, event=event: self.pages.append(self.name + event))


def data(n=20, seed=0, size=8, shuffle=False):
    xs = randn(n, 3, seed=seed, dtype=torch.float32)
    ds = f.Dataset(xs, xs @ torch.tensor([[1.], [-2.], [0.5]]) + 1)
    return f.Batches(ds, size, shuffle)


def learner(model=None, **kwargs):
    seed_everything(0)
    return f.Learner(data(), data(10, 1), model or nn.Linear(3, 1), f.mse, **{"device": CPU} | kwargs)


def test_callbacks_are_called_in_order():
    diary = Diary()
    learner(callbacks=[diary]).fit(2, 0.1)
    batch = ["before_batch", "after_predict", "after_loss", "after_backward", "after_step"]
    epoch = ["before_epoch", *batch*3, "after_epoch"]
    assert diary.pages == ["before_fit", *epoch*2, "after_fit"]
    pages = []
    learner(callbacks=[Diary("a ", pages), Diary("b ", pages)]).fit(1, 0.1)
    assert pages[::2] == ["a " + e for e in ["before_fit", *epoch, "after_fit"]] and pages[1::2] == ["b " + p[2:] for p in pages[::2]]


def test_callbacks_see_each_stage():
    seen = {}
    class Look(f.Callback):
        def before_batch(self, learn): seen["before"] = learn.model.weight.detach().clone()
        def after_predict(self, learn): seen["preds"] = learn.preds.equal(learn.model(learn.inputs))
        def after_loss(self, learn): seen["no grad yet"] = learn.model.weight.grad is None
        def after_backward(self, learn): seen["grad"], seen["not moved"] = learn.model.weight.grad.clone(), learn.model.weight.equal(seen["before"])
        def after_step(self, learn): seen["moved"] = torch.allclose(learn.model.weight, seen["before"] - learn.lr*seen["grad"])
        def after_epoch(self, learn): seen["results"] = set(learn.results)
    learn = learner(callbacks=[Look()], metrics=[f.mae])
    learn.fit(1, 0.1)
    assert all(seen[k] for k in ("preds", "no grad yet", "not moved", "moved"))
    assert seen["results"] == {"epoch", "train_loss", "valid_loss", "mae"} and learn.model.weight.grad is None


@pytest.mark.parametrize("name", ["after_epoc", "before_batches", "afterloss", "after_everything", "before_train", "befor_fit"])
def test_a_mistyped_callback_is_refused(name):
    with pytest.raises(TypeError, match="would never be called"): type("Typo", (f.Callback,), {name: lambda self, learn: None})


def test_callbacks_may_have_other_methods():
    class Fine(f.Callback):
        def plot(self): pass
        def _after_all(self): pass
    learner(callbacks=[Fine()]).fit(1, 0.1)


def reference(n_epochs, lr, model, train, valid):
    "The same training as a plain torch loop: losses of the batches, mean train loss and valid loss of the epochs"
    opt, batches, epochs = torch.optim.SGD(model.parameters(), lr), [], []
    for _ in range(n_epochs):
        weighted = []
        for x, y in train:
            loss = F.mse_loss(model(x), y)
            opt.zero_grad(); loss.backward(); opt.step()
            batches.append(loss.item()); weighted += [loss.item()]*len(y)
        with torch.no_grad(): epochs.append((np.mean(weighted), F.mse_loss(*[torch.cat(p) for p in zip(*[(model(x), y) for x, y in valid])]).item()))
    return batches, epochs


def test_learner_equals_a_plain_loop():
    learn = learner(metrics=[f.mae])
    model = nn.Linear(3, 1)
    model.load_state_dict(learn.model.state_dict())
    batches, epochs = reference(3, 0.1, model, data(), data(10, 1))
    rows = learn.fit(3, 0.1)
    assert learn.recorder.batch_losses == pytest.approx(batches, rel=1e-5)
    assert [(r["train_loss"], r["valid_loss"]) for r in rows] == [pytest.approx(e, rel=1e-5) for e in epochs]
    assert [r["epoch"] for r in rows] == [0, 1, 2] and all(torch.allclose(p, q) for p, q in zip(learn.model.parameters(), model.parameters()))


def test_metrics_are_of_the_whole_set():
    def root(preds, targets): return f.mse(preds, targets).sqrt()  # the mean over batches of a root is another number
    learn = learner(metrics=[root])
    row = learn.fit(1, 0.1)[0]
    assert row["root"] == pytest.approx(row["valid_loss"]**0.5, rel=1e-6)
    per_batch = np.mean([root(*pair).item() for pair in [(learn.model(x), y) for x, y in learn.valid_dl]])
    assert abs(per_batch - row["root"]) > 1e-4


class Modes(nn.Module):
    "Notes the mode and whether gradients are on each time it is called"
    def __init__(self):
        super().__init__()
        self.linear, self.frozen, self.seen = nn.Linear(3, 1), nn.BatchNorm1d(3).eval(), []
    def forward(self, x):
        self.seen.append((self.training, torch.is_grad_enabled()))
        return self.linear(x)


def test_train_and_eval_mode():
    learn = learner(Modes())
    learn.fit(2, 0.1)
    assert learn.model.seen == [*[(True, True)]*3, *[(False, False)]*2]*2
    assert learn.model.training and not learn.model.frozen.training  # every module as it was
    learn.model.eval()
    learn.fit(1, 0.1); learn.predict(learn.train_dl)
    assert not learn.model.training and learn.model.seen[10] == (True, True)


def test_a_callback_can_freeze_a_layer_each_epoch():
    class Freeze(f.Callback):
        def before_epoch(self, learn): learn.model[0].eval()
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    learner(model, callbacks=[Freeze()]).fit(2, 0.01)
    assert model[0].running_mean.equal(torch.zeros(3))


def test_predict_keeps_the_order():
    learn = learner()
    preds, targets = learn.predict(learn.valid_dl)
    assert targets.equal(learn.valid_dl.dataset.ys) and torch.allclose(preds, learn.model(learn.valid_dl.dataset.xs)) and not preds.requires_grad


def test_after_fit_and_modes_even_after_an_error():
    class Stop(f.Callback):
        def after_backward(self, learn): raise RuntimeError("enough")
    diary = Diary()
    learn = learner(Modes().eval(), callbacks=[diary, Stop()])
    with pytest.raises(RuntimeError, match="enough"): learn.fit(1, 0.1)
    assert diary.pages[-1] == "after_fit" and diary.pages.count("after_fit") == 1 and not learn.model.training


def test_a_loss_that_is_not_finite_stops():
    class Poison(f.Callback):
        def before_batch(self, learn): learn.inputs = learn.inputs*math.nan
    learn = learner(callbacks=[Poison()])
    before = learn.model.weight.detach().clone()
    with pytest.raises(FloatingPointError, match="nan in epoch 0"): learn.fit(1, 0.1)
    assert learn.model.weight.equal(before)
    with pytest.raises(FloatingPointError, match="lower lr than 1000"): learner().fit(50, 1000.)


def test_an_examiner_measures_without_training():
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5))
    examiner = f.Examiner(data(10, 1, size=3), model, f.mse, metrics=[f.rmse, f.mae], device=CPU)
    found = examiner.validate()
    xs, ys = examiner.valid_dl.dataset.xs, examiner.valid_dl.dataset.ys
    with torch.no_grad(): preds = model[0](xs)  # no dropout
    assert found == pytest.approx({"valid_loss": F.mse_loss(preds, ys).item(), "rmse": F.mse_loss(preds, ys).item()**0.5, "mae": F.l1_loss(preds, ys).item()})
    assert model.training and all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="different names"): f.Examiner([], model, f.mse, metrics=[f.mae, f.mae])


def test_fit_goes_on_and_returns_its_own_epochs():
    learn = learner()
    first, second = learn.fit(2, 0.05), learn.fit(3, 0.05)
    assert len(first) == 2 and len(second) == 3 and len(learn.recorder.epochs) == 5
    losses = [r["valid_loss"] for r in first + second]
    assert all(b < a for a, b in pairwise(losses))


def test_torch_parts_fit():
    ds = data().dataset
    learn = learner(opt_func=torch.optim.Adam)
    learn.train_dl = torch.utils.data.DataLoader(ds, batch_size=8, shuffle=True)
    assert learn.fit(3, 0.1)[-1]["train_loss"] < learn.recorder.epochs[0]["train_loss"]


def test_learner_refuses():
    with pytest.raises(TypeError, match="brackets"): learner(callbacks=[Diary])
    with pytest.raises(ValueError, match="different names"): learner(metrics=[f.mae, f.mae])
    with pytest.raises(ValueError, match="n_epochs.*0"): learner().fit(0, 0.1)
    with pytest.raises(ValueError, match="lr must be above 0"): learner().fit(1, 0.)
    learn = learner()
    learn.train_dl = iter(learn.train_dl)
    with pytest.raises(ValueError, match="walked only once"): learn.fit(2, 0.1)
    with pytest.raises(ValueError, match="at least one batch"): learn.predict([])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 50))
def test_training_is_repeatable(n, size, seed):
    def run():
        gen = seed_everything(seed)
        xs = torch.randn(n, 2, generator=gen)
        ds = f.Dataset(xs, xs.sum(1, keepdim=True))
        learn = f.Learner(f.Batches(ds, size, True, gen), f.Batches(ds, 4), nn.Linear(2, 1), f.mse, device=CPU)
        return learn.fit(2, 0.05)
    assert run() == run()


@pytest.mark.cuda
def test_the_same_on_a_gpu():
    on_cpu, on_gpu = learner(), learner(device=torch.device("cuda"))
    a, b = on_cpu.fit(2, 0.1), on_gpu.fit(2, 0.1)
    assert a[-1]["valid_loss"] == pytest.approx(b[-1]["valid_loss"], rel=1e-4) and on_gpu.predict(on_gpu.valid_dl)[0].device.type == "cpu"
    assert on_gpu.model.weight.is_cuda


# real digits

@pytest.mark.real
def test_real_threes_and_sevens(real_data):
    from course_lib.data import get
    sample = get("mnist_sample", root=real_data)
    train, valid = [f.Dataset(*f.load_images(sample/part, ["3", "7"])) for part in ("train", "valid")]
    assert len(train) == 12396 and len(valid) == 2038 and train.xs.shape[1:] == (28, 28)
    baseline = (f.nearest_class(valid.xs, f.class_means(train.xs, train.ys)) == valid.ys).float().mean().item()
    gen = seed_everything(0)
    def loss(logits, targets): return f.mae(f.sigmoid(logits.squeeze(1)), targets.float())
    model = nn.Sequential(nn.Flatten(), nn.Linear(28*28, 30), nn.ReLU(), nn.Linear(30, 1))
    learn = f.Learner(f.Batches(train, 64, shuffle=True, generator=gen), f.Batches(valid, 512), model, loss, metrics=[f.binary_accuracy])
    reached = learn.fit(5, 1.)[-1]["binary_accuracy"]
    assert reached >= 0.96 and reached > baseline > 0.9
