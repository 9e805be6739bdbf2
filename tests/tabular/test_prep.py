"From frames to numbers: fastai's where fastai is right, and right where it is not."
import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.tabular import NotFittedError, TabularPrep, date_parts, time_split


def frame(rows=200, seed=0):
    "Two categories, one of them of whole numbers, and two columns of numbers, one of them with gaps"
    rng = np.random.default_rng(seed)
    df = pd.DataFrame({"town": rng.choice(["Ulm", "Bonn", "Kiel"], rows), "floor": rng.integers(0, 12, rows),
                       "age": rng.normal(40, 9, rows), "price": rng.gamma(2, 50, rows)})
    df.loc[rng.random(rows) < 0.1, "age"] = np.nan
    df.loc[rng.random(rows) < 0.1, "town"] = None
    return df


@pytest.fixture(scope="module")
def prep(): return TabularPrep(["town", "floor"], ["age", "price"]).fit(frame())


def same(one, other):
    "Equal in every part"
    for a, b in zip(one, other, strict=True): np.testing.assert_array_equal(a, b)


def test_equal_to_fastai(prep):
    "Codes, gaps and normalised numbers of training and later rows, where training had gaps and strings"
    tabular = pytest.importorskip("fastai.tabular.core")
    df, later = frame(), frame(50, seed=1)
    to = tabular.TabularPandas(df.copy(), [tabular.Categorify, tabular.FillMissing, tabular.Normalize],
                               ["town", "floor"], ["age", "price"], reduce_memory=False)
    new = to.new(later.copy())
    new.process()
    for theirs, source in ((to, df), (new, later)):
        ours = prep.transform(source)
        np.testing.assert_array_equal(theirs.items[["town", "floor"]].to_numpy(), ours.codes)
        np.testing.assert_array_equal(theirs.items["age_na"].to_numpy() - 1, ours.missing[:, 0])
        np.testing.assert_allclose(theirs.items[["age", "price"]].to_numpy(dtype=np.float64), ours.numbers, atol=1e-6)


@pytest.mark.parametrize("change", [
    lambda df: df[[*df.columns[::-1]]], lambda df: df.assign(more=1), lambda df: df.astype({"town": "category"}),
    lambda df: df.astype({"town": pd.CategoricalDtype(["Kiel", "Oslo", "Ulm", "Bonn"])}),
    lambda df: df.astype({"floor": str}), lambda df: df.astype({"floor": float}),
    lambda df: df.astype({"floor": "category"}), lambda df: df.astype({"floor": "Int8"}),
    lambda df: df.assign(age=df.age.map(str).where(df.age.notna())), lambda df: df.astype({"town": "string"}),
    lambda df: df.astype({"age": "Float64"}), lambda df: df.set_index(np.arange(len(df)) + 7),
], ids=["columns", "extra", "category", "other codes", "text", "float", "numbers as category", "nullable",
        "numbers as text", "string", "Float64", "index"])
def test_the_same_rows_in_another_guise(prep, change): same(prep.transform(change(frame())), prep.transform(frame()))


def test_each_row_alone(prep):
    "Rows in another order, and a single one"
    df, whole = frame(), prep.transform(frame())
    order = np.random.default_rng(3).permutation(len(df))
    same(prep.transform(df.iloc[order]), [part[order] for part in whole])
    same(prep.transform(df.iloc[[17]]), [part[[17]] for part in whole])


def test_what_training_had_not(prep):
    "A new town is code 0; a gap in a column without gaps holds the median and says so; nothing is learned from it"
    later = frame(3, seed=2).assign(town=["Oslo", "Ulm", None], price=[np.nan, 1., 2.])
    rows = prep.transform(later)
    assert rows.codes[:, 0].tolist() == [0, 3, 0] and rows.missing[:, 1].tolist() == [True, False, False]
    back = rows.numbers[0, 1]*(prep.std_["price"] + 1e-7) + prep.mean_["price"]
    assert back == pytest.approx(frame().price.median(), rel=1e-5)
    assert prep.vocab_["town"] == ["Bonn", "Kiel", "Ulm"]


@pytest.mark.parametrize("dtype", [object, pd.StringDtype("python")])
def test_texts_that_differ_in_trailing_zeros_are_two(dtype, monkeypatch):
    "pandas before 3.1 numbers them as one"
    def c_strings(values, *args, **kwargs): raise AssertionError("it lets a text end at its first zero character")
    monkeypatch.setattr(pd, "factorize", c_strings)
    table = pd.DataFrame({"town": pd.Series(["b", "a", "a\0", "a"], dtype=dtype)})
    prep = TabularPrep(["town"]).fit(table)
    assert prep.vocab_["town"] == ["a", "a\0", "b"] and prep.transform(table).codes[:, 0].tolist() == [3, 1, 2, 1]


