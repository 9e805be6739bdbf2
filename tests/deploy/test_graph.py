"""A file says what its Learner says, and is not written where it would not.

Seen to fail: channels swapped in the graph; the mean left out; a batch axis of fixed length.
"""
import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from fastai.vision.all import ImageDataLoaders, Normalize, PILImage, Resize, get_image_files

from course_lib.data import draw_pets, get
from course_lib.deploy import Answers, Parity, export_onnx, open_picture, parity, quantize, to_square, verify
from course_lib.deploy import graph
from course_lib.fine_tuning import learner


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    "360 pictures that no weight was trained on"
    drawn = draw_pets(tmp_path_factory.mktemp("drawn")/"pets", n_per_breed=30, seed=5, label_errors=0, near_duplicates=0)
    return np.stack([to_square(open_picture(f.read_bytes()), 64) for f in sorted((drawn/"images").glob("*.jpg"))])


def test_360_pictures_in_batches_of_1_2_and_37(learn, model, squares, counted):
    answers, worst = Answers(model), 0
    whole = answers.probabilities(squares)
    assert len(squares) == 360 and verify(model, learn, squares).holds
    for n in (1, 2, 37):
        parts = np.concatenate([answers.probabilities(squares[i:i + n]) for i in range(0, 360, n)])
        found = parity(parts, whole)
        worst = max(worst, found.largest)
        assert found.holds and found.same == 360
    counted(f"parity of 360 pictures: {verify(model, learn, squares).largest:.1e}, between batches {worst:.1e}")


def test_pictures_are_prepared_where_the_loaders_are_and_asked_about_where_the_model_is():
    "Before it is trained a model lies on the CPU, and fastai's loaders on the GPU"
    class Loader:
        device = torch.device("meta")
        def before_iter(self): pass
        def after_batch(self, batch):
            assert batch[0].device == self.device
            return (torch.zeros(2, 3, 4, 4),)
    made = SimpleNamespace(dls=SimpleNamespace(valid=Loader()), model=torch.nn.Linear(1, 1))
    assert graph._prepared(made, np.zeros((2, 4, 4, 3), np.uint8)).device.type == "cpu"


def test_the_file_says_what_fastai_predicts_from_a_file(learn, model):
    answers = Answers(model)
    for file in list(learn.dls.valid_ds.items)[:5]:
        with learn.no_bar(): name, _, probs = learn.predict(PILImage.create(file))
        said = answers(file.read_bytes())
        assert next(iter(said)) == name and max(said.values()) == pytest.approx(probs.max().item(), abs=1e-5)


def test_the_learner_is_left_as_it_was(learn, tmp_path):
    before = {name: t.clone() for name, t in learn.model.state_dict().items()}
    modes = [m.training for m in learn.model.modules()]
    rng = torch.get_rng_state()
    export_onnx(learn, tmp_path/"again.onnx")
    assert all(t.equal(before[name]) for name, t in learn.model.state_dict().items())
    assert modes == [m.training for m in learn.model.modules()] and torch.get_rng_state().equal(rng)


def test_a_file_that_would_say_something_else_is_not_written(learn, tmp_path, monkeypatch):
    right = graph._statistics
    monkeypatch.setattr(graph, "_statistics", lambda *args: tuple(s.flip(0) for s in right(*args)))  # swapped channels
    with pytest.raises(RuntimeError, match="nothing is written"): export_onnx(learn, tmp_path/"wrong.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stats", [([0.1, 0.5, 0.9], [0.2, 0.3, 0.4]), None])
def test_whatever_the_pictures_are_normalised_with(stats, tmp_path):
    pets = get("pets", quiet=True)
    normalise = [Normalize.from_stats(*stats)] if stats else None
    dls = ImageDataLoaders.from_name_func(pets, get_image_files(pets/"images")[:40], lambda n: n[0].isupper(), seed=0,
                                          num_workers=0, item_tfms=Resize(32), batch_tfms=normalise, bs=8)
    learn = learner(dls, "resnet10", normalize=False)
    assert export_onnx(learn, tmp_path/"m.onnx").holds and Answers(tmp_path/"m.onnx").size == 32


def test_notes_and_axes(model, learn):
    notes = {p.key: p.value for p in onnx.load(model).metadata_props}
    assert json.loads(notes["labels"]) == list(learn.dls.vocab) and notes["size"] == "64" and notes["course_lib"]
    shape = onnx.load(model).graph.input[0].type.tensor_type
    assert shape.elem_type == onnx.TensorProto.UINT8 and shape.shape.dim[0].dim_param == "batch"
    assert [d.dim_value for d in shape.shape.dim[1:]] == [64, 64, 3]


@pytest.mark.parametrize("method", ["weights", "dynamic", "static"])
def test_small_files_name_pictures_alike(model, squares, tmp_path, method):
    found = quantize(model, squares[:96], method, tmp_path/"small.onnx")
    assert found.after <= 1.7e6 < found.before
    both = parity(Answers(tmp_path/"small.onnx").probabilities(squares), Answers(model).probabilities(squares))
    assert both.same >= 0.8*360  # the head is random: its probabilities lie close together
    alone = np.concatenate([Answers(tmp_path/"small.onnx").probabilities(s[None]) for s in squares[:20]])
    if method != "dynamic":  # its scale is that of a batch
        assert np.allclose(alone, Answers(tmp_path/"small.onnx").probabilities(squares[:20]), atol=1e-5)


def test_parity_counts():
    ours = np.array([[.6, .4], [.2, .8]])
    assert parity(ours, ours) == Parity(2, 0., 2) and parity(ours, ours).holds
    assert parity(ours, ours[:, ::-1]) == Parity(2, pytest.approx(.6), 0)
    assert not parity(ours, ours + [[2e-5, 0], [0, 0]]).holds
