"The learning-rate finder on plain loops: the rules against fastai's, what is put back, bad input"
import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from course_lib import lr_finder as lf
from course_lib.lr_finder import LRCurve, NoSuggestion, find_lr, lr_sweep, moving_average, put_back


# ------------------------------------------------------------------ the rules

def drawn_curve(seed):
    "A curve of one of several shapes: fall, plateau, late start, noise, divergence"
    g = torch.Generator().manual_seed(seed)
    u = lambda a, b: a + (b - a)*torch.rand(1, generator=g).item()
    n = int(u(20, 120))
    lrs = lr_sweep(10**u(-8, -5), 10**u(-1, 1.5), n)
    x = lrs.log10()
    at, width, top = u(-5, -2), u(0.2, 1.5), u(0.5, 3)
    y = top*torch.sigmoid((at - x)/width) + 0.1 + 10**(x - u(-2, 1)).clamp_max(30) + u(0, 0.2)*torch.randn(n, generator=g, dtype=torch.float64)
    if seed % 3: y = moving_average(y)
    if seed % 7 == 0: y = y.round(decimals=1)  # ties
    return lrs.float(), y.float()


def recorded_curve(seed):
    "A real search on a small regression, as fastai would have recorded it"
    curve = find_lr(*problem(seed), num_it=40 + seed % 60)
    return curve.lrs.float(), curve.averaged().float()


@pytest.mark.parametrize('name', ['valley', 'slide', 'steep', 'minimum'])
def test_rules_equal_fastai_on_200_curves(name):
    from fastai.callback import schedule
    ours, theirs, returned = getattr(lf, name), getattr(schedule, name), 0
    for seed in range(200):
        lrs, losses = drawn_curve(seed) if seed < 180 else recorded_curve(seed)
        try: expected = theirs(lrs, losses, len(lrs))[0]
        except IndexError: continue
        assert ours(lrs, losses) == expected, seed
        returned += 1
    assert returned > 190


def test_moving_average_is_that_of_fastais_recorder():
    from fastai.learner import AvgSmoothLoss
    from types import SimpleNamespace
    m, out, losses = AvgSmoothLoss(), [], torch.rand(50, generator=torch.Generator().manual_seed(0))
    m.reset()
    for l in losses: m.accumulate(SimpleNamespace(loss=l)); out.append(m.value)
    torch.testing.assert_close(moving_average(losses).float(), torch.stack(out), rtol=2e-5, atol=0)


def test_sweep_grows_by_one_factor_and_follows_fastai():
    from fastai.callback.schedule import SchedExp
    s = lr_sweep(1e-6, 2., 37)
    assert s.tolist() == [SchedExp(1e-6, 2.)(i/37) for i in range(37)]
    torch.testing.assert_close(s[1:]/s[:-1], (s[1]/s[0]).expand(36))


def test_log_smooth_keeps_lines_and_has_no_lag():
    lrs = lr_sweep()
    line = 3 - 0.5*lrs.log10()
    torch.testing.assert_close(lf.log_smooth(lrs, line), line)
    bowl = (lrs.log10() + 2)**2
    low = lrs[lf.log_smooth(lrs, bowl).argmin()]
    assert abs(low.log10() + 2) < 0.1 < lrs[moving_average(bowl).argmin()].log10() + 2  # the moving average comes later


def _valley(lrs, low=-1.5):
    x = lrs.log10() - low
    return 2 - 1.5*torch.sigmoid((x + 1)/0.2) + 10**(2*x - 2.4)


def test_lowest_is_a_third_of_the_rate_at_the_bottom():
    lrs = lr_sweep()
    fine = torch.logspace(-7, 1, 8001, dtype=torch.float64)
    want = fine[_valley(fine).argmin()].item()
    assert math.log10(3*lf.lowest(lrs, _valley(lrs), width=0.05)/want) == pytest.approx(0, abs=0.05)
    assert math.log10(3*lf.lowest(lrs, (lrs.log10() + 3)**2)) == pytest.approx(-3, abs=0.05)


