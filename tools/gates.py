"""What must hold over the whole repository. Each gate takes its root and returns a list of problems, empty when it holds.

`python tools/gates.py` prints them all, `python tools/gates.py typed_numbers` those of one gate; `tests/test_gates.py` runs them, and breaks each one on purpose.
"""
import ast
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))
import exercises  # noqa: E402
import prose  # noqa: E402
from run_notebook import inline_values, source_hash  # noqa: E402

LIMIT, HEAVY_LIMIT = 60, 120  # seconds for one notebook
HEAVY = {"07_fine_tuning", "08_distillation"}
LIGHT = {"core", "data", "foundations", "losses", "lr_finder", "distillation", "collab", "exercises"}  # need torch alone
LIGHT_IMPORTS = {"torch", "numpy", "PIL", "course_lib"}
OWN_PATHS = re.compile(r"(?:/root|/home/\w+|/Users/\w+|/work|/tmp|/var/folders|[A-Z]:\\+Users)(?:[/\\]|\b)[\w./\\-]*")


def notebooks(root):
    "Every notebook of the course with its path"
    return [(p, nbformat.read(p, 4)) for p in sorted((root/"nbs").glob("*.ipynb"))]


def chapters(root):
    "The numbered notebooks: {module name: number}"
    return {p.stem[3:]: int(p.stem[:2]) for p in sorted((root/"nbs").glob("[0-9][0-9]_*.ipynb"))}


def code_cells(nb): return [c for c in nb.cells if c.cell_type == "code"]


def module_files(root): return [p for p in sorted((root/"course_lib").glob("*.py")) if not p.name.startswith("_")]


def library_in_sync(root):
    "What nbdev writes from the notebooks is what stands in the repository, and the notebooks are clean"
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)/root.resolve().name
        tmp.mkdir()
        for name in ("nbs", "course_lib"):
            shutil.copytree(root/name, tmp/name, ignore=shutil.ignore_patterns("__pycache__", "_assets", ".ipynb_checkpoints"))
        shutil.copy(root/"pyproject.toml", tmp)
        for p in module_files(tmp): p.unlink()
        for command in ("export", "clean"):
            subprocess.run([Path(sys.executable).parent/f"nbdev-{command}"], cwd=tmp, check=True, capture_output=True)
        problems = []
        for new in sorted([*(tmp/"course_lib").glob("*.py"), *(tmp/"nbs").glob("*.ipynb")]):
            old = root/new.relative_to(tmp)
            if not old.exists(): problems.append(f"{old.relative_to(root)} is missing: run 'python course.py export'")
            elif old.read_text(encoding="utf-8") != new.read_text(encoding="utf-8"):
                problems.append(f"{old.relative_to(root)} differs from what nbdev writes: run 'python course.py export'")
        strays = {p.name for p in module_files(root)} - {p.name for p in module_files(tmp)}
        return problems + [f"course_lib/{s} comes from no notebook" for s in sorted(strays)]


def executed(root):
    "Every notebook carries outputs of exactly the code it holds, without an error, within its time"
    problems = []
    for path, nb in notebooks(root):
        stamp = nb.metadata.get("course_lib", {})
        if stamp.get("executed") != source_hash(nb):
            problems.append(f"{path.name}: outputs are not those of its code: run 'python course.py run {path.stem}'")
        limit = HEAVY_LIMIT if path.stem in HEAVY else LIMIT
        if stamp.get("seconds", 0) > limit: problems.append(f"{path.name}: took {stamp['seconds']} s, the limit is {limit} s")
        for c in code_cells(nb):
            for o in c.outputs:
                if o.output_type == "error": problems.append(f"{path.name}: cell {c.id} ended in {o.ename}")
    return problems


