"""Files to augmented batches: the time of fastai's recipe, torchvision v2, kornia, albumentations and FastPresize.

    python -m benchmarks.presizing [--rounds 15]

All in one process and one thread, interleaved: every round runs each contestant once, in turn. The peers that are not
requirements of the course (kornia, albumentations with OpenCV) are measured where they are installed:
`pip install kornia albumentations==2.0.8 albucore==0.0.24 "opencv-python-headless<5"`.
"""
import argparse
import importlib.metadata
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.vision.data import ImageBlock
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from benchmarks.harness import interleaved, machine, ratio, write
from course_lib.core import seed_everything
from course_lib.presizing import (FastImage, FastImageBlock, FastPresize, compare, judge, places_of, presize,
                                  random_draw, supersampled, unit_map)
from course_lib.timing import median_ci

SIZE, PRE, BATCH = 224, 460, 32


def make_files(folder: Path, size: tuple[int, int], n: int = BATCH) -> list[Path]:
    "JPEGs at quality 90: parts of the two sample photographs, each a little different"
    rng, photos, files = np.random.default_rng(0), load_sample_images().images, []
    for i in range(n):
        big = np.concatenate([np.concatenate([photos[i % 2], photos[(i + 1) % 2][:, ::-1]], 1)]*2)
        w = int(rng.uniform(0.8, 1)*1280)
        h = w*size[1]//size[0]
        h, w = (min(h, 854), min(h, 854)*size[0]//size[1])
        x, y = rng.integers(0, 1280 - w + 1), rng.integers(0, 854 - h + 1)
        img = Image.fromarray(big).resize(size, Image.Resampling.LANCZOS, box=(x, y, x + w, y + h))
        grain = rng.normal(0, 3, (size[1], size[0], 1))   # of a sensor
        img = Image.fromarray((np.asarray(img) + grain).clip(0, 255).astype(np.uint8))
        files.append(folder/f'{size[0]}_{i}.jpg')
        img.save(files[-1], quality=90)
    return files


def fastai_loader(files: list[Path], block: Callable, item_tfms: list, batch_tfms: list) -> Callable:
    "A function that loads all files as one batch"
    n = len(files)
    data = DataBlock(blocks=(block, CategoryBlock), get_items=lambda _: files*2, get_y=lambda f: f.stem[-1] > '4',
                     item_tfms=item_tfms, batch_tfms=batch_tfms, splitter=lambda _: (range(n), range(n, 2*n)))
    dls = data.dataloaders('.', bs=n, num_workers=0, device='cpu')
    return lambda: next(iter(dls.train))[0]


def albumentations_paths() -> dict:
    "name -> (what it does, the geometric transforms)"
    import albumentations as A
    import cv2
    cut = [A.RandomResizedCrop((SIZE, SIZE), scale=(0.75, 1), ratio=(1, 1))]
    turn = A.Affine(rotate=(-10, 10), scale=(1, 1.1), keep_ratio=True, p=0.75, border_mode=cv2.BORDER_REFLECT_101)
    geo = [A.HorizontalFlip(p=0.5), turn, A.Perspective(scale=(0, 0.1), fit_output=False, p=0.75)]
    large = [A.SmallestMaxSize(PRE), A.RandomCrop(PRE, PRE)] + geo + cut
    return {'albumentations, large first': ('SmallestMaxSize(460), geometry, crop; 5 interpolations', large),
            'albumentations, small first': ('crop to 224, then geometry; 4 interpolations', cut + geo)}


def shift(d: float) -> np.ndarray: return np.array([[1, 0, d], [0, 1, d], [0, 0, 1]])


def albumentations_quality(pixels: np.ndarray, tfm: Callable) -> tuple:
    "PSNR, SSIM, detail and border of one draw of albumentations, against the ideal of the map that it describes"
    done = tfm(image=pixels)
    whole, matrix, (w, h) = (pixels.shape[1], pixels.shape[0]), np.eye(3), (pixels.shape[1], pixels.shape[0])
    for name, p in done['applied_transforms']:     # from pixels of the new picture to pixels of the old, edges whole
        if name == 'SmallestMaxSize':
            nw, nh = round(w*PRE/min(w, h)), round(h*PRE/min(w, h))
            step, (w, h) = np.diag([w/nw, h/nh, 1]), (nw, nh)
        elif name in ('RandomCrop', 'RandomResizedCrop'):
            x0, y0, x1, y1 = p['crop_coords']
            w, h = (x1 - x0, y1 - y0) if name == 'RandomCrop' else (SIZE, SIZE)
            step = np.array([[(x1 - x0)/w, 0, x0], [0, (y1 - y0)/h, y0], [0, 0, 1]])
        elif name == 'HorizontalFlip': step = np.array([[-1, 0, w], [0, 1, 0], [0, 0, 1]])
        elif name in ('Affine', 'Perspective'):
            step = shift(0.5) @ np.linalg.inv(np.asarray(p['matrix'], dtype=float).reshape(3, 3)) @ shift(-0.5)
            if name == 'Perspective':   # it is then resized to what it was
                step = step @ np.diag([p['max_width']/w, p['max_height']/h, 1])
        else: raise ValueError(f'no map is known for {name}')
        matrix = matrix @ step
    inside = (places_of(torch.from_numpy(unit_map(*whole) @ matrix)[None].float(), (SIZE, SIZE))[0].abs() <= 1).all(-1)
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    made = torch.from_numpy(done['image']).permute(2, 0, 1).float()
    q = judge(made, supersampled(picture, matrix, (SIZE, SIZE)), inside)
    return q.psnr, q.ssim, q.detail, q.border


def ours_and_fastais(files: list[Path]) -> dict:
    "name -> (what it does, function to a batch)"
    fast = FastPresize(SIZE)
    recipe = 'Resize(460), aug_transforms(224, min_scale=0.75); 3 interpolations'
    return {"fastai's recipe": (recipe, fastai_loader(files, ImageBlock, *presize(SIZE))),
            'FastPresize in fastai': ('1 interpolation', fastai_loader(files, FastImageBlock(), *fast.tfms('cpu'))),
            'FastPresize in PyTorch': ('1 interpolation', lambda: torch.stack([fast(f) for f in files]).float()/255)}


def read(file: Path) -> torch.Tensor: return decode_image(str(file), mode=ImageReadMode.RGB)


def torchvisions(files: list[Path]) -> dict:
    "The same for torchvision v2"
    turn = v2.RandomAffine(10, scale=(1, 1.1), interpolation=v2.InterpolationMode.BILINEAR)
    geometry = [v2.RandomHorizontalFlip(), v2.RandomApply([turn], 0.75), v2.RandomPerspective(0.2, 0.75)]
    crop = [v2.RandomResizedCrop(SIZE, scale=(0.75, 1), ratio=(1, 1))]
    as_float = v2.ToDtype(torch.float32, scale=True)
    light = [v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], 0.75), as_float]
    pre = [v2.Resize(PRE), v2.RandomCrop(PRE)]
    ways = [('large first', 'Resize(460), geometry, crop; 4 interpolations', pre + geometry + crop + light),
            ('small first', 'crop to 224, then geometry; 3 interpolations', crop + geometry + light),
            ('crop and flip only', 'not the same augmentations; 1 interpolation',
             [*crop, v2.RandomHorizontalFlip(), as_float])]
    def batch(tfm: Callable) -> Callable: return lambda: torch.stack([tfm(read(f)) for f in files])
    return {f'torchvision v2, {name}': (note, batch(v2.Compose(t))) for name, note, t in ways}


