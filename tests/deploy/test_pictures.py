"""Pictures from strangers: each is opened as it was meant, or refused in words.

Seen to fail: EXIF's turn left out; the first frame of an animation replaced by its last; 16 bits cut to 8; the limit on
pixels looked at after decoding; a truncated file padded with grey.
"""
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from course_lib.deploy import open_picture, to_square
from course_lib.presizing import as_rgb
from tests.deploy.hostile import REFUSED, RIGHT, saved, scene


@pytest.mark.parametrize("name", RIGHT)
def test_odd_pictures_are_opened_as_they_were_meant(name):
    data, want = RIGHT[name]
    got = open_picture(data)
    assert got.mode == "RGB"
    if want is None: want = scene()  # through a lossy format, or without its colours
    assert got.size == want.size
    off = np.abs(np.asarray(got, int) - np.asarray(want.convert("L").convert("RGB") if name == "grey" else want, int))
    assert off.max() <= (60 if name in ("CMYK", "grey") else 0) and off.mean() < 6


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_in_words(name):
    data, words = REFUSED[name]
    with pytest.raises(ValueError, match=words): open_picture(data)


def test_a_bomb_costs_nothing():
    data = REFUSED["bomb of 81 megapixels"][0]
    assert len(data) < 100_000
    tracemalloc.start()
    with pytest.raises(ValueError): open_picture(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000  # it would be 81 million


def test_truncated_is_refused_whatever_a_program_has_switched_on(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ValueError, match="ends too early"): open_picture(REFUSED["truncated JPEG"][0])
    assert ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_as_the_training_opens_them(mode):
    image = scene("RGBA").convert(mode) if mode != "P" else scene().quantize(8)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    if kind == "PNG": assert np.array_equal(open_picture(saved(image, kind)), as_rgb(Image.open(__import__("io").BytesIO(saved(image, kind)))))
    else: assert np.array_equal(as_rgb(image), image.convert("RGB"))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RIGHT)), st.integers(0, 2**32))
def test_a_damaged_file_is_opened_or_refused_and_nothing_else(name, seed):
    data, rng = bytearray(RIGHT[name][0]), random.Random(seed)
    for _ in range(rng.randint(1, 20)): data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < .3: del data[rng.randrange(len(data)):]
    try: assert open_picture(bytes(data), max_pixels=10**6).mode == "RGB"
    except ValueError: pass


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 80))
@settings(max_examples=40, deadline=None)
def test_the_square_is_the_middle(width, height, size):
    got = to_square(Image.new("RGB", (width, height), (7, 8, 9)), size)
    assert got.shape == (size, size, 3) and got.dtype == np.uint8 and (got == (7, 8, 9)).all()
