"Archives that must not be trusted, and folders made whole, once."
import gzip
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from course_lib.data import draw_pets, get, verify
from course_lib.data.store import _made_once
from tests.data.helpers import ENDINGS, NUMBERS, make_archive

@pytest.mark.parametrize('ending', ENDINGS)
def test_archive_is_unpacked_once_and_root_is_left_alone(clean, ending):
    root = clean/'root'; root.mkdir()
    make_archive(root/f'human_numbers{ending}', NUMBERS)
    path = get('human_numbers', root=root)
    assert path.name == 'human_numbers' and clean/'cache' in path.parents and os.listdir(root) == [f'human_numbers{ending}']
    assert (path/'train.txt').read_bytes() == NUMBERS[0][1]
    before = (path/'train.txt').stat().st_mtime_ns
    assert get('human_numbers', root=root) == path and (path/'train.txt').stat().st_mtime_ns == before
    make_archive(root/f'human_numbers{ending}', [(NUMBERS[0][0], b'other'), NUMBERS[1]])  # another one under the same name
    assert (get('human_numbers', root=root)/'train.txt').read_bytes() == b'other'


@pytest.mark.parametrize('said, kind', [('.tgz', '.tar'), ('.tgz', '.zip'), ('.zip', '.tgz'), ('.tar', '.tar.gz'), ('.ZIP', '.zip')])
def test_an_archive_is_known_by_what_it_is(clean, said, kind):
    "Browsers unpack gzip on the way and keep the name; somebody renames a file; Windows writes capitals"
    root = clean/'root'; root.mkdir()
    make_archive(root/f'x{kind}', NUMBERS).rename(root/f'human_numbers{said}')
    assert (get('human_numbers', root=root)/'valid.txt').read_bytes() == NUMBERS[1][1]


def test_a_zip_as_its_publisher_ships_it(clean, capsys):
    "A folder entry first, files with Unix modes, and more in it than the set needs"
    import zipfile
    root = clean/'root'; root.mkdir()
    with zipfile.ZipFile(root/'ml-100k.zip', 'w') as packed:
        packed.writestr(zipfile.ZipInfo('ml-100k/'), b'')
        for name, content in {'u.data': b'1\t1\t5\t0\n'*100_000, 'u.item': b'caf\xe9', 'u.user': b'x', 'u.genre': b'x', 'mku.sh': b'#!'}.items():
            entry = zipfile.ZipInfo(f'ml-100k/{name}')
            entry.external_attr = 0o100750 << 16
            packed.writestr(entry, content, zipfile.ZIP_DEFLATED)
    path = get('ml-100k', root=root)
    assert capsys.readouterr().out == 'ml-100k: real, from root\n' and (path/'u.item').read_bytes() == b'caf\xe9'
    verify(path)


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('more', [[('__MACOSX/human_numbers/._train.txt', b'x'), ('human_numbers/.DS_Store', b'y')], [('.DS_Store', b'x')], [('._human_numbers', b'x'), ('human_numbers/._train.txt', b'y')]])
def test_what_macos_adds_to_an_archive_is_left_out(clean, ending, more):
    root = clean/'root'; root.mkdir()
    make_archive(root/f'human_numbers{ending}', more + NUMBERS)
    assert {p.name for p in get('human_numbers', root=root).iterdir()} == {'train.txt', 'valid.txt', '.made.json'}
    make_archive(root/f'human_numbers{ending}', [('__MACOSX/../../evil.txt', b'x'), *NUMBERS])  # not written, wherever it points
    assert len(list(get('human_numbers', root=root).iterdir())) == 3 and not list(clean.rglob('evil.txt'))


@pytest.mark.parametrize('ending', ENDINGS)
def test_the_folder_in_an_archive_may_be_written_in_capitals(clean, ending):
    root = clean/'root'; root.mkdir()
    make_archive(root/f'Human_Numbers{ending}', [(n.replace('human', 'HUMAN'), c) for n, c in NUMBERS])
    assert (get('human_numbers', root=root)/'valid.txt').read_bytes() == NUMBERS[1][1]


@pytest.mark.parametrize('ending', ENDINGS)
def test_an_archive_with_the_folder_in_itself_is_named(clean, ending):
    root = clean/'root'; root.mkdir()
    make_archive(root/f'human_numbers{ending}', [(f'human_numbers/{n}', c) for n, c in NUMBERS])
    with pytest.raises(ValueError, match=f"human_numbers{ending} does not hold 'human_numbers': unpacked, .*train.txt is not there"): get('human_numbers', root=root)
    make_archive(root/f'human_numbers{ending}', [(f'wrap/{n}', c) for n, c in NUMBERS])
    with pytest.raises(ValueError, match=f"human_numbers{ending} holds 'wrap/human_numbers/train.txt' and not only"): get('human_numbers', root=root)