def test_lowest_follows_the_curve_and_not_its_scale_offset_or_end():
    lrs = lr_sweep()
    here = lf.lowest(lrs, _valley(lrs))
    for scale, offset in ((1e-3, 0.), (5., -7.), (1., -2.)):  # losses below zero too
        assert lf.lowest(lrs, scale*_valley(lrs) + offset) == here
    assert lf.lowest(lrs, torch.where(_valley(lrs) > 3, 1e6, _valley(lrs))) == here
    assert math.log10(here/lf.lowest(lrs, _valley(lrs, -2.5))) == pytest.approx(1, abs=0.09)
    lrs300 = lr_sweep(num_it=300)
    assert math.log10(lf.lowest(lrs300, _valley(lrs300))/here) == pytest.approx(0, abs=0.09)  # counted in decades


def test_robust_stands_between_curve_and_optimizer_and_falls_with_the_passes():
    assert lf.robust(0.01, 0.1, 1) == pytest.approx(math.sqrt(0.001))
    assert lf.robust(0.01, 0.1, 1)/lf.robust(0.01, 0.1, 10) == pytest.approx(10**0.6)
    assert lf.robust(0.01, 0.1, 0.2) == lf.robust(0.01, 0.1, 1)  # no example is seen twice
    assert lf.robust(0.02, 0.1, None) == lf.robust(0.02, None, None) == 0.02  # no plan: the curve alone
    assert lf.robust(0.01, None, 6.25) == pytest.approx(0.01, rel=0.01)  # no optimizer known: about the curve


def sgd(p): return torch.optim.SGD(p, 0.1, momentum=0.9)


@pytest.mark.parametrize('make, usual', [(torch.optim.AdamW, 0.1), (torch.optim.RMSprop, 0.1), (sgd, 1.), (torch.optim.SGD, 10.), (torch.optim.Rprop, None)])
def test_a_search_knows_its_optimizer_and_the_steps_of_a_pass(make, usual):
    net, dl, loss_func = linear_problem()  # eight batches a pass
    curve = find_lr(net, dl, loss_func, make(net.parameters()), accumulate=2)
    assert curve.in_pass == 4 and curve.usual == (None if usual is None else pytest.approx(usual))
    read = curve.suggest('lowest')
    assert curve.suggest(epochs=3) == curve.suggest('robust', 12) == pytest.approx(lf.robust(read, curve.usual, 3))
    assert curve.suggest() == pytest.approx(read)  # a plan is not guessed
    assert curve.suggestions()['robust'].value == pytest.approx(curve.suggest())


def test_a_plan_that_cannot_be_counted_is_refused():
    net, dl, loss_func = linear_problem()
    stream = Endless(40)
    curve = find_lr(net, dl, loss_func)
    for match, asked in {'not both': dict(total_steps=9, epochs=1), 'total_steps must be': dict(total_steps=0), 'epochs must be': dict(epochs=math.nan)}.items():
        with pytest.raises(ValueError, match=match): curve.suggest(**asked)
    with pytest.raises(ValueError, match='runs is for'): curve.suggest(runs=2)
    net, _, loss_func = problem()
    curve = find_lr(net, stream, loss_func)
    assert curve.in_pass is None and (not curve.suggest() or curve.suggest() == curve.suggest('lowest'))
    if curve.suggest(): assert curve.suggest(epochs=9) < curve.suggest(epochs=1)
    with pytest.raises(ValueError, match='give epochs'): curve.suggest(total_steps=100)


def test_trials_reach_further_up_than_down_and_a_single_lucky_one_does_not_decide():
    rates = lf.trial_rates(0.01)
    assert rates == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08])
    even, lucky = lf.pick_trial(rates, [1.]*5), lf.pick_trial(rates, [1., 1., 1., 1., 0.95])
    assert even == pytest.approx(0.02) and even < lucky < 0.03
    assert lf.pick_trial(rates, [9., 9., 9., 9., 1.]) == pytest.approx(0.08, rel=0.01)
    assert lf.pick_trial(rates, [1., 9., 9., 9., math.inf]) == pytest.approx(0.005, rel=0.01)


# ------------------------------------------------------------------ a plain loop with everything in it

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.drop, self.b = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.register_buffer('calls', torch.zeros(1))
        self.count, self.history, self.fail = 0, [], None  # fail: (batch number, what happens)

    def forward(self, x):
        self.calls += 1; self.count += 1; self.history.append(self.count)
        bad = self.fail is not None and self.count == self.fail[0] and self.fail[1]
        if bad == 'forward': raise RuntimeError('forward failed')
        if bad == 'interrupt': raise KeyboardInterrupt
        h = self.drop(self.bn(self.a(x).relu()))
        if bad == 'backward': h = Explode.apply(h)
        if self.fail is not None and self.fail[1] == 'nan' and self.count >= self.fail[0]: h = h*math.nan
        random.random(); np.random.rand()
        return self.b(h)


