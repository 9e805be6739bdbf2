"Collaborative filtering: exact top-k with ties, ranking metrics against scikit-learn and by hand, evaluation protocols, saving and loading"
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from course_lib import foundations
from course_lib.collab import (ALS, EASE, BayesianMF, CollabNN, DotProduct, DotProductBias, ImplicitALS, MostRated, Ratings, Recommender, TimeResiduals,
                               coverage, evaluate, hit_rate, load, mae, ndcg, recall, rmse, save, top_k)
from course_lib.collab.metrics import _rank_sampled
from course_lib.collab.recommender import _on_host
from course_lib.collab.top import best_list


def table(n_users=40, n_items=30, share=0.4, seed=0, kind=int):
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((n_users, n_items)) < share)
    return Ratings.from_df({"user": [kind(x) for x in u], "item": i, "rating": rng.integers(1, 6, len(u)).astype(float), "time": rng.permutation(len(u))*1.}, time="time")


# top_k

def plainly(scores, k): return [sorted(range(len(s)), key=lambda j: (-s[j], j))[:k] for s in scores.tolist()]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 10**6))
def test_top_k_is_a_full_sort_whatever_the_ties(B, N, k, chunk, seed):
    g = torch.Generator().manual_seed(seed)
    q, v = torch.randint(-1, 2, (B, 2), generator=g).float(), torch.randint(-1, 2, (N, 2), generator=g).float()
    k = min(k, N)
    s, rows = top_k(q, v, k, chunk=chunk)
    assert rows.tolist() == plainly(q @ v.T, k) and s.equal((q @ v.T).gather(1, rows))


@pytest.mark.parametrize("kinds", [2, 7, 10**9])
def test_top_k_of_many_items(kinds):
    g = torch.Generator().manual_seed(0)
    v = torch.randint(0, kinds, (60_001, 1), generator=g).float()
    q = torch.tensor([[1.], [-1.], [0.]])
    out = [top_k(q, v, 10, chunk=c)[1].tolist() for c in (2**18, 25_000)]
    assert out[0] == out[1] == plainly(q @ v.T, 10)


def test_top_k_bias_exclusion_and_bad_k():
    q, v = torch.tensor([[1.], [1.]]), torch.tensor([[3.], [2.], [1.], [0.]])
    assert top_k(q, v, 2, bias=torch.tensor([0., 0, 5, 0]))[1].tolist() == [[2, 0], [2, 0]]
    assert top_k(q, v, 2, exclude=[torch.tensor([0]), torch.tensor([1, 3])], chunk=3)[1].tolist() == [[1, 2], [0, 2]]
    for k in (0, 5):
        with pytest.raises(ValueError, match="4 items"): top_k(q, v, k)


@pytest.mark.cuda
def test_top_k_on_the_gpu():
    g = torch.Generator().manual_seed(0)
    q, v = torch.randint(-2, 3, (5, 3), generator=g).float(), torch.randint(-2, 3, (70_000, 3), generator=g).float()
    assert top_k(q.cuda(), v.cuda(), 10)[1].cpu().equal(top_k(q, v, 10)[1])


def test_equal_scores_come_in_the_order_of_the_items():
    class Flat(Recommender):
        def fit(self, train): self.remember(train); return self
        def scores(self, users): return torch.ones(len(users), self.seen.n_items)
    m = Flat().fit(table())
    left = [i for i in range(30) if i not in set(m.seen.item[m.seen.user == 0].tolist())]
    assert [m.seen.items.code(i) for i, _ in m.recommend(0, len(left))] == left


# metrics

def test_metrics_by_hand():
    hits = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    n = torch.tensor([2, 1, 4])
    assert hit_rate(hits) == pytest.approx(2/3)
    assert recall(hits, n) == pytest.approx((1 + 0 + 1/4)/3)
    d = [1, 1/math.log2(3), 1/2]
    assert ndcg(hits, n) == pytest.approx(((d[0] + d[2])/(d[0] + d[1]) + 0 + d[1]/sum(d))/3)
    assert coverage(torch.tensor([[1, 2], [2, 5]]), 10) == 0.3
    predicted, actual = torch.tensor([1., 2.]), torch.tensor([2., 4.])
    assert rmse(predicted, actual).item() == pytest.approx(math.sqrt(2.5)) and mae(predicted, actual) == 1.5
    assert rmse is foundations.rmse and mae is foundations.mae  # one meaning a name