def test_a_file_where_a_folder_belongs_is_named(clean):
    (clean/'file').write_text('x')
    with pytest.raises(OSError, match='cannot be made; name a folder that can be written in COURSE_LIB_CACHE'): _made_once(clean/'file'/'sets'/'set', lambda part: None)
    with pytest.raises(ValueError, match='file has no .made.json, so course_lib did not make it'): _made_once(clean/'file', lambda part: None)


def test_a_zip_with_a_password(clean):
    root = clean/'root'; root.mkdir()
    raw = bytearray(make_archive(root/'human_numbers.zip', NUMBERS).read_bytes())
    for mark, at in ((b'PK\3\4', 6), (b'PK\1\2', 8)):  # the flag that says "encrypted", in both headers of each file
        start = raw.find(mark)
        while start >= 0: raw[start + at] |= 1; start = raw.find(mark, start + 1)
    (root/'human_numbers.zip').write_bytes(raw)
    with pytest.raises(ValueError, match='human_numbers.zip.*encrypted'): get('human_numbers', root=root)


def link(name, target, kind=tarfile.SYMTYPE):
    m = tarfile.TarInfo(name); m.type, m.linkname = kind, target
    return m


@pytest.mark.parametrize('ending', ENDINGS)
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
def test_archive_never_leaves_its_folder(clean, bad, ending):
    root = clean/'root'; root.mkdir()
    make_archive(root/f'human_numbers{ending}', NUMBERS + bad)
    with pytest.raises(ValueError, match=f'human_numbers{ending}.*delete') as e: get('human_numbers', root=root)
    assert str(root/f'human_numbers{ending}') in str(e.value)
    left = [p for p in clean.rglob('*') if p.is_file() or p.is_symlink()]
    assert sorted(p.name for p in left) == ['.human_numbers.lock', f'human_numbers{ending}']
    assert not Path('/course_lib_evil.txt').exists()


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('keep', [0, 1, 5, 20, 0.3, 0.6, 0.9, -9, -4, -1])
def test_truncated_archive(clean, keep, ending):
    root = clean/'root'; root.mkdir()
    archive, rng = root/f'human_numbers{ending}', np.random.default_rng(0)
    whole = make_archive(archive, NUMBERS + [('human_numbers/noise.bin', rng.bytes(5000))]).read_bytes()
    if ending == '.tar': whole = whole.rstrip(b'\0') # zeros at the end say that it is complete
    n = int(keep*len(whole)) if isinstance(keep, float) else keep if keep >= 0 else len(whole) + keep
    archive.write_bytes(whole[:n])
    with pytest.raises(ValueError, match=f'human_numbers{ending}'): get('human_numbers', root=root)
    assert not list(clean.rglob('train.txt'))


def test_a_tar_that_ends_between_two_files(clean):
    "Nothing is missing of what is there; only the end tells"
    root = clean/'root'; root.mkdir()
    archive = make_archive(root/'human_numbers.tar', NUMBERS)
    size = 512 + -(-len(NUMBERS[0][1])//512)*512
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(ValueError, match='does not end as a tar does'): get('human_numbers', root=root)


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


def test_killed_in_the_middle(clean):
    dest = clean/'pets'
    code = f"from course_lib.data import draw_pets; draw_pets({str(dest)!r}, 60, size=(64, 160), quiet=True)"
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
    with pytest.raises(KeyboardInterrupt): _made_once(clean/'x', fail)
    assert [p.name for p in clean.iterdir()] == ['.x.lock']


def test_two_processes_ask_at_once(clean):
    code = """if 1:
        import os, sys, time
        from course_lib.data.store import _made_once
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


@pytest.mark.parametrize('code', ['EACCES', 'EPERM', 'EROFS'])
def test_a_cache_that_cannot_be_written_is_named(clean, monkeypatch, code):
    "It is there, so that `cache_dir` has nothing to say, and may only be read"
    import errno

    from course_lib.data import store
    def refuse(path): raise OSError(getattr(errno, code), 'no', str(path))
    monkeypatch.setattr(store, '_locked', refuse)
    with pytest.raises(PermissionError, match='cannot be written.*COURSE_LIB_CACHE'): _made_once(clean/'set', lambda part: None)
    def full(path): raise OSError(errno.ENOSPC, 'No space left on device', str(path))
    monkeypatch.setattr(store, '_locked', full)
    with pytest.raises(OSError, match='No space left'): _made_once(clean/'set', lambda part: None)
