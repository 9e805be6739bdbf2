"""Optimizers that promise to need no learning rate, on the problems of `benchmarks.lr_problems`: what they are worth
beside a finder.

`python -m benchmarks.lr_free` (COURSE_LIB_DATA set; `pip install prodigyopt dadaptation schedulefree`) trains each
problem of the final half with the batches and the first weights of the recorded runs, and adds its final validation
losses to results/lr_problems_free.csv; `python -m benchmarks.lr_regret` then judges them with the rules. Each
optimizer is used as its authors advise: Prodigy (Mishchenko and Defazio, 2023) and D-Adaptation (Defazio and
Mishchenko, 2023) with the factor 1 and a cosine that ends at zero, schedule-free AdamW (Defazio and others, 2024) with
its default rate of 0.0025 and no schedule, warmed up over a twentieth of the steps. All get the problem's weight decay.
"""
import argparse
import math
import time
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import lr_problems
from benchmarks.harness import RESULTS
from benchmarks.lr_problems import Problem

TABLE = RESULTS/"lr_problems_free.csv"


def cosine(opt: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    "From the whole of the factor to nothing"
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda t: (1 + math.cos(math.pi*t/steps))/2)


def prodigy(params: list[Tensor], wd: float, steps: int) -> torch.optim.Optimizer:
    "Prodigy, its weight decay apart from the gradient"
    from prodigyopt import Prodigy
    return Prodigy(params, weight_decay=wd)


def dadapt(params: list[Tensor], wd: float, steps: int) -> torch.optim.Optimizer:
    "Adam with D-Adaptation, its weight decay apart from the gradient"
    from dadaptation import DAdaptAdam
    return DAdaptAdam(params, weight_decay=wd, decouple=True)


def schedule_free(params: list[Tensor], wd: float, steps: int) -> torch.optim.Optimizer:
    "Schedule-free AdamW"
    from schedulefree import AdamWScheduleFree
    return AdamWScheduleFree(params, weight_decay=wd, warmup_steps=max(steps//20, 1))


FREE: dict[str, Callable] = {"Prodigy": prodigy, "D-Adaptation": dadapt, "schedule-free AdamW": schedule_free}


def ended(problem: Problem, make: Callable, seed: int) -> float:
    "The final validation loss of one run, at most the untrained one, as for the recorded runs"
    net = problem.module(seed)
    params = [p for p in net.parameters() if p.requires_grad]
    opt, order = make(params, problem.wd, problem.steps), problem.order(seed, problem.steps, 0)
    averages = hasattr(opt, "train")  # schedule-free: its weights are averages, which it hands out when asked
    schedule = None if averages else cosine(opt, problem.steps)
    untrained = validated(problem, net)
    if averages: opt.train()
    for indices in order:
        x, y = problem.batch(indices[None])
        loss = problem.loss(net(x[0][0])[None], y)[0]
        opt.zero_grad()
        loss.backward()
        opt.step()
        if schedule: schedule.step()
    if averages: opt.eval()
    loss = validated(problem, net)
    return min(loss, untrained) if math.isfinite(loss) else untrained


@torch.no_grad()
def validated(problem: Problem, net: nn.Module) -> float:
    "Loss on the validation data"
    return problem.loss(net(problem.vx[0])[None], problem.vy[None])[0].item()


def recorded(problem: str) -> dict[str, list[float]]:
    "{optimizer: final losses by seed} of a problem, as far as they are recorded"
    if not TABLE.exists(): return {}
    table = pd.read_csv(TABLE)
    of_problem = table[table.problem == problem].sort_values("seed").groupby("optimizer", sort=False)
    return {name: rows.loss.tolist() for name, rows in of_problem}


def main() -> None:
    "Record what is not recorded yet; delete the table to measure anew"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=4)
    args = parser.parse_args()
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.exists() else []
    have = {(r["problem"], r["optimizer"], r["seed"]) for r in rows}
    for problem in [p for p in lr_problems.LIST if p.name in lr_problems.halves()["final"]]:
        started = time.process_time()
        for name, make in FREE.items():
            for seed in range(args.seeds):
                if (problem.name, name, seed) in have: continue
                loss = ended(problem.load(), make, seed)
                rows.append({"problem": problem.name, "optimizer": name, "seed": seed, "loss": float(f"{loss:.5g}")})
        pd.DataFrame(rows).to_csv(TABLE, index=False)
        print(f"{problem.name}: {time.process_time() - started:.0f} CPU-seconds", flush=True)


if __name__ == "__main__": main()
