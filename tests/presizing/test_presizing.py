"""Geometry, quality and the API of course_lib.presizing, against formulas and fastai's own transforms."""
import io
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastai.torch_core import TensorImage, TensorMask
from fastai.vision.augment import Resize, setup_aug_tfms
from fastai.vision.core import PILImage, PILMask, TensorBBox, TensorPoint
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import tv_tensors
from torchvision.transforms import v2

from course_lib.presizing import (BatchPresize, Draw, FastImage, FastPresize, apply_map, augment_apart,
                                  augment_recipe, compare, corners_of, detail, draw_map, largest_box, lighting_table, presize, psnr, random_draw, resample,
                                  rotate_map, sample_batch, shrinking, ssim, supersampled, unit_map, warp_map, zoom_map)
from course_lib.presizing.quality import _recipe

PHOTOS = load_sample_images().images
SIZE = (224, 224)


@pytest.fixture(autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


def pattern(w, h):
    y, x = np.mgrid[:h, :w]
    rings = 127.5 + 127.5*np.cos(((x - w/2)**2 + (y - h/2)**2)*0.35*math.pi/max(w, h))
    board = np.where((x//(w//40) + y//(w//40)) % 2, 220, 30)
    return np.stack([rings, board, (rings + board)/2], -1).astype(np.uint8)


def chw(a): return torch.from_numpy(np.array(a)).permute(2, 0, 1)
def fitted(a, w, h): return Image.fromarray(a).resize((w, h), Image.Resampling.LANCZOS)
def drawn(seed, n, **k): return [random_draw(u, **k) for u in np.random.default_rng(seed).random((n, 20))]
def file_of(img, fmt='JPEG', **k): f = io.BytesIO(); img.save(f, fmt, **k); return f.getvalue()


uniforms = st.lists(st.floats(0, 1), min_size=20, max_size=20)
sides = st.integers(1, 3000)


# geometry

@given(uniforms, sides, sides, st.integers(1, 400), st.integers(1, 400))
@settings(max_examples=150, deadline=None)
def test_composed_map_equals_one_after_another(u, sw, sh, w, h):
    d = random_draw(u)
    points = np.array([(0, 0), (w, 0), (w/3, h/2), (w, h)])
    p = apply_map(np.array([[2/w, 0, -1], [0, 2/h, -1], [0, 0, 1]]), points)
    for _, step in reversed(d.steps(w/h)): p = apply_map(step, p)
    left, top, bw, bh = largest_box((sw, sh), (w, h), d.box_x, d.box_y)
    p = np.stack([left + (p[:, 0] + 1)/2*bw, top + (p[:, 1] + 1)/2*bh], 1)
    assert np.abs(apply_map(draw_map(d, (sw, sh), (w, h), clamp=False), points) - p).max() < 1e-4


@given(uniforms, sides, sides, st.floats(0, 180), st.floats(0, 0.49))
@settings(max_examples=200, deadline=None)
def test_no_corner_looks_outside(u, sw, sh, rotate, warp):
    q = corners_of(draw_map(random_draw(u, max_rotate=rotate, max_warp=warp), (sw, sh), SIZE), SIZE)
    assert (q >= -1e-6*max(sw, sh)).all() and (q <= np.array([sw, sh]) + 1e-6*max(sw, sh)).all()


@given(uniforms)
@settings(max_examples=50, deadline=None)
def test_the_clamp_leaves_what_fits_alone_and_only_slides_if_that_is_enough(u):
    d = replace(random_draw(u), crop=0.5, zoom=1.)
    free, held = draw_map(d, (500, 375), SIZE, clamp=False), draw_map(d, (500, 375), SIZE)
    fits = ((corners_of(free, SIZE) >= 0) & (corners_of(free, SIZE) <= [500, 375])).all()
    assert np.allclose(shrinking(free, SIZE), shrinking(held, SIZE))   # half the box always fits somewhere
    if fits: assert np.allclose(free, held)


def test_steps_are_right_in_known_cases():
    assert np.allclose(apply_map(rotate_map(90), [(1, 0)]), [(0, -1)])
    assert np.allclose(apply_map(zoom_map(0.5, 0, 1), [(-1, 1), (1, -1)]), [(-1, 1), (0, 0)])
    corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    x, y = 0.2, -0.1
    moved = [(-1 - y, -1 - x), (-1 + y, 1 + x), (1 + y, -1 + x), (1 - y, 1 - x)]
    assert np.allclose(apply_map(warp_map(x, y), moved), corners)
    a = draw_map(Draw(angle=90), (300, 300), (100, 100))
    assert np.allclose(corners_of(a, (100, 100)), [(0, 300), (0, 0), (300, 0), (300, 300)])
    right = apply_map(draw_map(Draw(angle=30), (900, 600), (90, 60), clamp=False), [(45, 30), (55, 30), (45, 40)])
    assert abs((right[1] - right[0]) @ (right[2] - right[0])) < 1e-9   # angles stay right in a picture that is not square


def test_wrong_order_and_half_pixel_are_told_apart():
    d = drawn(0, 1)[0]
    m = draw_map(d, (500, 375), SIZE, clamp=False)
    back = replace(d, angle=-d.angle)
    assert np.abs(apply_map(m, [(10, 10)]) - apply_map(draw_map(back, (500, 375), SIZE, clamp=False), [(10, 10)])).max() > 1


def blob(w, h, x, y):
    "A soft dot whose centre of mass is at pixel coordinates x, y (edges whole)"
    yy, xx = np.mgrid[:h, :w] + 0.5
    a = 250*np.exp(-((xx - x)**2 + (yy - y)**2)/(2*6**2))
    return np.repeat(a[..., None].round().astype(np.uint8), 3, 2)


def centre(x):
    x = x.double().mean(0)
    x = torch.where(x > 3, x, 0)
    yy, xx = torch.meshgrid(torch.arange(x.shape[0]) + 0.5, torch.arange(x.shape[1]) + 0.5, indexing='ij')
    return np.array([(x*xx).sum()/x.sum(), (x*yy).sum()/x.sum()])


def test_a_marked_point_lands_where_fastai_puts_it():
    seen = 0
    for i, d in enumerate(drawn(3, 14, min_scale=0.8)):
        cut = round(460*d.crop)                     # fastai rounds boxes to whole pixels: draw such boxes
        d = replace(d, crop=cut/460, crop_x=round(d.crop_x*(460 - cut))/(460 - cut), crop_y=round(d.crop_y*(460 - cut))/(460 - cut), box_x=int(d.box_x*125)/125)
        at = np.array([250, 187.5]) + 60*np.array([math.cos(i), math.sin(i)])
        img = blob(500, 375, *at)
        theirs, _, _ = _recipe(img, d, 224, 460)
        m = draw_map(d, (500, 375), SIZE, clamp=False)
        want = apply_map(np.linalg.inv(m), [at])[0]
        if not (25 < want.min() and want.max() < 199): continue
        ours = resample(chw(img), m, SIZE)
        assert np.abs(centre(theirs) - centre(ours)).max() < 0.5
        assert np.abs(centre(ours) - want).max() < 0.1
        seen += 1
    assert seen >= 8


def test_points_masks_and_pictures_move_together():
    for i, d in enumerate(drawn(5, 6)):
        at = np.array([300.5, 200.5])
        img, mask = Image.fromarray(blob(500, 375, *at)), np.zeros((375, 500), np.uint8)
        mask[190:211, 290:311] = 7
        fast = FastPresize(SIZE, max_lighting=0.)
        y, labels, kp, name = fast((img, tv_tensors.Mask(torch.from_numpy(mask)), tv_tensors.KeyPoints(torch.from_numpy(at[None]), canvas_size=(375, 500)), 'cat'), draw=replace(d, brightness=0.5, contrast=1.))
        assert name == 'cat' and set(labels.unique().tolist()) <= {0, 7} and labels.dtype == torch.uint8
        if not (30 < kp.min() and kp.max() < 194): continue
        assert np.abs(centre(y) - kp[0].numpy()).max() < 0.15
        assert np.abs(centre((labels == 7).float()[None]*255) - kp[0].numpy()).max() < 0.6
        tp = TensorPoint(torch.from_numpy(at[None]/[250, 187.5] - 1).float())
        _, moved, box = fast((PILImage(img), tp, TensorBBox(torch.cat([tp - 0.1, tp + 0.1], 1))), draw=d)
        assert np.abs((moved.numpy()[0] + 1)*112 - kp[0].numpy()).max() < 1e-3
        assert (box[0, :2] < moved[0]).all() and (box[0, 2:] > moved[0]).all()


def test_a_mask_of_another_shape_is_an_error_and_a_smaller_one_of_the_same_shape_is_not():
    img, fast = fitted(PHOTOS[0], 500, 375), FastPresize(64)
    fast((img, tv_tensors.Mask(torch.zeros(188, 250, dtype=torch.uint8))))
    with pytest.raises(ValueError, match='does not fit'): fast((img, tv_tensors.Mask(torch.zeros(500, 375, dtype=torch.uint8))))


# quality

@pytest.mark.parametrize('name, img, gain, n', [
    ('photo 1', fitted(PHOTOS[0], 500, 375), 3, 20), ('photo 2', fitted(PHOTOS[1], 500, 375), 3, 20), ('pattern', Image.fromarray(pattern(500, 375)), 3, 20),
    ('photo 1 as it is', Image.fromarray(PHOTOS[0]), 3, 6), ('mosaic', Image.fromarray(np.concatenate([np.concatenate([PHOTOS[0], PHOTOS[1]], 1)]*2)), 1.5, 5),
    ('large pattern', Image.fromarray(pattern(1280, 854)), 1.5, 4)])
def test_nearer_to_the_ideal_than_the_recipe(name, img, gain, n):
    rows = [compare(img, d, clamp=c) for d in drawn(0, n) for c in ((True, False) if n == 20 else (True,))]
    mean = {way: np.mean([[getattr(r[way], m) for m in ('psnr', 'ssim', 'detail', 'border')] for r in rows], 0) for way in rows[0]}
    assert mean['presized'][0] > mean['recipe'][0] + gain > mean['apart'][0] + gain
    assert mean['presized'][1] > mean['recipe'][1] and 0.8 < mean['presized'][2] < 1.1
    assert mean['recipe'][3] < 0.02
    for r in rows[::2 if n == 20 else 1]: assert r['presized'].border == 0


def test_quality_from_the_file_through_draft_mode():
    mosaic = np.concatenate([np.concatenate([PHOTOS[0], PHOTOS[1]], 1)]*2)
    data = file_of(Image.fromarray(np.concatenate([mosaic, mosaic[:, ::-1]], 1)[:, :2000]).crop((0, 0, 1120, 840)).resize((2000, 1500), Image.Resampling.BICUBIC), quality=90)
    whole, gains = np.array(FastImage.create(data)), []
    for d in drawn(2, 2, max_lighting=0.):
        ideal = supersampled(chw(whole), draw_map(d, (2000, 1500), SIZE), SIZE)
        gains.append(psnr(FastPresize(224)(data, draw=d), ideal) - compare(Image.fromarray(whole), d)['recipe'].psnr)
    assert np.mean(gains) > 1.5


def test_ideal_agrees_with_a_much_finer_one():
    a, m = np.asarray(fitted(PHOTOS[0], 320, 240)), draw_map(drawn(0, 1)[0], (320, 240), (64, 64))
    x = torch.from_numpy(np.array(a)).permute(2, 0, 1).double()[None]
    at = [(i + 0.5)/12 - 0.5 for i in range(12)]
    fine = sample_batch(x, torch.from_numpy(unit_map(320, 240) @ m)[None], (64, 64), [(p, q) for p in at for q in at], 'bicubic')[0]
    assert psnr(supersampled(chw(a), m, (64, 64)), fine) > 50


def test_measures_against_known_values():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(3, 64, 64, generator=g)*255
    assert abs(psnr(x, x + 5) - 20*math.log10(51)) < 1e-4 and psnr(x, x) == math.inf
    assert psnr(x, x + torch.eye(64)*99, where=torch.eye(64) == 0) == math.inf
    assert abs(ssim(x, x) - 1) < 1e-9 and ssim(x, torch.rand(3, 64, 64, generator=g)*255) < 0.1
    flat = torch.full((3, 20, 20), 100.)   # two constants: only the luminance term is left
    assert abs(ssim(flat, flat + 50) - (2*100*150 + 2.55**2)/(100**2 + 150**2 + 2.55**2)) < 1e-9
    assert abs(detail(x*0.5, x) - 0.25) < 1e-6
    with pytest.raises(ValueError, match='shape'): psnr(x, x[:, :10])
    with pytest.raises(ValueError, match='11'): ssim(x[:, :5], x[:, :5])


# the pieces

def test_lighting_is_fastais_up_to_rounding():
    from fastai.vision.augment import Brightness, Contrast
    x = TensorImage(torch.arange(256.).view(1, 1, 16, 16).expand(1, 3, 16, 16)/255)
    for b, c in [(0.4, 0.8), (0.6, 1.25), (0.5, 1.1), (0.55, 1.)]:
        light = setup_aug_tfms([Brightness(p=1., draw=b), Contrast(p=1., draw=c)])[0]
        assert np.abs(lighting_table(b, c) - light(x.clone(), split_idx=0)[0, 0].flatten().numpy()*255).max() < 0.501
    out, plain = [FastPresize(32)(Image.fromarray(PHOTOS[0]), draw=d) for d in (Draw(brightness=0.6, contrast=0.9), Draw())]
    assert (np.asarray(out) == lighting_table(0.6, 0.9)[np.asarray(plain)]).all()


def test_ranges_and_chances_of_the_draws():
    ds = drawn(0, 4000)
    share = lambda f: np.mean([f(d) for d in ds])
    assert all(math.sqrt(0.75) <= d.crop <= 1 and abs(d.angle) <= 10 and 1 <= d.zoom <= 1.1 and max(abs(d.warp_x), abs(d.warp_y)) <= 0.2 and 0.4 <= d.brightness <= 0.6 and 0.8 <= d.contrast <= 1.25 for d in ds)
    assert abs(share(lambda d: d.flip) - 0.5) < 0.03
    for f in (lambda d: d.angle != 0, lambda d: d.zoom != 1, lambda d: d.warp_x != 0, lambda d: d.brightness != 0.5, lambda d: d.contrast != 1): assert abs(share(f) - 0.75) < 0.03
    assert abs(share(lambda d: d.crop**2) - 0.875) < 0.005 and abs(share(lambda d: d.angle)) < 0.3
    angle, warp = np.array([(d.angle, d.warp_x) for d in ds]).T
    assert abs(np.corrcoef(angle, warp)[0, 1]) < 0.05
    a = np.random.default_rng(1).random(20)
    assert replace(random_draw(a), angle=0.) == random_draw(a, max_rotate=0.)
    with pytest.raises(ValueError, match='20'): random_draw([0.5]*5)


@pytest.mark.parametrize('kwargs, name', [(dict(presize=100), 'presize'), (dict(min_scale=0), 'min_scale'), (dict(min_scale=1.2), 'min_scale'), (dict(max_rotate=-1), 'max_rotate'),
    (dict(min_zoom=1.2), 'zoom'), (dict(min_zoom=0), 'zoom'), (dict(max_lighting=1), 'max_lighting'), (dict(max_warp=0.7), 'max_warp'), (dict(p_affine=2), 'p_affine'),
    (dict(p_lighting=-0.1), 'p_lighting'), (dict(min_scale=float('nan')), 'min_scale'), (dict(size=0), 'size'), (dict(size=(10, 2.5)), 'size')])
def test_wrong_parameters_are_named(kwargs, name):
    for f in (presize, FastPresize):
        with pytest.raises(ValueError, match=name): f(**{'size': 128, **kwargs})


def test_unknown_parameters_are_refused():
    with pytest.raises(TypeError): presize(224, max_rotation=3)
    with pytest.raises(TypeError): FastPresize(224, max_rotation=3)


def test_presize_is_the_recipe():
    item, batch = presize(96, 200, min_scale=1., max_rotate=3.)
    assert isinstance(item[0], Resize) and item[0].size == (200, 200)
    assert batch[0](TensorImage(torch.rand(2, 3, 200, 200)), split_idx=0).shape == (2, 3, 96, 96)
    assert presize((64, 96))[0][0].size[0] == 198


def test_augment_apart_does_every_step():
    d = Draw(angle=10, zoom=1.1, warp_x=0.1, crop=0.9, flip=True)
    y = augment_apart(fitted(PHOTOS[0], 500, 375), d)
    assert y.shape == (3, 224, 224) and y.dtype == torch.uint8
    c = compare(fitted(PHOTOS[0], 500, 375), d)['apart']
    assert psnr(y, c.image) == math.inf and 20 < c.psnr < 35   # blurred, but the same geometry as its ideal


def test_augment_recipe_is_the_picture_that_compare_measures():
    d = Draw(angle=10, zoom=1.1, warp_x=0.1, crop=0.9, flip=True)
    img = fitted(PHOTOS[0], 500, 375)
    y = augment_recipe(img, d, 96)
    assert y.shape == (3, 96, 96) and y.dtype == torch.uint8 and y.equal(compare(img, d, 96)['recipe'].image)
    assert psnr(y, augment_apart(img, d, 96)) < psnr(y, compare(img, d, 96)['recipe'].ideal)
    lit = augment_recipe(img, Draw(brightness=0.6), 96)
    assert lit.float().mean() > augment_recipe(img, Draw(), 96).float().mean() + 5
    with pytest.raises(ValueError, match='presize must not be smaller'): augment_recipe(img, d, 96, 48)


def test_same_draw_same_picture_for_every_kind_of_input(tmp_path):
    img = fitted(PHOTOS[0], 500, 375)
    (tmp_path/'a.png').write_bytes(file_of(img, 'PNG'))
    d, fast = drawn(1, 1)[0], FastPresize(128)
    outs = [fast(x, draw=d) for x in (img, PILImage(img.copy()), tmp_path/'a.png', str(tmp_path/'a.png'), file_of(img, 'PNG'), FastImage.create(tmp_path/'a.png'), tv_tensors.Image(torch.from_numpy(np.array(img)).permute(2, 0, 1)))]
    assert all(torch.equal(torch.as_tensor(outs[0]).as_subclass(torch.Tensor), torch.as_tensor(o).as_subclass(torch.Tensor)) for o in outs)
    assert isinstance(outs[0], tv_tensors.Image) and isinstance(outs[1], TensorImage)
    both = fast({'image': img, 'label': 3}, draw=d)
    assert both['label'] == 3 and torch.equal(both['image'], outs[0])
    assert v2.Compose([fast, v2.ToDtype(torch.float32, scale=True)])(img).dtype == torch.float32
    with pytest.raises(TypeError, match='uint8'): fast(tv_tensors.Image(torch.rand(3, 9, 9)))


def test_not_square():
    y = FastPresize((96, 160))(Image.fromarray(PHOTOS[0]), draw=Draw(angle=8, flip=True))
    assert y.shape == (3, 96, 160)


def test_keys_decide_and_generators_repeat():
    img = Image.fromarray(PHOTOS[0])
    make = lambda: FastPresize(64, generator=torch.Generator().manual_seed(4))
    a, b = make(), make()
    assert a.draw() == b.draw() and a.draw((1, 2)) == b.draw((1, 2)) != a.draw((1, 3))
    assert a.draw() != a.draw()
    c = pickle.loads(pickle.dumps(a))
    assert c.draw((1, 2)) == a.draw((1, 2)) and c.draw() == a.draw()
    old = a.draw((0, 0))
    a.next_pass()
    assert a.draw((0, 0)) != old
    assert not torch.equal(a(img, key=1), a(img, key=2)) and torch.equal(a(img, split_idx=1), a(img, split_idx=1))


class Photos(torch.utils.data.Dataset):
    def __init__(self, fast, keyed): self.fast, self.keyed, self.img = fast, keyed, fitted(PHOTOS[0], 250, 188)
    def __len__(self): return 12
    def __getitem__(self, i): return self.fast(self.img, key=(0, i) if self.keyed else None)


def test_plain_loader_does_not_depend_on_workers_and_warns_of_copies(monkeypatch):
    fast = FastPresize(32, generator=torch.Generator().manual_seed(0))
    load = lambda w, keyed=True: torch.cat(list(torch.utils.data.DataLoader(Photos(fast, keyed), batch_size=4, num_workers=w)))
    one = load(0)
    assert torch.equal(one, load(2)) and len({t.numpy().tobytes() for t in one}) == 12
    monkeypatch.setattr(torch.utils.data, 'get_worker_info', lambda: 'in a worker')
    with pytest.raises(ValueError, match='key='): load(0, keyed=False)


def test_batch_path_does_what_the_item_path_does():
    fast = FastPresize(96, presize=256)
    [item], [warp] = fast.tfms('cuda')
    assert isinstance(warp, BatchPresize) and fast.tfms('cpu') == ([fast], [])
    imgs = [fitted(p, 256, 256) for p in PHOTOS]
    big = [item((PILImage(i), PILMask(Image.fromarray(pattern(256, 256)[..., 1])), TensorPoint(torch.tensor([[0.2, -0.1]]))), draw=Draw()) for i in imgs]
    assert psnr(big[0][0].as_subclass(torch.Tensor), torch.from_numpy(np.array(imgs[0])).permute(2, 0, 1)) > 45
    ds = [replace(d, box_x=0.5, box_y=0.5) for d in drawn(8, 2)]
    batch = TensorImage(torch.stack([b[0] for b in big]).float()/255), TensorMask(torch.stack([b[1] for b in big])), TensorPoint(torch.stack([b[2] for b in big]))
    x, m, p = warp(batch, draws=ds)
    for k, d in enumerate(ds):
        y, n, q = fast((PILImage(imgs[k]), PILMask(Image.fromarray(pattern(256, 256)[..., 1])), TensorPoint(torch.tensor([[0.2, -0.1]]))), draw=d)
        assert psnr(x[k].as_subclass(torch.Tensor)*255, y.as_subclass(torch.Tensor)) > 35
        assert (m[k].as_subclass(torch.Tensor) == n.as_subclass(torch.Tensor)).float().mean() > 0.97 and torch.allclose(p[k].as_subclass(torch.Tensor), q.as_subclass(torch.Tensor), atol=1e-5)
    assert warp(batch, split_idx=1)[0].shape == (2, 3, 96, 96)
    fresh = warp(TensorImage(batch[0][:1].repeat(4, 1, 1, 1)))
    assert not torch.equal(fresh[0], fresh[1])    # a draw of its own for each picture


@pytest.mark.cuda
def test_batch_path_on_a_gpu():
    if not torch.cuda.is_available(): pytest.skip('needs a CUDA device')
    warp = BatchPresize(FastPresize(96, presize=256))
    x, ds = TensorImage(torch.rand(4, 3, 256, 256)), drawn(1, 4)
    assert torch.allclose(warp(x, draws=ds), warp(x.cuda(), draws=ds).cpu(), atol=0.01)
