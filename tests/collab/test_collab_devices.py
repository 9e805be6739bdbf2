"""Collaborative filtering on CUDA, without a GPU: fake tensors raise where devices mix.

Fake tensors hold no numbers, so a read by the host has no answer. `Answers` gives one (zero, or one place), which lets a whole
call run through; it answers only tensors that are read, and leaves every check of devices to `FakeTensorMode`.
"""
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.collab import (CollabNN, DotProduct, DotProductBias, Embedding, Ratings, coverage, hit_rate, mae,
                               ndcg, recall, rmse, sigmoid_range, top_k)

aten = torch.ops.aten


class Answers(TorchDispatchMode):
    "Zero for every read by the host, one place for every search"
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten._local_scalar_dense.default: return args[0].dtype.is_floating_point and 0. or 0
        if func is aten.nonzero.default: return args[0].new_zeros(1, args[0].ndim, dtype=torch.long)
        if func is aten._unique2.default: return args[0].flatten()[:1], torch.zeros_like(args[0], dtype=torch.long), args[0].new_zeros(1, dtype=torch.long)
        if func is aten.repeat_interleave.Tensor: return args[0].new_zeros(1)
        if func is aten.index.Tensor and any(i is not None and i.dtype == torch.bool for i in args[1]):
            if any(i is not None and i.device != args[0].device and i.device.type != "cpu" for i in args[1]): raise RuntimeError("indices on another device")
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def fake():
    "CUDA tensors can be made on any machine, and devices that mix raise"
    with FakeTensorMode(allow_non_fake_inputs=True), Answers(): yield


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(0)
    u, i = np.nonzero(rng.random((20, 15)) < 0.5)
    return Ratings.from_df({"user": u, "item": i, "rating": rng.integers(1, 6, len(u))*1.}).split()


@pytest.fixture(params=[lambda: DotProduct(3), lambda: DotProductBias(3, (0, 6)), lambda: CollabNN((4,))], ids=["DotProduct", "DotProductBias", "CollabNN"])
def moved(request, halves):
    "A model that was fitted on the CPU and moved to a fake GPU, its index of users made before"
    torch.manual_seed(0)
    model = request.param().fit(halves[0], epochs=1, device="cpu")
    model.fold_in({1: 2.}), model.recommend(1, 1)
    with fake(): model.to("cuda")
    return model


def test_a_model_moved_to_the_gpu_answers_on_the_cpu(moved, halves):
    test = halves[1]
    with fake():
        assert moved.device.type == "cuda" and moved.scores(torch.tensor([0, 1])).device.type == "cuda"
        assert moved.predict_codes(test.user.long(), test.item.long())[0].device.type == "cuda"
        assert moved.predict(test).device.type == "cpu" and moved.predict([(1, 2)]).device.type == "cpu"


def test_a_model_on_the_gpu_ranks(moved):
    with fake():
        assert moved.scores_or_counts(torch.tensor([0, 1])).device.type == "cpu"  # what `evaluate` ranks


def test_ranking_and_metrics_stay_on_one_device():
    with fake():
        hits, n = torch.zeros(4, 3, dtype=torch.bool, device="cuda"), torch.ones(4, device="cuda")
        for relevant in (n, n.cpu()): assert ndcg(hits, relevant) == recall(hits, relevant) == 0
        hit_rate(hits), coverage(torch.zeros(4, 3, device="cuda"), 9), rmse(n, n), mae(n, n)
        assert sigmoid_range(n, 0, 5).device.type == "cuda"
        with torch.device("cuda"): assert Embedding(4, 2)(torch.zeros(3, dtype=torch.long)).device.type == "cuda"
        q, v = torch.zeros(2, 3, device="cuda"), torch.zeros(9, 3, device="cuda")
        assert top_k(q, v, 1, bias=v[:, 0], exclude=[torch.tensor([1]), torch.tensor([2])])[1].device.type == "cuda"


def test_the_gate_itself_sees_mixed_devices():
    with fake(), pytest.raises(RuntimeError, match="[Dd]evice"): torch.zeros(3, device="cuda") + torch.zeros(3)
