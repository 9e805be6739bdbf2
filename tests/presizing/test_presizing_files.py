"""Odd and damaged files: each a correct picture or an error that names the file."""
import io
import warnings

import numpy as np
import pytest
import torch
from fastai.vision.core import PILImage
from PIL import Image
from sklearn.datasets import load_sample_images

from course_lib.presizing import Draw, FastImage, FastPresize

PHOTO = Image.fromarray(load_sample_images().images[0])


def write(path, img, fmt, **k):
    img.save(path, fmt, **k)
    return path


def valid(path): return FastPresize(64)(path, split_idx=1).permute(1, 2, 0).numpy().astype(int)


@pytest.fixture(scope='module')
def plain(tmp_path_factory): return valid(write(tmp_path_factory.mktemp('p')/'plain.png', PHOTO, 'PNG'))


@pytest.mark.parametrize('fmt', ['JPEG', 'PNG'])
def test_truncated(tmp_path, fmt):
    path = write(tmp_path/f'cut.{fmt.lower()}', PHOTO, fmt)
    data = path.read_bytes()
    for keep in (len(data)//2, 30, 3, 0):
        path.write_bytes(data[:keep])
        with pytest.raises(ValueError, match=path.name): valid(path)
        with pytest.raises(ValueError, match=path.name): FastImage.create(path).load()


def test_not_a_picture_and_missing(tmp_path):
    (tmp_path/'notes.jpg').write_text('hello')
    with pytest.raises(ValueError, match='notes.jpg'): valid(tmp_path/'notes.jpg')
    with pytest.raises(FileNotFoundError, match='gone.jpg'): valid(tmp_path/'gone.jpg')


def test_bomb_is_refused_with_its_size(tmp_path, monkeypatch):
    path = write(tmp_path/'bomb.png', Image.new('1', (4000, 4000)), 'PNG')
    for limit in (10_000_000, 1_000_000):       # Pillow itself only warns of the first
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', limit)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with pytest.raises(ValueError, match=r'bomb.png: .*(4000 × 4000|16000000) pixels'): valid(path)


def test_cmyk(tmp_path, plain): assert np.abs(valid(write(tmp_path/'c.jpg', PHOTO.convert('CMYK'), 'JPEG', quality=95)) - plain).mean() < 3


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    grey = np.asarray(PHOTO.convert('L'))
    deep = write(tmp_path/'d.png', Image.fromarray(grey.astype(np.uint16)*257), 'PNG')
    flat = write(tmp_path/'f.png', Image.fromarray(grey), 'PNG')
    assert np.array_equal(valid(deep), valid(flat))
    low = write(tmp_path/'low.png', Image.fromarray(np.full((50, 50), 1000, np.uint16)), 'PNG')
    assert abs(valid(low).mean() - 4) < 0.6
    with pytest.raises(ValueError, match='float'): valid(write(tmp_path/'f.tiff', Image.fromarray(grey.astype(np.float32)), 'TIFF'))
    with pytest.raises(ValueError, match='wide.tiff.*70000'): valid(write(tmp_path/'wide.tiff', Image.fromarray(np.full((9, 9), 70000, np.int32)), 'TIFF'))


def test_palette_grey_and_one_bit(tmp_path, plain):
    assert np.abs(valid(write(tmp_path/'p.png', PHOTO.quantize(256), 'PNG')) - plain).mean() < 6
    assert np.abs(valid(write(tmp_path/'p.gif', PHOTO.quantize(256), 'GIF')) - plain).mean() < 6
    grey = valid(write(tmp_path/'l.jpg', PHOTO.convert('L'), 'JPEG'))
    assert (grey[..., 0] == grey[..., 2]).all() and np.abs(grey - plain).mean() < 30
    assert valid(write(tmp_path/'1.png', Image.new('1', (40, 30), 1), 'PNG')).min() == 255


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.zeros((80, 80, 4), np.uint8)
    rgba[..., 0], rgba[40:, :, 3] = 200, 255        # hidden red above, red below
    y = valid(write(tmp_path/'a.png', Image.fromarray(rgba), 'PNG'))
    assert (y[5, 5] == 255).all() and tuple(y[-5, 5]) == (200, 0, 0)
    la = Image.fromarray(np.stack([np.full((30, 30), 10, np.uint8), np.zeros((30, 30), np.uint8)], -1), 'LA')
    assert (valid(write(tmp_path/'la.png', la, 'PNG')) == 255).all()
    pal = Image.new('P', (30, 30), 1)
    pal.putpalette([0, 0, 0, 9, 9, 9])
    assert (valid(write(tmp_path/'t.png', pal, 'PNG', transparency=1)) == 255).all()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_rotation(tmp_path, orientation):
    big = PHOTO.resize((1280, 854))
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]     # Image.Transpose that undoes the camera's turn
    stored = big if back is None else big.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path, upright = write(tmp_path/'e.jpg', stored, 'JPEG', quality=95, exif=exif), write(tmp_path/'u.jpg', big, 'JPEG', quality=95)
    assert tuple(FastImage.create(path).size) == (1280, 854)
    assert np.abs(valid(path) - valid(upright)).mean() < 2
    small = FastPresize(64, presize=64)
    assert np.abs(small(path, split_idx=1).int() - small(upright, split_idx=1).int()).float().mean() < 3   # through draft mode


@pytest.mark.parametrize('size', [(1, 1), (1, 300), (300, 1), (2, 3), (3000, 2)])
def test_tiny_sides(tmp_path, size):
    path = write(tmp_path/'thin.png', Image.new('RGB', size, (10, 200, 30)), 'PNG')
    for k in range(5):
        y = FastPresize(32, max_lighting=0.)(path, key=k)
        assert (y == torch.tensor([10, 200, 30])[:, None, None]).all()


def test_draft_sizes_that_do_not_divide(tmp_path):
    a = np.zeros((1001, 1333, 3), np.uint8)
    a[:, 1300:] = 255                                 # a white band at the far right
    a[990:] = 255
    path = write(tmp_path/'odd.jpg', Image.fromarray(a), 'JPEG', quality=95, subsampling=0)
    png = write(tmp_path/'odd.png', Image.fromarray(a), 'PNG')
    fast = FastPresize((90, 120), presize=(90, 120))
    assert FastImage.create(path).pixels((120, 90))[1] == 8
    y, z = [fast(p, split_idx=1).float().mean((0, 1)) for p in (path, png)]
    assert (y - z).abs().max() < 60                   # other filters; a shift by one decoded pixel would be about 180


def test_fast_image_is_an_ordinary_picture_once_asked(tmp_path):
    path = write(tmp_path/'x.jpg', PHOTO, 'JPEG', quality=90)
    img = FastImage.create(path)
    assert tuple(img.size) == PHOTO.size and img.mode == 'RGB' and img.file is not None
    first, factor = img.pixels((64, 64))
    assert factor == 4 and first.shape[0] == -(-PHOTO.size[1]//4)
    again, _ = img.pixels((64, 64))
    assert np.array_equal(first, again)
    assert np.array_equal(np.asarray(img), np.asarray(Image.open(path))) and img.file is None
    assert np.asarray(img.resize((10, 10))).shape == (10, 10, 3)
    assert isinstance(FastImage.create(np.zeros((4, 4, 3), np.uint8)), PILImage)
    assert FastPresize(32)(path.read_bytes(), draw=Draw()).shape == (3, 32, 32)
    assert torch.equal(FastPresize(32)(io.BytesIO(path.read_bytes()).getvalue(), draw=Draw()), FastPresize(32)(path, draw=Draw()))
