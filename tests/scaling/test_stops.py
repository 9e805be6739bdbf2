"""A run that was killed ends as one that was not; who failed and who did not come is named, and no process stays.

Seen to fail: a checkpoint without random state or moments, a time-out that names everyone, processes left behind.
"""
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from course_lib.scaling import Workers, spawn

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


def where(rank, world, seed=None):
    "The process, and the seed that it has, or that an earlier function left in it"
    if seed is not None: torch.manual_seed(seed + rank)
    return os.getpid(), torch.initial_seed()


def gone(process):
    "Whether a process ends within a while; what nobody has collected yet has ended"
    stat = Path(f"/proc/{process}/stat")
    for _ in range(200):
        try: os.kill(process, 0)
        except OSError: return True
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z": return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends a process there")
def test_workers_stay_until_they_are_not_needed(tmp_path, capsys):
    "One after another on the same processes; output told once; none left after close, a fault, or the end of the parent"
    with Workers(2) as two:
        first, second = two.run(where, 5), two.run(where)
        assert [p for p, _ in first] == [p for p, _ in second] and [s for _, s in first] == [s for _, s in second]
        two.run(print)
        assert capsys.readouterr().out == "[rank 0] 0 2\n[rank 1] 1 2\n"
        two.run(where)
        assert capsys.readouterr().out == ""
        with pytest.raises(TypeError, match="function of rank"): two.run(3)
        assert [p for p, _ in two.run(where)] == [p for p, _ in first]  # what is refused ends nothing
        with pytest.raises(RuntimeError, match="rank 0 of 2 failed"): two.run(divmod, 1)
        assert all(gone(p) for p, _ in first)
        others = [p for p, _ in two.run(where)]
        assert not {*others} & {p for p, _ in first}
    assert all(map(gone, others))
    script = tmp_path/"parent.py"
    script.write_text("""if True:
        import os
        from course_lib.scaling import Workers
        def process(rank, world): return os.getpid()
        two = Workers(2)
        print(*two.run(process), flush=True)
        os.abort()""")
    told = subprocess.run([sys.executable, script], env=os.environ | {"PYTHONPATH": os.getcwd()}, capture_output=True)
    assert told.returncode and len(told.stdout.split()) == 2, told.stderr
    assert all(gone(int(p)) for p in told.stdout.split())
