"The data chapter: the search order, archives that must not be trusted, sets made whole, and whether what was planted is true."
import csv, gzip, io, json, os, shutil, signal, subprocess, sys, tarfile, time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import data
from course_lib.data import (PET_BREEDS, catalogue, draw_pet, draw_pets, expected_rating, get, info, photographs,
                             ratings_truth, verify)

REAL = os.environ.get('COURSE_LIB_DATA')
real = [pytest.mark.real, pytest.mark.skipif(not REAL, reason="COURSE_LIB_DATA is not set: no real data")]


@pytest.fixture
def clean(tmp_path, monkeypatch):
    "A machine without any data: an empty cache, no fastai folder, COURSE_LIB_DATA unset"
    monkeypatch.delenv('COURSE_LIB_DATA', raising=False)
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'fastai'))
    monkeypatch.setenv('COURSE_LIB_CACHE', str(tmp_path/'cache'))
    return tmp_path


@pytest.fixture
def offline(monkeypatch, tmp_path):
    "The embedded defaults, kept in the user's own cache"
    monkeypatch.delenv('COURSE_LIB_DATA', raising=False)
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'fastai'))


def make_archive(path, members):
    "A .tgz with these (name or TarInfo, bytes)"
    with tarfile.open(path, 'w:gz') as tar:
        for name, content in members:
            m = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if m.isreg(): m.size = len(content)
            tar.addfile(m, io.BytesIO(content) if m.isreg() else None)
    return path


NUMBERS = [('human_numbers/train.txt', b'one \ntwo \n'*500), ('human_numbers/valid.txt', b'three \n')]


def folder(root, members=NUMBERS):
    for name, content in members:
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).write_bytes(content)
    return root


# --- where it looks

def test_search_order_and_the_line_it_prints(clean, monkeypatch, capsys):
    with pytest.raises(FileNotFoundError) as e: get('human_numbers')
    assert 'fastai' in str(e.value) and 'COURSE_LIB_DATA' in str(e.value) and 'download=True' in str(e.value)
    folder(clean/'fastai'/'data')
    assert get('human_numbers') == clean/'fastai'/'data'/'human_numbers'
    monkeypatch.setenv('COURSE_LIB_DATA', str(folder(clean/'env')))
    assert get('human_numbers') == clean/'env'/'human_numbers'
    assert get('human_numbers', root=folder(clean/'given')) == clean/'given'/'human_numbers'
    assert get('human_numbers', root=clean/'fastai') == clean/'fastai'/'data'/'human_numbers'  # `root` has none: on to the next
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["human_numbers: real, from fastai's data folder", "human_numbers: real, from COURSE_LIB_DATA",
                     "human_numbers: real, from root", "human_numbers: real, from fastai's data folder"]


def test_fastai_config_names_another_folder(clean):
    folder(clean/'elsewhere')
    (clean/'fastai').mkdir()
    (clean/'fastai'/'config.ini').write_text(f"[DEFAULT]\ndata = {clean/'elsewhere'}\narchive = archive\n")
    assert get('human_numbers') == clean/'elsewhere'/'human_numbers'


def test_our_search_of_fastais_folder_is_fastais(clean):
    external = pytest.importorskip('fastai.data.external')
    external.fastai_cfg.cache_clear()  # fastai reads FASTAI_HOME once and keeps it
    try: assert data._fastai_data() == external.fastai_path('data') == clean/'fastai'/'data'
    finally: external.fastai_cfg.cache_clear()


def test_a_missing_root_is_an_error(clean, monkeypatch):
    with pytest.raises(FileNotFoundError, match='root names'): get('human_numbers', root=clean/'nowhere')
    monkeypatch.setenv('COURSE_LIB_DATA', str(clean/'gone'))
    with pytest.raises(FileNotFoundError, match='COURSE_LIB_DATA names'): get('human_numbers')


def test_names(clean):
    with pytest.raises(ValueError, match="do you mean mnist_sample"): get('mnist_samples')
    with pytest.raises(ValueError, match="there are: pets"): info('qqqq')
    with pytest.raises(ValueError, match='fastai has no archive'): get('ml-latest-small', download=True)
    assert len({r['name'] for r in catalogue()}) == len(catalogue()) >= 20
    assert all(r['licence'] and r['source'] and r['offline'] in ('real', 'sample', 'drawn', 'nothing') for r in catalogue())


