"Leaks, drift and columns that say the same, as planted; the planted auctions."
import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import roc_auc_score

from course_lib.data import get
from course_lib.data.auctions import expected_log_price
from course_lib.tabular import TabularPrep, domain_classifier, find_leaks, redundancy_linkage, time_split, tree_columns
from course_lib.tabular.leaks import _area

CATS, CONTS = ["maker", "kind", "state"], ["age", "hours", "weight", "weight_kg", "lot", "rating", "fee"]


@pytest.fixture(scope="module")
def auctions(): return pd.read_csv(get("auctions", quiet=True)/"auctions.csv", parse_dates=["date"])


def test_truth(auctions):
    "The truth lies beside the table, and what is left over is the noise it promises"
    truth = pd.read_csv(get("auctions", quiet=True)/"planted.csv")
    year = 2018 + (auctions.date - pd.Timestamp("2018-01-01")).dt.days/365.25
    np.testing.assert_allclose(expected_log_price(auctions.assign(year=year, hours_true=truth.hours_true)),
                               truth.expected, atol=1e-9)
    left = np.log(auctions.price) - truth.expected
    assert abs(left.mean()) < 0.01 and left.std() == pytest.approx(0.15, abs=0.01)
    assert (auctions.weight_kg == 1000*auctions.weight).all() and 0.17 < auctions.hours.isna().mean() < 0.23


def test_the_planted_leak(auctions):
    "The fee alone; and for classes the same column"
    price = np.log(auctions.price)
    assert [leak.column for leak in find_leaks(auctions, price, CATS, CONTS)] == ["fee"]
    dear = np.where(price > price.median(), "dear", "cheap")
    found = find_leaks(auctions, dear, CATS, CONTS)
    assert [leak.column for leak in found] == ["fee"] and found[0].score > 0.9
    assert not find_leaks(auctions, price, CATS, CONTS[:-1])
    with pytest.raises(ValueError, match="vary"): find_leaks(auctions, np.ones(4000), CATS)


def test_the_planted_drift(auctions):
    "A new maker and another way to rate, and nothing else; two halves drawn at random cannot be told apart"
    old, new = (auctions.iloc[rows] for rows in time_split(auctions.date, 1/6))
    drift = domain_classifier(old, new, CATS, CONTS[:-1], n_estimators=20)
    assert [*drift.columns][:2] == ["rating", "maker"] and drift.auc > 0.75
    assert max([*drift.columns.values()][2:]) < 0.02
    assert abs(domain_classifier(old[::2], old[1::2], CATS, CONTS[:-1], n_estimators=10).auc - 0.5) < 0.05
    with pytest.raises(ValueError, match="10 rows"): domain_classifier(old, new[:4], CATS)


def test_area():
    "As scikit-learn's, ties among them"
    rng = np.random.default_rng(0)
    told, new = rng.integers(0, 9, 200)/9, rng.random(200) < 0.3

    class Model:
        "Says what it was told to"
        def predict_proba(self, X): return np.stack([1 - X, X], 1)

    assert _area(Model(), told, new) == pytest.approx(roc_auc_score(new, told), abs=1e-12)


def test_duplicates(auctions):
    "The two weights are joined first, at no distance; the whole tree is scipy's"
    frame = auctions[CONTS].assign(year=auctions.date.dt.year)
    ours = redundancy_linkage(frame)
    assert ours[0].tolist()[:2] == [2, 3] and ours[0, 2] == pytest.approx(0, abs=1e-12)
    apart = 1 - frame.corr("spearman").abs().to_numpy()
    theirs = linkage(squareform(apart, checks=False), "average")
    np.testing.assert_allclose(ours[:, 2:], theirs[:, 2:], atol=1e-12)
    assert redundancy_linkage(frame.assign(one=1))[-1, 2] == pytest.approx(1)
    for bad, error in ((frame[["age"]], ValueError), (frame.to_numpy(), TypeError)):
        with pytest.raises(error): redundancy_linkage(bad)


def test_tree_columns(auctions):
    "Codes as they are, gaps and new categories as gaps"
    prep = TabularPrep(CATS, ["hours"]).fit(auctions[auctions.maker != "Fenn"])
    table = tree_columns(prep, auctions)
    assert [*table.columns] == [*CATS, "hours"] and (table.maker.isna() == (auctions.maker == "Fenn")).all()
    assert (table.hours.isna() == auctions.hours.isna()).all() and set(table.kind) == {1, 2, 3, 4}
