"What the exercises of the chapter on deploying are held against"
import http.server
import io
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same
from course_lib.extras import needs

with needs('vision'): from PIL import Image, ImageFile, ImageOps

_Ask = Callable[[np.ndarray], np.ndarray]  # bytes of pictures [N, size, size, 3] to probabilities [N, classes]


def _model(size: int, scale: float = 255., heat: float = 1.) -> _Ask:
    "A linear model of pictures with three classes"
    weights = np.random.default_rng(size).normal(size=(size*size*3, 3))

    def ask(pictures: np.ndarray) -> np.ndarray:
        logits = heat*(pictures.reshape(len(pictures), -1)/scale - 0.45) @ weights
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e/e.sum(1, keepdims=True)
    return ask


def _broken(ask: _Ask, size: int) -> dict[str, _Ask]:
    "{what is wrong with it: a model that is not quite `ask`}"
    return {'exchanges red and blue': lambda x: ask(x[..., ::-1]), 'mirrors its pictures': lambda x: ask(x[:, :, ::-1]),
            'is a little more sure': _model(size, heat=1.01), 'divides by 256': _model(size, 256.),
            'answers about the first picture whatever comes after it': lambda x: ask(x)[np.zeros(len(x), int)],
            'calls its classes by other names': lambda x: ask(x)[:, [0, 2, 1]],
            'answers with nan': lambda x: ask(x)*np.nan}


@exercise
def same_model(answer: Answer) -> None:
    for size in (8, 5):
        ask = _model(size)
        for what, broken in _broken(ask, size).items():
            got = answer(broken, ask, size)
            expect(isinstance(got, (bool, np.bool_)), 'yours should return True or False')
            expect(not got, f'yours takes two models for one, though the first {what}')
        expect(answer(lambda x: ask(x) + 1e-7, ask, size), 'yours tells apart two models that differ by no more than '
                                                           'rounding, which no two programs do alike')


def _noise(size: int, n: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)


def _far(ask: _Ask, reference: _Ask, pictures: np.ndarray) -> float:
    return np.abs(ask(pictures) - reference(pictures)).max()


@mistake(same_model, 'yours takes two models for one, though the first exchanges red and blue')
def _grey(ask: _Ask, reference: _Ask, size: int) -> bool:
    return bool(_far(ask, reference, _noise(size)[..., :1].repeat(3, -1)) <= 1e-5)


@mistake(same_model, 'yours takes two models for one, though the first mirrors its pictures')
def _one_colour(ask: _Ask, reference: _Ask, size: int) -> bool:
    return bool(_far(ask, reference, _noise(size)[:, :1, :1].repeat(size, 1).repeat(size, 2)) <= 1e-5)


@mistake(same_model, 'yours takes two models for one, though the first is a little more sure')
def _classes_alone(ask: _Ask, reference: _Ask, size: int) -> bool:
    pictures = _noise(size)
    return bool((ask(pictures).argmax(1) == reference(pictures).argmax(1)).all())


@mistake(same_model, 'yours takes two models for one, though the first answers about the first picture whatever comes '
                     'after it')
def _one_picture(ask: _Ask, reference: _Ask, size: int) -> bool:
    return bool(_far(ask, reference, _noise(size, 1)) <= 1e-5)


@mistake(same_model, 'yours tells apart two models that differ by no more than rounding, which no two programs do '
                     'alike')
def _to_the_bit(ask: _Ask, reference: _Ask, size: int) -> bool:
    return bool((ask(_noise(size)) == reference(_noise(size))).all())


def _file(image: Image.Image, kind: str = 'PNG', **options: object) -> bytes:
    "A picture as the bytes of a file"
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def _scene(width: int, height: int, generator: torch.Generator) -> Image.Image:
    "A picture of noise"
    return Image.fromarray(torch.randint(256, (height, width, 3), generator=generator, dtype=torch.uint8).numpy())


@contextmanager
def _counting() -> Iterator[list]:
    "How often Pillow decodes a file, as the length of a list"
    calls: list = []
    load = ImageFile.ImageFile.load

    def counted(self: ImageFile.ImageFile) -> object:
        if getattr(self, 'tile', None): calls.append(1)
        return load(self)
    with patch.object(ImageFile.ImageFile, 'load', counted): yield calls


