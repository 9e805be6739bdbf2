"""Samples packed in every usual way: moved as torchvision moves them, or refused; nothing comes back untouched."""
import dataclasses
import io
import os
import warnings
from array import array
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.torch_core import TensorCategory, TensorImage, TensorImageBW, TensorMask, TensorMultiCategory
from fastai.vision.core import PILImage, PILImageBW, PILMask, TensorBBox, TensorPoint
from fastcore.foundation import L
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2

from course_lib.presizing import BatchPresize, Draw, FastImage, FastPresize, draw_map, random_draw

W, H = 400, 200
CANVAS = (H, W)
FLIP = Draw(flip=True)
LEFT = Draw(crop=0.5, crop_x=0., crop_y=0.)   # the upper left quarter


def smooth(w=W, h=H):
    y, x = np.mgrid[:h, :w]
    return np.stack([x*255/w, y*255/h, (x + y)*255/(w + h)], -1).astype(np.uint8)


@pytest.fixture
def fast(): return FastPresize((100, 200))
@pytest.fixture
def img(): return Image.fromarray(smooth())


def raw(x): return torch.as_tensor(x).as_subclass(Tensor)
def boxes(*rows, format='XYXY', dtype=torch.float32): return tv_tensors.BoundingBoxes(torch.tensor(rows, dtype=dtype).reshape(-1, 4), format=format, canvas_size=CANVAS)


def blocks(n):
    "n masks [n, H, W] of 20-pixel blocks"
    m = torch.zeros(n, H, W, dtype=torch.uint8)
    for i in range(n): m[i, 20*i:20*i + 40, 40*i:40*i + 80] = 1
    return m


# against torchvision's own transforms of the same sample

def detection(img, n=3, format='XYXY'):
    rows = [[40*i, 20*i, 40*i + 80, 20*i + 40] for i in range(n)]
    b = v2.functional.convert_bounding_box_format(torch.tensor(rows, dtype=torch.float32).reshape(-1, 4), old_format='XYXY', new_format=format)
    return img, {'boxes': tv_tensors.BoundingBoxes(b, format=format, canvas_size=CANVAS), 'masks': tv_tensors.Mask(blocks(n)),
                 'labels': torch.arange(n), 'keypoints': tv_tensors.KeyPoints(torch.rand(n, 5, 2)*torch.tensor([W, H]), canvas_size=CANVAS)}


THEIRS = {'whole': (Draw(), [v2.Resize((100, 200))]), 'flip': (FLIP, [v2.RandomHorizontalFlip(1.), v2.Resize((100, 200))]),
          'crop': (LEFT, [v2.Lambda(lambda x: v2.functional.crop(x, 0, 0, 100, 200), tv_tensors.Image, tv_tensors.Mask, tv_tensors.BoundingBoxes,
                                    tv_tensors.KeyPoints, Image.Image)])}


@pytest.mark.parametrize('format', ['XYXY', 'XYWH', 'CXCYWH'])
@pytest.mark.parametrize('n', [0, 1, 2, 3, 7])
@pytest.mark.parametrize('name', THEIRS)
def test_a_detection_sample_moves_as_in_torchvision(fast, img, name, n, format):
    draw, steps = THEIRS[name]
    sample = detection(img, n, format)
    want_img, want = v2.Compose([*steps, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()])(sample)
    got_img, got = fast(sample, draw=draw)
    assert torch.allclose(raw(got['boxes']), raw(want['boxes']), atol=1e-3) and got['boxes'].format == want['boxes'].format
    assert got['boxes'].canvas_size == (100, 200) == got['keypoints'].canvas_size
    assert got['labels'].tolist() == want['labels'].tolist()
    assert got['masks'].shape == want['masks'].shape and raw(got['masks']).equal(raw(want['masks']))
    assert (got_img.float() - v2.functional.pil_to_tensor(want_img).float()).abs().mean() < 2
    half = 0.501 if name == 'flip' else 1e-3   # torchvision mirrors points by the numbers of pixels, and everything else by their edges
    if len(want['boxes']) == n: assert torch.allclose(raw(got['keypoints']), raw(want['keypoints']), atol=half)
    else: assert len(got['keypoints']) == len(got['boxes'])


def test_boxes_under_a_tilt_move_as_in_torchvision():
    fast, draw = FastPresize(CANVAS), Draw(warp_x=0.12, warp_y=-0.08, angle=6, crop=0.9)
    forth = np.linalg.inv(draw_map(draw, (W, H), (W, H)))
    corners = np.array([(0, 0), (W, 0), (W, H), (0, H)])
    q = np.c_[corners, np.ones(4)] @ forth.T
    ends = (q[:, :2]/q[:, 2:]).round(3).tolist()
    given = boxes([100, 50, 220, 120], [10, 10, 60, 60], [300, 20, 390, 190])
    want = v2.functional.clamp_bounding_boxes(v2.functional.perspective(given, corners.tolist(), ends))
    got = fast((Image.fromarray(smooth()), given), draw=draw)[1]
    assert (raw(got) - raw(want)).abs().max() < 1.5   # theirs are off by half a pixel


def test_random_boxes_hold_their_masks(fast, img):
    "A box is as small as its mask allows, or a little larger: never one that its mask sticks out of"
    rng = np.random.default_rng(0)
    for k in range(20):
        x, y = rng.integers(0, W - 60), rng.integers(0, H - 60)
        mask = torch.zeros(1, H, W, dtype=torch.uint8)
        mask[0, y:y + 50, x:x + 60] = 1
        out = fast({'img': img, 'boxes': torch.tensor([[x, y, x + 60., y + 50.]]), 'masks': mask}, draw=random_draw(rng.random(20), max_rotate=30))
        seen = out['masks'].nonzero()
        if len(out['boxes']) == 0:
            assert len(seen) == 0 and len(out['masks']) == 0
            continue
        if len(seen) == 0: continue                   # less than a pixel is left
        l, t, r, b = raw(out['boxes'])[0].tolist()
        assert l - 1 <= seen[:, 2].min() and seen[:, 2].max() <= r + 1 and t - 1 <= seen[:, 1].min() and seen[:, 1].max() <= b + 1


