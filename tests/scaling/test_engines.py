"""fastai's Learner with and without a teacher, started by torchrun with accelerate: as on one process.

accelerate's own launcher, told to take two processes of the CPU, starts one: there `distribute` changes nothing.

Seen to fail: a loss over its own rows, a loss function or a model that is not put back.
"""
import os
import subprocess
import sys

import pytest
import torch

from tools.notebooks import ROOT

pytest.importorskip("accelerate")


LAUNCHERS = {"torchrun": (["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"], 2),
             "accelerate launch": (["accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m"], 1)}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fastai_under_torchrun_and_accelerate(launcher, tmp_path):
    from . import engines
    how, world = LAUNCHERS[launcher]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    if sys.platform != "win32": env.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    command = [sys.executable, "-m", *how, "tests.scaling.engines", str(tmp_path/"out"), str(world)]
    run = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr[-3000:]
    want = [engines.train(False), engines.train(True)]
    assert len(list(tmp_path.glob("out.*"))) == world
    for rank in range(world):
        got = torch.load(tmp_path/f"out.{rank}", weights_only=True)
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-12)
        for (a, *_), (b, *_) in zip(got, want): torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
