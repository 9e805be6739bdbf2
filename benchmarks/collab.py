"""Accuracy, ranking, speed and memory of course_lib.collab beside fastai's collab_learner and scikit-surprise.

`python benchmarks/collab.py accuracy ranking fastai surprise speed large` (any of the parts); results are kept in
results/collab.json, one entry a part and data set, and written out as results/collab.md and results/collab.csv.

The ratings are MovieLens 100K's five published folds if `course_lib.data.get('ml-100k')` finds the real files (or --data
names their folder), else five random folds of MovieLens latest small, else planted ratings. No setting was chosen on MovieLens
100K. They were chosen on MovieLens latest small, among its films with ten ratings or more: a random fifth of those ratings
scored the choices for predicting, each user's last of them the choices for ranking. On that set no rating that scored a choice
is a test rating here (`scored_a_choice`); such ratings may stand in training, and the ranking's test is each user's last but
one. Seconds are CPU seconds on one thread, of `fit` alone. --surprise PYTHON names a Python that has scikit-surprise; fastai's
epochs are slow, --fastai-folds says for how many folds.
"""
import argparse
import csv
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402

from course_lib.collab import (ALS, EASE, BayesianMF, CollabNN, DotProductBias, ImplicitALS, MostRated, Ratings,  # noqa: E402
                               TimeResiduals, evaluate, mae, rmse, top_k)
from course_lib.core import timeit  # noqa: E402
from course_lib.data import get  # noqa: E402

RESULTS = Path(__file__).resolve().parent/"results"
torch.set_num_threads(1)
warnings.simplefilter("ignore")


def data(path):
    "The ratings, their five folds and a name for them"
    if path is None:
        for name in ("ml-100k", "ml-latest-small"):
            try: found = get(name)
            except FileNotFoundError: continue
            if not (found/"planted.npz").exists():
                path = found
                break
    path = Path(path) if path else get("ratings")
    if (path/"ml-100k"/"u.data").exists(): path = path/"ml-100k"
    ratings = Ratings.from_movielens(path)
    called = "planted ratings" if (path/"planted.npz").exists() else path.name
    if (path/"u1.base").exists(): return ratings, [ratings.published_fold(k) for k in range(1, 6)], f"{called}, five published folds"
    folds = ratings.folds(5, seed=0)
    if not is_latest_small(ratings): return ratings, folds, f"{called}, five random folds"
    folds = [(train, test[~scored_a_choice(ratings, test)[0]]) for train, test in folds]
    return ratings, folds, f"{called}, five random folds, tests without the ratings that settings were chosen on"


def is_latest_small(ratings): return (len(ratings), ratings.n_users, ratings.n_items) == (100_836, 610, 9_742)


def scored_a_choice(ratings, rows):
    "Which of `rows` of MovieLens latest small scored a choice of settings, for predicting and for ranking: two masks"
    common = ratings[(torch.bincount(ratings.item.long(), minlength=ratings.n_items) >= 10)[ratings.item.long()]]
    key = lambda r: r.user.long()*r.n_items + r.item.long()
    return [torch.isin(key(rows), key(used)) for used in (common.split(seed=1)[1], common.split("leave_one_out")[1])]


def limits(train): return float(train.rating.min()), float(train.rating.max())


def errors(model, train, test, seconds):
    predicted = model.predict(test).clamp(*limits(train))
    return {"rmse": rmse(predicted, test.rating), "mae": mae(predicted, test.rating), "seconds": seconds}


def fitted(model, train, **kwargs):
    start = time.process_time()
    model.fit(train, **kwargs)
    return time.process_time() - start


def accuracy(ratings, folds, args):
    rows = {}
    for k, (train, test) in enumerate(folds, 1):
        low, high = limits(train)
        y_range = (0., high + 0.5)
        for name, make, kwargs in (
                ("ALS", lambda: ALS(), {}),
                ("BayesianMF, short (8 factors, 40 draws)", lambda: BayesianMF(8, samples=30, burn=10), {}),
                ("BayesianMF without side information", lambda: BayesianMF(16, samples=150, burn=30, side=False), {}),
                ("BayesianMF", lambda: BayesianMF(), {}),
                ("DotProductBias, batch 64", lambda: DotProductBias(50, y_range), {"bs": 64}),
                ("DotProductBias, batch 1024", lambda: DotProductBias(50, y_range), {"bs": 1024, "epochs": 6}),
                ("CollabNN, batch 1024", lambda: CollabNN(y_range=y_range), {"bs": 1024})):
            if args.only not in name: continue
            torch.manual_seed(k)
            model = make()
            rows.setdefault(name, []).append(errors(model, train, test, fitted(model, train, **kwargs)))
            print(k, name, rows[name][-1], flush=True)
            if name == "BayesianMF":
                timed = TimeResiduals(model)
                extra = fitted(timed, train)
                name = "BayesianMF + TimeResiduals (uses the sitting)"
                rows.setdefault(name, []).append(errors(timed, train, test, rows["BayesianMF"][-1]["seconds"] + extra))
                print(k, name, rows[name][-1], flush=True)
        args.keep(rows)
    return rows


