"""Gates over the repository: no path of a machine, no dead import, no fact that stands twice."""
import re
import subprocess
import sys
from configparser import ConfigParser

from tools.notebooks import notebooks

OWN_PATHS = re.compile(r"(?:/root|/home/\w+|/Users/\w+|/work|/tmp|/var/folders|[A-Z]:\\+Users)(?:[/\\]|\b)[\w./\\-]*")


def no_own_paths(root):
    "No path of the machine a notebook or script was written on"
    problems = []
    for path, nb in notebooks(root):
        for c in nb.cells:
            texts = [c.source] + [str({k: v for k, v in o.get("data", {}).items()
                                       if "image" not in k}) + str(o.get("text", ""))
                                  for o in c.get("outputs", [])]
            problems += [f"{path.name}: cell {c.id} holds {m[0]!r}" for t in texts for m in OWN_PATHS.finditer(t)]
    scripts = [*root.glob("*.py"), *root.glob("*.md"), *(root/"benchmarks").glob("**/*.*"), *(root/"nbs").glob("*.csv")]
    return problems + [f"{p.relative_to(root)} holds {m[0]!r}" for p in scripts if p.suffix in {".py", ".md", ".csv"}
                       for m in OWN_PATHS.finditer(p.read_text(encoding="utf-8"))]


def no_dead_imports(root):
    "ruff finds no unused import and no undefined name, in notebooks, library, tests and tools"
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise",
                           "--exclude",
                           "exercises", "."], cwd=root, capture_output=True, text=True)
    return [] if done.returncode == 0 else done.stdout.splitlines() or [done.stderr]


def facts_once(root):
    "settings.ini is the one place for its facts: none of them stands in pyproject.toml or setup.py as well"
    config = ConfigParser(delimiters=["="])
    config.read(root/"settings.ini", encoding="utf-8")
    pyproject, setup, settings = ((root/n).read_text(encoding="utf-8")
                                  for n in ("pyproject.toml", "setup.py", "settings.ini"))
    problems = []
    for key, value in config["DEFAULT"].items():
        for fact in [v for v in value.split("\n") if v]:
            if key != "name" and fact in pyproject: problems.append(f"pyproject.toml repeats {key} = {fact}")
            if key != "name" and fact in setup: problems.append(f"setup.py repeats {key} = {fact}")
    version = re.search(r'"(.+)"', (root/"course_lib"/"__init__.py").read_text(encoding="utf-8"))[1]
    texts = (("pyproject.toml", pyproject), ("setup.py", setup), ("settings.ini", settings))
    problems += [f"{n} repeats the version" for n, t in texts if f'"{version}"' in t or f"= {version}\n" in t]
    table = pyproject.split("[project]")[1].split("\n[")[0]
    keys = set(re.findall(r"^([\w-]+) *=", table, re.M))
    problems += [f"pyproject.toml [project] holds {k}; only name (which the packaging standard asks for) and dynamic "
                 f"may stand there"
                 for k in sorted(keys - {"name", "dynamic"})]
    if f'name = "{config["DEFAULT"]["name"]}"' not in table:
        problems.append("the name in pyproject.toml is not that of settings.ini")
    return problems
