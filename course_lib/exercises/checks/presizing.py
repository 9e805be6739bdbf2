"What the exercises of the chapter on presizing are held against"
import math
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises import Answer, Wrong, exercise, expect, mistake, same, wrong


def _send(matrix: Tensor, points: Tensor) -> Tensor:
    q = torch.cat([points, torch.ones(len(points), 1, dtype=points.dtype)], 1) @ matrix.T
    return q[:, :2]/q[:, 2:]


def _warp(g: torch.Generator) -> Tensor:
    "A drawn homography, its last entry 1, far from affine"
    m = torch.eye(3, dtype=torch.float64) + 0.25*torch.randn(3, 3, generator=g, dtype=torch.float64)
    return m/m[2, 2] if abs(m[2, 2]) > 0.3 else _warp(g)


@exercise
def psnr_of(answer: Answer) -> None:
    for shape in [(3, 5, 8), (1, 4, 4), (2, 3, 6, 7)]:
        for noise in (2, 60):
            ideal = torch.randint(0, 256, shape, generator=answer.generator, dtype=torch.uint8)
            image = (ideal + noise*torch.randn(shape, generator=answer.generator)).round().clamp(0, 255).byte()
            d = image.double() - ideal.double()
            mse = d.square().mean().item()
            got = answer(image, ideal)
            (image - ideal).double().square().mean().item()
            (image - ideal).square().double().mean().item()
            if isinstance(got, (int, float)) and not math.isfinite(got):
                wrong(f'two different pictures give you {got}: bytes have room for 0 to 255 only; was something '
                      'squared or taken off in bytes?')
            same(got, 10*math.log10(255**2/mse), what='PSNR in decibels', rtol=1e-4, mistakes=answer.mistakes() | {
                'your squared error runs over: a byte holds no more than '
                '255': lambda: 10*math.log10(255**2/(d.abs().byte().square().double().mean().item())),
                'the factor 20 goes with the root of the mean square, 10 with the mean square itself; yours is half of '
                'what it should be': 10*math.log10(255/math.sqrt(mse)),
                'the peak of a byte is 255, not 256': 10*math.log10(256**2/mse),
                'your peak is the brightest value of the ideal; it should be 255 for every '
                'picture': 10*math.log10(ideal.max().item()**2/mse),
            })
    equal = torch.randint(0, 256, (3, 4, 5), generator=answer.generator, dtype=torch.uint8)
    try: got = answer(equal, equal)
    except Wrong as e:
        if not re.search('ZeroDivision|math domain|expected a positive', str(e)): raise
        wrong(f'{e.args[0].split(" (called")[0]}: that is with two equal pictures. They have no error to divide by, '
              'and an infinite PSNR')
    expect(got == math.inf, f'two equal pictures have no error at all, and an infinite PSNR; yours is {got}')


@mistake(psnr_of, 'bytes cannot hold a negative difference: 3 − 5 becomes 254. Leave the bytes before you subtract')
def in_bytes(image: Tensor, ideal: Tensor) -> float:
    mse = (image - ideal).double().square().mean().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mistake(psnr_of, 'your squares run over: a byte holds no more than 255. Leave the bytes before you subtract')
def squared_in_bytes(image: Tensor, ideal: Tensor) -> float:
    mse = (image - ideal).square().double().mean().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mistake(psnr_of, 'the logarithm is the natural one; decibels are made with the logarithm to base 10')
def natural_logarithm(image: Tensor, ideal: Tensor) -> float:
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log(255**2/mse) if mse else math.inf

@mistake(psnr_of, 'the squares are added up and not averaged: a larger picture would always be worse')
def sum_for_mean(image: Tensor, ideal: Tensor) -> float:
    mse = (image.double() - ideal.double()).square().sum().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mistake(psnr_of, 'the typical error is the root of the mean square, yours is the mean size of the errors')
def mean_size(image: Tensor, ideal: Tensor) -> float:
    e = (image.double() - ideal.double()).abs().mean().item()
    return 20*math.log10(255/e) if e else math.inf

