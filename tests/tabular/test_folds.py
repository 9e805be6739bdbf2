"Folds that cover every row once a repeat, and the interval over them"
import numpy as np
import pytest
from scipy.stats import t

from course_lib.core import mean_ci
from course_lib.tabular import folds_ci, repeated_folds


@pytest.mark.parametrize("n, n_folds, n_repeats", [(10, 5, 2), (7, 3, 1), (4, 4, 3), (101, 10, 2)])
def test_each_row_judges_once_a_repeat(n, n_folds, n_repeats):
    folds = repeated_folds(n, n_folds, n_repeats, seed=3)
    assert len(folds) == n_folds*n_repeats
    for start in range(0, len(folds), n_folds):
        judges = np.concatenate([judge for _, judge in folds[start:start + n_folds]])
        assert sorted(judges) == list(range(n))
    for learn, judge in folds:
        assert sorted([*learn, *judge]) == list(range(n)) and abs(len(judge) - n/n_folds) < 1


def test_repeats_differ_and_a_seed_repeats():
    first, again, other = (repeated_folds(40, seed=s) for s in (0, 0, 1))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again))
    assert not np.array_equal(first[0][1], other[0][1]) and not np.array_equal(first[0][1], first[5][1])


@pytest.mark.parametrize("n_folds, level", [(5, 0.95), (10, 0.8)])
def test_the_interval_is_that_of_the_paper(n_folds, level):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2*n_folds))
    d, share = a - b, (1/n_folds)/(1 - 1/n_folds)  # rows that judge over rows that train
    half = t.ppf((1 + level)/2, len(d) - 1)*np.sqrt((1/len(d) + share)*d.var(ddof=1))
    found = folds_ci(a, b, n_folds, level)
    assert np.allclose([found.value, found.low, found.high], [d.mean(), d.mean() - half, d.mean() + half])
    plain = mean_ci(a, b, level)
    assert found.value == pytest.approx(plain.value) and found.low < plain.low and found.high > plain.high


@pytest.mark.parametrize("bad, name", [(dict(n=3, n_folds=4), "n_folds"), (dict(n=3, n_folds=1), "n_folds"),
                                       (dict(n=3, n_folds=2, n_repeats=0), "n_repeats")])
def test_folds_that_cannot_be_are_refused(bad, name):
    with pytest.raises(ValueError, match=name): repeated_folds(**bad)


@pytest.mark.parametrize("runs, baseline, n_folds, words", [
    ([1., 2], [1.], 5, "equal lengths"), ([1.], [1.], 5, "at least 2"), ([1., 2], [2., 1], 1, "n_folds"),
    ([1., np.nan], [0., 0], 5, "finite")])
def test_runs_that_make_no_interval_are_refused(runs, baseline, n_folds, words):
    with pytest.raises(ValueError, match=words): folds_ci(runs, baseline, n_folds)
