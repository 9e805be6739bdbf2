"Collaborative filtering: reading and splitting ratings, the models against formulas, recommending, saving, and bad input"
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from course_lib.collab import (ALS, EASE, BayesianMF, CollabNN, DotProduct, DotProductBias, Embedding, ImplicitALS, Ratings, TimeResiduals,
                               emb_sz_rule, evaluate, fit, rmse)
from course_lib.collab.bayes import _Draws
from course_lib.collab.normal import blocks, padded


def planted(n_users=120, n_items=80, share=0.5, k=3, noise=0.5, seed=0):
    "A data frame of ratings with known parts: (frame, truth)"
    rng = np.random.default_rng(seed)
    bu, bi = rng.normal(0, 0.4, n_users), rng.normal(0, 0.6, n_items)
    p, q = rng.normal(0, 0.6, (n_users, k)), rng.normal(0, 1, (n_items, k))
    u, i = np.nonzero(rng.random((n_users, n_items)) < share)
    clean = 3.5 + bu[u] + bi[i] + (p[u]*q[i]).sum(1)
    frame = pd.DataFrame({"user": u + 10, "item": [f"film {j:03d}" for j in i], "rating": clean + rng.normal(0, noise, len(u)),
                          "time": rng.permutation(len(u)).astype(float)})
    return frame, {"item_bias": bi, "clean": clean, "noise": noise}


@pytest.fixture(scope="module")
def frame(): return planted()[0]


@pytest.fixture(scope="module")
def ratings(frame): return Ratings.from_df(frame, time="time")


@pytest.fixture(scope="module")
def halves(ratings): return ratings.split(seed=3)


def models(train):
    "One small fitted model of each kind"
    torch.manual_seed(0)
    return [DotProduct(4).fit(train, epochs=2), DotProductBias(4, (-3, 10)).fit(train, epochs=3), CollabNN((8,)).fit(train, epochs=2),
            ALS(4).fit(train), BayesianMF(4, samples=12, burn=4).fit(train), TimeResiduals(BayesianMF(4, samples=8, burn=4)).fit(train), EASE(20).fit(train), ImplicitALS(4).fit(train)]


@pytest.fixture(scope="module")
def fitted(halves): return {type(m).__name__: m for m in models(halves[0])}


# Ratings

def test_from_df_round_trip(frame, ratings):
    assert [ratings.users[u] for u in ratings.user.tolist()] == frame.user.tolist()
    assert [ratings.items[i] for i in ratings.item.tolist()] == frame.item.tolist()
    assert np.allclose(ratings.rating, frame.rating) and np.array_equal(ratings.time, frame.time)
    assert list(ratings.users) == sorted(set(frame.user)) and list(ratings.items) == sorted(set(frame.item))


@pytest.mark.parametrize("ids", [["b", "a", "c"], [(1, 2), (0, 5), (9, 9)], [7, 10**15, -3], [1.0, 3.0, 2.0], [frozenset({1}), "x", 3]], ids=str)
def test_ids_of_any_hashable_kind(ids):
    r = Ratings.from_df({"user": ids, "item": [1, 2, 1], "rating": [1., 2, 3]})
    assert [r.users[u] for u in r.user.tolist()] == ids
    assert all(r.users.code(v) == c for v, c in zip(ids, r.user.tolist())) and r.users.code("nobody") == -1


def test_wide_integer_ids_agree_with_narrow_ones():
    u = np.random.default_rng(0).permutation(500)
    a = Ratings.from_df({"user": u, "item": u, "rating": u*1.})
    b = Ratings.from_df({"user": u*10**9 - 7, "item": u.astype(str), "rating": u*1.})
    assert a.user.equal(b.user) and [v*10**9 - 7 for v in a.users] == list(b.users)


