"""Bring the comments of parameters into the docstrings, where `help()` and editors look for them.

`python -m tools.build.docments` does it for every name that a module of the library exports, and for its public methods
(`python course.py export` calls this after nbdev). The notebooks hold each comment once, in the signature.
"""
import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tools.build.source import SECTIONS, Function, Source, docstring, parameters
from tools.notebooks import ROOT

WIDTH = 120  # of a line, with its indentation
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def documented(source: Source) -> Iterator[Documented]:
    "What a module exports, and its public methods, where there is a docstring"
    for node in [source.defined.get(name) for name in source.public]:
        if not isinstance(node, Documented): continue
        methods = node.body if isinstance(node, ast.ClassDef) else []
        for n in [node, *(m for m in methods if isinstance(m, Function) and not m.name.startswith("_"))]:
            if ast.get_docstring(n) is not None: yield n


def section(title: str, rows: list[str]) -> list[str]:
    "The lines of one section, none without rows"
    return ["", title, *("    " + row for row in rows)] if rows else []


def wrap(line: str, width: int) -> list[str]:
    "A line, broken where it is too long"
    return textwrap.wrap(line, width, subsequent_indent=" "*8, break_on_hyphens=False, break_long_words=False) or [""]


def of_function(source: Source, node: Function) -> list[str]:
    "The sections of a function: its parameters, and what comes back"
    back = source.comments.get(node.returns.end_lineno or 0, "") if node.returns else ""
    rows = [f"{name}: {note}" for name, _, _, note in parameters(source, node) if note]
    return section("Args:", rows) + section("Returns:", [back] if back else [])


def added(source: Source, node: Documented) -> list[str]:
    "The lines that a docstring is to get"
    if not isinstance(node, ast.ClassDef): return of_function(source, node)
    made = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    arguments = [f"{name}: {note}" for m in made for name, _, _, note in parameters(source, m) if note]
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    held = [f"{source.said(n.target)}: {note}" for n in fields if (note := source.comments.get(n.end_lineno or 0))
            and not source.said(n.target).startswith("_")]
    return section("Args:", arguments) + section("Holds:", held)


def literal(source: Source, node: Documented) -> ast.Constant:
    "The string that is the docstring of `node`"
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant): return first.value
    raise ValueError(f"{source.file}: {node.name} has no docstring")


def rewritten(source: Source) -> str:
    "The module with the comments in its docstrings"
    lines = source.text.splitlines(keepends=True)
    for node in sorted(documented(source), key=lambda n: -n.lineno):
        new, old = added(source, node), literal(source, node)
        if not new or docstring(node) != ast.get_docstring(node): continue
        indent, last = " "*old.col_offset, (old.end_lineno or old.lineno) - 1
        text = "".join(lines[old.lineno - 1:last + 1]).rstrip("\n")[old.col_offset:]
        mark = text[:3] if text[:3] == '"""' else text[:1]
        if mark not in ('"', '"""') or not text.endswith(mark):
            raise ValueError(f"{source.file}: the docstring of {node.name} must stand alone between quotation marks")
        body = text[len(mark):-len(mark)].rstrip()
        if "\n" not in body: body = f"\n{indent}".join(textwrap.wrap(body, WIDTH - len(indent) - 3))
        wrapped = [part for line in new for part in wrap(line, WIDTH - len(indent))]
        more = "\n".join(indent + line if line else "" for line in wrapped)
        more = more.replace("\\", "\\\\").replace('"""', '""\\"')
        lines[old.lineno - 1:last + 1] = [f'{indent}"""{body}\n{more}\n{indent}"""\n']
    return "".join(lines)


def count(source: Source) -> int:
    "How many lines of a module are such comments, with the quotation marks below them"
    found = 0
    for node in documented(source):
        old = literal(source, node)
        said = [line.strip() for line in source.lines[old.lineno - 1:old.end_lineno]]
        first = next((i for i, line in enumerate(said) if line in SECTIONS), None)
        if first is not None: found += len(said) - first + 1
    return found


def write(root: Path) -> None:
    "Bring them into all modules of a repository that come from notebooks"
    for path in sorted((root/"course_lib").rglob("*.py")):
        if path.stem.startswith("_") or path.parent.name == "checks": continue
        source = Source(root, path)
        if (new := rewritten(source)) != source.text: path.write_text(new, encoding="utf-8")


if __name__ == "__main__": write(ROOT)
