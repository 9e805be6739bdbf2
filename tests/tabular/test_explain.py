"What models say of their tables, against scikit-learn and what was planted."
import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, inspection, tree

from course_lib.tabular import DecisionTree, NotFittedError, RandomForest, contributions, partial_dependence
from course_lib.tabular import permutation_importance


@pytest.fixture(scope="module")
def table():
    "Four columns with missing values, numbers, classes"
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = X[:, 0] + X[:, 1]*X[:, 2] + rng.normal(0, 0.2, 300)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, y, np.array(["a", "b", "c"])[np.searchsorted([-0.5, 0.5], y)]


FORESTS = [DecisionTree(max_depth=4), RandomForest(5), DecisionTree(max_depth=0), RandomForest(3, max_depth=0)]
REGRESSORS = [tree.DecisionTreeRegressor(max_depth=5), ensemble.RandomForestRegressor(5, random_state=0),
              ensemble.ExtraTreesRegressor(5, random_state=0), ensemble.RandomForestRegressor(3, max_leaf_nodes=2)]
CLASSIFIERS = [tree.DecisionTreeClassifier(), ensemble.RandomForestClassifier(5, random_state=0)]


@pytest.mark.parametrize("model", [*FORESTS, *REGRESSORS], ids=str)
def test_contributions_of_numbers(table, model):
    "They sum to the prediction"
    X, y, _ = table
    bias, parts = contributions(model.fit(X, y), X)
    assert parts.shape == X.shape and np.ndim(bias) == 0
    np.testing.assert_allclose(bias + parts.sum(1), model.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", [*FORESTS, *CLASSIFIERS], ids=str)
def test_contributions_of_classes(table, model):
    "They sum to the probabilities"
    X, _, y = table
    bias, parts = contributions(model.fit(X, y), X)
    assert parts.shape == (*X.shape, 3)
    np.testing.assert_allclose(bias + parts.sum(1), model.predict_proba(X), rtol=0, atol=1e-12)


def test_contributions_equal_treeinterpreters(table):
    "Of shares; of numbers it stops with an error on today's numpy"
    peer = pytest.importorskip("treeinterpreter.treeinterpreter")
    X, _, words = table
    shallow = ensemble.RandomForestClassifier(3, max_depth=1), tree.DecisionTreeClassifier(min_samples_leaf=300)
    for model in (*CLASSIFIERS, *shallow):
        bias, parts = contributions(model.fit(X, words), X)
        _, theirs, their_parts = peer.predict(model, X)
        np.testing.assert_allclose(parts, their_parts, atol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(bias, theirs.shape), theirs, atol=1e-12)


def test_contributions_by_hand(table):
    "The changes of the mean along one row's way, each to the column that was asked"
    X, y, _ = table
    model = DecisionTree(max_depth=3).fit(X, y)
    nodes, row, by_hand, node = model.tree_, X[5].astype(np.float32), np.zeros(4), 0
    while nodes.feature[node] >= 0:
        x = row[nodes.feature[node]]
        left = nodes.missing_go_to_left[node] if np.isnan(x) else x <= nodes.threshold[node]
        following = (nodes.children_left if left else nodes.children_right)[node]
        by_hand[nodes.feature[node]] += nodes.value[following, 0, 0] - nodes.value[node, 0, 0]
        node = following
    np.testing.assert_allclose(contributions(model, X)[1][5], by_hand, atol=1e-12)


def test_contributions_of_frames(table):
    "Columns in another order are found by name, in both libraries' models"
    X, y, _ = table
    frame = pd.DataFrame(X, columns=list("abcd"))
    for model in (RandomForest(3).fit(frame, y), ensemble.RandomForestRegressor(3).fit(frame, y)):
        np.testing.assert_array_equal(contributions(model, frame[list("dbca")])[1], contributions(model, frame)[1])
        with pytest.raises(ValueError, match="'d'"): contributions(model, frame[list("abc")])


def test_other_models_are_refused(table):
    "Whatever does not predict the mean of its trees"
    X, y, _ = table
    for model in (ensemble.GradientBoostingRegressor(n_estimators=2), ensemble.AdaBoostRegressor(n_estimators=2)):
        with pytest.raises(TypeError, match="random forest"): contributions(model.fit(np.nan_to_num(X), y), X)
    for model in (DecisionTree(), ensemble.RandomForestRegressor()):
        with pytest.raises(NotFittedError): contributions(model, X)
    with pytest.raises(ValueError, match="several targets"):
        contributions(tree.DecisionTreeRegressor().fit(X, np.c_[y, y]), X)


def test_permutation_importance(table):
    "The planted columns matter, the idle one does not; both for arrays and frames, and as scikit-learn finds"
    X = np.nan_to_num(table[0])
    y = X[:, 0] + X[:, 1] + np.abs(X[:, 2])
    model = RandomForest(20, max_features=None).fit(X[:200], y[:200])
    falls = permutation_importance(model, X[200:], y[200:], n_repeats=10)
    peer = inspection.permutation_importance(
        ensemble.RandomForestRegressor(20, random_state=0).fit(X[:200], y[:200]), X[200:], y[200:], n_repeats=10)
    assert falls.shape == (4, 10) and falls[:3].mean(1).min() > 0.1 > 2*abs(falls[3].mean())
    np.testing.assert_allclose(falls.mean(1), peer.importances_mean, atol=0.2)
    frame = pd.DataFrame(X, columns=list("abcd"))
    again = permutation_importance(model.fit(frame[:200], y[:200]), frame[200:], y[200:], n_repeats=10)
    np.testing.assert_allclose(again, falls)
    calls = permutation_importance(model, frame[200:], y[200:], 2, score=lambda model, X, y: X["a"].iloc[0])
    assert (calls[1:] == 0).all()


def test_partial_dependence_equals_scikit_learn(table):
    "On the same model and grid, for numbers and for a class"
    X, y, words = table
    X = np.nan_to_num(X)
    for model, target, label in ((ensemble.RandomForestRegressor(5), y, None),
                                 (ensemble.RandomForestClassifier(5), words == "a", True)):
        model.fit(X, target)
        ours = partial_dependence(model, X, 1, label=label)
        peer = inspection.partial_dependence(model, X, [1], custom_values={1: ours.grid}, kind="both", method="brute")
        np.testing.assert_allclose(ours.mean, peer["average"][0], atol=1e-12)
        np.testing.assert_allclose(ours.ice, peer["individual"][0], atol=1e-12)


def test_partial_dependence_of_a_frame(table):
    "A column by its name; the frame stays as it was"
    X, _, words = table
    frame = pd.DataFrame(X, columns=list("abcd"))
    before = frame.copy()
    model = RandomForest(5).fit(frame, words)
    curve = partial_dependence(model, frame, "a", grid=[-1., 0., 1.], label="a")
    assert curve.mean[0] > curve.mean[2] and curve.ice.shape == (300, 3)
    np.testing.assert_array_equal(curve.ice[:, 1], model.predict_proba(frame.assign(a=0.))[:, 0])
    pd.testing.assert_frame_equal(frame, before)
