"""What is no whole number, no number, no list, no model: every public function names the argument and what it got."""
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.tabular import (
    DecisionTree,
    OneR,
    PiecewiseLinearEncoding,
    RandomForest,
    TabularModel,
    TabularNet,
    TabularPrep,
    as_table,
    blend,
    date_parts,
    domain_classifier,
    embed_features,
    find_leaks,
    folds_ci,
    gini,
    mse,
    partial_dependence,
    permutation_importance,
    presort,
    quantile_edges,
    repeated_folds,
    score_of,
    time_split,
    tree_columns,
)

ROWS = 40
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"town": RNG.choice(list("abc"), ROWS), "age": RNG.normal(size=ROWS), "size": RNG.random(ROWS)})
X, Y = FRAME[["age", "size"]], RNG.integers(0, 2, ROWS)
TREE = DecisionTree(max_depth=2).fit(X, Y)
DATES = pd.date_range("2020-01-01", periods=ROWS)
NOT_WHOLE = 10.5, 10., "10", None, True, np.nan, -1, [5], np.array([5])
NOT_SEED = 10.5, "10", True, np.nan, -1
NOT_SHARE = 1.5, "0.5", None, True, np.nan, -1, [0.5]
NOT_LIST = 10.5, None, "ab"


def fitted(kind, name, value):
    X_of = FRAME if kind is TabularNet else X
    base = dict(cat_names=["town"], cont_names=["age"], n_epochs=1) if kind is TabularNet else {}
    return kind(**base | {name: value}).fit(X_of, Y)


def model(name, value): return TabularModel(**dict(sizes=[3], edges=[[0., 1.]], n_out=1) | {name: value})


def find(**settings): return find_leaks(FRAME, Y, ["town"], ["age"], **settings)


def shuffled(**settings): return permutation_importance(TREE, X, Y, **settings)


def drift(**settings): return domain_classifier(FRAME, FRAME, ["town"], ["age"], **{"n_estimators": 2} | settings)


# {argument: (call with that argument, values that are refused)}
REFUSED = {
    "n": (repeated_folds, NOT_WHOLE), "n_folds": (partial(repeated_folds, 20), NOT_WHOLE),
    "n_repeats": (partial(repeated_folds, 20), NOT_WHOLE), "seed": (partial(repeated_folds, 20), NOT_SEED),
    "n_folds ": (partial(folds_ci, [1., 2], [2., 1]), NOT_WHOLE),
    "level": (partial(folds_ci, [1., 2], [2., 1]), NOT_SHARE),
    "n_bins": (partial(quantile_edges, np.arange(99.)), NOT_WHOLE),
    "n_repeats ": (shuffled, NOT_WHOLE), "random_state": (shuffled, NOT_SEED),
    "n_points": (partial(partial_dependence, TREE, X, "age"), NOT_WHOLE),
    "threshold": (find, NOT_SHARE), "seed ": (find, NOT_SEED), "seed  ": (drift, NOT_SEED),
    "n_estimators": (drift, NOT_WHOLE), "valid_share": (partial(time_split, DATES), (*NOT_SHARE, 0, 1)),
    "min_count": (lambda min_count: TabularPrep(["town"], min_count=min_count).fit(FRAME), NOT_WHOLE),
    "batch_size": (partial(TabularPrep(["town"]).fit(FRAME).test_dl, FRAME), NOT_WHOLE)}
SETTINGS = [
    *((RandomForest, n, NOT_WHOLE) for n in ("n_estimators", "min_samples_split", "min_samples_leaf")),
    (RandomForest, "random_state", NOT_SEED), (RandomForest, "oob_score", ("yes", 1, None, np.nan)),
    (DecisionTree, "random_state", NOT_SEED), (OneR, "min_samples_leaf", NOT_WHOLE),
    *((TabularNet, n, NOT_WHOLE) for n in ("emb_size", "n_epochs", "batch_size", "n_bins", "min_count")),
    *((TabularNet, n, NOT_SHARE) for n in ("dropout", "unseen")), (TabularNet, "hidden", NOT_LIST),
    *((TabularNet, n, ("0.1", None, True, np.nan, np.inf, -1)) for n in ("lr", "weight_decay")),
    (TabularNet, "skip", ("yes", 1, None)), (TabularNet, "seed", NOT_WHOLE)]