class Explode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): raise RuntimeError('backward failed')


class Data(torch.utils.data.Dataset):
    def __init__(self, n=48, fail=None):
        g = torch.Generator().manual_seed(1)
        self.x = torch.randn(n, 4, generator=g); self.y = self.x.sum(1, keepdim=True).sin()
        self.fail, self.given, self.rng = fail, 0, np.random.default_rng(3)
    def __len__(self): return len(self.x)
    def __getitem__(self, i):
        self.given += 1
        if self.fail and self.given == self.fail: raise OSError('the file is gone')
        return self.x[i] + 0.01*float(self.rng.normal()), self.y[i]


def problem(seed=0, fail=None, loader_fail=None, bs=8, sampler=False):
    torch.manual_seed(seed); random.seed(seed); np.random.seed(seed)
    net, data = Net(), Data(fail=loader_fail)
    gen = torch.Generator().manual_seed(seed)
    if sampler: dl = DataLoader(data, bs, sampler=WeightedRandomSampler(torch.ones(len(data)), len(data), generator=gen))
    else: dl = DataLoader(data, bs, shuffle=True, generator=gen)
    net.fail = fail
    return net, dl, nn.MSELoss()


def train(net, dl, loss_func, opt, sched=None, epochs=1):
    for _ in range(epochs):
        for x, y in dl:
            opt.zero_grad(); loss_func(net(x), y).backward(); opt.step()
            if sched is not None: sched.step()


def flat(x):
    "Nested containers and tensors as plain values, bit for bit"
    if isinstance(x, torch.Tensor): return ('tensor', str(x.dtype), x.requires_grad, None if not x.is_leaf or x.grad is None else x.grad.numpy().tobytes(), x.detach().numpy().tobytes())
    if isinstance(x, np.ndarray): return x.tobytes()
    if isinstance(x, dict): return {str(k): flat(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)): return [flat(v) for v in x]
    return x


def fingerprint(net, dl, opt, *more):
    "Everything that has to come back, gathered without the finder's own means"
    return dict(
        parameters={n: flat(p) for n, p in net.named_parameters()}, buffers={n: flat(b) for n, b in net.named_buffers()},
        modes={n: m.training for n, m in net.named_modules()}, plain=(net.count, list(net.history)),
        optimizer=flat(opt.state_dict()) if opt is not None else None, more=[flat({k: v for k, v in m.state_dict().items() if not callable(v)}) for m in more],
        python=random.getstate(), numpy=flat(list(np.random.get_state())), torch=flat(torch.get_rng_state()),
        loader=flat(getattr(dl, 'generator', None).get_state()) if getattr(dl, 'generator', None) is not None else None,
        sampler=flat(dl.sampler.generator.get_state()) if getattr(dl.sampler, 'generator', None) is not None else None,
        dataset=dl.dataset.rng.bit_generator.state, autocast=(torch.is_autocast_enabled('cpu'), torch.is_autocast_enabled('cuda')))


ENDS = {
    'normal end': (dict(num_it=20, stop_div=False, end_lr=1e-2), None, None, None),
    'divergence': (dict(num_it=60, end_lr=1e6), None, None, None),
    'exception in forward': (dict(), (7, 'forward'), None, RuntimeError),
    'exception in backward': (dict(), (7, 'backward'), None, RuntimeError),
    'exception in the loader': (dict(), None, 33, OSError),
    'Ctrl-C': (dict(), (7, 'interrupt'), None, KeyboardInterrupt),
    'nan from batch 1': (dict(), (1, 'nan'), None, None),
    'nan from batch 40': (dict(end_lr=1e-2), (40, 'nan'), None, None),
}
LOOPS = ['fresh', 'trained', 'eval mode', 'two groups', 'accumulate', 'bfloat16', 'float16 with scaler', 'repeats', 'own step', 'sampler', 'sgd and scheduler', 'default optimizer']


