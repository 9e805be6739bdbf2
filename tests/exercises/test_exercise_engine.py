"""The engine of the exercises: comparisons, calls that go wrong, time limits, memory, and the rounds of a quiz."""
import json
import sys
import threading
import time

import numpy as np
import pytest
import torch

from course_lib import exercises
from course_lib.core import cache_dir
from course_lib.exercises import Answer, Quiz, Wrong, check, progress, quiz, same


@pytest.fixture(autouse=True)
def own_memory(tmp_path, monkeypatch): monkeypatch.setenv("COURSE_LIB_CACHE", str(tmp_path))


@pytest.fixture
def doubling(monkeypatch):
    "A registered exercise: double the input"
    def doubling(answer):
        x = torch.arange(6.).view(2, 3)
        same(answer(x), 2*x, mistakes={"these are squares": x*x})
    monkeypatch.setitem(exercises._CHECKS, "doubling", doubling)


COURSE = {"04_losses": {"title": "Losses", "exercises": [{"name": "doubling", "title": "Double", "level": "easy", "minutes": 5},
                                                         {"name": "other", "title": "Other", "level": "hard", "minutes": 30}],
                        "questions": [{"question": q, "choices": [{"text": "yes", "right": True, "why": "so"}, {"text": "no", "right": False, "why": "not so"}]}
                                      for q in ("one?", "two?")]}}


@pytest.mark.parametrize("got, want, says", [
    ([1., 2.], torch.tensor([1., 2.]), "should be a tensor"),
    (torch.ones(3, 2), torch.ones(2, 3), r"\[2, 3\], yours has \[3, 2\]"),
    (torch.ones(2, dtype=torch.float64), torch.ones(2), "should be float32, yours is float64"),
    (torch.tensor([1., torch.nan]), torch.ones(2), "nan in 1 of 2"),
    (torch.tensor([1., 5.]), torch.ones(2), r"at \[1\] it should be 1, yours is 5 \(1 of 2"),
    (torch.tensor([1, 0]), torch.tensor([1, 1]), r"at \[1\]"),
    (True, 1, "should be a number, yours is True"),
    (1, True, "should be True"),
    (np.float32(1), 2, "should be 2, yours is 1"),
    (torch.ones(()), 2.0, "should be 2, yours is 1"),
    (float("nan"), 1.0, "yours is nan"),
    ((1, 2), [1, 3], "at place 1"),
    ([1], [1, 3], "2 items, yours has 1"),
    ({"a": 1}, {"a": 1, "b": 2}, "lacks the key 'b'"),
    ({"a": 1, "c": 2}, {"a": 1}, "too many, 'c'"),
    ("cat", "dog", "should be 'dog', yours is 'cat'"),
    (np.zeros(2), np.ones(2), r"at \[0\]"),
    (None, "dog", "yours is None"),
])
def test_each_difference_has_its_words(got, want, says):
    with pytest.raises(Wrong, match=says): same(got, want)


@pytest.mark.parametrize("value", [torch.tensor([1., torch.nan]), 3, 2.5, "x", [1, (2, 3)], {"a": [1]}, np.arange(3), True, float("inf")])
def test_equal_values_pass(value): same(value, value)


def test_a_mistake_that_equals_the_right_value_here_is_not_blamed():
    ones = torch.ones(2)
    with pytest.raises(Wrong, match="right shape and wrong values"): same(3*ones, 2*ones, mistakes={"squares": 2*ones})


def test_a_gradient_flows_to_the_copies():
    answer = Answer(lambda x: x*x)
    x = torch.tensor([3.], requires_grad=True)
    answer(x).backward()
    assert answer.inputs[0].grad.item() == 6 and x.grad is None


@pytest.mark.parametrize("value", [torch.ones(2), np.ones(2), [1, 2], {"a": 1}])
def test_a_change_in_place_is_seen(value):
    def change(x):
        if isinstance(x, list): x.append(3)
        elif isinstance(x, dict): x["b"] = 1
        else: x += 1
        return x
    with pytest.raises(Wrong, match="in place"): Answer(change)(value)
    Answer(change).call(value, may_change=True)


