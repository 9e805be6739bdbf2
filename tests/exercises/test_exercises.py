"""Every exercise's solution passes its check; its empty function and at least five plausible wrong answers fail, each told why."""
import importlib
import inspect
import json
import linecache
import os
import re
import string
from pathlib import Path

import nbformat
import pytest

from course_lib.exercises import check, load, mistakes
from tests.exercises import mutants
from tools.build import workbooks as tool
from tools.notebooks import ROOT, chapters, fact, package

for p in sorted(Path(mutants.__file__).parent.glob("[!_]*.py")): importlib.import_module(f"tests.exercises.mutants.{p.stem}")
CHAPTERS = {p.stem: tool.solutions(p) for p in chapters(ROOT)}
PACKAGES = {p.stem: package(p) for p in chapters(ROOT)}
EXERCISES = [(chapter, name) for chapter, names in CHAPTERS.items() for name in names]
HOME = {name: PACKAGES[chapter] for chapter, name in EXERCISES}


def pattern(words):
    "A regular expression for the words of a mistake, whatever the check puts in the places of its facts; a message begins with a capital"
    parts = (re.escape(text) + (".*" if field is not None else "") for text, field, _, _ in string.Formatter().parse(words))
    return "^(?i:" + "".join(parts) + r")[.]?$"


DECLARED = [(HOME[name], name, pattern(m.words), m.answer) for name, known in mistakes().items() if name in HOME for m in known]
WRONG = [*mutants.MUTANTS, *DECLARED]  # written independently of the checks, and declared beside them
MUTANTS = [pytest.param(*m, id=f"{m[0]}-{m[1]}-{m[3].__name__}") for m in WRONG]


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch): monkeypatch.setenv("COURSE_LIB_CACHE", str(tmp_path))


def run(source, file, space):
    "Run a cell in `space`, so that its source can be looked up; the value of a call of `check`"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    if source.startswith("check("): return eval(compile(source.strip(), file, "eval"), space)
    exec(compile(source, file, "exec"), space)


def run_section(chapter, change):
    "Run the exercise cells of a chapter, each solution replaced by change(source): {exercise: its check's result}"
    space, found, name = {"__name__": "__main__"}, {}, None
    nb = nbformat.read(ROOT/"nbs"/f"{chapter}.ipynb", 4)
    run(tool.preamble(nb), f"<{chapter} imports>", space)
    for i, c in enumerate(tool.section(nb)):
        if c.cell_type != "code" or fact(c, "answer"): continue
        m = fact(c, "exercise")
        if m is None and "check(" not in c.source and not c.source.lstrip().startswith(("from ", "import ", "#| hide")): continue
        result = run(change(c.source) if m else c.source, f"<{chapter} cell {i}>", space)
        if result is not None: found[name] = result
        name = m or name
    return found


@pytest.mark.parametrize("chapter", [c for c, names in CHAPTERS.items() if names])
def test_solutions_pass_and_stubs_fail(chapter):
    solved = run_section(chapter, lambda source: source)
    assert set(solved) == set(CHAPTERS[chapter])
    assert all(solved.values()), [r for r in solved.values() if not r]
    for name, result in run_section(chapter, tool.stub).items():
        assert not result and result.message.startswith("Not written yet"), (name, result)


@pytest.mark.parametrize("module, name, says, wrong_answer", MUTANTS)
def test_a_wrong_answer_is_told_what_is_wrong(module, name, says, wrong_answer):
    result = check(name, wrong_answer)
    assert not result, f"{wrong_answer.__name__} passes {name}"
    assert re.search(says, result.message), f"{wrong_answer.__name__}: the message is {result.message!r}"
    assert "could not work with" not in result.message, result.message
    source = next(names[name] for names in CHAPTERS.values() if name in names)
    lines = [line.strip() for line in source.splitlines() if len(line.strip()) > 20 and not line.strip().startswith(("#", '"', "def ", "class "))]
    own = inspect.getsource(wrong_answer)  # the message of an error shows the learner's own line
    assert not [line for line in lines if line in result.message and line not in own], "the message gives the solution away"


@pytest.mark.parametrize("chapter, name", EXERCISES)
def test_every_exercise_has_seven_wrong_answers(chapter, name):
    mine = [m for m in WRONG if m[1] == name]
    assert len(mine) >= 7 and all(m[0] == PACKAGES[chapter] for m in mine), f"{name} has {len(mine)} wrong answers"
    assert len({m[2] for m in mine}) >= 3, f"the wrong answers to {name} are told too few different things"


def test_every_mutant_belongs_to_an_exercise(counted):
    names = {name for _, name in EXERCISES}
    assert {m[1] for m in WRONG} <= names
    counted(f"{len(EXERCISES)} exercises, {len(WRONG)} wrong answers, each told why: {len(DECLARED)} declared beside the checks, "
            f"{len(mutants.MUTANTS)} written independently")


@pytest.mark.parametrize("chapter", [c for c, names in CHAPTERS.items() if names])
def test_workbook_with_solutions_put_back_runs(chapter):
    "Cell for cell the workbook is the chapter's section; with the solutions back in its stubs every check passes"
    book, answers, space, results = tool.workbook(ROOT/"nbs"/f"{chapter}.ipynb"), CHAPTERS[chapter], {"__name__": "__main__"}, []
    by_id = {c.id: name for c in tool.section(nbformat.read(ROOT/"nbs"/f"{chapter}.ipynb", 4)) if (name := fact(c, "exercise"))}
    import matplotlib
    matplotlib.use("agg")
    for i, c in enumerate(c for c in book.cells if c.cell_type == "code"):
        result = run(answers[by_id[c.id]] if c.id in by_id else c.source, f"<{chapter} workbook {i}>", space)
        if result is not None: results.append(result)
    assert len(results) == len(answers) and all(results), [r for r in results if not r]
    remembered = json.loads((Path(os.environ["COURSE_LIB_CACHE"])/"exercises.json").read_text(encoding="utf-8"))
    assert {n for n, r in remembered["exercises"].items() if r["passed"]} == set(answers)


@pytest.mark.parametrize("chapter", [c for c, names in CHAPTERS.items() if names])
def test_a_blank_workbook_that_is_run_through_counts_no_try(chapter):
    import matplotlib
    matplotlib.use("agg")
    space = {"__name__": "__main__"}
    for i, c in enumerate(c for c in tool.workbook(ROOT/"nbs"/f"{chapter}.ipynb").cells if c.cell_type == "code"):
        run(c.source, f"<{chapter} blank {i}>", space)
    assert load()["exercises"] == {}


def test_what_is_made_from_the_chapters_is_up_to_date():
    stale = [str(p.relative_to(ROOT)) for p, text in tool.files(ROOT).items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    assert not stale, f"{stale} differ from the chapters: run 'python course.py export'"


@pytest.mark.parametrize("chapter", list(CHAPTERS))
def test_questions_have_one_right_choice_and_reasons(chapter):
    for q in tool.questions(nbformat.read(ROOT/"nbs"/f"{chapter}.ipynb", 4)):
        assert sum(c["right"] for c in q["choices"]) == 1 and len(q["choices"]) >= 3, q["question"]
        assert all(c["why"] for c in q["choices"]) and len({c["text"] for c in q["choices"]}) == len(q["choices"]), q["question"]