def setup(loop, end):
    kwargs, fail, loader_fail, error = ENDS[end]
    kwargs, more = dict(kwargs), []
    net, dl, loss_func = problem(loader_fail=loader_fail if loop != 'trained' else None, sampler=loop == 'sampler')
    opt = torch.optim.AdamW([dict(params=[*net.a.parameters(), *net.bn.parameters()], lr=1e-4), dict(params=net.b.parameters(), lr=1e-3)]) if loop == 'two groups' else \
        torch.optim.SGD(net.parameters(), 0.01, momentum=0.9) if loop == 'sgd and scheduler' else torch.optim.Adam([p for p in net.parameters() if p.requires_grad])
    if loop == 'sgd and scheduler': more.append(torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, 100)); kwargs['keep'] = more
    if loop in ('trained', 'sgd and scheduler'):
        if loader_fail: dl.dataset.fail = None
        train(net, dl, loss_func, opt, *more)
        dl.dataset.fail = loader_fail and dl.dataset.given + loader_fail
    if loop == 'eval mode': net.eval()
    else: net.drop.eval()  # a submodule in a mode of its own
    if fail: net.fail = (net.count + fail[0], fail[1])
    if loop == 'accumulate': kwargs['accumulate'] = 3
    if loop == 'bfloat16': kwargs['amp'] = torch.bfloat16
    if loop == 'float16 with scaler': more.append(torch.amp.GradScaler('cpu', init_scale=64., growth_interval=5)); kwargs['amp'] = more[0]
    if loop == 'repeats': kwargs['repeats'] = 3
    if loop == 'own step':
        sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.999); more.append(sched)
        def step(batch):
            opt.zero_grad(); loss = loss_func(net(batch[0]), batch[1]); loss.backward(); opt.step(); sched.step(); torch.rand(1)
            return loss.item()
        kwargs['step'] = step
    return net, dl, loss_func, opt, more, kwargs, error


