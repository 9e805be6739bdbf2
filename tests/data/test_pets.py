"The drawn pets: their layout, what was planted in them, and that a network can and a colour cannot tell them apart."
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data import PET_BREEDS, draw_pet, draw_pets, get
from tests.data.helpers import planted

def test_layout_sizes_and_masks(small):
    images = sorted((small/'images').iterdir())
    assert len(PET_BREEDS) >= 12 and len(images) == 4*len(PET_BREEDS)
    assert any(b[0].isupper() for b in PET_BREEDS) and any(b.islower() and '_' in b for b in PET_BREEDS)
    for f in images:
        im, mask = Image.open(f), Image.open(small/'annotations'/'trimaps'/f'{f.stem}.png')
        assert im.format == 'JPEG' and im.mode == 'RGB' and im.size == mask.size and im.width != im.height
        assert 100 <= min(im.size) and max(im.size) <= 200
        share = np.bincount(np.asarray(mask).ravel(), minlength=4)/(im.width*im.height)
        assert share[0] == 0 and abs(share[1:].sum() - 1) < 1e-9 and share[1] > .1 and share[2] > .05 and 0 < share[3] < .35
    rows = [r.split() for r in (small/'annotations'/'list.txt').read_text().splitlines() if r[0] != '#']
    assert {r[0] for r in rows} == {f.stem for f in images} and {int(r[1]) for r in rows} == set(range(1, 13))
    assert all((r[2] == '1') == r[0][0].isupper() for r in rows)
    halves = [{r.split()[0] for r in (small/'annotations'/f'{h}.txt').read_text().splitlines()} for h in ('trainval', 'test')]
    assert halves[0] | halves[1] == {f.stem for f in images} and not halves[0] & halves[1]


def test_fastais_own_code_reads_them(small):
    vision = pytest.importorskip('fastai.vision.all')
    files = vision.get_image_files(small/'images')
    label = vision.RegexLabeller(r'(.+)_\d+.jpg$')
    assert {label(f.name) for f in files} == set(PET_BREEDS)


def test_planted_csv_is_true(small):
    rows = planted(small)
    kinds = [r['kind'] for r in rows.values()]
    assert kinds.count('label_error') == round(.15*48) and kinds.count('near_duplicate') == round(.1*48)
    def pixels(f): return np.asarray(Image.open(small/'images'/f).resize((32, 32)), float)
    for k, breed in enumerate(PET_BREEDS):
        for i in range(1, 5):
            name = f'{breed}_{i}.jpg'
            row = rows.get(name, dict(kind='', shows=breed, copy_of=''))
            assert (row['shows'] != breed) == (row['kind'] == 'label_error')
            if row['kind'] == 'near_duplicate':
                copy = row['copy_of']
                assert copy.rsplit('_', 1)[0] == breed and copy != name and copy not in rows
                flat = {f.name: (pixels(f.name) - pixels(f.name).mean()).ravel() for f in (small/'images').iterdir()}
                near = {n: np.corrcoef(v, flat[name])[0, 1] for n, v in flat.items() if n != name}
                assert max(near, key=near.get) == copy and (small/'images'/copy).read_bytes() != (small/'images'/name).read_bytes()
            else:  # the picture under this name is a picture of the breed that the file says it shows
                want = np.asarray(draw_pet(row['shows'], [3, 1, k, i], (100, 200))[0], float)
                have = np.asarray(Image.open(small/'images'/name), float)
                assert have.shape == want.shape and np.abs(have - want).mean() < 8


def test_default_shares(offline):
    kinds = [r['kind'] for r in planted(get('pets')).values()]
    assert kinds.count('label_error') == 18 and kinds.count('near_duplicate') == 6
    sides = np.array([Image.open(f).size for f in (get('pets')/'images').iterdir()])
    assert len(sides) == 600 and sides.min() >= 200 and sides.max() <= 640 and (sides[:, 0] != sides[:, 1]).all()
    assert len({tuple(s) for s in sides}) > 400


def test_the_same_seed_draws_the_same_files_in_another_process(tmp_path):
    code = "import sys; from course_lib.data import draw_pets; draw_pets(sys.argv[1], 2, int(sys.argv[2]), (64, 120))"
    made = []
    subprocess.run([sys.executable, '-c', code, str(tmp_path/'a'), '5'], check=True, env=os.environ | {'PYTHONHASHSEED': '1'})
    for name, seed in (('a', 5), ('b', 5), ('c', 6)):
        draw_pets(tmp_path/name, 2, seed, (64, 120))  # 'a' is there: checked and returned
        made.append(json.loads((tmp_path/name/'.made.json').read_text())['files'])
    assert made[0] == made[1]
    pictures = [{h for n, (_, h) in m.items() if n.endswith('.jpg')} for m in made]
    assert not pictures[0] & pictures[2]


