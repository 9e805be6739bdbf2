"""Files to augmented batches: images per second of fastai's recipe, torchvision v2, kornia, albumentations and FastPresize.

    python benchmarks/presizing.py [--rounds 15] [--out benchmarks/results/presizing.md]

All in one process and one thread, interleaved: every round runs each contestant once, in alternating order. The peers that
are not requirements of the course (kornia, albumentations with OpenCV) are measured where they are installed:
`pip install kornia albumentations==2.0.8 albucore==0.0.24 "opencv-python-headless<5"`.
"""
import argparse
import datetime
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock
from fastai.vision.data import ImageBlock
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import __version__ as tv_version
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from course_lib.core import seed_everything
from course_lib.presizing import FastImageBlock, FastPresize, _decode, _ideal, _judge, _open, _places, _unit, compare, presize, random_draw
from course_lib.timing import _times, median_ci

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
        img = Image.fromarray((np.asarray(img) + rng.normal(0, 3, (size[1], size[0], 1))).clip(0, 255).astype(np.uint8))  # the grain of a sensor
        files.append(folder/f'{size[0]}_{i}.jpg')
        img.save(files[-1], quality=90)
    return files


def fastai_loader(files, block, item_tfms, batch_tfms):
    dls = DataBlock(blocks=(block, CategoryBlock), get_items=lambda _: files*2, get_y=lambda f: f.stem[-1] > '4', item_tfms=item_tfms, batch_tfms=batch_tfms,
                    splitter=lambda items: (range(len(files)), range(len(files), 2*len(files)))).dataloaders('.', bs=len(files), num_workers=0, device='cpu')
    return lambda: next(iter(dls.train))[0]


def albumentations_paths() -> dict:
    "name -> (what it does, the geometric transforms)"
    import albumentations as A
    import cv2
    cut = [A.RandomResizedCrop((SIZE, SIZE), scale=(0.75, 1), ratio=(1, 1))]
    geo = [A.HorizontalFlip(p=0.5), A.Affine(rotate=(-10, 10), scale=(1, 1.1), keep_ratio=True, p=0.75, border_mode=cv2.BORDER_REFLECT_101),
           A.Perspective(scale=(0, 0.1), fit_output=False, p=0.75)]
    return {'albumentations, large first': ('SmallestMaxSize(460), geometry, crop; 5 interpolations', [A.SmallestMaxSize(PRE), A.RandomCrop(PRE, PRE)] + geo + cut),
            'albumentations, small first': ('crop to 224, then geometry; 4 interpolations', cut + geo)}


def albumentations_quality(pixels: np.ndarray, tfm) -> tuple:
    "PSNR, SSIM, detail and border of one draw of albumentations' own, against the ideal of the map that its parameters describe"
    done = tfm(image=pixels)
    shift = lambda d: np.array([[1, 0, d], [0, 1, d], [0, 0, 1]])
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
            if name == 'Perspective': step = step @ np.diag([p['max_width']/w, p['max_height']/h, 1])   # it is then resized to what it was
        else: raise ValueError(f'no map is known for {name}')
        matrix = matrix @ step
    inside = (_places(torch.from_numpy(_unit(*whole) @ matrix)[None].float(), (SIZE, SIZE))[0].abs() <= 1).all(-1)
    q = _judge(torch.from_numpy(done['image']).permute(2, 0, 1).float(), _ideal(pixels, matrix, (SIZE, SIZE)), inside)
    return q.psnr, q.ssim, q.detail, q.border


def contestants(files) -> dict:
    "name -> (what it does, function to a float batch [32, 3, 224, 224])"
    read = lambda f: decode_image(str(f), mode=ImageReadMode.RGB)
    fast = FastPresize(SIZE)
    jobs = {
        "fastai's recipe": ('Resize(460), aug_transforms(224, min_scale=0.75); 3 interpolations', fastai_loader(files, ImageBlock, *presize(SIZE))),
        'FastPresize in fastai': ('1 interpolation', fastai_loader(files, FastImageBlock(), *fast.tfms('cpu'))),
        'FastPresize in PyTorch': ('1 interpolation', lambda: torch.stack([fast(f) for f in files]).float().div_(255)),
    }
    geometry = [v2.RandomHorizontalFlip(), v2.RandomApply([v2.RandomAffine(10, scale=(1, 1.1), interpolation=v2.InterpolationMode.BILINEAR)], 0.75),
                v2.RandomPerspective(0.2, 0.75)]
    crop = [v2.RandomResizedCrop(SIZE, scale=(0.75, 1), ratio=(1, 1))]
    light = [v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], 0.75), v2.ToDtype(torch.float32, scale=True)]
    pre = [v2.Resize(PRE), v2.RandomCrop(PRE)]
    for name, note, t in [('torchvision v2, large first', 'Resize(460), geometry, crop; 4 interpolations', pre + geometry + crop + light),
                          ('torchvision v2, small first', 'crop to 224, then geometry; 3 interpolations', crop + geometry + light)]:
        tfm = v2.Compose(t)
        jobs[name] = (note, lambda tfm=tfm: torch.stack([tfm(read(f)) for f in files]))
    rrc = v2.Compose(crop + [v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])
    jobs['torchvision v2, crop and flip only'] = ('not the same augmentations; 1 interpolation', lambda: torch.stack([rrc(read(f)) for f in files]))
    try:
        import kornia.augmentation as K
        geo = [K.RandomHorizontalFlip(p=0.5), K.RandomAffine(10., scale=(1, 1.1), p=0.75), K.RandomPerspective(0.2, p=0.75)]
        cut, lit = [K.RandomResizedCrop((SIZE, SIZE), scale=(0.75, 1), ratio=(1, 1), cropping_mode='resample')], [K.ColorJiggle(0.2, 0.2, p=0.75)]
        for name, note, t, item in [('kornia, large first', 'Resize(460), geometry, crop; 4 interpolations', geo + cut + lit, v2.Compose(pre)),
                                    ('kornia, small first', 'Resize(224), crop, geometry; 4 interpolations', cut + geo + lit, v2.Compose([v2.Resize(SIZE), v2.RandomCrop(SIZE)]))]:
            seq = K.AugmentationSequential(*t, data_keys=['input'])
            jobs[name] = (note, lambda seq=seq, item=item: seq(torch.stack([item(read(f)) for f in files]).float()/255))
    except ImportError: print('kornia is not installed', file=sys.stderr)
    try:
        import albumentations as A
        import cv2
        cv2.setNumThreads(1)
        for name, (note, geometry) in albumentations_paths().items():
            tfm = A.Compose([*geometry, A.RandomBrightnessContrast(0.2, 0.2, p=0.75)])
            jobs[name] = (note, lambda tfm=tfm: torch.from_numpy(np.stack([tfm(image=cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB))['image'] for f in files])
                                                                 ).permute(0, 3, 1, 2).float().div_(255))
    except ImportError: print('albumentations or OpenCV is not installed', file=sys.stderr)
    return jobs


