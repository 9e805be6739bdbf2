"Scikit-learn's tools, frames of every kind, and what is refused: by name, with the mend."
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.tabular import (DecisionTree, OneR, RandomForest, TabularNet, TabularPrep, contributions, date_parts,
                                domain_classifier, embed_features, find_leaks, partial_dependence,
                                permutation_importance, redundancy_linkage, score_of, time_split, tree_columns)

ROWS = 90
NET = dict(cat_names=["town"], cont_names=["age", "size"], n_epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def frame():
    "A category, two numbers, a target of numbers and one of classes"
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"town": rng.choice(["Ulm", "Bonn"], ROWS), "age": rng.normal(size=ROWS),
                       "size": rng.gamma(2, 2, ROWS)})
    return df.assign(y=df.age + df["size"], kind=np.where(df.age > 0, "old", "new"))


def numbers(frame): return frame[["age", "size"]]


MODELS = [DecisionTree(max_depth=3), OneR(), RandomForest(5), TabularNet(**NET)]
name = lambda model: type(model).__name__  # noqa: E731


def table_for(model, frame): return frame if isinstance(model, TabularNet) else numbers(frame)


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_scikit_learns_tools(frame, model):
    "A search, folds, a pipeline and a copy by pickle take it; a score is theirs"
    X = table_for(model, frame)
    setting = {"RandomForest": "n_estimators", "TabularNet": "n_bins"}.get(name(model), "max_depth")
    search = GridSearchCV(model, {setting: [1, 4]}, cv=2).fit(X, frame.y)
    assert search.best_params_[setting] in (1, 4) and hasattr(search.best_estimator_, "predict")
    areas = cross_val_score(model, X, frame.kind, cv=2, scoring="roc_auc")
    assert areas.shape == (2,) and (areas > 0.5).all()
    fitted = clone(model).fit(X, frame.y)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))
    weight = np.arange(ROWS) % 3 + 1.
    assert fitted.score(X, frame.y, weight) == pytest.approx(r2_score(frame.y, fitted.predict(X), sample_weight=weight))
    told = clone(model).fit(X, frame.kind)
    assert told.score(X, frame.kind, weight) == pytest.approx(
        accuracy_score(frame.kind, told.predict(X), sample_weight=weight))
    assert is_regressor(fitted) and is_classifier(told) and not is_classifier(fitted)
    assert not is_regressor(model) and not is_classifier(model)  # before `fit`, unless its settings say so
    with pytest.raises(ValueError, match="no variance"): fitted.score(X, np.ones(ROWS))


def test_settings_say_the_kind():
    assert is_classifier(DecisionTree("gini")) and is_regressor(RandomForest(criterion="mse"))
    assert is_classifier(TabularNet(kind="classes")) and is_regressor(TabularNet(kind="numbers"))


def test_pipeline(frame):
    X = numbers(frame).to_numpy()
    pipe = make_pipeline(StandardScaler(), DecisionTree(max_depth=2)).fit(X, frame.y)
    assert pipe.score(X, frame.y) == pytest.approx(r2_score(frame.y, pipe.predict(X)))


def test_weights_of_the_network(frame):
    "Rows of weight 0 are not heard, neither by the loss nor by the scale of the target; heavy ones are heard more"
    weight = np.where(frame.age > 0, 1., 0.)
    spoiled = np.where(weight > 0, 3., 1e3)
    told = TabularNet(**NET).fit(frame, spoiled, weight).predict(frame[frame.age > 0])
    np.testing.assert_allclose(told, 3, atol=1e-6)
    heavy_new, heavy_old = (TabularNet(**NET).fit(frame, "kind", np.where(frame.kind == kind, 9., 1.))
                            .predict_proba(frame)[:, 0].mean() for kind in ("new", "old"))
    assert heavy_new > heavy_old + 0.01
    for bad, words in (([1.], "sample_weight"), ([-1.]*ROWS, "sample_weight"), (["a"]*ROWS, "must hold numbers")):
        with pytest.raises(ValueError, match=words): TabularNet(**NET).fit(frame, "y", bad)


