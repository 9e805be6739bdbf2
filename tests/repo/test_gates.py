"""The gates hold over this repository, and each of them fails when what it guards is broken in a small copy."""
import csv
import shutil

import nbformat
import pytest
import torch

from tools.build import workbooks
from tools.build.run_notebook import source_hash
from tools.gates import claims, fake_cuda, left, lessons, prose
from tools.gates.__main__ import GATES
from tools.notebooks import ROOT, fact

BY_NAME = {g.__name__: g for g in GATES}


@pytest.mark.parametrize("gate", GATES, ids=lambda g: g.__name__)
def test_gate_holds(gate): assert gate(ROOT) == []


@pytest.fixture
def small(tmp_path):
    "A repository of one chapter for which every gate holds"
    root = tmp_path/"small"
    (root/"nbs").mkdir(parents=True)
    shutil.copytree(ROOT/"course_lib"/"_assets", root/"course_lib"/"_assets")
    for name in ("pyproject.toml", "settings.ini", "setup.py"): shutil.copy(ROOT/name, root)
    for name in ("__init__.py", "core.py"): shutil.copy(ROOT/"course_lib"/name, root/"course_lib")
    shutil.copy(ROOT/"nbs"/"measuring.ipynb", root/"nbs")
    shutil.copytree(ROOT/"course_lib"/"exercises", root/"course_lib"/"exercises", ignore=shutil.ignore_patterns("checks", "__pycache__"))
    (root/"nbs"/"lib").mkdir()
    for p in (ROOT/"nbs"/"lib").glob("00_exercises_*.ipynb"): shutil.copy(p, root/"nbs"/"lib")
    for folder in ("course_lib/exercises/checks", "tests/exercises/mutants"):
        (root/folder).mkdir(parents=True)
        for name in ("__init__.py", "core.py"): shutil.copy(ROOT/folder/name, root/folder)
    for name in ("field_notes.csv", "numbers.csv", "claims.csv"):
        write_rows(root, name, [r for r in prose.rows(ROOT/"nbs"/name) if r["chapter"] == "measuring"])
    (root/"tools"/"gates").mkdir(parents=True)
    there = {"measuring", *(f"course_lib/{n}" for n in ("core.py", "_checks/core.py"))}
    rows = [r for r in prose.rows(ROOT/left.LEFT) if r["place"] in there]
    (root/left.LEFT).write_text("place,kind,left\n" + "".join(f"{r['place']},{r['kind']},{r['left']}\n" for r in rows), encoding="utf-8")
    make_workbooks(root)
    return root


def make_workbooks(root):
    (root/"exercises").mkdir(exist_ok=True)
    for path, text in workbooks.files(root).items(): path.write_text(text, encoding="utf-8")


def write_rows(root, name, rows):
    header = prose.rows(ROOT/"nbs"/name)[0].keys()
    with open(root/"nbs"/name, "w", encoding="utf-8", newline="") as f:
        table = csv.DictWriter(f, header)
        table.writeheader()
        table.writerows(rows)


def edit(root, change, stamp=True):
    "Apply `change` to the notebook's cells and write it back, with a fresh stamp unless told otherwise"
    path = root/"nbs"/"measuring.ipynb"
    nb = nbformat.read(path, 4)
    change(nb.cells)
    if stamp: nb.metadata.course_lib["executed"] = source_hash(nb)
    nbformat.write(nb, path)


def code(cells, part): return next(c for c in cells if c.cell_type == "code" and part in c.source)


def add(source): return lambda cells: cells.append(nbformat.v4.new_code_cell(source))


def say(text): return lambda cells: cells.append(nbformat.v4.new_markdown_cell(text))


def change_module(root, old, new):
    path = root/"course_lib"/"core.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def break_source(root): edit(root, lambda cells: setattr(code(cells, "def default_device"), "source", "#| export\nx = 1"))


def break_ledger(root, **changes):
    rows = claims.ledger(root)
    rows[0].update(changes)
    write_rows(root, "field_notes.csv", rows)


def list_claim(root, cell, kind="measured"):
    "Say that something is faster, and give `cell` as what shows it"
    edit(root, say("Zebras are faster."))
    rows = prose.rows(root/"nbs"/"claims.csv")
    write_rows(root, "claims.csv", [*rows, {"chapter": "measuring", "phrase": "Zebras are faster", "kind": kind, "cell": cell, "why": "seen"}])


def define_later(root):
    edit(root, say("Think of zebras."))
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("A **<dfn>zebra</dfn>** has stripes.")])
    nbformat.write(nb, root/"nbs"/"data.ipynb")


