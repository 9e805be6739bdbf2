"""Two, three and four processes beside one: losses, gradients, batch norm, recommenders, the finder, Learners, FSDP2, all in
float64 to 1e-12 (the finder's curve to 1e-6). One group of each size runs all checks, since each process imports torch;
that of four runs a few.

Seen to fail: a loss over its own count, `lone` means averaged, statistics of one process, a rank's order of its own.
"""
import pytest
import torch

from course_lib.scaling import spawn

from . import ranks

NAMES = [*ranks.CHECKS, "sharded"]


@pytest.fixture(scope="module", params=[2, 3], ids=lambda n: f"{n} processes")
def both(request, tmp_path_factory):
    "What one process and what several found"
    alone = ranks.everything(0, 1, tmp_path_factory.mktemp("alone"))
    return alone, spawn(ranks.everything, request.param, tmp_path_factory.mktemp("several"))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("dkpp", "bad_input", "metrics")])
def test_equal(both, name):
    alone, several = both
    tolerance = 1e-6 if name == "finder" else 1e-12
    near(several, alone, name, tolerance)


def near(several, alone, name, tolerance=1e-12):
    for rank, out in enumerate(several):
        for found in (alone[name], out[name]): assert not isinstance(found, str), f"rank {rank}: {found}"
        torch.testing.assert_close(out[name], alone[name], rtol=tolerance, atol=tolerance, equal_nan=True)


def test_four(tmp_path):
    few = ["all_losses", "norm", "accumulation", "learner"]
    alone = ranks.everything(0, 1, tmp_path, few)
    several = spawn(ranks.everything, 4, tmp_path, few)
    for name in few: near(several, alone, name)


def test_own_permutations(both):
    for out in both[1]: assert out["dkpp"] is True, out["dkpp"]


def test_metrics(both):
    alone, several = both
    for out in several: assert out["metrics"] == alone["metrics"] == {"accuracy": pytest.approx(5/7, abs=1e-15)}


WORDS = {"unequal": "weight differs between rank 0 and rank 1", "metrics": "rank 1 has ['metric 1']",
         "rows": "n must be at least world=", "backend": "carries tensors of",
         "learner": "seed every process alike", "orders": "the same seed"}


@pytest.mark.parametrize("name", WORDS)
def test_every_process_says_what_is_wrong(both, name):
    for out in both[1]: assert WORDS[name] in out["bad_input"][name]


def test_a_group_of_others(both):
    for rank, out in enumerate(both[1]):
        assert ("not in the process group" in out["bad_input"]["stranger"]) == (rank > 0)