def test_a_box_across_the_horizon_of_a_panorama():
    wide, draw = Image.fromarray(smooth(4000, 300)), Draw(box_x=0., warp_x=0.3, warp_y=0.3)
    mask = torch.zeros(1, 300, 4000, dtype=torch.uint8)
    mask[0, 100:200] = 1
    out = FastPresize(100)({'img': wide, 'boxes': torch.tensor([[0, 100., 4000, 200]]), 'masks': mask}, draw=draw)
    seen, (l, t, r, b) = out['masks'][0].nonzero(), raw(out['boxes'])[0].tolist()
    assert l <= seen[:, 1].min() + 1 and r >= seen[:, 1].max() and t <= seen[:, 0].min() + 1 and b >= seen[:, 0].max()
    assert r > 99


# boxes that are gone take their rows with them

def test_rows_of_lost_boxes_leave_everything_beside_them(fast, img):
    given = boxes([10, 10, 60, 60], [300, 150, 390, 190], [150, 50, 260, 160])   # the second is outside, the third is cut
    target = {'boxes': given, 'labels': torch.tensor([5, 6, 7]), 'names': ['a', 'b', 'c'], 'scores': np.array([.1, .2, .3]),
              'masks': tv_tensors.Mask(blocks(3)), 'iscrowd': torch.zeros(3, dtype=torch.int64), 'area': torch.tensor([2500., 3600, 12100]),
              'image_id': torch.tensor([1, 2, 3]), 'orig_size': torch.tensor([200, 400, 3]), 'note': 'xyz'}
    out = fast((img, target), draw=LEFT)[1]
    assert out['labels'].tolist() == [5, 7] and out['names'] == ['a', 'c'] and out['scores'].tolist() == [.1, .3]
    assert out['masks'].shape == (2, 100, 200) and isinstance(out['masks'], tv_tensors.Mask)
    assert out['image_id'].tolist() == [1, 2, 3] and out['orig_size'].tolist() == [200, 400, 3] and out['note'] == 'xyz'
    assert out['area'].tolist() == [float(m.sum()) for m in out['masks']]
    assert raw(out['boxes'])[1].tolist() == [150, 50, 200, 100]                  # cut at the rim
    assert target['labels'].tolist() == [5, 6, 7] and len(target['boxes']) == 3   # what came in is as it was


def test_rows_in_a_flat_tuple_and_areas_from_boxes(fast, img):
    out = fast((img, boxes([10, 10, 60, 60], [300, 150, 390, 190]), torch.tensor([1, 2]), ['x', 'y']), draw=LEFT)
    assert len(out[1]) == 1 and out[2].tolist() == [1] and out[3] == ['x']
    out = fast(img, boxes([10, 10, 60, 60], [300, 150, 390, 190], [0, 0, 1, 1]), draw=Draw())   # three boxes, and a picture of three colours
    assert out[0].shape == (3, 100, 200) and len(out[1]) == 3
    out = fast((img, boxes([300, 150, 390, 190], [301, 150, 390, 190], [302, 150, 390, 190])), draw=LEFT)
    assert out[0].shape == (3, 100, 200) and out[1].shape == (0, 4)
    out = fast({'i': img, 'boxes': torch.tensor([[10., 10, 60, 60], [150, 50, 260, 160]]), 'area': np.array([2500., 12100])}, draw=LEFT)
    assert out['area'].tolist() == [2500, 2500]


def test_plain_tensors_under_the_names_of_torchvisions_detection_models(fast, img):
    target = {'boxes': torch.tensor([[10, 10, 60, 60], [300, 150, 390, 190]]), 'labels': torch.tensor([1, 2]), 'masks': blocks(2),
              'keypoints': torch.tensor([[[20., 20, 2], [390, 190, 2]], [[310, 160, 1], [1, 1, 1]]]), 'iscrowd': torch.tensor([0, 1])}
    for t in (target, {k: v.numpy() for k, v in target.items()}):
        out = fast((img, t), draw=LEFT)[1]
        assert raw(out['boxes']).tolist() == [[10, 10, 60, 60]] and out['boxes'].dtype == torch.float32
        assert out['labels'].tolist() == [1] and out['masks'].shape == (1, 100, 200) and out['iscrowd'].tolist() == [0]
        assert out['keypoints'].shape == (1, 2, 3) and out['keypoints'][0, :, 2].tolist() == [2, 0]   # the second is outside now
    empty = fast((img, {'boxes': torch.tensor([]), 'labels': torch.tensor([])}))[1]
    assert empty['boxes'].shape == (0, 4) and empty['labels'].shape == (0,)


def test_integer_boxes_and_double_ones(fast, img):
    out = fast((img, boxes([10, 10, 61, 60], dtype=torch.int64)), draw=Draw())[1]
    assert out.dtype == torch.float32 and raw(out).tolist() == [[5, 5, 30.5, 30]]
    assert fast((img, boxes([10, 10, 61, 60], dtype=torch.float64)), draw=Draw())[1].dtype == torch.float64


