"Wrong answers to the exercises on deploying, written without a look at the checks"
import io
import json
import re
import urllib.error
import urllib.request

import numpy as np
import torch
from PIL import Image, ImageOps

from tests.exercises.mutants import mutant


@mutant('same_model', says='takes two models for one')
def mean_of_differences(ask, reference, size):
    x = np.random.default_rng(1).integers(0, 256, (16, size, size, 3), dtype=np.uint8)
    return bool(abs((ask(x) - reference(x)).mean()) <= 1e-5)

@mutant('same_model', says='nan')
def not_greater(ask, reference, size):
    x = np.random.default_rng(1).integers(0, 256, (16, size, size, 3), dtype=np.uint8)
    return not (abs(ask(x) - reference(x)) > 1e-5).any()

@mutant('same_model', says='True or False')
def distance(ask, reference, size):
    x = np.random.default_rng(1).integers(0, 256, (16, size, size, 3), dtype=np.uint8)
    return float(abs(ask(x) - reference(x)).max())

@mutant('same_model', says='takes two models for one')
def black_and_white(ask, reference, size):
    x = np.zeros((2, size, size, 3), np.uint8)
    x[1] = 255
    return bool(np.allclose(ask(x), reference(x), atol=0.5))


def bounded(data, max_bytes):
    if len(data) > max_bytes: raise ValueError('too long')

@mutant('safe_picture', says='more pixels than max_pixels')
def no_limit_on_pixels(data, max_bytes, max_pixels):
    bounded(data, max_bytes)
    try: return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB')
    except OSError as e: raise ValueError('no picture') from e

@mutant('safe_picture', says='more pixels than max_pixels')
def limit_on_the_width(data, max_bytes, max_pixels):
    bounded(data, max_bytes)
    try:
        image = Image.open(io.BytesIO(data))
        if image.width > 30: raise ValueError('too large')
        return ImageOps.exif_transpose(image).convert('RGB')
    except OSError as e: raise ValueError('no picture') from e

@mutant('safe_picture', says='raises OSError|raises SyntaxError')
def truncated_is_pillows_affair(data, max_bytes, max_pixels):
    bounded(data, max_bytes)
    try: image = Image.open(io.BytesIO(data))
    except OSError as e: raise ValueError('no picture') from e
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return ImageOps.exif_transpose(image).convert('RGB')

@mutant('safe_picture', says='picture of Pillow')
def an_array(data, max_bytes, max_pixels): return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))


def table(card): return [(a, int(b), int(c)) for a, b, c in re.findall(r'\| *(\w+) *\| *(\d+) *\| *(\d+) *\|', card)]

@mutant('weakest', says='ZeroDivisionError')
def divides_by_none(card):
    label, right, n = min(table(card), key=lambda r: r[1]/r[2])
    return label, right/n

@mutant('weakest', says='label and share')
def name_alone(card): return min((r for r in table(card) if r[2]), key=lambda r: r[1]/r[2])[0]

@mutant('weakest', says='label and share')
def first_row(card):
    label, right, n = table(card)[0]
    return label, right/n

@mutant('weakest', says='label and share')
def rounded(card):
    label, right, n = min((r for r in table(card) if r[2]), key=lambda r: r[1]/r[2])
    return label, round(right/n, 1)


def post(address, data, path='/predict'):
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data)) as r: return 200, json.load(r)
    except urllib.error.HTTPError as e: return e.code, json.load(e)

@mutant('ask_server', says='HTTPError')
def error_goes_through(address, data):
    with urllib.request.urlopen(urllib.request.Request(address + '/predict', data)) as r: return json.load(r)['label']

@mutant('ask_server', says='The label is')
def whole_answer(address, data): return post(address, data)[1].get('probabilities') or 'none'

@mutant('ask_server', says='GET')
def get_it(address, data):
    with urllib.request.urlopen(address + '/predict') as r: return json.load(r)['label']

@mutant('ask_server', says='times')
def forever(address, data):
    for _ in range(20):
        code, reply = post(address, data)
        if code == 200: return reply['label']
        if code == 400: break
    raise ValueError(reply['detail'])


@mutant('middle', says='square')
def halves(width, height):
    side = min(width, height)
    return (width - side)/2, (height - side)/2, (width + side)/2, (height + side)/2

@mutant('middle', says='square')
def rounded_up(width, height):
    side = min(width, height)
    left, top = -((side - width)//2), -((side - height)//2)
    return left, top, left + side, top + side

@mutant('middle', says='square')
def far_corner(width, height):
    side = min(width, height)
    return width - side, height - side, width, height


@mutant('whole_weights', says='int8')
def floats(weights):
    scale = weights.abs().flatten(1).amax(1).clamp(min=1e-12)/127
    return (weights/scale.view(-1, *[1]*(weights.dim() - 1))).round(), scale

@mutant('whole_weights', says='shape|one scale')
def by_columns(weights):
    scale = weights.abs().amax(0, keepdim=True).clamp(min=1e-12)/127
    return (weights/scale).round().to(torch.int8), scale

@mutant('whole_weights', says='whole numbers and scales')
def overflow(weights):
    scale = weights.abs().flatten(1).amax(1).clamp(min=1e-12)/128
    return (weights/scale.view(-1, *[1]*(weights.dim() - 1))).round().to(torch.int8), scale
