"What a training step, a loss, a hook or a model can change is put back, however it is reached"
import collections
import contextvars
import functools
import gc
import itertools
import pickle
import random
import sys
import types
import weakref
from array import array
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.lr_finder import find_lr
from course_lib.state import put_back

x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
y = x.sum(1, keepdim=True).sin()


def problem():
    "A network, its batches, its optimizer"
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    return net, DataLoader(TensorDataset(x, y), 8, shuffle=True), torch.optim.SGD(net.parameters(), 0.1)


def plain(thing):
    "Values of nested state"
    if isinstance(thing, torch.Tensor): return thing.tolist()
    if isinstance(thing, np.ndarray): return thing.tolist()
    if isinstance(thing, dict): return {k: plain(v) for k, v in thing.items()}
    if isinstance(thing, (list, tuple, collections.deque)): return [plain(v) for v in thing]
    if isinstance(thing, nn.Module): return plain(thing.state_dict())
    if isinstance(thing, random.Random): return thing.getstate()
    return plain(vars(thing)) if hasattr(thing, "__dict__") else thing


# Each global is changed by a function of this module alone.
AVERAGE, NESTED = {}, {"ema": {"w": torch.zeros(8, 4)}, "steps": 0}
COUNTS, QUEUE, ARRAY = [0], collections.deque(), np.zeros(3)
TENSOR, RNG, NUMBER, HELD = torch.zeros(3), random.Random(3), 0, types.SimpleNamespace(ema=None, best=1.)


class Settings:
    "Keeps its state on the class"
    average, seen = None, []

    @classmethod
    def update(cls, net):
        cls.average = net[0].weight.detach().clone()
        cls.seen.append(1)


@dataclass(slots=True)
class Slots:
    "Keeps its state in slots"
    average: object = None
    counts: list = field(default_factory=list)


SLOTS, MODULE = Slots(), types.ModuleType("helpers")
MODULE.average = {"w": None}
MODULE.number = 0


def by_dict(net): AVERAGE["w"] = net[0].weight.detach().clone(); AVERAGE["n"] = AVERAGE.get("n", 0) + 1
def by_nested(net): NESTED["ema"]["w"].lerp_(net[0].weight.detach(), 0.1); NESTED["steps"] += 1
def by_list(net): COUNTS[0] += 1; COUNTS.append(2)
def by_deque(net): QUEUE.append(1)
def by_array(net): ARRAY[0] += 1
def by_tensor(net): TENSOR.add_(1)
def by_generator(net): RNG.random()
def by_namespace(net): HELD.ema = net[0].weight.detach().clone(); HELD.best = 0.
def by_class(net): Settings.update(net)
def by_slots(net): SLOTS.average = net[0].weight.detach().clone(); SLOTS.counts.append(1)
def by_module(net): MODULE.average["w"] = 1; MODULE.number += 1
def by_helper(net): by_dict(net); by_nested(net)


def by_rebinding(net):
    global NUMBER, NEW
    NUMBER += 1
    NEW = NUMBER


def by_default(net, kept={"n": 0}, *, more=[0]): kept["n"] += 1; more[0] += 1  # noqa: B006
def by_attribute(net): by_attribute.count += 1
by_attribute.count = 0


REACHES = [by_dict, by_nested, by_list, by_deque, by_array, by_tensor, by_generator, by_namespace, by_class, by_slots,
           by_module, by_helper, by_rebinding, by_default, by_attribute]


def world():
    "All that the functions above can change"
    here = [AVERAGE, NESTED, COUNTS, QUEUE, ARRAY, TENSOR, RNG, HELD, NUMBER, Settings.average, Settings.seen,
            SLOTS.average, SLOTS.counts, MODULE.average, MODULE.number,
            by_default.__defaults__, by_default.__kwdefaults__, by_attribute.count, "NEW" in globals()]
    return repr(plain(here))


def steps(net, opt, change):
    "One training step in the forms in which people write it"
    def step(batch):
        opt.zero_grad(); loss = nn.functional.mse_loss(net(batch[0]), batch[1]); loss.backward(); opt.step()
        change(net)
        return loss
    def wrapped(function):
        @functools.wraps(function)
        def outer(*args): return function(*args)
        return outer
    class Trainer:
        def training_step(self, batch): return self.inner(batch)
        def inner(self, batch): return step(batch)
        def __call__(self, batch): return step(batch)
    def two(first, batch): return step(batch)
    return {"function": step, "lambda": lambda batch: step(batch), "partial": functools.partial(two, 1),
            "method": Trainer().training_step, "object": Trainer(), "decorated": wrapped(step)}


