"""Gates over the notebooks: executed, dressed for a reader, and ending in exercises."""
import ast
import re

from tools.build import navigation, workbooks
from tools.build.run_notebook import source_hash
from tools.gates import left, prose
from tools.notebooks import EXPORT, chapters, code_cells, code_lines, fact, facts, lessons, notebooks, package

SLOW = "seconds over the limit"
LIMIT, HEAVY_LIMIT = 60, 120  # seconds for one notebook
KINDS = ("cells over 25 lines", "names imported again", "lines over 100 characters", "percent exported")
CELL_LINES, LINE_CHARACTERS, EXPORTED = 25, 100, 0.25  # the most of each in a lesson
WRONG_ANSWERS = 7  # at least so many for each exercise


def executed(root):
    "Every notebook carries outputs of exactly the code it holds, without an error, within its time"
    problems = []
    for path, nb in notebooks(root):
        stamp = facts(nb)
        if stamp.get("executed") != source_hash(nb):
            problems.append(f"{path.name}: outputs are not those of its code: run 'python course.py run {path.stem}'")
        for c in code_cells(nb):
            for o in c.outputs:
                if o.output_type == "error": problems.append(f"{path.name}: cell {c.id} ended in {o.ename}")
    return problems + left.problems(root, overtime(root), [SLOW])


def overtime(root):
    "{(notebook, kind): the CPU seconds it took beyond its limit}; what is left to speed up only shrinks"
    limits = {p.stem: (HEAVY_LIMIT if facts(nb).get("heavy") else LIMIT, facts(nb).get("seconds", 0))
              for p, nb in notebooks(root)}
    return {(name, SLOW): max(took - limit, 0) for name, (limit, took) in limits.items()}


def alt_text(root):
    "Every figure says in words what it shows, in the metadata of the picture"
    problems = []
    for path, nb in notebooks(root):
        for c in nb.cells:
            if c.cell_type == "markdown" and re.search(r"!\[\s*\]\(", c.source):
                problems.append(f"{path.name}: cell {c.id} shows a picture without alt text")
            pictures = [(o, k) for o in c.get("outputs", []) for k in o.get("data", {}) if k.startswith("image/")]
            if pictures and not fact(c, "alt"):
                problems.append(f"{path.name}: cell {c.id} draws a figure without an 'alt' in its metadata")
            shown = {k for o in c.get("outputs", []) for k in o.get("data", {})}
            if fact(c, "alt") and not pictures and "application/vnd.jupyter.widget-view+json" not in shown:
                problems.append(f"{path.name}: cell {c.id} has an 'alt' and shows no picture: run 'python course.py "
                                f"run {path.stem}'")
            if fact(c, "alt") and any(o.metadata.get(k, {}).get("alt") != fact(c, "alt") for o, k in pictures):
                problems.append(f"{path.name}: the picture of cell {c.id} does not carry its alt text: run 'python "
                                f"course.py run {path.stem}'")
    return problems


def runs_in_jupyter(root):
    """'Run All' works where nothing reads the flags: a cell for the GPU asks for one, and no cell is marked as not
    to run"""
    problems = []
    for path, nb in notebooks(root):
        for c in code_cells(nb):
            if re.search(r"^#\| *eval: *false", c.source, re.M):
                problems.append(f"{path.name}: cell {c.id} would run in Jupyter: show such code in a markdown cell")
            if re.search(r"^#\| *cuda\b", c.source, re.M) and "cuda.is_available()" not in c.source:
                problems.append(f"{path.name}: cell {c.id} fails without a GPU: put it under 'if "
                                f"torch.cuda.is_available():'")
    return problems


def shape(nb):
    "What a reader meets: {kind: how much of it is too much}"
    cells = [code_lines(c) for c in code_cells(nb)]
    exported = sum(len(code_lines(c)) for c in code_cells(nb) if EXPORT.search(c.source))
    defined, again = set(), 0
    for c in code_cells(nb):
        tree = prose.python_of(c.source)
        defined |= {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        again += sum(a.name in defined for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
                     and (n.module or "").startswith("course_lib") for a in n.names)
    share = exported/(sum(map(len, cells)) or 1)
    return dict(zip(KINDS,
                    (sum(len(c) > CELL_LINES for c in cells), again,
                     sum(len(line) > LINE_CHARACTERS for c in cells for line in c),
                            round(100*share) if share > EXPORTED else 0)))


def shapes(root):
    "{(lesson, kind): how much of it is too much}"
    mine = {*chapters(root), *lessons(root)}
    return {(p.stem, kind): n for p, nb in notebooks(root) if p in mine for kind, n in shape(nb).items()}


def lesson_shape(root):
    "A lesson shows short cells, short lines and little library; what is left to mend only shrinks"
    return left.problems(root, shapes(root), KINDS)


def exercises_are_complete(root):
    """Every chapter ends in four to eight marked exercises and in questions, and every exercise has its check and
    seven wrong answers, declared beside the check or written independently"""
    problems, course = [], workbooks.course(root)
    folders = root/"tests"/"exercises"/"mutants", root/"course_lib"/"exercises"/"checks"
    wrong = "\n".join(p.read_text(encoding="utf-8") for folder in folders for p in folder.glob("[!_]*.py"))
    for path in chapters(root):
        c = course.get(path.stem, {"exercises": [], "questions": []})
        names = set(workbooks.solutions(path))
        if not 4 <= len(names) <= 8: problems.append(f"{path.stem} has {len(names)} exercises, not four to eight")
        right = path.read_text(encoding="utf-8").count('"- ✓ ')
        if right != len(c["questions"]):
            problems.append(f"{path.stem}: {right} right choices, and {len(c['questions'])} questions that can be read")
        if len(c["questions"]) < 6: problems.append(f"{path.stem} has {len(c['questions'])} questions, fewer than six")
        problems += [f"{path.stem}: the exercise {n} has no title, level and minutes"
                     for n in sorted(names - {e["name"] for e in c["exercises"]})]
        checks = root/"course_lib"/"exercises"/"checks"/f"{package(path)}.py"
        defined = re.findall(r"^@exercise\ndef (\w+)", checks.read_text(encoding="utf-8"),
                             re.M) if checks.exists() else []
        problems += [f"{path.stem}: the exercise {n} has no check" for n in sorted(names - set(defined))]
        problems += [f"{checks.name}: no chapter asks for {n}" for n in sorted(set(defined) - names)]
        for n in sorted(names):
            count = len(re.findall(rf"^@mutant\(['\"]{n}['\"]|^@mistake\({n}, ", wrong, re.M))
            if count < WRONG_ANSWERS:
                problems.append(f"{path.stem}: {n} has {count} wrong answers, not {WRONG_ANSWERS}")
    return problems


def made_from_chapters(root):
    "The workbooks, the list of exercises and the way from lesson to lesson are those of the chapters"
    ways = [f"{p.name}: its line with the lessons before and after is not that of the road: run 'python course.py "
            f"export'" for p, (_, cell, said) in navigation.first_cells(root).items() if cell.source != said]
    return ways + [f"{p.relative_to(root)} differs from what the chapters say: run 'python course.py export'"
                   for p, text in workbooks.files(root).items()
                   if not p.exists() or p.read_text(encoding="utf-8") != text]
