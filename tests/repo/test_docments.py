"""The comments of parameters reach `help()`, once, and change nothing else.

Seen to fail: a second run that adds them again; a comment with quotation marks or a backslash; a count that leaves lines over.
"""
import ast
import io
import pydoc
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from course_lib.collab import Ratings
from course_lib.losses import CrossEntropyLoss, cross_entropy
from course_lib.segmentation import Scores
from tools.build import docments
from tools.build.api import Library
from tools.build.source import Source, docstring
from tools.notebooks import ROOT

MODULE = '''__all__ = ["f", "C", "bare", "plain"]

def f(
    a: int, # a "quoted" word, """three""" and a \\\\ backslash
    *rest: str, # others
    b: float = 1., # a number
) -> int: # what comes back
    "One line"
    return 1

def bare(a: int, b: int) -> int:
    "No comments"
    return 1

def plain(
    a: int, # first
):
    """Two lines,

    and more: Args: stands here."""

class C:
    "A class"
    held: int # a field
    _own: int # a private field
    def __init__(self,
        size: int, # of it
    ) -> None:
        self.held = size
    def method(self,
        x: int, # given
    ) -> int: # returned
        "Does it"
        return x
    def _private(self,
        x: int, # given
    ) -> int:
        "Not for help"
        return x

def _helper(
    x: int, # given
) -> int:
    "Not exported"
    return x
'''.replace("\\\\\\\\", "\\\\")


@pytest.fixture
def source(tmp_path):
    path = tmp_path/"course_lib"/"room.py"
    path.parent.mkdir()
    path.write_text(MODULE, encoding="utf-8")
    return Source(tmp_path, path)


def made(text):
    namespace = {}
    exec(text, namespace)
    return namespace


def test_docstrings_say_what_the_comments_say(source):
    got = made(docments.rewritten(source))
    assert got["f"].__doc__ == ('One line\n\n    Args:\n        a: a "quoted" word, """three""" and a \\\\ backslash\n        *rest: others\n        b: a number\n'
                                "\n    Returns:\n        what comes back\n    ")
    assert got["bare"].__doc__ == "No comments" and got["_helper"].__doc__ == "Not exported" and got["C"]._private.__doc__ == "Not for help"
    assert pydoc.getdoc(got["plain"]) == "Two lines,\n\nand more: Args: stands here.\n\nArgs:\n    a: first"
    assert pydoc.getdoc(got["C"]) == "A class\n\nArgs:\n    size: of it\n\nHolds:\n    held: a field"
    assert pydoc.getdoc(got["C"].method) == "Does it\n\nArgs:\n    x: given\n\nReturns:\n    returned"


def test_nothing_but_docstrings_changes_and_a_second_run_changes_nothing(source):
    before = ast.parse(source.text)
    docments.write(source.path.parents[1])
    again = Source(source.path.parents[1], source.path)
    assert again.text != source.text and docments.rewritten(again) == again.text
    def bare(tree):
        for n in ast.walk(tree):
            if isinstance(n, docments.Documented): n.body[0] = ast.Expr(ast.Constant(docstring(n)))
        return ast.unparse(tree)
    assert bare(ast.parse(again.text)) == bare(before)
    assert len(again.lines) - docments.count(again) == len(source.lines)


def test_the_library_says_it():
    out = io.StringIO()
    with redirect_stdout(out): help(cross_entropy)
    assert "label_smoothing: " in out.getvalue().split("Args:")[1] and "Returns:" in out.getvalue()
    for thing, words in ((CrossEntropyLoss, "Args:"), (Ratings, "pairs: int32 [N, 2]"), (Ratings.from_df, "clicks, where"), (Scores, "Holds:")):
        assert words in pydoc.getdoc(thing)


def test_every_comment_of_the_library_is_in_its_docstring():
    found = 0
    for path in sorted((ROOT/"course_lib").rglob("*.py")):
        if path.stem.startswith("_") or path.parent.name == "checks": continue
        source = Source(ROOT, path)
        for node in docments.documented(source):
            said, wanted = (" ".join(text.split()) for text in (ast.get_docstring(node), "\n".join(docments.added(source, node))))
            assert wanted in said, f"{path}: {node.name}"
            found += 1
    assert found > 400


def test_the_api_pages_say_it_once(source, tmp_path):
    docments.write(tmp_path)
    (tmp_path/"nbs").mkdir()
    page = "\n".join(Library(Path(tmp_path), "https://x").section(Source(tmp_path, source.path)))
    assert page.count("a number") == 1 and "Args:\n" not in page and page.count("what comes back") == 1