def test_fastais_boxes_and_labels(fast, img):
    b = TensorBBox(torch.tensor([[-0.9, -0.9, -0.7, -0.4], [0.5, 0.5, 0.95, 0.9], [-0.5, -0.5, 0.5, 0.5]]))
    x, got, labels = fast((PILImage(img), b, TensorMultiCategory(torch.tensor([3, 4, 5]))), draw=LEFT)
    assert isinstance(got, TensorBBox) and labels.tolist() == [3, 5] and isinstance(labels, TensorMultiCategory)
    assert torch.allclose(raw(got), torch.tensor([[-0.8, -0.8, -0.4, 0.2], [0., 0., 1., 1.]]), atol=1e-5)


@pytest.mark.parametrize('bad, error', [
    (tv_tensors.BoundingBoxes(torch.zeros(1, 4), format='XYXY', canvas_size=(W, H)), ValueError),
    (tv_tensors.KeyPoints(torch.zeros(1, 2), canvas_size=(W, H)), ValueError),
    (tv_tensors.BoundingBoxes(torch.zeros(1, 5), format='XYWHR', canvas_size=CANVAS), TypeError),
    ({'boxes': torch.zeros(3)}, TypeError), ({'boxes': torch.zeros(2, 5)}, TypeError), ({'boxes': [[0, 0, 1, 1]]}, TypeError), ({'boxes': 'b.txt'}, TypeError),
    ({'keypoints': torch.zeros(2, 4)}, TypeError), ({'bbox': [0, 0, 1, 1]}, TypeError), ([{'bbox': [0, 0, 1, 1], 'segmentation': [[1, 2]], 'category_id': 3}], TypeError),
    ({'annotation': {'object': [{'bndbox': {'xmin': '1'}}]}}, TypeError), ({'bboxes': np.zeros((1, 4))}, TypeError),
    ({'mask': Path('m.png')}, TypeError), ({'mask': 'm.png'}, TypeError), (torch.zeros(H, W, dtype=torch.long), TypeError), (np.zeros((H, W), np.int64), TypeError),
    (torch.zeros(1, H, W), TypeError), (torch.zeros(5, 4, 2), TypeError), (np.zeros((H, W, 3), np.uint8), TypeError), (torch.zeros(3, 9, 9, dtype=torch.uint8), TypeError),
    (Image.new('RGB', (W, H + 1)), ValueError), (tv_tensors.Mask(torch.zeros(W, H)), ValueError), ({'masks': torch.zeros(2, W, H)}, ValueError)])
def test_what_cannot_be_moved_is_refused(fast, img, bad, error):
    with pytest.raises(error): fast((img, bad))
    with pytest.raises(error): fast({'image': img, 'target': bad})


def test_two_sets_of_boxes_need_their_own_dicts(fast, img):
    one = boxes([10, 10, 60, 60])
    with pytest.raises(TypeError, match='two sets'): fast((img, one, one))
    out = fast((img, {'boxes': one, 'labels': torch.tensor([1])}, {'boxes': boxes([300, 150, 390, 190]), 'labels': torch.tensor([2])}), draw=LEFT)
    assert out[1]['labels'].tolist() == [1] and out[2]['labels'].tolist() == []


# pictures of every kind

def test_pictures_of_every_kind_are_the_same_picture(fast, img, tmp_path):
    a = np.asarray(img)
    img.save(tmp_path/'a.png')
    t = torch.from_numpy(a.copy()).permute(2, 0, 1)
    want = raw(fast(img, draw=FLIP))
    deep = a.astype(np.uint16)*257
    for x in (a, np.asfortranarray(a), a[::-1][::-1], t, t.contiguous(), TensorImage(t), tv_tensors.Image(t), tmp_path/'a.png', str(tmp_path/'a.png'), (tmp_path/'a.png').read_bytes(),
              PILImage.create(a), img.convert('RGBA'), np.dstack([a, np.full((H, W), 255, np.uint8)]), deep, torch.from_numpy(deep).permute(2, 0, 1)):
        got = fast(x, draw=FLIP)
        assert got.dtype == torch.uint8 and raw(got).equal(want)
    grey = np.asarray(img.convert('L'))
    want = raw(fast(Image.fromarray(grey), draw=FLIP))
    assert want[0].equal(want[2])
    for x in (grey, grey[..., None], torch.from_numpy(grey.copy())[None], grey.astype(np.uint16)*257): assert raw(fast(x, draw=FLIP)).equal(want)
    for x in (PILImageBW(Image.fromarray(grey)), TensorImageBW(torch.from_numpy(grey.copy())[None])):   # fastai's kind for one channel keeps it
        got = fast(x, draw=FLIP)
        assert isinstance(got, TensorImageBW) and raw(got).equal(want[:1])


@pytest.mark.parametrize('bad', [torch.rand(3, H, W), tv_tensors.Image(torch.rand(3, H, W)), TensorImage(torch.rand(3, H, W)), TensorImageBW(torch.rand(1, H, W)),
                                 np.random.default_rng(0).random((H, W, 3)), np.zeros((3, H, W), np.uint8), torch.zeros(H, W, 3, dtype=torch.uint8), torch.zeros(2, 3, H, W, dtype=torch.uint8),
                                 tv_tensors.Image(torch.zeros(2, 3, H, W, dtype=torch.uint8)), torch.zeros(H, W, dtype=torch.uint8), torch.zeros(3, H, W, dtype=torch.int64),
                                 np.zeros((H, W, 3), bool), np.zeros((H, W, 2), np.uint8), torch.zeros(4, H, W, dtype=torch.uint8), tv_tensors.Video(torch.rand(2, 3, H, W)), tv_tensors.Video(torch.zeros(2, 4, H, W, dtype=torch.uint8)),
                                 np.zeros((2, H, W, 3), np.uint8), 3, None, {}, [], (), {'label': 3}, torch.tensor(3.), object()])
