"""FastPresize inside fastai: loaders, workers, show_batch, decode, training, export."""
import os

import fastai.callback.progress  # noqa: F401  (gives a Learner no_bar)
import matplotlib
import numpy as np
import pytest
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import Normalize, RandomSplitter, get_image_files
from fastai.learner import Learner, load_learner
from fastai.vision.core import TensorPoint, imagenet_stats
from fastai.vision.data import ImageBlock, MaskBlock, PointBlock
from torch import nn

from course_lib.core import seed_everything
from course_lib.presizing import FastImageBlock, FastPresize, PresizeDL, presize

matplotlib.use('Agg')


@pytest.fixture(scope='module')
def pets():
    from course_lib.data import get
    return get('pets', root=None)


def breed(f): return f.name.rsplit('_', 1)[0]
def files(folder, n): return lambda _: sorted((folder/'images').glob('*.jpg'))[::7][:n]
def cat_or_dog(f): return 'cat' if f.name[0].isupper() else 'dog'
def net(c): return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, c))


def loaders(folder, n=48, workers=0, fast=None, get_y=breed):
    fast = fast or FastPresize(64, generator=torch.Generator().manual_seed(1))
    item, batch = fast.tfms('cpu')
    block = DataBlock(blocks=(FastImageBlock(), CategoryBlock), get_items=files(folder, n), get_y=get_y, splitter=RandomSplitter(seed=0),
                      item_tfms=item, batch_tfms=batch + [Normalize.from_stats(*imagenet_stats, cuda=False)])
    return block.dataloaders('.', bs=8, num_workers=workers, device='cpu')


def passes(dls, n=2): return [[b[0].as_subclass(torch.Tensor).clone() for b in dls.train] for _ in range(n)]


def test_pictures_do_not_depend_on_the_number_of_workers(pets):
    got = []
    for workers in (0, 2):
        seed_everything(0)
        got.append(passes(loaders(pets, workers=workers)))
    (a1, a2), (b1, b2) = got
    assert all(torch.equal(x, y) for x, y in zip(a1 + a2, b1 + b2)) and len(a1) == len(b1) == 4
    assert not torch.equal(a1[0], a2[0])


def test_one_picture_again_and_again_gets_different_draws_and_can_be_shown(pets):
    dls = loaders(pets)
    assert isinstance(dls.train, PresizeDL)
    dls.train.get_idxs = lambda: [0]*8
    x, _ = dls.train.one_batch()
    assert len({t.numpy().tobytes() for t in x}) == 8
    dls = loaders(pets)
    dls.train.show_batch(unique=True, max_n=4)
    dls.valid.show_batch(max_n=4)
    matplotlib.pyplot.close('all')
    x, y = dls.decode(dls.valid.one_batch())
    assert x.shape[1:] == (3, 64, 64) and 0 <= x.min() and x.max() <= 255
    a, b = [next(iter(dls.valid))[0] for _ in range(2)]
    assert torch.equal(a, b)


def train_and_export(folder, tmp_path, n=96):
    seed_everything(0)
    dls = loaders(folder, n, get_y=cat_or_dog)
    learn = Learner(dls, net(len(dls.vocab)), loss_func=nn.CrossEntropyLoss(), path=tmp_path)
    with learn.no_bar(), learn.no_logging(): learn.fit(2, 5e-3)
    assert np.isfinite(learn.recorder.losses[-1].item())
    file = files(folder, 1)(None)[0]
    with learn.no_bar(): before = learn.predict(file)
    learn.export('x.pkl')
    again = load_learner(tmp_path/'x.pkl')
    with again.no_bar(): after = again.predict(file)
    assert torch.allclose(before[2], after[2], atol=1e-5) and before[0] == after[0]
    assert (tmp_path/'x.pkl').stat().st_size < 300_000   # no pictures in the export
    with again.no_bar(): preds = again.get_preds(dl=again.dls.test_dl(files(folder, 5)(None)))[0]
    assert preds.shape == (5, len(dls.vocab))