def test_ndcg_and_errors_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    g = torch.Generator().manual_seed(0)
    scores, relevant = torch.rand(20, 15, generator=g), torch.rand(20, 15, generator=g) < 0.3
    relevant[:, 0] = True
    for k in (1, 5, 15):
        hits = relevant.gather(1, scores.topk(k).indices)
        assert ndcg(hits, relevant.sum(1)) == pytest.approx(metrics.ndcg_score(relevant.numpy(), scores.numpy(), k=k))
    assert rmse(scores[0], scores[1]).item() == pytest.approx(metrics.root_mean_squared_error(scores[1], scores[0]))
    assert mae(scores[0], scores[1]).item() == pytest.approx(metrics.mean_absolute_error(scores[1], scores[0]))


class Known(Recommender):
    "Scores from a table"
    def __init__(self, scores): self.table = scores
    def fit(self, train): self.remember(train); return self
    def scores(self, users): return self.table[users]
    def predict_codes(self, users, items, want_std=False): return self.table[users, items], None


def test_full_ranking_by_hand():
    r = table()
    train, test = r.split(seed=2)
    scores = torch.rand(r.n_users, r.n_items, generator=torch.Generator().manual_seed(1)).round(decimals=1)  # with ties
    out = evaluate(Known(scores).fit(train), test, k=5)
    seen, want = set(map(tuple, train.pairs.tolist())), {}
    for u, i in test.pairs.tolist(): want.setdefault(u, set()).add(i)
    hit, rec, shown = [], [], set()
    for u, wanted in want.items():
        top = sorted((i for i in range(r.n_items) if (u, i) not in seen), key=lambda i: (-scores[u, i].item(), i))[:5]
        hit.append(bool(wanted & set(top))); rec.append(len(wanted & set(top))/len(wanted)); shown |= set(top)
    assert out["hit_rate@5"] == pytest.approx(np.mean(hit)) and out["recall@5"] == pytest.approx(np.mean(rec)) and out["coverage@5"] == len(shown)/r.n_items
    assert out["rmse"] == pytest.approx(
        rmse(scores[test.user.long(), test.item.long()].clamp(1, 5), test.rating).item(), rel=1e-5)


def test_sampled_ranking():
    r = table(60, 200, 0.1)
    train, test = r.split("leave_one_out")
    perfect = torch.zeros(r.n_users, r.n_items); perfect[test.user.long(), test.item.long()] = 1
    assert evaluate(Known(perfect).fit(train), test, negatives=99)["hit_rate@10"] == 1
    assert evaluate(Known(-perfect).fit(train), test, negatives=99)["hit_rate@10"] == 0
    seen = torch.zeros(r.n_users, r.n_items); seen[train.user.long(), train.item.long()] = 2
    assert evaluate(Known(perfect + seen).fit(train), test, negatives=99)["hit_rate@10"] == 1  # training items are never among the negatives
    flat = evaluate(Known(torch.ones(r.n_users, r.n_items)).fit(train), test, negatives=99)["hit_rate@10"]
    assert flat < 0.35  # a model that says nothing is not rewarded for ties
    some = Known(torch.rand(r.n_users, r.n_items, generator=torch.Generator().manual_seed(3))).fit(train)
    assert evaluate(some, test, negatives=99) == evaluate(some, test, negatives=99)
    draws = [_rank_sampled(some, test, 100, 99, seed) for seed in (0, 0, 1)]  # the place of every test item: two seeds may share a mean, not all places
    assert draws[0].equal(draws[1]) and not draws[0].equal(draws[2])
    with pytest.raises(ValueError, match="negatives"): evaluate(Known(perfect).fit(train), test, negatives=199)


