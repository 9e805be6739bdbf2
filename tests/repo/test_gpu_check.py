"The script for a GPU: each of its checks, here on the CPU and on a GPU where there is one, and the page made of its results."
import json

import pytest
import torch

from tools import gpu_check

NAMES = {c.__name__: c for c in gpu_check.CHECKS}


@pytest.mark.parametrize("name", NAMES)
def test_check_on_the_cpu(name): assert gpu_check.run_check(NAMES[name], "cpu")["error"] == ""


@pytest.mark.cuda
@pytest.mark.parametrize("name", NAMES)
def test_check_on_cuda(name): assert gpu_check.run_check(NAMES[name], "cuda")["error"] == ""


BREAKS = {  # check: (what it uses, what stands in its place)
    "losses_are_torchs": ("cross_entropy", lambda *a, **k: 1.1*torch.nn.functional.cross_entropy(*a, **k)),
    "cwtm_is_eq_10": ("cwtm_loss", lambda x, y, t: torch.nn.functional.cross_entropy(x, y)),
    "teachers_losses_are_those_of_the_cpu": ("dkpp_loss", lambda x, y, t, generator: x.sum()*float("nan")),
    "the_finder_puts_everything_back": ("find_lr", lambda net, *a, **k: torch.nn.init.zeros_(net.weight)),
    "the_best_items_are_those_of_the_cpu": ("top_k", lambda q, v, k: (q @ v.T).topk(k) if v.requires_grad else (None, torch.rand(3))),
    "seeds_repeat": ("seed_everything", lambda seed: True),
}

@pytest.mark.parametrize("name", BREAKS)
def test_check_fails_when_what_it_checks_is_broken(name, monkeypatch):
    part, broken = BREAKS[name]
    monkeypatch.setattr(gpu_check, part, broken)
    result = gpu_check.run_check(NAMES[name], "cpu")
    assert not result["ok"] and result["error"]


def test_the_script_runs_whole_and_its_page_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "CHECKS", [])
    result = gpu_check.run("cpu", quick=True)
    assert result["not run"] == [] and len(result["losses"]) == 24 and len(result["collab"]) == 2
    assert {r["loss"] for r in result["losses"]} >= {"cwtm_loss", "kd_loss", "cross_entropy"}
    result = json.loads(json.dumps(result))
    text = gpu_check.page(result)
    assert "Not a measurement" in text and "best ten" in text and "Goal" not in text
    rows = [{**r, "device ms": 1., "× eager, device": 0.7 if "compiled" in r["loss"] else 0.9} for r in result["losses"]]
    on_a_card = {**result, "kind": "cuda", "quick": False, "device": "a card", "losses": rows}
    text = gpu_check.page(on_a_card)
    assert "a card" in text and "Goal" in text and text.count("(missed)") + text.count("(met)") == 8


def test_what_fails_or_comes_too_late_is_named(monkeypatch):
    def broken(*args): raise ArithmeticError("no")
    monkeypatch.setattr(gpu_check, "losses_at", broken)
    monkeypatch.setattr(gpu_check, "CHECKS", [broken])
    result = gpu_check.run("cpu", quick=True)
    assert len(result["not run"]) == 4 and "broken fails: `ArithmeticError: no`" in gpu_check.page(result)
    monkeypatch.setattr(gpu_check, "LIMIT", -1)
    assert all("out of time" in n for n in gpu_check.run("cpu", quick=True)["not run"])
