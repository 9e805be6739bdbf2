"""The engine of the exercises: comparisons, calls that go wrong, time limits, memory, and the rounds of a quiz."""
import ctypes
import json
import re
import sys
import threading
import time

import numpy as np
import pytest
import torch

from course_lib.core import cache_dir
from course_lib.exercises import Answer, Mistake, Quiz, Wrong, check, exercise, judge, limited, memory, mistake, progress, questions, quiz, same


@pytest.fixture(autouse=True)
def own_memory(tmp_path, monkeypatch): monkeypatch.setenv("COURSE_LIB_CACHE", str(tmp_path))


@pytest.fixture
def doubling(monkeypatch):
    "A registered exercise: double the input"
    def doubling(answer):
        x = torch.arange(6.).view(2, 3)
        same(answer(x), 2*x, mistakes={"these are squares": x*x})
    monkeypatch.setitem(judge._CHECKS, "doubling", doubling)


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


def never_ends(x):
    while True: pass


def swallows_exceptions(x):
    while True:
        try: sum(range(1000))
        except Exception: pass


@pytest.mark.parametrize("fn", [never_ends, swallows_exceptions])
def test_an_endless_loop_is_stopped(doubling, fn):
    before = threading.active_count()
    result = check("doubling", fn, seconds=0.3)
    assert not result and "did not finish" in result.message and threading.active_count() == before


def test_a_loop_that_swallows_all_is_reported_and_does_not_hold_up_others(doubling):
    let_go = threading.Event()
    def swallows_everything(x):
        while not let_go.is_set():
            try: sum(range(1000))
            except: pass  # noqa: E722
    def comes_after(x):
        end = time.thread_time() + 0.1
        while time.thread_time() < end: pass
        return x + x
    try:
        assert "did not finish" in check("doubling", swallows_everything, seconds=0.1).message
        assert check("doubling", comes_after, seconds=2)
    finally: let_go.set()


def test_one_long_call_of_c_code_is_reported(doubling):
    assert "did not finish" in check("doubling", lambda x: sum(range(10**8)), seconds=0.1).message


def test_waiting_is_no_computing_and_ends_as_well(doubling):
    def waits(x):
        while True:
            try: time.sleep(0.005)
            except Exception: pass
    before = threading.active_count()
    assert "what does it wait for" in check("doubling", waits, seconds=0.1).message and threading.active_count() == before


def test_time_that_only_passes_does_not_count(doubling):
    "So it goes on a machine that is busy with other things"
    def starved(x):
        time.sleep(1.5)
        return x + x
    assert check("doubling", starved, seconds=1)


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    "The name of a module that computes for half a second while it is loaded"
    text = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nwhole = True\n"
    (tmp_path/"slow_module.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "slow_module"
    sys.modules.pop("slow_module", None)


def test_loading_a_module_does_not_count_and_is_not_broken_off(doubling, slow_module):
    def loads(x):
        __import__(slow_module)
        return x + x
    assert check("doubling", loads, seconds=0.2) and sys.modules[slow_module].whole


def test_a_loop_after_loading_is_stopped_and_the_module_is_whole(doubling, slow_module):
    def loads_and_loops(x):
        __import__(slow_module)
        while True: pass
    assert "did not finish" in check("doubling", loads_and_loops, seconds=0.2).message and sys.modules[slow_module].whole


def test_what_runs_within_the_limit_is_handed_on():
    def breaks(): raise KeyError("a")
    assert limited(lambda: 3, 1) == 3
    with pytest.raises(KeyError, match="a"): limited(breaks, 1)


def test_a_declared_mistake_is_told_on_the_same_inputs():
    def drawn(x, gen): return x + torch.rand(1, generator=gen)
    def wants(answer, **facts):
        x, gen = torch.ones(2), torch.Generator().manual_seed(3)
        same(answer(x, gen), 2*x, mistakes=answer.mistakes(**facts))
    declared = [Mistake("needs {n}", drawn), Mistake("fails", lambda x: x), Mistake("a draw is added", drawn)]
    with pytest.raises(Wrong, match="^a draw is added$"): wants(Answer(drawn, declared=declared))
    with pytest.raises(Wrong, match="^needs 3$"): wants(Answer(drawn, declared=declared), n=3)
    with pytest.raises(Wrong, match="right shape and wrong values"): wants(Answer(lambda x, gen: 5*x, declared=declared))


def test_a_mistake_is_run_as_the_check_runs_an_answer():
    answer = Answer(lambda x: x, declared=[Mistake("three times as much", lambda x: 3*x)])
    def total(fn): return fn(1) + fn(2)
    with pytest.raises(Wrong, match="three times"): same(9, 6, mistakes=answer.mistakes(total))


def test_a_mistake_is_declared_beside_its_check():
    def lion(answer): same(answer(2), 4, mistakes=answer.mistakes())
    exercise(lion)
    try:
        thrice = mistake(lion, "three times is too much")(lambda x: 3*x)
        assert check("lion", lambda x: 2*x) and check("lion", thrice).message == "Three times is too much."
    finally:
        judge._CHECKS.pop("lion")
        judge._MISTAKES.pop("lion")


def test_random_states_stay_after_pass_failure_and_time_out(doubling):
    torch.manual_seed(3); np.random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1]
    for fn in (lambda x: x + x + 0*torch.rand(1), lambda x: np.random.rand(), lambda x: time.sleep(5)): check("doubling", fn, seconds=0.3)
    assert torch.equal(states[0], torch.get_rng_state()) and (states[1] == np.random.get_state()[1]).all()


