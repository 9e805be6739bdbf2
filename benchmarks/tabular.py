"""Trees of `course_lib.tabular` beside scikit-learn's: `python -m benchmarks.tabular`.

Drawn tables of 30,000 rows and 10 columns, fitted in turn by both. Writes results/tabular.md and .csv. With
`--contributions`, the parts of a forest's predictions beside treeinterpreter's (a requirement of this benchmark alone):
results/tabular_contributions.md and .csv.
"""
import argparse

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.harness import interleaved, machine, median, ratio, write
from course_lib.tabular import DecisionTree, contributions

ROWS, ROUNDS = 30_000, 5


def tables(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    "{kind: table and target}: two classes, five classes, numbers, and numbers from a table with missing values"
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, 10)).astype(np.float32)
    signal = X[:, 0] + np.sin(2*X[:, 1]) + X[:, 2]*X[:, 3] + rng.normal(0, 1, ROWS)
    five = np.searchsorted(np.quantile(signal, [0.2, 0.4, 0.6, 0.8]), signal)
    gaps = np.where(rng.random(X.shape) < 0.2, np.float32(np.nan), X)
    return {"two classes": (X, (signal > 0).astype(int)), "five classes": (X, five), "numbers": (X, signal),
            "numbers, a fifth of the values missing": (gaps, signal)}


def compare(kind: str, X: np.ndarray, y: np.ndarray, depth: int | None) -> dict:
    "One row of the table: both times, their ratio, both numbers of nodes"
    mine = DecisionTree(max_depth=depth)
    peer = (DecisionTreeRegressor if y.dtype.kind == "f" else DecisionTreeClassifier)(max_depth=depth, random_state=0)
    times = interleaved({"ours": lambda: mine.fit(X, y), "peer": lambda: peer.fit(X, y)}, ROUNDS, warmup=1)
    return {"target": kind, "depth": depth or "full", "course_lib s": median(times["ours"]),
            "scikit-learn s": median(times["peer"]), "ratio": ratio(times["ours"], times["peer"]),
            "nodes": mine.tree_.node_count, "nodes of scikit-learn's": peer.tree_.node_count}


def explained(depth: int) -> dict:
    "One row of the other table: both times for scikit-learn's forest, their ratio, and how far the parts differ"
    from treeinterpreter import treeinterpreter
    X, y = tables()["two classes"]
    forest = RandomForestClassifier(50, max_depth=depth, random_state=0).fit(X[:3000], y[:3000])
    rows = X[3000:5000]
    bias, parts = contributions(forest, rows)
    told, theirs, their_parts = treeinterpreter.predict(forest, rows)
    times = interleaved({"ours": lambda: contributions(forest, rows),
                         "peer": lambda: treeinterpreter.predict(forest, rows)}, ROUNDS, warmup=0)
    return {"depth": depth, "course_lib s": median(times["ours"]),
            "treeinterpreter s": median(times["peer"]), "ratio": ratio(times["peer"], times["ours"]),
            "parts differ by": float(np.abs(parts - their_parts).max()),
            "bias differs by": float(np.abs(bias - theirs).max()),
            "sum off by": float(np.abs(bias + parts.sum(1) - forest.predict_proba(rows)).max())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contributions", action="store_true")
    if parser.parse_args().contributions:
        write("tabular_contributions", f"""What each column adds to each of 2,000 predictions of a scikit-learn forest
of 50 trees, trained on 3,000 rows of 10 columns, in turn, {ROUNDS} rounds. The ratio is treeinterpreter's time over
ours, median and 95 % interval. Of forests of numbers treeinterpreter stops with an error on this numpy, so two classes.
{machine("scikit-learn", "numpy", "treeinterpreter")}""", [explained(depth) for depth in (1, 4, 8)])
        return
    rows = [compare(kind, X, y, depth) for kind, (X, y) in tables().items() for depth in (8, None)]
    write("tabular", f"One decision tree for {ROWS:,} rows and 10 columns, fitted in turn, {ROUNDS} rounds. The ratio "
          "is our time over scikit-learn's, median and 95 % interval. Nodes differ where cuts are tied: scikit-learn "
          "then takes the first in an order drawn at random. " + machine("scikit-learn", "numpy"), rows)


if __name__ == "__main__": main()
