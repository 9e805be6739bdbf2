"Views and their way back: exact for masks, maps and points, and averages that are what they say"
import pytest
import torch
from torch import nn

from course_lib.tricks import View, tta, views

EVERY = views(turns=True, move=3)
STEP = views(turns=True, move=4)


@pytest.mark.parametrize("view", EVERY, ids=str)
def test_back_undoes_forth_bit_for_bit(view):
    torch.manual_seed(0)
    for shape in ((2, 3, 9, 9), (2, 6, 10), (5, 8)):
        x, mask = torch.randn(shape), torch.randint(9, shape)
        for seen, want in ((view.forth(x), x), (view.forth(mask), mask)):
            assert torch.equal(view.back(seen, shape[-2:]), want)


@pytest.mark.parametrize("view", STEP, ids=str)
def test_maps_that_are_coarser_than_the_picture_come_back_too(view):
    x = torch.randn(1, 2, 16, 24)
    coarse = view.forth(x).unfold(-1, 4, 4).unfold(-2 - 1, 4, 4).amax((-2, -1))
    want = x.unfold(-1, 4, 4).unfold(-2 - 1, 4, 4).amax((-2, -1))
    assert torch.equal(view.back(coarse, (16, 24)), want)


@pytest.mark.parametrize("view", EVERY, ids=str)
@pytest.mark.parametrize("high,wide", [(8, 8), (6, 10), (7, 5)])
def test_points_come_back_to_the_pixel_they_name(view, high, wide):
    def middle(row, column, h, w): return torch.tensor([(2*column + 1)/w - 1, (2*row + 1)/h - 1], dtype=torch.float64)
    numbered = torch.arange(high*wide).reshape(high, wide)
    seen = view.forth(numbered)
    for row in range(seen.shape[0]):
        for column in range(seen.shape[1]):
            was = divmod(int(seen[row, column]), wide)
            got = view.points_back(middle(row, column, *seen.shape), (high, wide))
            torch.testing.assert_close(got, middle(*was, high, wide), rtol=0, atol=1e-12)


def test_points_of_mirrors_and_turns_come_back_bit_for_bit():
    points = torch.randn(50, 2)*0.5
    for view in views(turns=True):
        out = points
        for _ in range(4): out = view.points_back(out, (8, 8))  # a turn four times, a mirror twice: nothing
        if not view.mirrored: assert torch.equal(out, points)
        x, y = points.unbind(-1)
        for _ in range(view.turns): x, y = -y, x
        assert torch.equal(view.points_back(points, (8, 8)), torch.stack([-x if view.mirrored else x, y], -1))


class Echo(nn.Module):
    "Each pixel's logits are the picture"
    def forward(self, x): return x


class Heights(nn.Module):
    "A map that depends on neighbours the same way in all directions, so that every view agrees"
    def forward(self, x): return x + x.roll(1, 2) + x.roll(-1, 2) + x.roll(1, 3) + x.roll(-1, 3)


def test_a_perfect_model_stays_perfect_and_is_ruined_without_the_way_back():
    mask = torch.randint(4, (3, 12, 12))
    x = nn.functional.one_hot(mask, 4).movedim(3, 1)*20.
    assert torch.equal(tta(Echo(), x, EVERY, "maps").argmax(1), mask)
    assert torch.equal(tta(Echo(), x, EVERY, lambda view, out: view.back(out)).argmax(1), mask)
    assert (tta(Echo(), x, EVERY).argmax(1) != mask).any()


def test_values_logits_and_probabilities_are_averaged_as_they_say():
    torch.manual_seed(0)
    x, model = torch.randn(4, 2, 6, 6, dtype=torch.float64), Heights()
    torch.testing.assert_close(tta(model, x, EVERY, "maps", "value"), model(x))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(72, 3)).double()
    outs = torch.stack([flat(view.forth(x)) for view in EVERY]).detach()
    torch.testing.assert_close(tta(flat, x, EVERY), outs.softmax(-1).mean(0).log())
    torch.testing.assert_close(tta(flat, x, EVERY, average="logit"), outs.mean(0))
    assert torch.equal(tta(flat, x, [View()], average="value"), flat(x))


def test_the_model_is_asked_in_evaluation_mode_and_put_back_also_after_an_error():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(32, 2))
    model[2].eval()
    x = torch.randn(1, 1, 6, 6)  # a batch of one
    a, b = tta(model, x, views()), tta(model, x, views())
    assert torch.equal(a, b) and not a.requires_grad and model.training and not model[2].training
    assert model[1].num_batches_tracked == 0
    with pytest.raises(RuntimeError): tta(model, x[..., :5], [View()])
    assert model.training


def test_bad_input_is_named():
    x = torch.randn(2, 1, 8, 12)
    with pytest.raises(ValueError, match="use square pictures or leave turns out"): tta(Echo(), x, views(turns=True))
    with pytest.raises(ValueError, match="multiple of the stride"): tta(nn.AvgPool2d(4), x, views(move=2), "maps")
    with pytest.raises(ValueError, match="at least one view"): tta(Echo(), x, [])
    with pytest.raises(ValueError, match="invert must be one of"): tta(Echo(), x, views(), "mask")
    with pytest.raises(ValueError, match="average must be one of"): tta(Echo(), x, views(), average="mean")
    with pytest.raises(ValueError, match="points are no probabilities"): tta(Echo(), x, views(), "points")
    with pytest.raises(ValueError, match="needs outputs"): tta(nn.Flatten(), x, views(), "maps")
    with pytest.raises(ValueError, match="not be negative"): views(move=-1)


def test_views_are_counted_and_the_plain_one_is_first():
    for mirror, turns, move in [(a, b, c) for a in (False, True) for b in (False, True) for c in (0, 2)]:
        made = views(mirror, turns, move)
        assert len(made) == len(set(made)) == (1 + mirror)*(1 + 3*turns)*(5 if move else 1) and made[0] == View()