@mistake(psnr_of, 'the factor 20 goes with the root of the mean square, 10 with the mean square itself; yours is '
         'twice too large')
def factor_of_twenty(image: Tensor, ideal: Tensor) -> float:
    mse = (image.double() - ideal.double()).square().mean().item()
    return 20*math.log10(255**2/mse) if mse else math.inf

@mistake(psnr_of, 'the peak of a byte is 255; yours is 1, which belongs to pictures from 0 to 1')
def peak_of_one(image: Tensor, ideal: Tensor) -> float:
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log10(1/mse) if mse else math.inf

@mistake(psnr_of, 'the fraction stands on its head: error over peak gives the same number with a minus')
def upside_down(image: Tensor, ideal: Tensor) -> float:
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log10(mse/255**2) if mse else math.inf


@exercise
def pixel_places(answer: Answer) -> None:
    for n in (4, 7, 1, 224):
        i = torch.arange(n)
        same(answer(n), (2*i + 1)/n - 1, what=f'places of {n} pixels', mistakes=answer.mistakes() | {
            'your places run from 0 to 1, and they are edges, not centres; the picture runs from −1 to 1': i/n,
            'your places are squeezed by one pixel too many: n pixels share the whole from −1 to '
            '1': (2*i + 1)/(n + 1) - 1,
            'your places run from right to left': 1 - (2*i + 1)/n,
        })


@mistake(pixel_places, 'your first pixel lies at −1 and your last at 1: those are the edges of the picture, and a '
         'pixel has its centre half a pixel further in')
def corners_aligned(n: int) -> Tensor: return torch.linspace(-1, 1, n)

@mistake(pixel_places, 'your places are the left edges of the pixels; the centre is half a pixel further right')
def left_edges(n: int) -> Tensor: return 2*torch.arange(n)/n - 1

@mistake(pixel_places, 'your places are the right edges of the pixels; the centre is half a pixel further left')
def right_edges(n: int) -> Tensor: return 2*torch.arange(1, n + 1)/n - 1

@mistake(pixel_places, 'your places run from 0 to 1; the picture runs from −1 to 1')
def zero_to_one(n: int) -> Tensor: return (torch.arange(n) + 0.5)/n

@mistake(pixel_places, 'your places are counted in pixels; the picture runs from −1 to 1, whatever its size')
def in_pixels(n: int) -> Tensor: return torch.arange(n) + 0.5

@mistake(pixel_places, 'your places leave half a pixel too much at both ends: the first centre is one half of a '
         'pixel from the edge, and a pixel is 2/n wide')
def without_the_ends(n: int) -> Tensor: return torch.linspace(-1, 1, n + 2)[1:-1]


@exercise
def compose_warps(answer: Answer) -> None:
    for k in range(4):
        first, then = _warp(answer.generator), _warp(answer.generator)
        whole = first @ then
        want = whole/whole[2, 2]
        affine = torch.cat([whole[:2], torch.tensor([[0., 0., 1.]], dtype=whole.dtype)])
        one = lambda m: m/m[2, 2]
        same(answer(first, then), want, what='map of both warps', mistakes=answer.mistakes() | {
            'the maps are averaged; one after the other is a product': (first + then)/2,
            'the last row of your map is (0, 0, 1) (and it was divided): it has lost the perspective of both '
            'warps': torch.cat([want[:2], affine[2:]]),
            'each column is divided by its own last number: the whole matrix is divided by one number': whole/whole[2],
            'only the first of the warps is left in your map': first,
            'only the second of the warps is left in your map': then,
            'your matrix is divided by its length (or by its determinant), not by its last number': whole/whole.norm(),
            'one of the two is transposed: rows stay rows in the product': lambda: one(first @ then.T),
        }, rtol=1e-6)


@mistake(compose_warps, 'the order is the wrong way round: the maps go from new places to old, so a place passes '
         'through the second warp before it passes through the first')
def wrong_order(first: Tensor, then: Tensor) -> Tensor:
    m = then @ first
    return m/m[2, 2]

@mistake(compose_warps, 'your last number is not 1: a map means the same times any number, and here the last one is '
         'wanted as 1')