def test_splits(ratings):
    train, test = ratings.split(test=0.25, seed=1)
    assert len(test) == round(len(ratings)/4) and len(train) + len(test) == len(ratings)
    key = lambda r: set(map(tuple, r.pairs.tolist()))
    assert not key(train) & key(test) and key(train) | key(test) == key(ratings)
    assert ratings.split(test=0.25, seed=1)[1].pairs.equal(test.pairs) and not ratings.split(test=0.25, seed=2)[1].pairs.equal(test.pairs)
    past, future = ratings.split("time", test=0.1)
    assert past.time.max() < future.time.min()
    rest, last = ratings.split("leave_one_out")
    latest = pd.DataFrame({"u": ratings.user, "t": ratings.time}).groupby("u").t.max()
    assert dict(zip(last.user.tolist(), last.time.tolist())) == latest.to_dict() and len(last) == ratings.n_users
    tests = [key(t) for _, t in ratings.folds(5)]
    assert set.union(*tests) == key(ratings) and sum(map(len, tests)) == len(ratings)
    assert all(not key(a) & key(b) for a, b in ratings.folds(3))


def test_leave_one_out_keeps_an_only_rating_in_training():
    train, test = Ratings.from_df({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1, 2, 3.]}).split("leave_one_out")
    assert len(test) == 1 and train.users.code(2) in train.user.tolist()


def test_loaders_give_each_rating_once_in_a_new_order(ratings):
    loaders = ratings.loaders(64, device="cpu", seed=5)
    passes = [torch.cat([torch.cat([x.double(), y[:, None].double()], 1) for x, y in loaders.train]) for _ in range(2)]
    whole = torch.cat([ratings.pairs.double(), ratings.rating[:, None].double()], 1)
    order = lambda t: t[torch.argsort(t[:, 0]*1000 + t[:, 1])]
    assert not passes[0].equal(passes[1]) and all(order(p).equal(order(whole)) for p in passes)
    assert len(loaders.train) == math.ceil(len(ratings)/64) and loaders.valid is None
    assert torch.cat([x for x, _ in ratings.loaders(64, valid=ratings, device="cpu").valid]).equal(ratings.pairs)


def write_100k(folder, frame):
    "The first 40 users and 60 items in the files of MovieLens 100K"
    folder.mkdir()
    items = {v: n + 1 for n, v in enumerate(sorted(frame.item.unique())[:60])}
    f = frame[frame.item.isin(items.keys()) & (frame.user < 50)]
    t = pd.DataFrame({"u": f.user - 9, "i": f.item.map(items), "r": f.rating.round().clip(1, 5).astype(int), "t": f.time.astype(int) + 881250949})
    t.to_csv(folder/"u.data", sep="\t", header=False, index=False)
    for k in range(1, 6):
        t[t.index % 5 != k - 1].to_csv(folder/f"u{k}.base", sep="\t", header=False, index=False)
        t[t.index % 5 == k - 1].to_csv(folder/f"u{k}.test", sep="\t", header=False, index=False)
    (folder/"u.user").write_text("".join(f"{u}|{20 + u}|{'MF'[u % 2]}|{('student', 'writer')[u % 3 == 0]}|{'T8H1N' if u == 3 else f'{u:05d}'}\n" for u in range(1, 42)))
    (folder/"u.item").write_bytes("".join(f"{i}|Café {i} (19{i + 30})|{'' if i == 5 else f'01-Jan-19{i + 30}'}||http://x/|" + "|".join("1" if g == i % 19 else "0" for g in range(19)) + "\n"
                                          for i in range(1, 62)).encode("latin-1"))
    return t


def test_movielens_100k_layout(tmp_path, frame):
    t = write_100k(tmp_path/"ml-100k", frame)
    r = Ratings.from_movielens(tmp_path/"ml-100k")
    assert len(r) == len(t) and r.n_users == 41 and r.n_items == 61 and r.titles[0] == "Café 1 (1931)"  # also who and what nobody rated
    assert r.user_features.shape[0] == 41 and r.item_features.shape == (61, 22) and r.item_features.isfinite().all()
    assert r.item_features[6, :19].argmax() == 7 and r.item_features[:, :19].sum() == 61
    for k in range(1, 6):
        train, test = r.published_fold(k)
        assert len(train) + len(test) == len(r) and len(test) == (t.index % 5 == k - 1).sum()
        assert test.users is r.users and train.item_features is r.item_features
    model = BayesianMF(2, samples=5, burn=2).fit(train)
    assert 0 < evaluate(model, test)["rmse"] < 2
    with pytest.raises(ValueError, match="1 to 5"): r.published_fold(6)
    (tmp_path/"ml-100k"/"u2.test").write_text((tmp_path/"ml-100k"/"u2.base").read_text())
    with pytest.raises(ValueError, match="u2.test"): r.published_fold(2)
    (tmp_path/"ml-100k"/"u3.test").unlink()
    with pytest.raises(FileNotFoundError, match="u3.test"): r.published_fold(3)


