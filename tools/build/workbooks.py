"""Make the workbooks in `exercises/` and the list of exercises and questions from the chapters in `nbs/`.

`python -m tools.build.workbooks` writes them (`python course.py export` calls this). The part of a chapter between its
headings "Exercises" and "What to read next" is its workbook, with the solutions taken out: of a cell whose metadata
names an `exercise` only the signature and the docstring stay. The same part gives `course_lib/_assets/exercises.json`.
"""
import ast
import json
import re
from html import unescape
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.notebooks import EXPORT, ROOT, chapters, fact, module, python_of, title

CHECK = "from course_lib.exercises import check"
BEGIN, END = "## Exercises", "## What to read next"
TASK = re.compile(r"^### (?P<title>.+)\n\*(?P<level>easy|medium|hard), (?P<minutes>\d+) minutes?\*\n", re.M)
QUESTION = re.compile(r"^\*\*(?P<question>[^\n]+)\*\*\n\n(?P<choices>(?:- [a-f]\) [^\n]+\n)+)\n"
                      r"<details><summary>Answer</summary>\n\n(?P<verdicts>.+?)\n\n</details>", re.M | re.S)
CHOICE = re.compile(r"^- ([a-f])\) (.+)$", re.M)
VERDICT = re.compile(r"^- ([✓✗]) ([a-f])\) (.+)$", re.M)


def section(nb) -> list:
    "The cells of a chapter from the heading of its exercises to what to read next"
    titles = [c.source.split("\n")[0].strip() if c.cell_type == "markdown" else "" for c in nb.cells]
    if BEGIN not in titles: return []
    start = titles.index(BEGIN)
    return nb.cells[start:titles.index(END, start) if END in titles[start:] else None]


def _imports(tree: ast.Module) -> dict:
    "{name that is bound: the import that binds it} of a cell"
    found = {}
    for n in tree.body:
        if not isinstance(n, (ast.Import, ast.ImportFrom)): continue
        for a in n.names:
            what = f"{a.name} as {a.asname}" if a.asname else a.name
            where = f"from {n.module} import " if isinstance(n, ast.ImportFrom) else "import "
            found[(a.asname or a.name).split(".")[0]] = where + what
    return found


def preamble(nb) -> str:
    "The imports that the exercises of a chapter need: of what it has imported or exported before them"
    mine, asked = set(), {c.id for c in section(nb)}
    for c in section(nb):
        if c.source.startswith("## Questions"): break
        if "#| hide" not in c.source: mine.add(c.id)
    cells = [(c.id, python_of(c.source)) for c in nb.cells if c.cell_type == "code"]
    nodes = [n for cell, tree in cells if cell in mine for n in ast.walk(tree)]
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    made = {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    made |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    made |= {name for cell, tree in cells if cell in mine for name in _imports(tree)}
    before = {name: line for cell, tree in cells if cell not in asked for name, line in _imports(tree).items()}
    library = f"from course_lib.{(module(nb) or '').split('.')[0]} import "  # what the chapter defines and exports
    exported = [n for c in nb.cells if c.cell_type == "code" and EXPORT.search(c.source)
                for n in python_of(c.source).body]
    before |= {n.name: library + n.name for n in exported if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    return "\n".join(sorted({line for name, line in before.items() if name in used - made}))


def stub(source: str) -> str:
    "The solution's cell with the bodies of its functions taken out"
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)): continue
        doc = node.body[:1] if ast.get_docstring(node) is not None else []
        if isinstance(node, ast.FunctionDef): node.body = doc + [ast.parse("raise NotImplementedError").body[0]]
        else: node.body = doc + [n for n in node.body if isinstance(n, ast.FunctionDef)]
    return re.sub(r'"""(.*?)"""', lambda m: m[0] if "\n" in m[1] or '"' in m[1] else f'"{m[1]}"', ast.unparse(tree))