@pytest.mark.filterwarnings('ignore')
def test_trains_on_the_drawn_pets_and_exports(pets, tmp_path): train_and_export(pets, tmp_path)


@pytest.mark.real
@pytest.mark.filterwarnings('ignore')
def test_trains_on_the_real_pets_and_is_nearer_to_the_ideal(tmp_path):
    if not os.environ.get('COURSE_LIB_DATA'): pytest.skip('COURSE_LIB_DATA is not set')
    from PIL import Image

    from course_lib.data import get
    from course_lib.presizing import compare, random_draw
    folder = get('oxford-iiit-pet')
    train_and_export(folder, tmp_path, 64)
    rng = np.random.default_rng(0)
    pairs = [compare(Image.open(f).convert('RGB'), random_draw(rng.random(20))) for f in files(folder, 10)(None)]
    assert np.mean([p['presized'].psnr - p['recipe'].psnr for p in pairs]) > 1.5
    assert all(p['presized'].border == 0 for p in pairs)


def test_segmentation_and_points(pets):
    trimap = lambda f: pets/'annotations'/'trimaps'/f'{f.stem}.png'
    fast = FastPresize((48, 64))
    seg = DataBlock(blocks=(FastImageBlock(), MaskBlock()), get_items=files(pets, 12), get_y=trimap, splitter=RandomSplitter(seed=0), item_tfms=fast).dataloaders('.', bs=4, num_workers=0, device='cpu')
    x, y = seg.one_batch()
    assert x.shape == (4, 3, 48, 64) and y.shape == (4, 48, 64) and set(y.unique().tolist()) <= {1, 2, 3}
    seg.show_batch(max_n=2)
    pts = DataBlock(blocks=(FastImageBlock(), PointBlock), get_items=files(pets, 12), get_y=lambda f: TensorPoint.create([[20., 30.], [40., 10.]]), splitter=RandomSplitter(seed=0), item_tfms=fast)
    x, p = pts.dataloaders('.', bs=4, num_workers=0, device='cpu').one_batch()
    assert p.shape == (4, 2, 2)
    matplotlib.pyplot.close('all')


def test_the_gpu_pair_runs_on_the_cpu_too(pets):
    item, batch = FastPresize(48, presize=96).tfms('cuda')
    dls = DataBlock(blocks=(FastImageBlock(), CategoryBlock), get_items=files(pets, 12), get_y=breed, splitter=RandomSplitter(seed=0), item_tfms=item, batch_tfms=batch).dataloaders('.', bs=4, num_workers=0, device='cpu')
    for dl in (dls.train, dls.valid): assert next(iter(dl))[0].shape[1:] == (3, 48, 48)


def test_works_with_an_ordinary_image_block_and_beside_the_recipe(pets):
    for item, batch in [FastPresize(48).tfms('cpu'), presize(48, 96)]:
        dls = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=files(pets, 12), get_y=breed, splitter=RandomSplitter(seed=0), item_tfms=item, batch_tfms=batch).dataloaders('.', bs=4, num_workers=0, device='cpu')
        x, _ = dls.one_batch()
        assert x.shape == (4, 3, 48, 48) and x.dtype == torch.float32


def test_damaged_file_is_named_by_the_loader(pets, tmp_path):
    bad = tmp_path/'images'
    bad.mkdir()
    for f in files(pets, 6)(None): (bad/f.name).write_bytes(f.read_bytes()[:3000])
    block = DataBlock(blocks=(FastImageBlock(), CategoryBlock), get_items=get_image_files, get_y=breed, splitter=RandomSplitter(seed=0), item_tfms=FastPresize(48))
    with pytest.raises(ValueError, match='jpg: cannot be decoded'): block.dataloaders(tmp_path, bs=4, num_workers=0, device='cpu').one_batch()