def fastai(ratings, folds, args):
    from fastai.collab import CollabDataLoaders, collab_learner
    from fastai.tabular.core import TabDataLoader
    rows = {}
    for train, test in folds[:args.fastai_folds]:
        frame = pd.DataFrame({"user": train.user.numpy(), "item": train.item.numpy(), "rating": train.rating.numpy()})
        for name, more, kwargs in (("fastai dot product, as shipped", {}, {}), ("fastai dot product, dl_type=TabDataLoader", {"dl_type": TabDataLoader}, {})):
            dls = CollabDataLoaders.from_df(frame, bs=64, valid_pct=0.0001, seed=0, **more)
            learn = collab_learner(dls, n_factors=50, y_range=(0, limits(train)[1] + 0.5), **kwargs)
            start = time.process_time()
            with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(5, 5e-3, wd=0.1)
            seconds = time.process_time() - start
            user, item = [torch.tensor([dls.classes[c].o2i[v] for v in x.tolist()]) for c, x in (("user", test.user), ("item", test.item))]
            with torch.no_grad(): predicted = learn.model.eval()(torch.stack([user, item], 1)).clamp(*limits(train))
            rows.setdefault(name, []).append({"rmse": rmse(predicted, test.rating), "mae": mae(predicted, test.rating), "seconds": seconds})
            print(name, rows[name][-1], flush=True)
    return rows


PEER = """
import sys, time, json, pandas as pd
from surprise import SVD, KNNBaseline, BaselineOnly, Dataset, Reader
out = {}
for k in range(1, int(sys.argv[2]) + 1):
    train, test = (pd.read_csv(f'{sys.argv[1]}/{k}.{end}') for end in ('base', 'test'))
    ts = Dataset.load_from_df(train, Reader(rating_scale=(train.rating.min(), train.rating.max()))).build_full_trainset()
    for name, make in (('Surprise BaselineOnly', lambda: BaselineOnly(verbose=False)), ('Surprise SVD', lambda: SVD(random_state=0)),
                       ('Surprise KNNBaseline (items)', lambda: KNNBaseline(sim_options={'user_based': False, 'name': 'pearson_baseline'}, verbose=False))):
        if 'KNN' in name and ts.n_items > 5000: continue  # similarities of all pairs of items
        start = time.process_time(); m = make(); m.fit(ts); seconds = time.process_time() - start
        e = [m.predict(u, i).est - r for u, i, r in test.itertuples(index=False)]
        out.setdefault(name, []).append({'rmse': (sum(x*x for x in e)/len(e))**0.5, 'mae': sum(map(abs, e))/len(e), 'seconds': seconds})
print(json.dumps(out))
"""


def surprise(ratings, folds, args):
    with tempfile.TemporaryDirectory() as folder:
        for k, pair in enumerate(folds, 1):
            for end, r in zip(("base", "test"), pair):
                pd.DataFrame({"user": r.user.numpy(), "item": r.item.numpy(), "rating": r.rating.numpy()}).to_csv(f"{folder}/{k}.{end}", index=False)
        done = subprocess.run([args.surprise, "-c", PEER, folder, str(len(folds))], capture_output=True, text=True)
    if "No module named 'surprise'" in done.stderr:
        print(f"scikit-surprise is not in {args.surprise}, so this part is left out; --surprise names a Python that has it")
        return None
    if done.returncode: raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def ranking(ratings, folds, args):
    train, test = ratings.split("leave_one_out")
    if is_latest_small(ratings):
        train, test = train.split("leave_one_out")
        test = test[~scored_a_choice(ratings, test)[1]]
    torch.manual_seed(0)
    rows = {}
    for model, kwargs in ((MostRated(), {}), (DotProductBias(50, (0., limits(train)[1] + 0.5)), {"bs": 1024}), (ALS(), {}), (EASE(), {}), (ImplicitALS(), {})):
        seconds = fitted(model, train, **kwargs)
        sampled, full = evaluate(model, test, negatives=99), evaluate(model, test)
        rows[type(model).__name__] = [{
            "hit rate@10, all items": full["hit_rate@10"], "ndcg@10, all items": full["ndcg@10"],
            "coverage@10": full["coverage@10"], "hit rate@10 of 99": sampled["hit_rate@10"],
            "ndcg@10 of 99": sampled["ndcg@10"], "seconds": seconds}]
    return rows