GUISES = {
    "nullable": lambda df: df.astype({"age": "Float64", "size": "Float64", "town": "string"}),
    "unused levels": lambda df: df.astype({"town": pd.CategoricalDtype(["Bonn", "Ulm", "Zug"])}),
    "columns in another order, and more": lambda df: df.assign(more="x")[["more", *df.columns[::-1]]],
    "objects": lambda df: df.assign(town=df.town.astype(object)),
    "lists": lambda df: pd.DataFrame(df.to_dict("list")),
}


@pytest.mark.parametrize("guise", GUISES.values(), ids=[*GUISES])
def test_frames_in_other_guises(frame, guise):
    net = TabularNet(**NET).fit(frame, "y")
    np.testing.assert_array_equal(net.predict(guise(frame)), net.predict(frame))
    again = TabularNet(**NET).fit(guise(frame).drop(columns="y"), frame.y.to_list())
    np.testing.assert_allclose(again.predict(frame), net.predict(frame), atol=1e-5)


def test_frames_of_polars_and_arrow(frame):
    "Whatever takes a frame"
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    net, forest = TabularNet(**NET).fit(frame, "y"), RandomForest(3).fit(numbers(frame), frame.y)
    names = ["town"], ["age", "size"]
    for other in (pl.from_pandas(frame), pa.Table.from_pandas(frame), frame.convert_dtypes(dtype_backend="pyarrow")):
        np.testing.assert_array_equal(TabularNet(**NET).fit(other, "y").predict(other), net.predict(frame))
        np.testing.assert_array_equal(embed_features(net, other), embed_features(net, frame))
        np.testing.assert_array_equal(contributions(forest, other)[1], contributions(forest, frame)[1])
        pd.testing.assert_frame_equal(tree_columns(net.prep_, other), tree_columns(net.prep_, frame))
        assert find_leaks(other, frame.y, *names) == find_leaks(frame, frame.y, *names)
        assert domain_classifier(other, other, *names, 3) == domain_classifier(frame, frame, *names, 3)
    np.testing.assert_allclose(redundancy_linkage(pl.from_pandas(numbers(frame))), redundancy_linkage(numbers(frame)))
    with pytest.raises(TypeError, match="collect"): forest.predict(pl.from_pandas(frame).lazy())
    with pytest.raises(TypeError, match="collect"): TabularPrep(["town"]).fit(pl.from_pandas(frame).lazy())


def test_columns_called_like_methods(frame):
    odd = numbers(frame).rename(columns={"age": "collect", "size": "toarray"})
    assert DecisionTree(max_depth=1).fit(odd, frame.y).predict(odd).shape == (ROWS,)


