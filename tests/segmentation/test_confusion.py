"""`Confusion` against counts and fractions worked out pixel by pixel in numpy, and what it refuses."""
import copy
import functools
import itertools
import math
import operator
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch

from course_lib.segmentation import Confusion

C = 4


def batch(n, seed, void=255, classes=C):
    "Predicted and true labels [n, 5, 7]; a fifth of the true ones void, none of class 3 if `classes` is 3"
    rng = np.random.default_rng(seed)
    pred, target = rng.integers(0, classes, (2, n, 5, 7))
    target[rng.random(target.shape) < 0.2] = void
    return torch.from_numpy(pred), torch.from_numpy(target)


def by_hand(pred, target, void, classes=C):
    "{score: (each class, mean, overall)} as fractions, from sets of pixels"
    kept = [(p, t) for p, t in zip(pred.flatten().tolist(), target.flatten().tolist()) if t != void]
    found = {}
    for name in ("iou", "dice", "accuracy"):
        each, rights, ofs = [], 0, 0
        for c in range(classes):
            true, taken = {i for i, (_, t) in enumerate(kept) if t == c}, {i for i, (p, _) in enumerate(kept) if p == c}
            if c == void: taken = set()
            right = len(true & taken)*(2 if name == "dice" else 1)
            of = {"iou": len(true | taken), "dice": len(true) + len(taken), "accuracy": len(true)}[name]
            each.append(Fraction(right, of) if of else None)
            rights, ofs = rights + right, ofs + of
        scored = [e for e in each if e is not None]
        found[name] = each, sum(scored)/len(scored), Fraction(rights, ofs)
    return found


@pytest.mark.parametrize("void, classes", [(255, C), (255, 3), (-1, C), (2, C), (None, C)])
def test_scores_are_the_fractions_counted_by_hand(void, classes):
    pred, target = batch(3, 0, 0 if void is None else void, classes)
    confusion = Confusion(C, void)
    confusion.update(pred, target)
    for name, (each, mean, overall) in by_hand(pred, target, void).items():
        ours = getattr(confusion, name)()
        want = [math.nan if e is None else float(e) for e in each]
        np.testing.assert_allclose(ours.per_class.numpy(), want, rtol=1e-15)
        assert math.isclose(ours.mean, mean, rel_tol=1e-14) and math.isclose(ours.overall, overall, rel_tol=1e-14)
    assert confusion.counts.sum() == sum(t != void for t in target.flatten().tolist())
    if classes == 3: assert confusion.iou().per_class[3].isnan()


def test_a_class_that_is_only_predicted_scores_0_and_has_no_accuracy():
    confusion = Confusion(3)
    confusion.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert confusion.iou().per_class[1] == 0 and confusion.iou().mean == 0.25 and confusion.dice().per_class[1] == 0
    assert confusion.accuracy().per_class[1:].isnan().all() and confusion.accuracy().mean == 0.5


def test_any_order_and_any_batches_give_the_same_table():
    pred, target = batch(6, 1)
    whole = Confusion(C, 255)
    whole.update(pred, target)
    pieces = []
    for part in ([0], [1, 2], [3, 4, 5]):
        pieces.append(Confusion(C, 255))
        for i in part: pieces[-1].update(pred[i:i + 1], target[i:i + 1])
    for order in itertools.permutations(pieces):
        assert sum(order).counts.equal(whole.counts)
        assert functools.reduce(operator.add, order).counts.equal(whole.counts)
    before = pieces[0].counts.clone()
    total = pieces[0] + pickle.loads(pickle.dumps(pieces[1]))
    total.update(pred, target)
    assert pieces[0].counts.equal(before)  # a sum is a new table
    same = copy.copy(pieces[0])
    same += pieces[1]
    assert pieces[0].counts.equal(before) and same.counts.equal((pieces[0] + pieces[1]).counts)


def test_labels_of_any_whole_type_and_scores_count_alike():
    pred, target = batch(2, 2)
    wanted = Confusion(C, 255)
    wanted.update(pred, target)
    for p, t in ((torch.uint8, torch.uint8), (torch.int32, torch.int16), (torch.int64, torch.uint8)):
        (got := Confusion(C, 255)).update(pred.to(p), target.to(t))
        assert got.counts.equal(wanted.counts)
    for dtype in (torch.float64, torch.bfloat16):
        (got := Confusion(C, 255)).update(torch.eye(C, dtype=dtype)[pred].movedim(-1, 1), target)
        assert got.counts.equal(wanted.counts)


