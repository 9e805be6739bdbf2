"""Drawn pictures of 128 classes: 32 textures, 56 things and 40 invented creatures; no cat and no dog, and no code of
the drawn pets.

`draw(name, rng)` draws one picture. What belongs to the class is its form: the pattern of a texture, the outline and
parts of a thing, the head, ears, eyes, mouth, coat and markings of a creature. Everything else is by chance in every
picture: colours, light, size, turn, place, bends of the outline, filling, background, what stands in front, noise.

    python -m tools.assets.drawn_things sheet.png      # one row of pictures a class, to look at
"""
import functools
import math
import sys

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE = 72 # pixels; painted at twice that, so that edges come out smooth
_S = 2*SIDE
_TAU = 2*math.pi


# Textures: u, v are coordinates [144,144] in periods of the pattern; the result is 0 to 1

def _smooth_noise(rng, rows, columns=None):
    "Noise [144,144] with so many bumps down and across, about -1 to 1"
    a = rng.uniform(-1, 1, (rows + 1, (columns or rows) + 1)).astype(np.float32)
    return np.asarray(Image.fromarray(a).resize((_S, _S), Image.BICUBIC))

def _step(x, soft=.12): return np.clip(x/soft/2 + .5, 0, 1)
def _wave(x): return .5 + .5*np.sin(_TAU*x)
def _saw(x): return x - np.floor(x)
def _tri(x): return np.abs(_saw(x)*2 - 1)

@functools.cache
def _grain(): return np.random.default_rng(0).random((256, 256)).astype(np.float32)

def _hash(i, j, k=0): return _grain()[(i.astype(int)*7 + 31*k) % 256, (j.astype(int)*13 + 57*k) % 256]

def _cells(u, v, jitter=.8):
    "Distance to the nearest of scattered points, how much farther the next one is, and the nearest one's own number"
    i, j = np.floor(u), np.floor(v)
    near = np.full(u.shape, 9.); second = near.copy(); own = near.copy()
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            d = np.hypot(i + a + .5 + jitter*(_hash(i+a, j+b) - .5) - u, j + b + .5
                         + jitter*(_hash(i+a, j+b, 1) - .5) - v)
            closer = d < near
            second = np.where(closer, near, np.minimum(second, d))
            own = np.where(closer, _hash(i+a, j+b, 2), own)
            near = np.where(closer, d, near)
    return near, second - near, own

def _hex(u, v):
    "Distance to the edge of a honeycomb's cell, and the cell's number"
    a = np.stack([u, v/math.sqrt(3)]); b = a - .5
    da, db = a - np.round(a), b - np.round(b)
    first = da[0]**2 + 3*da[1]**2 < db[0]**2 + 3*db[1]**2
    x, y = np.where(first, da[0], db[0]), np.where(first, da[1], db[1])*math.sqrt(3)
    c = np.where(first, np.round(a), np.round(b) + 99)
    return .5 - np.maximum(np.abs(x), np.abs(x)*.5 + np.abs(y)*math.sqrt(3)/2), _hash(c[0], c[1])

def _scales(u, v, pointed):
    out = np.zeros_like(u)
    for k in (0, 1, 2): # from the row behind to the row in front
        row = np.floor(v) + k - 1
        x, y = _saw(u + .5*(row % 2)) - .5, v - row
        reach = np.hypot(x*1.6, y*.75) if not pointed else np.abs(x)*1.7 + y*.62
        out = np.where((reach < 1) & (y > 0), reach**2*(.75 + .25*_hash(np.floor(u + .5*(row % 2)), row)), out)
    return out

def _strokes(u, v, rng, long, bend):
    "Noise drawn out along v"
    n = _smooth_noise(rng, 5)
    return _grain()[((v*24/long + bend*n*30).astype(int)) % 256, ((u*24 + bend*n*20).astype(int)) % 256]

TEXTURES = {
    'stripes': lambda u, v, rng: _step(np.sin(_TAU*u), .2),
    'waves': lambda u, v, rng: _step(np.sin(_TAU*(u + .22*np.sin(_TAU*v*.7))), .3),
    'zigzag': lambda u, v, rng: _step(_saw(u + .6*_tri(v)) - .5, .06),
    'checks': lambda u, v, rng: _step(np.sin(_TAU*u*.5)*np.sin(_TAU*v*.5), .05),
    'tartan': lambda u, v,
    rng: .4*_step(np.sin(_TAU*u*.5)) + .4*_step(np.sin(_TAU*v*.5)) + .2*((_saw(u*.5
                                                                               + .2) < .07) | (_saw(v*.5 + .2) < .07)),
    'dots': lambda u, v, rng: _step(.3 - np.hypot(_saw(u) - .5, _saw(v) - .5), .05),
    'blotches': lambda u, v, rng: _step(_smooth_noise(rng, 9), .12),
    'rosettes': lambda u, v,
    rng: (lambda d, e, c: np.maximum(_step(.09 - np.abs(d - .3),
                                           .04)*(c + .4*np.sin(3*np.arctan2(_saw(u) - .5, _saw(v) - .5)) > .25),
                                           .45*(d < .28)))(*_cells(u, v, .5)),
    'spots': lambda u, v, rng: (lambda d, e, c: _step(.2 + .14*c - d, .05))(*_cells(u, v, .9)),
    'marble': lambda u, v,
    rng: np.abs(np.sin(math.pi*(u*.35 + 1.3*_smooth_noise(rng, 4) + .5*_smooth_noise(rng, 10))))**.5,
    'wood': lambda u, v, rng: .6*_saw(np.hypot(u*1.3 + .3*_smooth_noise(rng, 3),
                                               v*.12)*1.2) + .4*_strokes(u, v, rng, 9, .05),
    'bricks': lambda u, v,
    rng: np.where((_saw(v) < .13) | (_saw(u*.5 + .5*(np.floor(v) % 2)) < .07), 0, .55
                  + .45*_hash(np.floor(u*.5 + .5*(np.floor(v) % 2)), np.floor(v))),
    'honeycomb': lambda u, v, rng: _step(_hex(u, v)[0] - .07, .04),
    'tiles': lambda u, v, rng: (lambda e, c: np.where(e < .03, 0, .3 + .7*c))(*_hex(u, v)),
    'scales': lambda u, v, rng: _scales(u, v, False),
    'feathers': lambda u, v, rng: _scales(u*1.2, v*.6, True),
    'fur': lambda u, v, rng: _strokes(u, v, rng, 5, .25),
    'wool': lambda u, v, rng: _wave(3.2*_smooth_noise(rng, 11) + .4*_smooth_noise(rng, 22)),
    'knit': lambda u, v, rng: _wave(v*1.5 + .5*_tri(u))*(.4 + .6*np.sin(math.pi*_saw(u*2))),
    'basket': lambda u, v,
    rng: np.where((np.floor(u) + np.floor(v)) % 2 > 0, np.abs(np.sin(math.pi*u*3)), np.abs(np.sin(math.pi*v*3))),
    'cracks': lambda u, v, rng: _step(_cells(u*.8, v*.8)[1] - .07, .05),
    'pebbles': lambda u, v, rng: (lambda d, e, c: np.clip(e*2, 0, 1)**.5*(.5 + .5*c))(*_cells(u, v, .9)),
    'patches': lambda u, v, rng: _cells(u*.8, v*.8)[2],
    'clouds': lambda u, v,
    rng: np.clip(.5 + .5*_smooth_noise(rng, 3) + .25*_smooth_noise(rng, 7) + .15*_smooth_noise(rng, 15), 0, 1),
    'ripples': lambda u, v, rng: _wave(np.hypot(u, v*2.2) + .25*_smooth_noise(rng, 5))**2,
    'sand': lambda u, v, rng: (.6*_grain()[(u*40).astype(int) % 256, (v*40).astype(int) % 256]
                               + .4*_wave(v*.6 + .3*_smooth_noise(rng, 4))),
    'target': lambda u, v, rng: _step(np.sin(_TAU*np.hypot(u, v)), .3),
    'rays': lambda u, v, rng: _step(np.sin(np.arctan2(v, u)*(8 + 2*rng.integers(5))), .2),
    'spiral': lambda u, v, rng: _step(np.sin(2*np.arctan2(v, u) + _TAU*np.hypot(u, v)*.8), .3),
    'mosaic': lambda u, v, rng: _hash(np.floor(u) + 40*(_saw(u) > _saw(v)), np.floor(v)),
    'grass': lambda u, v, rng: np.maximum(_strokes(u + v*.5, v, rng, 7, .1)**2, _strokes(u - v*.5, v, rng, 7, .1)**2),
    'bars': lambda u, v, rng: _step(np.sin(_TAU*(u + .3*_smooth_noise(rng, 4))) - .2 + .9*_smooth_noise(rng, 6), .25),
}

