"The keeper of state: every kind of generator, mode and container comes back, after every way out of the block"
import os
import random
import signal
import threading
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.schedules import one_cycle, up_down
from course_lib.state import GENERATORS, modes_kept, put_back, random_state_kept

ENDS = {"success": None, "exception": ZeroDivisionError, "Ctrl-C": KeyboardInterrupt}
DRAWS = {
    "python": random.random, "numpy": lambda: np.random.rand(3).tolist(), "torch": lambda: torch.rand(3).tolist(),
}
OWN = {
    "Random": (lambda: random.Random(0), lambda g: g.random()),
    "RandomState": (lambda: np.random.RandomState(0), lambda g: g.randn()),
    "Generator": (lambda: np.random.default_rng(0), lambda g: g.random()),
    "MT19937": (lambda: np.random.Generator(np.random.MT19937(0)), lambda g: g.random()),
    "BitGenerator": (lambda: np.random.PCG64(0), lambda g: g.random_raw()),
    "torch.Generator": (lambda: torch.Generator().manual_seed(0), lambda g: torch.rand(2, generator=g).tolist()),
}


def leave(error):
    "Leave a block in the way that is asked for"
    if error is not None: raise error


def through(manager, error, block):
    "Run `block` under `manager` and leave with `error`"
    try:
        with manager:
            block()
            leave(error)
    except (ZeroDivisionError, KeyboardInterrupt): pass


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("keeper", [random_state_kept, put_back])
def test_global_random_numbers_go_on_as_without_the_block(keeper, draw, end):
    def seeds(): random.seed(1); np.random.seed(1); torch.manual_seed(1)
    seeds(); want = DRAWS[draw]()
    seeds(); through(keeper(), ENDS[end], DRAWS[draw])
    assert DRAWS[draw]() == want


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("keeper", [random_state_kept, put_back])
def test_own_generators_come_back(keeper, kind, end):
    make, draw = OWN[kind]
    generator, want = make(), draw(make())
    through(keeper(generator), ENDS[end], lambda: draw(generator))
    assert draw(generator) == want


def test_reseeding_inside_is_undone():
    torch.manual_seed(3); want = torch.initial_seed(), torch.rand(1).item()
    torch.manual_seed(3)
    with random_state_kept(): torch.manual_seed(4)
    assert (torch.initial_seed(), torch.rand(1).item()) == want


def test_what_is_no_generator_is_named():
    for thing in (3, None, "seed", torch.rand, np.random): pytest.raises(TypeError, random_state_kept(thing).__enter__)
    assert all(isinstance(make(), GENERATORS) for make, _ in OWN.values())


class Tally(dict):
    "A dict with a total of its own, which counts what is written"
    total = 0
    def __setitem__(self, key, value): self.total += 1; super().__setitem__(key, value)
    def clear(self): raise AssertionError("a total cannot be cleared")
    def items(self): return []


class Ordered(OrderedDict):
    def __setitem__(self, key, value): self.last = key; super().__setitem__(key, value)


class Log(list):
    "A list that knows how often it grew, in an attribute or a slot"
    __slots__ = "grown", "__dict__"
    def append(self, value): self.grown, self.last = getattr(self, "grown", 0) + 1, value; super().append(value)
    def __iter__(self): return iter(())


class Window(deque):
    def append(self, value): self.sum = getattr(self, "sum", 0) + value; super().append(value)


class Seen(set):
    def add(self, value): self.newest = value; super().add(value)
    def update(self, values): raise AssertionError("one at a time")


def contents(thing):
    "What a container holds and what stands on it"
    kind = next(k for k in (OrderedDict, dict, list, deque, set) if isinstance(thing, k))
    inside = list(kind.items(thing)) if issubclass(kind, dict) else list(kind.__iter__(thing))
    return inside, dict(vars(thing)), getattr(thing, "grown", None)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind, change", [
    (Tally, lambda c: c.__setitem__("b", 2)), (Ordered, lambda c: (c.__setitem__("b", 2), c.move_to_end("a"))),
    (Log, lambda c: c.append(1)), (Window, lambda c: c.append(1)), (Seen, lambda c: c.add(1))])
def test_containers_of_the_users_own_classes_come_back_with_what_stands_on_them(kind, change, end):
    thing = kind({"a": 1}) if issubclass(kind, dict) else kind([0])
    if kind is Ordered: thing["c"] = 3
    held = [torch.zeros(2)]
    thing.held = held
    before = contents(thing)
    def block(): change(thing); change(thing); held.append(1); held[0].add_(1)
    through(put_back(thing), ENDS[end], block)
    assert contents(thing) == before and held[0].tolist() == [0, 0] and len(held) == 1
    block(); assert contents(thing) != before


class FakeCuda:
    "A GPU whose generator is one number"
    def __init__(self, monkeypatch, awake):
        self.awake, self.state, self.seed, self.woken = awake, [7], None, 0
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: self.awake)
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", self.read)
        monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda s: setattr(self, "state", list(s)))
        monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda s: setattr(self, "seed", s))

    def read(self):
        "The state; reading it wakes the GPU"
        self.woken += not self.awake
        return list(self.state)


def test_a_gpu_in_use_is_put_back(monkeypatch):
    cuda = FakeCuda(monkeypatch, awake=True)
    with random_state_kept(): cuda.state = [9]
    assert cuda.state == [7] and cuda.seed is None


