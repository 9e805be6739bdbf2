"""The contract of every loss: what is taken and what is refused, on PyTorch's losses and on ours.

`CASES` are batches. `TAKEN` losses must do with each what `F.cross_entropy` does: take it, and answer in the same dtype and shape,
or refuse it, with the error that the table names.
"""
import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from course_lib import distillation, validate
from course_lib.losses import cross_entropy, nll_loss


def logits(*shape, dtype=torch.float32):
    "The same random numbers for the same shape"
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def likelihood(x, target, **kw):
    "`nll_loss` of the log-probabilities, to be called as cross-entropy is"
    fit = isinstance(x, torch.Tensor) and x.dtype in validate.FLOATS and x.dim()
    return nll_loss(F.log_softmax(x, min(x.dim() - 1, 1)) if fit else x, target, **kw)


def taught(loss, **settings):
    "A distillation loss with a teacher that knows nothing, to be called as cross-entropy is"
    def call(x, target, **kw):
        teacher = torch.zeros_like(x) if isinstance(x, torch.Tensor) else x
        return loss(x, target, teacher, **settings, **kw)
    return call


LOSSES = {"cross_entropy": cross_entropy, "nll_loss": likelihood, "cwtm_loss": taught(distillation.cwtm_loss),
          "kd_loss": taught(distillation.kd_loss), "ban_loss": taught(distillation.ban_loss), "dkpp_loss": taught(distillation.dkpp_loss)}
EQUAL = {"cross_entropy", "nll_loss", "cwtm_loss"}  # equal to cross-entropy with such a teacher; the others agree in shape and dtype
UNWEIGHTED = {"kd_loss", "ban_loss", "dkpp_loss"}  # have no class weights
X, Y = logits(4, 3), torch.tensor([0, 2, 1, 0])
TAKEN = {  # name: (logits, target, options)
    "one item": (X[0], Y[0], {}), "one item, one label": (X[0], Y[:1], {}), "a batch": (X, Y, {}), "bytes": (X, Y.byte(), {}),
    "bytes, one ignored": (X, torch.tensor([0, 255, 1, 0], dtype=torch.uint8), {"ignore_index": 255}),
    "a sequence": (logits(4, 3, 2), Y[:, None].expand(4, 2), {}), "pixels": (logits(4, 3, 2, 2), Y[:, None, None].expand(4, 2, 2), {}),
    "one class": (X[:, :1], Y*0, {}), "an empty batch": (X[:0], Y[:0], {"reduction": "sum"}), "ignored": (X, torch.tensor([0, -100, 1, 0]), {}),
    "all ignored": (X, Y*0 - 100, {"reduction": "sum"}), "no pixels": (logits(4, 3, 0), Y[:, None][:, :0], {"reduction": "sum"}),
    "weighted": (X, Y, {"weight": torch.tensor([1., 2, 3])}), "each": (X, Y, {"reduction": "none"}), "each of one": (X[0], Y[0], {"reduction": "none"}),
    **{str(d)[6:]: (X.to(d), Y, {}) for d in validate.FLOATS},
}
REFUSED = {  # name: (logits, target, options, error, words of the message, whether F.cross_entropy refuses it too)
    "logits in an array": (X.numpy(), Y, {}, TypeError, "must be a tensor, got ndarray: convert it with torch.as_tensor", True),
    "logits in a list": (X.tolist(), Y, {}, TypeError, "must be a tensor, got list", True),
    "integer logits": (X.long(), Y, {}, TypeError, "floating point, got torch.int64", True),
    "complex logits": (X.cfloat(), Y, {}, TypeError, "floating point, got torch.complex64", True),
    "logits of 8 bits": (X.to(torch.float8_e4m3fn), Y, {}, TypeError, "floating point, got torch.float8_e4m3fn", True),
    "a number for logits": (X[0, 0], Y[0], {}, ValueError, "dimension of classes", True),
    "no classes": (X[:, :0], Y, {}, ValueError, "at least one class, got shape (4, 0)", True),
    "labels in an array": (X, Y.numpy(), {}, TypeError, "target must be a tensor, got ndarray: convert it with torch.as_tensor", True),
    "labels in a list": (X, Y.tolist(), {}, TypeError, "target must be a tensor, got list", True),
    "numpy's number": (X[0], np.int64(1), {}, TypeError, "target must be a tensor, got int64", True),
    **{f"{str(d)[6:]} labels": (X, Y.to(d), {}, TypeError, f"int64, got {d}", True)
       for d in (torch.int8, torch.int16, torch.int32, torch.bool, torch.float32)},
    "too few labels": (X, Y[:3], {}, ValueError, "got (3,)", True),
    "a column of labels": (X, Y[:, None], {}, ValueError, "got (4, 1)", True),
    "two labels for one item": (X[0], Y[:2], {}, ValueError, "got (2,)", True),
    "swapped pixels": (logits(4, 3, 2, 1), Y[:, None, None].expand(4, 1, 2), {}, ValueError, "(4, 2, 1)", True),
    "label C": (X, Y + 1, {}, IndexError, "from 0 to 2 (or ignore_index=-100), got 3 at [1]", True),
    "label -1": (X, Y - 1, {}, IndexError, "got -1 at [0]", True),
    "label -100, another ignored": (X, Y*0 - 100, {"ignore_index": 1}, IndexError, "ignore_index=1), got -100 at [0]", True),
    "labels on another device": (X, Y.to("meta"), {}, ValueError, "cpu, got meta", True),
    "logits on another device": (X.to("meta"), Y, {}, ValueError, "meta, got cpu", True),
    "reduction": (X, Y, {"reduction": "avg"}, ValueError, "'mean', 'sum', 'none', got 'avg'", True),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", TAKEN)
def test_taken(case, loss):
    x, y, options = TAKEN[case]
    if loss in UNWEIGHTED and "weight" in options: return
    x = x.clone().requires_grad_()
    want, got = F.cross_entropy(x, y, **options), LOSSES[loss](x, y, **options)
    assert got.dtype == want.dtype and got.shape == want.shape
    if loss in EQUAL: torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-2 if x.element_size() == 2 else 1e-5)
    assert got.sum().isfinite() and torch.autograd.grad(got.sum(), x)[0].shape == x.shape


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, loss):
    x, y, options, error, words, torch_too = REFUSED[case]
    with pytest.raises(error) as e: LOSSES[loss](x, y, **options)
    assert type(e.value) is error and words in str(e.value), str(e.value)
    if torch_too:
        with pytest.raises(Exception): F.cross_entropy(x, y, **options)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["meta", "fake cpu", "fake cuda"])
