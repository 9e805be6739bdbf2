"Ids, numbers and times of every kind: none changed or merged without a word; tables of every kind"
import datetime
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.collab import ALS, Ratings
from course_lib.collab.ids import Ids, _ends_at_zero, column, columns, factorize, numbers, seconds


def read(user, **more): return Ratings.from_df({"user": user, "item": list(range(len(user))), "rating": [1.]*len(user)} | more)


KEPT = {
    "uint64 far apart": np.array([2**63 + 5, 2**64 - 1, 3], dtype=np.uint64),
    "uint64 close together": np.array([2**63 + 7, 2**63 + 5, 2**63 + 6], dtype=np.uint64),
    "int64 at both ends": np.array([2**63 - 1, -2**63, 3]),
    "int8 at both ends": np.array([-128, 127, 3], dtype=np.int8),
    "uint8": np.array([255, 0, 3], dtype=np.uint8),
    "python ints above 2**64": [2**70, 2**71, 3],
    "python ints around 2**63": [2**63 + 1, 2**63, -1],
    "numpy scalars of two types": [np.uint64(2**63 + 1), np.int64(3), np.int64(-3)],
    "whole floats": [2., 1., 3.],
    "large floats": [1e20, 2e20, 3.],
    "floats above 2**53": [2.**53 + 2, 2.**53 + 4, 0.],
    "broken floats": [1.5, 1.25, 2.],
    "float32": np.array([1.5, 2.5, 3.5], dtype=np.float32),
    "int beside float": [2**53 + 1, 0.5, 2**53],
    "text and number alike": ["1", 1, 2],
    "bytes and text": [b"a", "a", "b"],
    "trailing zero characters": ["a", "a\0", "a\0\0"],
    "series with zero characters": pd.Series(["a", "a\0", "b"]),
    "object array of text": np.array(["a", "b\0", "b"], dtype=object),
    "texts of digits": ["01", "1", "1.0"],
    "tuples": [(1, 2), (0, 5), (1, 1)],
    "dates": np.array(["2020-01-01", "2020-01-02", "1970-01-01"], "datetime64[ns]"),
    "categories": pd.Series(["x", "y", "z"], dtype="category"),
    "nullable ints": pd.Series([3, 2**62 + 1, 2**62], dtype="Int64"),
    "tensor": torch.tensor([5, -5, 7]),
    "bools": [True, False, 2],
}


@pytest.mark.parametrize("ids", KEPT.values(), ids=KEPT)
def test_ids_are_neither_changed_nor_merged(ids):
    given = [v.item() if isinstance(v, torch.Tensor) else v for v in ids]
    r = read(ids)
    assert len(r.users) == len(given)
    for row, value in enumerate(given):
        assert r.users[int(r.user[row])] == value and r.users.code(value) == int(r.user[row])


def test_texts_with_zeros_are_kept_apart_whatever_pandas_makes_of_them(monkeypatch):
    "pandas before 3.1 lets each text of a column without gaps end at its first zero character"
    real, c_strings = pd.factorize, lambda values: pd.Series(values, dtype=object).map(lambda v: v.split("\0")[0])
    monkeypatch.setattr(pd, "factorize", lambda values: real(c_strings(values)))
    _ends_at_zero.cache_clear()
    try:
        for ids in (["a", "a\0", "a\0\0"], pd.Series(["a\0", "b", "a", "a\0"], dtype=pd.StringDtype("python"))):
            codes, found = factorize(ids, "user")
            assert list(found) == sorted(set(ids)) and [found[c] for c in codes] == list(ids)
        assert factorize(["b", "a", "b"], "user")[0].tolist() == [1, 0, 1]
    finally: _ends_at_zero.cache_clear()


MISSING = {"nan": [1., float("nan"), 2.], "nan among text": ["a", float("nan"), "b"], "None": ["a", None, "b"], "None among ints": [1, None, 2],
           "pandas NA in text": pd.array(["a", None, "b"], dtype="string"), "pandas NA in ints": pd.array([1, None, 2], dtype="Int64"),
           "series of text": pd.Series(["a", None, "b"]), "object series": pd.Series(["a", pd.NA, "b"], dtype=object),
           "NaT": np.array(["2020-01-01", "NaT", "2020-01-02"], "datetime64[s]"), "category": pd.Series(["a", None, "b"], dtype="category"), "nat object": [pd.NaT, 1, 2]}


