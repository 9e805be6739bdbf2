"Columns and questions of further kinds: what is missing, nested, doubled or of another type is read right or named"
import datetime
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from course_lib.collab import ALS, Ratings
from course_lib.collab.ids import column, factorize, numbers, seconds

S = [1577836800, 1577836801, 1577836802]
DATES = [datetime.datetime.fromtimestamp(s, datetime.timezone.utc) for s in S]


# Seen to fail: `column` without its masked branch; `filled(None)`, which fills with '?'
@pytest.mark.parametrize("read, said", [(lambda c: factorize(c, "user"), "user has missing ids .None in row 1"), (lambda c: numbers(c, "rating"), "rating in row 1"),
                                        (seconds, "time holds missing")])
@pytest.mark.parametrize("dtype", [int, float, np.uint8, object])
def test_a_masked_value_is_missing(read, said, dtype):
    with pytest.raises(ValueError, match=said): read(np.ma.array([1, 2, 3], dtype, mask=[0, 1, 0]))
    read(np.ma.array([1, 2, 3], dtype))


def test_tensors_in_a_list_are_their_values():
    codes, ids = factorize([torch.tensor(7), torch.tensor(7), torch.tensor(2)], "user")
    assert codes.tolist() == [1, 1, 0] and list(ids) == [2, 7]
    assert ids.code(torch.tensor(7)) == 1 and ids.codes([torch.tensor(2), 9]).tolist() == [0, -1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.uint8, torch.float64, torch.bool])
def test_tensors_of_every_type(dtype):
    values = torch.tensor([1, 0, 1], dtype=dtype)
    assert numbers(values, "rating").tolist() == [1, 0, 1] and column(values).tolist() == [1, 0, 1]


@pytest.mark.parametrize("times", [np.array([np.datetime64(s, "s") for s in S] + [None], object)[:3], np.array(S, object), [Decimal(s) for s in S], [Fraction(s) for s in S],
                                   DATES, [d.astimezone(datetime.timezone(datetime.timedelta(hours=9))) for d in DATES], torch.tensor(S)],
                         ids=["datetime64 objects", "whole objects", "Decimal", "Fraction", "aware", "other zone", "tensor"])
def test_times_of_every_kind_are_the_same_seconds(times): assert seconds(times).tolist() == S


def test_a_period_is_its_start():
    pd = pytest.importorskip("pandas")
    assert seconds(pd.period_range("2020-01", periods=2, freq="M")).tolist() == [1577836800, 1580515200]


@pytest.mark.parametrize("times", [["2020-01-01"]*3, [True, False, True], [1j]*3, [b"1"]*3, [S[0], "x", S[2]], [DATES[0], S[1], S[2]]])
def test_what_is_no_time_is_named(times):
    with pytest.raises(TypeError, match="time must be numbers .seconds. or dates"): seconds(np.fromiter(times, object, 3))