def workbook(path: Path):
    "The notebook of a chapter's exercises, without solutions"
    nb = nbformat.read(path, 4)
    cells = section(nb)
    if not cells: return None
    intro = (f"# {title(nb)}: the exercises\n\n> Fill in the functions of [the chapter](../nbs/{path.name}), run "
             f"`check` under each, "
             "read what it says, and go on until it passes.\n\nA check runs your function on inputs that you have not "
             "seen. Replace `raise NotImplementedError` by your own lines, then run the cell and the one below it "
             "(Shift + Enter). Begin with the cells of imports below this one, now and after each restart of the "
             "kernel: without them Python does not know the name `check`. And a cell of yours that ends in a red error "
             "has changed nothing: the check below it still sees your function as it was before.")
    out = [new_markdown_cell(intro, id=f"{path.stem}-intro")]
    if imports := preamble(nb):
        out.append(new_code_cell(imports.replace(CHECK, f"{CHECK}, progress, quiz"), id=f"{path.stem}-imports"))
    for c in cells:
        if c.cell_type == "markdown":
            if c.source.startswith(("<details><summary>Why", BEGIN)): continue
            if c.source.startswith("## Questions"): break
            out.append(new_markdown_cell(re.sub(r'<span data-value="[^"]+">([^<]*)</span>', r"\1", c.source), id=c.id))
        elif fact(c, "exercise"): out.append(new_code_cell(stub(c.source), id=c.id))
        elif "#| hide" not in c.source:
            text = c.source.replace(", remember=False", "").replace(CHECK, f"{CHECK}, progress, quiz")
            out.append(new_code_cell(text, id=c.id))
    out += [new_markdown_cell("## Where you stand", id=f"{path.stem}-stand"),
            new_code_cell("progress()", id=f"{path.stem}-progress"),
            new_markdown_cell("## The questions of this chapter", id=f"{path.stem}-questions"),
            new_code_cell(f"quiz({path.stem!r})", id=f"{path.stem}-quiz")]
    return new_notebook(cells=out, metadata={key: nb.metadata[key] for key in ("kernelspec", "language_info")})


def solutions(path: Path) -> dict:
    "{exercise name: source of its solution} of a chapter"
    return {name: c.source for c in section(nbformat.read(path, 4)) if c.cell_type == "code"
            and (name := fact(c, "exercise"))}


def plain(text: str) -> str:
    "Markdown with tags, emphasis and line breaks taken out; code stands between backticks"
    text = unescape(re.sub(r"</?(span|b|i|em|dfn|code)\b[^>]*>", lambda m: "`" if m[1] == "code" else "", text))
    parts = text.split("`")
    parts[::2] = [re.sub(r"(?<![\w*])\*(\w[^*]*?)\*(?![\w*])", r"\1", p) for p in parts[::2]]
    return " ".join("`".join(parts).split())


def questions(nb) -> list:
    "The questions of a chapter with their choices, which the reader sees, and their verdicts, which are folded"
    found = []
    for c in section(nb):
        if c.cell_type != "markdown": continue
        for m in QUESTION.finditer(c.source):
            verdicts = {letter: (mark == "✓", plain(why)) for mark, letter, why in VERDICT.findall(m["verdicts"])}
            choices = dict(CHOICE.findall(m["choices"]))
            if list(choices) != list(verdicts): raise ValueError(f"choices and verdicts differ: {m['question']}")
            found.append({"question": plain(m["question"]), "choices": [
                {"text": plain(text).rstrip("."), "right": verdicts[letter][0], "why": verdicts[letter][1]}
                for letter, text in choices.items()]})
    return found


def course(root: Path) -> dict:
    "The list of exercises and questions of every chapter"
    out = {}
    for path in chapters(root):
        nb = nbformat.read(path, 4)
        cells = section(nb)
        if not any(fact(c, "exercise") for c in cells): continue
        exercises, task = [], None
        for c in cells:
            if c.cell_type == "markdown" and (m := TASK.search(c.source)): task = m
            elif (name := fact(c, "exercise")) and task:
                exercises.append({"name": name, "title": task["title"], "level": task["level"],
                                  "minutes": int(task["minutes"])})
                task = None
        out[path.stem] = {"title": title(nb), "exercises": exercises, "questions": questions(nb)}
    return out


def files(root: Path) -> dict:
    "{path: text} of everything that is made from the chapters"
    made = {root/"exercises"/p.name: nbformat.writes(nb) + "\n" for p in chapters(root) if (nb := workbook(p))}
    return made | {root/"course_lib"/"_assets"/"exercises.json": json.dumps(course(root), ensure_ascii=False,
                                                                            indent=1) + "\n"}


if __name__ == "__main__":
    for path, text in files(ROOT).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
