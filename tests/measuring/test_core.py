import math
import random
import statistics
import time

import numpy as np
import pytest
import torch

from course_lib import timing
from course_lib.core import Estimate, Timer, default_device, mean_ci, seed_everything, time_ratio, timeit
from course_lib.timing import median_ci


def draws(): return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_all_generators_come_back():
    seed_everything(3)
    first = draws()
    gen = seed_everything(3)
    assert draws() == first
    a = torch.rand(4, generator=gen)
    assert a.equal(torch.rand(4, generator=seed_everything(3)))
    assert not a.equal(torch.rand(4, generator=seed_everything(4)))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=str(seed)): seed_everything(seed)


def test_a_refused_seed_changes_no_generator():
    seed_everything(1)
    expected = draws()
    seed_everything(1)
    with pytest.raises(ValueError): seed_everything(-1)
    assert draws() == expected


@pytest.mark.cuda
def test_cuda_is_seeded_and_chosen():
    seed_everything(5)
    a = torch.rand(3, device="cuda")
    seed_everything(5)
    assert a.equal(torch.rand(3, device="cuda")) and default_device().type == "cuda"


def test_device_order(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert default_device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert default_device().type == "cuda"


def test_timer_counts_also_through_an_exception():
    with pytest.raises(KeyError), Timer() as t:
        time.sleep(0.01)
        raise KeyError
    assert t.seconds >= 0.01


def test_calls_are_counted_and_alternate():
    calls = []
    timeit(lambda: calls.append("a"), repeats=5, warmup=2)
    assert calls == ["a"]*7
    calls.clear()
    time_ratio(lambda: calls.append("a"), lambda: calls.append("b"), repeats=3, warmup=1)
    assert "".join(calls) == "abba"*2


def test_ratio_is_fn_over_peer(monkeypatch):
    clock = iter([0., 3., 0., 1., 0., 1., 0., 3.])  # fn, peer, then peer, fn
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert time_ratio(lambda: 0, lambda: 0, repeats=2, warmup=0).value == 3


def test_median_interval_has_its_coverage():
    rng = np.random.default_rng(0)
    held = [math.log(2) in median_ci(list(rng.exponential(size=21)), "s") for _ in range(2000)]
    assert 0.95 <= np.mean(held) < 0.985  # order statistics are discrete: never less than asked for


def test_median_interval_of_few_is_their_range():
    e = median_ci([3., 1., 2.], "s")
    assert (e.value, e.low, e.high, e.n) == (2, 1, 3, 3) and e.value == statistics.median([3, 1, 2])


def test_mean_ci_equals_scipy():
    from scipy import stats
    x = [1.0, 2.0, 4.0, 7.0]
    e = mean_ci(x, level=0.9)
    assert (e.low, e.high) == pytest.approx(stats.t.interval(0.9, 3, np.mean(x), stats.sem(x))) and e.value == 3.5


def test_pairing_matters_and_sign_is_runs_minus_baseline():
    e = mean_ci([2.0, 3.0, 4.1], [1.0, 2.0, 3.0])
    assert e.value == pytest.approx(1.0333, abs=1e-4) and e.low > 0.8


@pytest.mark.parametrize("runs, baseline, message", [
    ([1.0], None, "at least 2"), ([[1.0, 2.0]], None, "shape"), ([1.0, math.inf], None, "run 1"), ([1.0, 2.0], [1.0], "equal lengths")])
def test_bad_runs_are_named(runs, baseline, message):
    with pytest.raises(ValueError, match=message): mean_ci(runs, baseline)


@pytest.mark.parametrize("kwargs, name", [({"repeats": 1}, "repeats"), ({"warmup": -1}, "warmup")])
def test_bad_timing_arguments_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name): timeit(lambda: 0, **kwargs)


def test_estimate_reads_well():
    e = Estimate(1.23456, 1.0, 1.5, 7, "x")
    assert str(e) == "1.23x [1, 1.5] n=7" and 1.5 in e and 1.6 not in e


def test_core_still_has_what_moved_to_rooms():
    from course_lib import core, places
    assert all(getattr(core, n) is getattr(timing, n) for n in ("Estimate", "Timer", "timeit", "time_ratio"))
    assert all(getattr(core, n) is getattr(places, n) for n in ("asset", "cache_dir"))
