"""Which notebooks there are, what each exports, and what its metadata says of it.

A lesson is a numbered notebook in `nbs/`; `REFERENCE` are the pages beside the road that have exercises too; a room is
a notebook in `nbs/lib/`, which holds one module of the library. All of them are nbdev notebooks, and all are run as
tests.
"""
import ast
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ("measuring", "data")
EXPORT = re.compile(r"^#\| *exports?\b", re.M)


def paths(root: Path) -> list[Path]:
    "Every notebook of the course: lessons and pages, then rooms"
    return [*sorted((root/"nbs").glob("*.ipynb")), *sorted((root/"nbs"/"lib").glob("*.ipynb"))]


def notebooks(root: Path) -> list:
    "Every notebook of the course with its path"
    return [(p, nbformat.read(p, 4)) for p in paths(root)]


def lessons(root: Path) -> list[Path]:
    "The numbered notebooks in the order of the road"
    return sorted((root/"nbs").glob("[0-9][0-9]_*.ipynb"))


def chapters(root: Path) -> list[Path]:
    "The notebooks with exercises: the reference pages, then the lessons after the start"
    return [p for n in REFERENCE if (p := root/"nbs"/f"{n}.ipynb").exists()] + [p for p in lessons(root) if number(p)]


def code_cells(nb) -> list:
    "The code cells of a notebook"
    return [c for c in nb.cells if c.cell_type == "code"]


def code_lines(cell) -> list[str]:
    "The lines of a cell that are code: no directives, no blank lines"
    return [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#|")]


def number(path: Path) -> int:
    "The chapter that a notebook belongs to; 0 for pages and the ground floor"
    return int(path.stem[:2]) if path.stem[:2].isdigit() else 0


def module(nb) -> str | None:
    "The module that a notebook exports to, such as 'collab.als'"
    found = [m[1] for c in code_cells(nb) if (m := re.search(r"^#\| *default_exp +([\w.]+)", c.source, re.M))]
    return found[0] if found and any(EXPORT.search(c.source) for c in code_cells(nb)) else None


def package(path: Path) -> str:
    "The name under which a chapter's checks and wrong answers stand: its first module name, without a number"
    nb = nbformat.read(path, 4)
    return (module(nb) or re.sub(r"^\d\d_", "", path.stem)).split(".")[0]


def facts(nb) -> dict:
    """What the metadata says of a notebook: `heavy` (two minutes instead of one), `light` (its modules need torch
    and numpy alone), `needs` (the extra that all of its package stands on), `uses_all`"""
    return nb.metadata.get("course_lib", {})


def title(nb) -> str:
    "The text of the first heading"
    return next(c.source for c in nb.cells if c.cell_type == "markdown").split("\n")[0].removeprefix("# ")


def python_of(source: str) -> ast.Module:
    "The syntax tree of a cell, its magics left out"
    lines = [re.sub(r"^(\s*)[%!?].*", r"\1pass", line) for line in source.splitlines()]
    return ast.parse("\n".join(lines))


def fact(cell, name: str):
    """What a cell's metadata says of it: `alt` (of its figure), `notes` (ids of claims it shows), `exercise`,
    `answer` (names); None if nothing"""
    return cell.metadata.get("course_lib", {}).get(name)
