"""Gates over the library: in step with its notebooks, documented, typed, small rooms, and no import of a later
chapter."""
import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tools.build import docments, faces
from tools.build.source import Source
from tools.gates import left, prose
from tools.notebooks import code_cells, facts, module, notebooks, number

LIGHT_IMPORTS = {"torch", "numpy", "PIL", "safetensors", "course_lib"}
HEAVY_IMPORTS = {"fastai", "pandas", "matplotlib", "sklearn", "scipy", "timm", "torchvision"}
MODULE_LINES, COLLAB_LINES = 500, 300
SIZE, READABLE = "lines in a module", ("lines over 120", "tangled functions", "type errors")
HAND_WRITTEN = ("exercises/checks",)  # folders whose modules come from no notebook


def module_files(root):
    "Every module that comes from a notebook, and the faces"
    return [p for p in sorted((root/"course_lib").rglob("*.py")) if p.name != "_modidx.py"
            and p != root/"course_lib"/"__init__.py"
            and not any(p.is_relative_to(root/"course_lib"/h) for h in HAND_WRITTEN)]


def rooms(root):
    "`module_files` without the faces"
    return [p for p in module_files(root) if p.name != "__init__.py"]


def dotted(root, path):
    "The dotted name of a module of the library, without `course_lib.` in front"
    parts = path.relative_to(root/"course_lib").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def library_in_sync(root):
    "What nbdev writes from the notebooks is what stands in the repository, faces too, and the notebooks are clean"
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)/root.resolve().name
        tmp.mkdir()
        for name in ("nbs", "course_lib"):
            shutil.copytree(root/name, tmp/name,
                            ignore=shutil.ignore_patterns("__pycache__", "_assets", ".ipynb_checkpoints"))
        shutil.copy(root/"pyproject.toml", tmp)
        for p in module_files(tmp): p.unlink()
        for command in ("export", "clean"):
            subprocess.run([Path(sys.executable).parent/f"nbdev-{command}"], cwd=tmp, check=True, capture_output=True)
        docments.write(tmp)
        for path, text in faces.faces(tmp).items(): path.write_text(text, encoding="utf-8")
        problems = []
        for new in sorted([*(tmp/"course_lib").rglob("*.py"), *(tmp/"nbs").rglob("*.ipynb")]):
            old = root/new.relative_to(tmp)
            if not old.exists(): problems.append(f"{old.relative_to(root)} is missing: run 'python course.py export'")
            elif old.read_text(encoding="utf-8") != new.read_text(encoding="utf-8"):
                problems.append(f"{old.relative_to(root)} differs from what nbdev writes: run 'python course.py "
                                f"export'")
        strays = {dotted(root, p) for p in module_files(root)} - {dotted(tmp, p) for p in module_files(tmp)}
        return problems + [f"course_lib/{s.replace('.', '/')} comes from no notebook" for s in sorted(strays)]


def _inherited(cls, classes):
    "{method: the names of its arguments} of the library's classes that `cls` is made from"
    found = {}
    names = [ast.unparse(b).rpartition(".")[2] for b in cls.bases]
    for base in [classes[n] for n in names if n in classes and n != cls.name]:
        own = {f.name: {a.arg for a in f.args.args} for f in base.body if isinstance(f, ast.FunctionDef)}
        found = {**_inherited(base, classes), **own, **found}
    return found


def _undocumented(node, lines, where, classes):
    "What is missing of a docstring, types and docments of the function or class `node`"
    if isinstance(node, ast.FunctionDef): yield from _undocumented_function(node, lines, where)
    elif not ast.get_docstring(node): yield f"{where}: no docstring"
    for item in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(item, ast.AnnAssign) and "#" not in lines[item.lineno - 1]:
            yield f"{where}.{ast.unparse(item.target)}: no comment that says what it holds"
        if isinstance(item, ast.FunctionDef) and (item.name == "__init__" or not item.name.startswith("_")):
            said = () if item.name == "__init__" else _inherited(node, classes).get(item.name, ())
            yield from _undocumented_function(item, lines, f"{where}.{item.name}", said)


def _undocumented_function(node, lines, where, said=()):
    """What is missing of a function or method. One that overrides another of the library's need not say again what
    its arguments, `said`, are."""
    if not ast.get_docstring(node) and not node.name.startswith("__"): yield f"{where}: no docstring"
    if any(ast.unparse(d).endswith(("setter", "overload")) for d in node.decorator_list): return
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs,
                 *([a.kwarg] if a.kwarg else [])]
    for arg in arguments:
        if arg.arg in ("self", "cls", "ctx"): continue
        if arg.annotation is None: yield f"{where}({arg.arg}): no type"
        if arg.arg not in said and "#" not in lines[arg.lineno - 1]:
            yield f"{where}({arg.arg}): no comment that says what it is"
    if node.returns is None and node.name != "__init__": yield f"{where}: no return type"


def documented(root):
    "Every exported function, class and public method has a docstring, types and docments"
    problems = []
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in rooms(root)]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    for path in rooms(root):
        text = path.read_text(encoding="utf-8")
        tree, lines, names = ast.parse(text), text.splitlines(), faces.public(path)
        problems += [p for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names
                     for p in _undocumented(node, lines, f"{dotted(root, path)}.{node.name}", classes)]
    return problems


def imported_modules(tree, package, top_only=False):
    "Dotted names of all that `tree` imports; `package` is the dotted package that relative imports start from"
    for n in tree.body if top_only else ast.walk(tree):
        if isinstance(n, ast.Import): yield from (a.name for a in n.names)
        elif isinstance(n, ast.ImportFrom):
            base = package.split(".")[:len(package.split(".")) - n.level + 1] if n.level else []
            whole = ".".join([*base, *([n.module] if n.module else [])])
            yield from (f"{whole}.{a.name}" for a in n.names)


