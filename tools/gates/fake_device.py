"""A CUDA device without numbers: what mixes devices raises, and what makes the host wait for it is noted."""
import re
from collections.abc import Callable
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException, DynamicOutputShapeException, FakeTensor, FakeTensorMode, unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = ("_local_scalar_dense", "equal", "is_nonzero", "item")


class Host(TorchDispatchMode):
    """Notes reads and copies between CPU and CUDA. What is on the CPU has numbers and runs; a value that is read from
    the device is made up, so that the call goes on."""
    def __init__(self):
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        real = not any(isinstance(t, FakeTensor) for t in tensors)
        if real and torch.device(kwargs.get("device") or "cpu").type == "cpu":
            with unset_fake_temporarily(): return func(*args, **kwargs)
        name = func.overloadpacket._qualified_op_name.removeprefix("aten::")
        if name in READS: return self.read(tensors)
        out = func(*args, **kwargs)
        if name in ("_to_copy", "copy_") and not (out.is_cuda and kwargs.get("non_blocking")):  # nobody waits for those
            self.copied(tensors[-1 if name == "copy_" else 0], out)
        return out

    def read(self, tensors: list[torch.Tensor]) -> float:
        "A value that stands for what the host reads"
        if any(t.is_cuda for t in tensors): self.waits.append("reads a value")
        return {torch.bool: True}.get(tensors[0].dtype, 1.0 if tensors[0].is_floating_point() else 1)

    def copied(self, source: torch.Tensor, out: torch.Tensor) -> None:
        "Note a copy from one side to the other"
        if source.is_cuda and not out.is_cuda: self.waits.append("copies to the CPU")
        if out.is_cuda and not source.is_cuda: self.waits.append("copies to the device")

    def move(self, model: nn.Module, fn: Callable, recurse: bool = True) -> nn.Module:
        "What `nn.Module._apply` does, for fake tensors, which it cannot swap in place; moving a model is no wait"
        for child in model.children(): child._apply(fn)
        before = len(self.waits)
        for name, p in model._parameters.items():
            if p is not None: model._parameters[name] = nn.Parameter(fn(p.detach()), p.requires_grad)
        for name, b in model._buffers.items():
            if b is not None: model._buffers[name] = fn(b)
        del self.waits[before:]
        return model


def run(call: Callable) -> tuple[list[str], str]:
    "(where the host waited or copied, why the call failed) of one call on fake tensors"
    host = Host()
    apply = mock.patch.object(nn.Module, "_apply", lambda model, fn, recurse=True: host.move(model, fn, recurse))
    try:
        with apply, FakeTensorMode(allow_non_fake_inputs=True), host: call()
    except (DataDependentOutputException, DynamicOutputShapeException) as e: host.waits.append(f"reads for {e.func}")
    except Exception as e:
        text = " ".join(str(e).split())
        if not re.search("data pointer|numpy|storage", text): return host.waits, f"{type(e).__name__}: {text[:150]}"
        host.waits.append("reads all values")
    return host.waits, ""
