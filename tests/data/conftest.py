"Machines without data, and the sets that several tests look at, made once"
import numpy as np
import pytest

from course_lib.data import draw_pets, ratings_truth
from course_lib.data.planted import _plant_ratings

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


@pytest.fixture(scope='session')
def small(tmp_path_factory):
    "Four pictures of each breed, with more mistakes than usual"
    return draw_pets(tmp_path_factory.mktemp('pets')/'oxford-iiit-pet', 4, seed=3, size=(100, 200), label_errors=.15, near_duplicates=.1)


@pytest.fixture(scope='session')
def ratings(tmp_path_factory):
    path = tmp_path_factory.mktemp('r')
    _plant_ratings(path)
    table = np.loadtxt(path/'u.data', dtype=int, delimiter='\t')
    return path, table, ratings_truth(path)
