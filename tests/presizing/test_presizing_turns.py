"""Pictures that say "please turn", in every format and by every kind of note: all agree with `ImageOps.exif_transpose`."""
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from fastai.vision.core import PILImage
from PIL import Image, ImageOps, PngImagePlugin, TiffImagePlugin, features
from torchvision import tv_tensors

from course_lib.presizing import Draw, FastImage, FastPresize


def picture(w=120, h=60):
    "Three colours, no two corners alike"
    a = np.zeros((h, w, 3), np.uint8)
    a[:, :w//2], a[:, w//2:], a[:h//4, :w//2] = [255, 0, 0], [0, 0, 255], [0, 255, 0]
    return Image.fromarray(a)


def data(fmt, img=None, **k):
    f = io.BytesIO()
    (img or picture()).save(f, fmt, **k)
    return f.getvalue()


def exif(turn):
    e = Image.Exif()
    e[0x0112] = turn
    return e


def xmp(turn, element=False):
    inside = f'><tiff:Orientation>{turn}</tiff:Orientation></rdf:Description>' if element else f' tiff:Orientation="{turn}"/>'
    return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{inside}</rdf:RDF></x:xmpmeta>')


def tiff(turn, img=None, **k):
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[274] = turn
    return data('TIFF', img, tiffinfo=info, **k)


def png_text(turn, key='XML:com.adobe.xmp', compressed=False, kind='itxt', element=False):
    info = PngImagePlugin.PngInfo()
    if kind == 'itxt': info.add_itxt(key, xmp(turn, element), zip=compressed)
    else:
        raw = exif(turn).tobytes()
        info.add_text(key, f'\nexif\n{len(raw):8}\n{raw.hex()}\n', zip=compressed)
    return data('PNG', pnginfo=info)


def behind(png, chunks=(b'eXIf', b'iTXt', b'tEXt', b'zTXt')):
    "A PNG with its notes moved behind the pixels, where the standard allows them"
    at, before, notes = 8, [png[:8]], []
    while at < len(png):
        n, kind = struct.unpack_from('>I4s', png, at)
        chunk, at = png[at:at + 12 + n], at + 12 + n
        if kind == b'IEND': before += [*notes, chunk]
        else: (notes if kind in chunks else before).append(chunk)
    return b''.join(before)


def two_pages(turn):
    f = io.BytesIO()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[274] = turn
    picture().save(f, 'TIFF', save_all=True, append_images=[Image.new('RGB', (120, 60))], tiffinfo=info)
    return f.getvalue()


FILES = {
    'TIFF': tiff, 'TIFF, LZW': lambda o: tiff(o, compression='tiff_lzw'), 'TIFF, deflate': lambda o: tiff(o, compression='tiff_adobe_deflate'),
    'TIFF, RGBA': lambda o: tiff(o, picture().convert('RGBA')), 'TIFF, grey': lambda o: tiff(o, picture().convert('L')),
    'TIFF, CMYK': lambda o: tiff(o, picture().convert('CMYK')), 'TIFF, palette': lambda o: tiff(o, picture().quantize(8)),
    'TIFF, 16 bits': lambda o: tiff(o, Image.fromarray(np.asarray(picture().convert('L')).astype(np.uint16)*257)),
    'TIFF, two pages': two_pages, 'TIFF, big endian': lambda o: tiff(o, Image.fromarray(np.asarray(picture().convert('L')).astype('>u2')*257)),
    'PNG': lambda o: data('PNG', exif=exif(o)), 'PNG, EXIF behind': lambda o: behind(data('PNG', exif=exif(o))),
    'PNG, XMP': png_text, 'PNG, XMP as an element': lambda o: png_text(o, element=True),
    'PNG, XMP compressed': lambda o: png_text(o, compressed=True), 'PNG, XMP behind': lambda o: behind(png_text(o)),
    'PNG, raw profile': lambda o: png_text(o, 'Raw profile type exif', kind='text'),
    'PNG, raw profile compressed': lambda o: png_text(o, 'Raw profile type exif', True, 'text'),
    'PNG, raw profile behind': lambda o: behind(png_text(o, 'Raw profile type exif', True, 'text')),
    'PNG, palette': lambda o: data('PNG', picture().quantize(8), exif=exif(o)),
    'JPEG': lambda o: data('JPEG', exif=exif(o), quality=95), 'JPEG, progressive': lambda o: data('JPEG', exif=exif(o), progressive=True, quality=95),
    'JPEG, XMP': lambda o: data('JPEG', xmp=xmp(o).encode(), quality=95), 'JPEG, grey': lambda o: data('JPEG', picture().convert('L'), exif=exif(o)),
    'MPO': lambda o: data('MPO', exif=exif(o), quality=95),
    'WEBP': lambda o: data('WEBP', exif=exif(o), lossless=True), 'WEBP, XMP': lambda o: data('WEBP', xmp=xmp(o).encode(), lossless=True),
    'JPEG 2000': lambda o: data('JPEG2000'), 'GIF': lambda o: data('GIF'), 'BMP': lambda o: data('BMP'), 'TGA': lambda o: data('TGA'),
}
if features.check('avif'): FILES['AVIF'] = lambda o: data('AVIF', exif=exif(o), quality=95)


def upright(file): return ImageOps.exif_transpose(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize('turn', range(1, 9))
@pytest.mark.parametrize('kind', FILES)
def test_size_pixels_and_presized_agree_with_pillow(kind, turn):
    file = FILES[kind](turn)
    want = upright(file)
    w, h = want.size
    assert FastImage.create(file).size == (w, h)
    got = np.asarray(FastImage.create(file)).astype(int)
    if 'RGBA' in kind or '16' in kind or 'endian' in kind: want = np.asarray(upright(FILES['TIFF, grey' if 'RGBA' not in kind else 'TIFF'](turn)).convert('RGB'))
    else: want = np.asarray(want.convert('RGB'))
    assert got.shape == (h, w, 3) and np.abs(got - want).mean() < 0.01
    whole = FastPresize((h, w), presize=(h, w))(file, split_idx=1).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(whole - want).mean() < 2
    small = FastPresize((h//4, w//4), presize=(h//4, w//4))(file, split_idx=1)   # a JPEG comes through draft mode here
    assert small.shape == (3, h//4, w//4)
    want = torch.nn.functional.interpolate(torch.from_numpy(want.copy()).permute(2, 0, 1)[None], (h//4, w//4), mode='bicubic', antialias=True)[0]
    assert (small.float() - want.float()).abs().mean() < 6


@pytest.mark.parametrize('kind', ['TIFF', 'PNG, XMP', 'PNG, raw profile behind', 'JPEG', 'WEBP, XMP'])
@pytest.mark.parametrize('turn', [3, 5, 6, 8])
def test_masks_points_and_boxes_of_the_upright_picture_fit(kind, turn):
    file = FILES[kind](turn)
    want = upright(file).convert('RGB')
    w, h = want.size
    green = torch.from_numpy((np.asarray(want)[..., 1] > 128))
    y, x = green.nonzero().float().mean(0) + 0.5
    canvas = (h, w)
    sample = {'image': file, 'mask': tv_tensors.Mask(green), 'at': tv_tensors.KeyPoints(torch.stack([x, y])[None], canvas_size=canvas)}
    out = FastPresize((60, 60))(sample, draw=Draw(flip=True, angle=4, box_x=0.2, box_y=0.8))
    seen = out['image'][1] > 128
    if seen.any(): assert (seen == out['mask']).float().mean() > 0.97
    moved = out['at'][0]
    middle = (out['mask'].nonzero().float().mean(0) + 0.5).flip(0) if out['mask'].any() else None
    edge = middle is None or out['mask'][[0, -1]].any() or out['mask'][:, [0, -1]].any()
    if not edge: assert (moved - middle).abs().max() < 1.5


def test_what_asks_for_no_turn_is_not_decoded_before_its_time():
    for file in (data('JPEG', exif=exif(6)), data('PNG'), data('WEBP', exif=exif(6))):
        opened = FastImage.create(file)._opened
        assert opened is not None and opened.image._im is None   # Pillow has read the header only


def test_damaged_notes_are_named_or_harmless():
    good = data('JPEG', exif=exif(6))
    at = good.index(b'Exif\x00\x00')
    for junk in (b'\xff'*8, b'MM\x00*\xff\xff\xff\xff', b'II*\x00\x08\x00\x00\x00'):
        bad = good[:at + 6] + junk + good[at + 6 + len(junk):]
        try: want = upright(bad).size
        except Exception: want = None
        if want:
            assert FastImage.create(bad).size == want
        else:
            with pytest.raises(ValueError, match='EXIF'): FastImage.create(bad)
    png = bytearray(data('PNG', exif=exif(6)))
    assert zlib.crc32(png[12:29]) == struct.unpack_from('>I', png, 29)[0]   # the walk over chunks starts where it should


def test_a_pillow_image_is_taken_as_it_stands_and_says_so():
    img = Image.open(io.BytesIO(data('JPEG', exif=exif(6), quality=95)))
    with pytest.warns(UserWarning, match='orientation 6'): out = FastPresize((60, 120))(img, split_idx=1)
    assert (out[2, :, -1] > 128).all()                                        # blue still at the right
    with pytest.warns(UserWarning, match='orientation 6'): FastPresize(32)(PILImage.create(io.BytesIO(data('JPEG', exif=exif(6)))))