@pytest.mark.parametrize('loop', LOOPS)
@pytest.mark.parametrize('end', ENDS)
def test_everything_is_put_back(loop, end, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, dl, loss_func, opt, more, kwargs, error = setup(loop, end)
    x, y = dl.dataset.x[:8], dl.dataset.y[:8]
    net.fail, kept = None, net.fail
    loss_func(net(x), y).backward()  # gradients are there already
    net.fail = kept and (net.count + (kept[0] if not net.count else kept[0] - net.count + 1), kept[1])
    before, grads = fingerprint(net, dl, opt, *more), {n: p.grad for n, p in net.named_parameters()}
    call = lambda: find_lr(net, dl, loss_func, None if loop == 'default optimizer' else opt, **kwargs)
    if error:
        with pytest.raises(error): call()
    else:
        curve = call()
        assert isinstance(curve, LRCurve) and len(curve.runs) == kwargs.get('repeats', 1)
        if end == 'nan from batch 1': assert curve.suggest().reason == 'diverges at once'
        if end in ('divergence', 'nan from batch 40') and loop not in ('own step',): assert curve.stopped
    after = fingerprint(net, dl, opt, *more)
    for k in before: assert after[k] == before[k], k
    assert all(p.grad is grads[n] for n, p in net.named_parameters())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('loop', ['fresh', 'two groups', 'sampler'])
def test_training_after_the_search_is_training_without_it(loop):
    ends = []
    for search in (False, True):
        net, dl, loss_func, opt, more, kwargs, _ = setup(loop, 'divergence')
        if search:
            curve = find_lr(net, dl, loss_func, opt, repeats=2, **kwargs)
            curve.suggest('trials', total_steps=40)
        train(net, dl, loss_func, opt, epochs=2)
        ends.append(fingerprint(net, dl, opt))
    assert ends[0] == ends[1]


def test_workers_and_global_order():
    ends = []
    for search in (False, True):
        net, dl, loss_func = problem()
        dl = DataLoader(dl.dataset, 8, shuffle=True, num_workers=1, persistent_workers=True)
        opt = torch.optim.Adam(net.parameters())
        train(net, dl, loss_func, opt)
        if search: find_lr(net, dl, loss_func, opt, num_it=8, repeats=2)
        train(net, dl, loss_func, opt)
        ends.append(flat(net.state_dict()))
    assert ends[0] == ends[1]


def test_interrupt_while_putting_back_is_held_until_done():
    import os, signal
    net = nn.Linear(2, 2); old = net.weight.detach().clone()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with Ctrl-C ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            with put_back(net) as snap:
                net.weight.data.zero_()
                snap._undo.insert(0, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert net.weight.equal(old) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally: signal.signal(signal.SIGINT, before)


def test_an_autocast_left_open_is_closed():
    with pytest.raises(RuntimeError):
        with put_back():
            torch.autocast('cpu', torch.bfloat16).__enter__()
            raise RuntimeError
    assert not torch.is_autocast_enabled('cpu') and torch.get_autocast_dtype('cpu') == torch.bfloat16
    assert torch.autocast_increment_nesting() == 1 and torch.autocast_decrement_nesting() == 0


def test_replaced_swapped_and_shared_tensors_come_back():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3); self.b = nn.Linear(3, 3); self.b.weight = self.a.weight  # tied
            self.register_buffer('wide', torch.ones(1).expand(4)); self.hidden = None
    net = Odd(); ptr, old, weight = net.a.weight.data_ptr(), net.a.weight.detach().clone(), net.a.weight
    net.a.weight.grad = torch.ones(6, 3)[:3]  # a view
    grad = net.a.weight.grad
    with put_back(net):
        net.half(); net.a.weight.data.zero_(); grad.zero_(); net.hidden = [torch.ones(1)]; net.a = nn.Linear(1, 1); net.register_buffer('new', torch.ones(1)); net.b.requires_grad_(False)
    assert net.a.weight is weight is net.b.weight and weight.data_ptr() == ptr and weight.equal(old) and weight.dtype == torch.float32
    assert weight.grad is grad and grad.equal(torch.ones(3, 3)) and net.hidden is None and 'new' not in dict(net.named_buffers()) and weight.requires_grad


def test_snapshot_is_no_larger_than_parameters_buffers_and_optimizer_state():
    net, dl, loss_func = problem(); opt = torch.optim.Adam(net.parameters()); train(net, dl, loss_func, opt)
    size = lambda ts: sum(t.numel()*t.element_size() for t in ts)
    own = size(net.parameters()) + size(net.buffers()) + size(v for s in opt.state.values() for v in s.values() if torch.is_tensor(v))
    with put_back(net, opt, loaders=[dl]) as snap: assert snap.nbytes <= own


# ------------------------------------------------------------------ what the search does

def test_search_is_the_loop_by_hand():
    net, dl, loss_func = problem(); opt = torch.optim.Adam(net.parameters())
    curve = find_lr(net, dl, loss_func, opt, num_it=30, end_lr=0.1, stop_div=False)
    losses, it = [], iter(())
    for lr in lr_sweep(1e-7, 0.1, 30).tolist():
        batch = next(it, None)
        if batch is None: it = iter(dl); batch = next(it)
        opt.param_groups[0]['lr'] = lr
        loss = loss_func(net(batch[0]), batch[1]); opt.zero_grad(); loss.backward(); opt.step(); losses.append(loss.item())
    assert curve.losses.tolist() == losses  # also: the dataset's own generator and every other one was where it had been


def test_accumulating_two_halves_is_one_batch():
    def run(bs, accumulate):
        torch.manual_seed(0)
        net, data = nn.Linear(4, 1), Data()
        return find_lr(net, DataLoader(TensorDataset(data.x, data.y), bs), nn.MSELoss(), torch.optim.SGD(net.parameters(), 0.1), accumulate=accumulate, num_it=20, end_lr=1).losses
    torch.testing.assert_close(run(8, 2), run(16, 1), rtol=1e-5, atol=1e-6)


def test_groups_keep_their_ratio_and_tensor_rates_work():
    net, dl, loss_func = problem(); seen = []
    opt = torch.optim.AdamW([dict(params=net.a.parameters(), lr=1e-4), dict(params=net.b.parameters(), lr=torch.tensor(1e-3))], capturable=False, foreach=False)
    opt.register_step_post_hook(lambda o, *_: seen.append([float(g['lr']) for g in o.param_groups]))
    curve = find_lr(net, dl, loss_func, opt, num_it=10, end_lr=0.1)
    np.testing.assert_allclose([a/b for a, b in seen], 0.1, rtol=1e-5)
    np.testing.assert_allclose([b for _, b in seen], curve.lrs, rtol=1e-6)
    assert curve.ratios == pytest.approx((0.1, 1)) and float(opt.param_groups[1]['lr']) == pytest.approx(1e-3) and 'lr_group0' in curve.to_frame()


def test_repeats_start_alike_and_see_other_batches():
    net, dl, loss_func = linear_problem()
    kwargs = dict(opt=torch.optim.Adam(net.parameters()), num_it=60)
    one, three = find_lr(net, dl, loss_func, **kwargs), find_lr(net, dl, loss_func, repeats=3, **kwargs)
    assert one.runs[0].equal(three.runs[0]) and not three.runs[0][:10].equal(three.runs[1][:10])
    starts = [r[:10].mean() for r in three.runs]
    assert max(starts) < 1.5*min(starts)  # from the untrained weights, not from where the last repeat ended
    e = three.suggestions()['robust']
    assert e.n == 3 and e.low < e.value < e.high and e.value == pytest.approx(three.suggest())
    assert math.isinf(one.suggestions()['robust'].high)


def linear_problem(n=256, seed=0, noise=0.1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=g); y = x @ torch.randn(5, 1, generator=g) + noise*torch.randn(n, 1, generator=g)
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1)), DataLoader(TensorDataset(x, y), 32, shuffle=True), nn.MSELoss()


