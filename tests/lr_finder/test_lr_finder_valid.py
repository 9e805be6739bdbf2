"Trials judged by validation data: what they run, what they put back, what they refuse"
import gc
import math
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib import lr_finder as lf
from course_lib.lr_finder import find_lr
from tests.lr_finder.test_lr_finder import fingerprint, linear_problem, problem


def rows(n: int = 64, seed: int = 5) -> DataLoader:
    "Batches to validate on, shuffled by a generator of their own"
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    gen = torch.Generator().manual_seed(9)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True).sin()), 24, shuffle=True, generator=gen)


def noisy_lines(n: int = 24) -> tuple:
    "Few noisy examples and a network that can learn them by heart, and the truth to validate on"
    g = torch.Generator().manual_seed(0)
    def draw(count: int, noise: float) -> TensorDataset:
        x = torch.randn(count, 12, generator=g)
        return TensorDataset(x, x[:, :1] + noise*torch.randn(count, 1, generator=g))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
    return net, DataLoader(draw(n, 2.), 8, shuffle=True), nn.MSELoss(), DataLoader(draw(256, 0.), 100)


def test_the_plan_costs_what_it_says():
    for runs in (1, 1.5, 2, 2.5, 4):
        rounds = lf.trial_plan(runs)
        cost = sum(share*count for share, count, _ in rounds)
        assert runs - rounds[-1][0] < cost <= runs
    with pytest.raises(ValueError, match='runs must be a number'): lf.trial_plan(0.5)
    with pytest.raises(ValueError, match='runs must be a number'): lf.trial_plan(math.nan)


def test_rates_stand_on_one_grid_on_both_sides():
    for count, thirds in ((4, 2), (3, 2), (5, 1)):
        rates = lf.grid_rates(0.02, count, thirds)
        assert rates == lf.grid_rates(0.0216, count, thirds) and rates[0] < 0.02 < rates[-1] and len(rates) == count
        steps = [3*math.log10(rate) for rate in rates]
        assert steps == pytest.approx([round(step) for step in steps])
        assert math.prod(rates)**(1/count) == pytest.approx(0.0215, rel=0.5)


def test_a_part_is_best_above_the_whole_and_robust_has_a_fifth_of_the_say():
    assert lf.settle(0.02, 1, 0.02) == pytest.approx(0.02)
    assert lf.settle(0.02, 1/8, 0.02) == pytest.approx(0.02*0.5**0.8)
    assert lf.settle(0.1, 1, 0.001) == pytest.approx(10**(-0.8 - 0.6))


def test_the_loss_is_the_mean_over_the_validation_examples_in_evaluation_mode():
    net, dl, loss_func = problem()
    valid = rows(50)  # batches of 24, 24 and 2
    curve = find_lr(net, dl, loss_func, num_it=12, end_lr=1e-2, valid=valid)
    ended = curve.trial_losses([1e-30], 10)[0]  # nothing moves but the averages of batch norm
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 0.)
    with lf.put_back(net, opt, loaders=[dl, valid]):
        batches = iter([batch for _ in range(2) for batch in dl])
        net.train()
        for _ in range(10):
            x, y = next(batches)
            loss_func(net(x), y).backward()
        net.eval()
        x, y = valid.dataset.tensors
        assert ended == pytest.approx(loss_func(net(x), y).item(), rel=1e-5)


def test_a_part_is_gone_through_again_and_again():
    seen = []
    net, dl, loss_func = linear_problem()
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()) if module.training else None)
    curve = find_lr(net, dl, loss_func, num_it=12, end_lr=1e-2, valid=dl)
    seen.clear()
    curve.trial_losses([1e-3, 1e-2], 12, batches=2)
    assert len(seen) == 24 and len({float(x.sum()) for x in seen}) == 2
    assert all(a.equal(b) for a, b in zip(seen[:12], seen[12:]))  # both rates see the same batches


def test_trials_are_a_part_of_the_planned_run():
    net, dl, loss_func = linear_problem()  # eight batches a pass
    curve, asked = find_lr(net, dl, loss_func, valid=dl), []
    curve._trial = lambda rates, steps, batches=None: asked.append((rates, steps, batches)) or [1.]*len(rates)
    curve._trial.about = lambda: (8, True)
    start = curve.suggest(epochs=20)
    once = curve.suggest('trials', epochs=20)
    assert asked == [(lf.grid_rates(start, 4), 40, 2)]
    assert once == pytest.approx(lf.settle(math.prod(asked[0][0])**(1/4), 1/4, start))
    asked.clear()
    twice = curve.suggest('trials', total_steps=160, runs=2.5)
    assert asked == [(lf.grid_rates(start, 4), 40, 2), (lf.grid_rates(once, 3), 80, 4)]  # around what the first round said
    assert twice == pytest.approx(lf.settle(math.prod(asked[1][0])**(1/3), 1/2, start))


