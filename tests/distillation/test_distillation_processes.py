"Two processes with different confidence on each: CWTM's normalizer over the process group, through DistributedDataParallel."
import os
import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = """
import os, sys, torch
import torch.distributed as dist
from course_lib.distillation import cwtm_loss
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
g = torch.Generator().manual_seed(0)
x, y, t = torch.randn(12, 6, generator=g, dtype=torch.float64), torch.randint(4, (12,), generator=g), torch.randn(12, 4, generator=g, dtype=torch.float64)
t[:5] *= 20  # the first process has a sure teacher, the second an unsure one
mine = slice(0, 5) if rank == 0 else slice(5, 12)
out = {}
for name, normalizer in (("group", dist.group.WORLD), ("own", "batch")):
    torch.manual_seed(1)
    layer = torch.nn.Linear(6, 4).double()
    model = torch.nn.parallel.DistributedDataParallel(layer)
    cwtm_loss(model(x[mine]), y[mine], t[mine], normalizer=normalizer).backward()
    out[name] = layer.weight.grad
torch.manual_seed(1)
layer = torch.nn.Linear(6, 4).double()
cwtm_loss(layer(x), y, t).backward()
out["single"] = layer.weight.grad
if rank == 0: torch.save(out, sys.argv[1])
dist.barrier()  # neither process leaves while the other still needs it
dist.destroy_process_group()
os._exit(0)  # gloo's threads can abort a process that shuts down in the usual way; what is tested is saved by now
"""


def test_group_normalizer_gives_the_single_process_gradient(tmp_path):
    (tmp_path/"script.py").write_text(SCRIPT)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2]), "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")}
    if sys.platform == "win32": env.pop("GLOO_SOCKET_IFNAME")
    run = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path/"script.py"), str(tmp_path/"out.pt")],
                         env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    out = torch.load(tmp_path/"out.pt", weights_only=True)
    torch.testing.assert_close(out["group"], out["single"], atol=1e-12, rtol=0)
    assert (out["own"] - out["single"]).norm() > 0.05*out["single"].norm()
