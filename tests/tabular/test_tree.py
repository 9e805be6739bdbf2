"Trees against scikit-learn's, node by node; the best of tied cuts; bad input."
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from course_lib.tabular import DecisionTree, NotFittedError, OneR

EXACT = "children_left", "children_right", "feature", "n_node_samples"
CLOSE = "threshold", "impurity", "value", "weighted_n_node_samples"


@pytest.fixture(scope="module")
def table():
    """Columns without ties, a target of classes and one of numbers, weights. These are whole 1024ths: scikit-learn's
    sums of others leave pure nodes a little impure, and it splits them"""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    signal = X[:, 0] + np.sin(2*X[:, 1]) + X[:, 0]*X[:, 2] + rng.normal(0, 0.5, 600)
    return X, signal, rng.integers(200, 1200, 600)/1024


def with_missing(X, share=0.2):
    "Values left out, more often where they are large"
    rng = np.random.default_rng(1)
    X = X.copy()
    X[rng.random(X.shape) < share] = np.nan
    X[(X[:, 0] > 0.5) & (rng.random(len(X)) < 0.7), 0] = np.nan
    return X


def assert_same(mine, peer):
    "Both trees have the same nodes, in the same order"
    for name in EXACT: np.testing.assert_array_equal(getattr(mine, name), getattr(peer, name), err_msg=name)
    for name in CLOSE:
        np.testing.assert_allclose(getattr(mine, name), getattr(peer, name), rtol=1e-12, atol=1e-12, err_msg=name)
    inner = mine.feature >= 0
    np.testing.assert_array_equal(mine.missing_go_to_left[inner], peer.missing_go_to_left[inner].astype(bool))


def gain(tree, node):
    "How much the impurity of a node falls when it is split"
    sides, w = [tree.children_left[node], tree.children_right[node]], tree.weighted_n_node_samples
    return tree.impurity[node] - (w[sides]*tree.impurity[sides]).sum()/w[node]


def same_but_for_ties(mine, peer):
    "The share of questions that are the same, from the root down; the others gain the same"
    same, tied, pairs = 0, 0, [(0, 0)]
    while pairs:
        a, b = pairs.pop()
        assert mine.n_node_samples[a] == peer.n_node_samples[b]
        np.testing.assert_allclose(mine.value[a], peer.value[b], atol=1e-12)
        assert (mine.feature[a] < 0) == (peer.feature[b] < 0)
        if mine.feature[a] < 0: continue
        if mine.feature[a] == peer.feature[b] and mine.threshold[a] == peer.threshold[b]:
            same += 1
            pairs += [(mine.children_left[a], peer.children_left[b]), (mine.children_right[a], peer.children_right[b])]
        else:
            assert abs(gain(mine, a) - gain(peer, b)) < 1e-12
            tied += 1
    return same/(same + tied)


def classes(signal, n): return np.searchsorted(np.quantile(signal, np.arange(1, n)/n), signal)