def test_levels_keep_their_order():
    "Of an ordered category, those that training has; numbers by size; rare ones as if never seen"
    size = pd.Categorical(["S", "L", "S", "L", "M"], ["S", "M", "L", "XL"], ordered=True)
    df = pd.DataFrame({"size": size, "floor": [10, 9, 10, 9, 10]})
    assert TabularPrep(["size", "floor"]).fit(df).vocab_ == {"size": ["S", "M", "L"], "floor": ["9", "10"]}
    rare = TabularPrep(["size"], min_count=2).fit(df)
    assert rare.vocab_["size"] == ["S", "L"] and rare.transform(df).codes[:, 0].tolist() == [1, 2, 1, 2, 0]


def test_log():
    "log(1 + x): zero stays zero, missing stays missing"
    df = pd.DataFrame({"price": [0., np.e - 1, np.nan, np.e**3 - 1]})
    prep = TabularPrep([], ["price"], ["price"]).fit(df)
    rows = prep.transform(df)
    assert prep.median_["price"] == pytest.approx(1) and rows.missing[:, 0].tolist() == [False, False, True, False]
    np.testing.assert_allclose(rows.numbers[:, 0]*(prep.std_["price"] + 1e-7) + prep.mean_["price"], [0, 1, 1, 3],
                               atol=1e-6)


def test_constant_columns():
    "A column of one value is zeros"
    df = pd.DataFrame({"one": [3., 3., 3.], "kind": "a"})
    rows = TabularPrep(["kind"], ["one"]).fit(df).transform(df)
    assert rows.codes.tolist() == [[1]]*3 and not rows.numbers.any()


def test_test_dl(prep):
    "Batches of tensors, in order"
    batches = prep.test_dl(frame(), 64)
    assert [len(b.codes) for b in batches] == [64, 64, 64, 8] and batches[0].codes.dtype == torch.int64
    same([torch.cat(parts) for parts in zip(*batches)], [torch.from_numpy(p) for p in prep.transform(frame())])
    with pytest.raises(ValueError, match="batch_size"): prep.test_dl(frame(), 0)


@pytest.mark.parametrize("change, words", [
    (lambda df: df.drop(columns="town"), "town"), (lambda df: pd.concat([df, df[["age"]]], axis=1), "age"),
    (lambda df: df.assign(age=np.inf), "'age' is infinite"), (lambda df: df.assign(price="ten"), "'price'.*ten"),
    (lambda df: df.assign(age=np.nan), "'age' holds no value"), (lambda df: df.assign(town=None), "'town' holds no"),
    (lambda df: df[:0], "no rows"), (lambda df: df.assign(floor=[1, "1"]*100), "'floor'.*alike"),
    (lambda df: df.assign(price=-df.price), "'price' goes down to -"),
])
def test_bad_training_frames(change, words):
    "Named in the error"
    with pytest.raises(ValueError, match=words):
        TabularPrep(["town", "floor"], ["age", "price"], ["price"]).fit(change(frame()))


def test_bad_settings(prep):
    "Named in the error"
    df = frame()
    for bad, words in ((dict(), "empty"), (dict(cat_names=["town"], cont_names=["town"]), "twice"),
                       (dict(cat_names=["town"], log_names=["age"]), "log_names"),
                       (dict(cat_names=["town"], min_count=0), "min_count")):
        with pytest.raises(ValueError, match=words): TabularPrep(**bad).fit(df)
    with pytest.raises(TypeError, match="must be a list"): TabularPrep("town").fit(df)
    with pytest.raises(TypeError, match="frame of pandas"): prep.transform(df.to_numpy())
    with pytest.raises(TypeError, match="date_parts"):
        TabularPrep([], ["day"]).fit(df.assign(day=pd.Timestamp("2024-01-01")))
    with pytest.raises(NotFittedError): TabularPrep(["town"]).transform(df)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_date_parts(unit):
    "Whatever unit the dates are kept in"
    times = pd.Series(pd.to_datetime(["1970-01-01 00:01", "2024-02-29 12:00", None])).astype(f"datetime64[{unit}]")
    parts = date_parts(times, "d_")
    assert parts.d_elapsed.tolist()[:2] == [60, 1709208000] and parts.iloc[2].isna().all()
    assert parts.iloc[1, :5].tolist() == [2024, 2, 29, 3, 60]
    assert date_parts(times.dt.tz_localize("UTC")).elapsed.tolist()[:2] == [60, 1709208000]
    with pytest.raises(ValueError): date_parts(["no date"])


def test_time_split():
    "The latest rows, whole days together"
    days = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 40, 500), "D")
    before, after = time_split(days, 0.3)
    assert days[before].max() < days[after].min() and sorted([*before, *after]) == list(range(500))
    assert 0.3 <= len(after)/500 < 0.35
    for bad in ((days, 1.), (days.where(days > days[0]), 0.2), ([1, 1, 2, 2, 2], 0.9), ([], 0.2)):
        with pytest.raises(ValueError): time_split(*bad)