@pytest.mark.parametrize("change", REACHES, ids=lambda f: f.__name__)
def test_globals_and_defaults_of_a_step(change):
    net, dl, opt = problem(); before = world()
    assert len(find_lr(net, dl, opt=opt, step=steps(net, opt, change)["function"], num_it=5, end_lr=1e-3).lrs) == 5
    assert world() == before


@pytest.mark.parametrize("form", steps(None, None, None))
def test_forms_of_a_step(form):
    net, dl, opt = problem(); before = world()
    find_lr(net, dl, opt=opt, step=steps(net, opt, by_helper)[form], num_it=5, end_lr=1e-3)
    assert world() == before


@pytest.mark.parametrize("change", [by_dict, by_nested, by_class, by_slots, by_rebinding], ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", ["loss", "forward", "forward hook", "optimizer hook", "scheduler"])
def test_what_is_reached_from_elsewhere(place, change):
    net, dl, opt = problem(); before, keep = world(), ()
    def loss_func(out, target):
        if place == "loss": change(net)
        return nn.functional.mse_loss(out, target)
    class Model(nn.Module):
        def __init__(self): super().__init__(); self.net = net
        def forward(self, inputs): change(net); return self.net(inputs)
    if place == "forward hook": net.register_forward_hook(lambda *args: change(net))
    if place == "optimizer hook": opt.register_step_post_hook(lambda *args: change(net))
    if place == "scheduler": keep = [torch.optim.lr_scheduler.LambdaLR(opt, lambda n: change(net) or 1.)]
    before = world()  # making a scheduler steps it once
    find_lr(Model() if place == "forward" else net, dl, loss_func, opt, keep=keep, num_it=5, end_lr=1e-3)
    with put_back(*keep):
        for scheduler in keep: scheduler.step()
    assert world() == before
    change(net); assert world() != before  # the change can be seen at all


def test_variables_of_outer_functions_come_back():
    net, dl, opt = problem(); count, ema = 0, None
    def step(batch):
        nonlocal count, ema
        count += 1; ema = net[0].weight.detach().clone()
        opt.zero_grad(); loss = nn.functional.mse_loss(net(batch[0]), batch[1]); loss.backward(); opt.step()
        return loss
    find_lr(net, dl, opt=opt, step=step, num_it=5)
    assert count == 0 and ema is None


def test_what_a_hook_appends_to_its_list_is_a_record():
    net, dl, opt = problem(); seen = []
    opt.register_step_post_hook(lambda *args: seen.append(1))
    find_lr(net, dl, nn.functional.mse_loss, opt, num_it=5, end_lr=1e-3)
    assert len(seen) == 5


def test_installed_packages_are_not_asked_for_their_globals():
    from course_lib.state import Snapshot
    assert Snapshot(nn.functional.mse_loss, functools.wraps, np.mean, nn.Linear).nbytes == 0
    data = torch.zeros(1000)
    assert Snapshot(lambda: data).nbytes == data.nbytes


# ------------------------------------------------------------------ what a curve keeps alive

def closure_over(net):
    "A loss that needs the network"
    def loss(out, target): return nn.functional.mse_loss(out, target) + 1e-4*net[0].weight.square().sum()
    return loss


def trained(net, opt, batch):
    "A step that is told its network and optimizer"
    opt.zero_grad(); loss = net(batch[0]).square().mean(); loss.backward(); opt.step()
    return loss


SEARCHES = {
    "plain": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=opt),
    "default optimizer": lambda net, dl, opt: dict(loss_func=nn.functional.mse_loss),
    "loss over the model": lambda net, dl, opt: dict(loss_func=closure_over(net), opt=opt),
    "own step": lambda net, dl, opt: dict(opt=opt, step=steps(net, opt, lambda n: None)["function"]),
    "partial": lambda net, dl, opt: dict(opt=opt, step=functools.partial(trained, net, opt)),
    "keep": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), keep=[nn.Sequential(net), dl]),
}


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("dead", ["model", "loader", "both"])
def test_a_curve_keeps_neither_model_nor_loader_alive(kind, dead):
    net, dl, opt = problem(); kwargs = SEARCHES[kind](net, dl, opt)
    curve = find_lr(net, dl, num_it=20, **kwargs)
    refs = [weakref.ref(thing) for thing, name in ((net, "model"), (dl, "loader")) if dead in (name, "both")]
    if dead != "loader": net = None
    if dead != "model": dl = None
    kwargs = None; gc.collect()
    assert not any(ref() for ref in refs)
    with pytest.raises(ValueError, match="gone" if curve.suggest() else "gone|no suggestion"):
        if not curve.suggest(): raise ValueError("no suggestion")
        curve.suggest("trials")


