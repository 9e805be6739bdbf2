"""One module of the library as its source says it: names, comments, parameters. Nothing is imported."""
import ast
import io
import tokenize
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
SECTIONS = ("Args:", "Holds:", "Returns:")  # what `tools.build.docments` adds to a docstring


class Source:
    "One module of the library: its tree, its comments and what it makes public"

    def __init__(self, root: Path, path: Path):
        self.path, self.text = path, path.read_text(encoding="utf-8")
        self.file = path.relative_to(root).as_posix()
        self.name = ".".join(path.relative_to(root).with_suffix("").parts)
        self.tree, self.lines = ast.parse(self.text), self.text.splitlines()

    @property
    def home(self) -> str:
        "The package under whose name users meet what is defined here; the module itself if it stands alone"
        return self.name if self.name.count(".") == 1 else self.name.rpartition(".")[0]

    @cached_property
    def comments(self) -> dict[int, str]:
        "{line: the comment that ends it}"
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens
                if t.type == tokenize.COMMENT and t.line[:t.start[1]].strip()}

    @cached_property
    def defined(self) -> dict[str, ast.stmt]:
        "{name: the statement that defines it} of the whole module"
        found: dict[str, ast.stmt] = {}
        for n in self.tree.body:
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): found[n.name] = n
            elif isinstance(n, ast.Assign):
                for t in ast.walk(n.targets[0]):
                    if isinstance(t, ast.Name): found.setdefault(t.id, n)
            elif isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name): found[n.target.id] = n
        return found

    @cached_property
    def public(self) -> list[str]:
        "Its `__all__`"
        made = self.defined.get("__all__")
        return ast.literal_eval(made.value) if isinstance(made, ast.Assign) else []

    @cached_property
    def doc(self) -> str:
        "The first paragraph of the module's docstring"
        return (ast.get_docstring(self.tree) or "").split("\n\n")[0]

    def said(self, node: ast.AST) -> str:
        "A piece of the source as it stands there, on one line"
        first, last = node.lineno - 1, node.end_lineno or node.lineno  # type: ignore[attr-defined]
        lines = [line.encode() for line in self.lines[first:last]]
        lines[-1] = lines[-1][:node.end_col_offset]  # type: ignore[attr-defined]
        lines[0] = lines[0][node.col_offset:]  # type: ignore[attr-defined]
        return " ".join(b" ".join(lines).decode().split())


def docstring(node: ast.AsyncFunctionDef | ast.FunctionDef | ast.ClassDef) -> str:
    "A docstring as it was written, without the comments that were added to it"
    lines = (ast.get_docstring(node) or "").splitlines()
    return "\n".join(lines[:next((i for i, line in enumerate(lines) if line in SECTIONS), len(lines))]).rstrip()


def parameters(source: Source, node: Function) -> list[tuple[str, str, str, str]]:
    "(name, type, default, what it is) of each parameter of a function"
    a = node.args
    plain = a.posonlyargs + a.args
    defaults = dict(zip([p.arg for p in plain[len(plain) - len(a.defaults):]], a.defaults))
    defaults |= {p.arg: d for p, d in zip(a.kwonlyargs, a.kw_defaults) if d is not None}
    every = [("", p) for p in plain] + [("*", p) for p in [a.vararg] if p]
    every += [("", p) for p in a.kwonlyargs] + [("**", p) for p in [a.kwarg] if p]
    lines = {p.arg: (defaults[p.arg] if p.arg in defaults else p).end_lineno for _, p in every}
    out = []
    for star, p in every:
        if p.arg in ("self", "cls"): continue
        last = [n for n, line in lines.items() if line == lines[p.arg]][-1]
        note = source.comments.get(lines[p.arg] or 0, "") if last == p.arg else ""
        kind = source.said(p.annotation).strip("'\"") if p.annotation else ""
        out.append((star + p.arg, kind, source.said(defaults[p.arg]) if p.arg in defaults else "", note))
    return out