RULES = [dict(max_depth=1), dict(max_depth=4), dict(min_samples_leaf=20), dict(min_samples_split=60, max_depth=6),
         dict(max_depth=7, min_samples_leaf=12)]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("n", [2, 5, 0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_equals_scikit_learn(table, rules, n, weighted, missing):
    "Classes (two, five) and numbers, with the leaf size that leaves no two cuts equally good"
    X, signal, weight = table
    rules = {"min_samples_leaf": 12, **rules}
    X, y, w = with_missing(X) if missing else X, classes(signal, n) if n else signal, weight if weighted else None
    peer = (DecisionTreeClassifier if n else DecisionTreeRegressor)(random_state=0, **rules).fit(X, y, w)
    mine = DecisionTree(**rules).fit(X, y, w)
    if n and not weighted:  # counts of classes may be the same in two columns
        assert same_but_for_ties(mine.tree_, peer.tree_) > 0.7
        return
    assert_same(mine.tree_, peer.tree_)
    new = with_missing(np.random.default_rng(2).normal(size=(200, 4)), 0.4)
    np.testing.assert_array_equal(mine.apply(new), peer.apply(new))
    np.testing.assert_allclose(mine.predict(new), peer.predict(new), rtol=1e-12)
    if n: np.testing.assert_allclose(mine.predict_proba(new), peer.predict_proba(new), atol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 0])
@pytest.mark.parametrize("missing", [False, True])
def test_full_depth_of_one_column(table, n, missing):
    "A tree to the last row; with one column and weights no cuts are tied"
    X, signal, weight = table
    X, y = (with_missing(X) if missing else X)[:, :1], classes(signal, n) if n else signal
    peer = (DecisionTreeClassifier if n else DecisionTreeRegressor)(random_state=0).fit(X, y, weight)
    mine = DecisionTree().fit(X, y, weight)
    assert mine.tree_.node_count > 200 and mine.tree_.max_depth == peer.tree_.max_depth
    assert_same(mine.tree_, peer.tree_)


def best_gain(X, onehot, w, leaf):
    "The most that any cut of any column brings, tried one by one, missing values on both sides"
    def left_over(side):
        means = np.average(onehot[side], axis=0, weights=w[side])
        return (w[side, None]*np.square(onehot[side] - means)).sum()
    everything, best = np.ones(len(X), bool), -np.inf
    for x in X.T:
        known = np.unique(x[~np.isnan(x)])
        cuts = [(a + b)/2 for a, b in zip(known, known[1:])] + [np.inf]
        sides = [(x <= c) | (np.isnan(x) & lost) for c in cuts for lost in (False, True)]
        for side in sides:
            if min(side.sum(), (~side).sum()) >= leaf:
                best = max(best, left_over(everything) - left_over(side) - left_over(~side))
    return best/w.sum()


def node_rows(tree, X):
    "The rows of each node, found by walking"
    rows = {0: np.arange(len(X))}
    for node in np.flatnonzero(tree.feature >= 0):
        here = rows[node]
        x = X[here, tree.feature[node]]
        left = np.where(np.isnan(x), tree.missing_go_to_left[node], x <= tree.threshold[node])
        rows[tree.children_left[node]], rows[tree.children_right[node]] = here[left], here[~left]
    return rows


@pytest.mark.parametrize("n", [2, 3, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_tied_cuts(n, weighted):
    "Columns of few values, twice the same, with missing ones: each cut gains as much as the best"
    rng = np.random.default_rng(3)
    X = rng.integers(0, 4, (120, 3)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    X = np.c_[X, X[:, 0]]
    signal = np.nan_to_num(X[:, 0]) + rng.integers(0, 3, 120)
    y, w = classes(signal, n) if n else signal, 0.5 + rng.random(120) if weighted else np.ones(120)
    tree = DecisionTree("gini" if n else None, min_samples_leaf=2).fit(X, y, w).tree_
    targets = np.eye(n)[y] if n else y[:, None]
    rows, inner = node_rows(tree, X), np.flatnonzero(tree.feature >= 0)
    assert len(inner) > 10 and not (tree.feature == 3).any()
    for node in inner:
        assert abs(gain(tree, node) - best_gain(X[rows[node]], targets[rows[node]], w[rows[node]], 2)) < 1e-12
    for leaf in np.flatnonzero(tree.feature < 0):
        if tree.impurity[leaf] > 1e-12 and tree.n_node_samples[leaf] >= 4:
            assert best_gain(X[rows[leaf]], targets[rows[leaf]], w[rows[leaf]], 2) == -np.inf


def test_gainless_cuts_are_made():
    "No single question helps with exclusive or, two do"
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    tree = DecisionTree().fit(X, y)
    assert (tree.predict(X) == y).all() and tree.tree_.node_count == 7


def test_weights_are_repetitions(table):
    "A weight of 3 is a row three times, of 0 no row"
    X, signal, _ = table
    y, w = classes(signal, 3), np.random.default_rng(0).integers(0, 4, 600)
    model = DecisionTree(max_depth=4)
    mine, again = model.fit(X, y, w).tree_, clone(model).fit(X.repeat(w, 0), y.repeat(w)).tree_
    np.testing.assert_array_equal(mine.threshold, again.threshold)
    np.testing.assert_allclose(mine.value, again.value, atol=1e-15)
    peer = DecisionTreeClassifier(max_depth=4, min_samples_leaf=12, random_state=0).fit(X, y, w)
    assert same_but_for_ties(DecisionTree(max_depth=4, min_samples_leaf=12).fit(X, y, w).tree_, peer.tree_) > 0.7


def test_close_values_and_large_targets():
    "Values within 1e-7 are one; neighbours in float32 are parted between them; targets far from zero keep their digits"
    near = np.array([[0.], [9e-8], [1.], [np.nextafter(np.float32(1), np.float32(2))]])
    y = np.array([0., 1., 2., 3.])
    tree, peer = DecisionTree().fit(near, y).tree_, DecisionTreeRegressor().fit(near, y).tree_
    assert_same(tree, peer)
    X = np.arange(40.)[:, None]
    steps = (X[:, 0] >= 11) + 2.*(X[:, 0] >= 31)
    low, high = DecisionTree().fit(X, steps).tree_, DecisionTree().fit(X, steps + 2.**40).tree_
    assert low.node_count == high.node_count == 5 and (low.threshold == high.threshold).all()


def test_missing_only_when_predicting(table):
    "A node that saw no missing value sends one to the side with more rows"
    X, signal, _ = table
    tree = DecisionTree(max_depth=1).fit(X, signal).tree_
    larger = tree.children_left[0] if tree.n_node_samples[1] > tree.n_node_samples[2] else tree.children_right[0]
    assert (tree.apply(np.full((1, 4), np.nan, np.float32)) == larger).all()


def test_columns_drawn(table):
    "Columns are drawn for each node, the same for the same seed, and one that can be cut is always found"
    X, signal, _ = table
    X = np.c_[np.zeros((600, 5)), X]
    trees = [DecisionTree(max_features=1, max_depth=4, random_state=s).fit(X, signal).tree_ for s in (0, 0, 1)]
    assert (trees[0].threshold == trees[1].threshold).all() and trees[0].node_count == 31
    assert len(trees[0].threshold) != len(trees[2].threshold) or (trees[0].threshold != trees[2].threshold).any()
    assert len(set(trees[0].feature) - {-2}) > 2


def test_convention(table):
    "Clones, settings, kinds of target, frames with their columns in another order"
    X, signal, weight = table
    model = DecisionTree(max_depth=3, min_samples_leaf=5, random_state=7)
    assert clone(model).get_params() == model.get_params() and clone(OneR(max_depth=2)).max_depth == 2
    assert model.set_params(max_depth=2).fit(X, signal) is model and model.tree_.max_depth == 2
    words = np.array(["no", "yes"])[classes(signal, 2)]
    model.fit(X, words)
    assert list(model.classes_) == ["no", "yes"] and set(model.predict(X)) == {"no", "yes"}
    assert not hasattr(model.fit(X, signal), "classes_")
    assert DecisionTree().fit(X, classes(signal, 2).astype(bool)).predict(X).dtype == bool
    assert DecisionTree("mse").fit(X, classes(signal, 2)).predict(X).dtype == float
    frame = pd.DataFrame(X, columns=list("abcd"))
    model.fit(frame, pd.Series(signal), pd.Series(weight))
    np.testing.assert_array_equal(model.predict(frame[["d", "b", "a", "c"]].assign(e="x")), model.predict(frame))


def test_one_rule(table):
    "It is the best of trees of one column"
    X, signal, _ = table
    for y in (signal, classes(signal, 2)):
        rule = OneR(max_depth=2).fit(X, y)
        alone = [DecisionTree(max_depth=2, min_samples_leaf=6).fit(X[:, [j]], y).predict(X[:, [j]]) for j in range(4)]
        errors = [np.square(a - y).mean() for a in alone]
        assert rule.column_ == np.argmin(errors) and np.isclose(np.square(rule.predict(X) - y).mean(), min(errors))


def test_nothing_to_ask(table):
    "Constant columns, all missing, one class, one row: a single leaf"
    X, signal, _ = table
    still = np.c_[np.ones(600), np.full(600, np.nan)]
    assert DecisionTree().fit(still, signal).tree_.node_count == 1
    assert np.allclose(DecisionTree().fit(still, signal).predict(still), signal.mean())
    one = DecisionTree().fit(X, ["a"]*600)
    assert one.tree_.node_count == 1 and (one.predict_proba(X) == 1).all() and set(one.predict(X)) == {"a"}
    assert DecisionTree().fit(X[:1], [3.]).predict(X[:2]).tolist() == [3, 3]


@pytest.mark.parametrize("model", [DecisionTree, OneR])
def test_bad_input(table, model):
    "Each is named"
    X, signal, _ = table
    for bad, words in ((X[:0], "rows and columns"), (X[:, :0], "rows and columns"), (X[0], "columns"),
                       (np.where(X > 2, np.inf, X), "infinite"), (pd.DataFrame(), "rows and columns")):
        with pytest.raises(ValueError, match=words): model().fit(bad, signal[:len(bad)])
    with pytest.raises(TypeError, match="'kind'"): model().fit(pd.DataFrame({"kind": ["a"]}), [1])
    for y, words in ((np.where(signal > 1, np.nan, signal), "missing"), (signal[1:], "y must be"),
                     (signal[:, None], "y must be"), (signal*np.inf, "infinite")):
        with pytest.raises(ValueError, match=words): model().fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"): model().fit(X, signal, -np.ones(600))
    with pytest.raises(NotFittedError): model().predict(X)
    with pytest.raises(ValueError, match="3 columns, the training had 4"): model().fit(X, signal).predict(X[:, :3])
