"""A table: what reads tables (rows) with the frames of other libraries (columns), and implicit's recommender on ours.

A client that is missing is skipped by name; `pip install 'course_lib[clients]'` brings them.
"""
import datetime
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.collab import ALS, ImplicitALS, Ratings, evaluate
from course_lib.distillation import kd_loss
from course_lib.losses import CrossEntropyLoss


def wanted(name):
    return pytest.importorskip(name, reason=f"{name} is missing: the extra 'clients' brings it")


# ------------------------------------------------------------------ frames: {column: list} to a frame of a client

def pandas(table): return wanted("pandas").DataFrame(table)
def pandas_nullable(table): return wanted("pandas").DataFrame(table).convert_dtypes()
def pandas_arrow(table): wanted("pyarrow"); return wanted("pandas").DataFrame(table).convert_dtypes(dtype_backend="pyarrow")
def pandas_filtered(table):
    "With rows taken out, whose index has holes and begins anywhere"
    made = wanted("pandas").DataFrame({name: [*values[:1], *values] for name, values in table.items()})
    return made.set_axis(range(100, 100 + len(made))).iloc[1:]
def pandas_category(table): return wanted("pandas").DataFrame(table).astype({"user": "category", "item": "category"})
def polars(table): return wanted("polars").DataFrame(table)
def polars_chunked(table):
    pl = wanted("polars")
    made = pl.DataFrame(table)
    return pl.concat([made[:2], made[2:]], rechunk=False)
def polars_category(table): pl = wanted("polars"); return pl.DataFrame(table).with_columns(pl.col("user").cast(pl.Categorical))
def polars_enum(table):
    pl = wanted("polars")
    return pl.DataFrame(table).with_columns(pl.col("user").cast(pl.Enum(sorted(filter(None, set(table["user"]))))))
def polars_narrow(table): pl = wanted("polars"); return pl.DataFrame(table).with_columns(pl.col("item").cast(pl.UInt8), pl.col("rating").cast(pl.Float32))
def arrow(table): return wanted("pyarrow").table(table)
def arrow_chunked(table):
    pa = wanted("pyarrow")
    made = pa.table(table)
    return pa.concat_tables([made.slice(0, 2), made.slice(2)])
def arrow_batch(table): return wanted("pyarrow").RecordBatch.from_pydict(table)
def arrow_dictionary(table):
    made = wanted("pyarrow").table(table)
    return made.set_column(0, "user", made["user"].dictionary_encode())
def arrow_decimal(table):
    pa = wanted("pyarrow")
    made = pa.table(table)
    return made.set_column(2, "rating", made["rating"].cast(pa.decimal128(5, 2)))
def structured(table): return np.array(list(zip(*table.values())), [(n, np.asarray(v).dtype) for n, v in table.items()])
def plain(table): return table


FRAMES = {f.__name__: f for f in (pandas, pandas_nullable, pandas_arrow, pandas_filtered, pandas_category, polars, polars_chunked, polars_category, polars_enum,
                                  polars_narrow, arrow, arrow_chunked, arrow_batch, arrow_dictionary, arrow_decimal, structured, plain)}
frames = pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
TABLE = {"user": ["b", "a", "b", "c"], "item": [3, 1, 2, 1], "rating": [1., 2., 3., 4.5]}


def known(r): return list(r.users), list(r.items), r.user.tolist(), r.item.tolist(), r.rating.tolist()


@frames
def test_ratings(make):
    r = Ratings.from_df(make(TABLE))
    assert known(r) == (["a", "b", "c"], [1, 2, 3], [1, 0, 1, 2], [2, 0, 1, 0], [1, 2, 3, 4.5])
    assert {type(u) for u in r.users} == {str} and {type(i) for i in r.items} == {int}


@frames
def test_clicks(make):
    twice = {name: [*values, values[0]] for name, values in TABLE.items()}
    assert sorted(zip(*known(Ratings.from_df(make(twice), rating=None))[2:])) == [(0, 0, 1.), (1, 1, 1.), (1, 2, 2.), (2, 0, 1.)]


