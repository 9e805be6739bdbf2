"Plausible wrong answers to the exercises of the chapter on presizing, each with the words its message must hold"
import math

import torch

from . import mutant


# decibels

@mutant('psnr_of', says='cannot hold a negative difference|bytes have room')
def in_bytes(image, ideal):
    mse = (image - ideal).double().square().mean().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mutant('psnr_of', says='squares run over|bytes have room')
def squared_in_bytes(image, ideal):
    mse = (image - ideal).square().double().mean().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mutant('psnr_of', says='natural one')
def natural_logarithm(image, ideal):
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log(255**2/mse) if mse else math.inf

@mutant('psnr_of', says='added up and not averaged')
def sum_for_mean(image, ideal):
    mse = (image.double() - ideal.double()).square().sum().item()
    return 10*math.log10(255**2/mse) if mse else math.inf

@mutant('psnr_of', says='mean size of the errors')
def mean_size(image, ideal):
    e = (image.double() - ideal.double()).abs().mean().item()
    return 20*math.log10(255/e) if e else math.inf

@mutant('psnr_of', says='twice too large')
def factor_of_twenty(image, ideal):
    mse = (image.double() - ideal.double()).square().mean().item()
    return 20*math.log10(255**2/mse) if mse else math.inf

@mutant('psnr_of', says='peak of a byte is 255; yours is 1')
def peak_of_one(image, ideal):
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log10(1/mse) if mse else math.inf

@mutant('psnr_of', says='ZeroDivisionError.*no error to divide by')
def equal_forgotten(image, ideal): return 10*math.log10(255**2/(image.double() - ideal.double()).square().mean().item())

@mutant('psnr_of', says='stands on its head')
def upside_down(image, ideal):
    mse = (image.double() - ideal.double()).square().mean().item()
    return 10*math.log10(mse/255**2) if mse else math.inf


# the centres of pixels

@mutant('pixel_places', says='edges of the picture')
def corners_aligned(n): return torch.linspace(-1, 1, n)

@mutant('pixel_places', says='left edges')
def left_edges(n): return 2*torch.arange(n)/n - 1

@mutant('pixel_places', says='right edges')
def right_edges(n): return 2*torch.arange(1, n + 1)/n - 1

@mutant('pixel_places', says='run from 0 to 1; the picture')
def zero_to_one(n): return (torch.arange(n) + 0.5)/n

@mutant('pixel_places', says='counted in pixels')
def in_pixels(n): return torch.arange(n) + 0.5

@mutant('pixel_places', says='shape \\[4\\], yours has')
def one_too_many(n): return torch.linspace(-1, 1, n + 1)

@mutant('pixel_places', says='first centre is one half of a pixel')
def without_the_ends(n): return torch.linspace(-1, 1, n + 2)[1:-1]


# two warps as one

@mutant('compose_warps', says='order is the wrong way round')
def wrong_order(first, then):
    m = then @ first
    return m/m[2, 2]

@mutant('compose_warps', says='last number is not 1: a map means')
def not_divided(first, then): return first @ then

@mutant('compose_warps', says='not 1, and the order')
def wrong_order_not_divided(first, then): return then @ first

@mutant('compose_warps', says='one by one')
def entry_by_entry(first, then):
    m = first*then
    return m/m[2, 2]

@mutant('compose_warps', says='added')
def summed(first, then):
    m = first + then
    return m/m[2, 2]

@mutant('compose_warps', says='lost the perspective')
def affine_only(first, then):
    m = first @ then
    m[2] = torch.tensor([0., 0., 1.])
    return m

@mutant('compose_warps', says='from old places to new')
def inverse(first, then):
    m = torch.linalg.inv(then) @ torch.linalg.inv(first)
    return m/m[2, 2]

@mutant('compose_warps', says='first two rows are divided')
def two_rows_divided(first, then):
    m = first @ then
    return torch.cat([m[:2]/m[2, 2], m[2:]])

@mutant('compose_warps', says='in place')
def in_place(first, then):
    first.copy_(first @ then)
    return first/first[2, 2]

@mutant('compose_warps', says='determinant')
def by_the_determinant(first, then):
    m = first @ then
    return m/torch.linalg.det(m)


# back into the picture

@mutant('slide_inside', says='each move by their own amount')
def corner_by_corner(corners, source): return corners.clamp(min=0).minimum(torch.tensor(source).float()) - corners