def test_tensors_without_values(kind, loss):
    "Labels that cannot be seen are not looked at, and devices must agree there too"
    def check(device):
        x, y = torch.zeros(4, 3, device=device), torch.zeros(4, dtype=torch.int64, device=device)
        for options in ({}, {"ignore_index": 1}, {"reduction": "none"}, {"weight": torch.ones(3, device=device)}):
            if loss in UNWEIGHTED and "weight" in options: continue
            got = LOSSES[loss](x, y, **options)
            assert got.device == x.device and got.shape == ((4,) if "reduction" in options else ())
        if loss in UNWEIGHTED: return
        with pytest.raises(ValueError, match="weight must be on the device"): LOSSES[loss](x, y, weight=torch.ones(3, device="meta" if device != "meta" else "cpu"))
    if kind == "meta": check("meta")
    else:
        with FakeTensorMode(): check(kind.split()[1])


class Picture(torch.Tensor): pass
class Category(torch.Tensor): pass


@pytest.mark.parametrize("loss", LOSSES)
def test_tensor_types_of_other_libraries(loss):
    x = X.clone().requires_grad_()
    more = {} if loss in UNWEIGHTED else {"weight": torch.ones(3).as_subclass(Picture)}
    got = LOSSES[loss](x.as_subclass(Picture), Y.as_subclass(Category), **more)
    torch.testing.assert_close(got, LOSSES[loss](x, Y), equal_nan=True)
    assert type(got) is torch.Tensor and torch.autograd.grad(got, x)[0].any()


def test_require_says_what_and_where():
    x = torch.tensor([[1., 2.], [math.nan, 3.]])
    with pytest.raises(ArithmeticError, match=r"^x is bad, got nan at \[1, 0\]$"): validate.require(x.isfinite(), "x is bad", ArithmeticError, x)
    with pytest.raises(ValueError, match=r"^x is bad, got -1$"): validate.require(torch.tensor(False), "x is bad", values=torch.tensor(-1))
    with pytest.raises(ValueError, match="^x is bad$"): validate.require(x.isfinite(), "x is bad")
    assert validate.require(torch.ones(0) > 1, "of nothing all holds") is None


def test_require_is_silent_where_nothing_can_be_seen():
    "Compiled, vmapped, on meta, in a fake tensor: no look, no graph break, no wait"
    def checked(x):
        validate.require(x > 0, "x is bad", values=x)
        return 2*x
    x = torch.tensor([1., -1.])
    with pytest.raises(ValueError): checked(x)
    assert torch.compile(checked, fullgraph=True, backend="eager")(x).equal(2*x) and torch.func.vmap(checked)(x).equal(2*x)
    assert checked(x.to("meta")).is_meta
    with FakeTensorMode():
        for device in ("cpu", "cuda"): assert checked(torch.zeros(2, device=device)).device.type == device


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_between(value):
    with pytest.raises(ValueError, match="^alpha must be from 0 to 1, got"): validate.check_between("alpha", value, 0, 1)
    for good in (0, 0.5, 1): validate.check_between("alpha", good, 0, 1)


def test_tracing_makes_one_node_by_name():
    class Model(torch.nn.Module):
        def __init__(self, loss): super().__init__(); self.loss, self.net = loss, torch.nn.Linear(5, 3)
        def forward(self, x, y): return self.loss(self.net(x), target=y)
    x = logits(4, 5)
    for loss in (cross_entropy, functools.partial(cross_entropy, reduction="sum")):
        model = Model(loss)
        traced = torch.fx.symbolic_trace(model)
        assert [n.target for n in traced.graph.nodes if n.op == "call_function"] == [cross_entropy]
        torch.testing.assert_close(traced(x, Y), model(x, Y))