@pytest.mark.parametrize("used", [False, True])
def test_a_gpu_asleep_is_not_woken_and_starts_from_the_seed_when_the_block_wakes_it(monkeypatch, used):
    torch.manual_seed(12)
    cuda = FakeCuda(monkeypatch, awake=False)
    with random_state_kept():
        cuda.awake = used
        with torch.random.fork_rng(devices=[]): torch.random.default_generator.manual_seed(99)
    assert cuda.woken == 0 and cuda.seed == (12 if used else None)


@pytest.mark.cuda
@pytest.mark.parametrize("keeper", [random_state_kept, put_back])
def test_cuda_random_numbers_come_back(keeper):
    torch.cuda.manual_seed(1); want = torch.rand(3, device="cuda").tolist()
    own = torch.Generator("cuda").manual_seed(1)
    torch.cuda.manual_seed(1)
    with keeper(own): torch.rand(3, device="cuda"); torch.rand(3, device="cuda", generator=own)
    assert torch.rand(3, device="cuda").tolist() == want == torch.rand(3, device="cuda", generator=own).tolist()


# ------------------------------------------------------------------ modes

def network():
    "A network with a frozen batch norm inside"
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    net[1][0].eval()
    return net


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("change", [lambda n: n.eval(), lambda n: n.train(), lambda n: n[1].eval()])
@pytest.mark.parametrize("keeper", [modes_kept, put_back])
def test_the_mode_of_every_submodule_comes_back(keeper, change, end):
    net = network(); net.eval(); net[1].train(); net[1][0].eval()  # a mixture that no single flag describes
    before = [m.training for m in net.modules()]
    through(keeper(net), ENDS[end], lambda: change(net))
    assert [m.training for m in net.modules()] == before


def test_modes_of_several_models_and_what_is_none():
    one, two = network(), network().eval()
    with modes_kept(one, two): one.eval(); two.train()
    assert one.training and not one[1][0].training and not two.training
    for thing in (None, torch.zeros(1), nn.Linear): pytest.raises(TypeError, modes_kept(thing).__enter__)


@pytest.mark.parametrize("keeper", ["modes", "random", "put_back"])
def test_ctrl_c_while_putting_back_waits(keeper, monkeypatch):
    net, hit = network(), []
    class Interrupting(random.Random):
        "Sends Ctrl-C when its state is set, as the first of all"
        def setstate(self, state):
            if not hit: hit.append(os.kill(os.getpid(), signal.SIGINT))
            super().setstate(state)
    class Hot(nn.Module):
        "Sends Ctrl-C when its mode is set back"
        def __setattr__(self, name, value):
            if name == "training" and hit == ["armed"]: hit.append(os.kill(os.getpid(), signal.SIGINT))
            super().__setattr__(name, value)
    last, hot = random.Random(5), Hot()
    want, rng = last.getstate(), Interrupting(1)
    managers = {"modes": modes_kept(hot, net), "random": random_state_kept(rng, last),
                "put_back": put_back(net, rng, last)}
    manager = managers[keeper]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with manager:
                net.eval(); last.random()
                if keeper == "modes": hit.append("armed")
        assert hit and (net.training or keeper == "random") and (last.getstate() == want or keeper == "modes")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally: signal.signal(signal.SIGINT, before)


def test_other_threads_can_use_it():
    out, net = [], network()
    def work():
        with put_back(net), modes_kept(net), random_state_kept(): net.eval()
        out.append(net.training)
    thread = threading.Thread(target=work); thread.start(); thread.join()
    assert out == [True]


# ------------------------------------------------------------------ containers and arrays

class Keeper:
    "Holds one of everything that can change"
    def __init__(self):
        self.numbers, self.queue, self.names, self.table = [1, [2]], deque([1, 2], maxlen=2), {"a"}, {"k": {"n": 1}}
        self.array, self.objects, self.tensor = np.arange(3.), np.array([[1], None], dtype=object), torch.arange(3.)

    def seen(self): return repr(vars(self))

    def spoil(self):
        self.numbers[1].append(3); self.numbers.clear(); self.queue.append(9); self.names.add("b")
        self.table["k"]["n"] = 2; self.table["new"] = 1; self.extra = 1; del self.names
        self.array[0] = 9; self.objects[0].append(7); self.tensor.add_(1)


@pytest.mark.parametrize("end", ENDS)
def test_containers_arrays_and_attributes_come_back_in_place(end):
    keeper = Keeper(); before, held = keeper.seen(), {k: id(v) for k, v in vars(keeper).items()}
    through(put_back({"here": (keeper,)}), ENDS[end], keeper.spoil)
    assert keeper.seen() == before and {k: id(v) for k, v in vars(keeper).items()} == held


def test_a_circle_ends():
    ring = []; ring.append(ring); ring.append({"ring": ring})
    with put_back(ring): ring.append(1)
    assert len(ring) == 2


# ------------------------------------------------------------------ schedules

@pytest.mark.parametrize("steps", [2, 3, 10, 101])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.99])
def test_one_cycle_is_fastais(steps, share):
    from fastai.callback.schedule import combined_cos
    theirs = combined_cos(share, 0.4/25, 0.4, 0.4/1e5)
    want = torch.tensor([theirs(i/steps) for i in range(steps)], dtype=torch.float64)
    # fastai counts the way in float32
    torch.testing.assert_close(one_cycle(0.4, steps, share), want, rtol=1e-5, atol=1e-8)


def test_one_cycle_refuses_what_is_no_run():
    for bad in ((1,), (0,), (10, 0.), (10, 1.)): pytest.raises(ValueError, one_cycle, 0.1, *bad)
    pytest.raises(ValueError, up_down, 1., 2., 1., 0)
    assert up_down(1., 2., 1., 1).tolist() == [1.]