@mutant('slide_inside', says='wrong sign')
def wrong_sign(corners, source): return (corners.amax(0) - torch.tensor(source)).clamp(min=0) - (-corners.amin(0)).clamp(min=0)

@mutant('slide_inside', says='left or the top')
def right_and_bottom_only(corners, source): return -(corners.amax(0) - torch.tensor(source)).clamp(min=0)

@mutant('slide_inside', says='right or the bottom')
def left_and_top_only(corners, source): return (-corners.amin(0)).clamp(min=0)

@mutant('slide_inside', says='and height are swapped')
def height_first(corners, source): return (-corners.amin(0)).clamp(min=0) - (corners.amax(0) - torch.tensor(source[::-1])).clamp(min=0)

@mutant('slide_inside', says='middle of the picture')
def to_the_middle(corners, source): return torch.tensor(source)/2 - (corners.amin(0) + corners.amax(0))/2

@mutant('slide_inside', says='although it lies inside')
def always_to_the_edge(corners, source): return torch.where(corners.amax(0) > torch.tensor(source), torch.tensor(source) - corners.amax(0), -corners.amin(0))

@mutant('slide_inside', says='centre of the shape only')
def centre_only(corners, source):
    c = corners.mean(0)
    return c.clamp(min=0).minimum(torch.tensor(source).float()) - c


# light by table

def _logit():
    p = (torch.arange(256, dtype=torch.float64)/255).clamp(1e-7, 1 - 1e-7)
    return (p/(1 - p)).log()

@mutant('light_table', says='in the wrong order')
def contrast_first(brightness, contrast): return (255*(contrast*_logit() + brightness).sigmoid()).round().byte()

@mutant('light_table', says='cut off to whole numbers')
def cut_off(brightness, contrast): return (255*(contrast*(_logit() + brightness)).sigmoid()).byte()

@mutant('light_table', says='on the values themselves')
def linear(brightness, contrast): return (255*(contrast*(torch.arange(256)/255 + brightness)).clamp(0, 1)).round().byte()

@mutant('light_table', says='holds nan')
def ends_not_kept(brightness, contrast):
    p = torch.arange(256)/255
    return 255*(contrast*((p/(1 - p)).log() + brightness) + 0*(1 - p).log()).sigmoid()

@mutant('light_table', says='gives bytes, uint8')
def not_bytes(brightness, contrast): return 255*(contrast*(_logit() + brightness)).sigmoid()

@mutant('light_table', says='wrong sign')
def darker(brightness, contrast): return (255*(contrast*(_logit() - brightness)).sigmoid()).round().byte()

@mutant('light_table', says='divided by the contrast')
def divided(brightness, contrast): return (255*((_logit() + brightness)/contrast).sigmoid()).round().byte()

@mutant('light_table', says='has no effect')
def no_contrast(brightness, contrast): return (255*(_logit() + brightness).sigmoid()).round().byte()

@mutant('light_table', says='shape \\[255\\]')
def one_short(brightness, contrast): return (255*(contrast*(_logit() + brightness)).sigmoid()).round().byte()[1:]


# four pixels mixed

def _mixed(picture, places, half=0.5, weigh=lambda fx, fy: (fx, fy), clamp=True, limit=None):
    h, w = limit or picture.shape[-2:]
    x, y = (places - half).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = weigh(x - x0, y - y0)
    def at(i, j):
        value = picture[:, j.clamp(0, h - 1), i.clamp(0, w - 1)]
        return value if clamp else value*((i >= 0) & (i < w) & (j >= 0) & (j < h))
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))

@mutant('bilinear', says='shifted by half a pixel: pixel')
def half_a_pixel_off(picture, places): return _mixed(picture, places, half=0.)

@mutant('bilinear', says='shifted by half a pixel the other way')
def half_the_other_way(picture, places): return _mixed(picture, places, half=-0.5)

@mutant('bilinear', says='four are mixed')
def nearest(picture, places):
    x, y = places.floor().long().unbind(1)
    return picture[:, y.clamp(0, picture.shape[1] - 1), x.clamp(0, picture.shape[2] - 1)]

@mutant('bilinear', says='weights are the wrong way round')
def weights_turned(picture, places): return _mixed(picture, places, weigh=lambda fx, fy: (1 - fx, 1 - fy))