def not_divided(first: Tensor, then: Tensor) -> Tensor: return first @ then

@mistake(compose_warps, 'your last number is not 1, and the order is the wrong way round: maps go from new places '
         'to old')
def wrong_order_not_divided(first: Tensor, then: Tensor) -> Tensor: return then @ first

@mistake(compose_warps, 'the entries are multiplied one by one; one map after the other is the product of matrices')
def entry_by_entry(first: Tensor, then: Tensor) -> Tensor:
    m = first*then
    return m/m[2, 2]

@mistake(compose_warps, 'the maps are added; one after the other is a product')
def summed(first: Tensor, then: Tensor) -> Tensor:
    m = first + then
    return m/m[2, 2]

@mistake(compose_warps, 'the last row of your map is (0, 0, 1): it has lost the perspective of both warps')
def affine_only(first: Tensor, then: Tensor) -> Tensor:
    m = first @ then
    m[2] = torch.tensor([0., 0., 1.])
    return m

@mistake(compose_warps, 'the last number is set to 1 and the others are left as they were: the whole matrix is '
         'divided by it')
def only_the_last(first: Tensor, then: Tensor) -> Tensor:
    whole = first @ then
    whole[2, 2] = 1
    return whole

@mistake(compose_warps, 'only the first two rows are divided by the last number: it is the whole matrix that means '
         'the same times any number')
def two_rows_divided(first: Tensor, then: Tensor) -> Tensor:
    m = first @ then
    return torch.cat([m[:2]/m[2, 2], m[2:]])

@mistake(compose_warps, 'your map goes from old places to new ones: it is the inverse of the one that sampling needs')
def inverse(first: Tensor, then: Tensor) -> Tensor:
    m = torch.linalg.inv(then) @ torch.linalg.inv(first)
    return m/m[2, 2]

@mistake(compose_warps, 'your matrix is divided by its determinant, not by its last number')
def by_the_determinant(first: Tensor, then: Tensor) -> Tensor:
    m = first @ then
    return m/torch.linalg.det(m)


@exercise
def slide_inside(answer: Answer) -> None:
    g = answer.generator
    for source, low, high in [((500, 375), (-30., 250.), (400., 390.)), ((500, 375), (310., -12.), (520., 300.)),
                              ((375, 500), (10., 290.), (200., 530.)),
                              ((640, 480), (-15., -9.), (300., 200.)), ((300, 900), (120., 700.), (310., 950.)),
                              ((500, 375), (5., 5.), (499., 374.)), ((500, 375), (0., 0.), (500., 375.))]:
        lo, hi = torch.tensor(low), torch.tensor(high)
        inner = lo + (hi - lo)*torch.rand(4, 2, generator=g)
        corners = inner.clone()
        corners[0, 0], corners[1, 1], corners[2, 0], corners[3, 1] = lo[0], lo[1], hi[0], hi[1]
        corners = corners[torch.randperm(4, generator=g)]
        size = torch.tensor(source, dtype=torch.float32)
        want = (-lo).clamp(min=0) - (hi - size).clamp(min=0)
        each = corners.clamp(min=0).minimum(size) - corners
        (-lo).clamp(min=0) - (hi - size.flip(0)).clamp(min=0)
        got = answer(corners, source)
        if isinstance(got, torch.Tensor) and got.shape == (4, 2):
            wrong('your corners each move by their own amount, which bends the shape; all four should be slid by the '
                  'same two numbers')
        same(got, want, what=f'slide of a shape from {list(low)} to {list(high)} in {source[0]} × {source[1]} pixels',
             mistakes=answer.mistakes() | {
            'x and y of your slide are swapped': want.flip(0),
            'your shape is moved to the edge although it lies inside: slide only if something sticks out': -lo,
            'your slide is the mean over the corners: then some of them still stick out': each.mean(0),
            'your slide adds up what the single corners stick out; the one that sticks out most is enough': each.sum(0),
        })


@mistake(slide_inside, 'your slide has the wrong sign: what sticks out at the left must move right')
def wrong_sign(corners: Tensor, source: tuple) -> Tensor:
    return (corners.amax(0) - torch.tensor(source)).clamp(min=0) - (-corners.amin(0)).clamp(min=0)

