"""What segmentation-models-pytorch, MONAI and torchmetrics say of the same masks, where they are installed: equal where
they agree with us, and where they do not, by how much."""
import warnings

import pytest
import torch

from course_lib.segmentation import Confusion, dice_loss, jaccard_loss, lovasz_loss

warnings.filterwarnings("ignore")
VOID = 255


def batch(channels=4, void=True):
    "Logits in float64 and labels, every class in every picture"
    x = 2*torch.randn(3, channels, 8, 9, dtype=torch.float64)
    y = torch.arange(3*8*9).reshape(3, 8, 9) % max(channels, 2)
    if void: y[torch.rand(y.shape) < 0.2] = VOID
    return x, y


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("missing", [False, True])
def test_losses_of_segmentation_models_pytorch(channels, missing):
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    mode = "binary" if channels == 1 else "multiclass"
    x, y = batch(channels)
    if missing and channels > 1: y[y == 2] = 0
    dice = smp.DiceLoss(mode, ignore_index=VOID, smooth=0.5)(x, y)  # its fraction has single sums: half our smooth
    torch.testing.assert_close(dice_loss(x, y, VOID, smooth=1.), dice, rtol=1e-12, atol=0)
    x, y = batch(channels, void=False)  # its JaccardLoss ignores nothing
    if missing and channels > 1: y[y == 2] = 0
    jaccard = smp.JaccardLoss(mode, smooth=1.)(x, y)
    torch.testing.assert_close(jaccard_loss(x, y, smooth=1.), jaccard, rtol=1e-12, atol=0)


@pytest.mark.parametrize("average", ["batch", "image"])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("missing", [False, True])
def test_lovasz_of_segmentation_models_pytorch(channels, average, missing):
    smp = pytest.importorskip("segmentation_models_pytorch.losses")
    x, y = batch(channels)
    x = x.float()  # its hinge loss takes nothing else
    if missing and channels > 1: y[y == 2] = 0
    peer = smp.LovaszLoss("binary" if channels == 1 else "multiclass", average == "image", VOID)
    torch.testing.assert_close(lovasz_loss(x, y, VOID, average=average), peer(x, y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("average", ["batch", "image"])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("missing", [False, True])
def test_losses_of_monai(channels, average, missing):
    monai = pytest.importorskip("monai.losses")
    x, y = batch(channels, void=False)
    if missing: y[y == (2 if channels > 1 else 1)] = 0
    how = {"sigmoid": True} if channels == 1 else {"softmax": True, "to_onehot_y": True}
    for ours, jaccard in ((dice_loss, False), (jaccard_loss, True)):
        twice = 0.5*(1 + jaccard)  # MONAI's Jaccard has 2 TP above: twice our smooth
        peer = monai.DiceLoss(jaccard=jaccard, batch=average == "batch", smooth_nr=twice, smooth_dr=twice, **how)
        got = ours(x, y, absent="count", average=average, smooth=0.5)
        torch.testing.assert_close(got, peer(x, y[:, None]), rtol=1e-12, atol=0)


def test_one_false_pixel_on_an_empty_picture_as_the_peers_have_it():
    smp, monai = pytest.importorskip("segmentation_models_pytorch.losses"), pytest.importorskip("monai.losses")
    x = torch.stack([torch.full((8, 8), 30.), torch.zeros(8, 8)])[None].double()
    x[0, 1, 3, 3] = 60
    y = torch.zeros(1, 8, 8, dtype=torch.long)
    skipped, counted = smp.DiceLoss("multiclass")(x, y), monai.DiceLoss(softmax=True, to_onehot_y=True)(x, y[:, None])
    assert skipped < 0.01 and counted > 0.5
    torch.testing.assert_close(dice_loss(x, y), skipped, rtol=1e-4, atol=0)
    torch.testing.assert_close(dice_loss(x, y, absent="count"), counted, rtol=1e-4, atol=0)


@pytest.mark.parametrize("void", [VOID, 2, None])
def test_counts_and_scores_of_torchmetrics(void):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    _, y = batch(4, void == VOID)
    pred = torch.where(torch.rand(y.shape) < 0.6, y.clamp(max=3), torch.randint(4, y.shape))
    (ours := Confusion(4, void)).update(pred, y)
    assert ours.counts.equal(tm.multiclass_confusion_matrix(pred, y, 4, ignore_index=void))
    if void == 2: return  # there torchmetrics has its own mind about the class that is not counted
    near = {"rtol": 1e-6, "atol": 0, "check_dtype": False}  # it divides in float32
    for score, peer in ((ours.iou(), tm.multiclass_jaccard_index), (ours.dice(), tm.multiclass_f1_score),
                        (ours.accuracy(), tm.multiclass_accuracy)):
        torch.testing.assert_close(score.per_class, peer(pred, y, 4, average="none", ignore_index=void), **near)
        torch.testing.assert_close(score.mean, peer(pred, y, 4, average="macro", ignore_index=void).item(), rtol=1e-6, atol=0)
        torch.testing.assert_close(score.overall, peer(pred, y, 4, average="micro", ignore_index=void).item(), rtol=1e-6, atol=0)
