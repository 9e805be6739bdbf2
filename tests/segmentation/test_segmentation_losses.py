"""The losses against formulas written independently, pixel by pixel, and at the edges: absent, ignored, nothing."""
import math

import pytest
import torch

from course_lib.segmentation import dice_loss, jaccard_loss, lovasz_loss

LOSSES = {"dice": dice_loss, "jaccard": jaccard_loss, "lovasz": lovasz_loss}
ABSENT, AVERAGE = ("skip", "count"), ("batch", "image")
every = pytest.mark.parametrize("average", AVERAGE)
both = pytest.mark.parametrize("absent", ABSENT)
each = pytest.mark.parametrize("name", LOSSES)
VOID = 255


def batch(channels=4, dtype=torch.float64, seed=0):
    "Logits [3, channels, 4, 5] and labels: a quarter void, the last class nowhere, the one before in two pictures only"
    gen = torch.Generator().manual_seed(seed)
    x = 2*torch.randn(3, channels, 4, 5, generator=gen, dtype=torch.float64)
    y = torch.randint(max(channels - 1, 2), (3, 4, 5), generator=gen)
    if channels > 2: y[0][y[0] == channels - 2] = 0
    y[torch.rand(y.shape, generator=gen) < 0.25] = VOID
    if channels == 1: y[2][y[2] == 1] = 0
    return x.to(dtype), y


def pixels(x, y, average):
    "For each group, its pixels that count: [(logits [C], label)]"
    places = [(i, j) for i in range(4) for j in range(5)]
    rows = [[(x[n, :, i, j], int(y[n, i, j])) for i, j in places if y[n, i, j] != VOID] for n in range(3)]
    return rows if average == "image" else [sum(rows, [])]


def overlap_of(name, p, t, smooth):
    "One less the soft overlap of a class, from lists of probabilities and truths"
    both = sum(a for a, b in zip(p, t) if b)
    sizes = sum(p) + sum(t)
    if name == "dice": return 1 - (2*both + smooth)/(sizes + smooth)
    return 1 - (both + smooth)/(sizes - both + smooth)


def lovasz_of(errors, t):
    "Algorithm 1 of the paper: the steps of the Jaccard loss of the k worst pixels, each worked out from sets"
    order = sorted(range(len(t)), key=lambda i: -errors[i])
    def jaccard(wrong):
        true = {i for i, b in enumerate(t) if b}
        union = true | wrong
        return 1 - len(true - wrong)/len(union) if union else 0
    return sum(errors[i]*(jaccard(set(order[:k + 1])) - jaccard(set(order[:k]))) for k, i in enumerate(order))


def reference(name, x, y, absent, average, smooth=1e-5):
    "The loss in floats of Python"
    channels, found = x.shape[1], []
    for group in pixels(x, y, average):
        costs = []
        for c in range(channels):
            t = [label == (c or 1 if channels == 1 else c) for _, label in group]
            if channels == 1: p = [1/(1 + math.exp(-z[0])) for z, _ in group]
            else: p = [math.exp(z[c])/sum(map(math.exp, z)) for z, _ in group]
            if name != "lovasz": cost = overlap_of(name, p, t, smooth)
            elif channels > 1: cost = lovasz_of([abs(a - b) for a, b in zip(p, t)], t)
            else: cost = lovasz_of([max(0, 1 - float(z[0])*(1 if b else -1)) for (z, _), b in zip(group, t)], t)
            costs.append((float(cost), any(t)))
        kept = [c if there or absent == "count" else 0 for c, there in costs]
        number = sum(there for _, there in costs) if absent == "skip" and name == "lovasz" else channels
        found.append(sum(kept)/max(number, 1))
    return sum(found)/len(found)


@each
@every
@both
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_equals_the_formula_pixel_by_pixel(name, absent, average, channels):
    x, y = batch(channels)
    ours = LOSSES[name](x, y, VOID, absent, average)
    assert math.isclose(ours, reference(name, x, y, absent, average), rel_tol=1e-12)


@each
@every
@both
def test_void_pixels_are_as_good_as_cut_off(name, absent, average):
    x, y = batch()
    y[:, :, -1] = VOID
    whole = LOSSES[name](x, y, VOID, absent, average)
    torch.testing.assert_close(LOSSES[name](x[..., :-1], y[..., :-1], VOID, absent, average), whole, rtol=1e-12, atol=0)


@each
@every
@both
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("junk", [0., math.nan, math.inf, 1e30])
def test_void_pixels_have_no_gradient_whatever_their_logits(name, absent, average, channels, junk):
    x, y = batch(channels)
    x = torch.where((y == VOID)[:, None] & (torch.tensor(junk) != 0), junk, x).requires_grad_()
    (grad,) = torch.autograd.grad(LOSSES[name](x, y, VOID, absent, average), x)
    where = (y == VOID)[:, None].expand_as(x)
    assert (grad[where] == 0).all() and grad.isfinite().all() and grad[~where].any()


@each
@every
@both
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_to_learn_from_costs_0(name, absent, average, channels):
    x, y = batch(channels)
    for smooth in ({},) if name == "lovasz" else ({}, {"smooth": 0}):
        x.requires_grad_()
        loss = LOSSES[name](x, torch.full_like(y, VOID), VOID, absent, average, **smooth)
        assert loss == 0 and (torch.autograd.grad(loss, x)[0] == 0).all()


