"find_lr on a fastai Learner: the same curve as learn.lr_find, and everything put back"
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.lr_finder import NoSuggestion, find_lr

warnings.filterwarnings('ignore')
fv = pytest.importorskip('fastai.basics')
from fastai.callback.fp16 import MixedPrecision  # noqa: E402
from fastai.callback.mixup import MixUp  # noqa: E402
from fastai.callback.progress import CSVLogger  # noqa: E402
from fastai.callback.schedule import *  # noqa: E402,F403
from fastai.callback.tracker import EarlyStoppingCallback, ReduceLROnPlateau, SaveModelCallback  # noqa: E402
from fastai.callback.training import GradientAccumulation  # noqa: E402


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.b = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
        self.count, self.fail = 0, None

    def forward(self, x):
        self.count += 1
        h = self.bn(self.a(x).relu())
        if self.fail is not None and self.training:
            at, what = self.fail
            if what == 'nan' and self.count >= at: h = h*torch.nan
            if self.count == at and what == 'forward': raise RuntimeError('forward failed')
            if self.count == at and what == 'interrupt': raise KeyboardInterrupt
            if self.count == at and what == 'backward': h = Explode.apply(h)
        return self.b(h)


class Explode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): raise RuntimeError('backward failed')


class Items:
    def __init__(self, n):
        g = torch.Generator().manual_seed(1)
        self.x = torch.randn(n, 4, generator=g); self.y = (self.x.sum(1) > 0).long() + (self.x[:, 0] > 1).long()
        self.given, self.fail = 0, None
    def __len__(self): return len(self.x)
    def __getitem__(self, i):
        self.given += 1
        if self.given == self.fail: raise OSError('the file is gone')
        return self.x[i], self.y[i]


class Stateful(fv.Callback):
    "A callback with every kind of state: numbers, lists, tensors, an average of the weights, a generator"
    def __init__(self): self.n, self.log, self.sums, self.ema, self.rng = 0, [], {'loss': torch.zeros(1)}, None, random.Random(5)
    def before_fit(self):
        if self.ema is None: self.ema = Net()
    def after_batch(self):
        self.n += 1; self.log.append(self.n); self.rng.random()
        if self.ema is not None:
            self.sums['loss'] += float(self.learn.loss)
            for p, q in zip(self.ema.parameters(), self.model.parameters()): p.data.lerp_(q.data, 0.1)


def learner(tmp_path, loop='fresh', seed=0, cbs=()):
    torch.manual_seed(seed); random.seed(seed); np.random.seed(seed)
    train, valid = Items(64), Items(16)
    dls = fv.DataLoaders(fv.DataLoader(train, bs=8, shuffle=True), fv.DataLoader(valid, bs=8), path=tmp_path)
    split = lambda m: [fv.params(m.a), fv.params(m.bn) + fv.params(m.b)]
    extra = {'mixup': [MixUp()], 'fp16': [MixedPrecision()], 'accumulation': [GradientAccumulation(24)]}.get(loop, [])
    return fv.Learner(dls, Net(), loss_func=fv.CrossEntropyLossFlat(), path=tmp_path, cbs=[Stateful(), *extra, *cbs], metrics=fv.accuracy if hasattr(fv, 'accuracy') else None,
                      lr=slice(1e-4, 1e-3) if loop == 'two groups' else 1e-3, **(dict(splitter=split) if loop in ('two groups', 'frozen groups') else {}))


def plain(x, seen=None):
    "Values of nested state, bit for bit; objects by their attributes, the Learner and data once"
    seen = seen if seen is not None else set()
    if isinstance(x, torch.Tensor): return (str(x.dtype), x.requires_grad, x.detach().cpu().numpy().tobytes(), None if not x.is_leaf or x.grad is None else x.grad.cpu().numpy().tobytes())
    if isinstance(x, random.Random): return x.getstate()
    if isinstance(x, (str, int, float, bool, type(None))): return x
    if isinstance(x, dict): return {str(k) if isinstance(k, str) else i: plain(v, seen) for i, (k, v) in enumerate(x.items())}
    if isinstance(x, (list, tuple, fv.L)): return [plain(v, seen) for v in x]
    if isinstance(x, nn.Module): return {n: plain(p) for n, p in x.state_dict().items()}
    if isinstance(x, (fv.Callback, fv.Metric)):
        if id(x) in seen: return type(x).__name__
        seen.add(id(x))
        return {k: plain(v, seen) for k, v in vars(x).items() if k not in ('learn', 'distrib')}
    return f'{type(x).__name__} at {id(x)}'