def quality(files, draws: int = 20) -> dict:
    "PSNR of apart, recipe and ours on decoded pictures, and of ours from the file through draft mode"
    rng, rows = np.random.default_rng(1), {}
    for f, _ in zip(files, range(draws)):
        for name, p in compare(_decode(_open(f))[0], random_draw(rng.random(20))).items(): rows.setdefault(name, []).append((p.psnr, p.ssim, p.detail, p.border))
    try: import albumentations as A
    except ImportError: return {k: np.mean(v, 0) for k, v in rows.items()}
    for name, (_, geometry) in albumentations_paths().items():
        tfm = A.Compose(geometry, save_applied_params=True, seed=1)
        rows[name] = [albumentations_quality(np.array(_decode(_open(f))[0]), tfm) for f, _ in zip(files, range(draws))]
    return {k: np.mean(v, 0) for k, v in rows.items()}


def cpu_model() -> str:
    try: return next(line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name'))
    except (OSError, StopIteration): return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--out', type=Path, default=Path(__file__).parent/'results'/'presizing.md')
    args = parser.parse_args()
    torch.set_num_threads(1)
    seed_everything(0)
    lines, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        for size in [(500, 375), (2000, 1500)]:
            files = make_files(Path(folder), size)
            jobs = contestants(files)
            rounds = args.rounds if size[0] < 1000 else max(args.rounds//2, 3)
            times = dict(zip(jobs, _times([fn for _, fn in jobs.values()], rounds, 1)))
            per = {k: median_ci([1e3*t/BATCH for t in ts], 'ms') for k, ts in times.items()}
            recipe = times["fastai's recipe"]
            lines += ['', f'## {size[0]} × {size[1]}, JPEG quality 90 ({np.mean([f.stat().st_size for f in files])/1e3:.0f} kB each), {rounds} rounds', '',
                      '| path | ms per image | images per second | times as fast as the recipe | what it does |', '|---|---|---|---|---|']
            for k, (note, _) in jobs.items():
                ratio = median_ci([a/b for a, b in zip(recipe, times[k])], '×')
                lines.append(f'| {k} | {per[k].value:.2f} [{per[k].low:.2f}, {per[k].high:.2f}] | {1e3/per[k].value:.0f} | {ratio.value:.1f} [{ratio.low:.1f}, {ratio.high:.1f}] | {note} |')
                rows.append(f'{size[0]}x{size[1]},{k.replace(",", "")},{per[k].value:.4f},{per[k].low:.4f},{per[k].high:.4f},{ratio.value:.3f},{ratio.low:.3f},{ratio.high:.3f}')
            q = quality(files, 20 if size[0] < 1000 else 6)
            lines += ['', 'Quality against the ideal of each path\'s own map (the first three with the same draws, on the decoded picture; albumentations with as many of its own): ' + '; '.join(f'{k} {v[0]:.1f} dB, SSIM {v[1]:.4f}, fine detail kept {v[2]:.2f}, border {100*v[3]:.2f}%' for k, v in q.items()) + '.']
    versions = f'torch {torch.__version__}, torchvision {tv_version}, fastai {__import__("fastai").__version__}, Pillow {__import__("PIL").__version__}'
    for peer in ('kornia', 'albumentations', 'cv2'):
        if peer in sys.modules: versions += f', {peer} {sys.modules[peer].__version__}'
    head = ['# Presizing: from files to augmented batches', '', f'One process, one thread, batches of {BATCH} to {SIZE} pixels; medians with 95% intervals, interleaved rounds.',
            f'{cpu_model()}, Python {platform.python_version()}, {versions}; {datetime.date.today()}; `python benchmarks/presizing.py --rounds {args.rounds}`.']
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text('\n'.join(head + lines) + '\n', encoding='utf-8')
    args.out.with_suffix('.csv').write_text('\n'.join(['size,path,ms,low,high,times_recipe,low,high'] + rows) + '\n', encoding='utf-8')
    print('\n'.join(head + lines))


if __name__ == '__main__': main()
