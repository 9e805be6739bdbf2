"Moving averages, soups, refreshed statistics and checkpointed blocks"
import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from course_lib.foundations import Batches, Dataset, Learner, mse
from course_lib.tricks import EMA, Average, checkpointed, refresh_batch_norm, soup


def net():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.4), nn.Flatten(),
                         nn.Linear(64, 3))


def test_parameters_follow_torch_and_buffers_follow_the_rule_that_is_stated():
    torch.manual_seed(0)
    model = net()
    ours, theirs = EMA(model, 0.8, warm_up=False), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    theirs.update_parameters(model)  # its first call copies
    mean, var = model[1].running_mean.clone(), model[1].running_var.clone()
    for step in range(7):
        with torch.no_grad():
            for p in model.parameters(): p.add_(torch.randn_like(p))
        model(torch.randn(5, 2, 6, 6))
        ours.update(model)
        theirs.update_parameters(model)
        mean, var = 0.8*mean + 0.2*model[1].running_mean, 0.8*var + 0.2*model[1].running_var
    for a, b in zip(ours.model.parameters(), theirs.module.parameters()): torch.testing.assert_close(a, b)
    torch.testing.assert_close((ours.model[1].running_mean, ours.model[1].running_var), (mean, var))
    assert ours.model[1].num_batches_tracked == model[1].num_batches_tracked == 7
    assert not any(p.requires_grad for p in ours.model.parameters()) and not ours.model.training
    assert all(p.requires_grad for p in model.parameters()) and model.training


def test_averaged_model_averages_the_count_of_batches():
    "The fault that the lesson shows, and that `EMA` does not have"
    norm = nn.BatchNorm1d(2)
    theirs = AveragedModel(norm, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(20):
        norm(torch.randn(4, 2))
        theirs.update_parameters(norm)
    assert theirs.module.num_batches_tracked != 20


def test_warming_up_forgets_the_start():
    model = nn.Linear(1, 1)
    slow, warm = EMA(model, 0.999, warm_up=False), EMA(model, 0.999)
    with torch.no_grad(): model.weight.add_(1)
    for _ in range(50):
        for ema in (slow, warm): ema.update(model)
    assert abs(warm.model.weight - model.weight) < 1e-3 < 0.9 < abs(slow.model.weight - model.weight)


def test_half_precision_models_are_averaged_into_an_average_of_its_own_dtype():
    model = nn.Linear(2, 2)
    ema = EMA(model, 0.5, warm_up=False)
    first = model.weight.detach().clone()
    model.half()
    ema.update(model)
    assert ema.model.weight.dtype == torch.float32
    torch.testing.assert_close(ema.model.weight, (first + model.weight.float())/2)


@pytest.mark.parametrize("decay", [1., 1.5, -0.1, float("nan")])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be from 0 to below 1"): EMA(nn.Linear(1, 1), decay)


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="another head"): EMA(nn.Linear(2, 3)).update(nn.Linear(2, 4))
    with pytest.raises(ValueError, match="'bias'"): EMA(nn.Linear(2, 3)).update(nn.Linear(2, 3, bias=False))


def test_the_callback_follows_every_step_and_begins_anew_with_each_fit():
    data, average = Dataset(torch.randn(10, 2), torch.randn(10, 1)), Average(0.5, warm_up=False)
    learn = Learner(Batches(data, 4), Batches(data, 10), nn.Linear(2, 1), mse, callbacks=[average],
                    device=torch.device("cpu"))
    for _ in range(2):
        want = learn.model.weight.detach().clone()
        weights = []
        learn.callbacks[2:] = []
        learn.opt_func = lambda p, lr, kept=weights: Noting(p, lr, learn.model, kept)
        learn.fit(1, lr=0.1)
        for w in weights: want = 0.5*want + 0.5*w
        torch.testing.assert_close(average.ema.model.weight, want)
        assert average.ema.steps == 3


class Noting(torch.optim.SGD):
    "Keeps the weights after each step"
    def __init__(self, params, lr, model, kept):
        super().__init__(params, lr=lr)
        self.model, self.kept = model, kept

    def step(self):
        super().step()
        self.kept.append(self.model.weight.detach().clone())


def test_a_soup_is_the_mean_in_its_own_dtype_and_touches_nothing():
    models = [net() for _ in range(3)]
    models[0][1].num_batches_tracked += 4
    states = [m.state_dict() for m in models]
    before = copy.deepcopy(states)
    mean = soup(iter(states))
    for name, value in mean.items():
        if not value.is_floating_point(): assert value == states[0][name] == 4
        else: torch.testing.assert_close(value, sum(s[name] for s in states)/3)
    assert all(torch.equal(a[n], b[n]) for a, b in zip(states, before) for n in a)
    mean["0.weight"].zero_()
    assert states[0]["0.weight"].any()
    half = [{"w": torch.full((3,), 1000. + i, dtype=torch.float16)} for i in range(64)]
    assert soup(half)["w"].dtype == torch.float16
    assert torch.allclose(soup(half)["w"].float(), torch.tensor(1031.5), atol=0.6)


