"Forests: what a bootstrap is, out-of-bag by hand, and the convention."
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from course_lib.tabular import DecisionTree, RandomForest


@pytest.fixture(scope="module")
def table():
    "Five columns of which two matter, and numbers"
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 5))
    return X, X[:, 0] + X[:, 1]*X[:, 0] + rng.normal(0, 0.3, 500)


def draws(n, trees):
    "What a forest of unlimited columns draws: it uses its generator for nothing else"
    rng = np.random.default_rng(0)
    return [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(trees)]


def test_out_of_bag_by_hand(table):
    "Each tree is that of the rows it drew, and judges the others"
    X, y = table
    forest = RandomForest(4, max_features=None, oob_score=True, min_samples_leaf=3).fit(X, y)
    said, asked = np.zeros(500), np.zeros(500)
    for drawn, mine in zip(draws(500, 4), forest.trees_):
        tree = DecisionTree(min_samples_leaf=3).fit(X, y, drawn)
        np.testing.assert_array_equal(mine.threshold, tree.tree_.threshold)
        said[drawn == 0] += tree.predict(X)[drawn == 0]
        asked[drawn == 0] += 1
    seen = asked > 0
    assert 300 < seen.sum() < 500 and np.isnan(forest.oob_prediction_[~seen]).all()
    np.testing.assert_allclose(forest.oob_prediction_[seen], said[seen]/asked[seen], rtol=1e-12)
    left = np.square(y[seen] - said[seen]/asked[seen]).sum()/np.square(y[seen] - y[seen].mean()).sum()
    assert np.isclose(forest.oob_score_, 1 - left)


def test_mean_of_trees(table):
    "A prediction is the mean of the trees' shares"
    X, y = table
    forest = RandomForest(3, max_depth=3).fit(X, (y > 0).astype(int))
    shares = np.mean([t.value[t.apply(X.astype(np.float32)), 0] for t in forest.trees_], 0)
    np.testing.assert_allclose(forest.predict_proba(X), shares)
    assert (forest.predict(X) == shares.argmax(1)).all() and len({t.threshold[0] for t in forest.trees_}) == 3


@pytest.mark.parametrize("classes", [False, True])
def test_as_good_as_scikit_learn(table, classes):
    "Out of bag, within what two seeds differ"
    X, y = table
    y = np.array(["low", "high"])[(y > 0).astype(int)] if classes else y
    kind = RandomForestClassifier if classes else RandomForestRegressor
    peer = kind(30, max_features=2, oob_score=True, random_state=0)
    mine = RandomForest(30, max_features=2, oob_score=True).fit(X, y)
    assert abs(mine.oob_score_ - peer.fit(X, y).oob_score_) < 0.05 and mine.oob_score_ > 0.6
    assert mine.oob_prediction_.shape == ((500, 2) if classes else (500,))


def test_seeds_weights_and_clones(table):
    "The same seed, the same forest; rows of weight 0 are as if absent; a clone keeps the settings"
    X, y = table
    a, b = RandomForest(3).fit(X, y), RandomForest(3, random_state=np.random.default_rng(0)).fit(X, y)
    other = RandomForest(3, random_state=1).fit(X, y)
    assert (a.predict(X) == b.predict(X)).all() and (other.predict(X) != a.predict(X)).any()
    weight = (np.arange(500) < 250).astype(float)
    spoiled = np.where(weight > 0, y, 1e6)
    assert np.nanmax(RandomForest(5, oob_score=True).fit(X, spoiled, weight).oob_prediction_) < 100
    assert clone(RandomForest(7, oob_score=True)).get_params() == RandomForest(7, oob_score=True).get_params()