@exercise
def safe_picture(answer: Answer) -> None:
    scene, turn = _scene(9, 6, answer.generator), Image.Exif()
    turn[0x0112] = 6
    files = {'a PNG': _file(scene), 'a photograph that says it lies on its side': _file(scene, exif=turn),
             'a grey PNG': _file(scene.convert('L')),
             'a JPEG in the colours of a printer': _file(scene.convert('CMYK'), 'JPEG')}
    for what, data in files.items():
        want = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB')
        for max_bytes, max_pixels in ((10**6, 10**6), (len(data), 54)):
            got = answer(data, max_bytes, max_pixels)
            expect(isinstance(got, Image.Image), 'yours should return a picture of Pillow')
            expect(got.mode == 'RGB', f'of {what} yours makes a picture of the mode {got.mode!r}, not RGB')
            expect(got.size == want.size, f'{what} lies on its side in yours' if got.size == want.size[::-1] else
                   f'{what} should have {want.size} pixels, yours has {got.size}')
            expect(got.tobytes() == want.tobytes(), f'{what} has other pixels in yours, or is not upright')
    answer.raises(ValueError, files['a PNG'], len(files['a PNG']) - 1, 10**6, why='the file is longer than max_bytes')
    for size in ((60, 50), (3, 400)):
        with _counting() as decoded:
            answer.raises(ValueError, _file(_scene(*size, answer.generator)), 10**6, 999,
                          why='the picture has more pixels than max_pixels')
        expect(not decoded, 'yours unpacks a picture before it looks at its size: that is the bomb going off')
    answer.raises(ValueError, b'a text that is called .jpg', 10**6, 10**6, why='it is no picture')
    whole = _file(_scene(40, 40, answer.generator))
    answer.raises(ValueError, whole[:len(whole)//2], 10**6, 10**6, why='the file ends too early')


def _opened(data: bytes) -> Image.Image:
    try: return Image.open(io.BytesIO(data))
    except OSError as e: raise ValueError('no picture') from e


def _loaded(image: Image.Image) -> Image.Image:
    try: return ImageOps.exif_transpose(image).convert('RGB')
    except OSError as e: raise ValueError('damaged') from e


@mistake(safe_picture, 'with {row} your function should raise a ValueError, because the file is longer than max_bytes; '
                       'it returns {got}')
def _any_length(data: bytes, max_bytes: int, max_pixels: int) -> Image.Image:
    image = _opened(data)
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return _loaded(image)


@mistake(safe_picture, 'yours unpacks a picture before it looks at its size: that is the bomb going off')
def _size_afterwards(data: bytes, max_bytes: int, max_pixels: int) -> Image.Image:
    if len(data) > max_bytes: raise ValueError('too long')
    image = _loaded(_opened(data))
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return image


@mistake(safe_picture, 'a photograph that says it lies on its side lies on its side in yours')
def _not_turned(data: bytes, max_bytes: int, max_pixels: int) -> Image.Image:
    if len(data) > max_bytes: raise ValueError('too long')
    image = _opened(data)
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return image.convert('RGB')


@mistake(safe_picture, "of a grey PNG yours makes a picture of the mode 'L', not RGB")
def _any_mode(data: bytes, max_bytes: int, max_pixels: int) -> Image.Image:
    if len(data) > max_bytes: raise ValueError('too long')
    image = _opened(data)
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return ImageOps.exif_transpose(image)


@mistake(safe_picture, 'with {row} your function should raise a ValueError, it raises UnidentifiedImageError: {why}')
def _pillows_error(data: bytes, max_bytes: int, max_pixels: int) -> Image.Image:
    if len(data) > max_bytes: raise ValueError('too long')
    image = Image.open(io.BytesIO(data))
    if image.width*image.height > max_pixels: raise ValueError('too large')
    return _loaded(image)


_CARD = '''---
title: {title}
sdk: gradio
---

# {title}

## How good it is

It names {share:.1%} of {n} pictures rightly.

| label | named rightly | of |
|---|---|---|
{rows}

## Where not to use it

Nowhere else.
'''


def _card(rows: list[tuple[str, int, int]]) -> str:
    "A model card with this table"
    right, n = sum(r for _, r, _ in rows), sum(k for *_, k in rows)
    return _CARD.format(title='A card', share=right/n, n=n, rows='\n'.join(f'| {a} | {b} | {c} |' for a, b, c in rows))


@exercise
def weakest(answer: Answer) -> None:
    for rows in ([('pug', 9, 10), ('beagle', 7, 10), ('Bengal', 10, 10)],
                 [('cat', 30, 60), ('dog', 5, 8), ('emu', 2, 3)],
                 [('a', 1, 1), ('b', 0, 0), ('c', 6, 7)], [('great_pyrenees', 2, 40), ('x', 1, 19), ('y', 19, 20)],
                 [('one', 3, 9), ('two', 34, 101), ('three', 2, 3)]):
        label, right, n = min((r for r in rows if r[2]), key=lambda r: r[1]/r[2])
        same(answer(_card(rows)), (label, right/n), what='label and share', mistakes=answer.mistakes(), rtol=1e-6)


def _rows(card: str) -> list[tuple[str, int, int]]:
    return [(a, int(b), int(c)) for a, b, c in re.findall(r'^\| (\w+) \| (\d+) \| (\d+) \|$', card, re.M)]


@mistake(weakest, 'yours takes the label with the fewest right ones: it may have had the fewest pictures')
def _fewest(card: str) -> tuple[str, float]:
    label, right, n = min((r for r in _rows(card) if r[2]), key=lambda r: r[1])
    return label, right/n


@mistake(weakest, 'yours takes the label that is named rightly most often')
def _strongest(card: str) -> tuple[str, float]:
    label, right, n = max((r for r in _rows(card) if r[2]), key=lambda r: r[1]/r[2])
    return label, right/n


@mistake(weakest, 'yours gives percent: a share lies between zero and one')
def _percent(card: str) -> tuple[str, float]:
    label, right, n = min((r for r in _rows(card) if r[2]), key=lambda r: r[1]/r[2])
    return label, 100*right/n


@mistake(weakest, 'yours takes a label that had no picture for the weakest: nothing is known of it')
def _nothing_is_zero(card: str) -> tuple[str, float]:
    label, right, n = min(_rows(card), key=lambda r: r[1]/max(r[2], 1))
    return label, right/max(n, 1)


@mistake(weakest, 'yours takes the label with the most mistakes: it may have had the most pictures')
def _most_mistakes(card: str) -> tuple[str, float]:
    label, right, n = max(_rows(card), key=lambda r: r[2] - r[1])
    return label, right/n


@contextmanager
def _server(replies: list[tuple[int, dict]]) -> Iterator[tuple[str, list]]:
    "(the address of a server that gives these answers in turn, the requests that it got)"
    got: list = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get('content-length') or 0))
            code, reply = replies[min(len(got), len(replies) - 1)]
            got.append((self.command, self.path, body))
            if len(got) > 50: code, reply = 404, {'detail': 'too many requests'}
            sent = json.dumps(reply).encode()
            self.send_response(code)
            self.send_header('Content-Length', str(len(sent)))
            if code == 503: self.send_header('Retry-After', '0')
            self.end_headers()
            self.wfile.write(sent)
        do_GET = do_POST = do_PUT = answer

        def log_message(self, *args: object) -> None: pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try: yield f'http://127.0.0.1:{server.server_port}', got
        finally:
            server.shutdown()
            thread.join()