def test_what_is_no_picture_is_refused(fast, bad):
    for x in (bad, (bad, 3), {'x': bad}):
        with pytest.raises(TypeError): fast(x)


@pytest.mark.parametrize('lead', [(1,), (5,), (2, 3)])
def test_frames_of_a_video_share_one_draw(fast, img, lead):
    t = torch.from_numpy(np.asarray(img).copy()).permute(2, 0, 1)
    draw = random_draw(np.random.default_rng(1).random(20))
    want = raw(fast(tv_tensors.Image(t), draw=draw))
    for size, w in ((fast, want), (FastPresize(20), None)):     # the second is shrunk by a filter first
        out = size(tv_tensors.Video(t.expand(*lead, 3, H, W)), draw=draw)
        assert isinstance(out, tv_tensors.Video) and out.shape[:-2] == (*lead, 3)
        frames = raw(out).reshape(-1, *out.shape[-3:])
        assert all(f.equal(frames[0]) for f in frames) and (w is None or frames[0].equal(w))
    mask = tv_tensors.Mask(torch.ones(*lead, H, W, dtype=torch.bool))
    assert fast((tv_tensors.Video(t.expand(*lead, 3, H, W)), mask))[1].shape == (*lead, 100, 200)


def test_several_pictures_of_one_size_share_one_draw(fast, img, tmp_path):
    img.save(tmp_path/'a.png')
    draw = random_draw(np.random.default_rng(2).random(20))
    want = raw(fast(img, draw=draw))
    for pair in ((img, img), [img, PILImage(img)], {'left': img, 'right': img}, ((img, img), 3), {'views': [img, tv_tensors.Image(np.asarray(img).transpose(2, 0, 1).copy())]},
                 (tmp_path/'a.png', tmp_path/'a.png')):
        out = fast(pair, draw=draw)
        flat = [v for v in (out.values() if isinstance(out, dict) else out)]
        flat = [p for v in flat for p in (v if isinstance(v, (tuple, list)) else [v]) if isinstance(p, Tensor)]
        assert len(flat) == 2 and all(raw(p).equal(want) for p in flat)
    with pytest.raises(ValueError, match='differ in size'): fast((img, img.resize((50, 50))))


def test_containers_come_back_as_they_were(fast, img):
    Pair = namedtuple('Pair', 'image label')
    for sample in ((img, 3), [img, 3], Pair(img, 3), {'image': img, 'label': 3}, OrderedDict(image=img, label=3), (img, (3, [4, {'a': 'b'}])), [[img], 3], ('cat', img), {'name': 'cat', 'image': img}):
        out = fast(sample)
        assert type(out) is type(sample) and len(out) == len(sample)
        if isinstance(sample, dict): assert list(out) == list(sample) and out is not sample
    assert fast((img, (3, [4, {'a': 'b'}])))[1] == (3, [4, {'a': 'b'}])
    assert fast(img, 3)[1] == 3 and fast({'name': 'cat', 'image': img, 'path': Path('x.jpg')})['path'] == Path('x.jpg')
    y = TensorCategory(4)
    assert fast((img, y))[1] is y and fast((img, torch.zeros(7, 4)))[1].shape == (7, 4)


def test_masks_of_any_number(fast, img):
    for n in (0, 1, 2, 3, 4, 11):
        for m in (tv_tensors.Mask(blocks(n)), TensorMask(blocks(n)), tv_tensors.Mask(blocks(n).bool()), tv_tensors.Mask(blocks(n).long()*70_000)):
            out = fast((img, m), draw=Draw())[1]
            assert out.shape == (n, 100, 200) and out.dtype == m.dtype and type(out) is type(m)
            assert raw(out).equal(raw(m)[:, 1::2, 1::2])
    one = blocks(1)[0]
    for m in (tv_tensors.Mask(one), TensorMask(one), PILMask(Image.fromarray(one.numpy()))): assert raw(fast((img, m), draw=Draw())[1]).equal(one[1::2, 1::2])
    ids = np.arange(H*W, dtype=np.uint16).reshape(H, W)
    assert fast({'i': img, 'mask': ids}, draw=Draw())['mask'].dtype == torch.uint16
    assert fast({'i': np.asarray(img), 'mask': one.numpy()})['mask'].shape == (100, 200)


@pytest.mark.parametrize('mode', ['L', 'P', '1', 'I;16'])
def test_a_pillow_image_beside_a_picture_is_a_picture_as_in_torchvision_and_that_is_said(fast, img, mode):
    other = Image.fromarray((blocks(1)[0]*200).numpy()).convert(mode) if mode != 'I;16' else Image.fromarray((blocks(1)[0]*200).numpy().astype(np.uint16)*257)
    for sample in ((img, other), {'image': img, 'mask_of_it': other}, (torch.from_numpy(np.asarray(img).copy()).permute(2, 0, 1), other)):
        if isinstance(sample, tuple) and isinstance(sample[0], Tensor): sample = (tv_tensors.Image(sample[0]), other)
        with pytest.warns(UserWarning, match='tv_tensors.Mask or PILMask'): out = fast(sample, draw=Draw(angle=10))
        second = list(out.values())[1] if isinstance(out, dict) else out[1]
        assert isinstance(second, tv_tensors.Image) and second.shape == (3, 100, 200)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fast(other); fast((other, other)); fast((img, img)); fast((img, tv_tensors.Mask(blocks(1)))); fast((img, PILMask(Image.fromarray(blocks(1)[0].numpy()))))


