"""`image_iou` against sets of pixels, picture by picture."""
import math

import numpy as np
import pytest
import torch

from course_lib.segmentation import image_iou


def test_each_picture_is_scored_by_itself():
    pred, target = torch.randint(3, (2, 5, 4, 6))
    target[torch.rand(target.shape) < 0.2] = 255
    target[0], pred[0] = 0, 0
    want = np.full((5, 4), math.nan)
    for i in range(5):
        kept = target[i] != 255
        for c in range(4):
            p, t = (pred[i] == c) & kept, (target[i] == c) & kept
            if (p | t).any(): want[i, c] = (p & t).sum().item()/(p | t).sum().item()
    np.testing.assert_allclose(image_iou(pred, target, 4, 255).numpy(), want, rtol=1e-15)
    scores = torch.eye(4)[pred].movedim(-1, 1)
    np.testing.assert_allclose(image_iou(scores, target, 4, 255).numpy(), want, rtol=1e-15)


@pytest.mark.parametrize("pred, target, error", [
    (torch.zeros(3, 2, 2).long(), torch.zeros(2, 2, 2).long(), ValueError), (torch.zeros(0, 2, 2).long(),)*2 + (ValueError,),
    (torch.zeros(2, 2, 2).long(), torch.zeros(2, 2, 2), TypeError), (torch.zeros(2, 2, 2).long(), torch.full((2, 2, 2), 7), IndexError)])
def test_bad_input_is_named(pred, target, error):
    with pytest.raises(error): image_iou(pred, target, 3)
