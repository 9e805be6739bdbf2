"""The API pages of the site, one for each package, read from the library's source: nothing is imported.

A parameter's type, default and docment, what is raised, where the source stands and which lesson teaches it are all
found in the syntax trees of `course_lib/` and of the notebooks.
"""
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from myst_parser.slugs import github_slugify

from tools.build.source import Function, Source, docstring, parameters
from tools.notebooks import chapters, module, number, paths, python_of, title

def read(path: Path) -> nbformat.NotebookNode:
    "A notebook, without the time it takes to validate it"
    return nbformat.v4.reads(path.read_text(encoding="utf-8"))


def sources(root: Path) -> list[Source]:
    "The modules that export something, in the order of their names; a package's face exports nothing of its own"
    found = [Source(root, p) for p in sorted((root/"course_lib").rglob("*.py")) if not p.stem.startswith("_")]
    return [s for s in found if s.public]


def cell_text(text: str) -> str:
    "Text for a cell of a table"
    return words(text).replace("|", "\\|")


def words(text: str) -> str:
    "A docstring as Markdown: what stands outside of backticks means itself"
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([*_$<\[\]])", r"\\\1", p) for p in parts[::2]]
    return "`".join(parts)


def code(text: str) -> str:
    "Code for a cell of a table"
    return f"`{text}`".replace("|", "\\|") if text else ""


def signature(source: Source, node: Function) -> str:
    "Names and defaults of the parameters, and the type of what comes back; the types stand in the table"
    parts, a = [], node.args
    found = {name: default for name, _, default, _ in parameters(source, node)}
    keyword = {p.arg for p in a.kwonlyargs}
    for name, default in found.items():
        if name in keyword and not a.vararg and "*" not in parts: parts.append("*")
        parts.append(f"{name}={default}" if default else name)
        if name == (a.posonlyargs[-1].arg if a.posonlyargs else None): parts.append("/")
    back = source.said(node.returns).strip("'\"") if node.returns else ""
    return f"({', '.join(parts)})" + (f" -> {back}" if back else "")


def table(source: Source, node: Function) -> list[str]:
    "The table of parameters, and what comes back"
    found, lines = parameters(source, node), []
    if found:
        lines = ["| parameter | what it is | type | default |", "|---|---|---|---|"]
        lines += [f"| {code(name)} | {cell_text(note)} | {code(kind)} | {code(default)} |"
                  for name, kind, default, note in found] + [""]
    note = source.comments.get(node.returns.end_lineno or 0, "") if node.returns else ""
    return lines + ([f"**Returns** {words(note)}", ""] if note else [])