def test_raises_wants_the_error_and_its_words():
    def half(n):
        if n % 2: raise ValueError("odd number")
        return n//2
    Answer(half).raises(ValueError, 3, mention="odd")
    with pytest.raises(Wrong, match="it returns 2"): Answer(half).raises(ValueError, 4)
    with pytest.raises(Wrong, match="should name what is wrong"): Answer(half).raises(ValueError, 3, mention="even")
    with pytest.raises(Wrong, match="it raises ValueError"): Answer(half).raises(TypeError, 3)


def test_an_endless_loop_that_swallows_exceptions_is_stopped(doubling):
    def stubborn(x):
        while True:
            try: time.sleep(0.01)
            except Exception: pass
    before = threading.active_count()
    result = check("doubling", stubborn, seconds=0.3)
    assert not result and "did not finish within 0.3 seconds" in result.message and threading.active_count() == before


def test_random_states_stay_after_pass_failure_and_time_out(doubling):
    torch.manual_seed(3); np.random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1]
    for fn in (lambda x: x + x + 0*torch.rand(1), lambda x: np.random.rand(), lambda x: time.sleep(5)): check("doubling", fn, seconds=0.3)
    assert torch.equal(states[0], torch.get_rng_state()) and (states[1] == np.random.get_state()[1]).all()


def test_messages_are_shown_as_text_not_as_html(doubling):
    def angry(x): raise ValueError("<script>alert(1)</script>")
    assert "<script>" not in check("doubling", angry)._repr_html_() and "<script>" in repr(check("doubling", angry))


def test_progress_counts_passes_tries_and_minutes(doubling, monkeypatch):
    monkeypatch.setattr(exercises, "_course", lambda: COURSE)
    def row(): return progress().loc["04_losses", ["passed", "tried", "minutes_left"]].tolist()
    assert row() == [0, 0, 35]
    check("doubling", lambda x: x)
    assert row() == [0, 1, 35]
    check("doubling", lambda x: x + x, remember=False)
    assert row() == [0, 1, 35]
    check("doubling", lambda x: x + x)
    check("doubling", lambda x: x)
    assert row() == [1, 0, 30]


def play(everything=False, right=lambda q: True):
    "Play one round; the questions asked, in order"
    game, asked = Quiz("04_losses", COURSE["04_losses"]["questions"], everything), []
    while game.current:
        asked.append(game.current["question"])
        game.answer(next(c for c in game.choices() if c["right"] == (right(asked[-1]) if asked.count(asked[-1]) == 1 else True)))
    return asked


def test_known_questions_wait_twice_as_long_each_time():
    assert play() == ["one?", "two?"]                                   # round 1: known
    rounds = [n for n in range(2, 16) if play()]
    assert rounds == [3, 7, 15]                                         # after 2, 4 and 8 rounds


def test_a_missed_question_returns_in_the_round_and_in_the_next():
    assert play(right=lambda q: q != "one?") == ["one?", "two?", "one?"]
    assert play() == ["one?"]
    assert play(everything=True) == ["one?", "two?"]


def test_quiz_without_widgets_is_text(monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_course", lambda: COURSE)
    monkeypatch.setattr(sys, "stdin", None)
    assert quiz("04_losses") is None
    text = capsys.readouterr().out
    assert "1. one?" in text and text.index("2. two?") < text.index("Answers") and "a) right: so" in text
    with pytest.raises(ValueError, match="04_losses"): quiz("05")


def test_memory_is_put_aside_when_it_cannot_be_read(doubling):
    (cache_dir()/"exercises.json").write_text("[1, 2", encoding="utf-8")
    with pytest.warns(UserWarning, match="kept as exercises.broken"): check("doubling", lambda x: 2*x)
    assert json.loads((cache_dir()/"exercises.json").read_text(encoding="utf-8"))["exercises"] == {"doubling": {"passed": True, "tries": 1}}


def test_two_exercises_of_one_name_are_refused():
    def zebra(answer): pass
    exercises.exercise(zebra)
    def make():
        def zebra(answer): pass
        zebra.__module__ = "elsewhere"
        return zebra
    try:
        with pytest.raises(ValueError, match="two exercises are called 'zebra'"): exercises.exercise(make())
    finally: exercises._CHECKS.pop("zebra")


def test_progress_leaves_the_style_of_other_figures_alone(monkeypatch):
    import matplotlib
    monkeypatch.setattr(exercises, "_course", lambda: COURSE)
    before = dict(matplotlib.rcParams)
    progress()
    assert dict(matplotlib.rcParams) == before
