"""The kernels of `cwtm_loss` against the formula: `test_fused.py` runs these tests in a process of their own, on a GPU or,
without one, by Triton's interpreter, which has to be asked for before anything imports Triton.

Seen to fail: with the largest of a lane subtracted without a look whether it is -inf (ruled-out classes), without the
0 for a row that counts nothing, with the sum of the weights left out of the gradient.
"""
import pytest
import torch

from course_lib.distillation import cwtm_loss, fused

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def batch(n, classes, dtype=torch.float32, scale=3.):
    gen = torch.Generator().manual_seed(0)
    x, t = (scale*torch.randn(2, n, classes, generator=gen)).to(DEVICE, dtype)
    return x.requires_grad_(), torch.randint(classes, (n,), generator=gen).to(DEVICE), t


def both(x, y, t, ignored=-100):
    "Value and gradient by the kernels, and in float64 by the operations"
    mine = fused._FusedCWTM.apply(x, y, t, ignored, torch.float32)
    exact = x.detach().double().requires_grad_()
    want = cwtm_loss(exact, y, t.double(), ignore_index=ignored)
    return mine, torch.autograd.grad(5*mine, x)[0], want, torch.autograd.grad(5*want, exact)[0]


def agree(mine, slope, want, wanted, tol=1e-5):
    torch.testing.assert_close(mine.double(), want, atol=tol, rtol=tol)
    torch.testing.assert_close(slope.double(), wanted, atol=tol, rtol=10*tol)


@pytest.mark.parametrize("dtype,tol", [(torch.float32, 1e-5), (torch.bfloat16, 5e-3), (torch.float16, 1e-3)])
@pytest.mark.parametrize("shape", [(2, 2), (7, 300), (3, 8192), (2, 8193), (1100, 3)])
def test_value_and_gradient(shape, dtype, tol):
    agree(*both(*batch(*shape, dtype)), tol)


def test_hot_logits_overflow_nowhere():
    x, y, t = batch(4, 9000, scale=100.)
    agree(*both(x, y, t), 1e-4)
    agree(*both(x.detach().sub(5e4).requires_grad_(), y, t + 5e4), 1e-2)  # float32 holds such logits to 0.004


def test_ignored_rows_count_nothing_whatever_they_hold():
    x, y, t = batch(6, 50)
    y[1], y[4] = -100, 7
    with torch.no_grad(): x[1], x[4] = torch.nan, torch.inf
    t[1] = torch.nan
    mine = fused._FusedCWTM.apply(x, torch.where(y == 7, -100, y), t, -100, torch.float32)
    kept = torch.tensor([0, 2, 3, 5], device=DEVICE)
    slope = torch.autograd.grad(mine, x)[0]
    assert not slope[[1, 4]].any()
    agree(mine, slope[kept], *both(x.detach()[kept].requires_grad_(), y[kept], t[kept])[2:][:1],
          both(x.detach()[kept].requires_grad_(), y[kept], t[kept])[3]/5)


def test_all_ignored_gives_zero():
    x, y, t = batch(3, 20)
    loss = fused._FusedCWTM.apply(x, torch.full_like(y, 4), t, 4, torch.float32)
    assert loss.item() == 0 and not torch.autograd.grad(loss, x)[0].any()


def test_classes_that_are_ruled_out():
    x, y, t = batch(3, 20_000)
    with torch.no_grad(): x[:, 100:] = -torch.inf
    t[:, 50:] = -torch.inf
    y %= 50
    agree(*both(x, y, t))


def test_rows_with_gaps_and_columns_that_are_rows():
    x, y, t = batch(8, 30)
    agree(*both(x.detach()[::2, 3:20].requires_grad_(), y[::2] % 17, t[::2, 3:20]))
    agree(*both(x.detach()[:, :8].T.requires_grad_(), y % 8, t[:, :8].T.contiguous()))


@pytest.mark.skipif(DEVICE == "cuda", reason="a device's assertion ends the process; tools/gpu_check.py sees to it")
@pytest.mark.parametrize("what", ["label", "negative label", "nan", "inf", "all ruled out"])
def test_what_is_refused(what):
    x, y, t = batch(3, 20)
    if what == "label": y[1] = 20
    elif what == "negative label": y[1] = -1
    else: t[1] = {"nan": torch.nan, "inf": torch.inf, "all ruled out": -torch.inf}[what]
    with pytest.raises(RuntimeError, match="from 0 to 19.*must be finite"): fused._FusedCWTM.apply(x, y, t, -100, torch.float32)


def test_second_derivatives_are_those_of_the_operations():
    x, y, t = batch(4, 30)
    exact = x.detach().double().requires_grad_()
    seconds = []
    for v, value in ((x, fused._FusedCWTM.apply(x, y, t, -100, torch.float32)), (exact, cwtm_loss(exact, y, t.double()))):
        slope, = torch.autograd.grad(value, v, create_graph=True)
        seconds.append(torch.autograd.grad(slope.square().sum(), v)[0].double())
    torch.testing.assert_close(*seconds, atol=1e-6, rtol=1e-4)
