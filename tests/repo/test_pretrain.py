"""The pretrained weights: what they were trained on, that training repeats, and that what is committed is what its recipe says."""
import ast
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from course_lib.core import asset
from course_lib.data import PET_BREEDS
from tools.assets import drawn_things, pretrain
from tools.notebooks import ROOT

RECIPE = json.loads(asset("resnet10.json").read_text(encoding="utf-8"))
FIELDS = {"name", "model", "kwargs", "num_classes", "head", "image_size", "mean", "std", "parameters", "heldout_accuracy", "train_accuracy", "train_loss", "data", "seed",
          "epochs", "batch_size", "optimizer", "label_smoothing", "augmentation", "seconds", "seconds_drawing", "device", "threads", "versions", "command", "date", "licence", "bytes", "sha256"}


def draw(name, *seed): return drawn_things.draw(name, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    "Two tiny runs with one seed, one with another"
    mp, home = pytest.MonkeyPatch(), tmp_path_factory.mktemp("pretrain")
    mp.setenv("COURSE_LIB_CACHE", str(home/"cache"))
    args = ["--epochs", "1", "--per-class", "2", "--device", "cpu"]
    yield [pretrain.main([*args, "--seed", str(seed), "--out", str(home/name)]) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    mp.undo()


# the pictures

def test_a_picture_follows_from_its_generator_alone():
    for name in ("fur", "house", "creature_07"):
        a, state = draw(name, 5), np.random.get_state()[1].copy()
        assert a.shape == (drawn_things.SIDE, drawn_things.SIDE, 3) and a.dtype == np.uint8
        assert np.array_equal(a, draw(name, 5)) and not np.array_equal(a, draw(name, 6))
        assert np.array_equal(np.random.get_state()[1], state) # the global generator is left alone


def test_every_class_can_be_drawn_and_none_is_flat(counted):
    for c, name in enumerate(drawn_things.CLASSES):
        for i in range(2): assert draw(name, 9, c, i).reshape(-1, 3).std(0).mean() > 3, (name, i)
    assert len(set(drawn_things.CLASSES)) == len(drawn_things.CLASSES) == RECIPE["num_classes"] >= 60
    counted(f"{len(drawn_things.CLASSES)} drawn classes")


def test_with_the_same_dice_two_classes_are_two_pictures():
    for family in (drawn_things.TEXTURES, drawn_things.THINGS, drawn_things.CREATURES):
        pictures = {draw(name, 3).tobytes() for name in family}
        assert len(pictures) == len(family)


def test_no_two_creatures_share_all_their_parts():
    kinds = [tuple(q[part] for part in drawn_things._PARTS) for q in drawn_things.CREATURES.values()]
    assert len(set(kinds)) == len(kinds)
    apart = min(sum(a != b for a, b in zip(p, q)) for i, p in enumerate(kinds) for q in kinds[:i])
    assert apart >= 2


def test_a_class_that_is_not_there():
    with pytest.raises(ValueError, match="no class 'cat'"): draw("cat", 0)


def test_no_pet_and_no_code_of_the_pets():
    for file in ("drawn_things.py", "pretrain.py"):
        tree = ast.parse((ROOT/"tools"/"assets"/file).read_text(encoding="utf-8"))
        imported = {f"{getattr(n, 'module', '') or ''}.{a.name}" for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
        assert not any("course_lib.data" in i or "draw_pet" in i for i in imported), imported
    words = " ".join(drawn_things.CLASSES).lower().replace("_", " ").split()
    assert not {w for b in PET_BREEDS for w in b.lower().split("_")} & set(words)
    assert not {"cat", "dog", "kitten", "puppy"} & set(words)


def test_training_and_held_out_pictures_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_LIB_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrain, "CLASSES", pretrain.CLASSES[:4])
    x, y = pretrain.pictures(3, 1)
    held, _ = pretrain.pictures(3, 1, first=1_000_000)
    assert y.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert not {p.tobytes() for p in x} & {p.tobytes() for p in held}
    assert np.array_equal(x, pretrain.pictures(3, 1)[0]) # from the cache
    more, _ = pretrain.pictures(5, 1)
    assert np.array_equal(more.reshape(4, 5, *x.shape[1:])[:, :3], x.reshape(4, 3, *x.shape[1:])) # picture i does not depend on how many there are


# the training

def test_a_view_repeats_with_its_generator_and_keeps_the_size():
    x = pretrain.normalise(torch.from_numpy(np.stack([draw("house", 1), draw("fish", 2)])))
    a, b = (pretrain.random_view(x, torch.Generator().manual_seed(4)) for _ in range(2))
    assert a.shape == (2, 3, pretrain.SIZE, pretrain.SIZE) and torch.equal(a, b) and torch.isfinite(a).all()
    assert not torch.equal(a, pretrain.random_view(x, torch.Generator().manual_seed(5)))
    same = pretrain.random_view(x[:1].expand(8, -1, -1, -1), torch.Generator().manual_seed(4))
    assert len({v.numpy().tobytes() for v in same}) == 8 # each picture has a view of its own


def test_normalise_is_imagenets():
    x = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    want = [(v/255 - m)/s for v, m, s in zip((0, 128, 255), pretrain.MEAN, pretrain.STD)]
    torch.testing.assert_close(pretrain.normalise(x).flatten(), torch.tensor(want))


def test_accuracy_looks_at_the_middle():
    class Says(torch.nn.Module):
        def forward(self, x):
            assert x.shape[-2:] == (pretrain.SIZE, pretrain.SIZE)
            return torch.nn.functional.one_hot((x[:, 0, 0, 0] > 0).long(), 2).float()
    side, x = drawn_things.SIDE, torch.zeros(4, drawn_things.SIDE, drawn_things.SIDE, 3, dtype=torch.uint8)
    m = (side - pretrain.SIZE)//2
    x[2:, m, m] = 255
    assert pretrain.accuracy(Says(), x, torch.tensor([0, 1, 1, 1])) == 0.75


def test_same_seed_same_weights(tiny):
    a, b, c = (load_file(folder/"resnet10.safetensors") for folder in tiny)
    assert all(torch.equal(a[k], b[k]) for k in a) and not torch.equal(a["conv1.0.weight"], c["conv1.0.weight"])
    recipes = [json.loads((folder/"resnet10.json").read_text(encoding="utf-8")) for folder in tiny]
    assert recipes[0]["sha256"] == recipes[1]["sha256"] != recipes[2]["sha256"]
    assert recipes[0]["data"]["first_heldout_sha256"] != recipes[2]["data"]["first_heldout_sha256"]


def test_training_leaves_the_global_generator_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_LIB_CACHE", str(tmp_path))
    before = torch.get_rng_state()
    pretrain.main(["--epochs", "1", "--per-class", "1", "--device", "cpu", "--out", str(tmp_path/"out")])
    assert torch.equal(before, torch.get_rng_state())


def test_a_tiny_run_writes_all_of_the_recipe(tiny):
    recipe = json.loads((tiny[0]/"resnet10.json").read_text(encoding="utf-8"))
    assert set(recipe) == FIELDS and recipe["epochs"] == 1 and recipe["seed"] == 1
    assert recipe["command"] == "python -m tools.assets.pretrain --epochs 1 --per-class 2 --seed 1 --device cpu"
    check(tiny[0], recipe)


def test_numbers_that_cannot_be(capsys):
    for args in (["--epochs", "0"], ["--per-class", "0"]):
        with pytest.raises(SystemExit): pretrain.main(args)
        assert "at least 1" in capsys.readouterr().err


def test_minutes_become_epochs_and_do_not_change_the_weights():
    def fit(**kw):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet", num_classes=4)
        x = torch.from_numpy(np.stack([draw(n, 1) for n in ("house", "fish", "fur", "star")])).repeat(pretrain.BATCH//4, 1, 1, 1)
        return model, pretrain.train(model, x, torch.arange(4).repeat(pretrain.BATCH//4), g=torch.Generator().manual_seed(0), **kw)
    a, (n, losses) = fit(epochs=99, minutes=1e-6)
    b, (m, again) = fit(epochs=1)
    assert n == m == 1 and losses == again
    assert all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values()))


# what is committed

def check(folder: Path, recipe: dict):
    "The file is the one of the recipe, small, half precision, and fills the network that the recipe names"
    file = folder/"resnet10.safetensors"
    assert file.stat().st_size == recipe["bytes"] <= 4_000_000
    assert hashlib.sha256(file.read_bytes()).hexdigest() == recipe["sha256"]
    with safe_open(file, "pt") as f: kinds = {k: f.get_tensor(k).dtype for k in f.keys()}
    assert set(kinds.values()) == {torch.float16, torch.int64}
    assert all(k.endswith("num_batches_tracked") for k, d in kinds.items() if d == torch.int64)
    model = timm.create_model(recipe["model"], num_classes=recipe["num_classes"], **recipe["kwargs"])
    state = load_file(file)
    model.load_state_dict(state, strict=True)
    assert all(torch.isfinite(v).all() for v in state.values())
    assert sum(p.numel() for p in model.parameters()) == recipe["parameters"]
    return model


def test_the_committed_recipe_is_whole():
    assert set(RECIPE) == FIELDS
    assert RECIPE["name"] == "resnet10" and RECIPE["model"] == pretrain.MODEL and RECIPE["kwargs"] == pretrain.KWARGS and RECIPE["image_size"] == pretrain.SIZE
    assert tuple(RECIPE["mean"]) == pretrain.MEAN and tuple(RECIPE["std"]) == pretrain.STD
    assert RECIPE["data"]["classes"] == list(drawn_things.CLASSES) and RECIPE["num_classes"] == len(RECIPE["data"]["classes"])
    assert RECIPE["data"]["heldout_pictures"] == pretrain.HELD_OUT*RECIPE["num_classes"]
    assert len(RECIPE["train_loss"]) == RECIPE["epochs"] and RECIPE["train_loss"][-1] < RECIPE["train_loss"][0]
    assert f"--epochs {RECIPE['epochs']} " in RECIPE["command"] and f"--seed {RECIPE['seed']}" in RECIPE["command"]
    assert RECIPE["seconds"] <= 3600 and "/" not in RECIPE["command"].removeprefix("python -m tools.assets.pretrain")


def test_the_committed_weights_name_pictures_drawn_now(counted):
    model = check(asset("resnet10.safetensors").parent, RECIPE)
    n = 3 # of the 20 held-out pictures of each class
    x = np.stack([draw(name, RECIPE["seed"], c, 1_000_000 + i) for c, name in enumerate(RECIPE["data"]["classes"]) for i in range(n)])
    found = pretrain.accuracy(model, torch.from_numpy(x), torch.arange(RECIPE["num_classes"]).repeat_interleave(n))
    p = RECIPE["heldout_accuracy"]
    assert abs(found - p) < 4*(p*(1 - p)/len(x))**0.5, (found, p)
    counted(f"embedded resnet10: {found:.1%} of {len(x)} held-out drawings right, recipe {p:.1%}")