def an_exercise(): return next(iter(workbooks.solutions(ROOT/"nbs"/"measuring.ipynb")))


def error_output(cells): cells[-1].outputs = [nbformat.v4.new_output("error", ename="KeyError", evalue="", traceback=[])]


def slow_stamp(root):
    path = root/"nbs"/"measuring.ipynb"
    nb = nbformat.read(path, 4)
    nb.metadata.course_lib["seconds"] = lessons.LIMIT + 1
    nbformat.write(nb, path)


def later_chapter(root):
    lesson = (root/"nbs"/"measuring.ipynb").read_text(encoding="utf-8").replace("default_exp core", "default_exp losses")
    (root/"nbs"/"04_losses.ipynb").write_text(lesson, encoding="utf-8")
    (root/"course_lib"/"losses.py").write_text("x = 1", encoding="utf-8")
    change_module(root, "import torch\n", "import torch\nfrom course_lib.losses import x\n")


def circle(root):
    change_module(root, "import torch\n", "import torch\nfrom .words import x\n")
    (root/"course_lib"/"words.py").write_text("from .core import seed_everything\n", encoding="utf-8")


def long_room(root):
    (root/"course_lib"/"collab").mkdir()
    (root/"course_lib"/"collab"/"zebra.py").write_text("x = 1\n"*301, encoding="utf-8")


def noted(cells, note): return next(c for c in cells if note in (fact(c, "notes") or []))


def figure(cells): return next(c for c in cells if c.cell_type == "code" and fact(c, "alt"))


