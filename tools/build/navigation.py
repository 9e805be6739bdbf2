"""Write the line under the promise of every lesson: the lesson before, the index, the lesson after, minutes to read.

`python -m tools.build.navigation` writes them (`python course.py export` calls this).
"""
import re
from pathlib import Path

import nbformat

from tools.build.workbooks import BEGIN
from tools.notebooks import ROOT, code_lines, lessons, title

LINE = re.compile(r"^.*\(index\.ipynb\).*$", re.M)
WORDS, LINES = 200, 12  # that are read in a minute


def minutes(nb) -> int:
    "How long it takes to read a lesson up to its exercises, its folded cells left out, in steps of five minutes"
    stop = next((i for i, c in enumerate(nb.cells) if c.source.startswith(BEGIN)), len(nb.cells))
    seen = [c for c in nb.cells[:stop] if not c.metadata.get("jupyter", {}).get("source_hidden")]
    words = sum(len(c.source.split()) for c in seen if c.cell_type == "markdown")
    lines = sum(len(code_lines(c)) for c in seen if c.cell_type == "code")
    return max(5*round((words/WORDS + lines/LINES)/5), 5)


def first_cells(root: Path) -> dict[Path, tuple]:
    "{lesson: (notebook, its first markdown cell, what that cell should say)}"
    nbs = {p: nbformat.read(p, 4) for p in lessons(root)}
    names = {p: title(nb).split(":")[0] for p, nb in nbs.items()}
    made, road = {}, list(nbs)
    for before, path, after in zip([None, *road], road, [*road[1:], None]):
        parts = [f"[← {names[before]}]({before.name})"] if before else []
        parts += ["[Index](index.ipynb)"]
        parts += [f"[{names[after]} →]({after.name})"] if after else []
        line = " · ".join([*parts, f"{minutes(nbs[path])} minutes to read"])
        cell = next(c for c in nbs[path].cells if c.cell_type == "markdown")
        said = LINE.sub(lambda m: line, cell.source, count=1)
        made[path] = nbs[path], cell, said if LINE.search(said) else f"{said.rstrip()}\n\n{line}"
    return made


def main() -> None:
    "Write the lines of this repository"
    for path, (nb, cell, said) in first_cells(ROOT).items():
        if cell.source == said: continue
        cell.source = said
        nbformat.write(nb, path)


if __name__ == "__main__": main()