@pytest.mark.parametrize("ids", MISSING.values(), ids=MISSING)
def test_missing_ids_are_refused(ids):
    with pytest.raises(ValueError, match="user has missing ids"): read(ids)


def test_missing_ratings_and_times_of_every_kind_are_refused():
    for gap in (None, float("nan"), pd.NA):
        with pytest.raises(ValueError, match="rating in row 1 is nan"): read(["a", "b", "c"], rating=[1, gap, 3])
        with pytest.raises(ValueError, match="time holds missing"): Ratings.from_df({"user": [1, 2], "item": [1, 2], "rating": [1., 2], "t": [5., gap]}, time="t")
    with pytest.raises(ValueError, match="rating in row 2"): read(["a", "b", "c"], rating=pd.array([1, 2, None], dtype="Int64"))
    for odd in (["4", "5", "3"], np.array(["4", "5", "3"]), pd.Series(["4", "5", "3"]), np.array(["2020", "2021", "2022"], "datetime64[Y]"), [1j, 2, 3]):
        with pytest.raises(TypeError, match="rating must be numbers"): read(["a", "b", "c"], rating=odd)


def test_text_is_numbered_alike_with_and_without_pandas(monkeypatch):
    names = np.random.default_rng(0).choice([f"u{k}" for k in range(50)] + ["ü", "", "u1\0"], 400).astype(object)
    a, ids = factorize(names, "user")
    monkeypatch.delitem(sys.modules, "pandas")
    b, again = factorize(names, "user")
    assert np.array_equal(a, b) and ids == again and list(ids) == sorted(set(names)) and [ids[k] for k in a] == names.tolist()


def test_known_ids_are_found_by_any_spelling_of_their_type():
    ids = Ids(np.array([7, 3, 10**12]))
    assert ids.codes(np.array([3, 7, 4, 10**12])).tolist() == [1, 0, -1, 2] and ids.codes([3., "3", 7]).tolist() == [1, -1, 0]
    assert Ids(np.array([], dtype=np.int64)).codes(np.array([1])).tolist() == [-1] and len(Ids([]).codes([])) == 0


@pytest.mark.parametrize("when", [
    np.array([100, 200, 50], "datetime64[s]"), np.array([100, 200, 50], "datetime64[s]").astype("datetime64[ns]"), pd.to_datetime([100, 200, 50], unit="s"),
    pd.Series(pd.to_datetime([100, 200, 50], unit="s", utc=True)), [datetime.datetime(1970, 1, 1, 0, 1, 40), datetime.datetime(1970, 1, 1, 0, 3, 20), datetime.datetime(1970, 1, 1, 0, 0, 50)],
    pd.Series(pd.to_datetime([100, 200, 50], unit="s", utc=True).tz_convert("Asia/Tokyo")), [100, 200, 50], np.array([100., 200, 50], np.float32), torch.tensor([100, 200, 50]),
    np.array([100, 200, 50], "timedelta64[s]")], ids=lambda w: f"{type(w).__name__} {getattr(w, 'dtype', '')}")
