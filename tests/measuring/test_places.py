"Where the cache is, and what is said where it cannot be."
import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from course_lib.places import asset, cache_dir, stand_in

posix = pytest.mark.skipif(os.name == "nt", reason="home folders are found in another way there")


@pytest.fixture
def home(tmp_path, monkeypatch):
    "A home folder of our own, and no COURSE_LIB_CACHE"
    for name in ("COURSE_LIB_CACHE", "XDG_CACHE_HOME"): monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"): monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("named", [None, ""])
def test_the_default_is_below_the_home_folder(home, monkeypatch, named):
    if named is not None: monkeypatch.setenv("COURSE_LIB_CACHE", named)
    assert cache_dir() == home/".cache"/"course_lib" and cache_dir().is_dir()


def test_the_systems_cache_folder_is_used_where_it_is_named(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home/"caches"))
    assert cache_dir() == home/"caches"/"course_lib"
    monkeypatch.setenv("COURSE_LIB_CACHE", str(home/"mine"))
    assert cache_dir() == home/"mine"
    monkeypatch.delenv("COURSE_LIB_CACHE")
    for ignored in ("", "caches", "./caches"):  # its specification: a relative path is ignored
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_dir() == home/".cache"/"course_lib"


def test_a_relative_home_is_warned_of_as_such(home, monkeypatch):
    for name in ("HOME", "USERPROFILE"): monkeypatch.setenv(name, "here")
    monkeypatch.chdir(home)
    with pytest.warns(UserWarning, match="^the home folder is a relative path"): assert cache_dir() == home/"here"/".cache"/"course_lib"


@pytest.mark.parametrize("named", ["~", "~/deep/down"])
def test_a_tilde_is_the_home_folder(home, monkeypatch, named):
    monkeypatch.setenv("COURSE_LIB_CACHE", named)
    monkeypatch.chdir(home)
    assert cache_dir() == Path(named.replace("~", str(home))) and not (home/"~").exists()


def test_a_relative_path_is_taken_and_warned_of(home, monkeypatch):
    monkeypatch.setenv("COURSE_LIB_CACHE", "here/cache")
    monkeypatch.chdir(home)
    with pytest.warns(UserWarning, match="COURSE_LIB_CACHE='here/cache' is a relative path"): path = cache_dir()
    assert path == home/"here"/"cache" and path.is_dir()
    monkeypatch.setenv("COURSE_LIB_CACHE", str(home/"absolute"))
    with warnings.catch_warnings(action="error") if sys.version_info >= (3, 11) else warnings.catch_warnings(): cache_dir()


@posix
@pytest.mark.parametrize("named", [None, "~/cache", "~nobody-is-called-so/cache"])
def test_no_home_folder(home, monkeypatch, named):
    import pwd
    def unknown(*args): raise KeyError("a user without a name")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    if named: monkeypatch.setenv("COURSE_LIB_CACHE", named)
    with pytest.raises(RuntimeError, match="no home folder.*COURSE_LIB_CACHE"): cache_dir()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENAMETOOLONG])
def test_a_folder_that_cannot_be_made(home, monkeypatch, code):
    def refuse(self, *args, **kwargs): raise OSError(code, os.strerror(code), str(self))
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OSError, match=r"cannot be made.*name a folder that can be written in COURSE_LIB_CACHE") as e: cache_dir()
    assert str(home/".cache"/"course_lib") in str(e.value) and os.strerror(code) in str(e.value)


@pytest.mark.parametrize("place", [".cache", ".cache/course_lib"])
def test_a_file_in_the_way(home, place):
    (home/place).parent.mkdir(exist_ok=True)
    (home/place).write_text("no folder")
    with pytest.raises(OSError, match="COURSE_LIB_CACHE") as e: cache_dir()
    assert f"{home/place} is no folder; take it away" in str(e.value)
    assert (home/place).read_text() == "no folder"


@posix
def test_a_link_to_nowhere_in_the_way(home):
    (home/".cache").symlink_to(home/"gone"/"deeper")
    with pytest.raises(OSError, match="COURSE_LIB_CACHE"): cache_dir()


@posix
def test_a_user_without_a_name_gets_what_needs_no_cache(tmp_path):
    "In a container with a random user, `get` looks for fastai's folder too, and there is none"
    code = "import os; os.environ.pop('HOME', None); import pwd\ndef no(*a): raise KeyError\npwd.getpwuid = no\n" \
           "from course_lib.data import get; print(get('photographs').name, get('mnist_sample', root='.').name)"
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "COURSE_LIB_DATA", "FASTAI_HOME")} | {"COURSE_LIB_CACHE": str(tmp_path/"c")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env | {"PYTHONPATH": str(Path(__file__).parents[2])},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "images mnist_sample"


def test_assets():
    assert asset("course.mplstyle").is_file()
    with pytest.raises(FileNotFoundError, match="no-such-file.*course.mplstyle"): asset("no-such-file")


@pytest.mark.parametrize('start, said', [
    (b'', 'empty'), (b'version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'), (b'<!DOCTYPE html>', 'web page'),
    (b'\xef\xbb\xbf\r\n <HTML lang="en">', 'web page'), (b'<?xml version="1.0"?><Error>', 'web page'),
    (b'<Error><Code>AccessDenied', 'web page'), (b'<!-- moved -->', 'web page'),
    (b'<unk>\n<s>\n</s>', None), (b'<header>', None), (b'{"a": 1}', None), (b'\x89PNG', None), (b'  ', None),
    (b'version 2', None), (b'PK\x03\x04', None)])
def test_what_a_failed_download_left_is_told(start, said):
    found = stand_in(start)
    assert found is None if said is None else found.startswith('is ') and said in found
