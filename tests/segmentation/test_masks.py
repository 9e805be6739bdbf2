"""`PixelLabelBlock`: what is in files of masks reaches the loss as labels, together with its picture, or is refused."""
import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastai.vision.all")
from fastai.data.block import DataBlock  # noqa: E402
from fastai.data.transforms import IndexSplitter, get_c  # noqa: E402
from fastai.learner import Learner  # noqa: E402
from fastai.torch_core import TensorMask  # noqa: E402

from course_lib.presizing import FastImageBlock, FastPresize, presize  # noqa: E402
from course_lib.segmentation import Confusion, PixelLabelBlock, UNet, dice_loss  # noqa: E402

CLASSES = ["ground", "box", "ball"]


def saved(folder, numbers, mode="L", name="mask.png"):
    "A file of a mask"
    im = Image.fromarray(numbers if mode != "I;16" else numbers.astype(np.uint16))
    if mode == "P":
        im = Image.fromarray(numbers.astype(np.uint8), "L").convert("P")
        im.putdata(numbers.flatten().tolist())
        im.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200] + [0]*759)
    if mode == "1": im = Image.fromarray(numbers > 0)
    im.save(folder/name)
    return folder/name


def opened(file, *args, **kwargs):
    "The labels that a block makes of a file"
    return np.asarray(PixelLabelBlock(*args, **kwargs).type_tfms[0](file))


numbers = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_numbers_are_read_as_they_were_written(tmp_path, mode):
    file = saved(tmp_path, numbers, mode)
    assert (opened(file, CLASSES) == numbers).all()
    assert (opened(file, CLASSES, {0: 1, 1: 255, 2: 0}) == np.array([1, 255, 0])[numbers]).all()


def test_yes_and_no_and_numbers_beyond_a_byte(tmp_path):
    assert (opened(saved(tmp_path, numbers, "1"), CLASSES[:2]) == (numbers > 0)).all()
    file = saved(tmp_path, numbers.astype(np.int64)*20000, "I;16")
    assert (opened(file, CLASSES, {0: 0, 20000: 1, 40000: 2}) == numbers).all()


@pytest.mark.parametrize("fast", [True, False])
def test_pictures_and_their_masks_stay_together(tmp_path, fast):
    "Pictures made of their masks, moved at random; and what a Learner, the losses and the counts make of them"
    files = []
    for i in range(8):
        labels = np.zeros((70, 100), np.uint8)
        labels[10 + 2*i:50, 20:80] = 2
        Image.fromarray(np.stack([127*labels]*3, -1)).save(tmp_path/f"{i}.png")
        saved(tmp_path, labels + 1, name=f"{i}_mask.png")
        files.append(tmp_path/f"{i}.png")
    item, batch = ([FastPresize(32, max_lighting=0.)], []) if fast else presize(32, max_lighting=0.)
    block = DataBlock((FastImageBlock(), PixelLabelBlock(CLASSES, {1: 0, 2: 1, 3: 2})), get_items=lambda _: files,
                      get_y=lambda f: f.with_name(f"{f.stem}_mask.png"), splitter=IndexSplitter([6, 7]),
                      item_tfms=item, batch_tfms=batch)
    dls = block.dataloaders(tmp_path, bs=3, num_workers=0, device="cpu")
    for x, y in (dls.one_batch(), dls.valid.one_batch()):
        assert type(y) is TensorMask and y.dtype == torch.int64 and set(y.unique().tolist()) == {0, 2}
        assert ((x[:, 0] > 0.5) == (y == 2)).float().mean() > 0.95
    assert get_c(dls) == 3 and dls.train.after_item.vocab == CLASSES
    encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3, 2, 1))
    learn = Learner(dls, UNet(encoder, (4, 4), 3), loss_func=dice_loss)
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 0.01)
    (counted := Confusion(3, 255)).update(learn.model.eval()(x), y)
    assert counted.counts.sum() == y.numel()


def test_a_block_can_be_pickled(tmp_path):
    again = pickle.loads(pickle.dumps(PixelLabelBlock(CLASSES, {0: 0, 1: 1, 2: 255})))
    assert (np.asarray(again.type_tfms[0](saved(tmp_path, numbers))) == np.array([0, 1, 255])[numbers]).all()


def test_what_is_no_mask_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"mask.png holds 2 in 4 pixels, the first at \[0, 2\], .* 0, 1, 255:"):
        opened(saved(tmp_path, numbers), CLASSES[:2])
    with pytest.raises(ValueError, match="holds 0 in 4 pixels"): opened(saved(tmp_path, numbers), CLASSES, {1: 1, 2: 2})
    with pytest.raises(ValueError, match=r"mask.png holds colours \(mode RGB\)"):
        opened(saved(tmp_path, np.zeros((3, 4, 3), np.uint8)), CLASSES)
    with pytest.raises(ValueError, match="mask.jpg is a JPEG"): opened(saved(tmp_path, numbers, name="mask.jpg"), CLASSES)
    for args, says in [((CLASSES[:1],), "2 to 256 names"), ((["x"]*257,), "2 to 256 names"),
                       ((CLASSES, {0: 3}), "got 3 for 0"), ((CLASSES, {0: 255}, 254), "got 255 for 0"),
                       ((CLASSES, None, -100), "ignore_index must be from 0 to 255"), ((CLASSES, None, 256), "got 256")]:
        with pytest.raises(ValueError, match=says): PixelLabelBlock(*args)
    kept = io.BytesIO()
    Image.fromarray(numbers).save(kept, "PNG")
    assert (opened(kept, CLASSES, ignore_index=2) == numbers).all()  # a class may be the one that does not count
