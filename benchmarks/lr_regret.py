"""What the suggestions for the problems of `benchmarks.lr_problems` are worth, judged from what that script recorded.

`python -m benchmarks.lr_regret` writes results/lr_problems.md, _judged.csv (each rule on each problem), _left_out.csv
(families of rules on the development half, each problem judged by constants chosen on the others) and _lengths.csv
(how the best rate moves with the length of the run). Nothing is trained: between two rates of the grid, a third of a
decade apart, the final loss of each seed is taken from the straight line between them, which lies above a valley and
so makes regrets a little too large. The trials of the library use rates of that same grid, so theirs are the recorded
runs themselves. Rates beyond the grid are not tried.
"""
import itertools
import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from benchmarks import lr_free, lr_problems
from benchmarks.harness import RESULTS, machine, write
from course_lib.core import mean_ci
from course_lib.lr_finder import LRCurve, NoSuggestion, grid_rates, lr_sweep, pick_trial, robust, settle, trial_plan
from course_lib.lr_finder.loops import _usual
from course_lib.lr_finder.trials import _POWER

ONE_LINE = ("minimum", "valley", "steep", "slide")
CONSTANTS = {"sgd": 0.1, "adam": 0.01, "adamw": 0.01}  # where the best rates of the development half lie about
DRAWS = 200  # of random rates
CAP = 100.  # a regret counts as no more than this where constants are chosen


