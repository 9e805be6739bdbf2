"""Write the face of every package: an `__init__.py` that re-exports what its rooms export.

`python -m tools.build.faces` writes them (`python course.py export` calls this). A room's public names are its
`__all__`.
"""
import ast
import json
from pathlib import Path

from tools.notebooks import ROOT, facts, module, notebooks

WIDTH = 116  # four less than a line may have: imports may stand under `needs`


def rooms(root: Path) -> dict[str, list[str]]:
    "{package: its rooms}, each in the order of the notebooks"
    found = {}
    for _, nb in notebooks(root):
        if "." in (name := module(nb) or ""): found.setdefault(name.rpartition(".")[0],
                                                               []).append(name.rpartition(".")[2])
    return {**{p.rpartition(".")[0]: [] for p in found if "." in p and p.rpartition(".")[0] not in found}, **found}


def constant(path: Path, name: str, default):
    "The value of the constant `name` of a module"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign)
             and ast.unparse(n.targets[0]) == name]
    return found[0] if found else default


def public(path: Path) -> list[str]:
    "The names in `__all__` of a module"
    return constant(path, "__all__", [])


def wrapped(start: str, names: list[str], end: str) -> str:
    "`start` + the names with commas between them + `end`, broken into lines that are not too long"
    lines, line = [], start
    for i, name in enumerate(names):
        piece = name + (", " if i + 1 < len(names) else end)
        if len(line) + len(piece.rstrip()) > WIDTH: lines.append(line.rstrip()); line = " "*len(start)
        line += piece
    return "\n".join([*lines, line])


def old_names(name: str, renamed: dict[str, str]) -> list[str]:
    """The lines with which a package still answers to names that a room gave up; a room lists them as `RENAMED =
    {old: new}`"""
    if not renamed: return []
    return ["", f"_RENAMED = {json.dumps(renamed)}", "", "",
            "def __getattr__(name: str) -> object:",
            '    "A name that was given up, with a warning"',
            f'    if name not in _RENAMED: raise AttributeError(f"module \'course_lib.{name}\' has no attribute '
            f'{{name!r}}")',
            "    import warnings",
            f'    warnings.warn(f"course_lib.{name}.{{name}} is now called {{_RENAMED[name]}}", DeprecationWarning, '
            f'stacklevel=2)',
            "    return globals()[_RENAMED[name]]"]


def first_line(name: str) -> str:
    "The docstring of a package"
    return f'"""The package `course_lib.{name}`: each room is a module of its own, this file only re-exports them."""'


def extras(root: Path) -> dict[str, str]:
    "{package: the extra that all of it needs}, by the metadata of its notebooks"
    return {(module(nb) or "").split(".")[0]: facts(nb)["needs"] for _, nb in notebooks(root) if "needs" in facts(nb)}


def guarded(imports: list[str], extra: str | None) -> list[str]:
    "The imports, under `needs` where a package stands on an extra"
    if extra is None: return imports
    inside = "\n".join(imports).splitlines()
    return ["from course_lib.extras import needs", "", f"with needs({extra!r}):", *("    " + line for line in inside)]


def faces(root: Path) -> dict[Path, str]:
    "{path: text} of the `__init__.py` of every package"
    made, needed = {}, extras(root)
    for name, modules in rooms(root).items():
        folder = root/"course_lib"/Path(*name.split("."))
        names = {m: public(folder/f"{m}.py") for m in sorted(modules)}
        twice = sorted({n for m, ns in names.items() for n in ns for o, os in names.items() if o < m and n in os})
        if twice:
            raise ValueError(f"course_lib.{name} would export {', '.join(twice)} from two rooms: rename one of them")
        imports = [wrapped(f"from .{m} import (", ns, ")") for m, ns in names.items() if ns]
        imports = guarded(imports, needed.get(name.split(".")[0]))
        everything = wrapped("__all__ = [", [repr(n) for n in sorted(n for ns in names.values() for n in ns)], "]")
        renamed = {old: new for m in names for old, new in constant(folder/f"{m}.py", "RENAMED", {}).items()}
        note = "# Written by tools/build/faces.py from the rooms: do not edit."
        made[folder/"__init__.py"] = "\n".join([first_line(name), note, *imports, "", everything,
                                                *old_names(name, renamed), ""])
    return made


def main() -> None:
    "Write the faces of this repository"
    for path, text in faces(ROOT).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text: path.write_text(text, encoding="utf-8")


if __name__ == "__main__": main()