def fingerprint(learn):
    m = learn.model
    return dict(
        parameters={n: plain(p) for n, p in m.named_parameters()}, buffers={n: plain(b) for n, b in m.named_buffers()}, grads=[id(p.grad) if p.grad is not None else None for p in m.parameters()],
        modes={n: k.training for n, k in m.named_modules()}, count=m.count,
        opt=None if learn.opt is None else (id(learn.opt), plain(learn.opt.state_dict())), frozen=getattr(learn.opt, 'frozen_idx', None),
        cbs=[(id(c), plain(c)) for c in learn.cbs], names=sorted(vars(learn)), learn={k: plain(v) for k, v in vars(learn).items() if k not in ('model', 'opt', 'dls', 'cbs', 'lock')},
        rngs=(random.getstate(), [plain(torch.get_rng_state()), str(np.random.get_state())]), loaders=[(d.rng.getstate(), sorted(vars(d))) for d in learn.dls.loaders],
        autocast=(torch.is_autocast_enabled('cpu'), torch.is_autocast_enabled('cuda')), files=sorted(str(p) for p in learn.path.rglob('*')))


ENDS = {'normal end': (dict(num_it=20, stop_div=False, end_lr=1e-2), None, None), 'divergence': (dict(num_it=60, end_lr=1e6), None, None),
        'exception in forward': ({}, (7, 'forward'), RuntimeError), 'exception in backward': ({}, (7, 'backward'), RuntimeError),
        'exception in the loader': ({}, 'loader', OSError), 'Ctrl-C': ({}, (7, 'interrupt'), KeyboardInterrupt),
        'nan from batch 1': ({}, (1, 'nan'), None), 'nan from batch 40': (dict(end_lr=1e-2), (40, 'nan'), None)}
LOOPS = ['fresh', 'after fit', 'mixup', 'fp16', 'accumulation', 'two groups', 'frozen groups', 'repeats', 'savers']


@pytest.mark.parametrize('loop', LOOPS)
@pytest.mark.parametrize('end', ENDS)
def test_everything_is_put_back(end, loop, tmp_path):
    kwargs, fail, error = ENDS[end]
    cbs = [SaveModelCallback(every_epoch=True), CSVLogger(), EarlyStoppingCallback(), ReduceLROnPlateau()] if loop == 'savers' else []
    learn = learner(tmp_path, loop, cbs=cbs)
    with learn.no_logging(), learn.no_mbar():
        if loop in ('after fit', 'two groups', 'mixup', 'accumulation'): learn.fit_one_cycle(1, slice(1e-4, 1e-3) if loop == 'two groups' else 1e-3)
    if loop == 'frozen groups': learn.freeze()
    if fail == 'loader': learn.dls.train.dataset.fail = learn.dls.train.dataset.given + 33
    elif fail: learn.model.fail = (learn.model.count + fail[0], fail[1])
    before = fingerprint(learn)
    call = lambda: find_lr(learn, **kwargs, **(dict(repeats=2) if loop == 'repeats' else {}))
    if error:
        with pytest.raises(error): call()
    else:
        curve = call()
        if end == 'nan from batch 1': assert curve.suggest().reason == 'diverges at once'
        if loop == 'two groups': assert curve.ratios == pytest.approx((0.1, 1.))
    after = fingerprint(learn)
    for k in before: assert after[k] == before[k], k


@pytest.mark.parametrize('loop', ['fresh', 'mixup', 'two groups', 'savers'])
def test_trials_judged_by_validation_data_put_everything_back(loop, tmp_path, capsys):
    cbs = [SaveModelCallback(every_epoch=True), CSVLogger(), EarlyStoppingCallback()] if loop == 'savers' else []
    learn = learner(tmp_path, loop, cbs=cbs)
    before, train, used = fingerprint(learn), learn.dls.train, []
    curve = find_lr(learn, valid=learn.dls.valid, end_lr=1.)
    learn.model.register_forward_pre_hook(lambda m, xb: used.append(float(xb[0].detach().sum())) if m.training else None)
    losses = curve.trial_losses([1e-30, 1e-2], 10, batches=2)
    learn.model._forward_pre_hooks.clear()
    picked = curve.suggest('trials', epochs=10, runs=2.5)
    assert len(used) == 20 and (len(set(used)) == 2 or loop == 'mixup')  # two batches, five times each
    assert losses == curve.trial_losses([1e-30, 1e-2], 10, batches=2) and losses[0] != losses[1]
    assert picked == curve.suggest('trials', total_steps=80, runs=2.5) and learn.dls.train is train
    assert capsys.readouterr().out == ''
    after = fingerprint(learn)
    for k in before: assert after[k] == before[k], k


