"""The passengers of the Titanic: which models can be told apart on 891 rows? Needs the real data: COURSE_LIB_DATA.

    COURSE_LIB_DATA=folder python -m benchmarks.tabular_titanic

Twice five folds; boosting libraries as shipped (requirements of the benchmarks alone, left out if not installed); the
network with fewer bins and rows a step, for a table of this size. Writes results/tabular_titanic.md and .csv.
"""
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness import machine, write
from benchmarks.tabular_real import MODELS, PACKAGES, PEERS, Table
from course_lib.core import mean_ci
from course_lib.tabular import folds_ci, repeated_folds

CATS, CONTS = ["pclass", "sex", "embarked"], ["age", "sibsp", "parch", "fare"]
SETTINGS = {"TabularNet": dict(n_epochs=16, batch_size=64, n_bins=16), "scikit-learn's forest of 100":
            dict(min_samples_leaf=2)}
LEFT_OUT = "RealMLP", "fastai", "fastai, mended"  # twenty fits of each would take longer than all others together


def measured() -> dict[str, list[float]]:
    "{model: the share it gets right in each fold}"
    df = pd.read_csv(Path(os.environ["COURSE_LIB_DATA"])/"titanic_raw.csv")
    y, right = df.survived.to_numpy(), {}
    for learn, judge in repeated_folds(len(df)):
        table = Table(df, y, CATS, CONTS, learn, judge)
        for model, run in MODELS.items():
            if model in LEFT_OUT or model in PACKAGES and PACKAGES[model] not in PEERS: continue
            told = run(table, 0, **SETTINGS.get(model, {}))
            right.setdefault(model, []).append(float(((told > 0.5) == y[judge]).mean()))
        print({model: round(hits[-1], 3) for model, hits in right.items()}, flush=True)
    return right


def main() -> None:
    right = measured()
    firsts = pd.DataFrame(right).idxmax(axis=1).value_counts()
    rows = [{"model": model, "right": f"{np.mean(hits):.4f}", "first in so many folds": int(firsts.get(model, 0))}
            for model, hits in right.items()]
    pairs = [(a, b) for a, b in combinations(right, 2)]
    wide = {pair: folds_ci(right[pair[0]], right[pair[1]]) for pair in pairs}
    plain = sum(0 not in mean_ci(right[a], right[b]) for a, b in pairs)
    apart = [f"{a} less {b}: {e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for (a, b), e in wide.items() if 0 not in e]
    head = f"""# Titanic: which models can be told apart

{machine("scikit-learn", "pandas", *PEERS)}

891 rows; share of right answers, mean of ten folds; one seed. Of {len(pairs)} pairs, an interval for ten independent
runs (95%) tells {plain} apart; one that knows that folds share training rows (Nadeau and Bengio 2003) {len(apart)}.
Neither is corrected for the number of pairs. Told apart by the second: {"; ".join(apart) or "none"}."""
    write("tabular_titanic", head, rows)


if __name__ == "__main__": main()