@mistake(slide_inside, 'your shape stays out at the left or the top: look at both ends of the picture')
def right_and_bottom_only(corners: Tensor, source: tuple) -> Tensor:
    return -(corners.amax(0) - torch.tensor(source)).clamp(min=0)

@mistake(slide_inside, 'your shape stays out at the right or the bottom: look at both ends of the picture')
def left_and_top_only(corners: Tensor, source: tuple) -> Tensor: return (-corners.amin(0)).clamp(min=0)

@mistake(slide_inside, 'width and height are swapped: x belongs to the width, which comes first')
def height_first(corners: Tensor, source: tuple) -> Tensor:
    return (-corners.amin(0)).clamp(min=0) - (corners.amax(0) - torch.tensor(source[::-1])).clamp(min=0)

@mistake(slide_inside, 'your shape is moved to the middle of the picture; slide it only as far as needed, and not '
         'at all if it lies inside')
def to_the_middle(corners: Tensor, source: tuple) -> Tensor:
    return torch.tensor(source)/2 - (corners.amin(0) + corners.amax(0))/2

@mistake(slide_inside, 'one direction of your shape is moved to the edge although it lies inside there: slide only '
         'where something sticks out')
def always_to_the_edge(corners: Tensor, source: tuple) -> Tensor:
    return torch.where(corners.amax(0) > torch.tensor(source), torch.tensor(source) - corners.amax(0), -corners.amin(0))

@mistake(slide_inside, 'your slide looks at the centre of the shape only; corners stick out long before it does')
def centre_only(corners: Tensor, source: tuple) -> Tensor:
    c = corners.mean(0)
    return c.clamp(min=0).minimum(torch.tensor(source).float()) - c


@exercise
def light_table(answer: Answer) -> None:
    p = (torch.arange(256, dtype=torch.float64)/255).clamp(1e-7, 1 - 1e-7)
    byte = lambda v: (255*v).round().byte()
    for b, c in [(0.7, 0.9), (-0.4, 1.3), (0., 0.6), (1.2, 1.), (0., 1.)]:
        got = answer(b, c)
        expect(isinstance(got, torch.Tensor), f'the table should be a tensor, yours is a {type(got).__name__}')
        expect(got.shape == (256,), 'the table has an entry for each byte, [256]; yours has the shape '
                                    f'{list(got.shape)}')
        expect(not got.is_floating_point() or not got.isnan().any(),
               'your table holds nan: the logits of 0 and 1 are infinite; keep the values a hair away from both ends')
        expect(got.dtype == torch.uint8, f'the table gives bytes, uint8; yours gives {str(got.dtype)[6:]}')
        logit = (p/(1 - p)).log()
        want = byte((c*(logit + b)).sigmoid())
        linear = (c*(p - 0.5) + 0.5 + b).clamp(0, 1)
        cut = (255*(c*(logit + b)).sigmoid()).byte()
        clear = lambda w: (got.int() - w.int()).abs().max() <= 1 and (w.int() - want.int()).abs().max() > 1
        for message, value in {
                'brightness and contrast are in the wrong order: first brightness is added, then contrast '
                'multiplies': byte((c*logit + b).sigmoid()),
                'brightness has the wrong sign: above 0 is brighter': byte((c*(logit - b)).sigmoid()),
                'the logit is divided by the contrast: above 1 should mean more of it': byte(((logit + b)/c).sigmoid()),
                'light is changed on the values themselves, and what runs over is cut off; it should be changed on '
                'their logits': byte(linear),
                'light is changed on the values themselves and cut off; it should be changed on their '
                'logits': byte((c*(p + b)).clamp(0, 1)),
                'the logit is missing on the way in: p goes straight into the sigmoid': byte((c*(p + b)).sigmoid()),
                'your logit is the logarithm of p alone; it is that of p against 1 − '
                'p': byte((c*(p.log() + b)).sigmoid()),
                'contrast has no effect on your table': byte((logit + b).sigmoid()),
                'brightness has no effect on your table': byte((c*logit).sigmoid())}.items():
            if clear(value): wrong(message)
        off = got.int() - want.int()
        worst = int(off.abs().argmax())
        if off.any() and not off[8:248].any():
            wrong(f'only the bytes at the ends are off: {worst} should become {int(want[worst])}, yours becomes '
                  f'{int(got[worst])}. You hold the values too far from 0 and 1, a millionth is enough')
        if got.equal(cut) and not got.equal(want):
            wrong(f'your values are cut off to whole numbers, not rounded: {int((off != 0).sum())} of 256 entries are '
                  'one too small')
        expect(off.abs().max() <= 1, f'with brightness {b:g} and contrast {c:g} the byte {worst} should become '
                                     f'{int(want[worst])}, yours becomes {int(got[worst])}')
        expect((off != 0).sum() <= 3, f'with brightness {b:g} and contrast {c:g} {int((off != 0).sum())} of 256 '
                                      'entries are off by one: is 255 the largest byte in both directions?')
        expect(got[0] == want[0] and got[255] == want[255],
               f'black should become {int(want[0])} and white {int(want[255])}, yours become {int(got[0])} and '
               f'{int(got[255])}')


