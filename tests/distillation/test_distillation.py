"The distillation losses against the paper's formulas, torch's cross-entropy and each other, and what they refuse."
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch.autograd import gradcheck, gradgradcheck

from course_lib.distillation import CWTMFunction, CWTMLoss, ban_loss, cwtm_loss, dkpp_loss, kd_loss, permute_non_argmax

LARGE = (20, 30_000)  # enough logits to go over them in chunks
MIDDLE = (70, 1000)


def batch(n=6, c=5, dtype=torch.float64, seed=0, scale=2., spatial=()):
    g = torch.Generator().manual_seed(seed)
    x, t = (scale*torch.randn(n, c, *spatial, generator=g, dtype=torch.float64) for _ in range(2))
    return x.to(dtype).requires_grad_(), torch.randint(c, (n, *spatial), generator=g), t.to(dtype)


def formula(x, y, t, weigh="max", ignore=None):
    "Eq. 9 and 10 written out: gradient and weighted value, in float64"
    x, t = x.detach().double(), t.double()
    p, q = t.softmax(1), x.softmax(1)
    conf = p.amax(1) if weigh == "max" else p.gather(1, y.clamp(0)[:, None])[:, 0]
    if ignore is not None: conf = conf*(y != ignore)
    w = conf/conf.sum()
    onehot = F.one_hot(y.clamp(0), x.shape[1])
    return w[:, None]*(q - onehot), -(w*x.log_softmax(1).gather(1, y.clamp(0)[:, None])[:, 0]).sum(), w


def grad(loss, x): return torch.autograd.grad(loss, x)[0]


@pytest.mark.parametrize("weigh", ["max", "label"])
@pytest.mark.parametrize("value", ["weighted", "plain"])
@pytest.mark.parametrize("shape", [(6, 5), (33, 100), MIDDLE, LARGE])
def test_gradient_is_the_papers(weigh, value, shape):
    x, y, t = batch(*shape)
    want, weighted, w = formula(x, y, t, weigh)
    loss = cwtm_loss(x, y, t, weigh=weigh, value=value)
    torch.testing.assert_close(grad(loss, x), want, atol=1e-12, rtol=0)
    torch.testing.assert_close(loss, weighted if value == "weighted" else F.cross_entropy(x, y), atol=1e-12, rtol=1e-12)
    assert abs(w.sum() - 1) < 1e-12