def test_suggestions_train_better_than_the_ends():
    net, dl, loss_func = linear_problem(); opt = torch.optim.Adam(net.parameters())
    curve = find_lr(net, dl, loss_func, opt)
    lr = curve.suggest()
    best = curve.suggest('trials', total_steps=160)
    assert 1e-3 < lr < 1 and lr/2 <= best <= 20*lr and not isinstance(best, NoSuggestion)
    finals = curve.trial_losses([1e-6, lr, 9.], 60)
    assert finals[1] < 0.5*finals[0] and not finals[1] >= finals[2]
    assert curve.suggest('trials', total_steps=160) == best


def noise_only(seed, n=100):
    return LRCurve(lr_sweep(num_it=n), (1 + 0.1*torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64),), n)


@pytest.mark.parametrize('n', [20, 100])
def test_pure_noise_hardly_ever_gets_a_number(n):
    answers = [noise_only(s, n).suggest() for s in range(200)]
    assert sum(isinstance(a, float) for a in answers) <= 6 and {a.reason for a in answers if not a} == {'flat'}


def test_curves_without_an_answer_say_which():
    lrs, flat_one = lr_sweep(), noise_only(0)
    assert not flat_one.suggest('valley') and flat_one.suggest('trials').reason == 'flat' if flat_one._trial else True
    assert LRCurve(lrs, (torch.ones(100, dtype=torch.float64),), 100).suggest().reason == 'flat'
    assert LRCurve(lrs[:3], (torch.tensor([1., 1e9, math.inf], dtype=torch.float64),), 100).suggest().reason == 'diverges at once'
    assert LRCurve(lrs[:1], (torch.tensor([math.nan], dtype=torch.float64),), 100).suggest().reason == 'diverges at once'
    for seed in range(20):
        fall = 2*torch.sigmoid(-3 - lrs.log10()) + 0.3*torch.randn(100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert isinstance(LRCurve(lrs, (fall,), 100).suggest(), float)
    for m in ('plot', '_repr_png_', 'to_frame', 'suggestions', '__repr__'): getattr(flat_one, m)()


@pytest.mark.parametrize('num_it', [2, 5, 10, 20])
def test_few_iterations_give_a_curve_and_never_an_index_error(num_it):
    net, dl, loss_func = linear_problem()
    curve = find_lr(net, dl, loss_func, num_it=num_it)
    for m in lf.METHODS:
        if m != 'trials': assert isinstance(curve.suggest(m), (float, NoSuggestion))
    if num_it < 10: assert curve.suggest().reason == 'too short'


def test_plain_import_needs_no_fastai():
    code = "import sys, course_lib.lr_finder; bad = {'fastai', 'pandas', 'matplotlib', 'scipy', 'sklearn'} & set(sys.modules); assert not bad, bad"
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


# ------------------------------------------------------------------ bad input

def bad(message, error=ValueError, **change):
    net, dl, loss_func = problem()
    args = dict(model=net, dl=dl, loss_func=loss_func, opt=torch.optim.Adam(net.parameters())) | change
    opt = args['opt'] if isinstance(args['opt'], torch.optim.Optimizer) else None
    before = fingerprint(net, dl, opt)
    with pytest.raises(error, match=message): find_lr(**args)
    assert fingerprint(net, dl, opt) == before


def test_bad_input_is_named_and_changes_nothing():
    net, data = Net(), Data()
    bad('no batch', dl=DataLoader(Data(4), 8, drop_last=True))
    bad('no batch', dl=Endless(0))
    bad('iterator', TypeError, dl=iter([1]))
    bad('shape', loss_func=nn.MSELoss(reduction='none'))
    bad('detached', loss_func=lambda p, y: nn.functional.mse_loss(p, y).detach())
    bad('tensor', TypeError, loss_func=lambda p, y: 1.)
    bad('start_lr', start_lr=1., end_lr=1.)
    bad('start_lr', start_lr=0.)
    bad('num_it', num_it=1)
    bad('repeats', repeats=0)
    bad('accumulate', accumulate=0)
    bad('amp', TypeError, amp='fp16')
    bad('none of the model', opt=torch.optim.Adam(net.parameters()))
    bad('frozen', model=Net().requires_grad_(False))
    bad('Module', TypeError, model=lambda x: x)
    bad('step= needs opt', opt=None, step=lambda b: 0.)
    bad('inside step', step=lambda b: 0., accumulate=2)
    for returned, kind in ((None, 'NoneType'), ({'loss': 1.}, 'dict'), ((1., 2.), 'tuple'), ('x', 'str')):
        bad(f'step= must return the loss, one number, got {kind}', TypeError, step=lambda b: returned)
    bad('step=', TypeError, dl=DataLoader(data.x, 8))
    bad('lazy', model=(lazy := nn.LazyLinear(1)), opt=torch.optim.Adam(lazy.parameters()))
    bad('above 0', opt=torch.optim.SGD((n := Net()).parameters(), 0.), model=n)
    curve = find_lr(*problem(), num_it=12)
    with pytest.raises(ValueError, match='method'): curve.suggest('steepest')
    with pytest.raises(ValueError, match='total_steps'): curve.suggest('valley', 100)
    with pytest.raises(ValueError, match='find_lr'): LRCurve(curve.lrs, curve.runs, 12).suggest('trials')


class Endless:
    "A loader without a length"
    def __init__(self, n): self.n = n
    def __iter__(self): return ((torch.randn(4, 4), torch.randn(4, 1)) for _ in range(self.n))


def test_a_short_loader_is_cycled():
    net, _, loss_func = problem()
    assert len(find_lr(net, Endless(2), loss_func, num_it=15, end_lr=1e-3).lrs) == 15


# ------------------------------------------------------------------ compiled, devices

def test_compiled_model():
    net, dl, loss_func = linear_problem()
    plain = find_lr(net, dl, loss_func, num_it=12, end_lr=0.1)
    compiled = torch.compile(net, backend='eager')
    again = find_lr(compiled, dl, loss_func, num_it=12, end_lr=0.1)
    assert again.losses.equal(plain.losses)
    before = flat(net.state_dict())
    find_lr(compiled, dl, loss_func, torch.optim.Adam(compiled.parameters()), end_lr=1e3)
    assert flat(net.state_dict()) == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('amp', [None, torch.float16, torch.bfloat16])
def test_cuda(amp):
    net, dl, loss_func = linear_problem(); net.cuda(); opt = torch.optim.Adam(net.parameters()); torch.rand(1, device='cuda')
    before = [p.detach().clone() for p in net.parameters()], torch.cuda.get_rng_state()
    assert isinstance(find_lr(net, dl, loss_func, opt, amp=amp).suggest(), float)
    assert all(p.equal(q) for p, q in zip(net.parameters(), before[0])) and torch.cuda.get_rng_state().equal(before[1]) and not opt.state


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason='no MPS device')
def test_mps():
    net, dl, loss_func = linear_problem(); net.to('mps'); state = torch.mps.get_rng_state()
    assert isinstance(find_lr(net, dl, loss_func).suggest(), float) and torch.mps.get_rng_state().equal(state)
