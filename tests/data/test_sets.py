"The list of sets, the search order and the line it prints, and folders that are not what they seem."
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_lib.data import catalogue, get, info, photographs, verify
from course_lib.data.sets import _fastai_data
from tests.data.helpers import NUMBERS, folder, make_archive


REAL = os.environ.get('COURSE_LIB_DATA')


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
    try: assert _fastai_data() == external.fastai_path('data') == clean/'fastai'/'data'
    finally: external.fastai_cfg.cache_clear()


def test_a_missing_root_is_an_error(clean, monkeypatch):
    with pytest.raises(FileNotFoundError, match='root names'): get('human_numbers', root=clean/'nowhere')
    monkeypatch.setenv('COURSE_LIB_DATA', str(clean/'gone'))
    with pytest.raises(FileNotFoundError, match='COURSE_LIB_DATA names'): get('human_numbers')


def test_names(clean):
    with pytest.raises(ValueError, match="did you mean 'mnist_sample'"): get('mnist_samples')
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


@pytest.mark.parametrize('ending', ['7z', 'rar', 'tar.bz2', 'tar.xz', 'tar.zst', 'gz', 'RAR'])
def test_an_archive_that_is_not_taken_is_named(clean, capsys, ending):
    (clean/'root').mkdir()
    (clean/'root'/f'mnist_sample.{ending}').write_bytes(b'packed')
    (clean/'root'/f'human_numbers.{ending}').write_bytes(b'packed')
    path = get('mnist_sample', root=clean/'root')
    said = capsys.readouterr().out
    assert f'(mnist_sample.{ending} seen and not taken; what `get` unpacks ends in .tgz, .tar.gz, .tar, .zip)' in said and 'sample' in said
    with pytest.raises(FileNotFoundError, match=f'human_numbers.{ending} seen and not taken'): get('human_numbers', root=clean/'root')
    with pytest.warns(UserWarning, match='seen and not taken'): assert get('mnist_sample', root=clean/'root', quiet=True) == path
    assert capsys.readouterr().out == ''


def test_of_two_archives_one_is_taken_and_the_other_named(clean, capsys):
    folder(clean/'root')
    (clean/'two').mkdir()
    for ending in ('.tgz', '.zip'): make_archive(clean/'two'/f'human_numbers{ending}', NUMBERS)
    get('human_numbers', root=clean/'two')
    (clean/'root'/'human_numbers.zip').write_bytes(b'beside its folder')
    get('human_numbers', root=clean/'root')
    assert capsys.readouterr().out.splitlines() == ['human_numbers: real, from root (human_numbers.zip seen and not taken)']*2


def test_what_only_begins_like_an_archives_name(clean, capsys):
    folder(clean/'root')
    for name in ('human_numbers.zip.part', 'human_numbers2.zip', 'human_numbers.txt', 'my_human_numbers.zip'): (clean/'root'/name).write_bytes(b'x')
    (clean/'root'/'human_numbers.tgz').mkdir()
    get('human_numbers', root=clean/'root')
    assert capsys.readouterr().out == 'human_numbers: real, from root\n'


@pytest.mark.parametrize('name', ['Human_Numbers', 'HUMAN_NUMBERS'])
def test_a_folder_may_be_written_in_capitals(clean, name):
    folder(clean/'root', [(n.replace('human_numbers', name), c) for n, c in NUMBERS])
    assert get('human_numbers', root=clean/'root').samefile(clean/'root'/name)


def test_quiet(clean, capsys, recwarn):
    get('mnist_sample', quiet=True)
    get('human_numbers', root=folder(clean/'root'), quiet=True)
    assert capsys.readouterr().out == '' and not [w for w in recwarn if w.category is UserWarning]


def test_a_folder_that_may_not_be_read_is_no_place(clean, monkeypatch):
    "fastai's folder in somebody else's home"
    def refuse(self): raise PermissionError(13, 'Permission denied', str(self))
    monkeypatch.setattr(Path, 'iterdir', refuse)
    monkeypatch.setattr(os.path, 'exists', lambda p: False)  # what it says of a path that may not be looked at
    with pytest.raises(FileNotFoundError, match='has no offline default'): get('human_numbers')


def test_tilde_in_the_names_of_folders(clean, monkeypatch):
    for name in ('HOME', 'USERPROFILE'): monkeypatch.setenv(name, str(clean))
    folder(clean/'mine')
    assert get('human_numbers', root='~/mine') == clean/'mine'/'human_numbers'
    monkeypatch.setenv('COURSE_LIB_DATA', '~/mine')
    assert get('human_numbers') == clean/'mine'/'human_numbers'
    monkeypatch.setenv('COURSE_LIB_DATA', '~nobody-is-called-so/mine')
    with pytest.raises(FileNotFoundError, match='COURSE_LIB_DATA names'): get('human_numbers')


def test_photographs(offline):
    pics = photographs()
    assert {k: (v.size, v.mode) for k, v in pics.items()} == {'china': ((640, 427), 'RGB'), 'flower': ((640, 427), 'RGB')}


def test_import_budget():
    code = "import sys, course_lib.data; print([m for m in ('torch', 'fastai', 'pandas', 'sklearn', 'matplotlib', 'PIL', 'scipy') if m in sys.modules])"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == '[]'


ARCHIVES = {  # name: (what `get` says, pattern, count)
    'oxford-iiit-pet': ('sample', 'images/*.jpg', 595), 'oxford-iiit-pet-extra': ('sample', 'images/*.jpg', 700),
    'mnist_sample': ('real', '*/*/*.png', 14434), 'mnist_tiny': ('real', '**/*.png', 1428), 'mnist_png': ('sample', '*/*/*.png', 6000),
    'cifar10': ('sample', '*/*/*.png', 6000), 'cifar100': ('sample', '*/*/*/*.png', 12000), 'camvid_tiny': ('real', 'labels/*_P.png', 100),
    'adult_sample': ('real', '*.csv', 1), 'imdb_sample': ('real', '*.csv', 1), 'imdb': ('sample', '*/*/*.txt', 3000),
    'human_numbers': ('real', '*.txt', 2), 'movie_lens_sample': ('real', '*.csv', 1), 'ml-latest-small': ('real', '*.csv', 4), 'ml-100k': ('real', 'u*.base', 7),
    'bulldozers_valid': ('real', '*.csv', 2), 'weights': ('real', '*.pth', 3)}


class TestReal:
    pytestmark = pytest.mark.real

    @pytest.mark.parametrize('name', ARCHIVES)
    def test_archive(self, name, capsys):
        kind, pattern, count = ARCHIVES[name]
        if not any((Path(REAL)/n).exists() for n in (name, f'{name}.tgz', f'{name}.zip')): pytest.skip(f"{name} is not in COURSE_LIB_DATA")
        path = get(name)
        assert capsys.readouterr().out == f'{name}: {kind}, from COURSE_LIB_DATA\n'
        assert len(list(path.glob(pattern))) == count and path.name == info(name).folder
        if (path/'.made.json').exists(): verify(path)

    def test_every_archive_there_is_can_be_had(self):
        for f in [*Path(REAL).glob('*.tgz'), *Path(REAL).glob('*.zip')]: assert info(f.stem).name == f.stem

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