def test_times_are_seconds(when):
    r = Ratings.from_df({"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1., 2, 3], "t": when}, time="t")
    assert r.time.tolist() == [100, 200, 50] and r.time.dtype == torch.float64


@pytest.mark.parametrize("factor, unit", [(10**3, "milliseconds, divide by 1000"), (10**6, "microseconds, divide by 1e6"), (10**9, "nanoseconds, divide by 1e9")])
def test_times_in_other_units_are_refused(factor, unit):
    with pytest.raises(ValueError, match=unit): seconds(np.array([964_982_703, 974_982_703])*factor)
    assert seconds([964_982_703, 4_000_000_000]).tolist() == [964_982_703, 4_000_000_000]


def test_times_that_are_text_are_refused():
    with pytest.raises(TypeError, match="seconds. or dates"): seconds(["2020-01-01"])


def test_columns_of_a_table_fit_together():
    whole = {"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1., 2, 3], "t": [1, 2, 3]}
    for name in whole:
        with pytest.raises(ValueError, match=f"equally long.*'{name}': 1"): Ratings.from_df(whole | {name: whole[name][:1]}, time="t")
    for name in ("user", "item", "rating"):
        doubled = pd.DataFrame([[1, 2, 3., 5]], columns=["user", "item", "rating", name])
        with pytest.raises(ValueError, match=f"2 columns are called '{name}'"): Ratings.from_df(doubled)
    for odd in ([1, 2], 5, "user", None):
        with pytest.raises(TypeError, match="a table is wanted"): Ratings.from_df(odd)
    with pytest.raises(ValueError, match="one dimension"): Ratings.from_df(whole | {"user": np.ones((3, 2))})
    records = np.array([(1, 5, 4.), (2, 5, 3.)], dtype=[("user", int), ("item", int), ("rating", float)])
    assert Ratings.from_df(records).rating.tolist() == [4, 3]
    assert Ratings.from_df({k: iter(v) for k, v in whole.items()}).rating.tolist() == [1, 2, 3]


class Arrow:
    "What an Arrow table looks like from outside: `column_names`, columns by name, `columns` that are no names"
    def __init__(self, **data): self.data, self.column_names, self.columns = data, list(data), list(data.values())
    def __getitem__(self, name): return self.data[name]


def test_arrow_like_tables_are_read():
    assert Ratings.from_df(Arrow(user=np.array([1, 2]), item=np.array([3, 4]), rating=np.array([1., 2]))).rating.tolist() == [1, 2]


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_tables_of_other_libraries(library):
    made = pytest.importorskip(library)
    data = {"user": ["b", "a\0", "a"], "item": [2**62 + 1, 2**62, 5], "rating": [1., 2., 3.], "t": [3, 2, 1]}
    table = made.table(data) if library == "pyarrow" else made.DataFrame(data)
    r = Ratings.from_df(table, time="t")
    assert list(r.users) == ["a", "a\0", "b"] and [r.items[i] for i in r.item.tolist()] == data["item"] and r.time.tolist() == [3, 2, 1]
    gap = data | {"user": ["a", None, "b"]}
    with pytest.raises(ValueError, match="missing ids"): Ratings.from_df(made.table(gap) if library == "pyarrow" else made.DataFrame(gap))
    gap = data | {"item": [1, None, 2]}
    with pytest.raises(ValueError, match="missing ids"): Ratings.from_df(made.table(gap) if library == "pyarrow" else made.DataFrame(gap))


def test_predict_takes_pairs_and_ratings_and_refuses_tables_and_text():
    train = Ratings.from_df({"uu": ["ab", "ab", "cd", "cd"], "ii": ["x1", "x2", "x1", "x3"], "rating": [1., 2, 3, 4]}, "uu", "ii")
    frame = pd.DataFrame({"uu": ["ab", "cd", "cd"], "ii": ["x1", "x2", "x3"]})
    m = ALS(2).fit(train)
    want = m.predict(list(zip(frame.uu, frame.ii)))
    assert m.predict(frame.values).equal(want) and m.predict(iter(zip(frame.uu, frame.ii))).equal(want) and m.predict([["ab", "x1"]]).equal(want[:1])
    for table in (frame, dict(frame), frame.to_numpy().tolist()[0], "ab", Arrow(uu=[1], ii=[2])):
        with pytest.raises((TypeError, ValueError), match="data frame|a pair holds"): m.predict(table)
    with pytest.raises(ValueError, match="a pair holds a user id and an item id"): m.predict([("ab", "x1", 3)])


def test_no_pairs_give_no_predictions():
    train = Ratings.from_df({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1., 2, 3]})
    for m in (ALS(2).fit(train),):
        assert m.predict([]).shape == (0,) and m.predict(np.empty((0, 2))).shape == (0,) and m.predict(train[:0]).shape == (0,)
        mean, std = m.predict([], return_std=True)
        assert mean.shape == std.shape == (0,)


# what clients look for

def test_a_sparse_matrix_is_read_with_its_empty_rows():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 5, 0], [0, 0, 0], [2, 0, 1]], float)
    for kind in (sparse.csr_array, sparse.coo_array, sparse.csc_matrix, sparse.lil_array):
        r = Ratings.from_scipy(kind(dense))
        out = torch.zeros(3, 3); out[r.user.long(), r.item.long()] = r.rating
        assert np.array_equal(out, dense) and r.n_users == r.n_items == 3 and list(r.users) == [0, 1, 2]
    named = Ratings.from_scipy(sparse.csr_array(dense), users=["ann", "bob", "cleo"], items=[7, 8, 2**64])
    assert named.users.code("cleo") == 2 and list(named.items) == [7, 8, 2**64]
    with pytest.raises(ValueError, match="users must be 3 different ids, got 2"): Ratings.from_scipy(sparse.csr_array(dense), users=["a", "b"])
    with pytest.raises(ValueError, match="different"): Ratings.from_scipy(sparse.csr_array(dense), items=["a", "b", "a"])
    with pytest.raises(TypeError, match="sparse"): Ratings.from_scipy(dense)
    with pytest.raises(ValueError, match="more than once"): Ratings.from_scipy(sparse.coo_array(([1., 2.], ([0, 0], [1, 1])), shape=(2, 2)))
    assert len(Ratings.from_scipy(sparse.csr_array(([0., 3.], ([0, 1], [0, 1])), shape=(2, 2)))) == 2  # a stored zero is a rating