NA = [1, None]*(ROWS//2)
TARGETS = [
    (lambda: pd.Series(NA, dtype="Int64"), ValueError, f"missing in {ROWS//2} rows, the first of them 1"),
    (lambda: pd.Series(NA, dtype="boolean"), ValueError, f"missing in {ROWS//2} rows"),
    (lambda: pd.Series(["a", None]*(ROWS//2), dtype="string"), ValueError, f"missing in {ROWS//2} rows"),
    (lambda: pd.Series(pd.Categorical(["a", None]*(ROWS//2))), ValueError, f"missing in {ROWS//2} rows"),
    (lambda: pd.Series([pd.Timestamp("2024"), pd.NaT]*(ROWS//2)), ValueError, "missing"),
    (lambda: [Decimal("1.5"), Decimal("NaN")]*(ROWS//2), ValueError, "missing"),
    (lambda: pd.Series(pd.Timestamp("2024"), range(ROWS)), TypeError, "date_parts"),
    (lambda: np.full(ROWS, 1j), TypeError, "complex"),
    (lambda: np.linspace(0, 1, ROWS).astype(object), TypeError, r"astype\(float\)"),
    (lambda: ["a", 1]*(ROWS//2), TypeError, "mixes text and other values, such as 'a' and 1"),
    (lambda: pd.DataFrame({"y": range(ROWS)}), ValueError, "y must be"),
    (lambda: None, ValueError, "y must be"),
    (lambda: np.r_[np.inf, np.zeros(ROWS - 1)], ValueError, "infinite"),
]


@pytest.mark.parametrize("model", MODELS, ids=name)
@pytest.mark.parametrize("target, error, words", TARGETS, ids=range(len(TARGETS)))
def test_targets_that_are_refused(frame, model, target, error, words):
    with pytest.raises(error, match=words): clone(model).fit(table_for(model, frame), target())


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_targets_that_are_taken(frame, model):
    "Nullable and Arrow types without gaps are the numbers and classes that they hold"
    X = table_for(model, frame)
    plain = clone(model).fit(X, frame.y)
    assert not hasattr(clone(model).fit(X, frame.y.astype("Float64")), "classes_")
    np.testing.assert_array_equal(clone(model).fit(X, frame.y.astype("Float64")).predict(X), plain.predict(X))
    for kind in (frame.kind.astype("string"), frame.kind.astype(pd.CategoricalDtype(["x", "old", "new"])),
                 frame.kind.to_list()):
        assert [*clone(model).fit(X, kind).classes_] == ["new", "old"]
    assert [*clone(model).fit(X, (frame.kind == "old").astype("boolean")).classes_] == [False, True]


TABLES = [
    (lambda df: df.assign(age="old"), TypeError, "'age'"),
    (lambda df: df.astype({"age": "category"}), TypeError, "'age'"),
    (lambda df: df.assign(age=pd.Timestamp("2024")), TypeError, "'age'"),
    (lambda df: df.astype({"age": complex}), TypeError, "'age'"), (lambda df: df.astype(object), TypeError, "'age'"),
    (lambda df: df.assign(size=np.inf), ValueError, "'size'"), (lambda df: df.assign(size=1e39), ValueError, "'size'"),
    (lambda df: pd.concat([df, df[["age"]]], axis=1), ValueError, "'age'"),
    (lambda df: df[[]], ValueError, "rows and columns"), (lambda df: df.iloc[:0], ValueError, "rows and columns"),
    (lambda df: df["age"], ValueError, "rows, columns"),
]


@pytest.mark.parametrize("change, error, words", TABLES, ids=range(len(TABLES)))
def test_tables_that_trees_refuse(frame, change, error, words):
    table = change(numbers(frame))
    for model in (DecisionTree(), OneR(), RandomForest(2)):
        with pytest.raises(error, match=words): model.fit(table, frame.y[:len(table)])
    with pytest.raises(TypeError, match="toarray"):
        from scipy.sparse import csr_array
        DecisionTree().fit(csr_array(numbers(frame).to_numpy()), frame.y)


COLUMNS = [
    (dict(age=[1e300]*ROWS), ValueError, "'age' is infinite, or too large"),
    (dict(age=pd.Series([10**400]*ROWS, dtype=object)), ValueError, "'age' must hold numbers"),
    (dict(age=[1j]*ROWS), TypeError, "'age' holds complex"), (dict(age=["x"]*ROWS), ValueError, "'age' must hold"),
    (dict(age=[[1]]*ROWS), ValueError, "'age' must hold"), (dict(age=pd.Timestamp("2024")), TypeError, "date_parts"),
    (dict(age=pd.array([None]*ROWS, dtype="Int64")), ValueError, "'age' holds no value"),
    (dict(town=[["Ulm"]]*ROWS), TypeError, "'town' holds what is no category"),
    (dict(town=pd.array([None]*ROWS, dtype="string")), ValueError, "'town' holds no value"),
    (dict(town=["1", 1]*(ROWS//2)), ValueError, "'town'.*read alike"), (dict(size=-1.), ValueError, "'size' goes down"),
]


@pytest.mark.parametrize("change, error, words", COLUMNS, ids=range(len(COLUMNS)))
def test_columns_that_a_preparation_refuses(frame, change, error, words):
    with pytest.raises(error, match=words): TabularPrep(["town"], ["age", "size"], ["size"]).fit(frame.assign(**change))
    if "no value" in words: return  # no fault in later rows
    prep = TabularPrep(["town"], ["age", "size"], ["size"]).fit(frame)
    with pytest.raises(error, match=words): prep.transform(frame.assign(**change))


@pytest.mark.parametrize("bad, error, words", [
    (dict(cat_names=None), TypeError, "cat_names must be a list"),
    (dict(log_names="age"), TypeError, "log_names must be"),
    (dict(min_count="2"), ValueError, "min_count"), (dict(n_epochs=1.5), ValueError, "n_epochs"),
    (dict(batch_size=2.5), ValueError, "batch_size"), (dict(hidden=64), ValueError, r"hidden.*\(128, 64\)"),
    (dict(hidden=(0,)), ValueError, "hidden"), (dict(lr="a"), ValueError, "lr"), (dict(lr=np.nan), ValueError, "lr"),
    (dict(weight_decay=-1), ValueError, "weight_decay"), (dict(seed=None), ValueError, "seed"),
    (dict(lr=1e9), ValueError, "lower rate"),
], ids=str)
def test_settings_that_a_network_refuses(frame, bad, error, words):
    with pytest.raises(error, match=words): TabularNet(**NET | bad).fit(frame, "y")


def test_dates():
    "Dates of every kind; numbers and text that would be read wrongly are refused"
    days = pd.Series(pd.to_datetime(["2024-02-01", "2023-12-24", "2024-03-09"]))
    for other in (days.dt.date, days.astype(str), days.astype("category"), days.dt.tz_localize("UTC")):
        pd.testing.assert_frame_equal(date_parts(other), date_parts(days))
    for bad in ([20240201], [1.5], [True], pd.array([1, None], dtype="Int64")):
        with pytest.raises(TypeError, match="to_datetime"): date_parts(bad)
    assert date_parts([None, None]).isna().all(axis=None)
    with pytest.raises(TypeError, match="text.*to_datetime"): time_split(["1/5/2012", "11/3/2011"]*5)
    for gaps in ([None, 1, 2], pd.Series([None, 1, 2], dtype="Int64"), [pd.NaT, *days]):
        with pytest.raises(ValueError, match="missing in 1 rows"): time_split(gaps)


def test_dates_of_arrow():
    pytest.importorskip("pyarrow")
    days = pd.Series(pd.to_datetime(["2024-02-01", "2023-12-24", "2024-03-09"]))
    for kind in ("timestamp[ns][pyarrow]", "date32[pyarrow]"):
        pd.testing.assert_frame_equal(date_parts(days.astype(kind)), date_parts(days))
    np.testing.assert_array_equal(time_split(days.astype("timestamp[ns][pyarrow]"), 0.4)[1], time_split(days, 0.4)[1])


def test_questions_that_make_no_sense(frame):
    "To a model and to a table"
    X, forest = numbers(frame), RandomForest(2).fit(numbers(frame), frame.y)
    net = TabularNet(**NET).fit(frame, "y")
    for bad, words in ((dict(grid=[]), "grid"), (dict(n_points=0), "n_points"), (dict(grid=[[1.]]), "grid")):
        with pytest.raises(ValueError, match=words): partial_dependence(forest, X, "age", **bad)
    with pytest.raises(ValueError, match="no rows"): partial_dependence(forest, X[:0], "age", grid=[1.])
    with pytest.raises(TypeError, match="'town' holds no numbers: pass grid"): partial_dependence(net, frame, "town")
    assert partial_dependence(net, frame, "town", grid=["Ulm", "Bonn"]).ice.shape == (ROWS, 2)
    for call in (score_of, permutation_importance):
        with pytest.raises(ValueError, match="missing"): call(forest, X, np.full(ROWS, np.nan))
    for bad in (frame.drop(columns="age"), pd.concat([frame, X], axis=1)):
        with pytest.raises(ValueError, match="'age'"): domain_classifier(frame, bad, ["town"], ["age"])
    with pytest.raises(TypeError, match="cat_names"): domain_classifier(frame, frame, "town")
    with pytest.raises(TypeError, match="frame"): domain_classifier(X.to_numpy(), X, ["town"])
    with pytest.raises(TypeError, match="'town'"): redundancy_linkage(frame)
    with pytest.raises(ValueError, match="rows"): redundancy_linkage(X[:0])