def test_names_and_addresses_are_fastais():
    external = pytest.importorskip('fastai.data.external')
    for row in catalogue():
        s = info(row['name'])
        if s.url: assert Path(getattr(external.URLs, s.url)).name.split('.')[0] == s.name == s.folder


def test_download_only_when_asked(clean, monkeypatch, capsys):
    external = pytest.importorskip('fastai.data.external')
    asked = []
    def untar(url): asked.append(url); return folder(clean/'got')/'human_numbers'
    monkeypatch.setattr(external, 'untar_data', untar)
    with pytest.raises(FileNotFoundError): get('human_numbers')
    assert not asked
    assert get('human_numbers', download=True) == clean/'got'/'human_numbers'
    assert asked == [external.URLs.HUMAN_NUMBERS] and 'downloaded' in capsys.readouterr().out
    get('human_numbers', root=clean/'got', download=True)  # it is here: nothing is fetched
    assert len(asked) == 1


# --- archives

def test_archive_is_unpacked_once_and_root_is_left_alone(clean):
    root = clean/'root'; root.mkdir()
    make_archive(root/'human_numbers.tgz', NUMBERS)
    path = get('human_numbers', root=root)
    assert path.name == 'human_numbers' and clean/'cache' in path.parents and os.listdir(root) == ['human_numbers.tgz']
    assert (path/'train.txt').read_bytes() == NUMBERS[0][1]
    before = (path/'train.txt').stat().st_mtime_ns
    assert get('human_numbers', root=root) == path and (path/'train.txt').stat().st_mtime_ns == before
    make_archive(root/'human_numbers.tgz', [(NUMBERS[0][0], b'other'), NUMBERS[1]])  # another archive under the same name
    assert (get('human_numbers', root=root)/'train.txt').read_bytes() == b'other'


def link(name, target, kind=tarfile.SYMTYPE):
    m = tarfile.TarInfo(name); m.type, m.linkname = kind, target
    return m


@pytest.mark.parametrize('bad', [
    [('human_numbers/../../evil.txt', b'x')], [('../evil.txt', b'x')], [('/course_lib_evil.txt', b'x')],
    [('human_numbers\\..\\evil.txt', b'x')], [('C:/evil.txt', b'x')], [('human_numbers/C:evil.txt', b'x')],
    [(link('human_numbers/out', '..'), b''), ('human_numbers/out/evil.txt', b'x')],
    [(link('human_numbers/out', '../evil.txt'), b'')],
    [(link('human_numbers/hard', 'human_numbers/train.txt', tarfile.LNKTYPE), b'')],
    [(link('human_numbers/pipe', '', tarfile.FIFOTYPE), b'')],
    [(link('human_numbers/dev', '', tarfile.CHRTYPE), b'')],
    [('other/evil.txt', b'x')], [('evil.txt', b'x')],
    [('human_numbers/train.txt', b'a second time')],
], ids=lambda b: str(b[0][0].name if isinstance(b[0][0], tarfile.TarInfo) else b[0][0]))
def test_archive_never_leaves_its_folder(clean, bad):
    root = clean/'root'; root.mkdir()
    make_archive(root/'human_numbers.tgz', NUMBERS + bad)
    with pytest.raises(ValueError, match='human_numbers.tgz.*delete') as e: get('human_numbers', root=root)
    assert str(root/'human_numbers.tgz') in str(e.value)
    left = [p for p in clean.rglob('*') if p.is_file() or p.is_symlink()]
    assert sorted(p.name for p in left) == ['.human_numbers.lock', 'human_numbers.tgz']
    assert not Path('/course_lib_evil.txt').exists()


@pytest.mark.parametrize('keep', [0, 1, 5, 20, 0.3, 0.6, 0.9, -9, -4, -1])
def test_truncated_archive(clean, keep):
    root = clean/'root'; root.mkdir()
    rng = np.random.default_rng(0)
    whole = make_archive(root/'human_numbers.tgz', NUMBERS + [('human_numbers/noise.bin', rng.bytes(5000))]).read_bytes()
    n = int(keep*len(whole)) if isinstance(keep, float) else keep if keep >= 0 else len(whole) + keep
    (root/'human_numbers.tgz').write_bytes(whole[:n])
    with pytest.raises(ValueError, match='human_numbers.tgz'): get('human_numbers', root=root)
    assert not list(clean.rglob('train.txt'))