_BUSY, _REFUSED = (503, {'detail': 'come back'}), (400, {'detail': 'the file is a web page'})


@exercise
def ask_server(answer: Answer) -> None:
    for data, label in ((b'\xff\xd8 a picture', 'pug'), (bytes(range(256)), 'Maine_Coon')):
        right = 200, {'label': label, 'probabilities': {label: 0.7, 'beagle': 0.3}}
        with _server([right]) as (address, got):
            found = answer(address, data)
            method, path, body = got[0] if got else ('', '', b'')
            expect(bool(got), 'yours asks nobody')
            expect(method == 'POST', f'yours sends {method}: a file is sent with POST')
            expect(path == '/predict', f'yours asks for {path}, the server answers at /predict')
            expect(body == data, 'the body of your request is not the bytes of the file and nothing else')
            expect(found == label, f'the label is {label!r}, yours is {str(found)[:60]!r}')
        with _server([_REFUSED, right]) as (address, got):
            answer.raises(ValueError, address, data, mention='a web page', why='the server refused the file')
            expect(len(got) == 1, 'yours asks again after a refusal: the same file would be refused again')
        with _server([_BUSY, _BUSY, right]) as (address, got):
            expect(answer(address, data) == label and len(got) == 3, 'yours does not wait until the server has time')
        with _server([_BUSY]) as (address, got):
            answer.raises(ValueError, address, data, why='the server never had time')
            expect(len(got) <= 5, f'yours asked a busy server {len(got)} times: five are enough')


def _posted(address: str, data: bytes, path: str = '/predict', method: str = 'POST') -> tuple[int, dict]:
    request = urllib.request.Request(address + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request) as reply: return reply.status, json.load(reply)
    except urllib.error.HTTPError as e: return e.code, json.load(e)


def _patient(address: str, data: bytes, times: int = 5, **how: str) -> str:
    for _ in range(times):
        code, reply = _posted(address, data, **how)
        if code == 200: return reply['label']
        if code != 503: break
    raise ValueError(reply['detail'])


@mistake(ask_server, 'yours asks for /, the server answers at /predict')
def _no_path(address: str, data: bytes) -> str: return _patient(address, data, path='/')


@mistake(ask_server, 'yours sends PUT: a file is sent with POST')
def _put(address: str, data: bytes) -> str: return _patient(address, data, method='PUT')


@mistake(ask_server, 'the body of your request is not the bytes of the file and nothing else')
def _in_a_form(address: str, data: bytes) -> str:
    return _patient(address, b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + data + b'\r\n--x--\r\n')


