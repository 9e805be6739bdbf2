"""`boundary_f` against distances between single pixels, and what it refuses."""
import math

import numpy as np
import pytest
import torch

from course_lib.segmentation import boundary_f

VOID = 255


def blobs(n, seed, classes=3, size=(9, 12)):
    "Predicted and true labels in blocks of three pixels, the prediction with noise; a few true pixels void"
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, (n, size[0]//3, size[1]//3)).repeat(3, 1).repeat(3, 2)
    pred = np.where(rng.random(true.shape) < 0.1, rng.integers(0, classes, true.shape), true)
    true[rng.random(true.shape) < 0.05] = VOID
    return torch.from_numpy(pred), torch.from_numpy(true)


def border_of(labels, kept):
    "Places of the border of one picture, looked for pixel by pixel"
    h, w = labels.shape
    def other(i, j, k, l):
        return 0 <= k < h and 0 <= l < w and kept[i, j] and kept[k, l] and labels[i, j] != labels[k, l]
    return [(i, j) for i in range(h) for j in range(w)
            if any(other(i, j, i + a, j + b) for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0)))]


def by_hand(pred, true, width, void):
    "The score of one picture from the distances of all pairs of border pixels"
    kept = true != void
    found, real = border_of(pred, kept), border_of(true, kept)
    if not found and not real: return math.nan
    def share(these, those): return sum(any(math.dist(p, q) <= width for q in those) for p in these)/max(len(these), 1)
    precision, recall = share(found, real), share(real, found)
    return 2*precision*recall/(precision + recall) if precision + recall else 0.


@pytest.mark.parametrize("width", [0, 1, 1.5, 2, 3, 40])
@pytest.mark.parametrize("void", [VOID, None, 0])
def test_equals_distances_of_pairs_of_pixels(width, void):
    pred, true = blobs(6, 3)
    pred[0], true[0] = 1, 1                 # no border on either side
    pred[1] = 2                             # none drawn
    if void == VOID: true[2, :, 3:] = VOID  # few pixels count
    ours = boundary_f(pred, true, width, void)
    assert ours.dtype == torch.float64 and ours.shape == (6,)
    want = [by_hand(p, t, width, -1 if void is None else void) for p, t in zip(pred.numpy(), true.numpy())]
    np.testing.assert_allclose(ours.numpy(), want, rtol=1e-12)


def test_it_sees_an_outline_that_the_area_hides():
    "A square with teeth of one pixel: nearly the same area, a worse border; and a shift is forgiven up to the width"
    true = torch.zeros(1, 40, 40, dtype=torch.long)
    true[:, 8:32, 8:32] = 1
    teeth = true.clone()
    teeth[:, 5:8, 8:32:2] = 1
    iou = (teeth & true).sum()/(teeth | true).sum()
    moved = true.roll((1, 1), (1, 2))
    assert boundary_f(teeth, true, 1) < 0.93 < iou and boundary_f(moved, true, 1) > 0.95
    assert boundary_f(true.roll(2, 2), true, 2) == 1 and boundary_f(true.roll(3, 2), true, 2) < 1


def test_symmetric_without_void_and_blind_to_names():
    pred, true = blobs(4, 5)
    true[true == VOID] = 0
    assert boundary_f(pred, true, 1).equal(boundary_f(true, pred, 1))
    assert boundary_f(7 - pred, 3*true, 1).equal(boundary_f(pred, true, 1))
    assert boundary_f(pred == 1, (true == 1).to(torch.uint8), 1).equal(boundary_f((pred == 1).int(), true == 1, 1))


def test_a_void_band_hides_the_border_and_nothing_else():
    true = torch.zeros(2, 20, 20, dtype=torch.long)
    true[:, 6:14, 6:14] = 1
    band = true.clone()
    band[:, 4:16, 4:16] = VOID
    band[:, 8:12, 8:12] = 1
    assert boundary_f(true, band, 2, VOID).isnan().all()
    assert not boundary_f(true, band, 2).isnan().any()  # not told that 255 is void, it is a class like any other
    pred = true.clone()
    pred[:, 0, 0] = 1
    assert (boundary_f(pred, band, 2, VOID) == 0).all()


good = torch.zeros(2, 4, 4, dtype=torch.long)
BAD = {"floats": ((good, good/1., 1), TypeError, "float32"), "scores": ((torch.zeros(2, 3, 4, 4), good, 1), TypeError, "float32"),
       "labels of classes": ((good[:, None].expand(2, 3, 4, 4), good, 1), ValueError, "argmax"),
       "one picture": ((good[0], good[0], 1), ValueError, r"\[N, H, W\]"), "another size": ((good[:, 1:], good, 1), ValueError, "pred"),
       "an empty batch": ((good[:0], good[:0], 1), ValueError, "with pixels"), "a negative width": ((good, good, -1), ValueError, "width"),
       "no width": ((good, good, math.inf), ValueError, "width"), "a list": ((good.tolist(), good, 1), TypeError, "pred must be a tensor")}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    args, error, says = BAD[name]
    with pytest.raises(error, match=says): boundary_f(*args)