def test_ratings_csv_layout(tmp_path):
    (tmp_path/"ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,4.0,100\n1,30,3.5,90\n2,10,1.0,80\n")
    plain = Ratings.from_movielens(tmp_path)
    assert plain.item_features is None and list(plain.items) == [10, 30] and plain.time.tolist() == [100, 90, 80]
    (tmp_path/"movies.csv").write_text('movieId,title,genres\n30,"B, The (1999)",Drama\n10,A (2001),Action|Drama\n20,C,(no genres listed)\n')
    r = Ratings.from_movielens(tmp_path)
    assert list(r.items) == [10, 20, 30] and r.titles == ["A (2001)", "C", "B, The (1999)"] and r.item_features.shape == (3, 6) and r.item_features.isfinite().all()
    with pytest.raises(FileNotFoundError, match="u.data"): Ratings.from_movielens(tmp_path/"nothing")
    with pytest.raises(ValueError, match="published"): Ratings.from_df({"user": [1], "item": [1], "rating": [1.]}).published_fold(1)


BAD = {"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1., 2., 3.]}


@pytest.mark.parametrize("change, error, says", [
    (dict(user=[1, 1, 2], item=[5, 5, 1]), ValueError, "user 1 rated item 5 more than once"),
    (dict(rating=[1., float("nan"), 3.]), ValueError, "row 1 is nan"), (dict(rating=[1., 2., float("inf")]), ValueError, "row 2 is inf"),
    (dict(rating=["good", "bad", "ugly"]), TypeError, "numbers"), (dict(user=["a", None, "b"]), ValueError, "missing ids"),
    (dict(user=[1., float("nan"), 2.]), ValueError, "missing ids"), (dict(user=[], item=[], rating=[]), ValueError, "no ratings"),
    (dict(user=[[1], [2], [3]]), TypeError, "hashable")])
def test_bad_frames(change, error, says):
    d = BAD | change
    with pytest.raises(error, match=says): Ratings.from_df(d)


def test_bad_columns_splits_and_batches(ratings):
    with pytest.raises(ValueError, match="no column 'stars'.*user"): Ratings.from_df(BAD, rating="stars")
    with pytest.raises(TypeError, match="time"): Ratings.from_df(BAD | {"when": ["a", "b", "c"]}, time="when")
    with pytest.raises(ValueError, match="missing"): Ratings.from_df(BAD | {"when": [1., float("nan"), 2]}, time="when")
    plain = Ratings.from_df(BAD)
    with pytest.raises(ValueError, match="needs times"): plain.split("time")
    with pytest.raises(ValueError, match="'user'"): plain.split("user")
    with pytest.raises(ValueError, match="empty"): plain.split(test=0.01)
    with pytest.raises(ValueError, match="bs"): plain.loaders(0)
    with pytest.raises(ValueError, match="from 2"): plain.folds(1)


def test_one_user_is_enough():
    train = Ratings.from_df({"user": ["me"]*4, "item": [1, 2, 3, 4], "rating": [1., 2, 4, 5]})
    for model in (ALS(2), BayesianMF(2, samples=4, burn=1), EASE(1.), ImplicitALS(2)):
        out = model.fit(train).predict([("me", 1), ("me", 4)])
        assert out.isfinite().all()
        assert model.recommend("me", 4, exclude_seen=False) and not pytest.raises(ValueError, model.recommend, "me", 1) is None


# Models trained by gradient descent

def test_scratch_embedding_is_torchs():
    torch.manual_seed(0)
    ours, theirs, rows = Embedding(7, 3).double(), nn.Embedding(7, 3).double(), torch.tensor([1, 4, 4, 0])
    theirs.weight.data.copy_(ours.weight.data)
    for e in (ours, theirs): (e(rows)**2*torch.arange(1, 13).view(4, 3)).sum().backward()
    assert ours(rows).equal(theirs(rows)) and torch.allclose(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("make", [lambda: DotProduct(3).build(5, 6), lambda: DotProduct(3, (0, 5)).build(5, 6), lambda: DotProductBias(3, (0, 5.5)).build(5, 6), lambda: DotProductBias(3).build(5, 6), lambda: CollabNN((4,), (0, 5)).build(5, 6)])
def test_forward_against_formula_and_gradcheck(make):
    torch.manual_seed(1)
    m = make().double()
    for p in m.parameters(): nn.init.normal_(p, std=0.5)
    x = torch.tensor(list(itertools.product(range(5), range(6))))
    u, v = m.user_factors.weight[x[:, 0]], m.item_factors.weight[x[:, 1]]
    if isinstance(m, CollabNN): raw = m.layers(torch.cat([u, v], 1))[:, 0]
    else: raw = torch.einsum("nk,nk->n", u, v)
    if isinstance(m, DotProductBias): raw = raw + m.user_bias.weight[x[:, 0], 0] + m.item_bias.weight[x[:, 1], 0] + m.mean
    want = raw if m.y_range is None else m.y_range[0] + (m.y_range[1] - m.y_range[0])/(1 + torch.exp(-raw))
    assert torch.allclose(m(x), want, atol=1e-12)
    names, params = zip(*m.named_parameters())
    assert torch.autograd.gradcheck(lambda *p: torch.func.functional_call(m, dict(zip(names, p)), (x[:7],)), tuple(p.detach().requires_grad_() for p in params))
    assert torch.allclose(m.scores(torch.arange(5)).reshape(-1), m(x), atol=1e-6)


def test_training_step_is_adamw(ratings):
    "`fit` against torch's AdamW with the same batches, schedule and decay"
    torch.manual_seed(0)
    a = DotProductBias(3, (-5, 12)).build(ratings.n_users, ratings.n_items)
    torch.manual_seed(0)
    b = DotProductBias(3, (-5, 12)).build(ratings.n_users, ratings.n_items)
    fit(a, ratings.loaders(256, device="cpu", seed=9), 2, 0.02, 0.5, progress=False)
    b.start(ratings.rating.mean().item())
    groups = [{"params": [p], "weight_decay": 0. if n == "mean" else 0.1 if "bias" in n else 0.5} for n, p in b.named_parameters()]
    opt, loaders, t = torch.optim.AdamW(groups, eps=1e-5), ratings.loaders(256, device="cpu", seed=9), 0
    cos = lambda lo, hi, s: hi + (lo - hi)*(1 + math.cos(math.pi*s))/2
    for _ in range(2):
        for x, y in loaders.train:
            s = t/(2*len(loaders.train)); t += 1
            lr, beta = (cos(0.02/25, 0.02, s/0.25), cos(0.95, 0.85, s/0.25)) if s < 0.25 else (cos(0.02, 2e-7, (s - 0.25)/0.75), cos(0.85, 0.95, (s - 0.25)/0.75))
            for g in opt.param_groups: g["lr"], g["betas"] = lr, (beta, 0.99)
            opt.zero_grad(); nn.functional.mse_loss(b(x), y).backward(); opt.step()
    for (n, p), q in zip(a.named_parameters(), b.parameters()): assert torch.allclose(p, q, atol=2e-5), n


def test_fit_learns_stops_early_and_goes_back(halves, capsys):
    train, test = halves
    torch.manual_seed(0)
    m = DotProductBias(8, (-5, 12))
    history = fit(m, train.loaders(64, test), 12, weight_decay=0.05, patience=1)
    losses = [h.valid_loss for h in history]
    assert capsys.readouterr().out.count("valid") == len(history) and losses[0] > min(losses)
    assert abs(rmse(m.predict(test), test.rating)**2 - min(losses)) < 1e-4
    base = rmse(torch.full((len(test),), train.rating.mean().item()), test.rating)
    assert rmse(m.predict(test), test.rating) < 0.7*base


def test_fit_refuses(ratings):
    n, m = ratings.n_users, ratings.n_items
    with pytest.raises(ValueError, match="y_range"): DotProductBias(2, (0, 1)).fit(ratings)
    with pytest.raises(ValueError, match="made for 3 users"): DotProductBias(2).build(3, m).fit(ratings)
    with pytest.raises(ValueError, match="patience"): DotProduct(2).fit(ratings, patience=1)
    with pytest.raises(ValueError, match="epochs"): DotProduct(2).fit(ratings, epochs=0)
    with pytest.raises(ValueError, match="not finite|lower lr"): DotProduct(2).fit(ratings, lr=1e30, epochs=2)
    with pytest.raises(ValueError, match="low < high"): DotProduct(2, (5, 1))
    with pytest.raises(ValueError, match="at least one user"): CollabNN().build(0, m)
    with pytest.raises(RuntimeError, match="fit"): ALS().predict([(1, 2)])


def test_embedding_sizes_are_fastais():
    tabular = pytest.importorskip("fastai.tabular.model")
    assert all(emb_sz_rule(n) == tabular.emb_sz_rule(n) for n in [1, 2, 10, 944, 1683, 10**5, 10**7])


# Closed forms

def test_als_steps_solve_their_equations(halves):
    train, _ = halves
    m = ALS(4, regularization=7., bias_regularization=2., iters=3).fit(train)
    u = int(train.user[0])
    mine = train.user == u
    items = train.item[mine].long()
    Z = m.V[items].double().clone(); Z[:, 0] = 1
    A = Z.T @ Z + torch.diag(torch.tensor([2., 7, 7, 7, 7]).double())
    x = torch.linalg.solve(A, Z.T @ (train.rating[mine] - m.mean - m.V[items, 0]).double())
    assert torch.allclose(m.U[u].double(), x, atol=1e-4)
    mean, std = m.predict([(train.users[u], train.items[3])], return_std=True)
    z = m.V[3].double().clone(); z[0] = 1
    assert torch.allclose(mean.double(), m.mean + m.V[3, 0] + x @ z, atol=1e-4)
    share = z @ torch.linalg.solve(A, z)
    assert std > m.noise.sqrt()*(1 + share).sqrt()*0.999


def test_als_objective_never_rises(halves):
    train, _ = halves
    def objective(m):
        e = train.rating - m.predict(train)
        return e.square().sum() + 3*(m.U[:, 0].square().sum() + m.V[:, 0].square().sum()) + 12*(m.U[:, 1:].square().sum() + m.V[:, 1:].square().sum())
    values = [objective(ALS(4, iters=n).fit(train)).item() for n in (1, 2, 4, 8)]
    assert all(a >= b - 1e-2 for a, b in zip(values, values[1:]))


@pytest.mark.parametrize("name", ["ALS", "ImplicitALS", "EASE"])
def test_fold_in_is_the_models_own_solution(fitted, name):
    "Folding in the ratings of somebody who was in training gives that user's own scores"
    m = fitted[name]
    for u in range(0, m.seen.n_users, 17):
        mine = m.seen.user == u
        new = m.fold_in([(m.seen.items[i], r) for i, r in zip(m.seen.item[mine].tolist(), m.seen.rating[mine].tolist())])
        assert torch.allclose(new.scores, m.scores(torch.tensor([u]))[0], atol=2e-4)


@pytest.mark.parametrize("name", ["DotProductBias", "BayesianMF", "CollabNN"])
def test_fold_in_agrees_with_training(halves, fitted, name):
    m, corr = fitted[name], []
    for u in range(0, 30):
        mine = m.seen.user == u
        new = m.fold_in({m.seen.items[i]: r for i, r in zip(m.seen.item[mine].tolist(), m.seen.rating[mine].tolist())})
        corr.append(np.corrcoef(new.scores, m.scores(torch.tensor([u]))[0])[0, 1])
    assert np.mean(corr) > 0.85


def test_fold_in_of_a_linear_net_is_ridge(halves):
    train, _ = halves
    torch.manual_seed(0)
    m = DotProductBias(3).fit(train, epochs=3)
    U, V = m.all_vectors("user").double(), m.all_vectors("item").double()
    mean, var = U.mean(0), U.var(0).clamp(min=1e-4)
    noise = (train.rating - m.predict(train)).double().var()
    items, r = torch.tensor([2, 5, 11]), torch.tensor([5., 1., 3.])
    Z = torch.cat([V[items, :-1], torch.ones(3, 1)], 1)
    x = torch.linalg.solve(Z.T @ Z/noise + torch.diag(1/var), Z.T @ (r - V[items, -1] - m.mean.item())/noise + mean/var)
    want = m.mean.item() + V[:, -1] + V[:, :-1] @ x[:-1] + x[-1]
    assert torch.allclose(m.fold_in(list(zip([m.seen.items[i] for i in items.tolist()], r.tolist()))).scores.double(), want, atol=1e-3)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_ease_against_the_papers_formula(shape):
    g = torch.Generator().manual_seed(0)
    X = (torch.rand(shape, generator=g) < 0.4).double()
    X[:, 0] = 1
    u, i = X.nonzero(as_tuple=True)
    m = EASE(3.).fit(Ratings.from_df({"user": u.numpy(), "item": i.numpy(), "rating": np.ones(len(u))}))
    P = torch.linalg.inv(X.T @ X + 3*torch.eye(shape[1]).double())
    B = -P/P.diagonal(); B.fill_diagonal_(0)
    kept = torch.tensor(list(m.seen.items))
    assert torch.allclose(m.scores(torch.arange(shape[0])).double(), (X @ B)[:, kept], atol=1e-4)
    assert torch.allclose(m.predict([(u[0].item(), i[3].item())]).double(), (X @ B)[u[0], i[3]], atol=1e-4)


def test_implicit_als_against_dense_weights(halves):
    train, _ = halves
    m = ImplicitALS(4, alpha=3., regularization=2., iters=2).fit(train)
    R = torch.zeros(train.n_users, train.n_items).double(); R[train.user.long(), train.item.long()] = 1
    V, u = m.V.double(), 5
    C = torch.diag(1 + 3*R[u])
    assert torch.allclose(m.U[u].double(), torch.linalg.solve(V.T @ C @ V + 2*torch.eye(4).double(), V.T @ C @ R[u]), atol=1e-4)


def test_liked_leaves_low_ratings_out(halves):
    train, _ = halves
    for m in (EASE(5., liked=4.).fit(train), ImplicitALS(4, liked=4.).fit(train)):
        high = type(m)(**(m.config | {"liked": None})).fit(train[train.rating >= 4])
        assert torch.allclose(m.scores(torch.arange(5)), high.scores(torch.arange(5)), atol=1e-4)
    with pytest.raises(ValueError, match="liked"): EASE(liked=1e9).fit(train)


# Bayesian factorization and time

def test_gibbs_step_draws_from_the_conditional():
    "With items, noise and prior held, the drawn rows have the mean and covariance of the ridge posterior"
    g = torch.Generator().manual_seed(0)
    n, K, ni = 4000, 3, 9
    draws = _Draws(1)
    V = torch.randn(ni, K, generator=g)
    user = torch.arange(n).repeat_interleave(4); item = torch.tensor([0, 3, 5, 8]).repeat(n)
    y = torch.tensor([1., -1., 0.5, 2.]).repeat(n)
    A, other = torch.zeros(n, K), padded(item)
    prec = torch.tensor([[2., 0.3, 0], [0.3, 1., 0.1], [0, 0.1, 3.]])
    draws.wishart = lambda scale, free: prec
    draws.side(A, V, blocks(user, n, K), other, padded(y) - V[other, 0], padded(torch.full((4*n,), 1.7)), [])
    Z = V[[0, 3, 5, 8]].clone(); Z[:, 0] = 1
    S = torch.linalg.inv(prec + 1.7*Z.T @ Z)
    mean = S @ (1.7*Z.T @ (y[:4] - V[[0, 3, 5, 8], 0]))  # the prior mean is near 0: rows started at 0
    assert torch.allclose(A.mean(0), mean, atol=0.06) and torch.allclose(torch.cov(A.T), S, atol=0.03)


def test_wishart_draws_have_the_right_mean():
    draws = _Draws(0)
    scale = torch.tensor([[4., 1, 0], [1, 3, 0.5], [0, 0.5, 2]])
    mean = sum(draws.wishart(scale, 12) for _ in range(3000))/3000
    assert torch.allclose(mean, 12*torch.linalg.inv(scale), rtol=0.08, atol=0.1)


def test_planted_ratings_are_recovered():
    frame, truth = planted(600, 300, 0.9, 3, 0.6, seed=4)
    r = Ratings.from_df(frame)
    train, test = r.split(seed=0)
    for m in (BayesianMF(6, samples=60, burn=20).fit(train), ALS(3, regularization=1.).fit(train)):
        mean, std = m.predict(test, return_std=True)
        assert rmse(mean, test.rating) < 1.03*truth["noise"]
        assert 0.85 < ((test.rating - mean).abs() < 1.645*std).float().mean() < 0.95
        bias = m.V[..., 0] if m.V.ndim == 2 else m.V[..., 0].mean(0)
        assert pd.Series(bias.numpy()).corr(pd.Series(truth["item_bias"]), method="spearman") > 0.9


def test_side_information_places_an_item_nobody_rated():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(60, 2)); p = rng.normal(size=(200, 2))
    u, i = np.nonzero(rng.random((200, 60)) < 0.4)
    r = Ratings.from_df({"user": u, "item": i, "rating": 3 + (p[u]*q[i]).sum(1) + rng.normal(0, 0.3, len(u))})
    r.item_features = torch.from_numpy(q).float()
    cold = r.item == 7
    with_side, without = (BayesianMF(4, samples=40, burn=20, side=s).fit(r[~cold]) for s in (True, False))
    assert rmse(with_side.predict(r[cold]), r[cold].rating) < 0.7*rmse(without.predict(r[cold]), r[cold].rating)
    mean, std = with_side.predict([(0, 7), (0, int(r.item[0]))], return_std=True)
    assert std[0] > std[1]


def test_noisy_users_get_wider_intervals():
    frame, _ = planted(100, 60, 0.7, seed=1)
    wild = frame.user % 2 == 0
    frame.loc[wild, "rating"] += np.random.default_rng(0).normal(0, 1.5, wild.sum())
    r = Ratings.from_df(frame)
    train, test = r.split()
    std = BayesianMF(4, samples=40, burn=20).fit(train).predict(test, return_std=True)[1]
    odd = torch.tensor([u % 2 == 1 for u in r.users])[test.user.long()]
    assert std[~odd].mean() > 1.7*std[odd].mean()


def test_same_seed_same_draws(halves):
    train, test = halves
    a, b, c = (BayesianMF(3, samples=6, burn=2, seed=s).fit(train).predict(test) for s in (1, 1, 2))
    assert a.equal(b) and not a.equal(c)


def test_time_residuals_use_the_sitting():
    frame, _ = planted(150, 100, 0.5, noise=0.3, seed=2)
    rng = np.random.default_rng(0)
    sitting = rng.integers(0, 6, len(frame))
    mood = rng.normal(0, 0.8, (frame.user.max() + 1, 6))
    frame["time"] = sitting*1e7 + rng.integers(0, 300, len(frame))
    frame["rating"] += mood[frame.user, sitting]
    train, test = Ratings.from_df(frame, time="time").split()
    m = TimeResiduals(BayesianMF(6, samples=30, burn=15)).fit(train)
    mean, std = m.predict(test, return_std=True)
    assert rmse(mean, test.rating) < 0.75*rmse(m.base.predict(test), test.rating)
    assert 0.83 < ((test.rating - mean).abs() < 1.645*std).float().mean() < 0.97
    with pytest.raises(TypeError, match="times"): m.predict([(frame.user[0], frame.item[0])])
    with pytest.raises(ValueError, match="needs times"): TimeResiduals(ALS(2)).fit(Ratings.from_df(frame))
    with pytest.raises(TypeError, match="EASE"): TimeResiduals(EASE())


def test_time_process_against_its_formula():
    frame, _ = planted(20, 30, 0.5, seed=3)
    train, test = Ratings.from_df(frame.assign(time=frame.time*100), time="time").split()
    m = TimeResiduals(ALS(2), scales=(1000., 50000.)).fit(train)
    e = (train.rating - m.base.predict(train)).double()
    u = int(test.user[0])
    a, b = train.user == u, test.user == u
    k = lambda s, t: sum(w.exp().double()*torch.exp(-(s[:, None] - t).abs()/c) for w, c in zip(m.log_share, (1000., 50000.)))
    extra = k(test.time[b], train.time[a]) @ torch.linalg.solve(k(train.time[a], train.time[a]) + torch.eye(int(a.sum())), e[a])
    assert torch.allclose((m.predict(test) - m.base.predict(test))[b].double(), extra, atol=1e-4)


# One interface

def test_every_model_answers_everything(fitted, halves):
    train, test = halves
    user, item = train.users[4], train.items[9]
    for name, m in fitted.items():
        pred = m.predict(test)
        assert pred.shape == (len(test),) and pred.dtype == torch.float32 and pred.isfinite().all(), name
        if name != "TimeResiduals": assert torch.allclose(m.predict([(test.users[u], test.items[i]) for u, i in test.pairs[:20].tolist()]), pred[:20])
        best = m.recommend(user, 5)
        seen = {train.items[i] for i in train.item[train.user == 4].tolist()}
        assert len(best) == 5 and not seen & {i for i, _ in best} and [s for _, s in best] == sorted((s for _, s in best), reverse=True), name
        every = m.recommend(user, train.n_items - len(seen))
        assert not seen & {i for i, _ in every} and all(math.isfinite(s) for _, s in every), name
        assert seen & {i for i, _ in m.recommend(user, train.n_items, exclude_seen=False)}
        with pytest.raises(ValueError, match="items left"): m.recommend(user, train.n_items - len(seen) + 1)
        near = m.similar(item, 4)
        assert len(near) == 4 and item not in dict(near) and all(-1.001 <= s <= 1.001 for _, s in near), name
        with pytest.raises(ValueError, match="k must"): m.similar(item, train.n_items)
        new = m.fold_in({train.items[1]: 5., train.items[2]: 1.})
        assert not {train.items[1], train.items[2]} & {i for i, _ in m.recommend(new, 10)}, name
        why = m.explain(user, item, 3)
        assert len(why["because"]) == 3 and {i for i, _, _ in why["because"]} <= seen - {item} and math.isfinite(why["prediction"]), name
        for bad in ({}, {"no such film": 1.}, {train.items[0]: float("nan")}, [(train.items[0], 1.), (train.items[0], 2.)]):
            with pytest.raises(ValueError): m.fold_in(bad)
        with pytest.raises(ValueError, match="nobody"): m.explain("nobody", item)
        with pytest.raises(ValueError, match="nothing"): m.similar("nothing")
        result = evaluate(m, test)
        assert ("rmse" in result) == m.predicts_ratings and set(result) >= {"hit_rate@10", "ndcg@10", "recall@10", "coverage@10"}


def test_unknown_ids_fall_back_and_say_so(fitted, halves):
    train, _ = halves
    top = [train.items[i] for i in sorted(range(train.n_items), key=lambda i: (-int((train.item == i).sum()), i))[:3]]
    for name, m in fitted.items():
        if name == "TimeResiduals": continue
        with pytest.warns(UserWarning, match="most rated"): assert [i for i, _ in m.recommend("nobody", 3)] == top, name
        with pytest.warns(UserWarning, match="1 of 2 pairs"): out = m.predict([("nobody", train.items[0]), (train.users[0], train.items[0])])
        if m.predicts_ratings: assert abs(out[0] - (m.baseline.mean + m.baseline.item_bias[0])) < 1e-5
        with pytest.warns(UserWarning): assert m.predict([("nobody", "nothing")]).isfinite().all()


def test_only_models_with_one_give_a_std(fitted, halves):
    for name, m in fitted.items():
        if name in ("ALS", "BayesianMF", "TimeResiduals"): assert (m.predict(halves[1], return_std=True)[1] > 0).all()
        else:
            with pytest.raises(TypeError, match="standard deviation"): m.predict(halves[1], return_std=True)


def test_explain_names_the_reason():
    "Two groups of items: what speaks for an item of the first group are the ratings of that group"
    rng = np.random.default_rng(0)
    taste = rng.choice([-1, 1], 80)
    u, i = np.nonzero(rng.random((80, 20)) < 0.7)
    r = Ratings.from_df({"user": u, "item": i, "rating": 3 + 1.5*taste[u]*np.where(i < 10, 1, -1)*(1 + 0*u) + rng.normal(0, 0.3, len(u))})
    keep = ~((r.item < 10) & (r.user == 0) & (r.item > 3))
    m = ALS(2).fit(r[keep])
    because = m.explain(0, 9, 3)["because"]
    scores = m.scores(torch.tensor([0]))[0]
    assert because[0][2] != 0 and abs(because[0][2]) >= abs(because[1][2]) >= abs(because[2][2])
    without = dict(zip([m.seen.items[j] for j in m.seen.item[m.seen.user == 0].tolist()], m.seen.rating[m.seen.user == 0].tolist()))
    without.pop(because[0][0])
    assert abs((scores[9] - m.fold_in(without).scores[9]) - because[0][2]) < 1e-4