def speed(ratings, folds, args):
    from fastai.collab import CollabDataLoaders, collab_learner
    train, _ = folds[0]
    y_range = (0., limits(train)[1] + 0.5)
    rows = {}
    for bs in (64, 8192):
        model = DotProductBias(50, y_range)
        model.fit(train, bs=bs, epochs=3)
        rows[f"DotProductBias, batch {bs}"] = [{"seconds an epoch": float(np.median([h.seconds for h in model.history]))}]
    frame = pd.DataFrame({"user": train.user.numpy(), "item": train.item.numpy(), "rating": train.rating.numpy()})
    for bs in (8192, 64):  # the short one first, which warms up what the other uses
        learn = collab_learner(CollabDataLoaders.from_df(frame, bs=bs, valid_pct=0.0001, seed=0), n_factors=50, y_range=y_range)
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 5e-3, wd=0.1)
        rows[f"fastai, batch {bs}"] = [{"seconds an epoch": time.perf_counter() - start}]
    slow = rows["fastai, batch 64"][0]["seconds an epoch"]
    for name, r in rows.items(): r[0]["times faster than fastai at 64"] = slow/r[0]["seconds an epoch"]
    return rows


def synthetic(n, seed=0):
    "`n` ratings of different pairs, users and items drawn by power laws"
    rng = np.random.default_rng(seed)
    n_users, n_items = max(n//100, 1000), 50_000
    draw = lambda size, n: np.minimum((n*rng.random(size)**2.2).astype(np.int64), n - 1)
    keys = np.empty(0, np.int64)
    while len(keys) < n: keys = np.unique(np.concatenate([keys, draw(int((n - len(keys))*1.3) + 1000, n_users)*n_items + draw(int((n - len(keys))*1.3) + 1000, n_items)]))
    keys = rng.permutation(keys)[:n]
    return pd.DataFrame({"user": keys//n_items + 7, "item": keys % n_items + 1, "rating": rng.integers(1, 6, n).astype(np.float64)})


READ = """
import sys, json, time, threading
sys.path.insert(0, sys.argv[2])
import numpy as np, pandas as pd, torch
from pathlib import Path
from course_lib.collab import Ratings
torch.set_num_threads(1)
frame = pd.DataFrame({c: np.load(f'{sys.argv[1]}/{c}.npy') for c in ('user', 'item', 'rating')})
Ratings.from_df(frame[:1000])
status = lambda name: next(int(x.split()[1])/1024 for x in Path('/proc/self/status').read_text().splitlines() if x.startswith(name))
before = status('VmRSS')
Path('/proc/self/clear_refs').write_text('5')  # forget the peak so far
start = time.perf_counter()
r = Ratings.from_df(frame)
seconds = time.perf_counter() - start
print(json.dumps([seconds, status('VmHWM') - before]))
"""  # memory is read as Linux gives it


def large(ratings, folds, args):
    rows = {}
    for n in (10**5, 10**6, 10**7):
        frame = synthetic(n)
        with tempfile.TemporaryDirectory() as folder:  # read in by a fresh process, so that memory freed before does not hide what is needed
            for c in frame: np.save(f"{folder}/{c}.npy", frame[c].to_numpy())
            done = subprocess.run([sys.executable, "-c", READ, folder, str(Path(__file__).resolve().parent.parent)], capture_output=True, text=True)
        if done.returncode: raise SystemExit(done.stderr)
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        r = Ratings.from_df(frame)
        del frame
        start, batches = time.perf_counter(), 0
        for _ in r.loaders(64, device="cpu").train: batches += 1
        rows[f"{n:,} ratings"] = [{"read in, s": seconds, "peak memory, MB": peak, "held, MB": (r.pairs.nbytes + r.rating.nbytes)/2**20, "loader pass at 64, s": time.perf_counter() - start}]
        print(n, rows[f"{n:,} ratings"], flush=True)
    g = torch.Generator().manual_seed(0)
    items = torch.randn(10**6, 50, generator=g)
    for users in (1, 64):
        q = torch.randn(users, 50, generator=g)
        rows[f"top 10 of a million items, {users} user{'s'*(users > 1)}"] = [{"ms": timeit(lambda: top_k(q, items, 10), 15 if users == 1 else 6).value*1000}]
    return rows


def table(rows, first="fold 1"):
    columns = list(dict.fromkeys(c for r in rows.values() for c in r[0]))
    head = ["", *columns, *([f"{first} rmse", "folds"] if "rmse" in columns else [])]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, runs in rows.items():
        cells = []
        for c in columns:
            values = [r[c] for r in runs if c in r]
            spread = f" ± {np.std(values, ddof=1):.4f}" if c == "rmse" and len(values) > 1 else ""
            cells.append(f"{np.mean(values):.4g}{spread}" if values else "")
        if "rmse" in columns: cells += [f"{runs[0]['rmse']:.4f}", str(len(runs))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


TITLES = {"accuracy": "Accuracy, mean over folds (± standard deviation over folds; CPU seconds of fit a fold)", "fastai": "fastai's collab_learner, 5 epochs, batch 64",
          "surprise": "scikit-surprise, default settings", "ranking": "Ranking, one rating of each user left out", "speed": "Seconds an epoch", "large": "Many ratings, many items"}


PUBLISHED = """Published for u1, by their authors: GLocal-K 0.889 (Han et al. 2021), myFM 0.888 (its documentation), GC-MC
0.905 (van den Berg et al. 2017). BayesianMF is told age, work, genres and years, and which films a user rated; its row
without side information is told ids alone."""


def write(store):
    cpu = next((x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), platform.processor()) if sys.platform == "linux" else platform.processor()
    text = ["# Collaborative filtering: accuracy, speed, memory", "", f"{cpu}, {os.cpu_count()} cores, one thread; Python {platform.python_version()}, torch {torch.__version__}.", ""]
    for part in TITLES:
        for s in (s for s in store.values() if s["part"] == part):
            text += [f"## {TITLES[part]}", "", f"{s['data']}; `{s['command']}`, {s['date']}.", "", table(s["rows"], "u1" if "published" in s["data"] else "fold 1"), ""]
            if part == "accuracy" and "ml-100k" in s["data"]: text += [PUBLISHED, ""]
    (RESULTS/"collab.md").write_text("\n".join(text))
    with open(RESULTS/"collab.csv", "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["part", "data", "what", "run", "measure", "value"])
        for s in store.values():
            for name, runs in s["rows"].items():
                for k, r in enumerate(runs, 1): out.writerows([s["part"], s["data"], name, k, m, v] for m, v in r.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=list(TITLES))
    parser.add_argument("--data", help="a MovieLens folder")
    parser.add_argument("--folds", type=int, default=5, help="how many of the five folds")
    parser.add_argument("--only", default="", help="accuracy: only the models whose name holds this text; the other rows stay")
    parser.add_argument("--fastai-folds", type=int, default=1)
    parser.add_argument("--surprise", default=sys.executable, help="a Python with scikit-surprise")
    args = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    ratings, folds, name = data(args.data)
    file = RESULTS/"collab.json"
    store = json.loads(file.read_text()) if file.exists() else {}
    def keep(part, rows):
        if not rows: return
        if args.only: rows = {**next((s["rows"] for s in store.values() if s["part"] == part and s["data"] == name), {}), **rows}
        on = {"large": "synthetic ratings", "ranking": name.split(", ")[0] + (", each user's last rating but one" if is_latest_small(ratings) else ", each user's last rating")}.get(part, name)
        more = "".join(f" --{n.replace('_', '-')} {getattr(args, n)}" for n in ("folds", "fastai_folds") if getattr(args, n) != parser.get_default(n))
        store[f"{part}, {on}"] = {"part": part, "data": on, "date": datetime.date.today().isoformat(),
                                  "command": f"python benchmarks/collab.py {part}{more}", "rows": rows}
        file.write_text(json.dumps(store, indent=1))
        write(store)
    for part in args.parts:
        args.keep = lambda rows: keep(part, rows)
        keep(part, globals()[part](ratings, folds[:args.folds], args))
    print((RESULTS/"collab.md").read_text())