def test_messages_are_shown_as_text_not_as_html(doubling):
    def angry(x): raise ValueError("<script>alert(1)</script>")
    assert "<script>" not in check("doubling", angry)._repr_html_() and "<script>" in repr(check("doubling", angry))


def test_progress_counts_passes_tries_and_minutes(doubling, monkeypatch):
    monkeypatch.setattr(memory, "course", lambda: COURSE)
    def row(): return progress().loc["04_losses", ["passed", "tried", "minutes_left"]].tolist()
    assert row() == [0, 0, 35]
    def empty(x): raise NotImplementedError
    check("doubling", empty)
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
    monkeypatch.setattr(questions, "course", lambda: COURSE)
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
    exercise(zebra)
    def make():
        def zebra(answer): pass
        zebra.__module__ = "elsewhere"
        return zebra
    try:
        with pytest.raises(ValueError, match="two exercises are called 'zebra'"): exercise(make())
    finally: judge._CHECKS.pop("zebra")


def test_progress_leaves_the_style_of_other_figures_alone(monkeypatch):
    import matplotlib
    monkeypatch.setattr(memory, "course", lambda: COURSE)
    before = dict(matplotlib.rcParams)
    progress()
    assert dict(matplotlib.rcParams) == before


def test_only_the_beginning_of_what_an_answer_prints_is_shown(doubling, capsys):
    "A page that has to show all of it no longer answers"
    def talks(x):
        for i in range(5000): print("step", i, x)
        return x + x
    assert check("doubling", talks)
    out = capsys.readouterr().out
    assert out.startswith("step 0") and len(out.splitlines()) < 40 and re.search(r"and [\d,]+ more letters", out)
    def one_line(x):
        print("y"*10**6)
        return x + x
    assert check("doubling", one_line) and len(capsys.readouterr().out) < 5000
    def complains(x):
        for i in range(5000): print("step", i, file=sys.stderr)
        return x + x
    assert check("doubling", complains) and len(capsys.readouterr().err) < 5000


def test_what_an_answer_prints_is_whole_where_it_is_short(doubling, capsys):
    def talks(x):
        print("the input is", x.tolist(), end="")
        return x + x
    assert check("doubling", talks) and capsys.readouterr().out == "the input is [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"


def test_a_loop_that_fills_the_memory_is_stopped(doubling, monkeypatch):
    monkeypatch.setattr(judge, "MEMORY", 3e8)
    def hoards(x):
        held = []
        while True: held.append(b"x"*10**7)
    assert "GB of memory" in check("doubling", hoards).message


def test_stopping_the_cell_stops_the_answer(doubling):
    "The stop button interrupts the thread that waits"
    before, main = threading.active_count(), threading.get_ident()
    def never(x):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(KeyboardInterrupt))
        while True: pass
    with pytest.raises(KeyboardInterrupt): check("doubling", never)
    end = time.thread_time() + 5
    while threading.active_count() > before and time.thread_time() < end: sum(range(100))
    assert threading.active_count() == before


def test_an_answer_that_ends_the_program_is_told_so(doubling):
    result = check("doubling", lambda x: sys.exit(3))
    assert not result and "SystemExit: 3" in result.message


def test_an_error_is_told_with_the_learners_line(doubling):
    def misspelt(x):
        y = x + x
        return z  # noqa: F821
    message = check("doubling", misspelt).message
    assert "name 'z' is not defined, in line" in message and "`return z" in message
    def inside_torch(x): return torch.stack([x, x[0]])
    assert "`def inside_torch(x): return torch.stack([x, x[0]])`" in check("doubling", inside_torch).message
    def endless(x): raise ValueError("so "*10_000)
    assert len(check("doubling", endless).message) < 600


def test_a_number_of_numpy_is_called_one():
    with pytest.raises(Wrong, match="yours is NumPy's float32 1.5"): same(np.float32(1.5), torch.ones(()))


def test_a_function_that_prints_and_returns_nothing_is_told_the_difference(doubling):
    assert "hands nothing back" in check("doubling", lambda x: print(2*x)).message