class Library:
    "All modules, and where the course speaks of what they export"

    def __init__(self, root: Path, repository: str):
        self.root, self.repository = root, repository
        self.sources = sources(root)
        self.homes: dict[str, str] = {}  # the public name in full of whatever is defined somewhere
        for s in self.sources:
            for n in s.public:
                if n in s.defined: self.homes.setdefault(f"{s.name}.{n}", f"{s.home}.{n}")
        self.books = [(p, read(p)) for p in paths(root)]
        self.notebook = {f"course_lib.{m}": p for p, nb in self.books if (m := module(nb))}
        self.mentions = mentions(root)
        self.functions = {f"{s.name}.{n}": (s, node) for s in (Source(root, p) for p in
                          sorted((root/"course_lib").rglob("*.py")) if p.parent.name != "checks")
                          for n, node in s.defined.items() if isinstance(node, ast.FunctionDef)}

    def packages(self) -> dict[str, list[Source]]:
        "{name of a page: its modules}"
        found: dict[str, list[Source]] = {}
        for s in self.sources: found.setdefault(s.name.split(".")[1], []).append(s)
        return found

    def lesson(self, source: Source, name: str) -> str:
        "A link to where the course teaches a name, its own chapter first; nothing if it never does"
        path = self.notebook.get(source.name)
        own, package = number(path) if path else 0, source.name.split(".")[1]
        found = [(weight + 10*(chapter != own), order, place, heading)
                 for order, (weight, chapter, place, heading) in enumerate(self.mentions.get(name, []))]
        if found: return f"[{words(min(found)[3])}](../{min(found)[2]})"
        home = [(p, nb) for p, nb in self.books
                if p.parent.name == "nbs" and (number(p) == own > 0 or p.stem == package)]
        return f"[{title(home[0][1])}](../{home[0][0].name})" if home else ""

    def raised(self, source: Source, node: ast.AST, seen: frozenset[str] = frozenset()) -> dict[str, list[str]]:
        "{error: the messages with which a function or its private helpers raise it}"
        found: dict[str, list[str]] = {}
        for n in ast.walk(node):
            more: dict[str, list[str]] = {}
            if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call):
                more = {source.said(n.exc.func): [message(n.exc)]}
            elif isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id.startswith("_"):
                helper = self.functions.get(self.found(source, n.func.id))
                if helper and n.func.id not in seen: more = self.raised(*helper, seen | {n.func.id})
            for error, texts in more.items():
                if re.fullmatch(r"\w+", error): found.setdefault(error, []).extend(texts)
        return found

    def found(self, source: Source, name: str) -> str:
        "The full name of what a module calls `name`"
        if name in source.defined: return f"{source.name}.{name}"
        for n in source.tree.body:
            if isinstance(n, ast.ImportFrom) and name in [a.asname or a.name for a in n.names]:
                parts = source.name.split(".")[:-n.level] if n.level else []
                original = next(a.name for a in n.names if (a.asname or a.name) == name)
                return ".".join([*parts, *([n.module] if n.module else []), original])
        return name

    def errors(self, source: Source, node: ast.AST) -> list[str]:
        "The list of what is raised"
        found = self.raised(source, node)
        lines = [f"- `{error}`" + (": " + "; ".join(dict.fromkeys(t for t in texts if t)) if any(texts) else "")
                 for error, texts in sorted(found.items())]
        return ["**Raises**", "", *lines, ""] if lines else []

    def links(self, source: Source, node: ast.stmt, name: str) -> list[str]:
        "Where the source stands, and the lesson"
        where = f"{self.repository}/blob/main/{source.file}#L{node.lineno}-L{node.end_lineno}"
        lesson = self.lesson(source, name)
        return [f"[Source]({where})" + (f" · Lesson: {lesson}" if lesson else ""), ""]

    def function(self, source: Source, node: Function, kind: str, depth: int = 4) -> list[str]:
        "The entry of a function or a method, without its links"
        fence, flags = ":"*depth, []
        marks = [ast.unparse(d) for d in node.decorator_list]
        if kind == "method" and any(m.endswith("property") for m in marks): kind = "property"
        if kind == "method" and "classmethod" in marks: flags = [":classmethod:"]
        if kind == "method" and "staticmethod" in marks: flags = [":staticmethod:"]
        sign = "" if kind == "property" else signature(source, node)
        body = [words(docstring(node)), "", *table(source, node), *self.errors(source, node)]
        return [f"{fence}{{py:{kind}}} {node.name}{sign}", *flags, "", *body, fence, ""]

    def kind(self, source: Source, node: ast.ClassDef) -> list[str]:
        "The entry of a class: what it is made with, what it holds, its public methods"
        methods = {n.name: n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
        first, made = methods.get("__init__"), [ast.unparse(d) for d in node.decorator_list]
        simple = any("dataclass" in m for m in made) or any(ast.unparse(b) == "NamedTuple" for b in node.bases)
        shown = [f"{f.target.id}={source.said(f.value)}" if f.value else f.target.id for f in fields
                 if isinstance(f.target, ast.Name)]
        sign = re.sub(r" -> None$", "", signature(source, first)) if first else f"({', '.join(shown)})"*simple
        bases = [f"`{source.said(b)}`" for b in node.bases]
        lines = [f"::::::{{py:class}} {node.name}{sign}", "", words(docstring(node)), ""]
        if bases: lines += [f"A kind of {', '.join(bases)}.", ""]
        if first: lines += [*table(source, first), *self.errors(source, first)]
        public = [f for f in fields if isinstance(f.target, ast.Name) and not f.target.id.startswith("_")]
        if public:
            rows = [f"| {code(source.said(f.target))} | {cell_text(source.comments.get(f.end_lineno or 0, ''))} | "
                    f"{code(source.said(f.annotation))} |" for f in public]
            lines += ["| holds | what it is | type |", "|---|---|---|", *rows, ""]
        lines += self.links(source, node, node.name)
        for name, m in methods.items():
            if not name.startswith("_") and not any("setter" in ast.unparse(d) for d in m.decorator_list):
                lines += self.function(source, m, "method")
        return [*lines, "::::::", ""]

    def entry(self, source: Source, name: str) -> list[str]:
        "The entry of one public name"
        node = source.defined.get(name)
        if node is None:
            other = self.homes.get(self.found(source, name), "")
            return [f"`{name}` is {{py:obj}}`{other}`, also to be had from here.", ""] if other else []
        if isinstance(node, ast.ClassDef): return self.kind(source, node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = self.function(source, node, "function", 6)
            return [*lines[:-2], *self.links(source, node, name), *lines[-2:]]
        value = source.said(node.value) if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value else ""
        note = source.comments.get(node.end_lineno or 0, "")
        shown = f"`{value}`" if value and len(value) < 100 and "`" not in value else ""
        return [f"::::::{{py:data}} {name}", "", " ".join(filter(None, [words(note), shown])), "",
                *self.links(source, node, name), "::::::", ""]

    def section(self, s: Source) -> list[str]:
        "What a module is for, and all that it exports"
        lines = [words(re.sub(r"^After this notebook you (?=can )?", "After its lesson you ", s.doc)), "",
                 f"```{{py:currentmodule}} {s.home}", "```", ""]
        if path := self.notebook.get(s.name):
            where = path.relative_to(self.root).as_posix()
            place = f"../{path.name}" if path.parent.name == "nbs" else f"{self.repository}/blob/main/{where}"
            lines += [f"Written in [{where}]({place}), with its tests.", ""]
        for name in s.public: lines += self.entry(s, name)
        return lines

    def page(self, package: str, modules: list[Source]) -> str:
        "The page of a package"
        face = f"course_lib.{package}"
        lines = [f"# {face}", ""]
        for s in modules:
            if s.name != face: lines += [f"## {s.name.removeprefix('course_lib.')}", ""]
            lines += self.section(s)
        return "\n".join(lines)

    def plain(self) -> dict[str, str]:
        "{address that a module's docstring names: its section as plain Markdown}"
        found = {}
        for path in sorted((self.root/"course_lib").rglob("*.py")):
            s = Source(self.root, path)
            if not (m := re.search(r"^Docs: (\S+)$", ast.get_docstring(s.tree) or "", re.M)): continue
            text = re.sub(r"^```\{py:currentmodule\}.*?^```\n|^:(?:classmethod|staticmethod):\n|^:{3,}$", "",
                          "\n".join(self.section(s)), flags=re.S | re.M)
            text = re.sub(r"^:{3,}\{py:\w+\} (.+)$", r"## `\1`", text, flags=re.M)
            found[m[1]] = f"# {s.name}\n\n" + re.sub(r"\n{3,}", "\n\n", text)
        return found

    def names(self) -> list[str]:
        "Every public name in full"
        return sorted(set(self.homes.values()))


def message(call: ast.Call) -> str:
    "The first words of an error's message; … stands for what is filled in"
    if not call.args: return ""
    parts = []
    for n in ast.walk(call.args[0]):
        if isinstance(n, ast.JoinedStr): parts = [v.value if isinstance(v, ast.Constant) else "…" for v in n.values]
        elif isinstance(n, ast.Constant) and isinstance(n.value, str) and not parts: parts = [n.value]
        if parts: break
    return words("".join(map(str, parts)).replace("`", "'"))


Mention = tuple[int, int, str, str]  # how well it teaches (0 defines, 1 names, 2 uses), chapter, place, heading
NAMED = re.compile(r"^#+ (?P<heading>.+)$|`(?P<name>\w+)[`(]", re.M)


def mentions(root: Path) -> dict[str, list[Mention]]:
    "Where the chapters, up to their exercises, define, name or use what they import from the library or export"
    found: dict[str, list[Mention]] = {}
    for path in chapters(root):
        for name, mention in mentioned(path): found.setdefault(name, []).append(mention)
    return found


def mentioned(path: Path) -> Iterator[tuple[str, Mention]]:
    "Each mention of a name in one chapter, in order"
    place, heading, seen = path.name, "", dict[str, int]()
    cells = read(path).cells
    trees = {c.id: python_of(c.source) for c in cells if c.cell_type == "code"}
    mine = {a.asname or a.name for t in trees.values() for n in ast.walk(t) if isinstance(n, ast.ImportFrom)
            and (n.module or "").startswith("course_lib") for a in n.names}
    for c in cells:
        if c.cell_type == "markdown":
            if c.source.startswith("## Exercises"): return
            for m in NAMED.finditer(re.sub(r"^```.*?^```", "", c.source, flags=re.S | re.M)):
                if m["heading"]:
                    heading = re.sub(r"[*`]|<[^>]+>", "", m["heading"])
                    slug = github_slugify(heading)
                    seen[slug] = seen.get(slug, -1) + 1
                    place = f"{path.name}#{slug}" + f"-{seen[slug]}"*bool(seen[slug])
                elif m["name"] in mine: yield m["name"], (1, number(path), place, heading)
            continue
        defined = {n.name for n in trees[c.id].body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        mine |= defined
        for name in defined: yield name, (0, number(path), place, heading)
        for n in ast.walk(trees[c.id]):
            if isinstance(n, ast.Name) and n.id in mine: yield n.id, (2, number(path), place, heading)