def test_soups_of_different_models_are_refused():
    with pytest.raises(ValueError, match=r"states\[1\].*'weight' has shape \[4, 2\], not \[3, 2\]; is it another head"):
        soup([nn.Linear(2, 3).state_dict(), nn.Linear(2, 4).state_dict()])
    with pytest.raises(ValueError, match="only one of them has 'bias'"):
        soup([nn.Linear(2, 3).state_dict(), nn.Linear(2, 3, bias=False).state_dict()])
    with pytest.raises(ValueError, match="at least one state dict"): soup([])


def test_refreshed_statistics_are_those_of_all_items_and_uneven_batches_count_by_their_size():
    torch.manual_seed(0)
    model, x = net().double(), 3*torch.randn(21, 2, 6, 6, dtype=torch.float64) + 1
    model[1].momentum = 0.3
    model[3].eval()
    before = [p.clone() for p in model.parameters()]
    refresh_batch_norm(model, [(part, None) for part in x.split(8)])
    torch.testing.assert_close(model[1].running_mean, model[0](x).mean((0, 2, 3)).detach())
    want = torch.stack([model[0](part).transpose(0, 1).flatten(1).var(1)*len(part)/21 for part in x.split(8)]).sum(0)
    torch.testing.assert_close(model[1].running_var, want.detach())
    assert model[1].momentum == 0.3 and model.training and not model[3].training
    assert all(map(torch.equal, before, model.parameters()))


def test_refreshing_refuses_nothing_to_see_and_puts_back_after_an_error():
    model = net()
    with pytest.raises(ValueError, match="at least one batch"): refresh_batch_norm(model, [])
    with pytest.raises(ValueError, match="no batch norm"): refresh_batch_norm(nn.Linear(2, 2), [torch.ones(2, 2)])
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        refresh_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), [torch.ones(1, 2)])
    with pytest.raises(RuntimeError): refresh_batch_norm(model, [torch.ones(2, 2, 6, 6), torch.ones(2, 3, 6, 6)])
    assert model[1].momentum == 0.1 and model.training


# checkpointed

BLOCKS = {
    "batch norm and dropout": net,
    "cumulative batch norm": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=None), nn.Tanh()),
    "instance norm that keeps statistics": lambda: nn.Sequential(nn.Conv2d(2, 3, 3),
                                                                 nn.InstanceNorm2d(3, track_running_stats=True)),
    "frozen batch norm": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3).eval(), nn.Dropout(0.3)),
    "no buffer": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Dropout(0.3)),
}


def two_steps(model, x):
    "Outputs, gradients of inputs and weights, and buffers, after two batches under the same random numbers"
    torch.manual_seed(3)
    seen = []
    for part in x.split(4):
        part = part.clone().requires_grad_()
        out = model(part)
        out.square().sum().backward()
        seen += [out.detach(), part.grad]
    return [*seen, *(p.grad for p in model.parameters()), *model.buffers()]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_checkpointed_block_is_the_plain_one_bit_for_bit(name):
    torch.manual_seed(0)
    plain, x = BLOCKS[name](), torch.randn(8, 2, 6, 6)
    twice = copy.deepcopy(plain)
    thrifty = checkpointed(copy.deepcopy(plain))
    want, got = two_steps(plain, x), two_steps(thrifty, x)
    assert len(want) == len(got) and all(map(torch.equal, want, got))
    if name.startswith("batch norm"):
        two_steps(lambda_of(twice), x)
        assert twice[1].num_batches_tracked == 4
        assert plain[1].num_batches_tracked == thrifty.block[1].num_batches_tracked == 2


class lambda_of(nn.Module):
    "PyTorch's checkpoint around a model"
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x): return checkpoint(self.model, x, use_reentrant=False)


def test_it_keeps_fewer_bytes_and_its_names():
    def kept(model):
        sizes = {}
        def note(t):
            sizes[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t): model(torch.randn(8, 2, 6, 6))
        return sum(sizes.values())
    plain = net()
    assert kept(checkpointed(copy.deepcopy(plain))) < 0.3*kept(plain)
    model = nn.ModuleDict({"stem": nn.Conv2d(2, 2, 1), "late": checkpointed(net())})
    other = nn.ModuleDict({"stem": nn.Conv2d(2, 2, 1), "late": net()})
    assert list(model.state_dict()) == list(other.state_dict())
    model.load_state_dict(other.state_dict())
    other.load_state_dict(copy.deepcopy(model).state_dict())
    with pytest.raises(RuntimeError, match="Missing key"): model.load_state_dict({"stem.bias": torch.zeros(2)})


def test_evaluation_and_no_grad_leave_everything_as_it_is():
    model, x = checkpointed(net()), torch.randn(4, 2, 6, 6)
    with torch.no_grad(): model.eval()(x)
    assert model.block[1].num_batches_tracked == 0
    assert torch.equal(model(x), model.block(x))
    with pytest.raises(TypeError, match="must be an nn.Module"): checkpointed(torch.relu)