def _look(picture: Tensor, places: Tensor, shift: float = 0.5, weights: Any = True, edge: str = 'clamp',
          swap: bool = False, whole: Callable = torch.floor) -> Tensor:
    "Bilinear looks, with mistakes on request"
    c, h, w = picture.shape
    x, y = (places.flip(1) if swap else places).unbind(1)
    x, y = x - shift, y - shift
    x0, y0 = whole(x), whole(y)
    fx, fy = x - x0, y - y0
    if edge == 'climb': x0, y0 = x0.clamp(0, max(w - 2, 0)), y0.clamp(0, max(h - 2, 0))
    def at(i: Tensor, j: Tensor) -> Tensor:
        inside = (i >= 0) & (i < w) & (j >= 0) & (j < h)
        value = picture[:, j.long().clamp(0, h - 1), i.long().clamp(0, w - 1)]
        return value*inside if edge == 'black' else value
    if not weights: return at((x + 0.5).floor(), (y + 0.5).floor())
    if weights == 'swapped': fx, fy = 1 - fx, 1 - fy
    if weights == 'crossed': fx, fy = fy, fx
    if weights == 'equal': fx, fy = torch.full_like(fx, 0.5), torch.full_like(fy, 0.5)
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))


@exercise
def bilinear(answer: Answer) -> None:
    for c, h, w, inside in [(3, 5, 8, True), (1, 6, 4, True), (2, 4, 9, False), (3, 5, 5, False), (1, 1, 6, False),
                            (2, 3, 1, False)]:
        picture = 255*torch.rand(c, h, w, generator=answer.generator)
        u = torch.rand(11, 2, generator=answer.generator)
        places = 0.5 + u*torch.tensor([w - 1., h - 1.]) if inside else u*torch.tensor([w + 2., h + 2.]) - 1
        grid = (2*places/torch.tensor([float(w), float(h)]) - 1)[None, None]
        want = F.grid_sample(picture[None], grid, padding_mode='border', align_corners=False)[0, :, 0]
        what = f'colours of {len(places)} places in a picture of {w} × {h} pixels' + ('' if inside else ', some of '
            'them at or beyond its edge')
        same(answer(picture, places), want, what=what, rtol=1e-3, atol=0.05, mistakes=answer.mistakes() | {
            'you take the pixel above and to the left only; four are '
            'mixed': _look(picture, places.sub(0.5).floor() + 0.5),
            'you take the pixel that the place lies in; four are mixed': _look(picture, places.floor() + 0.5),
        })


def _mixed(picture: Tensor, places: Tensor, half: float = 0.5, weigh: Callable = lambda fx, fy: (fx, fy),
           clamp: bool = True, limit: Any = None) -> Tensor:
    h, w = limit or picture.shape[-2:]
    x, y = (places - half).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = weigh(x - x0, y - y0)
    def at(i: Tensor, j: Tensor) -> Tensor:
        value = picture[:, j.clamp(0, h - 1), i.clamp(0, w - 1)]
        return value if clamp else value*((i >= 0) & (i < w) & (j >= 0) & (j < h))
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))