def fitted(): return ALS(1).fit(Ratings.from_df({"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1., 2., 3.]}))


def test_one_column_is_not_named_twice():
    with pytest.raises(ValueError, match="column 'user' is named for two things"): Ratings.from_df({"user": [1, 2], "rating": [1., 2.]}, item="user")


@pytest.mark.parametrize("ask", [lambda m: m.recommend([1], 1), lambda m: m.similar({1}, 1), lambda m: m.explain([1], 1), lambda m: m.predict([([1], 2)]), lambda m: m.fold_in([([1], 2.)])])
def test_what_cannot_be_an_id_is_named(ask):
    with pytest.raises(TypeError, match="an id must be hashable, got (list|set)"): ask(fitted())


def test_a_tensor_asks_for_its_value():
    m = fitted()
    assert m.recommend(torch.tensor(1), 1) == m.recommend(1, 1) and m.similar(torch.tensor(2), 1) == m.similar(2, 1)


@pytest.mark.parametrize("pairs", [np.array([1, 2]), [1, 2], ["ab"], [(1, 2, 3)], [()]])
def test_what_is_no_pair_is_named(pairs):
    with pytest.raises(ValueError, match="a pair holds a user id and an item id"): fitted().predict(pairs)


@pytest.mark.parametrize("pairs", [None, 5, 2.5])
def test_what_holds_no_pairs_is_named(pairs):
    with pytest.raises(TypeError, match="predict takes Ratings or"): fitted().predict(pairs)


@pytest.mark.parametrize("ratings, kind, said", [({1: None}, ValueError, "rating in row 0 is nan"), ({1: "5"}, TypeError, "rating must be numbers"), ([(1, 2, 3)], ValueError, "pairs or a dict"),
                                                 ((1, 5.), ValueError, "pairs or a dict"), ({1: float("inf")}, ValueError, "rating in row 0 is inf")])
def test_ratings_to_fold_in_are_read_as_all_ratings(ratings, kind, said):
    with pytest.raises(kind, match=said): fitted().fold_in(ratings)


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_reasons_are_counted_from_one(k):
    with pytest.raises(ValueError, match="k must be a whole number from 1"): fitted().explain(1, 1, k)


def test_a_sparse_matrix_of_one_dimension_and_missing_ids_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match="two dimensions"): Ratings.from_scipy(sparse.coo_array(np.array([1, 0, 2])))
    for gap in (None, float("nan")):
        with pytest.raises(ValueError, match="users holds missing ids"): Ratings.from_scipy(sparse.eye(2).tocsr(), users=["b", gap])


@pytest.mark.parametrize("values", [["b", "a", "b"], [3, 1, 3]])
def test_a_category_without_a_row_is_no_id(values):
    pd = pytest.importorskip("pandas")
    codes, ids = factorize(pd.Series(pd.Categorical(values, categories=[values[0], values[1], values[0]*9])), "user")
    assert list(ids) == sorted(set(values)) and [ids[c] for c in codes] == values


@pytest.mark.parametrize("user, kind", [({0: "b", 1: "a"}, "dict"), ({1, 2}, "set"), (frozenset((1, 2)), "frozenset"), ("ab", "str"), (b"ab", "bytes"), (3, "int")])
def test_what_is_no_column_is_named(user, kind):
    "What `df.to_dict()` gives is a dict of dicts, whose keys are no ids"
    with pytest.raises(TypeError, match=f"a column must be a sequence of values, .*got {kind}"): Ratings.from_df({"user": user, "item": [1, 2], "rating": [1., 2.]})
    with pytest.raises(TypeError, match="to_dict..list"): column(user)
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=f"got {kind}"): Ratings.from_scipy(sparse.eye(2).tocsr(), users=user)


@pytest.mark.parametrize("users", [torch.tensor([7, 5]), np.array([7, 5], np.int32), [np.int64(7), np.uint64(5)], [torch.tensor(7), torch.tensor(5)], range(7, 3, -2), {7: 0, 5: 0}.keys()])
def test_ids_of_a_matrix_are_plain(users):
    sparse = pytest.importorskip("scipy.sparse")
    r = Ratings.from_scipy(sparse.eye(2).tocsr(), users=users)
    assert list(r.users) == [7, 5] and {type(u) for u in r.users} == {int} and r.users.code(5) == 1
    assert ALS(1).fit(r).recommend(5, 1) and r.to_df().user.tolist() == [7, 5]


def test_ids_of_a_matrix_that_cannot_be_hashed_are_named():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"users must be hashable, got list: \[1\]"): Ratings.from_scipy(sparse.eye(2).tocsr(), users=[[1], [2]])


PARTS = ["", "a", "\0", "b", "é", "日", "a\0", "\U0001F600", "z"*9, "\ud800", "\uffff", "q"*8]


@pytest.mark.parametrize("shape", [lambda t, r: t, lambda t, r: "x"*40 + t, lambda t, r: t + "x"*r.randint(0, 60)], ids=["short", "same start", "long end"])
@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_texts_is_pythons(seed, shape):
    r = random.Random(seed)
    for n in range(1, 12):
        texts = [shape("".join(r.choice(PARTS) for _ in range(r.randint(0, 9))), r) for _ in range(n)]
        codes, ids = factorize(texts, "user")
        assert list(ids) == sorted(set(texts)) and [ids[c] for c in codes] == texts
