"One contract for the four losses: what they take, refuse and give back is what `F.cross_entropy` does, on real, fake and meta tensors."
import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from course_lib.distillation import CWTMFunction, CWTMLoss, ban_loss, cwtm_gradient, cwtm_loss, dkpp_loss, kd_loss
from course_lib.distillation.chunked import _EagerCWTM, _rows

LOSSES = {"cwtm": cwtm_loss, "kd": kd_loss, "ban": lambda x, y, t, **k: ban_loss(x, y, t, label_weight=0.5, **k), "dkpp": dkpp_loss}
all_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def batch(shape=(6, 5), dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    x, t = (torch.randn(shape, generator=g).to(dtype) for _ in range(2))
    return x, torch.randint(shape[min(len(shape) - 1, 1)], (*shape[:len(shape) > 1], *shape[2:]), generator=g), t


@all_losses
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (2, 5, 3), (2, 5, 3, 4), (0, 5), (2, 5, 0)])
@pytest.mark.filterwarnings("ignore:a batch of one")
def test_dtype_and_shape_are_cross_entropys(loss, dtype, reduction, shape):
    x, y, t = batch(shape, dtype)
    want = F.cross_entropy(x, y, reduction=reduction)
    for labels in (y, y.to(torch.uint8)):
        got = loss(x, labels, t, reduction=reduction)
        assert got.dtype == want.dtype and got.shape == want.shape
        assert loss(x.to("meta"), labels.to("meta"), t.to("meta"), reduction=reduction).shape == want.shape
    if x.numel() and reduction == "mean":
        with torch.autocast("cpu", dtype=torch.bfloat16): assert loss(x, y, t).dtype == F.cross_entropy(x, y).dtype


@all_losses
@pytest.mark.parametrize("change", [
    lambda x, y, t: (x, y.int(), t), lambda x, y, t: (x, y.double(), t), lambda x, y, t: (x, y.bool(), t),
    lambda x, y, t: (x, y[:3], t), lambda x, y, t: (x, y[:, None], t), lambda x, y, t: (x, F.one_hot(y, 5), t),
    lambda x, y, t: (x, y + 5, t), lambda x, y, t: (x, y - 200, t), lambda x, y, t: (x.long(), y, t),
    lambda x, y, t: (x[:, :0], y, t[:, :0]), lambda x, y, t: (x, y.tolist(), t), lambda x, y, t: (x, y.numpy(), t)])
def test_refused_where_cross_entropy_refuses(loss, change):
    x, y, t = change(*batch())
    with pytest.raises((RuntimeError, ValueError, IndexError, TypeError)): F.cross_entropy(x, y)
    with pytest.raises((ValueError, IndexError, TypeError)) as seen: loss(x, y, t)
    with pytest.raises(type(seen.value)): cwtm_loss(x, y, t)  # all of them in the same way


@all_losses
def test_probabilities_are_labels_too(loss):
    x, y, t = batch()
    for soft in (F.one_hot(y, 5).float(), t.roll(1, 0).softmax(1)):
        assert loss(x, soft, t).isfinite()
    seeded = {"generator": torch.Generator().manual_seed(1)} if loss is dkpp_loss else {}
    one = loss(x, F.one_hot(y, 5).float(), t, **seeded)
    if seeded: seeded["generator"].manual_seed(1)
    torch.testing.assert_close(one, loss(x, y, t, **seeded))
    with pytest.raises(ValueError, match="ignore_index"): loss(x, t.softmax(1), t, ignore_index=0)


# --- classes that are ruled out

def ruled_out(n=6, c=5, k=3):
    "Logits whose last classes are ruled out in student and teacher; labels among the others"
    x, y, t = batch((n, c), torch.float64)
    return x, y % k, t, k


RULED = {"cwtm": cwtm_loss, "cwtm, label": lambda x, y, t, **k: cwtm_loss(x, y, t, weigh="label", **k), "ban": ban_loss, "ban+l": LOSSES["ban"], "kd": kd_loss,
         "kd, teacher alone": lambda x, y, t, **k: kd_loss(x, y, t, temperature=1., alpha=1., **k),
         "kd, probabilities": lambda x, y, t, **k: kd_loss(x, F.one_hot(y, x.shape[1]).double(), t, **k),
         "cwtm, probabilities": lambda x, y, t, **k: cwtm_loss(x, F.one_hot(y, x.shape[1]).double(), t, **k)}


