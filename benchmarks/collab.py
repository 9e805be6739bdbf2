"""Accuracy, ranking, speed and memory of course_lib.collab beside fastai's collab_learner and scikit-surprise.

`python -m benchmarks.collab accuracy ranking fastai surprise speed large` (any of the parts); results are kept in
results/collab.json, one entry a part and data set, and written out as results/collab.md and results/collab.csv.

The ratings are MovieLens 100K's five published folds if `course_lib.data.get('ml-100k')` finds the real files (or
--data names their folder), else five random folds of MovieLens latest small, else planted ratings. No setting was
chosen on MovieLens 100K. They were chosen on MovieLens latest small, among its films with ten ratings or more: a random
fifth of those ratings scored the choices for predicting, each user's last of them the choices for ranking. On that set
no rating that scored a choice is a test rating here (`scored_a_choice`); such ratings may stand in training, and the
ranking's test is each user's last but one. Seconds are CPU seconds on one thread, of `fit` alone. --surprise PYTHON
names a Python that has scikit-surprise; fastai's epochs are slow, --fastai-folds says for how many folds.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.harness import RESULTS, command, machine, table  # noqa: E402
from course_lib.collab import (  # noqa: E402
    ALS, EASE, BayesianMF, CollabNN, DotProductBias, ImplicitALS, MostRated, Ratings, Recommender, TimeResiduals,
    evaluate, mae, rmse, top_k)
from course_lib.core import timeit  # noqa: E402
from course_lib.data import get  # noqa: E402

Folds = list[tuple[Ratings, Ratings]]
Rows = dict[str, list[dict[str, float]]]  # {what was measured: one row of numbers a fold}
ROOT = Path(__file__).resolve().parent.parent


# ------------------------------------------------------------------ the ratings

def folder(path: str | None) -> Path:
    "The ratings that were named, or the first real ones there are, or the planted ones"
    for name in ("ml-100k", "ml-latest-small") if path is None else ():
        try: found = get(name)
        except FileNotFoundError: continue
        if not (found/"planted.npz").exists(): return found
    found = Path(path) if path else get("ratings")
    return found/"ml-100k" if (found/"ml-100k"/"u.data").exists() else found


def data(path: str | None) -> tuple[Ratings, Folds, str]:
    "The ratings, their five folds and a name for them"
    where = folder(path)
    ratings = Ratings.from_movielens(where)
    called = "planted ratings" if (where/"planted.npz").exists() else where.name
    if (where/"u1.base").exists():
        return ratings, [ratings.published_fold(k) for k in range(1, 6)], f"{called}, five published folds"
    folds = ratings.folds(5, seed=0)
    if not is_latest_small(ratings): return ratings, folds, f"{called}, five random folds"
    folds = [(train, test[~scored_a_choice(ratings, test)[0]]) for train, test in folds]
    return ratings, folds, f"{called}, five random folds, tests without the ratings that settings were chosen on"


def is_latest_small(ratings: Ratings) -> bool:
    "Whether these are MovieLens latest small, on which settings were chosen"
    return (len(ratings), ratings.n_users, ratings.n_items) == (100_836, 610, 9_742)


def scored_a_choice(ratings: Ratings, rows: Ratings) -> list[Tensor]:
    "Which of `rows` of MovieLens latest small scored a choice of settings, for predicting and for ranking: two masks"
    often = torch.bincount(ratings.item.long(), minlength=ratings.n_items) >= 10
    common = ratings[often[ratings.item.long()]]
    def key(r: Ratings) -> Tensor: return r.user.long()*r.n_items + r.item.long()
    used = common.split(seed=1)[1], common.split("leave_one_out")[1]
    return [torch.isin(key(rows), key(u)) for u in used]


def frame_of(ratings: Ratings) -> pd.DataFrame:
    "Codes of users and items, and ratings, as a table"
    return pd.DataFrame({name: getattr(ratings, name).numpy() for name in ("user", "item", "rating")})


# ------------------------------------------------------------------ what is measured

def limits(train: Ratings) -> tuple[float, float]:
    "The lowest and the highest rating"
    return float(train.rating.min()), float(train.rating.max())


def y_range(train: Ratings) -> tuple[float, float]:
    "What a net's sigmoid reaches"
    return 0., limits(train)[1] + 0.5


def errors(predicted: Tensor, train: Ratings, test: Ratings, seconds: float) -> dict[str, float]:
    "How far predictions are off, held to the ratings there are"
    pair = predicted.double().clamp(*limits(train)), test.rating.double()
    return {"rmse": rmse(*pair).item(), "mae": mae(*pair).item(), "seconds": seconds}


def cpu_seconds(work: Callable[[], object]) -> float:
    "CPU seconds of `work`"
    start = time.process_time()
    work()
    return time.process_time() - start


class Counted(MostRated):
    "Mean and biases, by counting and adding up: the cheapest guess"
    predicts_ratings = True

    def predict_codes(self, users: Tensor, items: Tensor, want_std: bool = False) -> tuple[Tensor, None]:
        "The damped means of user and item"
        return self.baseline.rating(users, items), None


def contestants(train: Ratings) -> Iterator[tuple[str, Callable[[], Recommender], dict]]:
    "The name of each model, how it is made, and with what it is fitted"
    dot = partial(DotProductBias, 50, y_range(train))
    yield "Mean and biases, counted", Counted, {}
    yield "ALS", ALS, {}
    yield "BayesianMF, short (8 factors, 40 draws)", partial(BayesianMF, 8, samples=30, burn=10), {}
    yield "BayesianMF without side information", partial(BayesianMF, 16, samples=150, burn=30, side=False), {}
    yield "BayesianMF", BayesianMF, {}
    yield "DotProductBias, batch 64", dot, {"bs": 64}
    yield "DotProductBias, batch 1024", dot, {"bs": 1024, "epochs": 6}
    yield "CollabNN, batch 1024", partial(CollabNN, y_range=y_range(train)), {"bs": 1024}


def accuracy(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows:
    "Errors of every model on every fold"
    rows: Rows = {}
    def keep(name: str, row: dict[str, float]) -> None:
        rows.setdefault(name, []).append(row)
        print(len(rows[name]), name, row, flush=True)
    for k, (train, test) in enumerate(folds, 1):
        for name, make, kwargs in contestants(train):
            if args.only not in name: continue
            torch.manual_seed(k)
            model = make()
            took = cpu_seconds(lambda: model.fit(train, **kwargs))
            keep(name, errors(model.predict(test), train, test, took))
            if name == "BayesianMF":
                timed = TimeResiduals(model)
                took += cpu_seconds(lambda: timed.fit(train))
                keep("BayesianMF + TimeResiduals (uses the sitting)", errors(timed.predict(test), train, test, took))
        args.keep(rows)
    return rows


def fastai(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows:
    "fastai's dot product, with the loader that it takes by itself and with one that shows every rating once"
    from fastai.collab import CollabDataLoaders, collab_learner
    from fastai.tabular.core import TabDataLoader
    rows: Rows = {}
    for train, test in folds[:args.fastai_folds]:
        for name, more in (("as shipped", {}), ("dl_type=TabDataLoader", {"dl_type": TabDataLoader})):
            dls = CollabDataLoaders.from_df(frame_of(train), bs=64, valid_pct=0.0001, seed=0, **more)
            learn = collab_learner(dls, n_factors=50, y_range=y_range(train))
            with learn.no_bar(), learn.no_logging(): took = cpu_seconds(lambda: learn.fit_one_cycle(5, 5e-3, wd=0.1))
            codes = [[dls.classes[c].o2i[v] for v in getattr(test, c).tolist()] for c in ("user", "item")]
            with torch.no_grad(): predicted = learn.model.eval()(torch.tensor(codes).T)
            rows.setdefault(f"fastai dot product, {name}", []).append(errors(predicted, train, test, took))
            print(name, rows[f"fastai dot product, {name}"][-1], flush=True)
    return rows


PEER = """
import sys, time, json, pandas as pd
from surprise import SVD, KNNBaseline, BaselineOnly, Dataset, Reader
sim = {'user_based': False, 'name': 'pearson_baseline'}
makers = {'Surprise BaselineOnly': lambda: BaselineOnly(verbose=False), 'Surprise SVD': lambda: SVD(random_state=0),
          'Surprise KNNBaseline (items)': lambda: KNNBaseline(sim_options=sim, verbose=False)}
