"""What the base install does not bring is imported under `needs`, with an extra that brings it.

Seen to fail: an import without `needs`; `needs('collab')` around matplotlib, which that extra does not bring; a package
of pictures without its extra in the metadata of its lesson.
"""
import ast
import importlib.metadata
import re
import subprocess
import sys
from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement

from tools.notebooks import ROOT

BASE = {"torch", "numpy", "safetensors", "course_lib"} | sys.stdlib_module_names
CALLED = {"PIL": "pillow", "google": "protobuf", "sklearn": "scikit-learn", "yaml": "pyyaml"}  # import: distribution
settings = ConfigParser(delimiters=["="])
settings.read(ROOT/"settings.ini", encoding="utf-8")


def brings(extra):
    "The distributions that an extra names, those of the extras that it names, and what fastai brings where it is one"
    named = [Requirement(r) for r in settings["DEFAULT"][f"{extra}_requirements"].split("\n") if r]
    found = {r.name for r in named} | {d for r in named for e in r.extras for d in brings(e)}
    if "fastai" in found: found |= {re.match(r"[\w-]+", r)[0] for r in importlib.metadata.requires("fastai")}
    return found


def optional(path):
    "(line, distribution, extra or None) of every import of what is not in the base install"
    def walk(node, extra):
        if isinstance(node, ast.With) and ast.unparse(node.items[0].context_expr).startswith("needs("):
            extra = ast.literal_eval(node.items[0].context_expr.args[0])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING": return
        if isinstance(node, ast.Try) and any(h.type and ast.unparse(h.type) == "ImportError" for h in node.handlers): return  # does without
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
            [node.module] if isinstance(node, ast.ImportFrom) and not node.level else [])
        for top in {n.split(".")[0] for n in names} - BASE: yield node.lineno, CALLED.get(top, top), extra
        for child in ast.iter_child_nodes(node): yield from walk(child, extra)
    yield from walk(ast.parse(path.read_text(encoding="utf-8")), None)


def whole_package(path):
    "The extra under which the face of a module's package imports everything, or None"
    face = ROOT/"course_lib"/path.relative_to(ROOT/"course_lib").parts[0]/"__init__.py"
    found = re.search(r"^with needs\('(\w+)'\):", face.read_text(encoding="utf-8"), re.M) if face.exists() else None
    return found and found[1]


MODULES = sorted(p for p in (ROOT/"course_lib").rglob("*.py") if any(optional(p)))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT/"course_lib").as_posix())
def test_what_is_optional_is_imported_under_an_extra_that_brings_it(path):
    for line, distribution, extra in optional(path):
        extra = extra or whole_package(path)
        assert extra, f"{path}:{line} imports {distribution}: write `with needs(EXTRA): ...`"
        assert distribution in brings(extra), f"{path}:{line}: course_lib[{extra}] does not bring {distribution}"


def test_the_walk_sees_the_library():
    assert len(MODULES) > 20 and {d for p in MODULES for _, d, _ in optional(p)} >= {
        "fastai", "timm", "torchvision", "pillow", "pandas", "scipy", "matplotlib", "scikit-learn"}


BLOCKED = """
import sys
for name in ("fastai", "pandas", "scipy", "matplotlib", "sklearn", "PIL", "timm", "torchvision"): sys.modules[name] = None
from course_lib import data, timing
from course_lib.core import use_style
from course_lib.lr_finder import LRCurve
import torch

def pictures(): import course_lib.presizing
def tuning(): import course_lib.fine_tuning
def blocks(): import course_lib.datablocks.pictures
curve = LRCurve(torch.logspace(-4, 0, 20), (torch.ones(20),), 20)
for call, missing, extra in (
        (pictures, "fastai", "vision"), (tuning, "timm", "vision"), (blocks, "fastai", "vision"),
        (data.photographs, "PIL", "vision"), (curve.plot, "matplotlib", "course"), (use_style, "matplotlib", "course"),
        (lambda: timing.median_ci([1.]*9, "x"), "scipy", "collab")):
    try: call()
    except ModuleNotFoundError as e:
        told = f"is missing: pip install 'course_lib[{extra}]' brings it"
        assert str(e).startswith(missing) and str(e).endswith(told), (str(e), told)
    else: raise AssertionError(f"{call} did without {missing}")
"""


def test_the_error_names_the_extra_and_the_command():
    done = subprocess.run([sys.executable, "-c", BLOCKED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