@mistake(ask_server, 'yours does not wait until the server has time')
def _once(address: str, data: bytes) -> str:
    try: return _patient(address, data, times=1)
    except ValueError as e: return 'busy' if 'come back' in str(e) else _raised(e)


def _raised(error: Exception) -> str: raise error


@mistake(ask_server, 'yours asks again after a refusal: the same file would be refused again')
def _stubborn(address: str, data: bytes) -> str:
    for _ in range(3):
        code, first = _posted(address, data)
        if code == 200: return first['label']
        if code == 400: _posted(address, data); raise ValueError(first['detail'])
    raise ValueError('busy')


@exercise
def middle(answer: Answer) -> None:
    for size in ((640, 427), (200, 300), (9, 4), (64, 64), (5, 8), (1, 7)):
        side = min(size)
        left, top = (size[0] - side)//2, (size[1] - side)//2
        same(answer(*size), (left, top, left + side, top + side), what='square', mistakes=answer.mistakes())


_Box = tuple[float, ...]


@mistake(middle, 'yours is the whole picture, which would be squeezed into a square')
def _whole_picture(width: int, height: int) -> _Box: return 0, 0, width, height


@mistake(middle, 'yours begins in the corner: the middle is asked for')
def _corner(width: int, height: int) -> _Box: return 0, 0, min(width, height), min(width, height)


@mistake(middle, 'yours is as large as the longer side, and reaches beyond the picture')
def _too_large(width: int, height: int) -> _Box:
    side = max(width, height)
    left, top = (width - side)//2, (height - side)//2
    return left, top, left + side, top + side


@mistake(middle, 'yours gives a width and a height: Pillow wants left, top, right and bottom')
def _extent(width: int, height: int) -> _Box:
    side = min(width, height)
    return (width - side)//2, (height - side)//2, side, side


@mistake(middle, 'yours has across and down the wrong way round')
def _exchanged(width: int, height: int) -> _Box:
    side = min(width, height)
    left, top = (width - side)//2, (height - side)//2
    return top, left, top + side, left + side


@exercise
def whole_weights(answer: Answer) -> None:
    for shape, zero in (((4, 3), None), ((6, 2, 3, 3), None), ((5, 7), 2)):
        sizes = torch.logspace(-2, 1, shape[0]).reshape(-1, *[1]*(len(shape) - 1))
        weights = torch.randn(shape, generator=answer.generator)*sizes
        if zero is not None: weights[zero] = 0
        largest = weights.abs().flatten(1).amax(1)
        scale = torch.where(largest == 0, 1, largest/127)
        want = (weights/scale.reshape(-1, *[1]*(len(shape) - 1))).round().to(torch.int8), scale
        got = answer(weights)
        expect(isinstance(got, tuple) and len(got) == 2, 'yours should return two tensors, whole numbers and scales')
        if isinstance(got[1], Tensor):
            expect(bool(got[1].isfinite().all()) and bool((got[1] > 0).all()),
                   'a row that is all zeros breaks yours: its scale may be anything but zero')
        same(got, want, what='whole numbers and scales', mistakes=answer.mistakes())


_Whole = tuple[Tensor, Tensor]


def _scales(weights: Tensor, largest: Tensor, most: float = 127) -> _Whole:
    scale = torch.where(largest == 0, 1, largest/most)
    return (weights/scale.reshape(-1, *[1]*(weights.dim() - 1))).round().to(torch.int8), scale


@mistake(whole_weights, 'yours has one scale for all rows: the largest row decides how coarse the smallest becomes')
def _one_scale(weights: Tensor) -> _Whole: return _scales(weights, weights.abs().max().expand(len(weights)))


@mistake(whole_weights, 'yours cuts off where it should round: every weight moves towards zero')
def _cut_off(weights: Tensor) -> _Whole:
    _, scale = _scales(weights, weights.abs().flatten(1).amax(1))
    return (weights/scale.reshape(-1, *[1]*(weights.dim() - 1))).to(torch.int8), scale


@mistake(whole_weights, 'a row that is all zeros breaks yours: its scale may be anything but zero')
def _divides_by_zero(weights: Tensor) -> _Whole:
    scale = weights.abs().flatten(1).amax(1)/127
    return (weights/scale.reshape(-1, *[1]*(weights.dim() - 1))).nan_to_num().round().to(torch.int8), scale


@mistake(whole_weights, 'yours forgets the negative weights: the largest in size decides')
def _positive_alone(weights: Tensor) -> _Whole:
    scale = _scales(weights, weights.flatten(1).amax(1).clamp(min=1e-9))[1]
    return (weights/scale.reshape(-1, *[1]*(weights.dim() - 1))).round().clamp(-127, 127).to(torch.int8), scale


@mistake(whole_weights, 'yours leaves half of the numbers unused: from -127 to 127 they go')
def _half(weights: Tensor) -> _Whole: return _scales(weights, weights.abs().flatten(1).amax(1), 63)
