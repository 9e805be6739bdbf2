"""Real tables: `TabularNet` beside trees, boosting and a line. Needs the real data: COURSE_LIB_DATA names their folder.

    COURSE_LIB_DATA=folder python -m benchmarks.tabular_real [--seeds 3]

Adult: settings were chosen on two of five folds of its rows; the fifth fold, unseen until then, judges, the other four
train. Bulldozers: the last 28% by time judge; settings were chosen on the last 28% of the rest. XGBoost and CatBoost
take LightGBM's number of trees and rate and are otherwise as shipped.
LightGBM, XGBoost and CatBoost are requirements of this benchmark alone; what is not installed is left out. Writes
results/tabular_real.md and .csv.
"""
import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.harness import machine, write
from course_lib.core import mean_ci
from course_lib.data import get
from course_lib.tabular import OneR, TabularNet, TabularPrep, blend, date_parts, time_split, tree_columns

PEERS = [name for name in ("lightgbm", "xgboost", "catboost") if importlib.util.find_spec(name)]

BULLDOZERS = dict(skip=False, emb_size=16, hidden=(256, 128), n_epochs=12, batch_size=128, n_bins=48, weight_decay=1.)
BOOSTING = dict(n_estimators=600, learning_rate=0.05, num_leaves=31, min_child_samples=10, subsample=0.8,
                subsample_freq=1, colsample_bytree=0.4, verbose=-1, n_jobs=1)