@each
@every
@both
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients(name, absent, average, channels):
    x, y = batch(channels)
    x = x[..., :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, y[..., :3], VOID, absent, average), x)


@each
@both
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_near(name, absent, dtype):
    x, y = batch(3, dtype)
    loss = LOSSES[name](x, y, VOID, absent)
    assert loss.dtype == dtype
    wide = LOSSES[name](x.double(), y, VOID, absent)
    torch.testing.assert_close(loss.double(), wide, rtol=torch.finfo(dtype).eps, atol=0)
    huge = (torch.sign(x)*torch.finfo(dtype).max).requires_grad_()  # far more pixels than float16 counts, too
    far = LOSSES[name](huge.repeat(1, 1, 60, 60), y.repeat(1, 60, 60), VOID, absent)
    assert far.isfinite() and torch.autograd.grad(far, huge)[0].isfinite().all()
    with torch.autocast("cpu", torch.bfloat16): assert LOSSES[name](x, y, VOID, absent).dtype == torch.float32


@each
def test_one_false_pixel_on_an_empty_picture(name):
    "What the two conventions are about: nothing when skipped, for the class that is not there, and 1 when counted"
    x, y = torch.full((1, 1, 8, 8), -30., dtype=torch.float64), torch.zeros(1, 8, 8, dtype=torch.int64)
    x[0, 0, 2, 3] = 30
    assert LOSSES[name](x, y) == 0
    counted = LOSSES[name](x, y, absent="count")
    assert counted > 0.9999
    two = torch.cat([-x, x], 1)  # the same with a channel for the background, which has one pixel too few
    background = {"dice": 1 - 2*63/127, "jaccard": 1/64, "lovasz": 1/64}[name]
    skipped = background if name == "lovasz" else background/2
    torch.testing.assert_close(LOSSES[name](two, y).item(), skipped, rtol=1e-4, atol=0)
    torch.testing.assert_close(LOSSES[name](two, y, absent="count").item(), (background + 1)/2, rtol=1e-4, atol=0)


@each
def test_perfect_costs_nothing_and_a_class_everywhere_is_no_exception(name):
    for y in (torch.zeros(2, 3, 3, dtype=torch.int64), torch.tensor([[[0, 1, 2]]*3]*2)):
        x = 200*(torch.eye(3)[y].movedim(-1, 1) - 0.5)
        for absent in ABSENT: assert LOSSES[name](x, y, absent=absent) < 1e-5
        assert LOSSES[name](-x, y) > 0.3


@each
def test_the_shapes_that_cross_entropy_takes_and_a_channel_in_the_binary_mask(name):
    loss = LOSSES[name]
    x, y = batch(3)
    flat = loss(x.movedim(1, -1).reshape(-1, 3), y.flatten(), VOID)
    torch.testing.assert_close(flat, loss(x, y, VOID), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss(x[:, :, None], y[:, None], VOID), loss(x, y, VOID), rtol=1e-12, atol=0)
    assert loss(torch.randn(3), torch.tensor(1)).dim() == 0
    x, y = batch(1)
    assert loss(x, y[:, None], VOID) == loss(x, y, VOID) == loss(x, y.to(torch.uint8), VOID)


@each
def test_bad_input_is_named(name):
    loss, (x, y) = LOSSES[name], batch(3)
    bad = [((x, y), IndexError, "from 0 to 2 .* got 255 at"), ((x, y/255, VOID), TypeError, r"target\.long"),
           ((x.long(), y, VOID), TypeError, "floating"),
           ((x, y[..., None].expand(3, 4, 5, 3), VOID), ValueError, "target must have"),
           ((x[:0], y[:0], VOID), ValueError, "pixels"), ((x[..., :0], y[..., :0], VOID), ValueError, "pixels"),
           ((x, y, VOID, "drop"), ValueError, "absent"),
           ((x, y, VOID, "skip", "mean"), ValueError, "average"),
           ((x, y, None), TypeError, "ignore_index must be a whole number, got None"),
           ((x, y, 2.5), TypeError, "ignore_index must be a whole number, got 2.5"),
           ((x[:, :1], y.clamp(max=2)), IndexError, "from 0 to 1")]
    for args, error, says in bad:
        with pytest.raises(error, match=says): loss(*args)


@each
def test_an_ignored_class_has_no_true_pixel(name):
    "An ignore_index inside the range: its pixels count nothing, and to predict it elsewhere is a mistake"
    x, y = batch(3)
    moved = torch.where(y == 1, VOID, y)
    assert LOSSES[name](x, moved, VOID) == LOSSES[name](x, torch.where(y == VOID, 1, y), 1)


@pytest.mark.parametrize("loss", [dice_loss, jaccard_loss])
@pytest.mark.parametrize("smooth, error", [(-1, ValueError), (math.nan, ValueError), ("1", TypeError), (None, TypeError)])
def test_a_bad_smooth_is_named(loss, smooth, error):
    x, y = batch(3)
    with pytest.raises(error, match="smooth must be .*"): loss(x, y, VOID, smooth=smooth)