def test_draw_pets_refuses(tmp_path, small):
    for bad, said in [(dict(n_per_breed=0), 'n_per_breed'), (dict(seed=-1), 'seed'), (dict(label_errors=.6), 'label_errors'),
                      (dict(near_duplicates=-.1), 'near_duplicates'), (dict(size=(300, 310)), 'size'), (dict(size=(32, 200)), 'size')]:
        with pytest.raises(ValueError, match=said): draw_pets(tmp_path/'x', **({'n_per_breed': 1} | bad))
    assert not (tmp_path/'x').exists()
    with pytest.raises(ValueError, match='n_per_breed'): draw_pets(small, 5, seed=3)
    with pytest.raises(ValueError, match='did not make it'): draw_pets(tmp_path, 1)
    with pytest.raises(ValueError, match='breed'): draw_pet('poodle', 1)


def small_pets(path, side):
    "Pictures [600,3,side,side] from 0 to 1, labels by file name, true labels, and which are planted near-duplicates"
    rows, xs, named, true, dup = planted(path), [], [], [], []
    for f in sorted((path/'images').glob('*.jpg')):
        breed, row = f.stem.rsplit('_', 1)[0], rows.get(f.name)
        xs.append(np.asarray(Image.open(f).resize((side, side), Image.BILINEAR)))
        named.append(PET_BREEDS.index(breed)); true.append(PET_BREEDS.index(row['shows'] if row else breed))
        dup.append(bool(row) and row['kind'] == 'near_duplicate')
    return torch.tensor(np.stack(xs)).permute(0, 3, 1, 2).float()/255, torch.tensor(named), torch.tensor(true), torch.tensor(dup)


def split(n, seed=0):
    ix = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    return ix[:int(.8*n)], ix[int(.8*n):]


def test_mean_colour_does_not_give_the_breed_away(offline):
    linear = pytest.importorskip('sklearn.linear_model')
    x, named, true, dup = small_pets(get('pets'), 64)
    colour = x.mean((2, 3))
    colour = ((colour - colour.mean(0))/colour.std(0)).numpy()
    scores = []
    for seed in range(5):
        train, valid = split(len(x), seed)
        scores.append(linear.LogisticRegression(C=100, max_iter=2000).fit(colour[train], named[train]).score(colour[valid], true[valid]))
    assert max(scores) < .40 and linear.LogisticRegression(C=100, max_iter=2000).fit(colour, true).score(colour, true) < .40


class Pool(torch.nn.Module):
    "The strongest and the mean response of each channel: [N,C,H,W] to [N,2C]"
    def forward(self, x): return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)


def test_a_small_cnn_tells_the_breeds_apart(offline):
    "480 pictures with the labels of their names, judged on the true labels of the other 120"
    from torch import nn
    from torch.nn import functional as F
    x, named, true, dup = small_pets(get('pets'), 48)
    train, valid = split(len(x))
    valid = valid[~dup[valid]]
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    def conv(i, o, stride=2): return [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    net = nn.Sequential(*conv(3, 24), *conv(24, 48), *conv(48, 64, 1), *conv(64, 96), *conv(96, 128), Pool(), nn.Dropout(.2),
                        nn.Linear(256, 12))
    epochs = 60
    opt = torch.optim.AdamW(net.parameters(), weight_decay=.05)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 8e-3, total_steps=15*epochs)
    for _ in range(epochs):
        for ix in train[torch.randperm(len(train))].split(32):
            xb, n, r = x[ix], len(ix), torch.rand
            at = torch.eye(2, 3).repeat(n, 1, 1)  # flip, zoom, stretch, turn and shift
            zoom, angle = .8 + .3*r(n), .3*(r(n) - .5)
            at[:, 0, 0], at[:, 1, 1] = zoom*torch.where(r(n) < .5, 1, -1), zoom*(.9 + .2*r(n))
            at[:, 0, 1], at[:, 1, 0], at[:, :, 2] = angle, -angle, .3*(r(n, 2) - .5)
            xb = F.grid_sample(xb, F.affine_grid(at, xb.shape, align_corners=False), padding_mode='reflection', align_corners=False)
            xb = (xb - .5)*(.8 + .4*r(n, 1, 1, 1)) + .1*(r(n, 3, 1, 1) - .5) + .2*(r(n, 1, 1, 1) - .5)
            opt.zero_grad(); F.cross_entropy(net(xb/.25), named[ix], label_smoothing=.1).backward(); opt.step(); sched.step()
    net.eval()
    with torch.no_grad():
        z = (x[valid] - .5)/.25
        right = (net(z).softmax(1) + net(z.flip(3)).softmax(1)).argmax(1) == true[valid]
    torch.random.set_rng_state(state)
    print(f'small CNN: {right.float().mean():.3f} of {len(valid)}')
    assert right.float().mean() > .90