@pytest.mark.parametrize("value", ["weighted", "plain"])
@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
def test_function_module_and_loss_agree(value, shape):
    x, y, t = batch(*shape)
    w = formula(x, y, t)[2]
    a = CWTMFunction.apply(x, y, w, value)
    b = cwtm_loss(x, y, t, value=value)
    c = CWTMLoss(value=value)(x, y, t)
    d = cwtm_loss(x, y, confidence=3*w, value=value)
    for other in (b, c, d):
        torch.testing.assert_close(a, other, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(torch.autograd.grad(a, x, retain_graph=True)[0], grad(other, x), atol=1e-12, rtol=0)


def test_gradcheck_and_gradgradcheck():
    x, y, t = batch()
    w = formula(x, y, t)[2]
    assert gradcheck(lambda x: cwtm_loss(x, y, t), x) and gradgradcheck(lambda x: cwtm_loss(x, y, t), x)
    assert gradcheck(lambda x: CWTMFunction.apply(x, y, w), x) and gradgradcheck(lambda x: CWTMFunction.apply(x, y, w), x)
    for plain in (lambda x: cwtm_loss(x, y, t, value="plain"), lambda x: CWTMFunction.apply(x, y, w, "plain")):
        with pytest.raises(Exception, match="Jacobian mismatch"): gradcheck(plain, x)
        assert gradgradcheck(plain, x)
    for loss in (kd_loss, ban_loss): assert gradcheck(lambda x: loss(x, y, t), x) and gradgradcheck(lambda x: loss(x, y, t), x)


def test_second_derivatives_of_the_one_pass_path():
    x, y, t = batch(*LARGE)
    v = torch.randn_like(x)
    g, = torch.autograd.grad(cwtm_loss(x, y, t), x, create_graph=True)
    hv, = torch.autograd.grad(g, x, v)
    q, w = x.detach().softmax(1), formula(x, y, t)[2]
    torch.testing.assert_close(hv, w[:, None]*(q*v - q*(q*v).sum(1, keepdim=True)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_second_backward_gives_the_same(shape, dtype):
    x, y, t = batch(*shape, dtype=dtype)
    loss = cwtm_loss(x, y, t)
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0].clone() for _ in range(2))
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("factor", [0., -1., 65536., 0.25])
@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
@pytest.mark.parametrize("value", ["weighted", "plain"])
def test_grad_output_scales_the_gradient(factor, shape, value):
    x, y, t = batch(*shape)
    torch.testing.assert_close(grad(factor*cwtm_loss(x, y, t, value=value), x), factor*formula(x, y, t)[0], atol=1e-8*abs(factor), rtol=0)
    if shape[0] == 6: torch.testing.assert_close(grad(factor*CWTMFunction.apply(x, y, formula(x, y, t)[2], value), x), factor*formula(x, y, t)[0])


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 9), c=st.integers(1, 8), seed=st.integers(0, 1000), scale=st.sampled_from([0., 1., 30.]), a=st.floats(-50, 50), b=st.floats(-50, 50))
def test_shifts_change_nothing_and_gradient_rows_sum_to_zero(n, c, seed, scale, a, b):
    x, y, t = batch(n, c, seed=seed, scale=scale)
    one, two = cwtm_loss(x, y, t), cwtm_loss(x + a, y, t + b)
    torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-9)
    g = grad(one, x)
    torch.testing.assert_close(g, grad(two, x), atol=1e-10, rtol=0)
    assert g.sum(1).abs().max() < 1e-12