def missing(name: str) -> dict:
    "Nothing to measure, and a word about it"
    print(name, 'is not installed', file=sys.stderr)
    return {}


def kornias(files: list[Path]) -> dict:
    "The same for kornia, if it is installed"
    try: import kornia.augmentation as K
    except ImportError: return missing('kornia')
    geo = [K.RandomHorizontalFlip(p=0.5), K.RandomAffine(10., scale=(1, 1.1), p=0.75), K.RandomPerspective(0.2, p=0.75)]
    cut = [K.RandomResizedCrop((SIZE, SIZE), scale=(0.75, 1), ratio=(1, 1), cropping_mode='resample')]
    lit = [K.ColorJiggle(0.2, 0.2, p=0.75)]
    ways = [('large first', 'Resize(460), geometry, crop; 4 interpolations', geo + cut + lit, PRE),
            ('small first', 'Resize(224), crop, geometry; 4 interpolations', cut + geo + lit, SIZE)]
    def batch(tfms: list, size: int) -> Callable:
        seq = K.AugmentationSequential(*tfms, data_keys=['input'])
        item = v2.Compose([v2.Resize(size), v2.RandomCrop(size)])
        return lambda: seq(torch.stack([item(read(f)) for f in files]).float()/255)
    return {f'kornia, {name}': (note, batch(t, size)) for name, note, t, size in ways}