def test_trials_work_as_long_as_model_and_loader_live():
    net, dl, _ = problem()
    curve = find_lr(net, dl, nn.MSELoss(), torch.optim.Adam(net.parameters()))  # nobody else holds loss and optimizer
    gc.collect()
    assert curve.trial_losses([1e-6, 0.01], 30)[1] < curve.trial_losses([1e-6], 30)[0]


def test_a_curve_can_be_pickled():
    net, dl, opt = problem()
    curve = find_lr(net, dl, nn.MSELoss(), opt, num_it=20)
    again = pickle.loads(pickle.dumps(curve))
    assert again.losses.equal(curve.losses) and again.suggest() == curve.suggest()
    with pytest.raises(ValueError, match="find_lr"): again.trial_losses([0.1], 20)


# ------------------------------------------------------------------ optimizers that need a closure

class Sharpness(torch.optim.Optimizer):
    "An optimizer that evaluates the loss itself"
    def __init__(self, params): super().__init__(params, dict(lr=0.1))
    def step(self, closure): return closure()


@pytest.mark.parametrize("make", [torch.optim.LBFGS, Sharpness])
def test_an_optimizer_with_a_closure_is_sent_to_step(make):
    net, dl, _ = problem()
    with pytest.raises(ValueError, match="step="): find_lr(net, dl, nn.MSELoss(), make(net.parameters()))


def test_lbfgs_through_step():
    net, dl, _ = problem(); opt = torch.optim.LBFGS(net.parameters(), max_iter=3)
    def step(batch):
        def closure():
            opt.zero_grad(); loss = nn.functional.mse_loss(net(batch[0]), batch[1]); loss.backward()
            return loss
        return opt.step(closure)
    for batch in dl: step(batch)
    before = plain(net), plain({str(k): v for k, v in opt.state_dict()["state"][0].items()})
    curve = find_lr(net, dl, opt=opt, step=step, num_it=20)
    assert len(curve.lrs) > 5
    assert (plain(net), plain({str(k): v for k, v in opt.state_dict()["state"][0].items()})) == before


# ------------------------------------------------------------------ batches in other clothes

def fastai_types():
    "Pairs of tensor classes that fastai's loaders hand out"
    from fastai import torch_core as f
    return [(f.TensorImage, f.TensorCategory), (f.TensorImage, f.TensorMask), (f.TensorImage, f.TensorMultiCategory),
            (f.TensorImageBW, f.TensorCategory), (f.TensorBase, f.TensorBase), (f.TensorImage, torch.Tensor)]


@pytest.mark.parametrize("pair", range(6))
def test_tensor_classes_straight_from_a_loader(pair):
    pytest.importorskip("fastai.torch_core")
    kind, target = fastai_types()[pair]
    labels = (x.sum(1) > 0).long()
    wanted = torch.stack([labels, 1 - labels], 1).float() if "Multi" in target.__name__ or target is kind else labels
    loss_func = nn.BCEWithLogitsLoss() if wanted.is_floating_point() else nn.CrossEntropyLoss()
    curves = []
    for dress, dress_target in ((torch.Tensor, torch.Tensor), (kind, target)):
        torch.manual_seed(0); net = nn.Linear(4, 2)
        batches = [(x[i:i + 8].as_subclass(dress), wanted[i:i + 8].as_subclass(dress_target)) for i in range(0, 64, 8)]
        curves.append(find_lr(net, batches, loss_func, num_it=30))
    assert curves[0].losses.equal(curves[1].losses)


def test_a_loader_of_fastai_under_a_plain_loop():
    fv = pytest.importorskip("fastai.basics")
    from fastai.torch_core import TensorCategory, TensorImage
    items = [(TensorImage(a), TensorCategory(int(b > 0))) for a, b in zip(x, y)]
    dl = fv.DataLoader(items, bs=16, shuffle=True)
    torch.manual_seed(0); net = nn.Linear(4, 2)
    assert len(find_lr(net, dl, nn.CrossEntropyLoss(), num_it=20, end_lr=0.1).lrs) == 20