def opinfo_samples(dtype):
    from torch.testing._internal.common_methods_invocations import op_db
    op = next(o for o in op_db if o.name == "nn.functional.cross_entropy")
    yield from ((s.input.detach(), s.args[0].detach(), s.kwargs) for s in op.sample_inputs("cpu", dtype))
    x, y, _ = batch(7, 4, dtype)
    soft = torch.randn(7, 4, dtype=dtype).softmax(1)
    for reduction in ("mean", "sum", "none"):
        yield x.detach(), y, {"label_smoothing": 0.1, "reduction": reduction}
        yield x.detach(), y, {"label_smoothing": 0.1, "reduction": reduction, "weight": torch.rand(4, dtype=dtype), "ignore_index": 2}
        yield x.detach(), soft, {"label_smoothing": 0.3, "reduction": reduction, "weight": torch.rand(4, dtype=dtype)}
    yield 1000*x.detach(), y, {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("value", ["weighted", "plain"])
def test_uniform_teacher_is_torchs_cross_entropy(dtype, value):
    n = 0
    for x, y, kwargs in opinfo_samples(dtype):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        want = F.cross_entropy(a, y, **kwargs)
        got = cwtm_loss(b, y, torch.full_like(x, 3.), value=value, **kwargs)
        seed = torch.rand_like(want)
        tol = dict(atol=1e-12, rtol=1e-10) if dtype == torch.float64 else {}
        torch.testing.assert_close(got, want, **tol)
        torch.testing.assert_close(grad((got*seed).sum(), b), grad((want*seed).sum(), a), **tol)
        n += 1
    assert n >= 25


def test_class_weights_enter_the_normalizer():
    x, y, t = batch()
    v = torch.tensor([1., 2., 0.5, 3., 1.], dtype=torch.float64)
    conf = t.softmax(1).amax(1)
    want = (conf*F.cross_entropy(x, y, v, reduction="none")).sum()/(conf*v[y]).sum()
    torch.testing.assert_close(cwtm_loss(x, y, t, weight=v), want)


def test_soft_targets_take_the_expected_confidence():
    x, y, t = batch()
    onehot = F.one_hot(y, 5).double()
    for weigh in ("max", "label"): torch.testing.assert_close(cwtm_loss(x, onehot, t, weigh=weigh), cwtm_loss(x, y, t, weigh=weigh))
    mixed = 0.7*onehot + 0.3*onehot.roll(1, 0)
    conf = (t.softmax(1)*mixed).sum(1)
    torch.testing.assert_close(cwtm_loss(x, mixed, t, weigh="label"), (conf/conf.sum()*F.cross_entropy(x, mixed, reduction="none")).sum())


@pytest.mark.parametrize("spatial", [(3,), (2, 4), (2, 3, 2)])
def test_spatial_is_the_same_as_flat(spatial):
    x, y, t = batch(4, 5, spatial=spatial)
    y[0, 0] = -100
    flat = lambda v: v.movedim(1, -1).flatten(0, -2)
    for weigh in ("max", "label"):
        a = cwtm_loss(x, y, t, weigh=weigh)
        b = cwtm_loss(flat(x), y.flatten(), flat(t), weigh=weigh)
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(grad(a, x), grad(b, x))
    per_image = torch.rand(4, dtype=torch.float64)
    a = cwtm_loss(x, y, confidence=per_image)
    torch.testing.assert_close(a, cwtm_loss(x, y, confidence=per_image.reshape(4, *[1]*len(spatial)).expand(y.shape)))
    for loss in (kd_loss, ban_loss): torch.testing.assert_close(loss(x, y, t), loss(flat(x), y.flatten(), flat(t)))


@pytest.mark.parametrize("shape", [(8, 5), LARGE])
def test_ignored_rows_count_nowhere(shape):
    x, y, t = batch(*shape)
    y[::3] = -100
    keep = y != -100
    for value in ("weighted", "plain"):
        a, b = cwtm_loss(x, y, t, value=value), cwtm_loss(x[keep], y[keep], t[keep], value=value)
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(grad(a, x), grad(b, x), atol=1e-12, rtol=0)
    t[0] = math.nan  # an ignored row's teacher may be anything
    assert cwtm_loss(x, y, t).isfinite()


def test_normalizer_makes_accumulation_exact():
    x, y, t = batch(8)
    whole = grad(cwtm_loss(x, y, t), x)
    conf = t.softmax(1).amax(1)
    parts = sum(cwtm_loss(x[s], y[s], t[s], normalizer=conf.sum()) for s in (slice(0, 3), slice(3, 8)))
    torch.testing.assert_close(grad(parts, x), whole, atol=1e-12, rtol=0)
    own = sum(cwtm_loss(x[s], y[s], t[s])*len(y[s])/8 for s in (slice(0, 3), slice(3, 8)))
    assert (grad(own, x) - whole).abs().max() > 1e-3  # each part's own sum is not the same thing
    torch.testing.assert_close(cwtm_loss(x, y, t, normalizer=2.), (conf*F.cross_entropy(x, y, reduction="none")).sum()/2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(64, 10), (20, 30_000)])
def test_half_precision_keeps_statistics_in_float32(dtype, shape):
    x, y, t = batch(*shape, dtype=dtype)
    want, value, _ = formula(x, y, t)
    loss = cwtm_loss(x, y, t)
    assert loss.dtype == dtype == F.cross_entropy(x, y).dtype
    assert loss == value.to(dtype)  # rounded once, at the end
    g = grad(1024*loss, x)
    assert g.dtype == dtype
    torch.testing.assert_close(g.double(), 1024*want, rtol=1e-2, atol=1e-5)


def test_half_precision_sum_of_many_pixels_is_finite():
    x = torch.zeros(2, 3, 512, 512, dtype=torch.float16, requires_grad=True)
    y = torch.zeros(2, 512, 512, dtype=torch.int64)
    t = torch.zeros_like(x)
    t[:, 0] = 20.
    assert x.new_ones(2*512*512).sum().isinf()  # what float16 would make of the normalizer
    assert cwtm_loss(x, y, t) == torch.tensor(math.log(3)).half()