out = {}
for k in range(1, int(sys.argv[2]) + 1):
    train, test = (pd.read_csv(f'{sys.argv[1]}/{k}.{end}') for end in ('base', 'test'))
    scale = Reader(rating_scale=(train.rating.min(), train.rating.max()))
    ts = Dataset.load_from_df(train, scale).build_full_trainset()
    for name, make in makers.items():
        if 'KNN' in name and ts.n_items > 5000: continue  # similarities of all pairs of items
        start = time.process_time(); m = make(); m.fit(ts); seconds = time.process_time() - start
        e = [m.predict(u, i).est - r for u, i, r in test.itertuples(index=False)]
        found = {'rmse': (sum(x*x for x in e)/len(e))**0.5, 'mae': sum(map(abs, e))/len(e), 'seconds': seconds}
        out.setdefault(name, []).append(found)
print(json.dumps(out))
"""


def surprise(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows | None:
    "scikit-surprise, in a Python that has it"
    with tempfile.TemporaryDirectory() as place:
        for k, pair in enumerate(folds, 1):
            for end, r in zip(("base", "test"), pair): frame_of(r).to_csv(f"{place}/{k}.{end}", index=False)
        done = subprocess.run([args.surprise, "-c", PEER, place, str(len(folds))], capture_output=True, text=True)
    if "No module named 'surprise'" in done.stderr:
        print("scikit-surprise is not there, so this part is left out; --surprise names a Python that has it")
        return None
    if done.returncode: raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def ranking(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows:
    "Each user's last rating among all items, and among 99 others"
    train, test = ratings.split("leave_one_out")
    if is_latest_small(ratings):
        train, test = train.split("leave_one_out")
        test = test[~scored_a_choice(ratings, test)[1]]
    torch.manual_seed(0)
    rows: Rows = {}
    dot = DotProductBias(50, y_range(train))
    for model, kwargs in ((MostRated(), {}), (dot, {"bs": 1024}), (ALS(), {}), (EASE(), {}), (ImplicitALS(), {})):
        took = cpu_seconds(lambda: model.fit(train, **kwargs))
        sampled, full = evaluate(model, test, negatives=99), evaluate(model, test)
        rows[type(model).__name__] = [{
            "hit rate@10, all items": full["hit_rate@10"], "ndcg@10, all items": full["ndcg@10"],
            "coverage@10": full["coverage@10"], "hit rate@10 of 99": sampled["hit_rate@10"],
            "ndcg@10 of 99": sampled["ndcg@10"], "seconds": took}]
    return rows


def speed(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows:
    "Seconds an epoch beside fastai's"
    from fastai.collab import CollabDataLoaders, collab_learner
    train, _ = folds[0]
    took = {}
    for bs in (64, 8192):
        model = DotProductBias(50, y_range(train))
        model.fit(train, bs=bs, epochs=3)
        took[f"DotProductBias, batch {bs}"] = float(np.median([h.seconds for h in model.history]))
    for bs in (8192, 64):  # the short one first, which warms up what the other uses
        dls = CollabDataLoaders.from_df(frame_of(train), bs=bs, valid_pct=0.0001, seed=0)
        learn = collab_learner(dls, n_factors=50, y_range=y_range(train))
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 5e-3, wd=0.1)
        took[f"fastai, batch {bs}"] = time.perf_counter() - start
    slow = took["fastai, batch 64"]
    return {name: [{"seconds an epoch": s, "times faster than fastai at 64": slow/s}] for name, s in took.items()}


def synthetic(n: int, seed: int = 0) -> pd.DataFrame:
    "`n` ratings of different pairs, users and items drawn by power laws"
    rng = np.random.default_rng(seed)
    n_users, n_items = max(n//100, 1000), 50_000
    def draw(size: int, n: int) -> np.ndarray: return np.minimum((n*rng.random(size)**2.2).astype(np.int64), n - 1)
    keys = np.empty(0, np.int64)
    while (short := n - len(keys)) > 0:
        more = int(short*1.3) + 1000
        keys = np.unique(np.concatenate([keys, draw(more, n_users)*n_items + draw(more, n_items)]))
    keys = rng.permutation(keys)[:n]
    ratings = rng.integers(1, 6, n).astype(np.float64)
    return pd.DataFrame({"user": keys//n_items + 7, "item": keys % n_items + 1, "rating": ratings})


READ = """
import sys, json, time
import numpy as np, pandas as pd, torch
from pathlib import Path
from course_lib.collab import Ratings
torch.set_num_threads(1)
frame = pd.DataFrame({c: np.load(f'{sys.argv[1]}/{c}.npy') for c in ('user', 'item', 'rating')})
Ratings.from_df(frame[:1000])
def status(name):
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(x.split()[1])/1024 for x in lines if x.startswith(name))
before = status('VmRSS')
Path('/proc/self/clear_refs').write_text('5')  # forget the peak so far
start = time.perf_counter()
r = Ratings.from_df(frame)
seconds = time.perf_counter() - start
print(json.dumps([seconds, status('VmHWM') - before]))
"""  # memory is read as Linux gives it


def read_in(frame: pd.DataFrame) -> tuple[float, float]:
    "Seconds and MB to read a table in, in a fresh process, so that memory freed before does not hide what is needed"
    with tempfile.TemporaryDirectory() as place:
        for c in frame: np.save(f"{place}/{c}.npy", frame[c].to_numpy())
        done = subprocess.run([sys.executable, "-c", READ, place], capture_output=True, text=True, cwd=ROOT)
    if done.returncode: raise SystemExit(done.stderr)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def large(ratings: Ratings, folds: Folds, args: argparse.Namespace) -> Rows:
    "Reading and looping over many ratings, finding the best of many items"
    rows: Rows = {}
    for n in (10**5, 10**6, 10**7):
        frame = synthetic(n)
        seconds, peak = read_in(frame)
        r = Ratings.from_df(frame)
        del frame
        start = time.perf_counter()
        for _ in r.loaders(64, device="cpu").train: pass
        rows[f"{n:,} ratings"] = [{
            "read in, s": seconds, "peak memory, MB": peak, "held, MB": (r.pairs.nbytes + r.rating.nbytes)/2**20,
            "loader pass at 64, s": time.perf_counter() - start}]
        print(n, rows[f"{n:,} ratings"], flush=True)
    g = torch.Generator().manual_seed(0)
    items = torch.randn(10**6, 50, generator=g)
    for users in (1, 64):
        q = torch.randn(users, 50, generator=g)
        ms = timeit(lambda: top_k(q, items, 10), 15 if users == 1 else 6).value*1000
        rows[f"top 10 of a million items, {users} user{'s'*(users > 1)}"] = [{"ms": ms}]
    return rows


PARTS = {"accuracy": accuracy, "fastai": fastai, "surprise": surprise, "ranking": ranking, "speed": speed,
         "large": large}


# ------------------------------------------------------------------ the page

TITLES = {"accuracy": "Accuracy, mean over folds (± standard deviation over folds; CPU seconds of fit a fold)",
          "fastai": "fastai's collab_learner, 5 epochs, batch 64", "surprise": "scikit-surprise, default settings",
          "ranking": "Ranking, one rating of each user left out", "speed": "Seconds an epoch",
          "large": "Many ratings, many items"}
PUBLISHED = """Published for u1, by their authors: GLocal-K 0.889 (Han et al. 2021), myFM 0.888 (its documentation),
GC-MC 0.905 (van den Berg et al. 2017). BayesianMF is told age, work, genres and years, and which films a user rated;
its row without side information is told ids alone."""


def cells(runs: list[dict[str, float]], columns: list[str], first: str) -> dict[str, str]:
    "Means over folds, the error with its deviation, and the error of the first fold"
    found = {}
    for c in columns:
        values = [r[c] for r in runs if c in r]
        spread = f" ± {np.std(values, ddof=1):.4f}" if c == "rmse" and len(values) > 1 else ""
        found[c] = f"{np.mean(values):.4g}{spread}" if values else ""
    return found | ({f"{first} rmse": f"{runs[0]['rmse']:.4f}", "folds": str(len(runs))} if "rmse" in columns else {})


def section(part: str, entry: dict) -> list[str]:
    "The paragraphs of one part on one data set"
    rows, published = entry["rows"], "published" in entry["data"]
    columns = list(dict.fromkeys(c for runs in rows.values() for c in runs[0]))
    first = "u1" if published else "fold 1"
    lines = [{"what": name} | cells(runs, columns, first) for name, runs in rows.items()]
    said = f"{entry['data']}; {entry['machine']}"
    return [f"## {TITLES[part]}", said, table(lines), *([PUBLISHED] if part == "accuracy" and published else [])]


def write(store: dict) -> None:
    "results/collab.md and collab.csv"
    parts = ["# Collaborative filtering: accuracy, speed, memory",
             "Seconds of `fit` are CPU seconds of one thread, on machines that did other work too."]
    for part in TITLES: parts += [p for s in store.values() if s["part"] == part for p in section(part, s)]
    (RESULTS/"collab.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    with open(RESULTS/"collab.csv", "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["part", "data", "what", "run", "measure", "value"])
        out.writerows([s["part"], s["data"], name, k, measure, v] for s in store.values()
                      for name, runs in s["rows"].items() for k, r in enumerate(runs, 1) for measure, v in r.items())


def judged(part: str, name: str, ratings: Ratings) -> str:
    "What a part is measured on"
    if part == "large": return "synthetic ratings"
    if part != "ranking": return name
    return name.split(", ")[0] + ", each user's last rating" + " but one"*is_latest_small(ratings)


def main() -> None:
    "Measure the parts that are asked for; the others stay as they were"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--data", help="a MovieLens folder")
    parser.add_argument("--folds", type=int, default=5, help="how many of the five folds")
    parser.add_argument("--only", default="", help="accuracy: only models whose name holds this; other rows stay")
    parser.add_argument("--fastai-folds", type=int, default=1)
    parser.add_argument("--surprise", default=sys.executable, help="a Python with scikit-surprise")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ratings, folds, name = data(args.data)
    file = RESULTS/"collab.json"
    store = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    def keep(part: str, rows: Rows | None) -> None:
        if not rows: return
        on = judged(part, name, ratings)
        if args.only: rows = store.get(f"{part}, {on}", {}).get("rows", {}) | rows
        store[f"{part}, {on}"] = {"part": part, "data": on, "machine": machine(), "command": command(), "rows": rows}
        file.write_text(json.dumps(store, indent=1) + "\n", encoding="utf-8")
        write(store)
    for part in args.parts:
        args.keep = partial(keep, part)
        keep(part, PARTS[part](ratings, folds[:args.folds], args))
    print((RESULTS/"collab.md").read_text(encoding="utf-8"))


if __name__ == "__main__": main()