def test_two_classes_take_booleans_and_one_channel():
    pred, target = (x > 1 for x in batch(2, 3, 0))
    wanted = Confusion(2)
    wanted.update(pred.long(), target.long())
    for guess in (pred, pred[:, None]*2. - 1, torch.stack([~pred, pred], 1).float()):
        (got := Confusion(2)).update(guess, target)
        assert got.counts.equal(wanted.counts)


def test_counts_beyond_what_floats_hold_stay_exact():
    confusion = Confusion(2)
    confusion.counts += 2**60
    confusion.update(torch.tensor([1]), torch.tensor([1]))
    assert confusion.counts.tolist() == [[2**60, 2**60], [2**60, 2**60 + 1]]


def test_nothing_counted_has_no_scores():
    pred, target = batch(1, 4)
    (empty := Confusion(C, 255)).update(pred, torch.full_like(target, 255))
    for scores in (empty.iou(), empty.dice(), empty.accuracy()):
        assert scores.per_class.isnan().all() and math.isnan(scores.mean) and math.isnan(scores.overall)


@pytest.mark.parametrize("n_classes, channels", [(4, 4), (2, 1)])
def test_scores_that_are_no_numbers_count_nothing_unless_they_are_void(n_classes, channels):
    scores, target = torch.randn(2, channels, 3, 3), torch.randint(n_classes, (2, 3, 3))
    scores[1, -1, 0, 2] = math.nan
    confusion = Confusion(n_classes, 255)
    with pytest.raises(ValueError, match="got nan"): confusion.update(scores, target)
    assert confusion.counts.sum() == 0
    target[1, 0, 2] = 255
    confusion.update(scores, target)
    assert confusion.counts.sum() == 17


def test_any_whole_number_says_how_many_classes():
    confusion = Confusion(np.int64(4), np.int64(255))
    confusion.update(*batch(1, 0))
    assert (confusion + Confusion(4, 255)).counts.sum() == confusion.counts.sum() > 0


good = torch.tensor([[[0, 1], [2, 3]]])
BAD = {
    "a label that is not ignored": ((good, good + 252), IndexError, "target .* from 0 to 3 .* got 252 at"),
    "a negative label": ((good, good - 1), IndexError, "got -1"),
    "a prediction out of range": ((good + 1, good), IndexError, "pred .* got 4"),
    "a mask scaled to 0..1": ((good, good/255), TypeError, "float32.*scaled"),
    "labels predicted as floats": ((good.float(), good), ValueError, "colours"),
    "a mask of colours": ((good, good[..., None].expand(-1, -1, -1, 3)), ValueError, "colours"),
    "predicted colours": ((good[:, None].expand(-1, 3, -1, -1), good), ValueError, "colours"),
    "scores of other classes": ((torch.zeros(1, 3, 2, 2), good), ValueError, r"scores \[1, 4, 2, 2\]"),
    "one channel for four classes": ((torch.zeros(1, 1, 2, 2), good), ValueError, "scores"),
    "scores of a network that has diverged": ((torch.full((1, 4, 2, 2), math.nan), good), ValueError, "got nan"),
    "another size": ((good[..., :1], good), ValueError, "labels"),
    "an empty batch": ((good[:0], good[:0]), ValueError, "pixels"),
    "scores of an empty batch": ((torch.zeros(0, 4, 2, 2), good[:0]), ValueError, "pixels"),
    "an array": ((good, good.numpy()), TypeError, "target must be a tensor"),
    "a list": ((good.tolist(), good), TypeError, "pred must be a tensor"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_counted_is_named_and_counts_nothing(name):
    args, error, says = BAD[name]
    confusion = Confusion(4, 255)
    with pytest.raises(error, match=says): confusion.update(*args)
    assert confusion.counts.sum() == 0


def test_tables_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="other classes"): Confusion(3) + Confusion(4)
    with pytest.raises(ValueError, match="other classes"): Confusion(3) + Confusion(3, 255)
    with pytest.raises(TypeError): Confusion(3) + 1
    with pytest.raises(ValueError, match="at least 2"): Confusion(1)
    with pytest.raises(TypeError, match="whole number"): Confusion(3.)
    with pytest.raises(TypeError, match="ignore_index"): Confusion(3, 1.5)
