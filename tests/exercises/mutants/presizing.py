"Plausible wrong answers to the exercises of the chapter on presizing, each with the words its message must hold"
import math

import torch

from . import mutant

# decibels


@mutant('psnr_of', says='ZeroDivisionError.*no error to divide by')
def equal_forgotten(image, ideal): return 10*math.log10(255**2/(image.double() - ideal.double()).square().mean().item())


# the centres of pixels


@mutant('pixel_places', says='shape \\[4\\], yours has')
def one_too_many(n): return torch.linspace(-1, 1, n + 1)


# two warps as one


@mutant('compose_warps', says='in place')
def in_place(first, then):
    first.copy_(first @ then)
    return first/first[2, 2]


# back into the picture

@mutant('slide_inside', says='each move by their own amount')
def corner_by_corner(corners, source): return corners.clamp(min=0).minimum(torch.tensor(source).float()) - corners


# light by table

def _logit():
    p = (torch.arange(256, dtype=torch.float64)/255).clamp(1e-7, 1 - 1e-7)
    return (p/(1 - p)).log()

@mutant('light_table', says='in the wrong order')
def contrast_first(brightness, contrast): return (255*(contrast*_logit() + brightness).sigmoid()).round().byte()

@mutant('light_table', says='cut off to whole numbers')
def cut_off(brightness, contrast): return (255*(contrast*(_logit() + brightness)).sigmoid()).byte()

@mutant('light_table', says='on the values themselves')
def linear(brightness, contrast):
    return (255*(contrast*(torch.arange(256)/255 + brightness)).clamp(0, 1)).round().byte()

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


@mutant('bilinear', says='raised IndexError')
def no_clamp(picture, places):
    x, y = (places - 0.5).unbind(1)
    x0, y0 = x.floor().long(), y.floor().long()
    fx, fy = x - x0, y - y0
    at = lambda i, j: picture[:, j, i]
    return (1 - fy)*((1 - fx)*at(x0, y0) + fx*at(x0 + 1, y0)) + fy*((1 - fx)*at(x0, y0 + 1) + fx*at(x0 + 1, y0 + 1))


# a map from four corners

def _equations(new, old, sign=-1., divisor=1.):
    rows, right = [], []
    for (u, v), (p, q) in zip(new.tolist(), old.tolist()):
        rows += [[u, v, 1, 0, 0, 0, sign*divisor*p*u, sign*divisor*p*v],
                 [0, 0, 0, u, v, 1, sign*divisor*q*u, sign*divisor*q*v]]
        right += [p, q]
    e = torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)[:, None],
                           driver='gelsd').solution[:, 0]
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