def _texture(name, rng, zoom=1.):
    "The pattern [144,144], turned, scaled, shifted and a little bent by chance"
    y, x = (np.mgrid[:_S, :_S] - _S/2).astype(np.float32)/_S
    f, a = rng.uniform(4, 9)*zoom, rng.uniform(0, _TAU)
    if name in ('target', 'rays', 'spiral', 'ripples'): shift = rng.uniform(-1, 1, 2)
    else: shift = rng.uniform(0, 60, 2)
    bend = rng.uniform(0, .03)
    x, y = x + bend*_smooth_noise(rng, 3), y + bend*_smooth_noise(rng, 3)
    squeeze = rng.uniform(.8, 1.25)
    return TEXTURES[name](f*squeeze*(x*math.cos(a) - y*math.sin(a)) + shift[0],
                          f/squeeze*(x*math.sin(a) + y*math.cos(a)) + shift[1], rng)


# Outlines: points [n,2] in a square from -1 to 1, y down

def _turned(p, a, x=0, y=0):
    c, s = math.cos(a), math.sin(a)
    return (np.asarray(p, float) - (x, y)) @ [[c, s], [-s, c]] + (x, y)

def oval(x, y, rx, ry=None, angle=0., start=0., end=1.):
    t = np.linspace(start*_TAU, end*_TAU, 40)
    return _turned(np.stack([x + rx*np.cos(t), y + (ry or rx)*np.sin(t)], 1), angle, x, y)

def box(x0, y0, x1, y1): return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
def poly(*points): return np.array(points, float)
def mirrored(*points): return np.array([*points, *[(-x, y) for x, y in points[::-1]]], float)
def wheel(n, tip, dent, turn=-.25):
    "A star or a flower: n tips, every second corner nearer to the middle"
    t = np.arange(2*n)/(2*n)*_TAU + turn*_TAU
    r = np.where(np.arange(2*n) % 2, dent, tip)
    return np.stack([r*np.cos(t), r*np.sin(t)], 1)

def rounded(points, times=3):
    p = np.asarray(points, float)
    for _ in range(times): # Chaikin's corner cutting
        q = np.roll(p, -1, 0)
        p = np.stack([.75*p + .25*q, .25*p + .75*q], 1).reshape(-1, 2)
    return p

def band(points, w0, w1=None):
    "A band along an open line, from one width to another"
    p = np.asarray(points, float)
    at = np.linspace(0, len(p) - 1, 8*len(p))
    q = np.stack([np.interp(at, range(len(p)), p[:, k]) for k in (0, 1)], 1)
    for _ in range(6): q[1:-1] = (q[:-2] + 2*q[1:-1] + q[2:])/4
    d = np.gradient(q, axis=0)
    side = np.stack([-d[:, 1], d[:, 0]],
                    1)/(np.linalg.norm(d, axis=1,
                                       keepdims=True) + 1e-9)*np.linspace(w0, w0 if w1 is None else w1,
                                                                          len(q))[:, None]/2
    return np.concatenate([q + side, (q - side)[::-1]])


# Things: a function of `u(low, high)`, which draws a number, gives parts from back to front: (outline, ink).
# Inks: 0 the filling, 1 and 2 two further colours, 3 dark, 4 light

def _several(n, f): return [f(k) for k in range(n)]