@pytest.mark.parametrize("shape", [(64, 10), (20, 30_000)])
def test_grad_scaler_gives_the_update_of_float32(shape):
    torch.manual_seed(0)
    n, c = shape
    xs, y, t = torch.randn(n, 4), torch.randint(c, (n,)), torch.randn(n, c)
    def step(scaled):
        torch.manual_seed(1)
        layer = torch.nn.Linear(4, c)
        opt, scaler = torch.optim.SGD(layer.parameters(), 1.), torch.amp.GradScaler("cpu", enabled=scaled, init_scale=65536.)
        with torch.autocast("cpu", dtype=torch.float16, enabled=scaled): loss = cwtm_loss(layer(xs), y, t)
        scaler.scale(loss).backward(); scaler.step(opt); scaler.update()
        assert scaler.get_scale() == (65536. if scaled else 1.)  # not skipped
        torch.manual_seed(1)
        return layer.weight.detach() - torch.nn.Linear(4, c).weight.detach()
    plain, amp = step(False), step(True)
    assert (plain - amp).norm() < 0.01*plain.norm() and plain.norm() > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    x, y, t = batch(16, 10, torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        torch.testing.assert_close(cwtm_loss(x, y, t), cwtm_loss(x.double(), y, t.double()).float())
        assert cwtm_loss(x, y, t).dtype == torch.float32


BAD = [
    (ValueError, "teacher_logits", lambda x, y, t: cwtm_loss(x, y, t[:1])),
    (ValueError, "teacher_logits", lambda x, y, t: cwtm_loss(x, y, t[:, :1])),
    (ValueError, "teacher_logits", lambda x, y, t: cwtm_loss(x, y, t[:, :4])),
    (ValueError, "target must have shape", lambda x, y, t: cwtm_loss(x, y[:1], t)),
    (ValueError, "target must have shape", lambda x, y, t: cwtm_loss(x, y[:, None], t)),
    (TypeError, "int64", lambda x, y, t: cwtm_loss(x, y.double(), t)),
    (TypeError, "long", lambda x, y, t: cwtm_loss(x, y.int(), t)),
    (TypeError, "got list: convert it with torch.as_tensor", lambda x, y, t: cwtm_loss(x, y.tolist(), t)),
    (TypeError, "got ndarray: convert it with torch.as_tensor", lambda x, y, t: kd_loss(x, y.numpy(), t)),
    (TypeError, "target", lambda x, y, t: cwtm_loss(x, None, t)),
    (ValueError, "ignore_index works with class indices only", lambda x, y, t: cwtm_loss(x, t.softmax(1), t, ignore_index=0)),
    (ValueError, "label_smoothing", lambda x, y, t: cwtm_loss(x, y, t, label_smoothing=1.5)),
    (ValueError, "weight must hold", lambda x, y, t: cwtm_loss(x, y, t, weight=torch.ones(4).double())),
    (TypeError, "student_logits", lambda x, y, t: cwtm_loss(x.long(), y, t)),
    (TypeError, "teacher_logits", lambda x, y, t: cwtm_loss(x, y, t.long())),
    (TypeError, "student_logits", lambda x, y, t: cwtm_loss([1.], y, t)),
    (ValueError, "student_logits", lambda x, y, t: cwtm_loss(x[0, 0], y[0], t[0, 0])),
    (ValueError, "student_logits", lambda x, y, t: cwtm_loss(x[:, :0], y, t[:, :0])),
    (IndexError, "target", lambda x, y, t: cwtm_loss(x, y + 5, t)),
    (IndexError, "target", lambda x, y, t: cwtm_loss(x, y - 5, t)),
    (IndexError, "target", lambda x, y, t: kd_loss(x, y + 5, t)),
    (IndexError, "target", lambda x, y, t: ban_loss(x, y - 5, t)),
    (IndexError, "target", lambda x, y, t: dkpp_loss(x, y + 5, t)),
    (ValueError, "neither", lambda x, y, t: cwtm_loss(x, y)),
    (ValueError, "both", lambda x, y, t: cwtm_loss(x, y, t, confidence=torch.ones(6))),
    (ValueError, "confidence must be finite", lambda x, y, t: cwtm_loss(x, y, confidence=-torch.ones(6))),
    (ValueError, "confidence must be finite", lambda x, y, t: cwtm_loss(x, y, confidence=torch.tensor([1., 1, 1, 1, 1, math.nan]))),
    (ValueError, "confidence must be finite", lambda x, y, t: cwtm_loss(x, y, confidence=torch.tensor([1., 1, 1, 1, 1, math.inf]))),
    (ValueError, "confidence must have shape", lambda x, y, t: cwtm_loss(x, y, confidence=torch.ones(1))),
    (ValueError, "confidence must have shape", lambda x, y, t: cwtm_loss(x, y, confidence=torch.ones(6, 1))),
    (TypeError, "confidence", lambda x, y, t: cwtm_loss(x, y, confidence=torch.ones(6).long())),
    (ValueError, "weigh", lambda x, y, t: cwtm_loss(x, y, t, weigh="mean")),
    (ValueError, "value", lambda x, y, t: cwtm_loss(x, y, t, value="none")),
    (ValueError, "reduction", lambda x, y, t: cwtm_loss(x, y, t, reduction="avg")),
    (ValueError, "nonfinite", lambda x, y, t: cwtm_loss(x, y, t, nonfinite="drop")),
    (ValueError, "normalizer", lambda x, y, t: cwtm_loss(x, y, t, normalizer="world")),
    (ValueError, "normalizer", lambda x, y, t: cwtm_loss(x, y, t, normalizer=0.)),
    (ValueError, "normalizer", lambda x, y, t: cwtm_loss(x, y, t, normalizer=3., reduction="sum")),
    (TypeError, "normalizer", lambda x, y, t: cwtm_loss(x, y, t, normalizer=None)),
    (ValueError, "temperature", lambda x, y, t: kd_loss(x, y, t, temperature=0.)),
    (ValueError, "alpha", lambda x, y, t: kd_loss(x, y, t, alpha=1.5)),
    (ValueError, "target", lambda x, y, t: kd_loss(x, None, t)),
    (ValueError, "label_weight", lambda x, y, t: ban_loss(x, y, t, label_weight=-1.)),
    (ValueError, "teacher_logits", lambda x, y, t: ban_loss(x, y, t[:1])),
    (TypeError, "teacher_logits", lambda x, y, t: dkpp_loss(x, y, None)),
]


@pytest.mark.parametrize("error,match,call", BAD)
def test_bad_input_names_the_argument(error, match, call):
    with pytest.raises(error, match=match): call(*batch())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
def test_nonfinite_teacher_rows(bad, shape):
    x, y, t = batch(*shape)
    t[2, 1] = bad
    with pytest.raises(ValueError, match=r"teacher_logits is not finite in sample \[2\]"): cwtm_loss(x, y, t)
    for loss in (ban_loss, kd_loss, dkpp_loss):
        if shape[0] == 6:
            with pytest.raises(ValueError, match="teacher_logits"): loss(x, y, t)
    keep = torch.arange(len(y)) != 2
    for value in ("weighted", "plain"):
        a, b = cwtm_loss(x, y, t, nonfinite="ignore", value=value), cwtm_loss(x[keep], y[keep], t[keep], value=value)
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(grad(a, x), grad(b, x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
def test_a_label_whose_probability_underflows(shape, dtype):
    x, y, t = batch(*shape, dtype=dtype)
    with torch.no_grad(): x[1] = 0; x[1, y[1]] = -900
    want, value, _ = formula(x, y, t)
    for loss in (cwtm_loss(x, y, t), cwtm_loss(x, y, confidence=t.double().softmax(1).amax(1).to(torch.float64))):
        torch.testing.assert_close(loss.double(), value, atol=0, rtol=4e-3 if dtype == torch.bfloat16 else 1e-5)
        torch.testing.assert_close(grad(loss, x).double(), want, atol={torch.float64: 1e-9, torch.float32: 1e-6}.get(dtype, 1e-3), rtol=1e-2)


def test_large_path_checks_labels_too():
    for shape in (MIDDLE, LARGE):
        for label in (shape[1], -1):
            x, y, t = batch(*shape)
            y[3] = label
            with pytest.raises(IndexError, match="target"): cwtm_loss(x, y, t)


@pytest.mark.parametrize("value", ["weighted", "plain"])
@pytest.mark.parametrize("loss", ["empty", "ignored", "no confidence"])
def test_nothing_to_learn_from_is_a_connected_zero(value, loss):
    x, y, t = batch(0 if loss == "empty" else 4)
    if loss == "ignored": y[:] = -100
    out = cwtm_loss(x, y, confidence=torch.zeros(4), value="weighted") if loss == "no confidence" else cwtm_loss(x, y, t, value=value)
    assert out == 0 and grad(out, x).eq(0).all()
    for other in (ban_loss, kd_loss):
        if loss != "no confidence": assert other(x, y, t) == 0


def test_batch_of_one_warns_and_is_plain_cross_entropy():
    x, y, t = batch(1)
    with pytest.warns(UserWarning, match="batch of one") as record: loss = cwtm_loss(x, y, t)
    assert len(record) == 1
    torch.testing.assert_close(loss, F.cross_entropy(x, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cwtm_loss(x, y, t, normalizer=0.5)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3): cwtm_loss(x, y, t)
    assert len(seen) <= 1


@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
def test_inputs_stay_and_teacher_gets_no_gradient(shape):
    x, y, t = batch(*shape)
    t.requires_grad_()
    conf = torch.rand(len(y), requires_grad=True)
    before = [v.detach().clone() for v in (x, y, t, conf)]
    for out in (cwtm_loss(x, y, t), cwtm_loss(x, y, confidence=conf), cwtm_loss(x, y, t, weigh="label"), kd_loss(x, y, t), ban_loss(x, y, t), dkpp_loss(x, y, t)): out.backward()
    assert t.grad is None and conf.grad is None
    for a, b in zip(before, (x, y, t, conf)): assert a.equal(b)


def test_without_grad_and_with_a_constant_student():
    x, y, t = batch(*LARGE)
    with torch.no_grad(): a = cwtm_loss(x, y, t)
    assert not a.requires_grad and not cwtm_loss(x.detach(), y, t).requires_grad
    torch.testing.assert_close(a, cwtm_loss(x, y, t).detach())


def test_memory_format_and_strides_do_not_matter():
    x, y, t = batch(2, 4, spatial=(3, 5))
    want = grad(cwtm_loss(x, y, t), x)
    xc = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    torch.testing.assert_close(grad(cwtm_loss(xc, y, t.to(memory_format=torch.channels_last)), xc), want)
    x, y, t = batch(*LARGE)
    xt, tt = x.detach().t().contiguous().t().requires_grad_(), t.t().contiguous().t()
    assert not xt.is_contiguous()
    torch.testing.assert_close(grad(cwtm_loss(xt, y, tt), xt), grad(cwtm_loss(x, y, t), x))


def test_deterministic_mode():
    torch.use_deterministic_algorithms(True)
    try:
        for shape in ((6, 5), LARGE):
            x, y, t = batch(*shape)
            assert grad(cwtm_loss(x, y, t), x).equal(grad(cwtm_loss(x, y, t), x))
    finally: torch.use_deterministic_algorithms(False)


def test_vmap_and_vmap_of_grad():
    xs, ys, ts = (torch.stack(v) for v in zip(*[[b.detach() for b in batch(seed=s)] for s in range(3)]))
    want_v = torch.stack([cwtm_loss(x, y, t) for x, y, t in zip(xs, ys, ts)])
    want_g = torch.stack([formula(x, y, t)[0] for x, y, t in zip(xs, ys, ts)])
    ws = torch.stack([formula(x, y, t)[2] for x, y, t in zip(xs, ys, ts)])
    for value in ("weighted", "plain"):
        f = lambda x, y, t: cwtm_loss(x, y, t, value=value)
        h = lambda x, y, w: CWTMFunction.apply(x, y, w, value)
        torch.testing.assert_close(torch.vmap(torch.func.grad(f))(xs, ys, ts), want_g)
        torch.testing.assert_close(torch.vmap(torch.func.grad(h))(xs, ys, ws), want_g)
        torch.testing.assert_close(torch.vmap(torch.func.grad(f), in_dims=(0, None, None))(xs, ys[0], ts[0]), torch.stack([formula(x, ys[0], ts[0])[0] for x in xs]))
    torch.testing.assert_close(torch.vmap(cwtm_loss)(xs, ys, ts), want_v)
    torch.testing.assert_close(torch.vmap(CWTMFunction.apply)(xs, ys, ws), want_v)
    big, yb, tb = batch(4, 70_000)
    got = torch.func.grad(lambda x: cwtm_loss(x, yb, tb))(big.detach())
    torch.testing.assert_close(got, formula(big, yb, tb)[0])


@pytest.mark.parametrize("shape", [(6, 5), MIDDLE, LARGE])
def test_compile_fullgraph(shape):
    x, y, t = batch(*shape, dtype=torch.float32)
    torch._dynamo.reset()
    for f in (lambda x, y, t: cwtm_loss(x, y, t), lambda x, y, t: cwtm_loss(x, y, t, value="plain"), lambda x, y, t: CWTMFunction.apply(x, y, torch.softmax(t, 1).amax(1), "weighted")):
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
        a, b = f(x, y, t), compiled(x, y, t)
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(grad(a, x), grad(b, x))


def test_compile_with_inductor():
    x, y, t = batch(dtype=torch.float32)
    a, b = cwtm_loss(x, y, t), torch.compile(cwtm_loss, fullgraph=True)(x, y, t)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(grad(a, x), grad(b, x))


def test_module_moves_its_weight_and_keeps_no_teacher():
    loss = CWTMLoss(weight=torch.ones(5)).double()
    assert loss.weight.dtype == torch.float64 and list(loss.parameters()) == []
    x, y, t = batch()
    torch.testing.assert_close(loss(x, y, confidence=t.softmax(1).amax(1)), cwtm_loss(x, y, t))


def test_kd_temperature_and_mean():
    x, y, t = batch(50)
    kl = lambda T: sum((p*(p.log() - q.log())).sum() for p, q in zip((t/T).softmax(1), (x/T).softmax(1)))/50
    for T in (1., 4.): torch.testing.assert_close(kd_loss(x, y, t, temperature=T, alpha=1.), T**2*kl(T))
    torch.testing.assert_close(kd_loss(x, y, t, temperature=4., alpha=0.3), 0.3*16*kl(4.) + 0.7*F.cross_entropy(x, y))
    g = grad(kd_loss(x, None, t, temperature=1e4, alpha=1.), x)  # hot limit: matching centred logits (Hinton et al., eq. 4)
    want = ((x - x.mean(1, keepdim=True)) - (t - t.mean(1, keepdim=True)))/(50*5)
    torch.testing.assert_close(g, want, rtol=1e-2, atol=1e-5)


def test_ban_gradient():
    x, y, t = batch()
    torch.testing.assert_close(grad(ban_loss(x, y, t), x), (x.softmax(1) - t.softmax(1))/6)
    torch.testing.assert_close(ban_loss(x, None, t), ban_loss(x, y, t))
    torch.testing.assert_close(ban_loss(x, y, t, label_weight=0.5), ban_loss(x, y, t) + 0.5*F.cross_entropy(x, y))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 8), c=st.integers(1, 7), seed=st.integers(0, 100))
def test_permutation_moves_classes_of_each_sample_only(n, c, seed):
    p = batch(n, c, seed=seed)[2].softmax(1)
    s = permute_non_argmax(p, torch.Generator().manual_seed(seed))
    assert s.sort(1)[0].equal(p.sort(1)[0])  # every row keeps its own values
    assert s.argmax(1).equal(p.argmax(1)) and s.amax(1).equal(p.amax(1))
    assert s.equal(permute_non_argmax(p, torch.Generator().manual_seed(seed)))


def test_permutation_is_uniform_and_differs_between_samples():
    p = torch.tensor([0.1, 0.5, 0.25, 0.15]).expand(24_000, 4)
    s = permute_non_argmax(p, torch.Generator().manual_seed(0))
    orders, counts = s[:, [0, 2, 3]].unique(dim=0, return_counts=True)
    assert len(orders) == 6 and ((counts - 4000).abs() < 300).all() and (s[:, 1] == 0.5).all()
    tied = permute_non_argmax(torch.full((5, 4), 0.25))
    assert tied.eq(0.25).all()
    spatial = batch(2, 4, spatial=(3,))[2].softmax(1)
    assert permute_non_argmax(spatial).shape == spatial.shape and permute_non_argmax(spatial).amax(1).equal(spatial.amax(1))


def test_dkpp_gradient():
    x, y, t = batch()
    seeded = lambda: torch.Generator().manual_seed(7)
    p = permute_non_argmax(t.softmax(1), seeded())
    loss = dkpp_loss(x, y, t, generator=seeded())
    torch.testing.assert_close(grad(loss, x), (x.softmax(1) - p)/6)
    y[:2] = -100
    torch.testing.assert_close(dkpp_loss(x, y, t, generator=seeded()), F.cross_entropy(x[2:], p[2:]))


def test_the_usual_mistakes_are_caught_by_the_formula():
    "The checks above can fail: each mistake seen in public implementations is far from the paper's gradient"
    x, y, t = batch()
    want, _, w = formula(x, y, t)
    onehot, q = F.one_hot(y, 5), x.detach().softmax(1)
    wrong = {"divided by the batch again": want/6, "student's maximum": w[:, None]*(onehot - q.amax(1, keepdim=True)), "sign": -want,
             "unnormalized": t.softmax(1).amax(1)[:, None]*(q - onehot), "maximum over the batch": (t.softmax(0).amax(1)/t.softmax(0).amax(1).sum())[:, None]*(q - onehot)}
    for name, g in wrong.items(): assert (g - want).abs().max() > 1e-3, name


@pytest.mark.cuda
def test_cuda_graph_capture_without_a_sync():
    if not torch.cuda.is_available(): pytest.skip("needs a CUDA device")
    x, y, t = (v.detach().cuda() for v in batch(64, 4096, torch.float32))
    x.requires_grad_()
    cwtm_loss(x, y, t).backward()
    torch.cuda.set_sync_debug_mode("error")
    try: cwtm_loss(x, y, t).backward()
    finally: torch.cuda.set_sync_debug_mode("default")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3): x.grad = None; cwtm_loss(x, y, t).backward()
    torch.cuda.synchronize()
    graph, x.grad = torch.cuda.CUDAGraph(), None
    with torch.cuda.graph(graph): cwtm_loss(x, y, t).backward()
    graph.replay()
    torch.testing.assert_close(x.grad.cpu().double(), formula(x.cpu(), y.cpu(), t.cpu())[0], rtol=1e-4, atol=1e-7)


def test_bfloat16_on_a_gpu_needs_one_buffer_and_stays_exact_to_its_rounding(monkeypatch):
    "The way that a GPU takes for large bfloat16 logits, here on the CPU"
    from course_lib.distillation import chunked, weights
    for module in (chunked, weights): monkeypatch.setattr(module, "_softmax_dtype", lambda x, wide: x.dtype)
    torch.manual_seed(0)
    x, t = (3*torch.randn(2, 16, 40_000)).bfloat16()
    x, y = x.requires_grad_(), torch.randint(40_000, (16,))
    loss = cwtm_loss(x, y, t)
    slope, = torch.autograd.grad(3*loss, x)
    exact = x.detach().double().requires_grad_()
    want = cwtm_loss(exact, y, t.double())
    torch.testing.assert_close(loss.double(), want, rtol=1/256, atol=0)
    wanted, = torch.autograd.grad(3*want, exact)
    assert (slope.double() - wanted).norm() < wanted.norm()/256