def test_a_flipped_bit_in_an_archive(clean):
    root = clean/'root'; root.mkdir()
    archive = make_archive(root/'human_numbers.tgz', NUMBERS + [('human_numbers/noise.bin', np.random.default_rng(0).bytes(5000))])
    whole = bytearray(archive.read_bytes()); whole[2500] ^= 4
    archive.write_bytes(whole)
    with pytest.raises(ValueError, match='damaged'): get('human_numbers', root=root)
    archive.write_bytes(b'this is no archive')
    with pytest.raises(ValueError, match='damaged'): get('human_numbers', root=root)
    archive.write_bytes(gzip.compress(b'nor is this'*500))
    with pytest.raises(ValueError, match='human_numbers.tgz'): get('human_numbers', root=root)


# --- folders that are not what they seem

def test_foreign_and_half_folders(clean):
    root = folder(clean/'root')
    (root/'human_numbers'/'valid.txt').unlink()
    with pytest.raises(ValueError, match=r'valid\.txt is not there.*not laid out'): get('human_numbers', root=root)
    (root/'human_numbers'/'valid.txt').touch()
    with pytest.raises(ValueError, match=r'valid\.txt is empty'): get('human_numbers', root=root)
    shutil.rmtree(root/'human_numbers'); (root/'human_numbers').write_text('a file')
    with pytest.raises(ValueError, match='human_numbers is a file'): get('human_numbers', root=root)
    (root/'titanic_raw.csv').touch()
    with pytest.raises(ValueError, match=r'titanic_raw\.csv is empty'): get('titanic_raw.csv', root=root)
    (root/'titanic_raw.csv').write_text('survived\n')
    assert get('titanic_raw.csv', root=root) == root/'titanic_raw.csv'


def test_a_subset_is_not_called_real(clean, small, capsys):
    folder(clean/'root', [(f'mnist_png/{p}/{d}/1.png', b'x') for p in ('training', 'testing') for d in range(10)])
    folder(clean/'root', [('ml-100k/u.data', b'1\t1\t5\t0\n'*100_000), *[(f'ml-100k/u.{x}', b'x') for x in ('item', 'user', 'genre')]])
    for name in ('mnist_png', 'ml-100k'): get(name, root=clean/'root')
    get('oxford-iiit-pet', root=small.parent)
    assert [line.split(',')[0] for line in capsys.readouterr().out.splitlines()] == ['mnist_png: sample', 'ml-100k: real', 'oxford-iiit-pet: drawn']
    folder(clean/'root', [('ml-100k/u.data', b'1\t1\t5\t0\n'*99_999)])
    get('ml-100k', root=clean/'root')
    assert capsys.readouterr().out.startswith('ml-100k: sample')


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    "Four pictures of each breed, with more mistakes than usual"
    return draw_pets(tmp_path_factory.mktemp('pets')/'oxford-iiit-pet', 4, seed=3, size=(100, 200), label_errors=.15, near_duplicates=.1)


def test_verify_finds_every_kind_of_change(small, tmp_path):
    def fresh():
        shutil.rmtree(tmp_path/'p', ignore_errors=True)
        return Path(shutil.copytree(small, tmp_path/'p'))
    p = fresh(); assert verify(p) == p
    (p/'images'/'pug_1.jpg').unlink()
    with pytest.raises(ValueError, match='pug_1.jpg is missing; delete'): verify(p, full=False)
    p = fresh(); (p/'images'/'mine.jpg').write_bytes(b'x')
    with pytest.raises(ValueError, match='mine.jpg does not belong'): verify(p, full=False)
    p = fresh(); f = p/'images'/'pug_1.jpg'; f.write_bytes(f.read_bytes()[:-1])
    with pytest.raises(ValueError, match='pug_1.jpg has .* bytes'): verify(p, full=False)
    p = fresh(); f = p/'images'/'pug_1.jpg'; b = bytearray(f.read_bytes()); b[300] ^= 1; f.write_bytes(b)
    verify(p, full=False)
    with pytest.raises(ValueError, match='pug_1.jpg has other contents'): verify(p)
    p = fresh(); (p/'.made.json').write_text('{')
    with pytest.raises(ValueError, match='damaged'): verify(p)
    (p/'.made.json').unlink()
    with pytest.raises(ValueError, match='did not make it'): verify(p)


def test_a_damaged_cache_is_an_error_that_says_what_to_do(clean):
    path = get('mnist_sample')
    next((path/'train'/'3').iterdir()).unlink()
    with pytest.raises(ValueError, match=r'missing; delete the folder .*mnist_sample'): get('mnist_sample')
    shutil.rmtree(path)
    assert get('mnist_sample') == path