def no_own_paths(root):
    "No path of the machine a notebook or script was written on"
    problems = []
    for path, nb in notebooks(root):
        for c in nb.cells:
            texts = [c.source] + [str({k: v for k, v in o.get("data", {}).items() if "image" not in k}) + str(o.get("text", ""))
                                  for o in c.get("outputs", [])]
            problems += [f"{path.name}: cell {c.id} holds {m[0]!r}" for t in texts for m in OWN_PATHS.finditer(t)]
    scripts = [*root.glob("*.py"), *root.glob("*.md"), *(root/"benchmarks").glob("**/*.*"), *(root/"nbs").glob("*.csv")]
    return problems + [f"{p.relative_to(root)} holds {m[0]!r}" for p in scripts if p.suffix in {".py", ".md", ".csv"}
                       for m in OWN_PATHS.finditer(p.read_text(encoding="utf-8"))]


def no_dead_imports(root):
    "ruff finds no unused import and no undefined name, in notebooks, library, tests and tools"
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "--exclude",
                           "exercises", "."], cwd=root, capture_output=True, text=True)
    return [] if done.returncode == 0 else done.stdout.splitlines() or [done.stderr]


def _undocumented(node, lines, where):
    "What is missing of a docstring, types and docments of the function or class `node`"
    if not ast.get_docstring(node) and not getattr(node, "name", "").startswith("__"): yield f"{where}: no docstring"
    if isinstance(node, ast.ClassDef):
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and "#" not in lines[item.lineno - 1]:
                yield f"{where}.{ast.unparse(item.target)}: no comment that says what it holds"
            if isinstance(item, ast.FunctionDef) and (item.name == "__init__" or not item.name.startswith("_")):
                yield from _undocumented(item, lines, f"{where}.{item.name}")
        return
    if any(ast.unparse(d).endswith(("setter", "overload")) for d in node.decorator_list): return
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    for arg in arguments:
        if arg.arg in ("self", "cls", "ctx"): continue
        if arg.annotation is None: yield f"{where}({arg.arg}): no type"
        if "#" not in lines[arg.lineno - 1]: yield f"{where}({arg.arg}): no comment that says what it is"
    if node.returns is None and node.name != "__init__": yield f"{where}: no return type"


def documented(root):
    "Every exported function, class and public method has a docstring, types and docments"
    problems = []
    for path in module_files(root):
        text = path.read_text(encoding="utf-8")
        tree, lines = ast.parse(text), text.splitlines()
        names = next((ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign)
                      and ast.unparse(n.targets[0]) == "__all__"), [])
        problems += [p for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names
                     for p in _undocumented(node, lines, f"{path.stem}.{node.name}")]
    return problems


def alt_text(root):
    "Every figure says in words what it shows"
    problems = []
    for path, nb in notebooks(root):
        for c in nb.cells:
            if c.cell_type == "markdown" and re.search(r"!\[\s*\]\(", c.source):
                problems.append(f"{path.name}: cell {c.id} shows a picture without alt text")
            shows = any(k.startswith("image/") for o in c.get("outputs", []) for k in o.get("data", {}))
            if shows and not re.search(r"^#\| *fig-alt: *\S", c.source, re.M):
                problems.append(f"{path.name}: cell {c.id} draws a figure without '#| fig-alt:'")
    return problems


def runs_in_jupyter(root):
    "'Run All' works where nothing reads the flags: a cell for the GPU asks for one, and no cell is marked as not to run"
    problems = []
    for path, nb in notebooks(root):
        for c in code_cells(nb):
            if re.search(r"^#\| *eval: *false", c.source, re.M):
                problems.append(f"{path.name}: cell {c.id} would run in Jupyter: show such code in a markdown cell")
            if re.search(r"^#\| *cuda\b", c.source, re.M) and "cuda.is_available()" not in c.source:
                problems.append(f"{path.name}: cell {c.id} fails without a GPU: put it under 'if torch.cuda.is_available():'")
    return problems