@frames
def test_answers_come_back_under_the_ids_that_went_in(make):
    model = ALS(1).fit(Ratings.from_df(make(TABLE)))
    assert {i for i, _ in model.recommend("a", k=2)} == {2, 3}
    with pytest.raises(TypeError, match="from_df"): model.predict(make(TABLE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(model.predict([("b", 1), ("c", 3)])) == 2


@frames
def test_gaps_are_refused(make):
    if make is structured: pytest.skip("a structured array has no gap")
    gap = {**TABLE, "user": ["b", None, "b", "c"]}
    with pytest.raises(ValueError, match="user has missing ids"): Ratings.from_df(make(gap))
    gap = {**TABLE, "rating": [1., None, 3., 4.5]}
    with pytest.raises(ValueError, match="rating in row 1 is nan"): Ratings.from_df(make(gap))


DAYS = [datetime.datetime(2020, 1, 1 + d, 12, tzinfo=None) for d in (2, 0, 1, 3)]
SECONDS = [int(d.replace(tzinfo=datetime.timezone.utc).timestamp()) for d in DAYS]


def times(unit, zone, kind):
    if kind == "pandas":
        pd = wanted("pandas")
        at = pd.Series(DAYS).dt.as_unit(unit)
        return pd.DataFrame({**TABLE, "t": at.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo") if zone else at})
    if kind == "polars":
        pl = wanted("polars")
        if unit == "s": pytest.skip("polars has no seconds")
        at = pl.Series(DAYS).dt.cast_time_unit(unit)
        return pl.DataFrame({**TABLE, "t": at.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo") if zone else at})
    pa = wanted("pyarrow")
    return pa.table({**TABLE, "t": pa.array(DAYS, pa.timestamp(unit)).cast(pa.timestamp(unit, "Asia/Tokyo" if zone else None))})


@pytest.mark.parametrize("zone", [False, True], ids=["no zone", "zone"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_times_are_seconds(kind, unit, zone):
    assert Ratings.from_df(times(unit, zone, kind), time="t").time.tolist() == SECONDS


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "arrow32"])
def test_days_are_seconds(kind):
    days = [d.date() for d in DAYS]
    if kind == "pandas": frame = wanted("pandas").DataFrame({**TABLE, "t": days})
    elif kind == "polars": frame = wanted("polars").DataFrame({**TABLE, "t": days})
    else: frame = wanted("pyarrow").table({**TABLE, "t": wanted("pyarrow").array(days, wanted("pyarrow").date64() if kind == "pyarrow" else None)})
    assert Ratings.from_df(frame, time="t").time.tolist() == [s - 12*3600 for s in SECONDS]


def test_what_was_read_goes_back_to_any_frame():
    r = Ratings.from_df(TABLE)
    for make in (polars, arrow):
        back = r.to_df()
        again = wanted("polars").from_pandas(back) if make is polars else wanted("pyarrow").Table.from_pandas(back)
        assert known(Ratings.from_df(again)) == known(r)


# ------------------------------------------------------------------ tables of numbers, for trees

NUMBERS = {"a": [1., 2., 3., 4., 5., 6.], "b": [True, False, True, False, True, False], "c": [3, 1, 2, 6, 4, 5]}
NUMERIC = {f.__name__: f for f in (pandas, pandas_nullable, pandas_arrow, polars, polars_chunked, arrow, arrow_chunked, arrow_batch)}


@pytest.mark.parametrize("make", NUMERIC.values(), ids=NUMERIC)
def test_trees(make):
    "The same tree as of an array, found by names; and what explains it takes the same frame"
    from course_lib.tabular import RandomForest, contributions, partial_dependence, permutation_importance
    x, y = np.stack([np.asarray(v, np.float32) for v in NUMBERS.values()], 1), [0, 0, 0, 1, 1, 1]
    frame, turned = make(NUMBERS), make({name: NUMBERS[name] for name in reversed(NUMBERS)})
    want, got = RandomForest(n_estimators=3).fit(x, y), RandomForest(n_estimators=3).fit(frame, y)
    assert list(got.feature_names_in_) == list(NUMBERS)
    assert np.array_equal(got.predict_proba(frame), want.predict_proba(x)) and np.array_equal(got.predict_proba(turned), want.predict_proba(x))
    np.testing.assert_array_equal(contributions(got, turned)[1], contributions(want, x)[1])
    np.testing.assert_array_equal(permutation_importance(got, frame, y, n_repeats=2), permutation_importance(want, x, y, n_repeats=2))
    np.testing.assert_array_equal(partial_dependence(got, frame, "c").mean, partial_dependence(want, x, 2).mean)


@pytest.mark.parametrize("make", NUMERIC.values(), ids=NUMERIC)
def test_trees_see_gaps_and_refuse_words(make):
    from course_lib.tabular import as_table
    assert np.isnan(as_table(make({"a": [1., None], "n": [None, 3]}))).tolist() == [[False, True], [True, False]]
    with pytest.raises(TypeError, match="columns that do not: \\['w'\\]"): as_table(make({"a": [1., 2.], "w": ["x", "y"]}))


# ------------------------------------------------------------------ implicit

def bought():
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((40, 30)) < 0.2)
    return Ratings.from_df({"user": user, "item": item, "rating": rng.integers(1, 6, len(user))})


def theirs(ours, ratings):
    "implicit's model with our factors, and its matrix of confidences, 1 + alpha for what was chosen"
    wanted("implicit")
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    c = ours.config
    made = AlternatingLeastSquares(factors=c["n_factors"], regularization=c["regularization"], alpha=1., num_threads=1)
    made.user_factors, made.item_factors = ours.U.numpy(), ours.V.numpy()
    confidence = np.full(len(ratings), 1 + c["alpha"], np.float32)
    return made, csr_matrix((confidence, (ratings.user.numpy(), ratings.item.numpy())), (ratings.n_users, ratings.n_items))


def test_implicit_finds_the_same_factors_and_recommends_the_same():
    r = bought()
    ours = ImplicitALS(4, alpha=8., regularization=2.).fit(r)
    model, matrix = theirs(ours, r)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for user in (0, 7, 39):
            ids, scores = model.recommend(user, matrix[user], N=5)
            assert [i for i, _ in ours.recommend(user, 5)] == ids.tolist()
            torch.testing.assert_close(torch.tensor([s for _, s in ours.recommend(user, 5)]), torch.from_numpy(scores))
            items, values = (t.long() if k else t for k, t in zip((1, 0), (r.item[r.user == user], r.rating[r.user == user])))
            _, again = model.recommend(user, matrix[user], N=30, recalculate_user=True, filter_already_liked_items=False)
            folded = ours.fold(items, values, torch.ones(1, len(items)), torch.arange(r.n_items))[0]
            torch.testing.assert_close(folded.sort(descending=True).values, torch.from_numpy(again), atol=1e-4, rtol=1e-4)
        near, likeness = model.similar_items(3, N=4)
    assert [i for i, _ in ours.similar(3, 3)] == near.tolist()[1:]
    torch.testing.assert_close(torch.tensor([s for _, s in ours.similar(3, 3)]), torch.from_numpy(likeness[1:]))


def test_implicits_matrix_is_read_and_judged_as_implicit_judges():
    wanted("implicit")
    from implicit.evaluation import ranking_metrics_at_k
    train, test = bought().split(seed=1)
    ours = ImplicitALS(4).fit(train)
    model, matrix = theirs(ours, train)
    _, held_out = theirs(ours, test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = ranking_metrics_at_k(model, matrix, held_out, K=5, show_progress=False, num_threads=1)
    assert abs(evaluate(ours, test, k=5)["ndcg@5"] - want["ndcg"]) < 1e-6
    again = Ratings.from_scipy(matrix)
    assert (again.n_users, again.n_items) == (train.n_users, train.n_items) and len(again) == len(train)
    assert set(map(tuple, again.pairs.tolist())) == set(map(tuple, train.pairs.tolist()))


# ------------------------------------------------------------------ torch's own tracer

def batch(): return torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


def test_fx_traces_a_model_that_holds_the_loss():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.loss = nn.Linear(4, 3), CrossEntropyLoss(label_smoothing=0.1)
        def forward(self, x, y): return self.loss(self.body(x), y) + kd_loss(self.body(x), y, self.body(x).flip(1))
    model, (x, y) = Model(), batch()
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x, y), model(x, y))
