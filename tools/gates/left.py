"""What is left to mend: the rows of left.csv allow a place so much of a kind of fault, and no more; they only shrink.

`python -m tools.gates.left` writes the rows anew, and refuses where a kind has grown in all.
"""
import csv
import sys
from collections import Counter

from tools.gates import prose
from tools.notebooks import ROOT

LEFT = "tools/gates/left.csv"


def problems(root, found, kinds):
    "Where `found`, {(place, kind): how much}, is more than left.csv allows, or less than it says is left"
    rows = {(r["place"], r["kind"]): int(r["left"]) for r in prose.rows(root/LEFT) if r["kind"] in kinds}
    said = [f"{place}: {n} {kind}, allowed are {rows.get((place, kind), 0)}" for (place, kind), n in found.items()
            if n > rows.get((place, kind), 0)]
    return said + [f"{LEFT}: {place} has {found.get((place, kind), 0)} {kind} left, not {n}: run 'python -m "
                   f"tools.gates.left'"
                   for (place, kind), n in rows.items() if found.get((place, kind), 0) < n]


def main() -> int:
    "Write left.csv; 1 if a kind of fault has grown"
    from tools.gates import fake_cuda, lessons, library
    parts = (lessons.overtime, lessons.shapes, library.sizes, library.faults, fake_cuda.faults)
    found = {k: n for part in parts for k, n in part(ROOT).items() if n}
    before, now = Counter(), Counter()
    for r in prose.rows(ROOT/LEFT): before[r["kind"]] += int(r["left"])
    for (_, kind), n in found.items(): now[kind] += n
    with open(ROOT/LEFT, "w", encoding="utf-8", newline="") as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(["place", "kind", "left"])
        table.writerows([place, kind, n] for (place, kind), n in sorted(found.items()))
    grown = [f"{kind}: {before[kind]} before, {now[kind]} now" for kind in now if now[kind] > before[kind]]
    print("\n".join(grown or [f"{n} {kind} left" for kind, n in now.items()]))
    return bool(grown)


if __name__ == "__main__": sys.exit(main())