def imported_modules(tree, top_only):
    "Dotted names of all that `tree` imports"
    nodes = tree.body if top_only else ast.walk(tree)
    for n in nodes:
        if isinstance(n, ast.Import): yield from (a.name for a in n.names)
        elif isinstance(n, ast.ImportFrom) and n.level == 0: yield from (f"{n.module}.{a.name}" for a in n.names)
        elif isinstance(n, ast.ImportFrom): yield from (f"course_lib.{n.module or ''}.{a.name}".replace("..", ".") for a in n.names)


def module_order(root):
    "A module or notebook uses only modules with a smaller number (a notebook also its own)"
    numbers, problems = chapters(root), []
    numbers_of_modules = numbers | {"exercises": 1}  # written for every chapter, so it uses the first one alone
    trees = [(p.name, numbers_of_modules.get(p.stem, -1), ast.parse(p.read_text(encoding="utf-8"))) for p in module_files(root)]
    trees += [(p.name, int(p.stem[:2]) + 1, prose.python_of(c.source)) for p, nb in notebooks(root) if p.stem[:2].isdigit()
              for c in code_cells(nb)]
    for name, number, tree in trees:
        for imported in imported_modules(tree, top_only=False):
            used = imported.split(".")[1:2] if imported.startswith("course_lib.") else []
            problems += [f"{name} uses {u}, a later chapter" for u in used if numbers.get(u, -1) >= number]
    return problems


def import_budget(root):
    "`course_lib` brings nothing in, the light modules need torch alone"
    problems = []
    for path in module_files(root):
        if path.stem not in LIGHT: continue
        tops = {m.split(".")[0] for m in imported_modules(ast.parse(path.read_text(encoding="utf-8")), top_only=True)}
        problems += [f"{path.name} imports {t} at its top" for t in sorted(tops - LIGHT_IMPORTS - sys.stdlib_module_names)]
    light = [p.stem for p in module_files(root) if p.stem in LIGHT]
    script = "\n".join(["import sys", "import course_lib", "heavy = {'torch', 'numpy', 'fastai'} & set(sys.modules)",
                        "assert not heavy, f'course_lib brings in {heavy}'",
                        *(f"import course_lib.{m}" for m in light),
                        "heavy = {'fastai', 'pandas', 'matplotlib', 'sklearn', 'scipy', 'timm', 'torchvision'} & set(sys.modules)",
                        "assert not heavy, f'the light modules bring in {heavy}'"])
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    return problems + ([done.stderr.strip().splitlines()[-1]] if done.returncode else [])


def ledger(root):
    "The rows of nbs/field_notes.csv"
    return prose.rows(root/"nbs"/"field_notes.csv")


def note_cells(root):
    "{note id: [(notebook name, cell)]} of all cells that begin with '#| note: ID'"
    found = {}
    for path, nb in notebooks(root):
        for c in code_cells(nb):
            for note in re.findall(r"^#\| *note: *(\S+)\s*$", c.source, re.M): found.setdefault(note, []).append((path.stem, c))
    return found


def can_fail(cell):
    "Does the cell hold an assertion on something computed?"
    for n in ast.walk(prose.python_of(cell.source)):
        if isinstance(n, ast.Assert) and any(isinstance(m, ast.Name) for m in ast.walk(n.test)): return True
        if isinstance(n, ast.With) and any("expect_fail" in ast.unparse(i.context_expr) for i in n.items): return True
        if isinstance(n, ast.Call) and re.search(r"(^test_(eq|close|ne|fail|is|shuffled)|\bassert_\w+)$", ast.unparse(n.func)): return True
    return False