def test_numbers_of_numpy_are_numbers():
    a, b = FastPresize(np.int64(64), np.int32(128)), FastPresize((np.int64(64), np.uint8(64)), presize=[128, 128])
    assert a.size == b.size == (64, 64) and type(a.size[0]) is int and a.presize == b.presize
    assert FastPresize(torch.tensor(64)).size == FastPresize(np.array([64, 64])).size == (64, 64)
    for bad in (64., np.float64(64), '64', None, (64,), (64, 64, 3), (64, 2.5), -1, [0, 5]):
        with pytest.raises(ValueError, match='size'): FastPresize(bad)
    FastPresize(64, max_rotate=np.float32(5), min_scale=np.float64(0.5))


# batches

@pytest.fixture
def warp(): return BatchPresize(FastPresize(32, presize=64))


def rand(n=4, dtype=torch.float32): return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_what_default_collate_gives_is_augmented(warp):
    items = [(torch.randint(256, (3, 64, 64), dtype=torch.uint8), i) for i in range(4)]
    batch = default_collate(items)
    assert type(batch) is list
    x, y = warp(batch, draws=[Draw()]*4)
    assert x.shape == (4, 3, 32, 32) and x.dtype == torch.uint8 and y.tolist() == [0, 1, 2, 3]
    floats = warp([batch[0].float()/255, batch[1]], draws=[Draw()]*4)[0]
    assert (floats*255 - x.float()).abs().max() <= 0.51
    d = default_collate([{'image': i, 'label': n} for i, n in items])
    out = warp(d)
    assert type(out) is dict and out['image'].shape == (4, 3, 32, 32) and out['label'].tolist() == [0, 1, 2, 3]


def test_batches_of_every_kind(warp):
    draws = [random_draw(u) for u in np.random.default_rng(0).random((4, 20))]
    want = raw(warp(TensorImage(rand()), draws=draws))
    for x in (rand(), tv_tensors.Image(rand()), TensorImage(rand())):
        out = warp(x, draws=draws)
        assert type(out) is type(x) and raw(out).equal(want)
        assert raw(warp((x, 1), draws=draws)[0]).equal(want)
    assert (warp(rand(dtype=torch.float64), draws=draws) - want).abs().max() < 1e-4 and warp(rand(dtype=torch.float64)).dtype == torch.float64
    for dtype in (torch.float16, torch.bfloat16):
        half = warp(rand(dtype=dtype), draws=draws)
        assert half.dtype == dtype and (half.float() - want).abs().max() < 0.02
    grey = warp(TensorImageBW(rand()[:, :1]), draws=draws)
    assert isinstance(grey, TensorImageBW) and raw(grey).equal(want[:, :1])
    video = warp(tv_tensors.Video(rand()[:, None].expand(-1, 5, -1, -1, -1)), draws=draws)
    assert isinstance(video, tv_tensors.Video) and all(torch.allclose(raw(video)[:, t], want) for t in range(5))
    two = warp((TensorImage(rand()), TensorImage(rand()), torch.arange(4)), draws=draws)
    assert raw(two[0]).equal(raw(two[1])) and two[2].tolist() == [0, 1, 2, 3]


def test_masks_points_and_boxes_of_a_batch_move_as_those_of_an_item(warp):
    draws = [random_draw(u) for u in np.random.default_rng(3).random((4, 20))]
    draws = [Draw(**{**d.__dict__, 'box_x': 0.5, 'box_y': 0.5}) for d in draws]
    masks = torch.randint(0, 9, (4, 3, 64, 64)).repeat_interleave(4, 2)[:, :, :64].repeat_interleave(4, 3)[..., :64]
    points = torch.rand(4, 6, 2)*64
    out = warp({'x': rand(), 'masks': masks, 'a': tv_tensors.Mask(masks[:, 0]), 'b': TensorMask(masks[:, 1]), 'p': tv_tensors.KeyPoints(points, canvas_size=(64, 64)),
                'q': TensorPoint(points/32 - 1)}, draws=draws)
    fast = FastPresize(32, presize=64)
    for i, d in enumerate(draws):
        one = fast({'x': Image.new('RGB', (64, 64)), 'masks': masks[i], 'p': tv_tensors.KeyPoints(points[i], canvas_size=(64, 64))}, draw=d)
        assert (raw(out['masks'])[i] == raw(one['masks'])).all() and (raw(out['a'])[i] == raw(one['masks'])[0]).all() and (raw(out['b'])[i] == raw(one['masks'])[1]).all()
        assert torch.allclose(raw(out['p'])[i], raw(one['p']), atol=1e-4) and torch.allclose((raw(out['q'])[i] + 1)*16, raw(one['p']), atol=1e-3)


def test_fastais_padded_boxes_of_a_batch(warp):
    b = torch.tensor([[[-0.9, -0.9, -0.7, -0.4], [0.5, 0.5, 0.95, 0.9]], [[-0.5, -0.5, 0.5, 0.5], [0., 0, 0, 0]]])
    x, got, y = warp((TensorImage(rand(2)), TensorBBox(b), TensorMultiCategory(torch.tensor([[3, 4], [5, 0]]))), draws=[LEFT, Draw()])
    assert torch.allclose(raw(got), torch.tensor([[[-0.8, -0.8, -0.4, 0.2], [0, 0, 0, 0]], [[-0.5, -0.5, 0.5, 0.5], [0, 0, 0, 0]]]), atol=1e-5)
    assert y.tolist() == [[3, 0], [5, 0]] and isinstance(y, TensorMultiCategory)