THINGS = {
    'house': lambda u: [(box(-.75, -.1, .75, .9), 0), (poly((-.95, -.1), (0, -.9), (.95, -.1)), 1),
                        (box(.3, -.85, .5, -.3), 1), (box(-.15, .35, .2, .9), 3), (box(-.6, .1, -.3, .4), 4),
                        (box(.35, .1, .6, .4), 4)],
    'tower': lambda u: [(box(-.4, -.6, .4, .95), 0),
                        *_several(3, lambda k: (box(-.5 + .37*k, -.9, -.25 + .37*k, -.55), 0)),
                        (box(-.5, -.65, .5, -.5), 1), (oval(0, -.15, .12, .2), 3), (oval(0, .85, .2, .4), 3)],
    'round_tree': lambda u: [(box(-.12, .2, .12, .95), 1), (oval(-.35, 0, .45), 0), (oval(.35, .0, .45), 0),
                             (oval(0, -.45, .5), 0)],
    'fir': lambda u: [(box(-.1, .6, .1, .95), 1),
                      *_several(3, lambda k: (mirrored((0, .15 - .5*k), (.75 - .17*k, .7 - .5*k)), 0))],
    'palm': lambda u: [(band([(-.15, .95), (.05, .3), (0, -.4)], .2, .12), 1),
                       *_several(6, lambda k: (rounded(_turned([(0, -.4), (.45, -.62), (.85, -.3), (.4, -.42)], k*1.04,
                                                               0, -.4)), 0))],
    'cup': lambda u: [(oval(.6, .1, .35, .4), 0), (oval(.6, .1, .2, .25), 4),
                      (mirrored((.6, -.55), (.5, .6), (.3, .75)), 0), (oval(0, -.55, .6, .16), 1),
                      (oval(0, -.53, .5, .1), 3)],
    'bottle': lambda u: [(rounded(mirrored((.14, -.95), (.14, -.4), (.42, -.05), (.42, .95)), 2), 0),
                         (box(-.16, -.98, .16, -.8), 1), (box(-.41, .2, .41, .65), 4)],
    'vase': lambda u: [(rounded(mirrored((.4, -.9), (.15, -.5), (.7, .1), (.45, .7), (.3, .95)), 2), 0),
                       (oval(0, -.8, .33, .08), 3)],
    'teapot': lambda u: [(band([(.4, .3), (.75, .1), (.95, -.35)], .25, .12), 0), (oval(-.65, .1, .3, .35), 0),
                         (oval(-.65, .1, .18, .22), 4), (oval(0, .2, .62, .52), 0), (oval(0, -.3, .35, .12), 1),
                         (oval(0, -.45, .1), 2)],
    'mushroom': lambda u: [(rounded(mirrored((.15, -.1), (.2, .5), (.3, .95)), 2), 4),
                           (oval(0, -.1, .9, .75, start=.5, end=1), 0),
                           *_several(3, lambda k: (oval(-.45 + .45*k, -.35 - .2*(k == 1), .12, .1), 4))],
    'fish': lambda u: [(poly((-.45, 0), (-.95, -.45), (-.8, 0), (-.95, .45)), 1),
                       (poly((-.1, -.3), (.15, -.75), (.4, -.3)), 1), (oval(.1, 0, .75, .42), 0),
                       (oval(.55, -.1, .1), 4), (oval(.57, -.1, .05), 3), (poly((.05, .05), (-.2, .3), (.15, .22)), 1)],
    'bird': lambda u: [(poly((-.4, .2), (-.95, .35), (-.9, .0)), 1), (band([(0, .5), (.05, .95)], .06), 3),
                       (oval(0, .15, .55, .42, -.2), 0), (oval(.5, -.35, .3), 0),
                       (poly((.72, -.45), (.98, -.3), (.72, -.22)), 2), (oval(.58, -.42, .06), 3),
                       (oval(-.12, .12, .35, .2, .3), 1)],
    'flying_bird': lambda u: [(rounded([(0, 0), (-.5, -.7), (-.95, -.35), (-.45, -.3), (0, .25)], 2), 0),
                              (rounded([(0, 0), (.5, -.7), (.95, -.35), (.45, -.3), (0, .25)], 2), 0),
                              (oval(0, .1, .15, .4), 1), (oval(0, -.3, .14), 1)],
    'butterfly': lambda u: [*_several(2, lambda k: (oval((-.5, .5)[k], -.35, .45, .5, (-.5, .5)[k]), 0)),
                            *_several(2, lambda k: (oval((-.4, .4)[k], .4, .35, .4), 1)),
                            *_several(2, lambda k: (oval((-.5, .5)[k], -.4, .15), 2)), (oval(0, 0, .09, .6), 3),
                            (band([(0, -.5), (-.2, -.9)], .04), 3), (band([(0, -.5), (.2, -.9)], .04), 3)],
    'snail': lambda u: [(band([(-.95, .75), (0, .72), (.7, .65), (.8, .1)], .25, .2), 1), (oval(-.1, .1, .58), 0),
                        *_several(3, lambda k: (oval(-.1 + .04*k, .1 + .03*k, .42 - .14*k), (2, 0, 2)[k])),
                        (band([(.8, .1), (.95, -.25)], .05), 3), (band([(.75, .1), (.7, -.25)], .05), 3)],
    'beetle': lambda u: [*_several(6,
                                   lambda k: (band([(0, .1), ((-.8, .8)[k % 2], -.35 + .45*(k//2)),
                                                    ((-.95, .95)[k % 2], -.1 + .5*(k//2))], .07), 3)),
                                                    (oval(0, -.5, .3, .25), 3), (oval(0, .2, .5, .62), 0),
                                                    (box(-.025, -.4, .025, .82), 3), (oval(-.22, .05, .1), 2),
                                                    (oval(.22, .05, .1), 2), (oval(-.22, .45, .1), 2),
                                                    (oval(.22, .45, .1), 2)],
    'spider': lambda u: [*_several(8,
                                   lambda k: (band([(0, 0), ((-.6, .6)[k % 2], -.6 + .3*(k//2)),
                                                    ((-.95, .95)[k % 2], -.4 + .42*(k//2))], .06), 3)),
                                                    (oval(0, .3, .38, .42), 0), (oval(0, -.2, .25), 1)],
    'crab': lambda u: [*_several(6, lambda k: (band([(0, .3), ((-.9, .9)[k % 2], .3 + .25*(k//2))], .08), 1)),
                       *_several(2, lambda k: (band([((-.4, .4)[k], .1), ((-.85, .85)[k], -.3), ((-.6, .6)[k], -.75)],
                                                    .14, .3), 1)), (oval(0, .25, .6, .4), 0), (oval(-.2, -.25, .1), 4),
                                                    (oval(.2, -.25, .1), 4), (oval(-.2, -.25, .05), 3),
                                                    (oval(.2, -.25, .05), 3)],
    'octopus': lambda u: [*_several(6,
                                    lambda k: (band([(-.3 + .12*k, .0), (-.75 + .3*k, .55),
                                                     (-.8 + .32*k + u(-.15, .15), .95)], .22, .08), 0)),
                                                     (oval(0, -.3, .5, .58), 0), (oval(-.2, -.2, .12), 4),
                                                     (oval(.2, -.2, .12), 4), (oval(-.2, -.18, .06), 3),
                                                     (oval(.2, -.18, .06), 3)],
    'turtle': lambda u: [*_several(4,
                                   lambda k: (oval((-.5, .5)[k % 2], (.15, .6)[k//2], .25, .15, (-.6, .6)[k % 2]), 1)),
                                   (oval(.8, .1, .2, .16), 1), (oval(.85, .06, .04), 3),
                                   (oval(0, .3, .7, .62, start=.5, end=1), 0), (box(-.75, .28, .75, .42), 2)],
    'starfish': lambda u: [(rounded(wheel(5, .95, .32), 2), 0),
                           *_several(5, lambda k: (oval(.35*math.cos(k*1.257 - 1.57), .35*math.sin(k*1.257 - 1.57),
                                                        .07), 2))],
    'leaf': lambda u: [(rounded(mirrored((0, -.95), (.5, -.3), (.45, .3), (.05, .8)), 2), 0),
                       (box(-.03, -.8, .03, .98), 1),
                       *_several(6, lambda k: (band([(0, .4 - .35*(k//2)), ((-.35, .35)[k % 2], .1 - .35*(k//2))],
                                                    .035), 1))],
    'oak_leaf': lambda u: [(rounded(mirrored((0, -.95), (.3, -.75), (.15, -.5), (.55, -.35), (.25, -.05), (.65, .15),
                                             (.25, .35), (.4, .6), (.05, .75)), 1), 0), (box(-.03, -.7, .03, .98), 1)],
    'daisy': lambda u: [*_several(9, lambda k: (oval(.58*math.cos(k*.698), .58*math.sin(k*.698), .36, .17, k*.698), 0)),
                        (oval(0, 0, .27), 1)],
    'tulip': lambda u: [(band([(0, .2), (.04, .95)], .07), 1),
                        (rounded([(.05, .8), (.25, .2), (.5, 0), (.3, .6)], 2), 1),
                        (rounded(mirrored((0, -.45), (.2, -.65), (.45, -.95), (.45, -.2), (.2, .2)), 1), 0)],
    'cactus': lambda u: [(mirrored((.35, .5), (.25, .95)), 1), (band([(0, .1), (-.6, .05), (-.6, -.4)], .22), 0),
                         (band([(0, -.1), (.55, -.15), (.55, -.6)], .2), 0),
                         (rounded(mirrored((.22, -.95), (.22, .55)), 2), 0)],
    'star': lambda u: [(wheel(5, .95, .4), 0)],
    'sun': lambda u: [(wheel(12, .98, .62), 1), (oval(0, 0, .55), 0)],
    'moon': lambda u: [(np.concatenate([oval(0, 0, .9, start=.2, end=.8),
                                        oval(-.05, 0, .55, .85, start=.2, end=.8)[::-1] + (.25, 0)]), 0)],
    'cloud': lambda u: [(oval(-.5, .15, .4, .32), 0), (oval(.5, .15, .42, .33), 0), (oval(-.1, -.15, .45), 0),
                        (oval(.25, -.05, .4), 0), (box(-.55, .1, .55, .46), 0)],
    'heart': lambda u: [(rounded(mirrored((0, -.45), (.25, -.95), (1.05, -.8), (.95, .05), (0, .95)), 2), 0)],
    'gear': lambda u: [*_several(8, lambda k: (_turned(box(-.15, -.95, .15, -.5), k*_TAU/8), 0)), (oval(0, 0, .7), 0),
                       (oval(0, 0, .28), 3)],
    'bolt': lambda u: [(poly((.15, -.95), (-.55, .15), (-.05, .15), (-.2, .95), (.55, -.2), (.05, -.2)), 0)],
    'drop': lambda u: [(rounded(mirrored((0, -.98), (.3, -.35), (.7, .3), (.45, .9)), 2), 0),
                       (oval(-.2, .35, .1, .18), 4)],
    'ring': lambda u: [(oval(0, 0, .9), 0), (oval(0, 0, .42), 4),
                       *_several(7, lambda k: (oval(.66*math.cos(k*.9 + .3), .66*math.sin(k*.9 + .3), .07, .04, k),
                                               2))],
    'crown': lambda u: [(poly((-.85, .6), (-.9, -.5), (-.45, .05), (0, -.75), (.45, .05), (.9, -.5), (.85, .6)), 0),
                        (box(-.85, .45, .85, .7), 1),
                        *_several(3, lambda k: (oval(-.88 + .88*k, (-.55, -.8, -.55)[k], .1), 2))],
    'hat': lambda u: [(oval(0, .45, .95, .22), 0), (rounded(mirrored((.5, -.7), (.5, .5)), 1), 0),
                      (box(-.5, .15, .5, .4), 1)],
    'umbrella': lambda u: [(band([(0, -.3), (0, .7), (.15, .9), (.3, .7)], .06), 3),
                           (oval(0, 0, .95, .85, start=.5, end=1), 0),
                           *_several(2, lambda k: (oval((-.33, .33)[k], 0, .3, .15, start=.5, end=1), 1)),
                           (oval(0, 0, .2, .8, start=.5, end=1), 1)],
    'boat': lambda u: [(box(-.04, -.9, .04, .4), 3), (poly((.08, -.85), (.75, .25), (.08, .25)), 0),
                       (poly((-.08, -.6), (-.6, .25), (-.08, .25)), 1),
                       (poly((-.9, .4), (.9, .4), (.55, .85), (-.6, .85)), 2)],
    'car': lambda u: [(rounded([(-.55, -.05), (-.35, -.5), (.35, -.5), (.6, -.05)], 1), 0),
                      (rounded(box(-.95, -.1, .95, .42), 1), 0),
                      (poly((-.35, -.08), (-.25, -.38), (-.02, -.38), (-.02, -.08)), 4),
                      (poly((.38, -.08), (.28, -.38), (.05, -.38), (.05, -.08)), 4),
                      *_several(2, lambda k: (oval((-.5, .5)[k], .42, .23), 3)),
                      *_several(2, lambda k: (oval((-.5, .5)[k], .42, .1), 4))],
    'truck': lambda u: [(box(-.95, -.55, .35, .4), 0), (rounded(box(.38, -.2, .95, .4), 1), 1),
                        (box(.6, -.1, .85, .12), 4), *_several(3, lambda k: (oval((-.6, -.1, .65)[k], .45, .2), 3))],
    'plane': lambda u: [(poly((-.15, -.1), (-.95, .3), (-.95, .45), (-.1, .2), (.1, .2), (.95, .45), (.95, .3),
                              (.15, -.1)), 1), (rounded(mirrored((0, -.98), (.14, -.6), (.12, .8)), 2), 0),
                              (mirrored((.05, .6), (.4, .9)), 1)],
    'rocket': lambda u: [(mirrored((.3, .2), (.65, .75), (.3, .65)), 1), (mirrored((.15, .6), (0, .98)), 2),
                         (rounded(mirrored((0, -.98), (.32, -.35), (.3, .65)), 2), 0), (oval(0, -.25, .15), 4)],
    'balloon': lambda u: [(band([(0, .45), (.1, .7), (-.05, .98)], .04), 3), (mirrored((.03, .35), (.12, .5)), 1),
                          (rounded(mirrored((.35, -.98), (.8, -.4), (.3, .35)), 3), 0),
                          (oval(-.25, -.5, .1, .16, .4), 4)],
    'key': lambda u: [(box(-.1, -.1, .95, .1), 0), (box(.6, 0, .72, .4), 0), (box(.82, 0, .94, .32), 0),
                      (oval(-.5, 0, .45), 0), (oval(-.55, 0, .2), 4)],
    'lamp': lambda u: [(box(-.05, -.2, .05, .85), 3), (oval(0, .85, .45, .12), 3),
                       (mirrored((.3, -.9), (.75, .05)), 0)],
    'chair': lambda u: [(box(-.5, -.95, -.35, .95), 1), (box(.35, .1, .5, .95), 1), (box(-.5, -.9, -.35, .1), 1),
                        (poly((-.5, 0), (.5, 0), (.6, .25), (-.5, .25)), 0), (box(-.5, -.9, -.25, .05), 0)],
    'clock': lambda u: [(oval(0, 0, .9), 0), (oval(0, 0, .72), 4),
                        *_several(12, lambda k: (oval(.6*math.cos(k*.5236), .6*math.sin(k*.5236), .05), 3)),
                        (_turned(box(-.04, -.5, .04, .05), u(0, 6)), 3),
                        (_turned(box(-.05, -.33, .05, .05), u(0, 6)), 3)],
    'bell': lambda u: [(oval(0, .75, .18), 3), (rounded(mirrored((.15, -.9), (.5, -.4), (.55, .3), (.9, .7)), 1), 0),
                       (box(-.75, .52, .75, .68), 1)],
    'shirt': lambda u: [(mirrored((.2, -.75), (.55, -.7), (.98, -.2), (.72, .05), (.5, -.2), (.5, .85)), 0),
                        (oval(0, -.75, .22, .17), 3)],
    'guitar': lambda u: [(box(-.07, -.98, .07, .1), 1), (oval(0, .05, .38, .33), 0), (oval(0, .55, .52, .42), 0),
                         (oval(0, .3, .15), 3), (box(-.18, .68, .18, .75), 3)],
    'apple': lambda u: [(band([(0, -.4), (.1, -.9)], .09), 3), (rounded([(.1, -.6), (.5, -.95), (.6, -.65)], 2), 1),
                        (rounded(mirrored((0, -.4), (.4, -.75), (1.05, -.3), (.65, .85), (.15, .85)), 3), 0)],
    'pear': lambda u: [(band([(0, -.6), (.08, -.98)], .08), 3),
                       (rounded(mirrored((.15, -.85), (.35, -.3), (.75, .3), (.4, .95)), 3), 0)],
    'cherries': lambda u: [(band([(0, -.9), (-.35, -.3), (-.45, .3)], .05), 1),
                           (band([(0, -.9), (.3, -.3), (.4, .4)], .05), 1), (oval(-.45, .45, .4), 0),
                           (oval(.42, .5, .4), 0), (rounded([(0, -.9), (.5, -1), (.75, -.6), (.4, -.6)], 2), 1)],
    'carrot': lambda u: [*_several(3, lambda k: (oval(-.25 + .25*k, -.7, .12, .32, -.5 + .5*k), 1)),
                         (rounded(mirrored((.35, -.5), (.3, .1), (.02, .98)), 2), 0),
                         *_several(3, lambda k: (box(-.2 + .1*k, -.25 + .3*k, .1, -.2 + .3*k), 3))],
    'ice_cream': lambda u: [(poly((-.42, .0), (.42, .0), (0, .98)), 1), (oval(-.25, -.2, .35), 0),
                            (oval(.25, -.2, .35), 0), (oval(0, -.55, .37), 2)],
}


# Creatures: the kinds differ in the rows below; each row is drawn by lot once and for all

_PARTS = {'crest': 'none round horns antlers rabbit fins antennae feathers spikes flaps'.split(),
          'eyes': (1, 2, 2, 2, 3), 'pupil': 'dot slit bar wide'.split(),
          'mouth': 'beak pig muzzle grin trunk small tusks'.split(), 'coat': 'smooth fur shaggy curly scales'.split(),
          'mark': 'none bars spots mask patch rings belly saddle'.split(), 'tail': 'none thin bushy curl fin'.split()}

def _kind(k):
    r = np.random.default_rng([77, k])
    kind = {part: choices[r.integers(len(choices))] for part, choices in _PARTS.items()}
    kind['crest'] = _PARTS['crest'][k % 10]
    return kind | {'wide': r.uniform(.72, 1.1), 'high': r.uniform(.7, .95), 'cheek': r.uniform(.75, 1.1),
                   'chin': r.uniform(.3, .75), 'eye': r.uniform(.12, .24),
                   'apart': r.uniform(.3, .5), 'level': r.uniform(-.2, .05), 'girth': r.uniform(.75, 1.25),
                   'legs': r.uniform(.6, 1.3), 'ear': r.uniform(.7, 1.2)}

CREATURES = {f'creature_{k:02d}': _kind(k) for k in range(40)}

def _on_a_side(crest, e, w, h, s):
    x, parts = s*w*.6, []
    if crest == 'round': parts += [(oval(s*w*.75, -h*.8, .34*e), 0), (oval(s*w*.75, -h*.78, .2*e), 2)]
    elif crest == 'horns':
        parts += [(band([(x, -h*.6), (s*(w*.8 + .1), -h - .25*e), (s*(w*.6), -h - .6*e)], .26, .03), 4)]
    elif crest == 'antlers': parts += [(band([(x*.6, -h*.7), (x, -h - .35*e), (x*1.6, -h - .75*e)], .09, .05),
                                         3), (band([(x, -h - .3*e), (x*.7, -h - .75*e)], .08, .04), 3),
                                         (band([(x*1.2, -h - .45*e), (x*1.9, -h - .4*e)], .07, .04), 3)]
    elif crest == 'rabbit':
        parts += [(oval(x*.7, -h - .4*e, .17, .62*e, s*.2), 0), (oval(x*.7, -h - .38*e, .09, .46*e, s*.2), 2)]
    elif crest == 'fins': parts += [(poly((s*w*.8, -h*.5), (s*(w + .5*e), -h*.9), (s*(w + .38*e), -.1),
                                     (s*(w + .5*e), h*.3), (s*w*.85, h*.3)), 1)]
    elif crest == 'antennae':
        parts += [(band([(x*.5, -h*.8), (x*.7, -h - .4*e), (x*1.4, -h - .6*e)], .06), 3),
                  (oval(x*1.4, -h - .6*e, .12), 2)]
    elif crest == 'flaps': parts += [(oval(s*(w + .2*e), -.05, .36*e, .5*e, s*.2), 0),
                                      (oval(s*(w + .22*e), -.05, .22*e, .34*e, s*.2), 2)]
    return parts

def _crest(q, w, h, u):
    e = q['ear']
    parts = _on_a_side(q['crest'], e, w, h, -1) + _on_a_side(q['crest'], e, w, h, 1)
    if q['crest'] == 'spikes': parts += _several(5,
                                                 lambda k: (poly(((k - 2.6)*.24*w, -h*.85),
                                                                 ((k - 2)*.3*w, -h - (.5 - .08*abs(k - 2))*e),
                                                                 ((k - 1.4)*.24*w, -h*.85)), (1, 2)[k % 2]))
    if q['crest'] == 'feathers':
        parts += _several(5, lambda k: (oval((k - 2)*.17, -h - .2*e + .05*abs(k - 2), .09, .4*e, (k - 2)*.3),
                                        (1, 2)[k % 2]))
    return parts

def _face(q, w, h, u, hide):
    gaze, r, n = u(-.4, .4), q['eye']*(1.35 if q['eyes'] == 1 else 1), q['eyes']
    parts = []
    if hide < .06: r = 0
    for k in range(n):
        x = (k - (n - 1)/2)*2*q['apart']/max(n - 1, 1)*w
        y = q['level'] - (.12 if n == 3 and k == 1 else 0)
        if not r: parts.append((band([(x - .15, y), (x, y + .07), (x + .15, y)], .05), 3)); continue
        parts += [(oval(x, y, r*1.18), 3), (oval(x, y, r), 5)]
        a, b = {'dot': (.55, .55), 'slit': (.25, .8), 'bar': (.8, .28), 'wide': (.8, .8)}[q['pupil']]
        parts += [(oval(x + gaze*r*.3, y, r*a, r*b), 3), (oval(x - r*.3, y - r*.35, r*.22), 4)]
    y = q['level'] + .3
    m = q['mouth']
    if m == 'beak':
        parts += [(mirrored((.28, y), (.18, y + .22), (0, y + .48)), 2),
                  (band([(-.2, y + .12), (.2, y + .12)], .04), 3)]
    elif m == 'pig': parts += [(oval(0, y + .18, .34, .25), 2), (oval(-.13, y + .18, .06, .09), 3),
                               (oval(.13, y + .18, .06, .09), 3)]
    elif m == 'muzzle':
        parts += [(oval(0, y + .25, .45, .33), 1), (oval(0, y + .08, .17, .12), 3),
                  (band([(0, y + .15), (0, y + .35)], .04), 3),
                  (band([(-.25, y + .38), (0, y + .44), (.25, y + .38)], .04), 3)]
    elif m == 'grin': parts += [(oval(0, y + .1, .55, .35, start=0, end=.5), 3),
                                *_several(5, lambda k: (poly((-.4 + .18*k, y + .1), (-.24 + .18*k, y + .1),
                                                             (-.32 + .18*k, y + .25)), 4))]
    elif m == 'trunk': parts += [(band([(0, y - .1), (.02, y + .4), (.25, y + .8), (.5, y + .75)], .36, .18), 0)]
    elif m == 'small':
        parts += [(oval(0, y + .02, .08, .06), 3), (band([(-.14, y + .25), (0, y + .3), (.14, y + .25)], .05), 3)]
    else: parts += [(band([(-.4, y + .15), (0, y + .22), (.4, y + .15)], .06), 3),
                    *_several(2, lambda k: (poly(((-.3, .3)[k], y + .17), ((-.15, .15)[k], y + .2),
                                                 ((-.24, .24)[k], y - .15)), 4))]
    return parts

def _marks(q, lo, hi, u, head):
    "Markings as outlines over the box of a part"
    (x0, y0), (x1, y1) = lo, hi
    w, h, m = x1 - x0, y1 - y0, q['mark']
    if m == 'bars':
        return [band([(x0 + w*(k + .5)/5 + u(-.03, .03), y0 - .1), (x0 + w*(.5 + (k - 2)*.16), y0 + h*u(.3, .5))], .09,
                     .03) for k in range(5)]
    if m == 'spots': return [oval(x0 + w*u(0, 1), y0 + h*u(0, 1), u(.04, .1), u(.04, .1)) for _ in range(14)]
    if m == 'rings':
        return [band([(x0 - .1, y0 + h*t), (x0 + w/2, y0 + h*(t + .08)), (x1 + .1, y0 + h*t)], .1)
                for t in (.15, .5, .85)]
    if m == 'mask': return [oval(x0 + w/2, y0 + h*.62, w*.36, h*.42)] if head else []
    if m == 'patch':
        return [oval(x0 + w*.72, y0 + h*.42, w*.24, h*.3)] if head else [oval(x0 + w*.2, y0 + h*.3, w*.22, h*.25)]
    if m == 'belly': return [] if head else [oval(x0 + w/2, y0 + h*.7, w*.3, h*.4)]
    if m == 'saddle': return [oval(x0 + w/2, y0, w*.7, h*.35)]
    return []

def _creature(name, rng):
    "Parts from back to front; ink 6 marks the markings of the part before"
    def u(lo, hi): return rng.uniform(lo, hi)
    q, parts = CREATURES[name], []
    w, h = q['wide']*u(.94, 1.06), q['high']*u(.94, 1.06)
    pose, g, side = u(0, 1), q['girth'], rng.choice([-1, 1])
    def tail(x, y, s):
        if q['tail'] == 'thin': parts.append((band([(x, y), (x + s*.5, y - .1), (x + s*.8, y - .6)], .13, .05), 0))
        elif q['tail'] == 'bushy':
            parts.append((rounded([(x, y - .1), (x + s*.5, y - .5), (x + s*.9, y - .7), (x + s*.85, y - .1),
                                   (x + s*.4, y + .15)], 2), 0))
        elif q['tail'] == 'curl': parts.append((band([(x, y), (x + s*.4, y - .3), (x + s*.15, y - .6),
                                                      (x + s*-.05, y - .3)], .18, .1), 0))
        elif q['tail'] == 'fin': parts.append((poly((x, y), (x + s*.7, y - .5), (x + s*.55, y), (x + s*.7, y + .3)), 1))
    hx, hy = 0., 0.
    if pose < .3: # sitting
        tail(.45*g*side, 1.6, side)
        body = rounded(mirrored((.3, .3), (.62*g, 1.0), (.72*g, 1.75), (.4, 2.)), 2)
        parts += [(body, 0), *[(c, 6) for c in _marks(q, body.min(0), body.max(0), u, False)]]
        parts += [(oval(s*.55*g, 1.75, .28, .25), 0) for s in (-1, 1)] + [(band([(s*.22, 1.), (s*.22, 1.95)], .28), 0)
                                                                          for s in (-1, 1)]
    elif pose < .6: # standing, seen from the side
        hx, hy, l = -1.*side, -.25*u(0, 1.5), q['legs']
        tail(.95*side, .5, side)
        body = oval(0, .62, 1.05, .48*g)
        parts += [(band([(x*side, .7), (x*side + u(-.1, .1), .9 + .75*l)], .26, .2), c) for x,
                  c in ((-.55, 1), (.85, 1), (-.8, 0), (.6, 0))]
        parts += [(body, 0), *[(c, 6) for c in _marks(q, body.min(0), body.max(0), u, False)]]
    else: parts.append((rounded(mirrored((.35, .5), (.9*g, 1.2), (.9*g, 1.9)), 1), 0)) # head and shoulders
    head = rounded(mirrored((w*.4, -h*1.12), (w*1.1, -h*.75), (w*1.12, .05), (w*q['cheek'], h*.75), (q['chin'], h*1.1)),
                   2)
    start = len(parts)
    parts += _crest(q, w, h, u)
    parts += [(head, 0), *[(c, 6) for c in _marks(q, head.min(0), head.max(0), u, True)], *_face(q, w, h, u, u(0, 1))]
    a = u(-.25, .25)
    parts[start:] = [(_turned(p, a, 0, .5) + (hx, hy), ink) for p, ink in parts[start:]]
    lo, hi = np.concatenate([p for p, _ in parts]).min(0), np.concatenate([p for p, _ in parts]).max(0)
    return [((p - (lo + hi)/2)/max(hi - lo)*2, ink) for p, ink in parts], 2/max(hi - lo)


# Painting

def _hsv(hue, sat, val):
    i, f = divmod(hue % 1*6, 1)
    p, q, t = val*(1 - sat), val*(1 - sat*f), val*(1 - sat*(1 - f))
    return np.array(((val, t, p), (q, val, p), (p, val, t), (p, q, val), (t, p, val), (val, p, q))[int(i)])*255

def _colours(rng, n):
    "Half of the time browns, greys, creams and reds, as wood and stone and animals have; else any"
    if rng.random() < .5:
        return [_hsv(rng.uniform(.02, .14), rng.uniform(.05, .75), rng.uniform(.15, 1)) for _ in range(n)]
    base = rng.random()
    return [_hsv(base + rng.choice([0, .08, .33, .5]) + rng.uniform(-.04, .04), rng.uniform(.1, .9), rng.uniform(.2, 1))
            for _ in range(n)]

def _ints(c): return tuple(int(v) for v in np.clip(c, 0, 255))

def _fill(name, colours, rng, zoom=1.):
    t = _texture(name, rng, zoom)[..., None].astype(np.float32)
    return Image.fromarray((colours[0]*(1 - t) + colours[1]*t).clip(0, 255).astype(np.uint8))

def _background(rng):
    a, b, c = _colours(rng, 3)
    y, x = np.mgrid[:_S, :_S].astype(np.float32)[..., None]/_S
    if rng.random() < .5: # a horizon, two grounds
        at = rng.uniform(.4, .85)
        im = Image.fromarray(np.where(y < at, a*(1 - y*.4), b*(.7 + .3*y)).clip(0, 255).astype(np.uint8))
    else: im = Image.fromarray((a*(1 - y) + b*y + (c - a)*.4*(x - .5)).clip(0, 255).astype(np.uint8))
    d = ImageDraw.Draw(im)
    for _ in range(rng.integers(0, 9)): # things that are not the matter
        p = (rounded(wheel(int(rng.integers(2, 6)), 1, rng.uniform(.4, 1), rng.random()),
                     int(rng.integers(0, 3)))*rng.uniform(6, 40, 2) + rng.uniform(0, _S, 2))
        d.polygon([tuple(v) for v in p], _ints(_colours(rng, 1)[0]))
    if rng.random() < .35:
        names = list(TEXTURES)
        im = Image.blend(im, _fill(names[rng.integers(len(names))], (a, b), rng), rng.uniform(.15, .5))
    return im.filter(ImageFilter.BoxBlur(rng.uniform(0, 5))) if rng.random() < .8 else im

@functools.cache
def _coat(kind):
    "Bumps [256,256] of a coat, to be lit"
    u, v = np.meshgrid(np.arange(256.), np.arange(256.))
    a = np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32)
    def blur(down, along):
        f = np.fft.fftfreq(256)
        return np.real(np.fft.ifft2(np.fft.fft2(a)*np.exp(-(f[:, None]*down*3)**2 - (f[None]*along*3)**2)))
    bumps = {'smooth': lambda: blur(8, 8), 'fur': lambda: blur(3, .8), 'shaggy': lambda: blur(9, 1.3),
             'curly': lambda: np.sin(9*blur(3, 3)/blur(3, 3).std()*.5),
             'scales': lambda: _scales(u/12, v/12, False)}[kind]()
    return ((bumps - bumps.mean())/bumps.std()*{'smooth': .15, 'fur': .8, 'shaggy': 1.2, 'curly': 1.2,
                                                'scales': 1.3}[kind]).astype(np.float32)

def _tufts(p, length, rng):
    s = np.r_[0, np.cumsum(np.linalg.norm(np.diff(np.vstack([p, p[:1]]), axis=0), axis=1))]
    n = 2*max(int(s[-1]/length/.9), 8)
    at, closed = np.linspace(0, s[-1], n, endpoint=False), np.vstack([p, p[:1]])
    q = np.stack([np.interp(at, s, closed[:, k]) for k in (0, 1)], 1)
    d = np.roll(q, -1, 0) - np.roll(q, 1, 0)
    out = np.stack([d[:, 1], -d[:, 0]], 1)/(np.linalg.norm(d, axis=1, keepdims=True) + 1e-9)
    out *= np.sign((out*(q - q.mean(0))).sum())
    return q + out*(length*rng.uniform(.3, 1, n)*(np.arange(n) % 2))[:, None]

def _paint(im, parts, rng, fill, inks, coat, unit, scale, line):
    "Put the parts onto the picture, and give back the heights and mask of what was put"
    a, wx, wy = rng.uniform(-.35, .35), rng.uniform(.85, 1.18), rng.uniform(.85, 1.18)
    shear, bend, phase = rng.uniform(-.15, .15), rng.uniform(0, .05, 2), rng.uniform(0, 6, 4)
    at = _S/2 + rng.uniform(-1, 1, 2)*max(_S/2*(1 - scale) + 8, 0)
    def place(p):
        p = p + np.stack([bend[0]*np.sin(3*p[:, 1] + phase[0]), bend[1]*np.sin(3*p[:, 0] + phase[1])], 1)
        return _turned(p*(wx, wy) + p[:, 1:]*(shear, 0), a)*scale*_S/2 + at
    on_im, mask, heights = ImageDraw.Draw(im), Image.new('L', im.size), Image.new('L', im.size)
    on_mask, on_heights, host = ImageDraw.Draw(mask), ImageDraw.Draw(heights), None
    for p, ink in parts:
        if ink in (0, 1) and coat in ('shaggy', 'curly',
                                      'fur'): p = _tufts(p, {'fur': .05, 'curly': .08, 'shaggy': .12}[coat]*unit, rng)
        q = place(p)
        flat = [tuple(v) for v in q.tolist()]
        if ink == 6: # markings stay on the part below
            if host is None: continue
            m = Image.new('L', im.size)
            ImageDraw.Draw(m).polygon(flat, 255)
            im.paste(inks[6], mask=ImageChops.multiply(m, host).filter(ImageFilter.BoxBlur(1)))
            continue
        on_mask.polygon(flat, 255)
        if ink == 0:
            host = Image.new('L', im.size)
            ImageDraw.Draw(host).polygon(flat, 255)
            im.paste(fill, mask=host)
        else: on_im.polygon(flat, inks[ink])
        if line: on_im.line(flat + flat[:1], line[0], line[1])
        c = (q.min(0) + q.max(0))/2
        for t in (1, .85, .65, .4):
            on_heights.polygon([tuple(v) for v in ((q - c)*t + c).tolist()], int(60 + 120*math.sqrt(1 - t*t*.98)))
    return mask, heights

def draw(
    name: str, # one of `CLASSES`
    rng: np.random.Generator, # everything that is not the class comes from it
) -> np.ndarray: # picture, uint8 [72,72,3]
    "Draw one picture. Raises `ValueError` for a class there is not."
    if name not in CLASSES: raise ValueError(f"no class {name!r}; the classes are in CLASSES")
    ink = _colours(rng, 6)
    names = list(TEXTURES)
    mask = None
    if name in TEXTURES:
        im = _fill(name, (ink[0], ink[1] if np.abs(ink[0] - ink[1]).sum() > 120 else 255 - ink[0]), rng)
        if rng.random() < .6: # seen on a piece of something
            p = rounded(wheel(int(rng.integers(2, 7)), 1, rng.uniform(.5, 1), rng.random()),
                        int(rng.integers(0, 4)))*rng.uniform(.75, 1.1, 2)
            back = _background(rng)
            mask, heights = _paint(back, [(p, 0)], rng, im, [], 'smooth', 1, rng.uniform(.8, 1.1), None)
            im = back
    else:
        im = _background(rng)
        dark, light = _ints(ink[4]*.2), _ints(255 - (255 - ink[5])*.3)
        line = (_ints(ink[0]*.4) if rng.random() < .7 else light,
                int(rng.integers(1, 4))) if rng.random() < .6 else None
        inks = [None, _ints(ink[1]), _ints(ink[2]), dark, light, _ints(_hsv(rng.random(), .6, .85)),
                _ints(ink[0]*.45 if ink[0].sum() > 300 else 255 - (255 - ink[0])*.5)]
        if name in THINGS:
            parts = THINGS[name](lambda lo, hi: rng.uniform(lo, hi))
            flat = rng.random() < .5
            fill = Image.new('RGB', im.size, _ints(ink[0])) if flat else _fill(names[rng.integers(len(names))],
                                                                               (ink[0], ink[0]*.5 + ink[3]*.5), rng,
                                                                               1.3)
            mask, heights = _paint(im, parts, rng, fill, inks, 'smooth', 1, rng.uniform(.45, .95), line)
        else:
            parts, unit = _creature(name, rng)
            inks[1] = _ints(ink[0]*.7 + ink[1]*.3)
            coat = CREATURES[name]['coat']
            mask, heights = _paint(im, parts, rng, Image.new('RGB', im.size, _ints(ink[0])), inks, coat, unit,
                                   rng.uniform(.72, 1.08), line)
    x = np.asarray(im.reduce(2)).astype(np.float32)
    if mask is not None:
        m = np.asarray(mask.reduce(2)).astype(np.float32)[..., None]/255
        z = np.asarray(heights.filter(ImageFilter.GaussianBlur(2)).reduce(2)).astype(np.float32)*rng.uniform(.01, .05)
        coat = CREATURES[name]['coat'] if name in CREATURES else 'smooth'
        dy, dx = rng.integers(0, 256 - SIDE, 2)
        z = z + _coat(coat)[dy:dy+SIDE, dx:dx+SIDE]*rng.uniform(.5, 1)
        gy, gx = np.gradient(z)
        a = rng.uniform(-math.pi, 0)
        x *= 1 + m*np.clip(-rng.uniform(.15, .4)*(gx*math.cos(a) + gy*math.sin(a)), -.45, .3)[..., None]
    if rng.random() < .25: # something in front
        p = (rounded(wheel(int(rng.integers(2, 5)), 1, rng.uniform(.4, 1), rng.random()),
                     2)*rng.uniform(.1, .35, 2) + rng.uniform(-1, 1, 2))*SIDE/2 + SIDE/2
        over = Image.fromarray(x.clip(0, 255).astype(np.uint8))
        ImageDraw.Draw(over).polygon([tuple(v) for v in p.tolist()], _ints(_colours(rng, 1)[0]))
        x = np.asarray(over).astype(np.float32)
    fall = 1 + np.linspace(-1, 1, SIDE)*rng.uniform(-.2, .2) + np.linspace(-1, 1, SIDE)[:, None]*rng.uniform(-.2, .2)
    light = rng.uniform(.7, 1.15)*(1 + rng.uniform(-.12, .12)*np.array([1, .1, -1]))
    x = x*fall[..., None].astype(np.float32)*light.astype(np.float32)
    return (x + rng.standard_normal((SIDE, SIDE, 1)).astype(np.float32)*rng.uniform(0, 7)).clip(0, 255).astype(np.uint8)


CLASSES = (*TEXTURES, *THINGS, *CREATURES)

if __name__ == '__main__':
    n, per_row = 6, 3
    sheet = np.full((math.ceil(len(CLASSES)/per_row)*SIDE, per_row*(n*SIDE + 8), 3), 255, np.uint8)
    for c, name in enumerate(CLASSES):
        for i in range(n):
            y, x0 = c//per_row*SIDE, c % per_row*(n*SIDE + 8) + i*SIDE
            sheet[y:y+SIDE, x0:x0+SIDE] = draw(name, np.random.default_rng([0, c, i]))
    Image.fromarray(sheet).save(sys.argv[1] if len(sys.argv) > 1 else 'sheet.png')