def test_nested_batches_reach_a_step_as_they_were():
    class Encoding(collections.UserDict):
        "As tokenizers of transformers return"
        moved = 0
        def to(self, device): type(self).moved += 1; return self
    Pair = collections.namedtuple("Pair", "a b")
    batch = [{"x": Pair(x[:8], [x[:8]])}, Encoding(x=x[:8]), collections.OrderedDict(x=1), "text"]
    net, _, opt = problem(); seen = []
    def step(got):
        seen.append([type(got[0]["x"]), type(got[1]), type(got[2]), got[3], Encoding.moved])
        opt.zero_grad(); loss = net(got[0]["x"].b[0]).square().mean(); loss.backward(); opt.step()
        print(seen[-1], flush=True)
        return loss
    import contextlib, io
    out = io.StringIO()
    with contextlib.redirect_stdout(out): find_lr(net, [batch], opt=opt, step=step, num_it=3)
    assert out.getvalue().count("Pair'>, ") == 3
    assert "Encoding'>, <class 'collections.OrderedDict'>, 'text'" in out.getvalue()
    packed = nn.utils.rnn.pack_sequence([x[:3], x[:2]])
    from course_lib.lr_finder.loops import _moved
    assert _moved(packed, torch.device("cpu")).batch_sizes.equal(packed.batch_sizes)


# ------------------------------------------------------------------ a step that does not train

class Wrapped:
    "An optimizer in another's clothes, as accelerate has it"
    def __init__(self, opt): self.opt = opt
    def __getattr__(self, name): return getattr(self.opt, name)


@pytest.mark.parametrize("fault", ["no step", "another optimizer", "another model"])
def test_a_step_that_never_moves_the_optimizer_is_refused(fault):
    net, dl, opt = problem(); before = plain(net)
    other = torch.optim.SGD((nn.Linear(2, 2) if fault == "another model" else net).parameters(), 0.1)
    def step(batch):
        opt.zero_grad(); loss = net(batch[0]).square().mean(); loss.backward()
        if fault.startswith("another"): other.step()
        return loss
    with pytest.raises(ValueError, match=r"step= never moved opt.*opt\.step\(\)"): find_lr(net, dl, opt=opt, step=step, num_it=5)
    assert plain(net) == before


@pytest.mark.parametrize("way", ["every third", "wrapped", "by hand"])
def test_a_step_that_moves_it_now_and_then_or_by_other_means_is_taken(way):
    net, dl, opt = problem(); calls = []
    def step(batch):
        calls.append(1); loss = net(batch[0]).square().mean(); loss.backward()
        if way == "by hand":
            with torch.no_grad():
                for p in net.parameters(): p.sub_(opt.param_groups[0]["lr"]*p.grad)
        elif way == "wrapped" or len(calls) % 3 == 0: opt.step()
        opt.zero_grad()
        return loss
    found = find_lr(net, dl, opt=Wrapped(opt) if way == "wrapped" else opt, step=step, num_it=6, end_lr=1e-3)
    assert len(found.lrs) == 6


# ------------------------------------------------------------------ further ways to reach a thing