def test_to_df_is_the_way_back():
    frame = pd.DataFrame({"user": ["b", "a", "b"], "item": [2**63 + 1, 5, 7], "rating": [1., 2., 3.], "time": [3., 1., 2.]})
    r = Ratings.from_df(frame.assign(item=frame.item.astype("uint64")), time="time")
    back = r.to_df()
    assert list(back.columns) == ["user", "item", "rating", "time"] and back.values.tolist() == frame.values.tolist()
    again = Ratings.from_df(back, time="time")
    assert again.pairs.equal(r.pairs) and again.users == r.users and "time" not in Ratings.from_df(frame).to_df()
    tuples = Ratings.from_df({"user": [(1, 2), (0, 1)], "item": [1, 2], "rating": [1., 2]}).to_df()
    assert tuples.user.tolist() == [(1, 2), (0, 1)] and len(r[:0].to_df()) == 0


def test_clicks_are_counted():
    clicks = pd.DataFrame({"user": ["b", "a", "b", "b"], "item": [1, 1, 2, 1], "t": [5, 6, 7, 9]})
    r = Ratings.from_df(clicks, rating=None, time="t")
    assert {(u, i): (n, t) for u, i, n, t in r.to_df().values.tolist()} == {("a", 1): (1, 6), ("b", 1): (2, 9), ("b", 2): (1, 7)}
    with pytest.raises(ValueError, match="missing ids"): Ratings.from_df({"user": ["a", None], "item": [1, 2]}, rating=None)
    with pytest.raises(ValueError, match="no ratings"): Ratings.from_df({"user": [], "item": []}, rating=None)


def test_helpers_by_hand():
    assert column(["1", 1]).dtype == object and numbers([True, 2, 3.5], "x").tolist() == [1, 2, 3.5]
    assert [c if c is None else list(c) for c in columns({"a": [1], "b": [2]}, ["b", None])] == [[2], None]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary", "chunked", "polars", "pandas"])
def test_text_in_arrow_s_layout_is_numbered_as_any_other(kind):
    pa = pytest.importorskip("pyarrow")
    words = ["b", "a\0", "é", "a", "b", "", "a", "😀", "\uffff"]
    if kind == "polars": given = pytest.importorskip("polars").Series(words)
    elif kind == "pandas": given = pd.Series(words, dtype=pd.StringDtype("pyarrow"))
    elif kind == "chunked": given = pa.chunked_array([words[:3], [], words[3:]])
    elif kind == "dictionary": given = pa.array(words).dictionary_encode()
    else: given = pa.array(words, getattr(pa, kind)())
    codes, ids = factorize(given, "user")
    plain_codes, plain = factorize(list(words), "user")
    assert list(ids) == list(plain) == sorted(set(words)) and codes.tolist() == plain_codes.tolist() and codes.dtype == np.int32