def test_evaluate_refuses():
    train, test = table().split()
    m = ALS(2).fit(train)
    with pytest.raises(ValueError, match="share"): evaluate(m, table(41))
    with pytest.raises(ValueError, match="k must"): evaluate(m, test, k=31)
    with pytest.raises(ValueError, match="no test"): evaluate(m, test[:0])
    with pytest.raises(RuntimeError, match="fit"): evaluate(ALS(), test)


def test_ranking_models_beat_popularity_on_planted_tastes():
    rng = np.random.default_rng(0)
    group, theme = rng.integers(0, 4, 300), rng.integers(0, 4, 120)
    u, i = np.nonzero(rng.random((300, 120)) < np.where(group[:, None] == theme, 0.4, 0.05))
    train, test = Ratings.from_df({"user": u, "item": i, "rating": np.ones(len(u))}).split("leave_one_out", seed=1)
    popular = torch.bincount(train.item.long(), minlength=120).float().expand(300, 120)
    base = evaluate(Known(popular).fit(train), test)["hit_rate@10"]
    for m in (EASE(50.), ImplicitALS(8)): assert evaluate(m.fit(train), test)["hit_rate@10"] > 1.5*base


# save and load

def all_models(train):
    torch.manual_seed(0)
    return [DotProduct(3).fit(train, epochs=1), DotProductBias(3, (0, 6)).fit(train, epochs=1), CollabNN((4,), (0, 6)).fit(train, epochs=1), ALS(3).fit(train),
            BayesianMF(3, samples=6, burn=2).fit(train), TimeResiduals(ALS(2), (10.,)).fit(train), EASE(9.).fit(train), ImplicitALS(3).fit(train)]


@pytest.mark.parametrize("which", range(8), ids=["DotProduct", "DotProductBias", "CollabNN", "ALS", "BayesianMF", "TimeResiduals", "EASE", "ImplicitALS"])
def test_save_and_load(tmp_path, which):
    train, test = table(kind=str).split()
    m = all_models(train)[which]
    folder = save(m, tmp_path/"deep"/"model")
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    back = load(folder, train)
    assert type(back) is type(m) and back.predict(test).equal(m.predict(test)) and back.recommend("3", 5) == m.recommend("3", 5)
    assert back.similar(4, 3) == m.similar(4, 3) and back.explain("3", 4) == m.explain("3", 4) and back.fold_in({1: 2.}).scores.equal(m.fold_in({1: 2.}).scores)
    if which in (3, 4, 5): assert back.predict(test, True)[1].equal(m.predict(test, True)[1])


def test_load_says_what_does_not_fit(tmp_path):
    train = table()
    folder = save(DotProductBias(3).fit(train, epochs=1), tmp_path)
    with pytest.raises(ValueError, match="vocabulary of users: the file has 40, the ratings 41.*40"): load(folder, table(41, seed=0))
    other = table(); other.items.values = other.items.values + 1
    with pytest.raises(ValueError, match="vocabulary of items.*differ at 0"): load(folder, other)
    about, tensors = json.loads((folder/"model.json").read_text()), load_file(folder/"model.safetensors")
    write = lambda change: (folder/"model.json").write_text(json.dumps(about | change))
    write({"config": about["config"] | {"n_factors": 4}})
    with pytest.raises(ValueError, match="user_factors"): load(folder)
    write({"users": about["users"][:-1]})
    with pytest.raises(ValueError, match="39 users"): load(folder)
    write({"kind": "Surprise"})
    with pytest.raises(ValueError, match="Surprise"): load(folder)
    write({})
    save_file(tensors | {"net.item_bias.weight": torch.zeros(2, 1)}, folder/"model.safetensors")
    with pytest.raises(ValueError, match=r"net.item_bias.weight has shape \[2, 1\]"): load(folder)
    save_file({n: t for n, t in tensors.items() if "bias" not in n}, folder/"model.safetensors")
    with pytest.raises(ValueError, match="missing"): load(folder)


