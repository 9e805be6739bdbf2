"Teachers and loaders as people have them: dictionaries, lists, streams, and models that hold their logits in an object."
from collections import UserDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from course_lib.distillation import Ensemble, ban_loss, teacher_confidence

X, Y = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3


@dataclass
class Output:
    logits: torch.Tensor
    loss: object = None


class Body(nn.Module):
    "A classifier that returns its logits as `kind` says, and may want its input by name"
    def __init__(self, kind=lambda x: x):
        super().__init__()
        torch.manual_seed(1)
        self.head, self.kind = nn.Linear(4, 3), kind
    def forward(self, pixels, mask=None): return self.kind(self.head(pixels))


plain = Body()
WANT = {"max": plain(X).softmax(1).amax(1).detach(), "label": plain(X).softmax(1).gather(1, Y[:, None])[:, 0].detach()}
holders = pytest.mark.parametrize("kind", [Output, lambda x: {"logits": x}, lambda x: UserDict(logits=x)], ids=["object", "dict", "mapping"])


class Stream(IterableDataset):
    def __init__(self, shuffled=False): self.shuffled = shuffled
    def __iter__(self):
        order = torch.randperm(20) if self.shuffled else torch.arange(20)
        return iter([(X[i], Y[i]) for i in order])


class Named(torch.utils.data.Dataset):
    def __init__(self, label="labels"): self.label = label
    def __len__(self): return 20
    def __getitem__(self, i): return {"pixels": X[i], self.label: Y[i]}


def parts(n=7): return list(zip(X.split(n), Y.split(n)))


@pytest.mark.parametrize("weigh", ["max", "label"])
@pytest.mark.parametrize("dl", [
    DataLoader(TensorDataset(X, Y), 7), DataLoader(Named(), 7), DataLoader(Named("label"), 7), DataLoader(Named("targets"), 7), DataLoader(Stream(), 7),
    parts(), tuple(parts()), [list(p) for p in parts()], [{"pixels": x, "labels": y, "mask": None} for x, y in parts()],
    [UserDict(pixels=x, labels=y) for x, y in parts()], [(x, y.tolist()) for x, y in parts()],
], ids=["pairs", "dict", "label", "targets", "stream", "list", "tuple", "lists", "dicts", "mappings", "labels in a list"])
def test_loaders_of_every_kind(dl, weigh):
    torch.testing.assert_close(teacher_confidence(plain, dl, weigh=weigh), WANT[weigh])


def test_batches_of_inputs_alone():
    for dl in (X.split(7), DataLoader(X, 7), [(x,) for x in X.split(7)]): torch.testing.assert_close(teacher_confidence(plain, dl), WANT["max"])
    with pytest.raises(ValueError, match="labels"): teacher_confidence(plain, DataLoader(X, 7), weigh="label")
    with pytest.raises(ValueError, match="labels"): teacher_confidence(plain, [{"pixels": X}], weigh="label")


@pytest.mark.parametrize("error,words,dl", [
    (ValueError, "shuffles", DataLoader(Stream(shuffled=True), 7)), (ValueError, "drops", DataLoader(Stream(), 7, drop_last=True)),
    (TypeError, "gone through twice", iter(parts())), (TypeError, "gone through twice", (p for p in parts())), (TypeError, "gone through twice", 3),
    (ValueError, "no batch", []), (ValueError, "not \\[N, C\\]", list(zip(X, Y))), (TypeError, "gone through twice", TensorDataset(X, Y)), (ValueError, "shuffles", DataLoader(Named(), 7, shuffle=True)),
])
def test_what_cannot_be_aligned_is_refused(error, words, dl):
    with pytest.raises(error, match=words): teacher_confidence(plain, dl)


def test_a_loaders_own_generator_is_put_back():
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    teacher_confidence(plain, DataLoader(TensorDataset(X, Y), 7, generator=generator))
    assert generator.get_state().equal(before)


@holders
def test_models_that_hold_their_logits(kind):
    model = Body(kind)
    torch.testing.assert_close(teacher_confidence(model, parts()), WANT["max"])
    other = nn.Linear(4, 3)
    torch.testing.assert_close(Ensemble([model, other])(X).softmax(1), (plain(X).softmax(1) + other(X).softmax(1))/2)
    torch.testing.assert_close(Ensemble([model, Body()])(pixels=X), torch.log_softmax(plain(X), 1))
    torch.testing.assert_close(teacher_confidence(Ensemble([model, Body()]), DataLoader(Named(), 7)), WANT["max"])


@pytest.mark.parametrize("models, said", [(nn.Linear(4, 3), "got one Linear"), (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), "got one Sequential: put it into a list"),
                                          ([lambda x: x], "got function in it"), ([nn.Linear(4, 3), "model"], "got str in it")])
def test_what_is_no_list_of_models_is_named(models, said):
    with pytest.raises(TypeError, match=said): Ensemble(models)


def test_lists_of_models_of_every_kind():
    for models in (nn.ModuleList([plain, Body()]), (m for m in (plain, Body())), (plain, Body())):
        torch.testing.assert_close(Ensemble(models)(X), torch.log_softmax(plain(X), 1))


def test_logits_of_different_shapes_are_named():
    with pytest.raises(ValueError, match=r"one shape \[N, C, …\], got \(20, 3\) and \(20, 5\)"): Ensemble([plain, nn.Linear(4, 5)])(X)
    with pytest.raises(ValueError, match=r"got \(3,\)"): Ensemble([plain])(X[0])


@pytest.mark.parametrize("kind", [lambda x: x.argmax(1), lambda x: x.long(), lambda x: {"logits": None}, lambda x: [x], lambda x: (x, x), lambda x: {"scores": x}, lambda x: None])
def test_models_without_logits_are_named(kind):
    with pytest.raises(TypeError, match="must return logits"): teacher_confidence(Body(kind), parts())
    with pytest.raises(TypeError, match="must return logits"): Ensemble([Body(kind)])(X)


@holders
def test_the_callback_takes_a_teacher_that_holds_its_logits(kind):
    fastai = pytest.importorskip("fastai.basics")
    from course_lib.distillation import Distill
    def run(teacher):
        torch.manual_seed(0)
        dls = fastai.DataLoaders.from_dsets(list(zip(X, Y)), list(zip(X, Y)), bs=10, device="cpu", shuffle=False)
        learn = fastai.Learner(dls, nn.Linear(4, 3), loss_func=nn.CrossEntropyLoss(), opt_func=fastai.SGD, cbs=Distill(teacher, ban_loss))
        with learn.no_logging(): learn.fit(1, 0.1)
        return learn.model.weight.detach()
    torch.testing.assert_close(run(Body(kind)), run(Body()))