def rewrite(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


BREAKS = {
    "a cell changed, not exported": ("library_in_sync", break_source, "core.py"),
    "a module edited by hand": ("library_in_sync", lambda r: change_module(r, "seed: int = 42", "seed: int = 43"), "core.py"),
    "a module without a notebook": ("library_in_sync", lambda r: (r/"course_lib"/"stray.py").write_text("x = 1"), "stray comes from"),
    "outputs older than the code": ("executed", lambda r: edit(r, add("1 + 1"), stamp=False), "outputs"),
    "an error left in": ("executed", lambda r: edit(r, error_output), "KeyError"),
    "a notebook over its minute": ("executed", slow_stamp, "seconds over"),
    "a path of one's own machine": ("no_own_paths", lambda r: edit(r, add("open('" + "/home" + "/someone/x')")), "someone"),
    "an unused import": ("no_dead_imports", lambda r: edit(r, add("import string")), "string"),
    "an undefined name": ("no_dead_imports", lambda r: edit(r, add("undefined_name")), "undefined_name"),
    "a parameter without a comment": ("documented", lambda r: change_module(r, "seed: int = 42, # 0 to 2**32 - 1", "seed: int = 42,"), "seed"),
    "a parameter without a type": ("documented", lambda r: change_module(r, "seed: int = 42, #", "seed=42, #"), "seed"),
    "a function without a docstring": ("documented", lambda r: change_module(r, '    """The fastest device', '    x = """The fastest device'), "default_device"),
    "no return type": ("documented", lambda r: change_module(r, "def use_style() -> None:", "def use_style():"), "use_style"),
    "a figure without alt text": ("alt_text", lambda r: edit(r, lambda cells: figure(cells).metadata["course_lib"].pop("alt")), "without an 'alt'"),
    "a figure that was not drawn": ("alt_text", lambda r: edit(r, lambda cells: figure(cells).outputs.clear()), "shows no picture"),
    "a picture that lost its alt text": ("alt_text", lambda r: edit(r, lambda cells: figure(cells).outputs[-1].metadata.clear()), "does not carry"),
    "a cell too long to read": ("lesson_shape", lambda r: edit(r, add("x = 1\n"*26)), "cells over 25 lines"),
    "a line too long to read": ("lesson_shape", lambda r: edit(r, add("x = " + "1 + "*30 + "1")), "lines over 100"),
    "a name imported again": ("lesson_shape", lambda r: edit(r, add("def zebra(): pass\nfrom course_lib.core import zebra")), "imported again"),
    "a lesson that is all library": ("lesson_shape", lambda r: edit(r, add("#| export\n" + "x = 1\n"*2000)), "percent exported"),
    "a list of what is left that is out of date": ("lesson_shape", lambda r: rewrite(r/left.LEFT, "left\n", "left\nmeasuring,cells over 25 lines,3\n"), "tools.gates.left"),
    "a module too long to read": ("room_size", lambda r: change_module(r, "import torch\n", "import torch\n" + "x = 1\n"*500), "lines in a module"),
    "a room of collab too long to read": ("room_size", long_room, "collab.zebra"),
    "a module line too long to read": ("readable", lambda r: change_module(r, "import torch\n", "import torch\nx = " + "1 + "*30 + "1\n"), "lines over 120"),
    "a function without types": ("readable", lambda r: change_module(r, "import torch\n", "import torch\ndef f(x): return x\n"), "type errors"),
    "a tangled function": ("readable", lambda r: change_module(r, "import torch\n", "import torch\ndef f(x: int) -> None:\n" + "    if x: print(x)\n"*11), "tangled"),
    "two modules that import each other": ("no_circles", circle, "core → words → core"),
    "a markdown picture without alt text": ("alt_text", lambda r: edit(r, lambda cells: cells.append(
        nbformat.v4.new_markdown_cell("![](x.png)"))), "alt text"),
    "a cell not to run": ("runs_in_jupyter", lambda r: edit(r, add("#| eval: false\n1/0")), "would run"),
    "a GPU cell that needs a GPU": ("runs_in_jupyter", lambda r: edit(r, add("#| cuda\ntorch.rand(3, device='cuda')")), "without a GPU"),
    "a function of tensors that is not called on CUDA": (
        "fake_cuda", lambda r: change_module(r, "seed: int = 42, #", "seed: torch.Tensor, #"), "core.seed_everything takes tensors"),
    "a module that uses a later one": ("module_order", later_chapter, "losses"),
    "a light module that imports fastai": ("import_budget", lambda r: change_module(r, "import numpy as np", "import numpy as np\nimport fastai"), "fastai"),
    "a package that imports torch": ("import_budget", lambda r: rewrite(r/"course_lib"/"__init__.py", "__version__", "import torch\n__version__"), "torch"),
    "a claim without a cell": ("field_notes", lambda r: edit(r, lambda cells: noted(cells, "C12").metadata.clear()), "C12"),
    "a claim whose cell cannot fail": ("field_notes", lambda r: edit(r, lambda cells: setattr(noted(cells, "C12"), "source", "assert True")), "C12"),
    "a cell without a claim": ("field_notes", lambda r: edit(r, lambda cells: noted(cells, "C12").metadata["course_lib"].update(notes=["Z99"])), "Z99"),
    "a verdict that is none": ("field_notes", lambda r: break_ledger(r, verdict="maybe"), "maybe"),
    "a fact told twice": ("facts_once", lambda r: rewrite(r/"pyproject.toml", "[project]\n", '[project]\nrequires-python = ">=3.10"\n'), "requires-python"),
    "a version in the settings": ("facts_once", lambda r: rewrite(r/"settings.ini", "name =", "version = 0.1.0\nname ="), "version"),
    "a typed number": ("typed_numbers", lambda r: edit(r, say("It took 3.7 seconds.")), "3.7"),
    "a typed number in an output": ("typed_numbers", lambda r: edit(r, add("Markdown(f'It took 3.7 seconds, {x:.1f} of them here.')")), "3.7"),
    "a number nobody filled in": ("typed_numbers", lambda r: edit(r, say('It took <span data-value="x:.1f">?</span> s.')), "never computed"),
    "an inline value as code": ("typed_numbers", lambda r: edit(r, say('It is `<span data-value="x">yes</span>`.')), "backticks"),
    "an exception for what is not said": ("typed_numbers", lambda r: write_rows(r, "numbers.csv", [
        {"chapter": "measuring", "text": "77 zebras", "kind": "given", "source": "none"}]), "77 zebras"),
    "a number without a source": ("typed_numbers", lambda r: write_rows(r, "numbers.csv", [
        {"chapter": "measuring", "text": "77 zebras", "kind": "given", "source": ""}]), "no source"),
    "a claim nobody listed": ("claims_are_shown", lambda r: edit(r, say("Zebras are faster.")), "Zebras are faster"),
    "a claim without a cell to show it": ("claims_are_shown", lambda r: list_claim(r, ""), "no interval"),
    "a proof that cannot fail": ("claims_are_shown", lambda r: list_claim(r, nbformat.read(r/"nbs"/"measuring.ipynb", 4).cells[0].id, "proved"), "can fail"),
    "a claim of no kind": ("claims_are_shown", lambda r: list_claim(r, "", "obvious"), "no kind"),
    "a claim that is not said": ("claims_are_shown", lambda r: write_rows(r, "claims.csv", [
        {"chapter": "measuring", "phrase": "Zebras help", "kind": "not a claim", "cell": "", "why": "a test"}]), "not said"),
    "a word used before it is defined": ("defined_before_use", define_later, "zebra"),
    "an exercise with too few wrong answers": ("exercises_are_complete", lambda r: rewrite(
        r/"course_lib"/"exercises"/"checks"/"core.py", f"@mistake({an_exercise()}, ", "@other("), "wrong answers"),
    "an exercise without a check": ("exercises_are_complete", lambda r: rewrite(
        r/"course_lib"/"exercises"/"checks"/"core.py", f"def {an_exercise()}(", "def other("), "no check"),
    "an exercise without a level": ("exercises_are_complete", lambda r: edit(r, lambda cells: [
        setattr(c, "source", c.source.replace("\n*easy,", "\n*simple,")) for c in cells]), "level"),
    "a chapter without questions": ("exercises_are_complete", lambda r: edit(r, lambda cells: [
        setattr(c, "source", c.source.replace("\n- a) ", "\n- ")) for c in cells]), "questions"),
    "a question in another form": ("exercises_are_complete", lambda r: edit(r, say("Why?\n\n- ✓ so it is")), "right choices"),
    "a way that leads elsewhere": ("made_from_chapters", later_chapter, "before and after"),
    "a workbook edited by hand": ("made_from_chapters", lambda r: rewrite(r/"exercises"/"measuring.ipynb", "raise NotImplementedError", "return 1"), "measuring"),
    "another name": ("facts_once", lambda r: rewrite(r/"pyproject.toml", 'name = "course_lib"', 'name = "other"'), "name"),
}


@pytest.mark.parametrize("gate", GATES, ids=lambda g: g.__name__)
def test_gate_holds_in_the_small_copy(small, gate):
    assert [p for p in gate(small) if "_modidx" not in p] == []  # the index of the whole library is not that of the copy


@pytest.mark.parametrize("name", BREAKS)
def test_broken_gate_fails(small, name):
    gate, change, said = BREAKS[name]
    change(small)
    assert any(said in p for p in BY_NAME[gate](small))


def test_every_gate_is_broken_once(): assert set(BY_NAME) == {gate for gate, *_ in BREAKS.values()}


MISTAKES = {  # what a function may do to a CUDA tensor: what is said of it
    "mixes devices": (lambda x: x + torch.ones(3), "same device"), "reads a value": (lambda x: x.sum().item(), "reads a value"),
    "asks in a condition": (lambda x: 1 if (x > 0).all() else 2, "reads a value"), "looks for places": (lambda x: x.nonzero(), "reads for aten.nonzero"),
    "goes to the CPU": (lambda x: x.cpu(), "copies to the CPU"), "comes from the CPU": (lambda x: x + torch.ones(3).to(x.device), "copies to the device"),
    "takes a number there": (lambda x: x*torch.as_tensor(2., device=x.device), "copies to the device"), "becomes an array": (lambda x: x.numpy(), "values"),
    "makes a list": (lambda x: x.tolist(), "reads a value"), "fails": (lambda x: x.view(7), "RuntimeError"), "nothing": (lambda x: (x*2).softmax(0) + 1, ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_a_function_does_to_a_cuda_tensor_is_seen(mistake):
    function, said = MISTAKES[mistake]
    verdict = fake_cuda.verdict(lambda: function(torch.zeros(3, device="cuda")), may_wait=False)
    assert said in verdict and bool(said) == bool(verdict), verdict


def test_a_reason_to_wait_covers_few_waits_and_must_be_needed():
    cuda = lambda: torch.zeros(30, device="cuda")
    assert fake_cuda.verdict(lambda: cuda().sum().item(), may_wait=True) == ""
    assert "30 times" in fake_cuda.verdict(lambda: [float(v) for v in cuda()], may_wait=True)
    assert "does not" in fake_cuda.verdict(lambda: cuda() + 1, may_wait=True)
    assert "same device" in fake_cuda.verdict(lambda: cuda() + torch.ones(30), may_wait=True)


def test_a_method_that_overrides_another_says_only_what_is_new():
    import ast

    from tools.gates.library import _undocumented
    text = 'class A:\n    "a"\n    def f(self,\n        x: int, # a number\n    ) -> int:\n        "f"\nclass B(A):\n    "b"\n    def f(self, x: int, y: int) -> int:\n        "f"\n'
    classes = {c.name: c for c in ast.parse(text).body}
    assert list(_undocumented(classes["B"], text.splitlines(), "B", classes)) == ["B.f(y): no comment that says what it is"]
    assert len(list(_undocumented(classes["B"], text.splitlines(), "B", {}))) == 2