LAYERS = [("n_out", NOT_WHOLE), ("emb_size", NOT_WHOLE), ("dropout", NOT_SHARE), ("unseen", NOT_SHARE),
          ("skip", ("yes", 1, None)), ("hidden", NOT_LIST), ("sizes", (*NOT_LIST, [2.5], ["a"])),
          ("edges", (*NOT_LIST, ["a"], [None]))]


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_of_no_sense_is_named(name):
    call, values = REFUSED[name]
    for value in values:
        with pytest.raises(ValueError, match=rf"^{name.strip()} must be"): call(**{name.strip(): value})


@pytest.mark.parametrize("kind, name, values", SETTINGS, ids=lambda p: getattr(p, "__name__", str(p))[:20])
def test_a_setting_of_no_sense_is_named(kind, name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} must be"): fitted(kind, name, value)


@pytest.mark.parametrize("name, values", LAYERS, ids=lambda p: str(p)[:10])
def test_layers_of_no_sense_are_named(name, values):
    words = {"sizes": "size", "hidden": "hidden", "edges": "edges"}.get(name, f"^{name} must be")
    for value in values:
        with pytest.raises(ValueError, match=words): model(name, value)


@pytest.mark.parametrize("call, word", [
    (blend, "predictions"), (lambda bad: blend([[1.], [2.]], bad), "weights"), (gini, "counts"), (mse, "targets"),
    (lambda bad: mse([1., 2], bad), "sample_weight"), (quantile_edges, "values"),
    (lambda bad: folds_ci(bad, [1., 2]), "runs"), (lambda bad: folds_ci([1., 2], bad), "baseline"),
    (PiecewiseLinearEncoding, "edges"), (presort, "X"), (as_table, "X"),
    (lambda bad: permutation_importance(TREE, bad, Y), "X"), (lambda bad: permutation_importance(TREE, X, bad), "y"),
    (lambda bad: score_of(TREE, X, bad), "y"), (lambda bad: partial_dependence(TREE, bad, "age"), "X"),
    (time_split, "dates")])
@pytest.mark.parametrize("bad", ["ab", 5, ["a"], [1, "a"], [[1, 2], [3]], {}], ids=str)
def test_what_holds_no_numbers_is_named(call, word, bad):
    if call is PiecewiseLinearEncoding and bad in ({}, [[1, 2], [3]]): pytest.skip("those are edges")
    with pytest.raises((ValueError, TypeError), match=word): call(bad)


@pytest.mark.parametrize("bad", [5, "ab", None, [], FRAME], ids=lambda p: type(p).__name__)
def test_what_is_no_model_is_told_apart_from_one_that_is_not_fitted(bad):
    for call in (partial(score_of, bad, X, Y), partial(permutation_importance, bad, X, Y),
                 partial(partial_dependence, bad, X, "age"), partial(embed_features, bad, FRAME),
                 partial(tree_columns, bad, FRAME)):
        with pytest.raises(TypeError, match="must be a"): call()


def test_names_dates_scores_and_tensors_of_another_kind():
    for score in (5, "r2", True):
        with pytest.raises(TypeError, match="score"): shuffled(score=score)
    for prefix in (5, None, ["a"]):
        with pytest.raises(TypeError, match="prefix"): date_parts(DATES, prefix)
    for dates in (None, X, np.zeros((2, 2)), [[1, 2], [3]], ["no date"], "no date"):
        with pytest.raises((TypeError, ValueError), match="dates"): date_parts(dates)
    for names in ([["town"]], [np.array(["town", "age"])], [{}]):
        with pytest.raises(TypeError, match="name of a column"): TabularPrep(names).fit(FRAME)
    for x in ([1.], 5, None):
        with pytest.raises(TypeError, match="tensor"): PiecewiseLinearEncoding([[0., 1]])(x)


def test_whole_numbers_and_seeds_of_numpy_pass():
    first, again = (repeated_folds(np.int64(8), np.int32(2), np.int8(1), seed) for seed in (np.int64(3), 3))
    assert all(np.array_equal(a, b) for one, other in zip(first, again) for a, b in zip(one, other))
    assert len(repeated_folds(8, 2, seed=np.random.default_rng(0))) == len(repeated_folds(8, 2, seed=None)) == 4
    assert fitted(RandomForest, "oob_score", np.bool_(True)).oob_score_ <= 1
    assert fitted(TabularNet, "skip", np.bool_(False)).model_.skip == np.bool_(False)
    assert model("dropout", np.float32(0.5))(torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1),
                                             torch.zeros(1, 1, dtype=torch.bool)).shape == (1, 1)
