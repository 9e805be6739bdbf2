"""What `conv2d` refuses. Mutants tried, each caught here: the check of the channels left out; groups that do not divide the kernels let
through; a window larger than the picture given a size of nought."""
import pytest
import torch

from course_lib.convolutions import conv2d, output_size


@pytest.mark.parametrize("pictures, kernels, groups, said", [
    ((1, 3, 5, 5), (4, 2, 3, 3), 1, "does not fit weight"),
    ((1, 4, 5, 5), (3, 2, 3, 3), 2, "in 2 groups"),
    ((1, 1, 2, 2), (1, 1, 3, 3), 1, "a window of 3 does not fit into 2 pixels")])
def test_what_does_not_fit_is_refused(pictures, kernels, groups, said):
    with pytest.raises(ValueError, match=said): conv2d(torch.zeros(pictures), torch.zeros(kernels), groups=groups)


def test_a_window_that_just_fits_has_one_place():
    assert output_size(5, 3, dilation=2) == 1
    with pytest.raises(ValueError): output_size(4, 3, dilation=2)