def test_overfitting_is_seen_by_the_validation_loss_alone():
    net, dl, loss_func, valid = noisy_lines()
    blind, seeing = find_lr(net, dl, loss_func), find_lr(net, dl, loss_func, valid=valid)
    rates = [1e-3, 1e-1]
    low, high = blind.trial_losses(rates, 200)
    assert high < low  # the high rate learns the examples by heart
    low, high = seeing.trial_losses(rates, 200)
    assert low < high
    assert seeing.suggest('trials', epochs=60) < blind.suggest('trials', epochs=60)


@pytest.mark.parametrize('own_step', [False, True])
def test_everything_is_put_back(own_step):
    net, dl, loss_func = problem()
    valid, opt = rows(), torch.optim.AdamW(net.parameters(), 1e-3)
    def step(batch):
        opt.zero_grad()
        loss = loss_func(net(batch[0]), batch[1])
        loss.backward()
        opt.step()
        return loss
    before, drawn = fingerprint(net, dl, opt), valid.generator.get_state()
    curve = find_lr(net, dl, loss_func, opt, valid=valid, step=step if own_step else None, num_it=40)
    answers = [curve.suggest('trials', total_steps=80), curve.suggest('trials', epochs=80/6)]
    curve.suggest('trials', total_steps=80, runs=2.5)
    assert answers[0] == answers[1] and (not answers[0] or 1e-7 < answers[0] < 10)
    assert fingerprint(net, dl, opt) == before and valid.generator.get_state().equal(drawn)


def test_everything_is_put_back_when_the_validation_fails():
    net, dl, loss_func = problem()
    opt = torch.optim.Adam(net.parameters())
    wrong = [(torch.zeros(3, 7), torch.zeros(3, 1))]
    curve = find_lr(net, dl, loss_func, opt, valid=wrong, num_it=12, end_lr=1e-2)
    before = fingerprint(net, dl, opt)
    with pytest.raises(RuntimeError): curve.trial_losses([1e-3], 10, batches=2)
    assert fingerprint(net, dl, opt) == before


def test_the_curve_keeps_no_validation_data_alive():
    net, dl, loss_func = linear_problem()
    valid = DataLoader(dl.dataset, 32)
    curve, gone = find_lr(net, dl, loss_func, valid=valid), weakref.ref(valid)
    del valid
    gc.collect()
    assert gone() is None
    with pytest.raises(ValueError, match='valid of this search is gone'): curve.suggest('trials')


def test_bad_input_is_named():
    net, dl, loss_func = linear_problem()
    opt = torch.optim.Adam(net.parameters())
    with pytest.raises(TypeError, match='valid is an iterator'): find_lr(net, dl, loss_func, valid=iter(dl))
    with pytest.raises(TypeError, match='valid must be a loader'): find_lr(net, dl, loss_func, valid=0.2)
    with pytest.raises(ValueError, match='valid gave no batch'): find_lr(net, dl, loss_func, valid=[])
    with pytest.raises(ValueError, match='valid= needs loss_func='):
        find_lr(net, dl, opt=opt, step=lambda batch: 0., valid=dl)
    curve, blind = find_lr(net, dl, loss_func, valid=dl), find_lr(net, dl, loss_func)
    for match, asked in {'not both': dict(total_steps=100, epochs=9), '24 from 3 epochs': dict(epochs=3),
                         'at least 40': dict(total_steps=39), 'runs must be': dict(runs=0.1)}.items():
        with pytest.raises(ValueError, match=match): curve.suggest('trials', **asked)
    with pytest.raises(ValueError, match='runs must be'): curve.suggest('trials', runs=math.inf)
    with pytest.raises(ValueError, match='epochs is for'): curve.suggest('valley', epochs=3)
    with pytest.raises(ValueError, match='pass valid='): blind.suggest('trials', runs=2.5)
    with pytest.raises(ValueError, match='batches must be'): curve.trial_losses([1e-3], 10, batches=0)
    class Stream:
        def __iter__(self): return iter(dl)
    for valid, match in ((None, 'epochs needs a loader with a length'), (dl, 'need a loader dl with a length')):
        stream = Stream()
        endless = find_lr(net, stream, loss_func, valid=valid)
        with pytest.raises(ValueError, match=match): endless.suggest('trials', **({} if valid else {'epochs': 9}))