def adult() -> tuple:
    "Frame, target, names of categories and numbers, places to learn from and to judge by"
    df = pd.read_csv(get("adult_sample")/"adult.csv")
    conts = ["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    cats = [c for c in df.columns if c not in [*conts, "salary"]]
    y = (df.salary.str.strip() == ">=50k").to_numpy().astype(int)
    learn, judge = list(StratifiedKFold(5, shuffle=True, random_state=77).split(df, y))[4]
    return df, y, cats, conts, learn, judge


def bulldozers() -> tuple:
    "The same; the target is the log of the price"
    folder = get("bulldozers_valid")
    df = pd.read_csv(folder/"Valid.csv", low_memory=False).merge(pd.read_csv(folder/"ValidSolution.csv"), on="SalesID")
    dates = pd.to_datetime(df.saledate)
    df = df.assign(elapsed=date_parts(dates)["elapsed"], day_of_week=dates.dt.day_of_week, model=df.ModelID)
    conts = ["YearMade", "MachineHoursCurrentMeter", "elapsed", "MachineID", "ModelID"]
    cats = [c for c in df.columns if c not in [*conts, "SalesID", "SalePrice", "Usage", "saledate"]]
    return df, np.log(df.SalePrice.to_numpy()), cats, conts, *time_split(dates, 0.28)


def encoded(df: pd.DataFrame, prep: TabularPrep) -> np.ndarray:
    "Categories with their commonest fifty levels as columns of their own, numbers, gaps filled and marked"
    rows = prep.transform(df)
    levels = [rows.codes[:, [j]] == np.arange(1, 51) for j in range(rows.codes.shape[1])]
    return np.concatenate([*levels, rows.numbers, rows.missing], 1).astype(np.float32)


def rivals(df: pd.DataFrame, y: np.ndarray, cats: list, conts: list, learn: np.ndarray,
           settings: dict, boosting: dict) -> dict[str, Callable]:
    "{name: predict(seed, rows to judge)}; settings of the network and of the boosting libraries"
    prep = TabularPrep(cats, conts).fit(df.iloc[learn])
    trees, classes = tree_columns(prep, df), y.dtype.kind != "f"

    def say(model: object, X: object, rows: np.ndarray) -> np.ndarray:
        return model.predict_proba(X)[:, 1] if classes else model.predict(X)

    def net(seed: int, rows: np.ndarray) -> np.ndarray:
        model = TabularNet(cats, conts, seed=seed, **settings).fit(df.iloc[learn], y[learn])
        return say(model, df.iloc[rows], rows)

    def on(make: Callable, X: np.ndarray) -> Callable:
        return lambda seed, rows: say(make(seed).fit(X[learn], y[learn]), X[rows], rows)

    table, line = trees.to_numpy(), encoded(df, prep)
    forest = RandomForestClassifier if classes else RandomForestRegressor
    boost = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    found = {"TabularNet": net, "one column (OneR)": on(lambda seed: OneR(), table),
             "a line": on(lambda seed: LogisticRegression(max_iter=300) if classes else Ridge(), line),
             "scikit-learn's forest of 100": on(lambda seed: forest(100, random_state=seed, min_samples_leaf=2), table),
             "scikit-learn's HistGradientBoosting": on(lambda seed: boost(random_state=seed), table)}
    codes = trees.assign(**{c: trees[c].fillna(-1).astype(int) for c in cats})

    def boosted(peer: str) -> Callable:
        table = trees if peer == "lightgbm" else codes
        if peer != "catboost": table = table.astype(dict.fromkeys(cats, "category"))
        return lambda seed, rows: say(booster(peer, seed, classes, cats, boosting).fit(table.iloc[learn], y[learn]),
                                      table.iloc[rows], rows)

    return found | {NAMES[peer]: boosted(peer) for peer in PEERS}


NAMES = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost"}


def booster(peer: str, seed: int, classes: bool, cats: list, options: dict) -> Any:
    "A boosting library's model; XGBoost and CatBoost get LightGBM's number of trees and rate"
    kind, module = "Classifier" if classes else "Regressor", importlib.import_module(peer)
    if peer == "lightgbm": return getattr(module, f"LGBM{kind}")(random_state=seed, **options)
    trees, rate = options.get("n_estimators"), options.get("learning_rate")
    if peer == "xgboost":
        return getattr(module, f"XGB{kind}")(n_estimators=trees, learning_rate=rate, random_state=seed, n_jobs=1,
                                             enable_categorical=True)
    return getattr(module, f"CatBoost{kind}")(iterations=trees, learning_rate=rate, random_seed=seed, thread_count=1,
                                              cat_features=cats, verbose=0, allow_writing_files=False)


def rmse(y: np.ndarray, told: np.ndarray) -> float: return float(np.sqrt(np.square(told - y).mean()))


def measured(name: str, seeds: int) -> list[dict]:
    "Rows of the table for one set of data"
    df, y, cats, conts, learn, judge = adult() if name == "Adult" else bulldozers()
    rows, said = [], {}
    boosting = BOOSTING | (dict(n_estimators=300, learning_rate=0.04, min_child_samples=20) if name == "Adult" else {})
    models = rivals(df, y, cats, conts, learn, {} if name == "Adult" else BULLDOZERS, boosting)
    for model, predict in models.items():
        fixed = model in ("one column (OneR)", "a line")
        tries = 4 if name != "Adult" and model == "TabularNet" else seeds
        start = time.process_time()
        said[model] = [predict(seed, judge) for seed in range(1 if fixed else tries)]
        spent = (time.process_time() - start)/len(said[model])
        rows.append({"data": name, "model": model, **scored(name, said[model], y[judge]), "CPU seconds": spent})
        print(rows[-1], flush=True)
    mixes = {"mean of the TabularNets": [blend(said["TabularNet"])]}
    if "LightGBM" in said:
        mixes["mean of that and LightGBM"] = [blend([blend(said["TabularNet"]), blend(said["LightGBM"])])]
    rows += [{"data": name, "model": m, **scored(name, told, y[judge]), "CPU seconds": ""} for m, told in mixes.items()]
    print(rows[-2:], flush=True)
    return rows


def scored(name: str, said: list[np.ndarray], y: np.ndarray) -> dict:
    "Scores, with intervals over seeds where there are several"
    kinds = {"AUC": roc_auc_score, "log loss": log_loss} if name == "Adult" else {"RMSLE": rmse}
    found = {kind: [float(f(y, told)) for told in said] for kind, f in kinds.items()}
    shown = {kind: f"{np.mean(v):.4f}" + (f" ± {mean_ci(v).high - mean_ci(v).value:.4f}" if len(v) > 1 else "")
             for kind, v in found.items()}
    return {kind: shown.get(kind, "") for kind in ("AUC", "log loss", "RMSLE")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    rows = [row for name in ("Adult", "bulldozers") for row in measured(name, seeds)]
    head = f"""# Real tables: a network beside trees, boosting and a line

{machine("scikit-learn", "pandas", *PEERS)}

Adult: four fifths of the rows train, a fifth that no setting was chosen on judges. Bulldozers (the validation rows of
the competition): the last 28% by time judge. {seeds} seeds where a model has any, and four nets for the bulldozers; the
intervals (95%, Student's t) are over seeds, on the same rows: they say nothing of other rows. CPU seconds are those of
training and predicting once. XGBoost and CatBoost have LightGBM's number of trees and rate and are not tuned."""
    write("tabular_real", head, rows)


if __name__ == "__main__": main()