@pytest.fixture
def helper(tmp_path, monkeypatch):
    "A module of the user's, with another inside"
    (tmp_path/"my_helper.py").write_text("import my_inner\nstate = {'n': 0}\ncount = 0\n\nclass Kept:\n    total = 0\n\n"
                                         "def bump():\n    global count\n    count += 1; state['n'] += 1; Kept.total += 1\n")
    (tmp_path/"my_inner.py").write_text("seen = [0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_helper
    yield my_helper
    for name in ("my_helper", "my_inner"): sys.modules.pop(name)


BY_NAME = {"n": 0}


def reaching(module):
    "Functions that change something, and what they change, by the way that they reach it"
    class Target: n = 0
    numbers, raw, ref, variable = array("d", [0.]), bytearray(1), weakref.ref(Target), contextvars.ContextVar("v", default=0)
    places, base, root = iter(range(10**6)), torch.ones(3, requires_grad=True), torch.zeros(4)
    later = base*2
    variable.set(0); root.note = {"n": 0}
    def imported():
        import my_helper
        from my_inner import seen
        my_helper.count += 1; seen[0] += 1
    def by_context(): variable.set(variable.get() + 1)
    def by_reference(): ref().n += 1
    def by_number(): numbers[0] += 1
    def by_byte(): raw[0] += 1
    def by_result():
        with torch.no_grad(): later.mul_(0.5)
    def in_module(): module.bump()
    def directly(): module.state["n"] += 1; module.count += 1
    def inside(): module.my_inner.seen[0] += 1
    def by_getattr(): getattr(module, "state")["n"] += 1  # noqa: B009
    def by_globals(): globals()["BY_NAME"]["n"] += 1
    def by_table(): sys.modules["my_helper"].state["n"] += 1
    def by_attribute_of_tensor(): root.note["n"] += 1
    def look():
        return repr([module.count, module.state, module.Kept.total, module.my_inner.seen, Target.n, numbers, raw, variable.get(), places.__reduce__()[2], later.tolist(), BY_NAME, root.note])
    return {"import": imported, "context": by_context, "weak reference": by_reference, "array": by_number, "bytes": by_byte, "iterator": lambda: next(places), "result": by_result,
            "function of a module": in_module, "attribute of a module": directly, "module in a module": inside, "getattr": by_getattr, "globals()": by_globals,
            "sys.modules": by_table, "attribute of a tensor": by_attribute_of_tensor}, look


WAYS = ("import", "context", "weak reference", "array", "bytes", "iterator", "result", "function of a module", "attribute of a module", "module in a module", "getattr", "globals()",
        "sys.modules", "attribute of a tensor")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_reached_by_other_ways_comes_back(way, helper):
    net, dl, opt = problem()
    functions, look = reaching(helper)
    assert set(functions) == set(WAYS)
    change = functions[way]
    def step(batch):
        loss = trained(net, opt, batch); change()
        return loss
    before = look()
    find_lr(net, dl, opt=opt, step=step, num_it=5, end_lr=1e-3)
    assert look() == before
    change()
    assert look() != before


@pytest.mark.parametrize("kind", ["gradient", "accumulated"])
def test_what_a_hook_of_a_tensor_changes_comes_back(kind):
    net, dl, opt = problem(); total = torch.zeros(1)
    for p in net.parameters():
        if kind == "gradient": p.register_hook(lambda grad: (total.add_(1), None)[1])
        else: p.register_post_accumulate_grad_hook(lambda p: (total.add_(1), None)[1])
    find_lr(net, dl, nn.MSELoss(), opt, num_it=5, end_lr=1e-3)
    assert total == 0


@pytest.mark.parametrize("made", [itertools.count, lambda: (i for i in range(10**6)), lambda: zip(range(10**6)), lambda: map(abs, range(10**6))], ids=["count", "generator", "zip", "map"])
def test_an_iterator_that_cannot_go_back_is_said(made):
    net, dl, opt = problem(); numbers = made()
    def step(batch): next(numbers); return trained(net, opt, batch)
    with pytest.warns(UserWarning, match=f"a {type(numbers).__name__} that is reached cannot be put back"): find_lr(net, dl, opt=opt, step=step, num_it=3)


class HoldsNet(nn.Module):
    "A loss that keeps the network in a list, where it is no submodule"
    def __init__(self, net): super().__init__(); self.held = [net]
    def forward(self, out, target): return nn.functional.mse_loss(out, target)


class Callee:
    "A step that is an object"
    def __init__(self, net, opt): self.net, self.opt = net, opt
    def __call__(self, batch): return trained(self.net, self.opt, batch)


def hooked(net, opt):
    opt.register_step_post_hook(lambda *args: net)
    return opt


FURTHER = {
    "loss with a list": lambda net, dl, opt: dict(loss_func=HoldsNet(net), opt=opt), "dict in keep": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=opt, keep=[{"net": net}]),
    "list in keep": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=opt, keep=[[net, (dl, 3)]]),
    "schedule by a function": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=opt, keep=[torch.optim.lr_scheduler.LambdaLR(opt, lambda n, net=net: 1.)]),
    "hook of the optimizer": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=hooked(net, opt)), "object as a step": lambda net, dl, opt: dict(opt=opt, step=Callee(net, opt)),
    "averaged": lambda net, dl, opt: dict(loss_func=nn.MSELoss(), opt=opt, keep=[torch.optim.swa_utils.AveragedModel(net)]),
    "partial loss": lambda net, dl, opt: dict(loss_func=functools.partial(lambda net, a, b: nn.functional.mse_loss(a, b), net), opt=opt)}


@pytest.mark.parametrize("kind", FURTHER)
def test_a_curve_keeps_nothing_alive_in_other_holders(kind):
    net, dl, opt = problem(); kwargs = FURTHER[kind](net, dl, opt)
    curve = find_lr(net, dl, num_it=12, **kwargs)
    refs = [weakref.ref(net), weakref.ref(dl)]
    net = dl = opt = kwargs = None; gc.collect()
    assert not any(ref() for ref in refs) and len(curve.lrs)