@pytest.mark.parametrize('loop', ['fresh', 'after fit', 'mixup', 'accumulation', 'two groups'])
def test_training_after_the_search_is_training_without_it(loop, tmp_path):
    ends = []
    for search in (False, True):
        learn = learner(tmp_path, loop)
        with learn.no_logging(), learn.no_mbar():
            if loop != 'fresh': learn.fit(1)
            if search:
                curve = find_lr(learn, repeats=2)
                assert not isinstance(curve.suggest('trials', total_steps=48), NoSuggestion) or loop == 'mixup'
            learn.fit_one_cycle(2, 1e-2)
        f = fingerprint(learn)
        ends.append((f['parameters'], f['buffers'], f['opt'] and f['opt'][1], [float(v) for v in learn.recorder.losses], f['rngs'], f['loaders']))
    assert ends[0] == ends[1]


@pytest.mark.parametrize('loop', ['fresh', 'after fit', 'mixup', 'accumulation'])
def test_the_curve_is_that_of_lr_find(loop, tmp_path):
    curves = []
    for ours in (True, False):
        learn = learner(tmp_path, loop)
        with learn.no_logging(), learn.no_mbar():
            if loop == 'after fit': learn.fit(1)
            if ours: c = find_lr(learn); curves.append((c.lrs.tolist(), c.averaged()))
            else: learn.lr_find(show_plot=False); curves.append((learn.recorder.lrs, torch.stack(learn.recorder.losses).double()))
    assert curves[0][0] == curves[1][0]
    torch.testing.assert_close(curves[0][1], curves[1][1], rtol=1e-4, atol=1e-5)


def test_torch_optimizer_and_torch_loader(tmp_path):
    from fastai.optimizer import OptimWrapper
    from functools import partial
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(0)
    dls = fv.DataLoaders(torch.utils.data.DataLoader(Items(64), 8, shuffle=True, generator=gen), torch.utils.data.DataLoader(Items(16), 8), path=tmp_path)
    learn = fv.Learner(dls, Net(), fv.CrossEntropyLossFlat(), opt_func=partial(OptimWrapper, opt=torch.optim.AdamW), path=tmp_path)
    with learn.no_logging(), learn.no_mbar(): learn.fit(1)
    before = {n: plain(p) for n, p in learn.model.state_dict().items()}, plain(learn.opt.opt.state_dict()), gen.get_state().tolist()
    assert isinstance(find_lr(learn).suggest(), (float, NoSuggestion))
    assert before == ({n: plain(p) for n, p in learn.model.state_dict().items()}, plain(learn.opt.opt.state_dict()), gen.get_state().tolist())


def test_a_read_only_folder_is_no_obstacle(tmp_path):
    learn = learner(tmp_path/'not'/'there')
    find_lr(learn, num_it=12)
    assert not list(tmp_path.iterdir())


def test_bad_input(tmp_path):
    learn = learner(tmp_path)
    before = fingerprint(learn)
    for message, error, kwargs in [('start_lr', ValueError, dict(start_lr=10, end_lr=1)), ('num_it', ValueError, dict(num_it=1)), ('brings its own', TypeError, dict(dl=learn.dls.train)),
                                   ('accumulate', TypeError, dict(accumulate=2))]:
        with pytest.raises(error, match=message): find_lr(learn, **kwargs)
    learn.model.requires_grad_(False)
    with pytest.raises(ValueError, match='frozen'): find_lr(learn)
    learn.model.requires_grad_(True)
    learn.dls.train.drop_last, learn.dls.train.bs = True, 100
    with pytest.raises(ValueError, match='no batch'): find_lr(learn)
    learn.dls.train.drop_last, learn.dls.train.bs = False, 8
    learn.loss_func = lambda p, y: torch.tensor(1.)
    with pytest.raises(ValueError, match='detached'): find_lr(learn)
    learn.loss_func = fv.CrossEntropyLossFlat(reduction='none')
    with pytest.raises(ValueError, match='shape'): find_lr(learn)
    after = fingerprint(learn)
    for k in before:
        if k != 'learn': assert before[k] == after[k], k