def albumentations(files: list[Path]) -> dict:
    "The same for albumentations, if it and OpenCV are installed"
    try:
        import albumentations as A
        import cv2
    except ImportError: return missing('albumentations or OpenCV')
    cv2.setNumThreads(1)
    def batch(geometry: list) -> Callable:
        tfm = A.Compose([*geometry, A.RandomBrightnessContrast(0.2, 0.2, p=0.75)])
        def one(f: Path) -> np.ndarray: return tfm(image=cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB))['image']
        return lambda: torch.from_numpy(np.stack([one(f) for f in files])).permute(0, 3, 1, 2).float().div_(255)
    return {name: (note, batch(geometry)) for name, (note, geometry) in albumentations_paths().items()}


def quality(files: list[Path], draws: int = 20) -> dict:
    "{path: its mean PSNR, SSIM, detail and border}; the first three on the decoded picture, with the same draws"
    rng, rows = np.random.default_rng(1), {}
    for f in files[:draws]:
        for name, p in compare(FastImage.create(f), random_draw(rng.random(20).tolist())).items():
            rows.setdefault(name, []).append((p.psnr, p.ssim, p.detail, p.border))
    try: import albumentations as A
    except ImportError: return {k: np.mean(v, 0) for k, v in rows.items()}
    for name, (_, geometry) in albumentations_paths().items():
        tfm = A.Compose(geometry, save_applied_params=True, seed=1)
        rows[name] = [albumentations_quality(np.array(FastImage.create(f)), tfm) for f in files[:draws]]
    return {k: np.mean(v, 0) for k, v in rows.items()}


def timed(files: list[Path], size: tuple[int, int], rounds: int) -> list[dict]:
    "One row a path"
    jobs = ours_and_fastais(files) | torchvisions(files) | kornias(files) | albumentations(files)
    times = interleaved({k: fn for k, (_, fn) in jobs.items()}, rounds, warmup=1)
    recipe = times["fastai's recipe"]
    return [{'file': f'{size[0]} × {size[1]}', 'path': k,
             'ms per image': median_ci([1e3*t/BATCH for t in times[k]], 'ms'),
             'times as fast as the recipe': ratio(recipe, times[k]), 'what it does': note}
            for k, (note, _) in jobs.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    seed_everything(0)
    rows, tail = [], []
    with tempfile.TemporaryDirectory() as folder:
        for size in [(500, 375), (2000, 1500)]:
            files, small = make_files(Path(folder), size), size[0] < 1000
            rows += timed(files, size, args.rounds if small else max(args.rounds//2, 3))
            said = [f'{k} {v[0]:.1f} dB, SSIM {v[1]:.4f}, fine detail kept {v[2]:.2f}, border {100*v[3]:.2f}%'
                    for k, v in quality(files, 20 if small else 6).items()]
            kilobytes = np.mean([f.stat().st_size for f in files])/1e3
            tail.append(f"Quality at {size[0]} × {size[1]} ({kilobytes:.0f} kB a file), to the ideal of each path's "
                        f"own map (albumentations with draws of its own): {'; '.join(said)}.")
    peers = [p for p in ('kornia', 'albumentations', 'opencv-python-headless') if installed(p)]
    head = ('# Presizing: from files to augmented batches\n\n'
            f'One process, one thread, batches of {BATCH} to {SIZE} pixels, JPEG quality 90; medians with 95% '
            f'intervals, interleaved rounds.\n\n' + machine("torchvision", "fastai", "pillow", *peers))
    write('presizing', head, rows, '\n\n'.join(tail))


def installed(package: str) -> bool:
    "Whether there is a package of this name"
    try: return bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError: return False


if __name__ == '__main__': main()