@pytest.mark.parametrize('bad, error', [
    (torch.rand(3, 64, 64), TypeError), (3, TypeError), (None, TypeError), ([], TypeError), (np.zeros((4, 64, 64, 3), np.uint8), TypeError), (Image.new('RGB', (64, 64)), TypeError),
    ('a.png', TypeError), (torch.zeros(4, 3, 64, 64, dtype=torch.int64), TypeError), (torch.rand(4, 4, 64, 64), TypeError), (rand()*255, ValueError), ((rand() - 0.45)/0.2, ValueError),
    ([rand(), torch.zeros(4, 64, 64)], TypeError), ([rand(), rand()], TypeError), ((TensorImage(rand()), TensorImage(torch.rand(4, 3, 32, 32))), ValueError),
    ((TensorImage(rand()), TensorImage(rand(2))), TypeError), ([rand(), {'boxes': torch.zeros(4, 2, 4)}], TypeError),
    ([rand(), tv_tensors.BoundingBoxes(torch.zeros(4, 4), format='XYXY', canvas_size=(64, 64))], TypeError)])
def test_what_is_no_batch_is_refused(warp, bad, error):
    with pytest.raises(error): warp(bad)


def test_one_draw_for_each_picture(warp):
    with pytest.raises(ValueError, match='3 draws for a batch of 4'): warp(rand(), draws=[Draw()]*3)
    assert warp(rand(), split_idx=1).equal(warp(rand(), draws=[Draw()]*4))


# names, containers and scopes of other kinds

@pytest.mark.parametrize('key', ['gt_boxes', 'gtBoxes', 'pred_boxes', 'bbox_xyxy', 'boxes_2d', 'rois', 'gt_bboxes', 'points', 'joints', 'kps', 'gt_keypoints', 'Landmarks', 'polygons'])
def test_an_array_whose_name_speaks_of_a_place_is_refused(fast, img, key):
    with pytest.raises(TypeError, match=f"'{key}' holds Tensor.*tv_tensors"): fast({'image': img, key: torch.tensor([[10., 10.], [60., 60.]])})
    with pytest.raises(TypeError, match=f"'{key}' holds"): fast({'image': img, key: [[1, 2], [3, 4]]})


def test_names_that_only_speak_about_such_things_are_labels(fast, img):
    given = {'image': img, 'attention_mask': torch.ones(7), 'has_mask': True, 'n_boxes': 3, 'box_scores': torch.rand(4), 'keypoint_visibility': torch.ones(3, 17), 'mask_labels': torch.arange(2)}
    out = fast(given)
    assert all(out[k] is v for k, v in given.items() if k != 'image')


@pytest.mark.parametrize('key', ['Boxes', 'BOXES', 'boxes'])
def test_names_are_read_whatever_their_case(fast, img, key):
    assert raw(fast({'image': img, key: torch.tensor([[10., 10, 61, 60]])}, draw=Draw())[key]).tolist() == [[5, 5, 30.5, 30]]


@dataclasses.dataclass
class Item:
    image: object
    boxes: object
    labels: object = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    boxes: object
    labels: object


class Instances:
    def __init__(self, **held): self.__dict__.update(held)


THREE = [[10, 10, 60, 60], [300, 150, 390, 190], [150, 50, 260, 160]]   # the second leaves the upper left quarter
LEFT_OF_THREE = [[10., 10., 60., 60.], [150., 50., 200., 100.]]


def test_dataclasses_are_looked_into_and_come_back(fast, img):
    given = Item(img, boxes(*THREE), torch.tensor([5, 6, 7]))
    out = fast(given, draw=LEFT)
    assert type(out) is Item and out.image.shape == (3, 100, 200) and raw(out.boxes).tolist() == LEFT_OF_THREE and out.labels.tolist() == [5, 7]
    assert given.image is img and len(given.boxes) == 3
    out = fast((img, Frozen(boxes(*THREE), ['a', 'b', 'c'])), draw=LEFT)[1]
    assert type(out) is Frozen and raw(out.boxes).tolist() == LEFT_OF_THREE and out.labels == ['a', 'c']


def test_objects_and_sets_that_hide_a_place_are_refused(fast, img):
    for hidden in (SimpleNamespace(boxes=boxes(*THREE)), Instances(_mask=torch.zeros(H, W)), Instances(points=tv_tensors.KeyPoints(torch.zeros(1, 2), canvas_size=CANVAS)), {tv_tensors.Mask(blocks(1))},
                   frozenset([boxes(*THREE)])):
        with pytest.raises(TypeError, match=f'{type(hidden).__name__}: it has a place'): fast((img, hidden))
    label = Instances(name='cat', weight=torch.ones(3))
    assert fast((img, label))[1] is label


def test_other_containers_come_back_as_they_were(fast, img):
    class Named(UserDict): pass
    out = fast(Named(image=img, label=3))
    assert type(out) is Named and out['image'].shape == (3, 100, 200) and out['label'] == 3
    out = fast(deque([img, 3], maxlen=2), draw=LEFT)
    assert type(out) is deque and out.maxlen == 2 and out[0].shape == (3, 100, 200)
    out = fast(MappingProxyType({'image': img}))
    assert type(out) is MappingProxyType and out['image'].shape == (3, 100, 200)
    out = fast(L(img, 3))
    assert type(out) is L and out[0].shape == (3, 100, 200) and out[1] == 3
    assert fast((img, deque([tv_tensors.Mask(blocks(2))])))[1][0].shape == (2, 100, 200)
    assert fast(defaultdict(list, image=img)).default_factory is list


NESTED = {
    'in a dict inside': (lambda i, b, y: (i, {'boxes': b, 'attributes': {'labels': y}}), lambda o: o[1]['attributes']['labels']),
    'outside the dict': (lambda i, b, y: (i, {'boxes': b}, y), lambda o: o[2]),
    'in a dict beside': (lambda i, b, y: {'image': i, 'geometry': {'boxes': b}, 'of': {'labels': y}}, lambda o: o['of']['labels']),
    'outside a pair': (lambda i, b, y: ((i, b), y), lambda o: o[1]),
    'in a named tuple': (lambda i, b, y: (i, namedtuple('Target', 'boxes labels')(b, y)), lambda o: o[1].labels)}


