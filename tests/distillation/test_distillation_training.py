"Distillation inside training: the fastai callback, cached confidence, generations and ensembles."
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.distillation import Ensemble, ban_loss, born_again, cwtm_loss, kd_loss, teacher_confidence


def data(n=96, c=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(c, (n,), generator=g)
    return F.one_hot(y, 8).float() + 0.5*torch.randn(n, 8, generator=g), y


def net(seed=0, dropout=0.):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 4))


class Items:
    def __init__(self, items=()): self.items = list(items)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def new_empty(self): return Items()


def learner(model=None, cbs=None, bs=32, loss_func=None, lr=0.1):
    from fastai.basics import DataLoaders, Learner, SGD, accuracy
    from fastai.data.load import DataLoader as FastLoader
    from fastai.losses import CrossEntropyLossFlat
    x, y = data()
    train = Items(zip(x, y))
    dls = DataLoaders(FastLoader(train, bs=bs, shuffle=False, drop_last=False), FastLoader(Items(zip(x[:32], y[:32])), bs=32))
    learn = Learner(dls, model or net(1), loss_func=loss_func or CrossEntropyLossFlat(), opt_func=SGD, metrics=accuracy, cbs=cbs, lr=lr)
    learn.remove_cbs([cb for cb in learn.cbs if cb.name in ("progress",)])
    return learn


def weights(model): return torch.cat([p.detach().flatten() for p in model.parameters()])


def distill(*args):
    from course_lib.distillation import Distill
    return Distill(*args)