@pytest.mark.parametrize("loss", RULED.values(), ids=RULED)
def test_a_ruled_out_class_contributes_nothing(loss):
    x, y, t, k = ruled_out()
    without = x[:, :k].clone().requires_grad_()
    x[:, k:] = t[:, k:] = -math.inf
    x.requires_grad_()
    value, want = loss(x, y, t), loss(without, y, t[:, :k])
    torch.testing.assert_close(value, want)
    g = torch.autograd.grad(value, x)[0]
    torch.testing.assert_close(g[:, :k], torch.autograd.grad(want, without)[0])
    assert g[:, k:].eq(0).all()


@pytest.mark.parametrize("loss", [v for n, v in RULED.items() if "cwtm" not in n])
def test_each_row_may_rule_out_its_own(loss):
    x, y, t, k = ruled_out()
    alone = [loss(x[i:i + 1, :k if i < 2 else None], y[i:i + 1], t[i:i + 1, :k if i < 2 else None]) for i in range(6)]
    x[:2, k:] = t[:2, k:] = -math.inf
    torch.testing.assert_close(loss(x, y, t, reduction="none"), torch.stack(alone))


def test_dkpp_leaves_ruled_out_classes_alone():
    x, y, t, k = ruled_out(200, 6, 4)
    x[:, k:] = t[:, k:] = -math.inf
    x.requires_grad_()
    value = dkpp_loss(x, y, t, generator=torch.Generator().manual_seed(0))
    assert value.isfinite() and torch.autograd.grad(value, x)[0].isfinite().all()
    some = t.clone(); some[100:] = 1.
    assert dkpp_loss(torch.where(some.isinf(), -math.inf, 0.), y, some).isfinite()  # each row has its own


@pytest.mark.parametrize("low", [-1e9, -1e4, torch.finfo(torch.float32).min])
def test_dkpp_leaves_classes_alone_that_have_no_probability(low):
    "Masks of transformers are large negative numbers, which a softmax makes 0 of"
    x, y, t, k = ruled_out(200, 6, 4)
    x, t = x.float(), t.float()
    x[:, k:] = t[:, k:] = low
    assert dkpp_loss(x, y, t, generator=torch.Generator().manual_seed(0)) < 20


SOFT = {"kd": kd_loss, "kd, teacher alone": lambda x, y, t, **k: kd_loss(x, y, t, alpha=1., **k), "ban": ban_loss, "ban+l": LOSSES["ban"], "dkpp": dkpp_loss}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("loss", SOFT.values(), ids=SOFT)
def test_a_teacher_need_not_be_finite_where_nothing_counts(loss, bad):
    "Attention over nothing but padding is NaN, and padding is ignored"
    x, y, t = batch((4, 3, 5), torch.float64)
    x, t, y = x.movedim(1, -1), t.movedim(1, -1), y.clone()  # [B, T, V]
    y[0, 1] = y[2, 4] = -100
    more = lambda: {"generator": torch.Generator().manual_seed(0)} if loss is dkpp_loss else {}
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    want = loss(a, y, t, dim=-1, **more())
    t[0, 1], t[2, 4, 0] = bad, math.nan
    got = loss(b, y, t, dim=-1, **more())
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, b)[0], torch.autograd.grad(want, a)[0])
    y[0, 1] = 0
    with pytest.raises(ValueError, match="teacher_logits is not finite in some sample .*got nan at .0, 1."): loss(x, y, t, dim=-1)