@pytest.mark.parametrize('where', NESTED)
@pytest.mark.parametrize('kind', [torch.tensor, np.array, list, lambda y: deque(y), pd.Series, lambda y: array('i', y), torch.eye(8, dtype=torch.int64).__getitem__], ids=str)
def test_labels_of_lost_boxes_leave_wherever_they_stand(fast, img, where, kind):
    make, look = NESTED[where]
    given = kind([5, 6, 7])
    got = look(fast(make(img, boxes(*THREE), given), draw=LEFT))
    assert type(got) is type(given) and np.array(got).tolist() == np.array(kind([5, 7])).tolist()


def test_what_is_of_the_whole_picture_keeps_its_rows(fast, img):
    target = {'boxes': boxes(*THREE), 'labels': (5, 6, 7), 'shape': (H, W, 3), 'img_shape': torch.tensor([H, W, 3]), 'mean': [.4, .4, .4], 'image_std': np.ones(3), 'video_ids': [1, 2, 3],
              'objects': [{'id': 1}, {'id': 2}, {'id': 3}], 'id': [11, 12, 13], 'caption': 'abc'}
    out = fast((img, target, (H, W, 3), ['x', 'y', 'z']), draw=LEFT)
    t = out[1]
    assert t['labels'] == (5, 7) and t['shape'] == (H, W, 3) == out[2] and t['img_shape'].tolist() == [H, W, 3] and t['mean'] == [.4]*3 and len(t['image_std']) == 3 and len(t['video_ids']) == 3
    assert t['objects'] == [{'id': 1}, {'id': 3}] and t['id'] == [11, 13] and t['caption'] == 'abc' and out[3] == ['x', 'z']


def test_one_mask_of_the_picture_is_no_set_of_rows(img):
    n = 32                                                            # as many boxes as the new mask is high
    rows = [[300, 150, 390, 190]] + [[10, 10, 60, 60]]*(n - 1)
    for mask in (tv_tensors.Mask(torch.ones(H, W, dtype=torch.uint8)), TensorMask(torch.ones(H, W, dtype=torch.uint8))):
        out = FastPresize((n, 2*n))((img, boxes(*rows), mask), draw=LEFT)
        assert len(out[1]) == n - 1 and out[2].shape == (n, 2*n)
    assert FastPresize((n, 2*n))({'image': img, 'boxes': boxes(*rows), 'mask': torch.ones(H, W)}, draw=LEFT)['mask'].shape == (n, 2*n)


@pytest.mark.parametrize('key', ['area', 'areas', 'Area'])
def test_areas_are_counted_anew_in_the_kind_that_they_came_in(fast, img, key):
    for given in ([2500., 3600., 12100.], (2500, 3600, 12100), np.array([2500, 3600, 12100]), torch.tensor([2500, 3600, 12100]), torch.tensor([2500, 3600, 12100], dtype=torch.float64)):
        got = fast((img, {'boxes': boxes(*THREE), key: given}), draw=LEFT)[1][key]
        assert type(got) is type(given) and np.array(got).tolist() == [2500, 2500]
    assert fast((img, {'boxes': boxes([10, 10, 60, 60]), 'areas': [2500.]}), draw=Draw())[1]['areas'] == [625.]


def test_two_sets_of_boxes_keep_their_own_rows(fast, img):
    one, two = {'boxes': boxes(*THREE), 'more': {'labels': torch.tensor([1, 2, 3])}}, {'boxes': boxes([300, 150, 390, 190]), 'labels': torch.tensor([4])}
    out = fast({'image': img, 'left': one, 'right': two, 'names': ['a', 'b', 'c']}, draw=LEFT)
    assert out['left']['more']['labels'].tolist() == [1, 3] and out['right']['labels'].tolist() == [] and out['names'] == ['a', 'b', 'c']
    out = fast((img, boxes(*THREE), torch.tensor([1, 2, 3]), two), draw=LEFT)
    assert out[2].tolist() == [1, 3] and out[3]['labels'].tolist() == [] and len(out[1]) == 2


# pictures and files of other kinds

def test_open_files_buffers_and_paths_of_other_classes(fast, img, tmp_path):
    img.save(tmp_path/'a.png')
    data, want = (tmp_path/'a.png').read_bytes(), raw(fast(img, draw=FLIP))
    class Own:
        def __fspath__(self): return str(tmp_path/'a.png')
    with open(tmp_path/'a.png', 'rb') as f:
        for x in (io.BytesIO(data), bytearray(data), memoryview(data), Own(), f, np.str_(tmp_path/'a.png')):
            assert raw(fast(x, draw=FLIP)).equal(want) and raw(fast({'image': x, 'label': 3}, draw=FLIP)['image']).equal(want)
            waiting = FastImage.create(x)
            assert waiting.size == (W, H) and raw(fast(waiting, draw=FLIP)).equal(want) and np.asarray(waiting).shape == (H, W, 3)
    with open(tmp_path/'a.png', 'r', encoding='latin-1') as f, pytest.raises(TypeError, match="mode 'rb'"): fast(f)
    with pytest.raises(ValueError, match='must be a str or a Path, not bytes'): fast(os.fsencode(tmp_path/'a.png'))