def test_ids_that_json_cannot_hold_are_refused(tmp_path):
    column = np.empty(2, object); column[:] = [(1, 2), (3, 4)]
    m = ALS(1).fit(Ratings.from_df({"user": column, "item": [1, 2], "rating": [1., 2.]}))
    with pytest.raises(TypeError, match="JSON"): save(m, tmp_path)


def test_import_needs_torch_alone():
    code = "import sys, course_lib.collab; print([m for m in ('fastai', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'safetensors', 'fastcore') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("N, k", [(1, 1), (7, 7), (500, 10), (2048, 1), (2050, 1), (6000, 2), (30_001, 3)])
@pytest.mark.parametrize("kinds", [2, 40, 10**9])
def test_the_list_of_one_user_is_a_full_sort_whatever_the_ties(N, k, kinds, dtype):
    scores = torch.randint(kinds, (N,), generator=torch.Generator().manual_seed(N)).to(dtype)
    plain = sorted(range(N), key=lambda j: (-scores[j].item(), j))[:k]
    assert best_list(_on_host(scores), k) == ([scores[j].item() for j in plain], plain)


def test_recommend_leaves_the_model_s_own_scores_alone():
    class Kept(Recommender):
        def fit(self, train):
            self.remember(train)
            self.kept = torch.arange(float(train.n_items))
            return self
        def scores(self, users): return self.kept.expand(len(users), -1)
    ratings = Ratings.from_df({"user": [1, 1, 2], "item": [5, 6, 7], "rating": [1., 2., 3.]})
    model = Kept().fit(ratings)
    assert model.recommend(1, 1) == [(7, 2.)] and model.recommend(2, 2) == [(6, 1.), (5, 0.)]
    assert model.recommend(1, 3, exclude_seen=False) == [(7, 2.), (6, 1.), (5, 0.)]
    assert model.kept.equal(torch.arange(3.))


def small(): return Ratings.from_df({"user": [1, 1, 2, 3], "item": [5, 6, 7, 5], "rating": [1., 2., 3., 4.]})


@pytest.mark.parametrize("k", [0, -1, 3, 2.0, "2", None, np.float64(1), float("nan")])
def test_k_is_a_whole_number_of_the_items_left(k):
    with pytest.raises(ValueError, match="k must be a whole number from 1 to the 2 items left"): ALS(1).fit(small()).recommend(2, k)
    if k != 2.0:
        with pytest.raises(ValueError, match="k must be a whole number from 1 to the 2 other items"): ALS(1).fit(small()).similar(5, k)


@pytest.mark.parametrize("k", [np.int64(2), np.uint8(2), np.int32(2)])
def test_k_may_be_numpys(k):
    model = ALS(1).fit(small())
    assert model.recommend(2, k) == model.recommend(2, 2) and model.similar(5, k) == model.similar(5, 2)


@pytest.mark.parametrize("user", [1, 2, 3, 9])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_most_rated_are_those_of_a_full_sort(user, exclude_seen):
    "By the short way of `MostRated` and of an unknown user, as by sorting the counts"
    ratings, counts = small(), {5: 2., 6: 1., 7: 1.}
    seen = {1: {5, 6}, 2: {7}, 3: {5}}.get(user, set()) if exclude_seen else set()
    want = sorted(((i, c) for i, c in counts.items() if i not in seen), key=lambda pair: (-pair[1], pair[0]))
    for model in (MostRated(), ALS(1)) if user == 9 else (MostRated(),):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert model.fit(ratings).recommend(user, len(want), exclude_seen) == want


def test_scores_that_are_not_numbers_are_refused():
    "A training that diverged leaves NaN, which no order knows"
    class Diverged(Recommender):
        def fit(self, train): self.remember(train); return self
        def scores(self, users): return torch.full((len(users), self.seen.n_items), float("nan"))
    with pytest.raises(ValueError, match="scores hold NaN"): Diverged().fit(small()).recommend(1, 1)
