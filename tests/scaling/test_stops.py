"""A run that was killed ends as one that was not; who failed and who did not come is named, and no process stays.

Seen to fail: a checkpoint without random state or moments, a time-out that names everyone, processes left behind.
"""
import random
import subprocess

import pytest
import torch

from course_lib.scaling import spawn

from . import stops


def test_killed_resumed_failed_and_missing(tmp_path, monkeypatch):
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **kw: started.append(popen(*a, **kw)) or started[-1])
    whole, broken = str(tmp_path/"whole"), str(tmp_path/"broken")
    step = random.randrange(2, stops.STEPS)
    with pytest.raises(RuntimeError, match="rank 1 of 2 ended with exit code 9"): spawn(stops.run, 2, broken, step)
    said = "(?s)rank 1 of 2 failed.*in run_and_fail.*KeyError: 'a fault of mine'"
    with pytest.raises(RuntimeError, match=said): spawn(stops.run_and_fail, 2, whole, broken)
    with pytest.raises(TimeoutError) as late: spawn(stops.stay_away, 2, timeout=3)
    said = str(late.value)
    assert "rank 1 did not come" in said and "rank 0 waits" in said and "stops.py" in said
    assert len(started) == 6 and all(p.poll() is not None for p in started)
    (first, want), (again, got) = torch.load(tmp_path/"whole"/"found.pt", weights_only=True)
    assert first == 0 and again == step//2*2
    for name in want: torch.testing.assert_close(got[name], want[name], rtol=0, atol=0)