def _near_the_edge(picture: Tensor, places: Tensor, whole: Callable, last: bool) -> Tensor:
    c, h, w = picture.shape
    q = places - 0.5
    i = whole(q)
    (fx, fy), (x, y) = (q - i).unbind(1), i.long().unbind(1)
    if last: x, y = x.clamp(0, max(w - 2, 0)), y.clamp(0, max(h - 2, 0))
    def at(i: Tensor, j: Tensor) -> Tensor: return picture[:, j.clamp(0, h - 1), i.clamp(0, w - 1)]
    return (1 - fy)*((1 - fx)*at(x, y) + fx*at(x + 1, y)) + fy*((1 - fx)*at(x, y + 1) + fx*at(x + 1, y + 1))

@mistake(bilinear, 'your pictures are shifted by half a pixel: pixel (0, 0) has its centre at (½, ½), not at (0, 0)')
def half_a_pixel_off(picture: Tensor, places: Tensor) -> Tensor: return _mixed(picture, places, half=0.)

@mistake(bilinear, 'your pictures are shifted by half a pixel the other way: the centre of pixel (0, 0) is at (½, '
         '½), so take the half off')
def half_the_other_way(picture: Tensor, places: Tensor) -> Tensor: return _mixed(picture, places, half=-0.5)

@mistake(bilinear, 'you take the nearest pixel; four are mixed')
def nearest(picture: Tensor, places: Tensor) -> Tensor:
    x, y = places.floor().long().unbind(1)
    return picture[:, y.clamp(0, picture.shape[1] - 1), x.clamp(0, picture.shape[2] - 1)]

@mistake(bilinear, 'the weights are the wrong way round: the nearer a pixel, the more it counts')
def weights_turned(picture: Tensor, places: Tensor) -> Tensor:
    return _mixed(picture, places, weigh=lambda fx, fy: (1 - fx, 1 - fy))

@mistake(bilinear, 'the weights of x and y are swapped')
def weights_crossed(picture: Tensor, places: Tensor) -> Tensor:
    return _mixed(picture, places, weigh=lambda fx, fy: (fy, fx))

@mistake(bilinear, 'all four pixels count the same in yours: the nearer one should count more')
def equal_weights(picture: Tensor, places: Tensor) -> Tensor:
    return _mixed(picture, places, weigh=lambda fx, fy: (torch.full_like(fx, 0.5),)*2)

@mistake(bilinear, 'x and y are swapped: x counts columns, and the columns are the last dimension')
def rows_for_columns(picture: Tensor, places: Tensor) -> Tensor: return _mixed(picture, places.flip(1))

@mistake(bilinear, 'beyond the edge your picture is black; it should go on with the colour of its edge')
def black_outside(picture: Tensor, places: Tensor) -> Tensor: return _mixed(picture, places, clamp=False)

@mistake(bilinear, 'beyond the first centre your weights run the wrong way: cutting off (int, long, trunc) goes '
         'towards 0, floor goes down')
def cut_off(picture: Tensor, places: Tensor) -> Tensor: return _near_the_edge(picture, places, torch.trunc, False)

@mistake(bilinear, 'beyond the outer centres your colours run on in a straight line: the picture goes on with the '
         'colour of its edge')
def runs_on(picture: Tensor, places: Tensor) -> Tensor: return _near_the_edge(picture, places, torch.floor, True)

@mistake(bilinear, 'a place beyond the left or upper edge wraps round to the other side in yours: Python counts −1 '
         'from the end')
def wraps_round(picture: Tensor, places: Tensor) -> Tensor:
    h, w = picture.shape[-2:]
    x, y = (places - 0.5).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = x - x0, y - y0
    at = lambda i, j: picture[:, j.clamp(max=h - 1) % h, i.clamp(max=w - 1) % w]
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))