def field_notes(root):
    "Every claim of a chapter that is written stands in it, as a cell with an assertion"
    rows, cells, numbers, problems = ledger(root), note_cells(root), chapters(root), []
    ids = [r["id"] for r in rows]
    problems += [f"ledger: {i} stands twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    problems += [f"{where[0][0]}: note {i} is not in the ledger" for i, where in cells.items() if i not in ids]
    for r in rows:
        is_written = r["chapter"][3:] in numbers
        if r["verdict"] not in ({"confirmed", "refined", "corrected", "link"} if is_written else {"open"}):
            problems.append(f"ledger: {r['id']} has the verdict {r['verdict']!r}")
        if not is_written: continue
        here = [c for name, c in cells.get(r["id"], []) if name == r["chapter"]]
        if not here: problems.append(f"{r['chapter']}: claim {r['id']} has no cell")
        elif not any(map(can_fail, here)): problems.append(f"{r['chapter']}: the cell of {r['id']} holds no assertion that can fail")
    return problems


def facts_once(root):
    "settings.ini is the one place for its facts: none of them stands in pyproject.toml or setup.py as well"
    config = ConfigParser(delimiters=["="])
    config.read(root/"settings.ini", encoding="utf-8")
    pyproject, setup = (root/"pyproject.toml").read_text(encoding="utf-8"), (root/"setup.py").read_text(encoding="utf-8")
    problems = []
    for key, value in config["DEFAULT"].items():
        for fact in [v for v in value.split("\n") if v]:
            if key != "name" and fact in pyproject: problems.append(f"pyproject.toml repeats {key} = {fact}")
            if key != "name" and fact in setup: problems.append(f"setup.py repeats {key} = {fact}")
    version = re.search(r'"(.+)"', (root/"course_lib"/"__init__.py").read_text(encoding="utf-8"))[1]
    problems += [f"{n} repeats the version" for n, t in (("pyproject.toml", pyproject), ("setup.py", setup),
                                                         ("settings.ini", (root/"settings.ini").read_text(encoding="utf-8"))) if f'"{version}"' in t or f"= {version}\n" in t]
    table = pyproject.split("[project]")[1].split("\n[")[0]
    keys = set(re.findall(r"^([\w-]+) *=", table, re.M))
    problems += [f"pyproject.toml [project] holds {k}; only name (which the packaging standard asks for) and dynamic may stand there"
                 for k in sorted(keys - {"name", "dynamic"})]
    if f'name = "{config["DEFAULT"]["name"]}"' not in table: problems.append("the name in pyproject.toml is not that of settings.ini")
    return problems


def listed(root, name):
    "The rows of one of the lists beside the notebooks, by chapter"
    by_chapter = {}
    for r in prose.rows(root/"nbs"/name): by_chapter.setdefault(r["chapter"], []).append(r)
    return by_chapter


def typed_numbers(root):
    "A number in prose is computed, or stands in nbs/numbers.csv with where it comes from"
    allowed, problems = listed(root, "numbers.csv"), []
    problems += [f"numbers.csv: {r['text']!r} has no source or kind" for rs in allowed.values() for r in rs
                 if not r["source"] or r["kind"] not in {"definition", "given", "paper", "name"}]
    for path, nb in notebooks(root):
        mine, seen = [r["text"] for r in allowed.pop(path.stem, [])], []
        for c, text in prose.texts(nb):
            seen.append(text)
            problems += [f"{path.name}: cell {c.id} has a typed number: '... {n} ...'" for n in prose.typed(text, mine)]
            if "?" in re.findall(r'<span title="[^"]+">([^<]*)</span>', text) and inline_values(c):
                problems.append(f"{path.name}: cell {c.id} has an inline value that was never computed")
        problems += [f"numbers.csv: {path.stem} does not say {t!r}" for t in mine if not any(t in text for text in seen)]
    return problems + [f"numbers.csv: there is no notebook {name}" for name in allowed]


def claims_are_shown(root):
    "What is said to be better, faster or to help stands in nbs/claims.csv with the cell that shows it"
    allowed, problems = listed(root, "claims.csv"), []
    for path, nb in notebooks(root):
        mine, cells = allowed.pop(path.stem, []), {c.id: c for c in nb.cells}
        everything = [(c, text) for c, text in prose.texts(nb)]
        for c, text in everything:
            problems += [f"{path.name}: cell {c.id} claims: '... {p} ...'" for p in prose.claims(text, [r["phrase"] for r in mine])]
        for r in mine:
            where, cell = f"claims.csv: {path.stem}, {r['phrase']!r}", cells.get(r["cell"])
            if not any(r["phrase"] in text for _, text in everything): problems.append(f"{where} is not said there")
            if r["kind"] == "measured" and not (cell and prose.EVIDENCE.search(cell.source)):
                problems.append(f"{where}: cell {r['cell']!r} shows no interval over seeds or repeats")
            if r["kind"] == "proved" and not (cell and cell.cell_type == "code" and can_fail(cell)):
                problems.append(f"{where}: cell {r['cell']!r} holds no assertion that can fail")
            if r["kind"] not in {"measured", "proved", "not a claim"} or not r["why"]: problems.append(f"{where} has no kind or no reason")
    return problems + [f"claims.csv: there is no notebook {name}" for name in allowed]


def defined_before_use(root):
    "No chapter uses a term that only a later one defines"
    numbered = [(p, nb) for p, nb in notebooks(root) if p.stem[:2].isdigit()]
    first = {}
    for path, nb in numbered:
        for term in prose.definitions(nb): first.setdefault(term, path.stem)
    if not first: return ["no term is defined anywhere"]
    problems = []
    for path, nb in numbered:
        said = [(c, " ".join(prose.CODE.sub(" ", text).split())) for c, text in prose.texts(nb)]
        for term, chapter in first.items():
            if chapter <= path.stem: continue
            here = next((c for c, text in said if prose.uses(term, text)), None)
            if here is not None: problems.append(f"{path.name}: cell {here.id} uses {term!r}, which {chapter} defines")
    return problems


def exercises_are_complete(root):
    "Every chapter ends in four to eight marked exercises and in questions, and every exercise has its check and five wrong answers"
    problems, course = [], exercises.course(root)
    mutants = "\n".join(p.read_text(encoding="utf-8") for p in (root/"tests"/"mutants").glob("[!_]*.py"))
    for path in exercises.chapters(root):
        c = course.get(path.stem, {"exercises": [], "questions": []})
        names = set(exercises.solutions(path))
        if not 4 <= len(names) <= 8: problems.append(f"{path.stem} has {len(names)} exercises, not four to eight")
        if len(c["questions"]) < 6: problems.append(f"{path.stem} has {len(c['questions'])} questions, fewer than six")
        problems += [f"{path.stem}: the exercise {n} has no title, level and minutes" for n in sorted(names - {e["name"] for e in c["exercises"]})]
        checks = root/"course_lib"/"_checks"/f"{path.stem[3:]}.py"
        defined = re.findall(r"^@exercise\ndef (\w+)", checks.read_text(encoding="utf-8"), re.M) if checks.exists() else []
        problems += [f"{path.stem}: the exercise {n} has no check" for n in sorted(names - set(defined))]
        problems += [f"{checks.name}: no chapter asks for {n}" for n in sorted(set(defined) - names)]
        for n in sorted(names):
            count = len(re.findall(rf"^@mutant\(['\"]{n}['\"]", mutants, re.M))
            if count < 5: problems.append(f"{path.stem}: {n} has {count} wrong answers in tests/mutants, not five")
    return problems


def made_from_chapters(root):
    "The workbooks and the list of exercises are those of the chapters"
    return [f"{p.relative_to(root)} differs from what the chapters say: run 'python course.py export'"
            for p, text in exercises.files(root).items() if not p.exists() or p.read_text(encoding="utf-8") != text]


GATES = [library_in_sync, executed, no_own_paths, no_dead_imports, documented, alt_text, runs_in_jupyter,
         module_order, import_budget, field_notes, facts_once, typed_numbers, claims_are_shown, defined_before_use,
         exercises_are_complete, made_from_chapters]

if __name__ == "__main__":
    asked = [g for g in GATES if g.__name__ in sys.argv[1:] or not sys.argv[1:]]
    found = [f"{gate.__name__}: {p}" for gate in asked for p in gate(ROOT)]
    print("\n".join(found) or f"{len(asked)} gates hold")
    sys.exit(bool(found))
