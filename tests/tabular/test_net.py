"Bins, the network for tables, and what is made of it."
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from course_lib.tabular import NotFittedError, PiecewiseLinearEncoding, TabularModel, TabularNet, blend, embed_features
from course_lib.tabular import quantile_edges


def table(rows=400, seed=0):
    "Two categories, a curve, a step, gaps, and a class that depends on them"
    rng = np.random.default_rng(seed)
    df = pd.DataFrame({"town": rng.choice(["Ulm", "Bonn", "Kiel"], rows), "size": rng.choice(["S", "L"], rows),
                       "age": rng.uniform(0, 6, rows), "price": rng.uniform(0, 100, rows)})
    df["y"] = 2*(df.town == "Kiel") + np.sin(2*df.age) + (df.price > 70) + rng.normal(0, 0.1, rows)
    df["kind"] = np.where(df.y > 2, "dear", np.where(df.y > 0.5, "fair", "cheap"))
    df.loc[rng.random(rows) < 0.1, "age"] = np.nan
    return df


SETTINGS = dict(n_epochs=12, batch_size=32)
CATS, CONTS = ["town", "size"], ["age", "price"]


@pytest.fixture(scope="module")
def nets(): return TabularNet(CATS, CONTS, **SETTINGS).fit(table(), "y"), TabularNet(CATS, CONTS).fit(table(), "kind")


def test_encoding_by_hand():
    "Every entry as the paper's formula has it, one at a time, and kept in [0, 1]"
    rng = np.random.default_rng(0)
    edges = [np.sort(rng.normal(size=n)) for n in (5, 2, 1)]
    x = rng.normal(0, 2, (50, 3)).astype(np.float32)
    got = PiecewiseLinearEncoding(edges)(torch.from_numpy(x)).numpy()
    for i, j, t in np.ndindex(got.shape):
        if t >= len(edges[j]) - 1: want = 0.
        else: want = min(max((x[i, j] - edges[j][t])/(edges[j][t + 1] - edges[j][t]), 0), 1)
        assert got[i, j, t] == pytest.approx(want, abs=1e-5)


def test_quantile_edges():
    "Quantiles where no value repeats, every value where there are few, and heavy values as one bin's worth"
    x = np.random.default_rng(0).normal(size=1001)
    np.testing.assert_allclose(quantile_edges(x, 10), np.quantile(x, np.linspace(0, 1, 11)), atol=0.02)
    assert quantile_edges([3, 1, 1, 2], 3).tolist() == [1, 2, 3] and quantile_edges([5, 5]).tolist() == [5]
    heavy = np.r_[np.zeros(9000), np.arange(1, 1001)]
    edges = quantile_edges(heavy, 11)
    assert edges[0] == 0 and 10 <= len(edges) <= 12 and np.diff(edges[1:]).max() < 150
    for bad in ([], [np.nan], [[1.]]):
        with pytest.raises(ValueError): quantile_edges(bad)
    with pytest.raises(ValueError): quantile_edges([1.], 0)
    with pytest.raises(ValueError, match="column 1"): PiecewiseLinearEncoding([[0, 1], [1, 0]])


def test_first_outputs_and_short_cut():
    "Before training all outputs are zero; with the layers switched off, the outputs are a plain sum of parts"
    torch.manual_seed(0)
    model = TabularModel([3, 2], [[0., 1], [0., 1, 2]], 2).eval()
    codes, numbers = torch.tensor([[1, 0], [2, 1], [1, 1], [2, 0]]), torch.tensor([[0.5, 0.5]]*4)
    gaps = torch.zeros(4, 2, dtype=torch.bool)
    assert not model(codes, numbers, gaps).any()
    torch.nn.init.normal_(model.short_codes.weight)
    torch.nn.init.normal_(model.short_bins)
    out = model(codes, numbers, gaps)
    torch.testing.assert_close(out[0] + out[1], out[2] + out[3])  # additive: no code talks to another
    by_hand = model.short_codes.weight[1] + model.short_codes.weight[3] + 0.5*model.short_bins[0] \
        + 0.5*model.short_bins[3]
    torch.testing.assert_close(out[0], by_hand)


def test_learns_numbers_and_classes(nets):
    "Better than the best constant by far, on new rows; probabilities add up and go with the classes"
    new = table(400, seed=1)
    assert np.square(nets[0].predict(new) - new.y).mean() < 0.15*new.y.var()
    shares = nets[1].predict_proba(new)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-9)
    assert nets[1].classes_.tolist() == ["cheap", "dear", "fair"]
    assert (nets[1].predict(new) == nets[1].classes_[shares.argmax(1)]).all()
    assert TabularNet(CATS, CONTS, **SETTINGS).fit(table(), "kind").predict(new).tolist().count("dear") > 20