def test_a_student_may_be_nan_where_nothing_counts_as_in_torch():
    x, y, t = batch((4, 3), torch.float64)
    y = y.index_fill(0, torch.tensor([1]), -100)
    for loss in (kd_loss, ban_loss, LOSSES["ban"], *(v for n, v in RULED.items() if n in ("cwtm", "cwtm, label"))):
        for reduction in ("mean", "sum", "none"):
            want = loss(x, y, t, reduction=reduction)
            torch.testing.assert_close(loss(x.index_fill(0, torch.tensor([1]), math.nan), y, t, reduction=reduction), want)
    wide = torch.zeros(300, 3000).index_fill(0, torch.tensor([1]), math.nan).requires_grad_()  # where the gradient is made in the forward pass
    y = torch.zeros(300, dtype=torch.int64).index_fill(0, torch.tensor([1]), -100)
    torch.testing.assert_close(cwtm_loss(wide, y, torch.zeros(300, 3000)), torch.tensor(math.log(3000)))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_label_that_student_and_teacher_rule_out_has_no_weight(compiled):
    x, y, t, k = ruled_out()
    x[0, k:] = t[0, k:] = -math.inf
    y[0] = k
    loss = lambda x, reduction: cwtm_loss(x, y, t, weigh="label", reduction=reduction)
    if compiled: loss = torch.compile(loss, backend="eager")
    want = cwtm_loss(x[1:], y[1:], t[1:], weigh="label")
    x.requires_grad_()
    got = loss(x, "mean")
    torch.testing.assert_close(got, want)
    assert loss(x, "none")[0] == 0 and torch.autograd.grad(got, x)[0].isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(3, 3), (5, 3)])
