"""What an all-reduce costs: a latency and a bandwidth fitted to some sizes, and asked for sizes that were held out.

    python -m benchmarks.scaling [--sessions 5]

Every other size is held out. In each session two new processes on this machine (gloo) measure all sizes, small
messages and large ones by themselves, and each kind gets a fit of its own. Then the fit of the small ones is asked for
the large, which it has not been made for, and for four processes, which is a plan.
"""
import argparse

from benchmarks.harness import machine, median, write
from course_lib.scaling import CommModel, Workers

KINDS = {"4 KB to 1 MB": (range(12, 21), 40), "4 to 64 MB": (range(22, 27), 12)}  # powers of two, and repeats
LIMIT = 0.3  # of an error, as a share


def sizes_of(kind: str) -> list[int]: return [1 << power for power in KINDS[kind][0]]


def measured(rank: int, world: int) -> dict[str, tuple[float, ...]]:
    "Seconds of each size, in each process"
    return {kind: CommModel.fit(sizes_of(kind), repeats).seconds for kind, (_, repeats) in KINDS.items()}


def session(processes: int) -> dict[str, tuple[float, ...]]:
    "Seconds of each size, in new processes"
    with Workers(processes) as workers: return workers.run(measured)[0]


def named(size: float) -> str: return f"{size/2**20:g} MB" if size >= 2**20 else f"{size/2**10:g} KB"


def errors(model: CommModel, nodes: int, sizes: list[int], seconds: tuple[float, ...]) -> list[float]:
    "How far off each prediction is, as a share of what was measured"
    return [model.predict(nodes, size)/took - 1 for size, took in zip(sizes, seconds)]


def spread(found: list[float]) -> str: return f"{median(found):+.0%} ({min(found):+.0%} to {max(found):+.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=5)
    args = parser.parse_args()
    sessions = [session(2) for _ in range(args.sessions)]
    fits = {kind: [CommModel.of(2, sizes_of(kind)[::2], took[kind][::2]) for took in sessions] for kind in KINDS}
    rows, every = [], []
    for kind, models in fits.items():
        sizes = sizes_of(kind)[1::2]
        off = [errors(model, 2, sizes, took[kind][1::2]) for model, took in zip(models, sessions)]
        every += [abs(e) for row in off for e in row]
        for place, size in enumerate(sizes):
            rows.append({"fitted to": kind, "asked for": named(size),
                         "measured, ms": 1e3*median([took[kind][1::2][place] for took in sessions]),
                         "predicted, ms": 1e3*median([model.predict(2, size) for model in models]),
                         "error": spread([row[place] for row in off])})
    small, large = KINDS
    beyond = [e for model, took in zip(fits[small], sessions)
              for e in errors(model, 2, sizes_of(large), took[large])]
    four = session(4)
    plan = [e for model in fits[small] for e in errors(model, 4, sizes_of(small), four[small])]
    within = sum(e <= LIMIT for e in every)
    numbers = ", ".join(f"{kind}: {1e6*median([m.latency for m in models]):.0f} µs a turn and "
                        f"{median([m.bandwidth for m in models])/1e9:.2f} GB/s" for kind, models in fits.items())
    head = f"""# What a message costs

{machine()}

Two processes on this machine (gloo), {args.sessions} sessions with new processes. A latency and a bandwidth are fitted
to every other size, small messages and large ones by themselves, and asked for the sizes between. An error is the
prediction over the measurement, less one: the median over the sessions, and the lowest and highest."""
    tail = f"""Of {len(every)} predictions for sizes that were held out, {within} are within {LIMIT:.0%} of what was
measured; the largest error is {max(every):.0%}. The fits, as medians: {numbers}.

Where the fit has not been: made of small messages and asked for the large ones, it is off by {spread(beyond)}. Asked
for four processes, which here share two cores, and for small messages, it is off by {spread(plan)}: for more processes
than were measured it is a plan, and no more."""
    write("scaling", head, rows, tail)


if __name__ == "__main__": main()
