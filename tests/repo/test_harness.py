"""The harness of the benchmarks: peers take turns, ratios are taken round by round, files hold what was measured."""
import csv

import torch

from benchmarks import harness


def test_peers_take_turns_and_none_always_goes_first():
    said = []
    times = harness.interleaved({n: lambda n=n: said.append(n) for n in "abc"}, rounds=3, warmup=0)
    assert [said[i:i + 3] for i in (0, 3, 6)] == [list("abc"), list("bca"), list("cab")]
    assert {n: len(ts) for n, ts in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_another_clock_may_count():
    ticks = iter(range(100))
    times = harness.interleaved({n: lambda: None for n in "ab"}, rounds=3, calls=2, warmup=1, clock=lambda: next(ticks))
    assert times == {"a": [0.5]*3, "b": [0.5]*3}


def test_a_ratio_is_taken_round_by_round():
    slow = [1., 2., 4., 8., 16., 32., 64.]
    found = harness.ratio([2*t for t in slow], slow)
    assert (found.value, found.low, found.high) == (2, 2, 2)


def test_the_peak_counts_what_is_freed_again():
    a = torch.zeros(1000)
    assert harness.peak_memory(lambda: (a + 1).add(1).sum()) >= 2*4000  # two at once
    assert harness.peak_memory(lambda: a.add_(1)) < 4000


def test_the_page_and_the_table_hold_the_same(tmp_path):
    from course_lib.core import Estimate
    rows = [{"what": "time", "ratio": Estimate(1.23456, 1.2, 1.3, 9, "x")}, {"what": "memory", "ratio": 2.}]
    page = harness.write("x", "# Title", rows[:1], "The end.", folder=tmp_path)
    assert "| time | 1.23 [1.2, 1.3] |" in page and page.startswith("# Title") and page.endswith("The end.\n")
    assert list(csv.DictReader((tmp_path/"x.csv").open()))[0] == {"what": "time", "ratio": "1.23456", "ratio low": "1.2",
                                                                  "ratio high": "1.3"}
    assert "memory | 2 |" in harness.table(rows[1:])


def test_the_machine_is_described_in_one_line():
    said = harness.machine("numpy")
    assert "\n" not in said and torch.__version__.split("+")[0] in said and "numpy" in said and "python -m benchmarks." in said