def test_classes_may_stand_first(name, shape):
    "[C, N]: also where as many samples as classes hide the mistake"
    loss, (x, y, t) = LOSSES[name], batch(shape, torch.float64)
    seeded = lambda: {"generator": torch.Generator().manual_seed(0)} if "dkpp" in name else {}
    torch.testing.assert_close(loss(x.T, y, t.T, dim=0, **seeded()), loss(x, y, t, **seeded()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("temperature", [1e-3, 1., 31., 33., 100., 1e3, 1e4, 1e6])
def test_kd_at_any_temperature(temperature, dtype):
    "T² magnifies what rounding leaves of a small divergence"
    x, y, t = (3*v if v.is_floating_point() else v for v in batch((6, 5), dtype))
    p, q = ((v.double()/temperature).log_softmax(1) for v in (t, x))
    x = x.clone().requires_grad_()
    got, want = kd_loss(x, None, t, temperature=temperature, alpha=1.), temperature**2*F.kl_div(q, p, log_target=True, reduction="batchmean")
    small = dtype in (torch.float16, torch.bfloat16)
    torch.testing.assert_close(got.double(), want, rtol=2e-2 if small else 2e-3, atol=1e-3, check_dtype=False)
    assert got.dtype == dtype and torch.autograd.grad(got, x)[0].isfinite().all()


@pytest.mark.parametrize("temperature, kind", [(0, ValueError), (-1., ValueError), (math.inf, ValueError), (math.nan, ValueError), (1e30, ValueError), (1e-30, ValueError), ("4", TypeError), (None, TypeError)])
def test_impossible_temperatures_are_named(temperature, kind):
    with pytest.raises(kind, match="temperature must be"): kd_loss(*batch((6, 5)), temperature=temperature)


def test_a_class_that_only_the_student_rules_out_is_infinitely_wrong():
    x, y, t, k = ruled_out()
    x[:, k:] = -math.inf
    for loss in (ban_loss, kd_loss): assert loss(x, y, t) == math.inf
    t[0] = -math.inf  # and a teacher that rules out everything says nothing
    for loss in LOSSES.values():
        with pytest.raises(ValueError, match="teacher_logits is not finite"): loss(x, y, t)


# --- devices

@pytest.fixture
def fake_cuda():
    with FakeTensorMode(): yield lambda *shape, dtype=torch.float32, device="cuda": torch.zeros(shape, dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(6, 5), (20, 30_000), (2, 5, 3)])
def test_no_wait_and_no_second_device(fake_cuda, shape):
    x, t = fake_cuda(*shape), fake_cuda(*shape)
    y = fake_cuda(shape[0], *shape[2:], dtype=torch.int64)
    calls = [lambda: loss(x, y, t) for loss in LOSSES.values()]
    calls += [lambda k=k: cwtm_loss(x, y, t, **k) for k in (
        {"value": "plain"}, {"weigh": "label"}, {"normalizer": 3.}, {"normalizer": fake_cuda()}, {"normalizer": fake_cuda(device="cpu")},
        {"label_smoothing": 0.1}, {"weight": fake_cuda(shape[1])}, {"reduction": "none"}, {"nonfinite": "ignore"}, {"ignore_index": 1})]
    calls += [lambda: cwtm_loss(x, y, confidence=fake_cuda(shape[0], device="cpu")), lambda: cwtm_loss(x, y, confidence=fake_cuda(shape[0])),
              lambda: dkpp_loss(x, y, t, generator=torch.Generator()), lambda: CWTMLoss()(x, y, t), lambda: cwtm_loss(x, t, t)]
    for call in calls: assert call().device.type == "cuda"


def test_what_crosses_to_the_gpu_is_one_number_per_sample(fake_cuda):
    from torch.utils._python_dispatch import TorchDispatchMode
    moved = []
    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and isinstance(args[0] if args else None, torch.Tensor) and out.device != args[0].device: moved.append(out.numel())
            assert "_local_scalar_dense" not in str(func) and "nonzero" not in str(func)
            return out
    x, t, y = fake_cuda(8, 1000), fake_cuda(8, 1000), fake_cuda(8, dtype=torch.int64)
    with Watch():
        for loss in LOSSES.values(): loss(x, y, t)
        cwtm_loss(x, y, t, normalizer=3.)
        dkpp_loss(x, y, t, generator=torch.Generator())
        assert moved == []
        cwtm_loss(x, y, confidence=fake_cuda(8, device="cpu"))
    assert moved == [8]


def test_backward_stays_on_the_device(fake_cuda):
    "Autograd's engine does not run on fake CUDA tensors, so its steps are called one by one"
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, y, w = fake_cuda(20, 30_000, dtype=dtype), fake_cuda(20, dtype=torch.int64), fake_cuda(20)
        assert cwtm_gradient(x, y, w).device.type == "cuda" and cwtm_gradient(x, y, w).dtype == dtype
        ce, g = _rows(x, y, w, True)
        assert ce.device.type == g.device.type == "cuda" and g.dtype == dtype
        class Ctx:
            saved_tensors = (x, y, w)
            def save_for_backward(self, *saved): pass
        for gradient in (True, False):
            ctx = Ctx()
            _EagerCWTM.forward(ctx, x, y, w, "weighted", gradient)
            with torch.no_grad(): assert _EagerCWTM.backward(ctx, fake_cuda())[0].shape == x.shape
        assert CWTMFunction.backward(ctx, fake_cuda())[0].shape == x.shape


def test_a_generator_from_elsewhere_draws_every_order_equally_often():
    "The keys that are computed in place of drawn ones, seen on the CPU by a generator that says it lives elsewhere"
    from course_lib.distillation import soft
    p = torch.tensor([0.1, 0.5, 0.25, 0.15]).expand(24_000, 4)
    generator = torch.Generator().manual_seed(0)
    assert soft._keys(p.to("meta"), torch.Generator()).device.type == "meta"
    keys = soft._computed(p.shape, p.device, generator)
    assert 0 <= keys.min() and keys.max() < 1 and abs(keys.mean() - 0.5) < 0.005 and abs(keys.var() - 1/12) < 0.002
    assert not keys.equal(soft._computed(p.shape, p.device, generator)) and keys.equal(soft._computed(p.shape, p.device, generator.manual_seed(0)))
    orders, counts = keys.argsort(1).unique(dim=0, return_counts=True)
    assert len(orders) == 24 and ((counts - 1000).abs() < 150).all()
    rows = keys.double() - keys.double().mean()
    assert all(abs((rows[:-d]*rows[d:]).mean()) < 0.002 for d in (1, 2, 5))  # a row says nothing about the next


# --- other people's tensors and tracers

@all_losses
def test_fastais_tensor_types(loss):
    core = pytest.importorskip("fastai.torch_core")
    x, y, t = batch()
    want = [loss(x, y, t, **({"generator": torch.Generator().manual_seed(0)} if loss is dkpp_loss else {}))]
    for image in (core.TensorImage, core.TensorBase):
        a = image(x.clone()).requires_grad_()
        got = loss(a, core.TensorCategory(y.clone()), image(t.clone()), **({"generator": torch.Generator().manual_seed(0)} if loss is dkpp_loss else {}))
        torch.testing.assert_close(got.detach().as_subclass(torch.Tensor), want[0])
        got.backward()
        assert a.grad is not None
    x, y, t = batch((2, 3, 4, 4))
    assert loss(core.TensorImage(x), core.TensorMask(y), core.TensorImage(t), ignore_index=0).isfinite()
    soft = batch()[2].softmax(1)
    assert loss(*(k(v) for k, v in zip((core.TensorImage, core.TensorMultiCategory, core.TensorImage), (batch()[0], soft, batch()[2])))).isfinite()


class Holds(torch.nn.Module):
    def __init__(self, loss):
        super().__init__()
        self.body, self.loss = torch.nn.Linear(4, 5), loss
    def forward(self, x, y, t): return self.loss(self.body(x), y, t)


@pytest.mark.parametrize("loss", [cwtm_loss, kd_loss, ban_loss, dkpp_loss, CWTMLoss(label_smoothing=0.1)])
def test_symbolic_trace_over_a_model_that_holds_the_loss(loss):
    model = Holds(loss)
    traced = torch.fx.symbolic_trace(model)
    x, (_, y, t) = torch.randn(6, 4), batch()
    torch.manual_seed(0); want = model(x, y, t)
    torch.manual_seed(0); torch.testing.assert_close(traced(x, y, t), want)
    traced(x, y, t).backward()
    assert model.body.weight.grad is not None


def test_numbers_are_not_read_where_there_are_none():
    x, y, t = batch()
    y[0] = 17  # an impossible label: refused where it can be seen, NaN where it cannot
    with pytest.raises(IndexError, match="17"): cwtm_loss(x, y, t)
    compiled = torch.compile(lambda x, y, t: ban_loss(x, y, t, label_weight=1.), backend="eager", fullgraph=True)
    assert compiled(x, y, t).isnan()


CLASSES_LAST = {"kd": kd_loss, "ban": functools.partial(ban_loss, label_weight=0.5), "cwtm": cwtm_loss,
                "dkpp": lambda *a, **k: dkpp_loss(*a, generator=torch.Generator().manual_seed(0), **k)}


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", CLASSES_LAST)
def test_classes_may_stand_last(name, soft, reduction):
    B, T, V = 2, 5, 7
    gen = torch.Generator().manual_seed(1)
    student, teacher = torch.randn(2, B, T, V, generator=gen, dtype=torch.float64)
    target = torch.randn(B, T, V, generator=gen, dtype=torch.float64).softmax(-1) if soft else torch.randint(V, (B, T), generator=gen)
    if not soft: target[0, 1] = -100
    loss = CLASSES_LAST[name]
    student.requires_grad_()
    got = loss(student, target, teacher, dim=-1, reduction=reduction)
    want = loss(student.movedim(-1, 1), target.movedim(-1, 1) if soft else target, teacher.movedim(-1, 1), reduction=reduction)
    torch.testing.assert_close(got, want)
    if name != "dkpp" and not soft:  # every token for itself
        flat = loss(student.reshape(-1, V), target.reshape(-1), teacher.reshape(-1, V), reduction=reduction)
        torch.testing.assert_close(got, flat.reshape(got.shape))
    assert torch.autograd.grad(got.sum(), student)[0].shape == (B, T, V)


def test_classes_last_without_saying_so_are_told():
    student, target = torch.randn(2, 5, 7), torch.zeros(2, 5, dtype=torch.long)
    for loss in (kd_loss, ban_loss, cwtm_loss, dkpp_loss):
        with pytest.raises(ValueError, match="dim=-1"): loss(student, target, student)
    with pytest.raises(IndexError): kd_loss(student, target, student, dim=3)
    torch.testing.assert_close(CWTMLoss(dim=-1)(student, target, student), cwtm_loss(student.movedim(-1, 1), target, student.movedim(-1, 1)))
    for plain in (student[0], student[0, 0]):  # two dimensions or one: nothing to say
        assert kd_loss(plain, None, plain, alpha=1., dim=-1) == 0