def by_hand(teacher, loss, accumulate=1):
    "One epoch of plain SGD in a plain loop: what the callback must do"
    model, (x, y) = net(1), data()
    opt = torch.optim.SGD(model.parameters(), 0.1)
    model.train(); teacher.eval()
    for i in range(0, len(x), 32):
        with torch.no_grad(): t = teacher(x[i:i+32])
        (loss(model(x[i:i+32]), y[i:i+32], t)/accumulate).backward()
        if (i//32 + 1) % accumulate == 0: opt.step(); opt.zero_grad()
    return model


@pytest.mark.parametrize("loss", [cwtm_loss, ban_loss, kd_loss])
def test_callback_is_the_plain_loop(loss):
    teacher = net(0, dropout=0.5).train()
    flags = [p.requires_grad_(i % 2 == 0).requires_grad for i, p in enumerate(teacher.parameters())]
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    learn = learner(cbs=distill(teacher, loss))
    own = learn.loss_func
    learn.fit(1, 0.1, wd=0.)
    torch.testing.assert_close(weights(learn.model), weights(by_hand(net(0, dropout=0.5), loss)))
    assert all(m.training for m in teacher.modules()) and [p.requires_grad for p in teacher.parameters()] == flags
    assert all(v.equal(before[k]) for k, v in teacher.state_dict().items())  # batch norm's statistics too
    assert all(p.grad is None for p in teacher.parameters()) and learn.loss_func is own


def test_validation_loss_is_the_labels():
    learn = learner(cbs=distill(net(0), lambda s, y, t: ban_loss(s, y, t) + 100))
    learn.fit(1, 0.1, wd=0.)
    train_loss, valid_loss = learn.recorder.values[-1][:2]
    assert train_loss > 50 and valid_loss < 10
    torch.testing.assert_close(learn.validate()[0], valid_loss)


def test_teacher_and_student_must_differ():
    shared = net(0)
    with pytest.raises(ValueError, match="the teacher"): learner(shared, distill(shared, cwtm_loss)).fit(1, 0.1)
    with pytest.raises(TypeError, match="teacher must be an nn.Module"): distill(learner(shared), cwtm_loss)
    with pytest.raises(TypeError, match="loss"): distill(shared, 3)


def test_an_exception_leaves_the_teacher_as_it_was():
    def broken(s, y, t): raise ArithmeticError("no")
    teacher = net(0).train()
    learn = learner(cbs=distill(teacher, broken))
    own = learn.loss_func
    with pytest.raises(ArithmeticError): learn.fit(1, 0.1)
    assert all(m.training for m in teacher.modules()) and all(p.requires_grad for p in teacher.parameters())
    learn.remove_cb(learn.distill)
    learn.add_cb(distill(teacher, cwtm_loss)).fit(1, 0.1)
    assert learn.loss_func is own


def test_export_holds_the_student_alone(tmp_path):
    from fastai.learner import load_learner
    teacher = nn.Sequential(net(0), nn.Linear(4, 100_000), nn.Linear(100_000, 4))
    learn = learner(cbs=distill(teacher, lambda s, y, t: cwtm_loss(s, y, t)))
    learn.fit(1, 0.1)
    learn.path = tmp_path
    learn.export("student.pkl")
    assert (tmp_path/"student.pkl").stat().st_size < 200_000
    with pytest.warns(UserWarning): again = load_learner(tmp_path/"student.pkl")
    x = data()[0][:3]
    torch.testing.assert_close(again.model.eval()(x), learn.model.eval()(x))
    again.dls = learn.dls
    with pytest.raises(RuntimeError, match="teacher does not travel"): again.fit(1, 0.1)


def test_gradient_accumulation():
    from fastai.callback.training import GradientAccumulation
    teacher, fixed = net(0), lambda s, y, t: cwtm_loss(s, y, t, normalizer=20.)
    for loss in (cwtm_loss, fixed):
        learn = learner(cbs=[distill(teacher, loss), GradientAccumulation(96)])
        learn.fit(1, 0.1, wd=0.)
        torch.testing.assert_close(weights(learn.model), weights(by_hand(net(0), loss, 3)))


def test_to_fp16_trains_the_same_on_the_cpu():
    import warnings
    def run(half):
        learn = learner(cbs=distill(net(0), cwtm_loss))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without CUDA fastai's autocast and scaler only warn
            if half: learn.to_fp16()
            learn.fit(1, 0.1, wd=0.)
        return weights(learn.model)
    torch.testing.assert_close(run(True), run(False), rtol=1e-2, atol=1e-3)


def test_bfloat16_autocast_reaches_the_teacher():
    from fastai.callback.core import Callback
    seen = []
    class Autocast(Callback):
        order = 10
        def before_batch(self): self.context = torch.autocast("cpu", dtype=torch.bfloat16); self.context.__enter__()
        def after_loss(self): self.context.__exit__(None, None, None)
    teacher = net(0)
    teacher.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    learn = learner(cbs=[distill(teacher, cwtm_loss), Autocast()])
    learn.fit(1, 0.1, wd=0.)
    assert seen == [torch.bfloat16]*3
    torch.testing.assert_close(weights(learn.model), weights(by_hand(net(0), cwtm_loss)), rtol=0.1, atol=0.02)


def test_mixup_mixes_the_labels_and_the_teachers_input():
    from fastai.callback.mixup import MixUp
    seen = []
    teacher = net(0)
    teacher.register_forward_hook(lambda m, i, o: seen.append(i[0].clone()))
    learn = learner(cbs=[distill(teacher, cwtm_loss), MixUp(0.4)])
    own = learn.loss_func
    torch.manual_seed(3)
    learn.fit(1, 0.1, wd=0.)
    assert not seen[0].equal(data()[0][:32]) and learn.loss_func is own
    assert weights(learn.model).isfinite().all()
    x, y = data(32)
    y1, lam, s, t = y.flip(0), torch.rand(32), torch.randn(32, 4), torch.randn(32, 4)
    mixed = torch.lerp(cwtm_loss(s, y1, t, reduction="none"), cwtm_loss(s, y, t, reduction="none"), lam).mean()
    soft = lam[:, None]*F.one_hot(y, 4) + (1 - lam[:, None])*F.one_hot(y1, 4)
    torch.testing.assert_close(mixed, cwtm_loss(s, soft, t))  # what MixUp computes is CWTM of the mixed label


def test_confidence_is_aligned_saved_and_leaves_no_trace(tmp_path):
    from safetensors.torch import load_file
    x, y = data()
    model = net(0, dropout=0.5).train()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    c = teacher_confidence(model, DataLoader(TensorDataset(x, y), batch_size=7), path=tmp_path/"c.safetensors")
    assert torch.get_rng_state().equal(rng) and all(m.training for m in model.modules())
    assert all(v.equal(state[k]) for k, v in model.state_dict().items())
    p = net(0).eval()(x).softmax(1)
    torch.testing.assert_close(c, p.amax(1).detach())
    assert load_file(tmp_path/"c.safetensors")["confidence"].equal(c)
    torch.testing.assert_close(teacher_confidence(model, DataLoader(TensorDataset(x, y), batch_size=7), weigh="label"), p.gather(1, y[:, None])[:, 0].detach())
    torch.testing.assert_close(teacher_confidence(model, learner().dls.valid), c[:32])
    s, t = torch.randn(7, 4), model.eval()(x[:7]).detach()
    torch.testing.assert_close(cwtm_loss(s, y[:7], confidence=c[:7]), cwtm_loss(s, y[:7], t))


class Noisy(TensorDataset):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return x + 0.01*torch.randn_like(x), y


@pytest.mark.parametrize("make", [
    lambda ds: DataLoader(ds, batch_size=8, shuffle=True),
    lambda ds: DataLoader(ds, batch_size=7, drop_last=True),
    lambda ds: DataLoader(ds, batch_size=8, sampler=torch.utils.data.SubsetRandomSampler(range(96))),
    lambda ds: DataLoader(Noisy(*ds.tensors), batch_size=8),
])
def test_confidence_refuses_a_shuffled_or_augmented_loader(make):
    with pytest.raises(ValueError, match="shuffle|augment"): teacher_confidence(net(0), make(TensorDataset(*data())))


def test_confidence_refuses_fastais_training_loader():
    from fastai.data.load import DataLoader as FastLoader
    with pytest.raises(ValueError, match="shuffles"): teacher_confidence(net(0), FastLoader(list(zip(*data())), bs=8, shuffle=True))
    bad = net(0)
    with torch.no_grad(): bad[4].bias[0] = float("nan")
    with pytest.raises(ValueError, match="not finite for sample 0"): teacher_confidence(bad, DataLoader(TensorDataset(*data()), batch_size=8))


def test_ensemble_averages_probabilities():
    models = [net(s).eval() for s in range(3)]
    x = data()[0]
    e = Ensemble(models).eval()
    torch.testing.assert_close(e(x).softmax(1), torch.stack([m(x).softmax(1) for m in models]).mean(0))
    torch.testing.assert_close(e(x).exp().sum(1), torch.ones(96))
    assert len(list(e.parameters())) == 3*len(list(models[0].parameters()))
    for wrong in ([], [models[0]]*2):
        with pytest.raises(ValueError, match="models"): Ensemble(wrong)


def fresh(): return learner(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
def fit(learn): learn.fit(2, 0.1)


def test_born_again_table():
    calls = []
    def loss(s, y, t):
        calls.append(t)
        return ban_loss(s, y, t)
    rng = torch.get_rng_state()
    out = born_again(fresh, 2, loss, fit=fit, seed=5)
    assert torch.get_rng_state().equal(rng)
    assert [r["name"] for r in out.table] == ["generation 0", "generation 1", "control 1", "generation 2", "control 2", "ensemble of generations 1…2", "ensemble of controls 1…2"]
    assert [r["seed"] for r in out.table[:5]] == [5, 6, 6, 7, 7] and [r["teacher"] for r in out.table[:5]] == [None, "generation 0", None, "generation 1", None]
    assert len(calls) == 2*2*3  # two students, two epochs, three batches; none for the controls
    assert all(0 <= r["accuracy"] <= 1 and r["valid_loss"] > 0 for r in out.table)
    x = data()[0][:32]
    torch.testing.assert_close(calls[0], out.generations[0].eval()(x).detach())
    e = learner(out.ensemble).validate()
    assert abs(e[0] - out.table[5]["valid_loss"]) < 1e-6
    assert not weights(out.generations[1]).equal(weights(out.controls[0]))


def test_born_again_goes_on_after_a_kill(tmp_path):
    fits = []
    def counted(learn): fits.append(1); fit(learn)
    def dies(learn):
        if len(fits) == 3: raise KeyboardInterrupt
        counted(learn)
    whole = born_again(fresh, 2, fit=fit)
    with pytest.raises(KeyboardInterrupt): born_again(fresh, 2, fit=dies, path=tmp_path)
    (tmp_path/"generation 2.safetensors").write_bytes(b"half a file")  # a kill while the weights were being written
    again = born_again(fresh, 2, fit=counted, path=tmp_path)
    assert len(fits) == 5 and again.table == whole.table
    torch.testing.assert_close(weights(again.generations[2]), weights(whole.generations[2]), rtol=0, atol=0)
    with pytest.raises(ValueError, match="path"): born_again(fresh, 2, fit=fit, path=tmp_path, seed=1)


def test_born_again_refuses_learners_that_share_a_model():
    one = net(0)
    with pytest.raises(ValueError, match="shares its parameters"): born_again(lambda: learner(one), 1, fit=fit)
    with pytest.raises(ValueError, match="generations"): born_again(fresh, 0, fit=fit)
