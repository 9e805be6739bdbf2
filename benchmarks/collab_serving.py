"""What an answer to one user costs beyond its arithmetic, and reading text ids beside `pandas.factorize`.

`python -m benchmarks.collab_serving` compares `recommend` with the bare scores and `torch.topk` of the same model, and
the numbering of a column of text with pandas' own, and writes results/collab_serving.md and .csv. The ratings are
drawn: recommending costs the same for a model that learned little.
"""
import argparse
import warnings

import numpy as np
import pandas as pd
import torch

from benchmarks.harness import interleaved, machine, median, ratio, write
from course_lib.collab import ALS, DotProductBias, ImplicitALS, MostRated, Ratings
from course_lib.collab.ids import factorize

MODELS = {"DotProductBias": lambda: DotProductBias(50, (0., 5.5)), "ALS": lambda: ALS(iters=1),
          "ImplicitALS": lambda: ImplicitALS(iters=1), "MostRated": MostRated}


def drawn(n: int, seed: int = 0) -> Ratings:
    "About `n` ratings of users and items that are drawn by power laws, 100 a user"
    rng = np.random.default_rng(seed)
    n_users, n_items = max(n//100, 100), min(max(n//60, 100), 50_000)
    user, item = ((most*rng.random(2*n)**2.2).astype(np.int64) for most in (n_users, n_items))
    keys = rng.permutation(np.unique(user*n_items + item))[:n]
    table = {"user": keys//n_items, "item": keys % n_items, "rating": rng.integers(1, 6, len(keys)).astype(float)}
    return Ratings.from_df(table)


def trained(name: str, ratings: Ratings):
    "A model that has seen the ratings, for as short as its kind allows"
    model = MODELS[name]()
    model.fit(ratings, **({"epochs": 1, "bs": 8192} if name == "DotProductBias" else {}))
    return model


def served(name: str, ratings: Ratings, rounds: int) -> dict:
    """`recommend` beside the bare scores and `topk`: for 32 users in turn, each asked eight times by either before the
    next, so that both find the machine alike"""
    model = trained(name, ratings)
    codes = ratings.user[torch.randperm(len(ratings), generator=torch.Generator().manual_seed(0))[:32]].tolist()
    times: dict[str, list[float]] = {"recommend": [], "bare": []}
    with torch.no_grad():
        for code in codes:
            user, row = ratings.users[code], torch.tensor([code])
            for what, found in interleaved({"recommend": lambda: model.recommend(user, 10),
                                            "bare": lambda: model.scores(row)[0].topk(10)}, rounds, calls=8).items():
                times[what] += found
    each = {what: median(t)*1e6 for what, t in times.items()}
    return {"what": f"recommend, {name}", "size": f"{len(ratings):,} ratings, {ratings.n_items:,} items",
            "ours, us": each["recommend"], "peer, us": each["bare"],
            "times the peer's": ratio(times["recommend"], times["bare"])}


def numbered(rows: int, different: int, kind: str, rounds: int) -> dict:
    "Text ids beside `pandas.factorize` of the same column"
    rng = np.random.default_rng(0)
    ids = np.array([f"user_{k:09d}" for k in rng.permutation(10**7)[:different]], dtype=object)
    column = pd.Series(ids[rng.integers(different, size=rows)], dtype=kind)
    times = interleaved({"ours": lambda: factorize(column, "user"), "pandas": lambda: pd.factorize(column)}, rounds)
    return {"what": f"text ids, pandas {kind}", "size": f"{rows:,} rows, {different:,} ids",
            "ours, us": median(times["ours"])*1e6, "peer, us": median(times["pandas"])*1e6,
            "times the peer's": ratio(times["ours"], times["pandas"])}


def main() -> None:
    "Measure and write"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, nargs="+", default=[30_000, 300_000, 3_000_000, 8_000_000])
    parser.add_argument("--rounds", type=int, default=21)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = [served(name, ratings, args.rounds) for ratings in map(drawn, args.ratings) for name in MODELS]
    rows += [numbered(500_000, different, kind, args.rounds) for different in (5_000, 125_000)
             for kind in ("object", "str")]
    write("collab_serving", f"# Serving recommendations, reading text ids\n\n{machine('pandas')}", rows,
          "The peer of `recommend` is `scores(...)[0].topk(10)` of the same model; that of text ids is "
          "`pandas.factorize`, which does not sort the ids.")


if __name__ == "__main__": main()