def library_imports(root):
    "{module: the modules of the library that it imports}, by dotted names without `course_lib.`"
    files = {dotted(root, p): p for p in module_files(root)}
    found = {}
    for name, path in files.items():
        package = ".".join(["course_lib", *name.split(".")[:None if path.name == "__init__.py" else -1]]).rstrip(".")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = [m.removeprefix("course_lib.") for m in imported_modules(tree, package) if m.startswith("course_lib.")]
        found[name] = {next((n for n in (u, u.rpartition(".")[0]) if n in files), u) for u in used} - {name}
    return found


def numbers(root):
    "{module or package: its chapter}; a package has that of its first notebook"
    found = {}
    for path, nb in notebooks(root):
        if not (name := module(nb)): continue
        while name:
            found[name] = min(number(path), found.get(name, 99))
            name = name.rpartition(".")[0]
    return found


def module_order(root):
    "A module or notebook uses only modules of the same or a smaller chapter"
    of, problems = numbers(root), []
    for name, used in library_imports(root).items():
        problems += [f"{name} uses {u}, a later chapter" for u in sorted(used) if of.get(u, -1) > of.get(name, 0)]
    for path, nb in notebooks(root):
        if not path.stem[:2].isdigit() or facts(nb).get("uses_all"): continue
        for imported in {m for c in code_cells(nb) for m in imported_modules(prose.python_of(c.source), "")}:
            u = imported.removeprefix("course_lib.") if imported.startswith("course_lib.") else ""
            u = next((n for n in (u, u.rpartition(".")[0]) if n in of), None)
            if u and of[u] > number(path): problems.append(f"{path.name} uses {u}, a later chapter")
    return problems


def no_circles(root):
    "No module imports itself by way of others"
    graph, problems, done = library_imports(root), [], set()
    def visit(name, trail):
        if name in trail:
            problems.append("a circle: " + " → ".join([*trail[trail.index(name):], name]))
        elif name not in done:
            for u in sorted(graph.get(name, ())): visit(u, [*trail, name])
            done.add(name)
    for name in graph: visit(name, [])
    return problems


def sizes(root):
    "{(module, kind): its lines, if they are too many}; comments that export repeats in docstrings do not count"
    found = {dotted(root, s.path): len(s.lines) - docments.count(s) for s in (Source(root, p) for p in rooms(root))}
    most = {name: COLLAB_LINES if name.startswith("collab.") else MODULE_LINES for name in found}
    return {(name, SIZE): n if n > most[name] else 0 for name, n in found.items()}


def room_size(root):
    "No module has over 500 lines, and none of collab over 300; what is left to divide only shrinks"
    return left.problems(root, sizes(root), [SIZE])


def light(root):
    "The modules whose notebooks say that they need torch and numpy alone"
    return sorted(name for _, nb in notebooks(root) if facts(nb).get("light") and (name := module(nb)))


def import_budget(root):
    "`course_lib` brings nothing in, the light modules need torch and numpy alone"
    problems = []
    files = {dotted(root, p): p for p in rooms(root)}
    for name in light(root):
        tree = ast.parse(files[name].read_text(encoding="utf-8"))
        tops = {m.split(".")[0] for m in imported_modules(tree, f"course_lib.{name}".rpartition(".")[0], top_only=True)}
        problems += [f"{name} imports {t} at its top" for t in sorted(tops - LIGHT_IMPORTS - sys.stdlib_module_names)]
    script = "\n".join(["import sys", "import course_lib", "heavy = {'torch', 'numpy', 'fastai'} & set(sys.modules)",
                        "assert not heavy, f'course_lib brings in {heavy}'",
                        *(f"import course_lib.{m}" for m in light(root)),
                        f"heavy = {HEAVY_IMPORTS!r} & set(sys.modules)",
                        "assert not heavy, f'the light modules bring in {heavy}'"])
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    return problems + ([done.stderr.strip().splitlines()[-1]] if done.returncode else [])


def _by_nbdev(path, row):
    "Whether nbdev writes a line of a module: the first, which holds the notebook's promise, or that of its `__all__`"
    return row == 1 or path.read_text(encoding="utf-8").splitlines()[row - 1].startswith("__all__ = ")


def faults(root):
    "{(file, kind): how many}: lines over 120 characters, tangled functions (complexity over 10), errors of types"
    folders = [f for f in ("course_lib", "tools", "benchmarks", "course.py") if (root/f).exists()]
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--isolated", "--line-length", "120", "--select",
            "E501,C901",
            "--exclude", "_modidx.py", "--output-format", "json", *folders]
    mypy = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir",
            Path(tempfile.gettempdir())/"course_lib_mypy", "course_lib"]
    places = [(f["filename"], READABLE[0] if f["code"] == "E501" else READABLE[1])
              for f in json.loads(subprocess.run(ruff, cwd=root, capture_output=True, text=True).stdout)
              if not _by_nbdev(Path(f["filename"]), f["location"]["row"])]
    done = subprocess.run(mypy, cwd=root, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"mypy ended with {done.returncode}: {done.stdout}{done.stderr}")
    places += [(root/m[1], READABLE[2]) for line in done.stdout.splitlines()
               if (m := re.match(r"(.+?):\d+: error", line))]
    return Counter((Path(file).resolve().relative_to(root.resolve()).as_posix(), kind) for file, kind in places)


def readable(root):
    """Library, checks, tools and benchmarks have no long line, no tangled and no untyped function; what is left only
    shrinks"""
    return left.problems(root, faults(root), READABLE)
