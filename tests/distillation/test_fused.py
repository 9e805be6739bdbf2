"""`cwtm_loss` in three kernels: its tests in a process of their own, who takes them, and what a GPU does with them."""
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode

pytest.importorskip("triton")
from course_lib.distillation import cwtm, cwtm_loss, fused  # noqa: E402
from tests.distillation.kernels import DEVICE, batch  # noqa: E402

LARGE = (16, 40_000)


def apart(*args, **env):
    "What Python says in a new process with these arguments; `env` is all that is said of Triton there"
    env = {k: v for k, v in os.environ.items() if not k.startswith("TRITON_INTERPRET")} | env
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, env=env)


def test_the_kernels_give_the_formula():
    "All of kernels.py"
    interpreted = {} if DEVICE == "cuda" else {"TRITON_INTERPRET": "1"}
    done = apart("-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("kernels.py")), **interpreted)
    assert not done.returncode and " passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]
    print("counted:", done.stdout.splitlines()[-1])


def test_a_system_that_cannot_build_them_is_told_once(monkeypatch):
    fused._usable.cache_clear()
    def broken(*args): raise RuntimeError("Failed to find C compiler")
    monkeypatch.setattr(fused._FusedCWTM, "apply", broken)
    try:
        with pytest.warns(UserWarning, match="without its kernels on cpu.*C compiler"):
            assert not fused._usable(torch.device("cpu"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert not fused._usable(torch.device("cpu"))
    finally: fused._usable.cache_clear()


def test_who_takes_them():
    "Large plain tensors on a GPU alone: not on the CPU, not stand-ins for tensors"
    x, y, t = batch(*LARGE)
    assert cwtm._in_kernels(x.cpu(), y.cpu(), t.cpu()) is None
    with FakeTensorMode() as mode:
        fakes = [torch.empty(v.shape, dtype=v.dtype, device="cuda") for v in (x, y, t)]
        assert cwtm._in_kernels(*fakes) is None and mode
    assert cwtm._in_kernels(fakes[0], fakes[1], fakes[2]) is None


def test_they_are_machine_code_for_a_gpu_that_is_not_here():
    "Triton's compiler takes them: its interpreter takes more"
    code = f"""
import triton
from triton.compiler import ASTSource
from triton.backends.compiler import GPUTarget
from course_lib.distillation import fused
for name, sizes, constants, warps in {KERNELS!r}:
    signature = dict(pair.split(':') for pair in sizes.split()) | dict.fromkeys(constants, 'constexpr')
    source = ASTSource(fn=getattr(fused, name), signature=signature, constexprs=constants)
    assert triton.compile(source, target=GPUTarget('cuda', 80, 32), options={{'num_warps': warps}}).asm['cubin']
"""
    done = apart("-c", code)
    assert not done.returncode, done.stderr[-2000:]


KERNELS = [
    ("_read_rows", "x:*bf16 x_step:i32 t:*fp32 t_step:i32 target:*i64 ignored:i32 classes:i32 rows:*fp32 n:i32",
     {"BLOCK": 8192}, 32),
    ("_mean", "rows:*fp32 n:i32 loss:*bf16 total:*fp32", {"BLOCK": 1024}, 4),
    ("_write_gradient", "x:*fp16 x_step:i32 target:*i64 rows:*fp32 n:i32 total:*fp32 scale:*fp16 grad:*fp16 classes:i32",
     {"BLOCK": 4096}, 8),
]


@pytest.mark.cuda
@pytest.mark.skipif(DEVICE != "cuda", reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cwtm_loss_takes_them_on_a_gpu(dtype, monkeypatch):
    "and says the same as in chunks, for all that it is given; other options go the long way"
    x, y, t = batch(*LARGE, dtype)
    assert cwtm._in_kernels(x, y, t)
    mine = cwtm_loss(x, y, t)
    slope, = torch.autograd.grad(3*mine, x)
    assert mine.dtype == slope.dtype == dtype
    others = [cwtm_loss(x, y, t, **o).item() for o in ({"reduction": "sum"}, {"weigh": "label"}, {"label_smoothing": 0.1})]
    monkeypatch.setattr(cwtm, "_in_kernels", lambda *args: None)
    want = cwtm_loss(x, y, t)
    torch.testing.assert_close(mine, want)
    torch.testing.assert_close(slope, torch.autograd.grad(3*want, x)[0], atol=1e-4, rtol=2e-2)
    for got, o in zip(others, ({"reduction": "sum"}, {"weigh": "label"}, {"label_smoothing": 0.1})):
        assert abs(got - cwtm_loss(x, y, t, **o).item()) <= 1e-3*abs(got)
