"""What the suggestions for the problems of `benchmarks.lr_problems` are worth, judged from what that script recorded.

`python -m benchmarks.lr_regret` writes results/lr_problems.md. Nothing is trained: between two rates of the grid, a
third of a decade apart, the final loss of each seed is taken from the straight line between them, which lies above a
valley and so makes regrets a little too large. The trials of the library use rates of that same grid, so theirs are
the recorded runs themselves. Rates beyond the grid are not tried.
"""
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks import lr_problems
from benchmarks.harness import machine, write
from course_lib.core import mean_ci
from course_lib.lr_finder import LRCurve, NoSuggestion, grid_rates, lr_sweep, pick_trial, trial_plan
from course_lib.lr_finder.trials import _ABOVE_THE_PART

LINES = ("minimum", "valley", "steep", "slide", "robust")
DRAWS = 200  # of random rates


class Recorded:
    "What was recorded of one problem: rates, final losses [seeds, rates] by kind and share, and curves"
    def __init__(self, problem: lr_problems.Problem, runs: pd.DataFrame, curves: pd.DataFrame):
        self.problem, self.rates = problem, np.array(lr_problems.RATES[problem.opt])
        columns = [f"rate{i}" for i in range(len(self.rates))]
        kinds = runs.sort_values("seed").groupby(["kind", "share"])
        self.losses = {kind: rows[columns].to_numpy(float) for kind, rows in kinds}
        self.whole = self.losses["whole", 1.]
        self.seeds, self.curves = len(self.whole), []
        for text in curves.sort_values("seed").losses:
            run = torch.tensor([float(x) for x in text.split()], dtype=torch.float64)
            self.curves.append(LRCurve(lr_sweep()[:len(run)], (run,), 100))

    def complete(self) -> bool:
        "Whether all kinds of runs are recorded for all seeds"
        kinds = [(k, s) for k in ("part", "on the way") for s in lr_problems.SHARES]
        return all(len(self.losses.get(kind, ())) == self.seeds for kind in [*kinds, ("short", 1/4)])

    def regret(self, rates: np.ndarray) -> np.ndarray:
        "Final losses with a rate for each seed, as excess over the best rate of the grid in percent of its mean loss"
        best = self.whole[:, self.whole.mean(0).argmin()]
        at = [np.interp(math.log10(r), np.log10(self.rates), row) for r, row in zip(rates, self.whole)]
        return 100*(np.array(at) - best)/best.mean()

    def line(self, rule: str) -> list[float]:
        "What a rule reads from each curve; a thousandth where it reads nothing"
        said = [curve.suggest(rule) for curve in self.curves]
        return [1e-3 if isinstance(rate, NoSuggestion) else rate for rate in said]

    def trials(self, runs: float) -> list[float]:
        "What trials judged by validation data pick for each seed"
        share, count = trial_plan(runs)
        out = []
        for start, losses in zip(self.line("robust"), self.losses["part", share]):
            near = [int(np.abs(np.log(self.rates/rate)).argmin()) for rate in grid_rates(start, count)
                    if np.abs(np.log(self.rates/rate)).min() < 0.01]
            out.append(_ABOVE_THE_PART*pick_trial(self.rates[near].tolist(), losses[near].tolist()))
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
    "Regret of each rule over the seeds, and the spread of its answers in decades"
    rows = []
    answers = {rule: problem.line(rule) for rule in LINES}
    answers |= {f"trials with valid, {runs:g} runs": problem.trials(runs) for runs in (1, 2.5)}
    for rule, rates in answers.items():
        rows.append({"rule": rule, "regret": problem.regret(np.array(rates[:problem.seeds])),
                     "spread": float(np.log10(rates).std(ddof=1))})
    for runs in (1, 2.5):
        rows.append({"rule": f"random search, {runs:g} runs", "regret": problem.random(runs), "spread": math.nan})
        rows.append({"rule": f"successive halving, {runs:g} runs", "regret": problem.halving(runs), "spread": math.nan})
    return [{"problem": problem.problem.name, **row} for row in rows]


def half(name: str) -> list[Recorded]:
    "The completely recorded problems of a half"
    runs, curves, out = lr_problems.recorded(name, "runs"), lr_problems.recorded(name, "curves"), []
    for problem in lr_problems.LIST + lr_problems.MORE:
        mine = runs[runs.problem == problem.name]
        if len(mine) and (one := Recorded(problem, mine, curves[curves.problem == problem.name])).complete():
            out.append(one)
    return out


def summary(judged: pd.DataFrame) -> list[dict]:
    "For each rule its mean over problems with an interval, the worst problem, and the mean spread"
    out = []
    for rule, f in judged.groupby("rule", sort=False):
        each = f.regret.map(np.mean)
        mean = mean_ci(each.tolist())
        out.append({"rule": rule, "mean regret": f"{mean.value:.1f}% [{mean.low:.1f}, {mean.high:.1f}]",
                    "worst": f"{each.max():.0f}% ({f.problem[each.idxmax()]})",
                    "spread, decades": "" if f.spread.isna().all() else f"{f.spread.mean():.3f}"})
    return out


def main() -> None:
    "Judge what is recorded of both halves"
    head, rows = ["# What a suggested rate is worth on problems that nobody tuned on", machine(), __doc__ or ""], []
    for name, names in lr_problems.halves().items():
        got = half(name)
        head.append(f"{name} half: {len(got)} of {len(names)} problems are recorded"
                    + "".join(f"; {p.problem.name} ({p.seeds} seeds)" for p in got) + ".")
        if len(got) > 1:
            judged = pd.DataFrame([row for p in got for row in judge(p)])
            rows += [{"half": name, **row} for row in summary(judged)]
    head.append("Regret: excess of the final validation loss over that of the best rate of the grid; its 95% interval "
                "is over the problems. The constants of the trials were set on what is recorded of the development "
                "half.")
    write("lr_problems", "\n\n".join(head), rows)


if __name__ == "__main__": main()
