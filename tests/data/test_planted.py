"The planted ratings: MovieLens' files, and a truth that made them."
import numpy as np
import pytest

from course_lib.data import expected_rating, ratings_truth
from course_lib.data.planted import _plant_ratings

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


def test_ratings_are_made_alike(tmp_path):
    for name in 'ab':
        (tmp_path/name).mkdir()
        _plant_ratings(tmp_path/name, n_users=50, n_items=80, n_ratings=1500)
    for f in (tmp_path/'a').iterdir(): assert f.suffix == '.npz' or f.read_bytes() == (tmp_path/'b'/f.name).read_bytes()
    with pytest.raises(FileNotFoundError, match='planted.npz'): ratings_truth(tmp_path)