class Recorded:
    "What was recorded of one problem: rates, final losses [seeds, rates] by kind and share, and curves"
    def __init__(self, problem: lr_problems.Problem, runs: pd.DataFrame, curves: pd.DataFrame):
        self.problem, self.rates = problem, np.array(lr_problems.RATES[problem.opt])
        columns = [f"rate{i}" for i in range(len(self.rates))]
        kinds = runs.sort_values("seed").groupby(["kind", "share"])
        losses = {kind: rows[columns].to_numpy(float) for kind, rows in kinds}
        self.seeds = min(map(len, losses.values())) if len(losses) == 10 else 0
        self.losses = {kind: rows[:self.seeds] for kind, rows in losses.items()}
        self.in_pass = int(curves.examples.iloc[0])//problem.bs if len(curves) else 0
        self.curves = [self.curve(text) for text in curves.sort_values("seed").losses]

    def curve(self, text: str) -> LRCurve:
        "One recorded search, with what `find_lr` would know"
        run = torch.tensor([float(x) for x in text.split()], dtype=torch.float64)
        usual = _usual(self.problem.opt, 0.9)
        return LRCurve(lr_sweep()[:len(run)], (run,), 100, usual=usual, in_pass=self.in_pass)

    @property
    def whole(self) -> np.ndarray: return self.losses["whole", 1.]

    @property
    def passes(self) -> float: return self.problem.steps/self.in_pass

    def best(self, kind: str = "whole", share: float = 1.) -> float:
        "log10 of the best rate of the grid"
        return math.log10(self.rates[self.losses[kind, share].mean(0).argmin()])

    def regret(self, rates: np.ndarray) -> np.ndarray:
        "Final losses with a rate for each seed, as excess over the best rate of the grid in percent of its mean loss"
        best = self.whole[:, self.whole.mean(0).argmin()]
        at = [np.interp(math.log10(r), np.log10(self.rates), row) for r, row in zip(rates, self.whole)]
        return 100*(np.array(at) - best)/best.mean()

    @cached_property
    def said(self) -> dict[str, list[float]]:
        "What each rule reads from each curve; a thousandth where it reads nothing"
        out = {rule: [curve.suggest(rule) for curve in self.curves] for rule in (*ONE_LINE, "lowest")}
        out["robust"] = [curve.suggest("robust", self.problem.steps) for curve in self.curves]
        guess = 4*self.curves[0].num_it/self.in_pass if self.curves else None
        out["robust, plan guessed"] = [x if isinstance(x, NoSuggestion) else robust(x, curve.usual, guess)
                                       for x, curve in zip(out["lowest"], self.curves)]
        out["one rate for each optimizer"] = [CONSTANTS[self.problem.opt]]*len(self.curves)
        return {rule: [1e-3 if isinstance(r, NoSuggestion) else r for r in rates] for rule, rates in out.items()}

    def at(self, kind: str, share: float, seed: int, rates: list[float]) -> tuple[list[float], list[float]]:
        "Those of `rates` that stand on the grid, and how the runs with them ended"
        near = [int(np.abs(np.log(self.rates/rate)).argmin()) for rate in rates]
        near = [i for i, rate in zip(near, rates) if abs(math.log(self.rates[i]/rate)) < 0.01]
        return self.rates[near].tolist(), self.losses[kind, share][seed, near].tolist()

    def trials(self, runs: float) -> list[float]:
        "What trials judged by validation data pick for each seed, as `LRCurve.suggest` does"
        out = []
        for seed, start in enumerate(self.said["robust"][:self.seeds]):
            answer = start
            for share, count, thirds in trial_plan(runs):
                best = pick_trial(*self.at("part", share, seed, grid_rates(answer, count, thirds)), _POWER)
                answer = settle(best, share, start)
            out.append(answer)
        return out

    def blind(self) -> list[float]:
        "What trials of a quarter pick by their training losses, from half to eight times `robust`"
        losses, x, out = self.losses["short, training loss", 1/4], np.log10(self.rates), []
        for start, row in zip(self.said["robust"], np.where(np.isfinite(losses), losses, 1e6)):
            rates = [start*2.**k for k in (-1, 0, 1, 2, 3)]
            out.append(pick_trial(rates, np.interp(np.log10(rates), x, row).tolist()))
        return out

    def drawn(self, pick: Callable[[np.ndarray, int], int]) -> np.ndarray:
        "Mean regret of each seed where `pick` chooses among rates in a random order"
        gen = np.random.default_rng(0)
        orders = [gen.permutation(len(self.rates)) for _ in range(DRAWS)]
        return np.mean([self.regret(np.array([self.rates[pick(order, s)] for s in range(self.seeds)]))
                        for order in orders], 0)

    def random(self, runs: float) -> np.ndarray:
        "Random rates, each a quarter of the run on all data, at the same cost"
        count = int(4*runs)
        return self.drawn(lambda order, s: min(order[:count], key=lambda i: self.losses["short", 1/4][s, i]))

    def halving(self, runs: float) -> np.ndarray:
        "Successive halving: random rates up to an eighth of their whole run, the better half of them up to a quarter"
        count = int(runs*16/3)
        def pick(order: np.ndarray, s: int) -> int:
            better = sorted(order[:count], key=lambda i: self.losses["on the way", 1/8][s, i])[:max(count//2, 1)]
            return min(better, key=lambda i: self.losses["on the way", 1/4][s, i])
        return self.drawn(pick)


def judge(problem: Recorded) -> list[dict]:
    "Mean regret of each rule over the seeds, and the spread of its answers in decades"
    rows, few = [], problem.seeds
    answers = dict(problem.said) | {"trials without valid": problem.blind()}
    answers |= {f"trials with valid, {runs:g} runs": problem.trials(runs) for runs in (1, 2.5)}
    for rule, rates in answers.items():
        rows.append({"rule": rule, "regret": problem.regret(np.array(rates[:few])).mean(),
                     "spread": float(np.log10(rates).std(ddof=1))})
    for runs in (1, 2.5):
        rows.append({"rule": f"random search, {runs:g} runs", "regret": problem.random(runs).mean()})
        rows.append({"rule": f"successive halving, {runs:g} runs", "regret": problem.halving(runs).mean()})
    for optimizer, losses in lr_free.recorded(problem.problem.name).items():
        best = problem.whole.mean(0).min()
        rows.append({"rule": f"{optimizer}, no rate", "regret": 100*(np.mean(losses[:few])/best - 1)})
    return [{"problem": problem.problem.name, "seeds": few, **row} for row in rows]


# ------------------------------------------------------------------ constants, each problem left out in turn

SHIFTS = np.arange(-4, 2.01, 0.05)  # constants to choose from, log10
WEIGHTS, POWERS = (0, 1/3, 1/2, 2/3, 1), (0., 0.5, 0.6, 0.75)


class Family:
    "Rules `rate = reading**weight * constant of the optimizer / passes**power`, with their regrets for each constant"
    def __init__(self, problems: list[Recorded], rule: str, weight: float, power: float):
        self.sgd = np.array([p.problem.opt == "sgd" for p in problems])
        self.regrets = np.array([self.curve(p, rule, weight, power) for p in problems])

    def curve(self, p: Recorded, rule: str, weight: float, power: float) -> np.ndarray:
        "Regret [shifts] of one problem, the mean over seeds and searches"
        read = weight*np.log10(p.said[rule]) - power*math.log10(max(p.passes, 1))
        mean = p.whole.mean(0)
        loss = np.interp(read[:, None] + SHIFTS, np.log10(p.rates), mean).mean(0)
        return 100*(loss/mean.min() - 1)

    def fitted(self, use: np.ndarray) -> tuple[dict[bool, int], float]:
        "For SGD or not, the place of the best constant on some problems; and what it costs them"
        places, total = {}, 0.
        for kind in (True, False):
            costs = np.minimum(self.regrets[use & (self.sgd == kind)], CAP)
            near = np.flatnonzero(costs.mean(0) <= costs.mean(0).min() + 0.5)
            places[kind] = int(near[len(near)//2])
            total += costs[:, places[kind]].sum()
        return places, total/use.sum()

    def left_out(self, i: int) -> tuple[float, float]:
        "What the other problems pay with the constants chosen on them, and what problem `i` pays"
        places, cost = self.fitted(np.arange(len(self.sgd)) != i)
        return cost, float(self.regrets[i, places[bool(self.sgd[i])]])


def families(problems: list[Recorded]) -> list[dict]:
    "Each family with its constants chosen on the other problems, and the choice of a family left to them as well"
    made = {(rule, w, power): Family(problems, rule, w, power)
            for rule, w, power in itertools.product(("lowest", "minimum", "valley"), WEIGHTS, POWERS)
            if w or rule == "lowest"}
    left = {key: [family.left_out(i) for i in range(len(problems))] for key, family in made.items()}
    rows = []
    for (rule, weight, power), pairs in left.items():
        paid, places = [p for _, p in pairs], made[rule, weight, power].fitted(np.ones(len(problems), bool))[0]
        rows.append({"reading": rule if weight else "none", "weight": round(weight, 2), "power of passes": power,
                     "mean": np.mean(paid), "worst": max(paid), "median": np.median(paid),
                     "SGD": 10**SHIFTS[places[True]], "Adam": 10**SHIFTS[places[False]]})
    chosen = [min(left.values(), key=lambda pairs: pairs[i][0])[i][1] for i in range(len(problems))]
    rows.append({"reading": "the best of these on the others", "mean": np.mean(chosen), "worst": max(chosen),
                 "median": np.median(chosen)})
    return rows


def lengths(problems: list[Recorded]) -> list[dict]:
    "How far the best rate of shorter runs lies above that of the whole one, in decades"
    rows = []
    for kind, share in [("short", 1/8), ("short", 1/4), *(("part", share) for share in lr_problems.PARTS)]:
        moved = mean_ci([p.best(kind, share) - p.best() for p in problems])
        what = "on all data" if kind == "short" else "on as large a part of the data"
        rows.append({"run": f"{share:g} of the steps, {what}", "decades above": moved.value, "low": moved.low,
                     "high": moved.high})
    return rows


# ------------------------------------------------------------------ the page

def half(name: str) -> list[Recorded]:
    "The completely recorded problems of a half"
    runs, curves = lr_problems.recorded(name, "runs"), lr_problems.recorded(name, "curves")
    listed = [p for p in lr_problems.LIST + lr_problems.MORE if p.name in set(runs.problem)]
    got = [Recorded(p, runs[runs.problem == p.name], curves[curves.problem == p.name]) for p in listed]
    return [p for p in got if p.seeds]


def summary(judged: pd.DataFrame) -> list[dict]:
    "For each rule its mean over problems with an interval, the worst problem, and the mean spread"
    out = []
    for rule, f in judged.groupby("rule", sort=False):
        mean, worst = mean_ci(f.regret.tolist()), f.loc[f.regret.idxmax()]
        out.append({"rule": rule, "mean regret": f"{mean.value:.1f}% [{mean.low:.1f}, {mean.high:.1f}]",
                    "worst": f"{worst.regret:.0f}% ({worst.problem})",
                    "spread, decades": "" if f.spread.isna().all() else f"{f.spread.mean():.3f}"})
    return out


def against(judged: pd.DataFrame, rule: str) -> str:
    "A rule beside the best one-line rule, paired over problems"
    wide = judged.pivot(index="problem", columns="rule", values="regret")
    rival = min(ONE_LINE, key=lambda r: wide[r].mean())
    gain = mean_ci(wide[rule].tolist(), wide[rival].tolist())
    return (f"`{rule}` beside `{rival}`, the best one-line rule: {wide[rule].mean():.1f}% against "
            f"{wide[rival].mean():.1f}%, difference {gain.value:.1f} points [{gain.low:.1f}, {gain.high:.1f}] over "
            f"{gain.n} problems.")


def main() -> None:
    "Judge what is recorded of both halves"
    head = ["# What a suggested rate is worth on problems nobody tuned on", machine(), __doc__ or ""]
    rows, all_judged = [], []
    for name, names in lr_problems.halves().items():
        got = half(name)
        head.append(f"{name} half: {len(got)} of {len(names)} problems are recorded, "
                    f"with {min((p.seeds for p in got), default=0)} seeds or more.")
        if len(got) < 2: continue
        judged = pd.DataFrame([row for p in got for row in judge(p)])
        all_judged.append(judged.assign(half=name))
        rows += [{"half": name, **row} for row in summary(judged)]
        head.append(against(judged, "robust"))
        if name == "development":
            pd.DataFrame(families(got)).round(3).to_csv(RESULTS/"lr_problems_left_out.csv", index=False)
            pd.DataFrame(lengths(got)).round(3).to_csv(RESULTS/"lr_problems_lengths.csv", index=False)
    pd.concat(all_judged).round(3).to_csv(RESULTS/"lr_problems_judged.csv", index=False)
    head.append("Regret: excess of the final validation loss over that of the best rate of the grid; its 95% interval "
                "is over the problems. All constants were set on the development half, so its rows flatter `robust`, "
                "the trials and the one rate for each optimizer; lr_problems_left_out.csv says by how much.")
    write("lr_problems", "\n\n".join(head), rows)


if __name__ == "__main__": main()