def test_which_of_several_is_the_picture(fast, img, tmp_path):
    img.save(tmp_path/'a.png')
    a, want = np.asarray(img), raw(fast(img, draw=FLIP))
    for sample, at in (((a, 'cat'), 0), (('cat', a), 1), ({'name': 'cat', 'image': str(tmp_path/'a.png')}, 'image'), ({'file_name': 'x.jpg', 'image': a}, 'image'), ({'file_name': Path('x.jpg'), 'img': a}, 'img'),
                       ({'pixel_values': torch.from_numpy(a.copy()).permute(2, 0, 1), 'caption': 'a cat'}, 'pixel_values'), ([str(tmp_path/'a.png'), 'cat'], 0)):
        out = fast(sample, draw=FLIP)
        assert raw(out[at]).equal(want)
        for k in (sample if isinstance(sample, dict) else range(2)): assert k == at or out[k] == sample[k]


@pytest.mark.parametrize('bad, error', [(np.zeros((0, 5, 3), np.uint8), ValueError), (torch.zeros(3, 0, 5, dtype=torch.uint8), ValueError), (Image.new('RGB', (0, 5)), ValueError),
                                        (torch.zeros(3, 9, 9, dtype=torch.uint8).to_sparse(), TypeError), (torch.zeros(3, 9, 9, dtype=torch.int8), TypeError), (torch.zeros(3, 9, 9, dtype=torch.complex64), TypeError)])
def test_pictures_without_pixels_or_of_odd_numbers_are_named(fast, bad, error):
    with pytest.raises(error, match='picture'): fast(bad)


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'La', 'RGB', 'RGBA', 'RGBa', 'RGBX', 'CMYK', 'YCbCr', 'HSV', 'I', 'I;16', 'I;16B'])
def test_every_mode_of_pillow(fast, mode):
    white = {'I': 65535, 'I;16': 65535, 'I;16B': 65535, 'LA': (255, 255), 'La': (255, 255), 'RGBA': (255,)*4, 'RGBa': (255,)*4, 'CMYK': (0,)*4, 'YCbCr': (255, 128, 128), 'HSV': (0, 0, 255)}
    img = Image.new(mode, (W, H), white.get(mode, 1 if mode == '1' else 255 if mode == 'L' else (255,)*len(mode)))
    for x in (img, PILImage(img)): assert (raw(fast(x)) >= 250).all()


def test_a_pillow_image_under_the_name_of_a_mask_is_said(fast, img):
    for mode in ('RGB', 'L', 'P', '1'):
        for key in ('mask', 'masks', 'gt_mask'):
            with pytest.warns(UserWarning, match='tv_tensors.Mask or PILMask'): fast({'image': img, key: Image.new(mode, (W, H))})


@pytest.mark.parametrize('wrong', [dict(max_rotate='10'), dict(max_warp=None), dict(max_zoom=float('inf')), dict(min_zoom=float('nan')), dict(p_affine=[0.5, 0.5]), dict(do_flip='no'), dict(do_flip=2), dict(do_flip=None)])
def test_numbers_that_are_none_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace('max_zoom', 'zoom').replace('min_zoom', 'zoom')): FastPresize(64, **wrong)


def test_generators_keys_and_truth_values(fast, img):
    for bad in (5, np.random.default_rng(0)):
        with pytest.raises(TypeError, match='torch.Generator'): FastPresize(64, generator=bad)
    for bad in (-1, 'a', 1.5, (0, -2), ('a', 1), [None]):
        with pytest.raises(ValueError, match='key must be'): fast(img, key=bad)
    assert raw(fast(img, key=3)).equal(raw(fast(img, key=np.int64(3)))) and raw(fast(img, key=torch.tensor(3))).equal(raw(fast(img, key=(3,))))
    for bad in (True, (True, 64)):
        with pytest.raises(ValueError, match='size'): FastPresize(bad)


# batches of other kinds

def test_strings_beside_a_batch_are_labels(warp):
    for names in (('a', 'b', 'c', 'd'), ['a.png']*4):
        out = warp([rand(), names], draws=[Draw()]*4)
        assert out[0].shape == (4, 3, 32, 32) and out[1] == names
    out = warp(UserDict(pixel_values=rand(), labels=torch.arange(4), path=['a.png']*4), draws=[Draw()]*4)
    assert type(out) is UserDict and out['pixel_values'].shape == (4, 3, 32, 32) and out['path'] == ['a.png']*4


@pytest.mark.parametrize('beside', [tv_tensors.Mask(torch.zeros(3, 64, 64)), tv_tensors.Mask(torch.zeros(64, 64)), tv_tensors.KeyPoints(torch.zeros(3, 5, 2), canvas_size=(64, 64)), TensorPoint(torch.zeros(2)),
                                    TensorBBox(torch.zeros(4, 4)), TensorBBox(torch.zeros(3, 2, 4))])
def test_targets_of_another_batch_are_named(warp, beside):
    with pytest.raises(ValueError, match='batch of 4 pictures'): warp([rand(), beside])


@pytest.mark.parametrize('bad, error', [(torch.rand(0, 3, 64, 64), ValueError), (torch.rand(4, 3, 0, 64), ValueError), (rand().to(torch.float8_e4m3fn), TypeError), (torch.zeros(4, 3, 64, 64, dtype=torch.uint16), TypeError),
                                        (rand().bool(), TypeError)])
def test_batches_without_pixels_or_of_odd_numbers_are_named(warp, bad, error):
    with pytest.raises(error, match='batch'): warp(bad)


def test_the_memory_of_a_batch_does_not_matter(warp):
    draws = [random_draw(u) for u in np.random.default_rng(0).random((4, 20))]
    want = warp(rand(), draws=draws)
    for x in (rand().contiguous(memory_format=torch.channels_last), rand().flip(3).contiguous().flip(3), rand().requires_grad_()): assert torch.allclose(warp(x, draws=draws), want, atol=1e-5)
    assert warp(rand(1), draws=draws[:1]).shape == (1, 3, 32, 32)