def _wrapped(picture: Tensor, places: Tensor) -> Tensor:
    c, h, w = picture.shape
    x, y = (places - 0.5).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = x - x0, y - y0
    at = lambda i, j: picture[:, j.clamp(max=h - 1) % h, i.clamp(max=w - 1) % w]
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))


@exercise
def corners_map(answer: Answer) -> None:  # noqa: C901 - one branch for each way in which a map can be wrong
    square = torch.tensor([[-1., -1.], [1., -1.], [1., 1.], [-1., 1.]], dtype=torch.float64)
    g = answer.generator
    cases = [(square + 0.3*torch.rand(4, 2, generator=g, dtype=torch.float64),
              square + 0.3*torch.rand(4, 2, generator=g, dtype=torch.float64)) for _ in range(4)]
    cases += [(224*(square + 1)/2, torch.tensor([[30., 20.], [410., 60.], [380., 350.], [55., 300.]],
                                                dtype=torch.float64)), (square, square)]
    for new, old in cases:
        got = answer(new, old)
        expect(isinstance(got, torch.Tensor) and got.shape == (3, 3),
               'the map should be a tensor [3, 3], yours is '
               f'{list(got.shape) if isinstance(got, torch.Tensor) else type(got).__name__}')
        expect(got.is_floating_point() and got.isfinite().all(), 'your map holds nan or inf')
        got = got.double()
        if not torch.allclose(got[2], torch.tensor([0., 0., 1.], dtype=torch.float64)) and abs(got[2, 2] - 1) > 1e-6:
            wrong(f'your last number is {got[2, 2]:.4g}; the map means the same times any number, and here it is '
                  'wanted as 1')
        sent = _send(got, new)
        scale = float(old.abs().max())
        if torch.allclose(sent, old, atol=1e-3*scale): continue
        if torch.allclose(_send(got, old), new, atol=1e-3*float(new.abs().max())):
            wrong('your map goes from the old corners to the new ones; sampling needs the other way, from new places '
                  'to old')
        turned = _send(got.T, new), _send(got.T/got[2, 2], new)
        if any(torch.allclose(t, old, atol=1e-3*scale) for t in turned):
            wrong('your matrix is transposed: each row of it makes one of x, y and the divisor')
        if torch.allclose(sent.flip(1), old, atol=1e-3*scale):
            wrong('x and y of the old places are swapped in your map')
        if torch.allclose(_send(got, new.flip(1)), old, atol=1e-3*scale):
            wrong('x and y of the new places are swapped in your map')
        h = torch.cat([new, torch.ones(4, 1, dtype=torch.float64)], 1)
        if torch.allclose((h @ got.T)[:, :2], old, atol=1e-3*scale):
            wrong('before the division your map already gives the old corners: your equations leave out the divisor, '
                  'the last row times the new place')
        flipped = got.clone()
        flipped[2, :2] *= -1
        if torch.allclose(_send(flipped, new), old, atol=1e-3*scale):
            wrong('the first two numbers of your last row have the wrong sign: bring p·(g·u + h·v) to the other side '
                  'of the equation')
        fit = torch.linalg.lstsq(h, old).solution.T
        exact = torch.linalg.solve(h[:3], old[:3]).T
        for rows, why in [(fit, 'it is the affine map that comes nearest, with a last row (0, 0, 1); four corners '
                                'anywhere need the two numbers of the perspective'),
                          (exact, 'it is affine and fits three corners; the fourth needs the two numbers of the '
                                  'perspective')]:
            if torch.allclose(got[:2], rows, atol=1e-3*scale):
                wrong(f'your map misses a corner by {(sent - old).norm(dim=1).max():.3g}: {why}')
        worst = (sent - old).norm(dim=1)
        wrong(f'your map sends the new corner {[round(v, 2) for v in new[worst.argmax()].tolist()]} to '
              f'{[round(v, 2) for v in sent[worst.argmax()].tolist()]}, '
              f'it should go to {[round(v, 2) for v in old[worst.argmax()].tolist()]}' + ('; one equation of each pair '
                  'seems right, look at the other' if ((sent - old).abs().amax(0) < 1e-3*scale).any() else ''))