@mutant('bilinear', says='weights of x and y are swapped')
def weights_crossed(picture, places): return _mixed(picture, places, weigh=lambda fx, fy: (fy, fx))

@mutant('bilinear', says='and y are swapped: x counts')
def rows_for_columns(picture, places): return _mixed(picture, places.flip(1))

@mutant('bilinear', says='edge your picture is black')
def black_outside(picture, places): return _mixed(picture, places, clamp=False)

@mutant('bilinear', says='wraps round')
def wraps_round(picture, places):
    h, w = picture.shape[-2:]
    x, y = (places - 0.5).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = x - x0, y - y0
    at = lambda i, j: picture[:, j.clamp(max=h - 1) % h, i.clamp(max=w - 1) % w]
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))

@mutant('bilinear', says='raised IndexError')
def no_clamp(picture, places):
    x, y = (places - 0.5).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = x - x0, y - y0
    at = lambda i, j: picture[:, j, i]
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))

@mutant('bilinear', says='count the same')
def equal_weights(picture, places): return _mixed(picture, places, weigh=lambda fx, fy: (torch.full_like(fx, 0.5),)*2)


# a map from four corners

def _equations(new, old, sign=-1., divisor=1.):
    rows, right = [], []
    for (u, v), (p, q) in zip(new.tolist(), old.tolist()):
        rows += [[u, v, 1, 0, 0, 0, sign*divisor*p*u, sign*divisor*p*v], [0, 0, 0, u, v, 1, sign*divisor*q*u, sign*divisor*q*v]]
        right += [p, q]
    e = torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)[:, None], driver='gelsd').solution[:, 0]
    return torch.cat([e, e.new_ones(1)]).view(3, 3)

@mutant('corners_map', says='from the old corners to the new')
def other_direction(new, old): return _equations(old, new)

@mutant('corners_map', says='affine map that comes nearest')
def affine_fit(new, old):
    h = torch.cat([new, new.new_ones(4, 1)], 1)
    return torch.cat([torch.linalg.lstsq(h, old).solution.T, new.new_tensor([[0., 0., 1.]])])

@mutant('corners_map', says='fits three corners')
def three_corners(new, old):
    h = torch.cat([new, new.new_ones(4, 1)], 1)
    return torch.cat([torch.linalg.solve(h[:3], old[:3]).T, new.new_tensor([[0., 0., 1.]])])

@mutant('corners_map', says='last row have the wrong sign')
def sign_of_the_divisor(new, old): return _equations(new, old, sign=1.)

@mutant('corners_map', says='transposed')
def transposed(new, old): return _equations(new, old).T.contiguous()

@mutant('corners_map', says='and y of the old places are swapped')
def swapped_old(new, old): return _equations(new, old.flip(1))

@mutant('corners_map', says='and y of the new places are swapped')
def swapped_new(new, old): return _equations(new.flip(1), old)

@mutant('corners_map', says='wanted as 1')
def of_length_one(new, old):
    m = _equations(new, old)
    return m/m.norm()


@mutant('light_table', says='a millionth is enough')
def far_from_the_ends(brightness, contrast):
    p = (torch.arange(256)/255).clamp(0.01, 0.99)
    return (255*(contrast*(p.logit() + brightness)).sigmoid()).round().byte()

def _near_the_edge(picture, places, whole, last):
    c, h, w = picture.shape
    q = places - 0.5
    i = whole(q)
    (fx, fy), (x, y) = (q - i).unbind(1), i.long().unbind(1)
    if last: x, y = x.clamp(0, max(w - 2, 0)), y.clamp(0, max(h - 2, 0))
    def at(i, j): return picture[:, j.clamp(0, h - 1), i.clamp(0, w - 1)]
    return (1 - fy)*((1 - fx)*at(x, y) + fx*at(x + 1, y)) + fy*((1 - fx)*at(x, y + 1) + fx*at(x + 1, y + 1))

@mutant('bilinear', says='cutting off')
def cut_off(picture, places): return _near_the_edge(picture, places, torch.trunc, False)

@mutant('bilinear', says='run on in a straight line')
def runs_on(picture, places): return _near_the_edge(picture, places, torch.floor, True)

@mutant('compose_warps', says='set to 1')
def only_the_last(first, then):
    whole = first @ then
    whole[2, 2] = 1
    return whole