def test_what_a_row_says_is_its_own_affair(nets):
    "Rows and columns in another order, more columns, categories and text: the same predictions"
    new, order = table(90, seed=1), np.random.default_rng(0).permutation(90)
    for net, say in ((nets[0], "predict"), (nets[1], "predict_proba")):
        told = getattr(net, say)(new)
        for other in (new.astype({"town": "category"}), new[[*new.columns[::-1]]], new.assign(more=0),
                      new.assign(price=new.price.map(repr))):
            np.testing.assert_allclose(getattr(net, say)(other), told, atol=1e-6)
        np.testing.assert_allclose(getattr(net, say)(new.iloc[order]), told[order], atol=1e-5)


def test_seeds():
    "One seed, one network; the caller's random numbers stay as they were; a clone is as good"
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one = TabularNet(CATS, CONTS, n_epochs=1).fit(table(), "y")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(8)
    again, other = clone(one).fit(table(), table().y.to_numpy()), clone(one).set_params(seed=1).fit(table(), "y")
    assert (one.predict(table()) == again.predict(table())).all()
    assert (one.predict(table()) != other.predict(table())).any()


def test_what_was_never_seen(nets):
    "A new town and a gap where training had none stand for nothing but themselves: zero beside the other columns"
    model, new = nets[0].model_, table(5, seed=1).assign(town="Oslo", price=np.nan)
    assert np.isfinite(nets[0].predict(new)).all() and np.isfinite(nets[1].predict_proba(new)).all()
    assert not model.curves[1, -1].any() and model.curves[0, -1].any()  # only the age had gaps
    plain = TabularNet(CATS, CONTS, unseen=0., n_epochs=1).fit(table(), "y").model_
    assert not plain.vectors.weight[plain.first].any() and plain.vectors.weight[plain.first + 1].any()


def test_columns_of_one_kind():
    "Categories alone, numbers alone, a constant column"
    assert TabularNet(CATS, n_epochs=1).fit(table(), "y").predict(table()[:3]).shape == (3,)
    assert TabularNet([], CONTS, n_epochs=1).fit(table(), "kind").predict_proba(table()[:0]).shape == (0, 3)
    still = table().assign(price=1.)
    assert np.isfinite(TabularNet([], CONTS, n_epochs=1).fit(still, "y").predict(table()[:3])).all()
    same = TabularNet([], CONTS, n_epochs=1).fit(table(), [4.]*400).predict(table()[:3])
    np.testing.assert_allclose(same, 4)


def test_embed_features(nets):
    "A vector for each category, one and the same in every row; numbers as prepared, gaps as gaps"
    new = table(60, seed=1)
    found = embed_features(nets[0], new)
    assert found.shape == (60, 2*8 + 2) and (np.isnan(found[:, -2]) == new.age.isna()).all()
    for town in ("Ulm", "Bonn", "Kiel"): assert len(np.unique(found[new.town == town, :8], axis=0)) == 1
    code = nets[0].prep_.vocab_["size"].index("S") + 1
    want = nets[0].model_.vectors.weight[nets[0].model_.first[1] + code]
    np.testing.assert_array_equal(found[(new["size"] == "S").argmax(), 8:16], want.detach().cpu().numpy())


def test_blend():
    "The weighted mean"
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_allclose(blend([a, b], [3, 1]), 0.75*a + 0.25*b)
    np.testing.assert_allclose(blend([a, b]), (a + b)/2)
    for bad in (([],), ([a, b[:2]],), ([a, np.full((5, 3), np.nan)],), ([a, b], [1]), ([a, b], [0, 0]),
                ([a, b], [2, -1])):
        with pytest.raises(ValueError): blend(*bad)


@pytest.mark.parametrize("change, words", [
    (dict(y=[np.nan]*400), "missing in 400"), (dict(y=[np.inf] + [1.]*399), "infinite.* in 1 rows"),
    (dict(y=["a"]*400), "single class"), (dict(y="price"), "'price' is among"), (dict(y="nowhere"), "'nowhere'"),
    (dict(y=[1.]*3), "one for each row"), (dict(kind="maybe"), "kind"), (dict(lr=0), "lr"),
    (dict(unseen=1), "unseen"), (dict(batch_size=0), "batch_size"), (dict(cont_names=["gone"]), "gone"),
])
def test_bad_input(change, words):
    "Named in the error"
    settings = dict(cat_names=CATS, cont_names=CONTS, n_epochs=1) | {k: v for k, v in change.items() if k != "y"}
    with pytest.raises(ValueError, match=words): TabularNet(**settings).fit(table(), change.get("y", "y"))


def test_not_fitted():
    "Asked too early, or for what is not there"
    with pytest.raises(NotFittedError): TabularNet(CATS).predict(table())
    with pytest.raises(NotFittedError): embed_features(TabularNet(CATS), table())
    with pytest.raises(TypeError, match="numbers"): TabularNet(CATS, kind="numbers").fit(table(), "kind")
    with pytest.raises(ValueError, match="no rows"): TabularNet(CATS).fit(table()[:0], "y")