# --- made whole, once

def test_killed_in_the_middle(clean):
    dest = clean/'pets'
    code = f"from course_lib.data import draw_pets; draw_pets({str(dest)!r}, 40)"
    p = subprocess.Popen([sys.executable, '-c', code])
    end = time.time() + 60
    while time.time() < end and len(list(clean.glob('.pets.part-*/images/*.jpg'))) < 3: time.sleep(.02)
    assert p.poll() is None, "finished before it could be killed"
    p.send_signal(signal.SIGKILL if os.name != 'nt' else signal.SIGTERM); p.wait()
    assert not dest.exists() and list(clean.glob('.pets.part-*'))
    draw_pets(dest, 1, size=(64, 96))
    assert not list(clean.glob('.pets.part-*')) and len(list((dest/'images').iterdir())) == 12


def test_an_exception_leaves_nothing(clean):
    def fail(part): (part/'a').write_text('x'); raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): data._made_once(clean/'x', fail)
    assert [p.name for p in clean.iterdir()] == ['.x.lock']


def test_two_processes_ask_at_once(clean):
    code = """if 1:
        import os, sys, time
        from course_lib.data import _made_once
        from pathlib import Path
        dest, go = map(Path, sys.argv[1:])
        print('ready', flush=True)
        while not go.exists(): time.sleep(.005)
        def make(part):
            time.sleep(.4)
            for i in range(20): (part/f'{i}.txt').write_text(str(os.getpid()))
        print((_made_once(dest, make)/'7.txt').read_text())
    """
    ps = [subprocess.Popen([sys.executable, '-c', code, str(clean/'set'), str(clean/'go')], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for p in ps: assert p.stdout.readline() == 'ready\n'
    (clean/'go').touch()
    said = [p.communicate(timeout=60)[0].strip() for p in ps]
    assert [p.returncode for p in ps] == [0, 0, 0]
    assert len(set(said)) == 1 and said[0] in {str(p.pid) for p in ps}


# --- the drawn pets

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


def planted(path): return {r['file']: r for r in csv.DictReader(open(path/'planted.csv', newline=''))}


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


def pets_64(path):
    "Pictures [600,3,64,64] from 0 to 1, labels by file name, true labels, and which are planted near-duplicates"
    rows, xs, named, true, dup = planted(path), [], [], [], []
    for f in sorted((path/'images').glob('*.jpg')):
        breed, row = f.stem.rsplit('_', 1)[0], rows.get(f.name)
        xs.append(np.asarray(Image.open(f).resize((64, 64), Image.BILINEAR)))
        named.append(PET_BREEDS.index(breed)); true.append(PET_BREEDS.index(row['shows'] if row else breed))
        dup.append(bool(row) and row['kind'] == 'near_duplicate')
    return torch.tensor(np.stack(xs)).permute(0, 3, 1, 2).float()/255, torch.tensor(named), torch.tensor(true), torch.tensor(dup)


def split(n, seed=0):
    ix = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    return ix[:int(.8*n)], ix[int(.8*n):]


def test_mean_colour_does_not_give_the_breed_away(offline):
    linear = pytest.importorskip('sklearn.linear_model')
    x, named, true, dup = pets_64(get('pets'))
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
    "About 45 s on one core: 480 pictures with the labels of their names, judged on the true labels of the other 120"
    from torch import nn
    from torch.nn import functional as F
    x, named, true, dup = pets_64(get('pets'))
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


# --- digits, photographs, ratings

def test_digits_are_scikit_learns(clean):
    sk = pytest.importorskip('sklearn.datasets').load_digits()
    path = get('digits')
    files = {f.stem: f for f in path.glob('*/*/*.png')}
    assert len(files) == 1797 == len(list(path.rglob('*.png'))) and {f.name for f in path.iterdir() if f.is_dir()} == {'training', 'testing'}
    for i in (0, 700, 1436, 1437, 1796):
        f = files[str(i)]
        assert f.parent.name == str(sk.target[i]) and f.parent.parent.name == ('training' if i < 1437 else 'testing')
        im = Image.open(f)
        assert im.size == (28, 28) and im.mode == 'L'
        small = np.asarray(im.crop((4, 4, 24, 24)).resize((8, 8), Image.BOX), float)/255*16
        assert np.corrcoef(small.ravel(), sk.images[i].ravel())[0, 1] > .97
    assert get('mnist_png') == path


def test_mnist_sample_default(clean):
    path = get('mnist_sample')
    rows = list(csv.DictReader(open(path/'labels.csv', newline='')))
    assert {r['name'] for r in rows} == {f.relative_to(path).as_posix() for f in path.rglob('*.png')} and len(rows) == 362
    assert all(r['label'] == ('0' if '/3/' in r['name'] else '1') for r in rows)
    assert {r['name'].split('/')[0] for r in rows} == {'train', 'valid'}


def test_photographs(offline):
    pics = photographs()
    assert {k: (v.size, v.mode) for k, v in pics.items()} == {'china': ((640, 427), 'RGB'), 'flower': ((640, 427), 'RGB')}


@pytest.fixture(scope='module')
def ratings(tmp_path_factory):
    path = tmp_path_factory.mktemp('r')
    data._plant_ratings(path)
    table = np.loadtxt(path/'u.data', dtype=int, delimiter='\t')
    return path, table, ratings_truth(path)


def test_ratings_have_movielens_sizes(ratings):
    path, t, _ = ratings
    assert t.shape == (100_000, 4) and len({(u, i) for u, i in t[:, :2].tolist()}) == 100_000
    assert set(t[:, 0]) == set(range(1, 944)) and set(t[:, 1]) == set(range(1, 1683)) and set(t[:, 2]) == {1, 2, 3, 4, 5}
    assert np.bincount(t[:, 0])[1:].min() >= 20
    assert {f.name for f in path.iterdir()} == {'README', 'planted.npz', 'u.data', 'u.genre', 'u.info', 'u.item', 'u.user', 'u.occupation'} | {
        f'{n}.{p}' for n in ('u1', 'u2', 'u3', 'u4', 'u5', 'ua', 'ub') for p in ('base', 'test')}
    items = (path/'u.item').read_text(encoding='latin-1').splitlines()
    assert len(items) == 1682 and all(len(l.split('|')) == 24 for l in items) and len({l.split('|')[1] for l in items}) == 1682
    assert len((path/'u.user').read_text().splitlines()) == 943 and (path/'u.info').read_text().split() == ['943', 'users', '1682', 'items', '100000', 'ratings']


def test_folds(ratings):
    path, t, _ = ratings
    every = {tuple(r) for r in t.tolist()}
    read = lambda n: {tuple(map(int, l.split('\t'))) for l in (path/n).read_text().splitlines()}
    tests = [read(f'u{k}.test') for k in range(1, 6)]
    assert [len(s) for s in tests] == [20_000]*5 and set().union(*tests) == every
    assert read('u1.base') == every - tests[0]
    ua, ub = read('ua.test'), read('ub.test')
    assert len(ua) == len(ub) == 9430 and not ua & ub and set(np.bincount([r[0] for r in ua])[1:]) == {10}


def test_popularity_is_a_power_law_and_users_sit_down(ratings):
    _, t, _ = ratings
    n = np.sort(np.bincount(t[:, 1])[1:])[::-1]
    rank = np.arange(30, 800)
    slope = np.polyfit(np.log(rank), np.log(n[rank]), 1)[0]
    assert n[0] > 300 and n[-1] < 30 and -1.3 < slope < -.6
    gaps = np.diff(np.sort(t[t[:, 0] == np.bincount(t[:, 0]).argmax(), 3]))
    assert np.median(gaps) < 60 and t[:, 3].min() >= 874724710


def test_planted_truth_is_what_made_the_ratings(ratings):
    path, t, truth = ratings
    u, i, r = t[:, 0], t[:, 1], t[:, 2]
    rmse = lambda p: float(np.sqrt(np.mean((r - p)**2)))
    floor = rmse(expected_rating(truth, u, i))
    assert abs(floor - truth['noise_floor']) < 1e-9 and .7 < floor < .9
    score = truth['mean'] + truth['user_bias'][u-1] + truth['item_bias'][i-1]
    bias_only = rmse(np.clip(score, 1, 5))
    assert rmse(r.mean()) > bias_only + .1 > floor + .15  # biases explain some, factors more
    half = rng_half(len(t))
    assert abs(np.mean((r - expected_rating(truth, u, i))[half])) < .02  # unbiased
    wrong = truth | {'item_factors': truth['item_factors'][::-1]}
    assert rmse(expected_rating(wrong, u, i)) > floor + .1
    # genres stand in u.item as planted
    line = (path/'u.item').read_text(encoding='latin-1').splitlines()[41].split('|')
    assert [int(g) for g in line[5:]] == truth['genres'][41].tolist()


def rng_half(n): return np.random.default_rng(0).random(n) < .5


def test_expected_rating_against_simulation():
    truth = dict(mean=3.5, user_bias=np.array([.3, -2.]), item_bias=np.array([0., 1.5]), noise_sd=.8,
                 user_factors=np.array([[1., 0.], [0., 1.]]), item_factors=np.array([[.5, .2], [-.3, .4]]))
    got = expected_rating(truth, np.array([1, 2, 1]), np.array([1, 1, 2]))
    score = np.array([4.3, 1.7, 5.0])
    sim = np.clip(np.round(score + np.random.default_rng(0).normal(0, .8, (400_000, 3))), 1, 5).mean(0)
    assert np.abs(got - sim).max() < .01


def test_ratings_are_made_alike(tmp_path, ratings):
    (tmp_path/'b').mkdir(); data._plant_ratings(tmp_path/'b')
    for n in ('u.data', 'u.item', 'u3.test', 'ub.base'): assert (tmp_path/'b'/n).read_bytes() == (ratings[0]/n).read_bytes()
    with pytest.raises(FileNotFoundError, match='planted.npz'): ratings_truth(tmp_path)


def test_import_budget():
    code = "import sys, course_lib.data; print([m for m in ('fastai', 'pandas', 'sklearn', 'matplotlib', 'PIL', 'scipy') if m in sys.modules])"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == '[]'


# --- the real thing

ARCHIVES = {  # name: (what `get` says, pattern, count)
    'oxford-iiit-pet': ('sample', 'images/*.jpg', 595), 'oxford-iiit-pet-extra': ('sample', 'images/*.jpg', 700),
    'mnist_sample': ('real', '*/*/*.png', 14434), 'mnist_tiny': ('real', '**/*.png', 1428), 'mnist_png': ('sample', '*/*/*.png', 6000),
    'cifar10': ('sample', '*/*/*.png', 6000), 'cifar100': ('sample', '*/*/*/*.png', 12000), 'camvid_tiny': ('real', 'labels/*_P.png', 100),
    'adult_sample': ('real', '*.csv', 1), 'imdb_sample': ('real', '*.csv', 1), 'imdb': ('sample', '*/*/*.txt', 3000),
    'human_numbers': ('real', '*.txt', 2), 'movie_lens_sample': ('real', '*.csv', 1), 'ml-latest-small': ('real', '*.csv', 4),
    'bulldozers_valid': ('real', '*.csv', 2), 'weights': ('real', '*.pth', 3)}


class TestReal:
    pytestmark = real

    @pytest.mark.parametrize('name', ARCHIVES)
    def test_archive(self, name, capsys):
        kind, pattern, count = ARCHIVES[name]
        if not any((Path(REAL)/n).exists() for n in (name, f'{name}.tgz')): pytest.skip(f"{name} is not in COURSE_LIB_DATA")
        path = get(name)
        assert capsys.readouterr().out == f'{name}: {kind}, from COURSE_LIB_DATA\n'
        assert len(list(path.glob(pattern))) == count and path.name == info(name).folder
        if (path/'.made.json').exists(): verify(path)

    def test_every_archive_there_is_can_be_had(self):
        for f in Path(REAL).glob('*.tgz'): assert info(f.stem).name == f.stem

    def test_a_file(self):
        assert len(get('titanic_raw.csv').read_text().splitlines()) == 892

    def test_drawn_and_real_pets_have_one_layout(self):
        real_, drawn = get('oxford-iiit-pet'), get('pets')
        assert drawn != real_ and (drawn/'planted.csv').exists() and not (real_/'planted.csv').exists()
        for p in ('images/*.jpg', 'annotations/list.txt', 'annotations/trimaps/*.png'):
            assert list(real_.glob(p)) and list(drawn.glob(p))
        masks = [set(np.unique(np.asarray(Image.open(next((p/'annotations'/'trimaps').glob('*.png'))))).tolist()) for p in (real_, drawn)]
        assert masks[0] == masks[1] == {1, 2, 3}
        breeds = lambda p: {f.stem.rsplit('_', 1)[0] for f in (p/'images').glob('*.jpg')}
        assert breeds(drawn) <= breeds(real_)
