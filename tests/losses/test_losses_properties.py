"""What must be true of cross-entropy and its family, and the mistakes that each of these checks catches.

`CHECKS` are properties of a cross-entropy function; they run on ours, on PyTorch's (a check that PyTorch fails is a wrong check),
and on the broken versions in `MUTANTS`. The table of which check catches which mutant stands at the end of the file.
"""
import copy
import functools
import math
import re

import pytest
import torch
import torch.nn.functional as F

from course_lib import losses
from course_lib.losses import binary_cross_entropy_with_logits, cross_entropy, entropy, kl_div, log_softmax, nll_loss, softmax
from course_lib.validate import autocast_on

close = functools.partial(torch.testing.assert_close, equal_nan=True)
exactly = functools.partial(close, atol=1e-12, rtol=1e-12)


def batch(n=7, c=5, *more, seed=0, dtype=torch.float64, scale=3.0):
    "Logits [n, c, *more], labels, class probabilities and class weights"
    gen = torch.Generator().manual_seed(seed)
    x = scale*torch.randn(n, c, *more, generator=gen, dtype=torch.float64)
    y = torch.randint(c, (n, *more), generator=gen)
    p = torch.rand(n, c, *more, generator=gen, dtype=torch.float64); p = p/p.sum(1, keepdim=True)
    w = 0.5 + torch.rand(c, generator=gen, dtype=torch.float64)
    return x.to(dtype), y, p.to(dtype), w.to(dtype)


def grad_of(fn, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(fn(x).sum(), x)[0]


# Properties of a cross-entropy `ce(input, target, weight, ignore_index, reduction, label_smoothing)`

def check_by_hand(ce):
    "One number worked out with math.log alone"
    want = math.log(math.exp(1) + math.exp(2) + math.exp(4)) - 2
    exactly(ce(torch.tensor([[1., 2, 4]], dtype=torch.float64), torch.tensor([1])), torch.tensor(want, dtype=torch.float64))

def check_uniform(ce):
    "A model that knows nothing pays log C"
    exactly(ce(torch.zeros(3, 8, dtype=torch.float64), torch.tensor([0, 3, 7])), torch.tensor(math.log(8), dtype=torch.float64))

def check_one_hot(ce):
    "Indices are one-hot probabilities"
    x, y, _, w = batch(6, 5, 3)
    one_hot = F.one_hot(y, 5).movedim(-1, 1).double()
    for kw in ({}, {'label_smoothing': 0.2}, {'weight': w, 'reduction': 'sum'}, {'reduction': 'none', 'label_smoothing': 0.3}):
        exactly(ce(x, y, **kw), ce(x, one_hot, **kw))

def check_shift(ce):
    "Adding a number to a row changes nothing"
    x, y, p, _ = batch()
    for target in (y, p): close(ce(x + 50*torch.arange(7.).double()[:, None], target, reduction='none'), ce(x, target, reduction='none'), atol=1e-9, rtol=1e-9)

def check_gradient(ce):
    "The gradient of the sum is softmax(x) - target, of the mean that over N"
    x, y, p, _ = batch()
    q = x.exp()/x.exp().sum(1, keepdim=True)
    exactly(grad_of(lambda x: ce(x, y, reduction='sum'), x), q - F.one_hot(y, 5))
    exactly(grad_of(lambda x: ce(x, p), x), (q - p)/7)

def check_smoothing(ce):
    "Smoothing is mixing with the uniform distribution over all C"
    x, y, p, w = batch()
    for kw in ({}, {'reduction': 'sum'}, {'weight': w, 'reduction': 'none'}):
        for eps in (0.1, 1.0):
            exactly(ce(x, y, label_smoothing=eps, **kw), ce(x, (1 - eps)*F.one_hot(y, 5).double() + eps/5, **kw))
            exactly(ce(x, p, label_smoothing=eps, **kw), ce(x, (1 - eps)*p + eps/5, **kw))

def check_kl(ce):
    "H(p, q) = H(p) + KL(p || q)"
    x, _, p, _ = batch()
    q = x.exp()/x.exp().sum(1, keepdim=True)
    exactly(ce(x, p, reduction='none'), -(p*p.log()).sum(1) + (p*(p/q).log()).sum(1))

def check_ignored(ce):
    "Dropping the ignored rows gives the same mean, sum and gradient, weighted and smoothed too"
    x, y, _, w = batch(9)
    y[[1, 4, 8]] = -100
    kept = y != -100
    for kw in ({}, {'weight': w}, {'label_smoothing': 0.1}, {'weight': w, 'label_smoothing': 0.1}, {'reduction': 'sum'}):
        exactly(ce(x, y, **kw), ce(x[kept], y[kept], **kw))
        g = grad_of(lambda x: ce(x, y, **kw), x)
        exactly(g[kept], grad_of(lambda x: ce(x, y[kept], **kw), x[kept]))
        assert (g[~kept] == 0).all()
    y2 = y.where(kept, 3)
    exactly(ce(x, y2, ignore_index=3), ce(x[y2 != 3], y2[y2 != 3]))
    assert (ce(x, y, reduction='none')[~kept] == 0).all()

def check_weights(ce):
    "A weight of 2 is the row twice; the mean divides by the weights"
    x, y, _, _ = batch()
    w = torch.ones(5, dtype=torch.float64); w[2] = 2; y[:3] = 2
    twice = torch.cat([x, x[y == 2]]), torch.cat([y, y[y == 2]])
    for kw in ({}, {'reduction': 'sum'}): exactly(ce(x, y, weight=w, **kw), ce(*twice, **kw))

def check_reductions(ce):
    "Mean and sum follow from the single items"
    x, y, p, _ = batch(4, 5, 2, 3)
    for target in (y, p):
        each = ce(x, target, reduction='none')
        assert each.shape == (4, 2, 3)
        exactly(ce(x, target), each.mean()); exactly(ce(x, target, reduction='sum'), each.sum())

def check_dims(ce):
    "Classes are dimension 1: a pixel's loss is that of its own logits"
    x, y, p, _ = batch(2, 5, 3, 4)
    exactly(ce(x, y, reduction='none')[1, 2, 3], ce(x[1, :, 2, 3], y[1, 2, 3]))
    exactly(ce(x, p, reduction='none')[1, 2, 3], ce(x[1, :, 2, 3], p[1, :, 2, 3]))

def check_huge(ce):
    "Logits of 1e4 and -1e4: the loss is a difference of logits, the gradient 0, 1 or -1"
    for dtype in (torch.float64, torch.float32):
        x = torch.tensor([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype=dtype)
        y = torch.tensor([1, 0, 1])
        close(ce(x, y, reduction='none'), torch.tensor([2e4, math.log(3), math.log(2)], dtype=dtype))
        close(grad_of(lambda x: ce(x, y, reduction='sum'), x), torch.tensor([[1, -1, 0], [-2/3, 1/3, 1/3], [0.5, -0.5, 0]], dtype=dtype))
        close(ce(x, F.one_hot(y, 3).to(dtype), reduction='none'), torch.tensor([2e4, math.log(3), math.log(2)], dtype=dtype))

def check_confident_mistake(ce):
    "Where the probability rounds to 0 the loss is still the gap and still has a slope"
    x = torch.tensor([[0., 200.]])
    close(ce(x, torch.tensor([0])), torch.tensor(200.))
    close(grad_of(lambda x: ce(x, torch.tensor([0])), x), torch.tensor([[-1., 1.]]))

def check_precise_when_right(ce):
    "A loss of 1e-5 keeps its digits: nothing is added inside the log"
    x = torch.tensor([[0., -11.5]], dtype=torch.float64)
    exactly(ce(x, torch.tensor([0])), torch.tensor(math.log1p(math.exp(-11.5)), dtype=torch.float64))

def check_empty(ce):
    "Nothing to average is nan, nothing to add is 0"
    x, y = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    ignored = torch.zeros(3, 4), torch.full((3,), -100)
    for pair in ((x, y), ignored):
        for eps in (0.0, 0.1):
            assert ce(*pair, label_smoothing=eps).isnan() and ce(*pair, reduction='sum', label_smoothing=eps) == 0
            assert ce(*pair, reduction='none', label_smoothing=eps).shape == pair[1].shape
    assert ce(x, x).isnan() and ce(x, x, reduction='sum') == 0 and ce(x, x, reduction='none').shape == (0,)
    assert ce(ignored[0], ignored[1], weight=torch.ones(4)).isnan()

CHECKS = {k.removeprefix('check_'): v for k, v in list(globals().items()) if k.startswith('check_')}


@pytest.mark.parametrize('check', CHECKS)
@pytest.mark.parametrize('ce', [cross_entropy, F.cross_entropy], ids=['ours', 'torch'])
def test_property(check, ce): CHECKS[check](ce)


# Against PyTorch where its own samples are thin: every combination of the options, with and without gradients

@pytest.mark.parametrize('reduction', ['mean', 'sum', 'none'])
@pytest.mark.parametrize('more', [(), (3,), (2, 3)])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_options_together(reduction, more, dtype):
    x, y, p, w = batch(6, 5, *more, dtype=dtype)
    y[0] = 2; y[1] = -100
    for target in (y, p):
        for weight in (None, w):
            for eps in (0.0, 0.1, 1.0):
                for ignore in ((-100,) if target is p else (-100, 2)):
                    t = y.clamp(min=0) if ignore == 2 and target is y else target
                    kw = dict(weight=weight, ignore_index=ignore, reduction=reduction, label_smoothing=eps)
                    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
                    ours, want = cross_entropy(a, t, **kw), F.cross_entropy(b, t, **kw)
                    close(ours, want)
                    close(torch.autograd.grad(ours.sum(), a), torch.autograd.grad(want.sum(), b))

@pytest.mark.parametrize('kw', [{}, {'label_smoothing': 0.2}, {'weight': True}, {'ignore_index': 1}])
def test_gradgradcheck_slow_mode(kw):
    x, y, p, w = batch(3, 4, 2)
    kw = {**kw, 'weight': w} if kw.get('weight') else kw
    x.requires_grad_(); p.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: cross_entropy(x, y, **kw), x)
    if 'ignore_index' not in kw:
        assert torch.autograd.gradcheck(lambda x, p: cross_entropy(x, p, **kw), (x, p))
        assert torch.autograd.gradgradcheck(lambda x, p: cross_entropy(x, p, **kw), (x, p))

def test_minus_infinity_is_as_torch_has_it():
    inf = math.inf
    x = torch.tensor([[-inf, 1., 2.], [-inf, -inf, 0.], [inf, 0., 0.], [-inf, -inf, -inf]])
    for y in (0, 1, 2): close(cross_entropy(x, torch.full((4,), y), reduction='none'), F.cross_entropy(x, torch.full((4,), y), reduction='none'))
    close(grad_of(lambda x: cross_entropy(x, torch.tensor([1, 2]), reduction='sum'), x[:2]), grad_of(lambda x: F.cross_entropy(x, torch.tensor([1, 2]), reduction='sum'), x[:2]))
    close(softmax(x), F.softmax(x, 1)); close(log_softmax(x), F.log_softmax(x, 1))


# The rest of the family

@pytest.mark.parametrize('log_target', [False, True])
@pytest.mark.parametrize('reduction', ['mean', 'batchmean', 'sum', 'none'])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_kl_div(reduction, log_target):
    "torch's own samples have targets below 0; these are distributions"
    x, _, p, _ = batch(4, 5)
    log_q, target = log_softmax(x), p.log() if log_target else p
    for q, t in ((log_q, target), (log_q, target[:1])):
        a, b = [[v.detach().clone().requires_grad_() for v in (q, t)] for _ in range(2)]
        ours, want = kl_div(*a, reduction, log_target), F.kl_div(*b, reduction=reduction, log_target=log_target)
        exactly(ours, want)
        exactly(torch.autograd.grad(ours.sum(), a), torch.autograd.grad(want.sum(), b))
    assert torch.autograd.gradcheck(lambda q, t: kl_div(q, t, reduction, log_target), a) and torch.autograd.gradgradcheck(lambda q, t: kl_div(q, t, reduction, log_target), a)
    empty = torch.zeros(0, 3)
    close(kl_div(empty, empty, reduction), F.kl_div(empty, empty, reduction=reduction))

def test_zero_log_zero_is_zero():
    p = torch.tensor([[0., 0.25, 0.75]], dtype=torch.float64, requires_grad=True)
    want = -(0.25*math.log(0.25) + 0.75*math.log(0.75))
    exactly(entropy(p), torch.tensor([want], dtype=torch.float64))
    log_q = torch.tensor([[-1., -2., -3.]], dtype=torch.float64, requires_grad=True)
    exactly(kl_div(log_q, p, 'sum'), F.kl_div(log_q, p, reduction='sum'))
    # for the target's gradient at 0, -inf in truth, torch has nan; ours is finite, with p log p taken to be flat there
    g_p, = torch.autograd.grad(kl_div(log_q, p, 'sum'), p)
    exactly(g_p, torch.tensor([[1., math.log(0.25) + 1 + 2, math.log(0.75) + 1 + 3]], dtype=torch.float64))
    assert torch.autograd.grad(F.kl_div(log_q, p, reduction='sum'), p)[0].isnan().any()

def test_entropy():
    _, _, p, _ = batch(6, 5, 2)
    exactly(entropy(p, 1), torch.distributions.Categorical(probs=p.movedim(1, -1)).entropy())
    exactly(entropy(torch.full((3, 8), 1/8, dtype=torch.float64)), torch.full((3,), math.log(8), dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda p: entropy(p, 1), p.requires_grad_())

def test_softmax_is_a_distribution_and_its_log_is_exact():
    x, _, _, _ = batch(6, 5, 2, scale=30)
    for dim in (0, 1, 2, -1):
        exactly(softmax(x, dim).sum(dim), torch.ones_like(x.select(dim, 0)))
        exactly(log_softmax(x, dim), F.log_softmax(x, dim)); exactly(softmax(x, dim), F.softmax(x, dim))
    assert log_softmax(torch.tensor([0., 200.]))[0] == -200

def test_binary_is_the_two_class_loss():
    x, t = torch.linspace(-200, 200, 41).double(), torch.linspace(0, 1, 41).double()
    two = torch.stack([torch.zeros_like(x), x], 1)
    exactly(binary_cross_entropy_with_logits(x, t, reduction='none'), cross_entropy(two, torch.stack([1 - t, t], 1), reduction='none'))

def test_binary_slope_at_zero_and_far_out():
    x = torch.tensor([0., -1e4, 1e4, -30, 30], dtype=torch.float64); t = torch.tensor([1., 1, 0, 0, 1], dtype=torch.float64)
    close(binary_cross_entropy_with_logits(x, t, reduction='none'), F.binary_cross_entropy_with_logits(x, t, reduction='none'), atol=0, rtol=1e-12)
    exactly(grad_of(lambda x: binary_cross_entropy_with_logits(x, t, reduction='sum'), x), x.sigmoid() - t)
    assert torch.autograd.gradgradcheck(lambda x: binary_cross_entropy_with_logits(x, t), torch.randn(5).double().requires_grad_())

def test_modules_keep_their_settings():
    x, y, _, w = batch(dtype=torch.float32); t = (x > 0).float()
    kw = dict(weight=w, ignore_index=2, reduction='sum', label_smoothing=0.1)
    ours, theirs = losses.CrossEntropyLoss(**kw), torch.nn.CrossEntropyLoss(**kw)
    close(ours(x, y), theirs(x, y)); assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    kw = dict(weight=torch.rand(7, 1), reduction='none', pos_weight=w)
    ours, theirs = losses.BCEWithLogitsLoss(**kw), torch.nn.BCEWithLogitsLoss(**kw)
    close(ours(x, t), theirs(x, t)); assert ours.state_dict().keys() == theirs.state_dict().keys()


# Layouts: the numbers do not depend on how a tensor lies in memory, and an input is never written to

LAYOUTS = {
    'contiguous': lambda x: x,
    'transposed': lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    'every other': lambda x: torch.stack([x, -x], -1).flatten(-2)[..., ::2],
    'offset': lambda x: torch.cat([x[:1], x])[1:],
    'expanded rows': lambda x: x[:1].expand_as(x),
    'expanded classes': lambda x: x[:, :1].expand_as(x),
    'channels last': lambda x: x.contiguous(memory_format=torch.channels_last),
}

@pytest.mark.parametrize('layout', LAYOUTS)
def test_layouts(layout):
    x, y, p, w = batch(4, 5, 3, 2)
    x, p = LAYOUTS[layout](x), LAYOUTS[layout](p)
    y = LAYOUTS['every other'](y) if layout == 'every other' else y[:1].expand_as(y) if layout == 'expanded rows' else y
    before = x.clone(), p.clone(), y.clone()
    for target in (y, p):
        exactly(cross_entropy(x, target, weight=w), F.cross_entropy(x.contiguous(), target.contiguous(), weight=w))
        exactly(grad_of(lambda z: cross_entropy(LAYOUTS[layout](z), target), before[0]), grad_of(lambda z: F.cross_entropy(LAYOUTS[layout](z), target), before[0]))
    exactly(nll_loss(x, y), F.nll_loss(x.contiguous(), y)); exactly(kl_div(x, p, 'sum'), F.kl_div(x, p, reduction='sum'))
    exactly(log_softmax(x, 1), F.log_softmax(x, 1)); exactly(binary_cross_entropy_with_logits(x, p), F.binary_cross_entropy_with_logits(x, p))
    assert all(a.equal(b) for a, b in zip(before, (x, p, y)))


# Half precision: no further from float64 than PyTorch's own

@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('kind', ['indices', 'smoothed', 'weighted', 'probabilities', 'binary', 'log_softmax', 'softmax'])
def test_half_precision(dtype, kind):
    x, y, p, w = batch(300, 400, dtype=dtype)
    ce = {'indices': ((y,), {}), 'smoothed': ((y,), {'label_smoothing': 0.1}), 'weighted': ((y,), {'weight': w}), 'probabilities': ((p,), {})}
    ours, theirs = losses, F
    def call(lib, x, cast, **kw):
        if kind in ('softmax', 'log_softmax'): return getattr(lib, kind)(x, dim=1)
        if kind == 'binary': return lib.binary_cross_entropy_with_logits(x, cast(p), **kw)
        args, more = ce[kind]
        return lib.cross_entropy(x, *map(cast, args), **{k: cast(v) for k, v in more.items()}, **kw)
    keep = lambda t: t
    wide = lambda t: t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t
    reductions = [{}] if 'softmax' in kind else [{'reduction': r} for r in ('none', 'mean')]
    for kw in reductions:
        exact = call(F, x.double(), wide, **kw)
        mine, peer = call(ours, x, keep, **kw), call(theirs, x, keep, **kw)
        assert mine.dtype == peer.dtype == dtype and mine.shape == peer.shape
        resolution = torch.finfo(dtype).eps*exact.abs().mean()
        assert (mine.double() - exact).abs().mean() <= 1.1*(peer.double() - exact).abs().mean() + resolution/2
    pull = torch.randn_like(x.double())
    exact, mine, peer = [torch.autograd.grad((call(lib, z, cast)*(pull if 'softmax' in kind else 1.0)).sum(), z)[0].double()
                         for lib, z, cast in ((F, x.double().requires_grad_(), wide), (ours, x.clone().requires_grad_(), keep), (theirs, x.clone().requires_grad_(), keep))]
    assert (mine - exact).abs().mean() <= 1.2*(peer - exact).abs().mean() + torch.finfo(dtype).eps*exact.abs().mean()/4

@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_at_the_edges(dtype):
    x = torch.tensor([[1e4, -1e4, 0], [3e4, 3e4, 3e4]], dtype=dtype)
    close(cross_entropy(x, torch.tensor([0, 1]), reduction='none'), torch.tensor([0, math.log(3)], dtype=dtype))
    close(cross_entropy(x, torch.tensor([1, 1]), reduction='none'), F.cross_entropy(x, torch.tensor([1, 1]), reduction='none'))
    many = torch.zeros(1, 70_000, dtype=dtype)  # the sum of its exps is beyond float16's 65504
    close(cross_entropy(many, torch.tensor([5])), torch.tensor(math.log(70_000), dtype=dtype))
    counted = torch.zeros(1000, 2, dtype=dtype)  # 1000 rows cannot be counted in bfloat16
    close(cross_entropy(counted, torch.zeros(1000, dtype=torch.long)), torch.tensor(math.log(2), dtype=dtype))
    y = torch.zeros(1000, dtype=torch.long); y[:301] = -100
    close(cross_entropy(counted, y), torch.tensor(math.log(2), dtype=dtype))


# Bad input: torch refuses it too, and ours says which argument, what it saw and what it wanted

X, Y, P, W = batch(4, 5, dtype=torch.float32)
BAD = {  # name: (function, arguments, keyword arguments, error, words of the message, whether torch raises)
    'reduction': ('cross_entropy', (X, Y), {'reduction': 'avg'}, ValueError, ["'mean', 'sum', 'none'", "'avg'"], True),
    'smoothing above 1': ('cross_entropy', (X, Y), {'label_smoothing': 1.5}, ValueError, ['label_smoothing', '0 to 1', '1.5'], True),
    'smoothing below 0': ('cross_entropy', (X, Y), {'label_smoothing': -0.1}, ValueError, ['label_smoothing', '-0.1'], False),  # torch takes it
    'integer logits': ('cross_entropy', (X.long(), Y), {}, TypeError, ['input', 'int64', 'float()'], True),
    'not a tensor': ('cross_entropy', (X.numpy(), Y), {}, TypeError, ['input', 'ndarray', 'as_tensor'], True),
    'a single number': ('cross_entropy', (X[0, 0], Y[0]), {}, ValueError, ['input', '[N, C]'], True),
    'no classes': ('cross_entropy', (X[:, :0], Y), {}, ValueError, ['at least one class', '(4, 0)'], True),
    'batch sizes': ('cross_entropy', (X, Y[:3]), {}, ValueError, ['target', '(4,)', '(3,)'], True),
    'shape [N, 1]': ('cross_entropy', (X, Y[:, None]), {}, ValueError, ['target', '(4,)', '(4, 1)'], True),
    'pixels swapped': ('cross_entropy', (X[:, :, None, None].expand(4, 5, 2, 3), Y[:, None, None].expand(4, 3, 2)), {}, ValueError, ['(4, 2, 3)', '(4, 3, 2)'], True),
    'int32 labels': ('cross_entropy', (X, Y.int()), {}, TypeError, ['target', 'int32', 'long()'], True),
    'float labels': ('cross_entropy', (X, Y.float()), {}, TypeError, ['target', 'float32', 'long()'], True),
    'integer one-hot': ('cross_entropy', (X, F.one_hot(Y, 5)), {}, TypeError, ['class probabilities', 'int64', 'float()'], True),
    'label C': ('cross_entropy', (X, torch.tensor([0, 1, 5, 2])), {}, IndexError, ['target', '0 to 4', 'got 5'], True),
    'label -1': ('cross_entropy', (X, torch.tensor([0, 1, -1, 2])), {}, IndexError, ['target', '0 to 4', 'got -1'], True),
    'label -100, another ignored': ('cross_entropy', (X, torch.tensor([0, 1, -100, 2])), {'ignore_index': 1}, IndexError, ['ignore_index=1', 'got -100'], True),
    'weight shape': ('cross_entropy', (X, Y), {'weight': torch.ones(4)}, ValueError, ['weight', '5 classes', '(4,)'], True),
    'weight shape, probabilities': ('cross_entropy', (X, P), {'weight': torch.ones(4)}, ValueError, ['weight', '5 classes', '(4,)'], True),
    'weight dtype': ('cross_entropy', (X, Y), {'weight': torch.ones(5).double()}, TypeError, ['weight', 'float32', 'float64'], True),
    'ignored probabilities': ('cross_entropy', (X, P), {'ignore_index': 2}, ValueError, ['ignore_index', 'indices only', '2'], True),
    'nll: reduction': ('nll_loss', (X, Y), {'reduction': None}, ValueError, ['reduction', 'None'], True),
    'nll: probabilities': ('nll_loss', (X, P), {}, ValueError, ['target', 'class indices', '(4,)', '(4, 5)'], True),
    'nll: label': ('nll_loss', (X, Y + 5), {}, IndexError, ['0 to 4'], True),
    'nll: dtype': ('nll_loss', (X.long(), Y), {}, TypeError, ['log_probs', 'int64'], True),
    'nll: weight': ('nll_loss', (X, Y), {'weight': torch.ones(5).long()}, TypeError, ['weight', 'int64'], True),
    'kl: reduction': ('kl_div', (X, P), {'reduction': 'avg'}, ValueError, ["'batchmean'", "'avg'"], True),
    'kl: shape': ('kl_div', (X, P[:, :3]), {}, ValueError, ['target', '(4, 5)', '(4, 3)'], True),
    'kl: labels': ('kl_div', (X, Y), {}, TypeError, ['target', 'int64'], True),
    'bce: reduction': ('binary_cross_entropy_with_logits', (X, P), {'reduction': 'avg'}, ValueError, ["'avg'"], True),
    'bce: labels': ('binary_cross_entropy_with_logits', (X, Y), {}, TypeError, ['target', 'int64', 'float()'], True),
    'bce: bool': ('binary_cross_entropy_with_logits', (X, X > 0), {}, TypeError, ['target', 'bool', 'float()'], True),
    'bce: shape': ('binary_cross_entropy_with_logits', (X, P[:1]), {}, ValueError, ['target', '(4, 5)', '(1, 5)'], True),
    'bce: weight': ('binary_cross_entropy_with_logits', (X, P), {'weight': torch.ones(4)}, ValueError, ['weight', '(4, 5)', '(4,)'], True),
    'bce: pos_weight': ('binary_cross_entropy_with_logits', (X, P), {'pos_weight': torch.ones(3)}, ValueError, ['pos_weight', '(3,)'], True),
    'softmax: integers': ('softmax', (Y, 0), {}, TypeError, ['int64', 'float()'], True),
    'softmax: dim': ('softmax', (X, 2), {}, IndexError, ['dim', '(4, 5)', 'got 2'], True),
    'log_softmax: dim': ('log_softmax', (X, -3), {}, IndexError, ['dim', '(4, 5)', 'got -3'], True),
    'entropy: integers': ('entropy', (Y,), {}, TypeError, ['p', 'int64'], None),  # torch has no such function
}

@pytest.mark.parametrize('case', BAD)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_bad_input(case):
    name, args, kw, error, words, torch_raises = BAD[case]
    with pytest.raises(error) as e: getattr(losses, name)(*args, **kw)
    assert type(e.value) is error and all(w in str(e.value) for w in words), str(e.value)
    if torch_raises:
        with pytest.raises(Exception): getattr(F, name)(*args, **kw)
    elif torch_raises is False: getattr(F, name)(*args, **kw)


# The rest of PyTorch works on it

@pytest.fixture(scope='module', autouse=True)
def _fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()

COMPILED = {
    'indices': lambda x, y, p, w: cross_entropy(x, y),
    'all options': lambda x, y, p, w: cross_entropy(x, y, w, 1, 'none', 0.1),
    'probabilities': lambda x, y, p, w: cross_entropy(x, p, w, label_smoothing=0.1),
    'nll_loss': lambda x, y, p, w: nll_loss(log_softmax(x, 1), y, w),
    'kl_div': lambda x, y, p, w: kl_div(log_softmax(x, 1), p, 'batchmean') + entropy(p, 1).mean() + softmax(x, 1).square().sum(),
    'binary': lambda x, y, p, w: binary_cross_entropy_with_logits(x, p, pos_weight=p),
}

@pytest.mark.parametrize('kind', COMPILED)
def test_compiles_without_a_graph_break(kind):
    "The whole graph is traced, forward and backward; the C++ compiler is left out here, as it takes 10 s a function"
    x, y, p, w = batch(6, 5, 3, dtype=torch.float32)
    y[0] = -100 if kind != 'all options' else 1
    fn = COMPILED[kind]
    compiled = torch.compile(fn, fullgraph=True, backend='aot_eager')
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, want = compiled(a, y, p, w), fn(b, y, p, w)
    close(ours, want); close(torch.autograd.grad(ours.sum(), a), torch.autograd.grad(want.sum(), b))

@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_compiles_with_inductor(dtype):
    "The real thing, for the function that matters most"
    x, y, _, _ = batch(64, 50, dtype=dtype); y[3] = -100
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, want = torch.compile(cross_entropy, fullgraph=True)(a, y), F.cross_entropy(b, y)
    close(ours, want); close(torch.autograd.grad(ours, a), torch.autograd.grad(want, b), atol=2e-4, rtol=2e-2)

def test_an_impossible_label_is_nan_where_it_cannot_be_looked_at():
    x, y = torch.zeros(3, 4, requires_grad=True), torch.tensor([0, 4, -100])
    for bad in (4, -1):
        y[1] = bad
        each = torch.compile(functools.partial(cross_entropy, reduction='none'), fullgraph=True, backend='eager')(x, y)
        assert each.isnan().tolist() == [False, True, False] and each[2] == 0
        each = torch.func.vmap(cross_entropy, in_dims=(0, 0))(x.detach(), torch.tensor([0, bad, 1]))
        assert each.isnan().tolist() == [False, True, False]

def test_func_grad_vmap_and_hessian():
    x, y, p, w = batch()
    q = x.exp()/x.exp().sum(1, keepdim=True)
    exactly(torch.func.grad(lambda x: cross_entropy(x, y, reduction='sum'))(x), q - F.one_hot(y, 5))
    exactly(torch.func.vmap(torch.func.grad(cross_entropy))(x, y), q - F.one_hot(y, 5))            # a gradient per item
    exactly(torch.func.vmap(torch.func.grad(cross_entropy))(x, p), q - p)
    exactly(torch.func.vmap(lambda x, y: cross_entropy(x, y, weight=w, reduction='sum'))(x, y), cross_entropy(x, y, weight=w, reduction='none'))
    stack = torch.stack([x, x + 1, 2*x])                                                            # an ensemble on one batch
    exactly(torch.func.vmap(cross_entropy, in_dims=(0, None))(stack, y), torch.stack([F.cross_entropy(s, y) for s in stack]))
    hessian = torch.func.hessian(lambda x: cross_entropy(x, y[0]))(x[0])                            # diag(q) - q q'
    exactly(hessian, q[0].diag() - q[0][:, None]*q[0])
    exactly(torch.func.vmap(functools.partial(nll_loss, reduction='sum'))(log_softmax(x), y), F.nll_loss(x.log_softmax(1), y, reduction='none'))
    exactly(torch.func.jvp(lambda x: cross_entropy(x, y), (x,), (p,))[1], (p*(q - F.one_hot(y, 5))).sum()/7)
    for fn, args in ((binary_cross_entropy_with_logits, (x, p)), (functools.partial(kl_div, reduction='sum'), (log_softmax(x), p))):
        exactly(torch.func.vmap(fn)(*args), torch.stack([fn(a, b) for a, b in zip(*args)]))

@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_autocast_computes_in_float32_as_torch_does(half):
    x, y, p, w = batch(dtype=half)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pairs = [(getattr(lib, 'cross_entropy')(x, y), getattr(lib, 'cross_entropy')(x, y, weight=w), lib.cross_entropy(x, p, label_smoothing=0.1), lib.nll_loss(x, y),
                  lib.kl_div(x, p, reduction='sum'), lib.binary_cross_entropy_with_logits(x, p), lib.softmax(x, dim=1), lib.cross_entropy(x.double(), y)) for lib in (losses, F)]
        for ours, want in zip(*pairs): assert ours.dtype == want.dtype; close(ours, want)
        logits = torch.nn.Linear(4, 5)(torch.randn(7, 4))
        assert logits.dtype == torch.bfloat16 and cross_entropy(logits, y).dtype == torch.float32

@pytest.mark.filterwarnings('ignore:.*mkldnn')
def test_autocast_is_asked_for_every_type_of_device_that_torch_knows():
    "Of a type without autocast PyTorch's own `is_autocast_enabled` raises"
    try: torch.device('nosuch')
    except RuntimeError as e: types = re.findall(r'\w+', str(e).split('Expected one of ')[1].split(' device type')[0])
    assert {'cpu', 'cuda', 'meta', 'mps'} <= {*types}
    for device in types:
        there = torch.amp.is_autocast_available(device)
        assert autocast_on(device) is False
        if there:
            before = torch.is_autocast_enabled(device)
            torch.set_autocast_enabled(device, True)
            try: assert autocast_on(device) is True
            finally: torch.set_autocast_enabled(device, before)

def test_needs_torch_alone():
    import subprocess, sys
    code = "import course_lib.losses, sys; print([m for m in ('fastai', 'matplotlib', 'pandas', 'scipy', 'sklearn', 'torchvision') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'

# Mutants: plausible mistakes in cross_entropy. Each must fail every check named for it, and ours must pass it.

def variant(log_q=None, soft_dim=None, mean='weights', smooth=None, keep_ignored=False, ignored_in_mean=False, pick=None, weight_on=True, swap=False, half_grad=False, sign=1):
    "A cross-entropy written the long way, right unless one of its parts is replaced"
    def ce(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0):
        single = input.dim() == 1
        x, t = (input[None], target[None]) if single else (input, target)
        c = x.shape[1]
        logs = (log_q or (lambda x, d: F.log_softmax(x, d)))(x, soft_dim if soft_dim is not None else 1)
        w = torch.ones(c, dtype=x.dtype) if weight is None or not weight_on else weight
        column = w.view(-1, *[1]*(x.dim() - 2))
        if target.shape == input.shape:
            p = t*(1 - label_smoothing) + label_smoothing/c if smooth is None else smooth(t, label_smoothing, c)
            loss = -((p.clamp(min=1e-12).log()*logs.exp()) if swap else p*logs*column).sum(1)
            out = loss if reduction == 'none' else loss.sum() if reduction == 'sum' else loss.mean()
            return out.squeeze(0) if single and reduction == 'none' else out
        kept = (t != ignore_index) | keep_ignored
        y = t.where((t >= 0) & (t < c), 0)
        p = F.one_hot(y, c).movedim(-1, 1).to(x.dtype)
        p = p*(1 - label_smoothing) + label_smoothing/c if smooth is None else smooth(p, label_smoothing, c)
        loss = -(p*logs*column).sum(1) if pick is None else -pick(logs, y)*w[y]
        loss = sign*loss.where(kept, 0)
        if reduction == 'none': out = loss
        elif reduction == 'sum': out = loss.sum()
        else:
            divisor = {'weights': (w[y]*kept).sum(), 'rows': kept.sum(), 'first dim': len(x)*torch.ones(())}[mean]
            out = loss.sum()/(loss.numel() if ignored_in_mean else divisor)
        return out.squeeze(0) if single and reduction == 'none' else out
    return ce

def no_shift(x, d): return x - x.exp().sum(d, keepdim=True).log()
def log_of_softmax(x, d): return F.softmax(x, d).log()
def eps_in_log(x, d): return (F.softmax(x, d) + 1e-8).log()
def clipped(x, d): return F.log_softmax(x, d).clamp(min=-100)
def softmax_twice(x, d): return F.log_softmax(F.softmax(x, d), d)
def shift_with_gradient_cut(x, d): return x - x.detach().logsumexp(d, keepdim=True)
def global_shift(x, d): z = x - x.detach().max() if x.numel() else x; return z - z.exp().sum(d, keepdim=True).log()
def two_to_the(x, d): return F.log_softmax(x, d)/math.log(2)
def over_the_others(p, eps, c): return p*(1 - eps) + (1 - p)*eps/(c - 1)
def not_taken_from_the_right(p, eps, c): return p + eps/c
def select_columns(logs, y): return logs.index_select(1, y.flatten()[:1]).squeeze(1)
def sum_probabilities(logs, y): return logs.sum(1)

MUTANTS = {  # name: (the function, checks that catch it)
    'no max subtraction': (variant(log_q=no_shift), ['huge', 'confident_mistake']),
    'log of the softmax': (variant(log_q=log_of_softmax), ['huge', 'confident_mistake']),
    'log(p + eps)': (variant(log_q=eps_in_log), ['huge', 'confident_mistake', 'precise_when_right']),
    'log-probabilities clipped at -100': (variant(log_q=clipped), ['huge', 'confident_mistake']),
    'one maximum for the whole batch': (variant(log_q=global_shift), ['huge']),
    'softmax twice': (variant(log_q=softmax_twice), ['by_hand', 'gradient', 'kl']),
    'softmax over the batch (wrong dim)': (variant(soft_dim=0), ['uniform', 'by_hand', 'gradient']),
    'softmax over the last dim': (variant(soft_dim=-1), ['dims']),
    'gradient of the normaliser cut': (variant(log_q=shift_with_gradient_cut), ['gradient']),
    'bits for nats': (variant(log_q=two_to_the), ['uniform', 'by_hand']),
    'mean over N with weights': (variant(mean='rows'), ['weights']),
    'mean over dim 0 only': (variant(mean='first dim'), ['reductions']),
    'ignored items in the divisor': (variant(ignored_in_mean=True), ['ignored']),
    'ignored items kept': (variant(keep_ignored=True), ['ignored', 'empty']),
    'weights forgotten': (variant(weight_on=False), ['weights']),
    'smoothing over C - 1': (variant(smooth=over_the_others), ['smoothing']),
    'smoothing added, not mixed': (variant(smooth=not_taken_from_the_right), ['smoothing']),
    'KL the wrong way round': (variant(swap=True), ['kl', 'one_hot']),
    'one column for every row': (variant(pick=select_columns), ['one_hot', 'gradient']),
    'all classes added up': (variant(pick=sum_probabilities), ['uniform', 'one_hot']),
    'sign forgotten': (variant(sign=-1), ['uniform', 'gradient']),
}

def fails(check, ce):
    try: CHECKS[check](ce)
    except (AssertionError, RuntimeError, IndexError): return True
    return False

def test_the_long_way_is_right():
    "Without a replaced part it passes every check: what fails in a mutant is the mutation"
    assert [c for c in CHECKS if fails(c, variant())] == []

@pytest.mark.parametrize('name', MUTANTS)
def test_mutant_is_caught(name):
    mutant, named = MUTANTS[name]
    assert [c for c in named if not fails(c, mutant)] == []

def test_every_check_earns_its_place(capsys):
    "Each check catches a mutant; the table of what catches what is printed"
    caught = {name: [c for c in CHECKS if fails(c, mutant)] for name, (mutant, _) in MUTANTS.items()}
    with capsys.disabled():
        print()
        for name, by in caught.items(): print(f'  {name:36} {", ".join(by)}')
    assert len(MUTANTS) >= 8 and all(caught.values())
    idle = set(CHECKS) - {c for by in caught.values() for c in by}
    assert not idle, idle


# What a loss keeps for the way back, and how it is found by those who look from outside

def bytes_kept(loss, x, *tensors, **options):
    "Bytes of memory that the loss keeps alive for backward beyond its own arguments, in units of the logits"
    given = {t.untyped_storage().data_ptr() for t in (x, *tensors, *options.values()) if isinstance(t, torch.Tensor)}
    kept = {}
    def pack(t):
        kept[t.untyped_storage().data_ptr()] = t
        return t
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t): loss(x, *tensors, **options)
    own = [t.untyped_storage().nbytes() for place, t in kept.items() if place not in given]
    return sum(own)/(x.numel()*x.element_size())

@pytest.mark.parametrize('smoothing', [0., 0.1])
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_no_more_is_kept_for_backward_than_torch_keeps(dtype, weighted, smoothing):
    x, y, p, w = batch(50, 400, dtype=dtype)
    x.requires_grad_()
    options = {'label_smoothing': smoothing} | ({'weight': w} if weighted else {})
    for target in (y, p):
        ours, theirs = [bytes_kept(loss, x, target, **options) for loss in (cross_entropy, F.cross_entropy)]
        assert ours <= theirs + 0.05 and theirs >= 1, (ours, theirs)  # a few numbers a row, beside whole rows

FAMILY = {  # every function of the family, on logits, labels and probabilities
    'softmax': lambda x, y, p: softmax(x, 1), 'log_softmax': lambda x, y, p: log_softmax(x, dim=1), 'entropy': lambda x, y, p: entropy(p, 1),
    'cross_entropy': lambda x, y, p: cross_entropy(x, y), 'soft targets': lambda x, y, p: cross_entropy(x, p, label_smoothing=0.1),
    'nll_loss': lambda x, y, p: nll_loss(x, y), 'kl_div': lambda x, y, p: kl_div(x, target=p, reduction='batchmean'),
    'binary': lambda x, y, p: binary_cross_entropy_with_logits(x, p), 'CrossEntropyLoss': losses.CrossEntropyLoss(label_smoothing=0.1),
    'BCEWithLogitsLoss': losses.BCEWithLogitsLoss(),
}

def called(name, x, y, p):
    loss = FAMILY[name]
    if isinstance(loss, torch.nn.Module): return loss(x, y if name == 'CrossEntropyLoss' else p)
    return loss(x, y, p)

@pytest.mark.parametrize('name', FAMILY)
def test_meta_tensors(name):
    x, y, p, _ = batch(4, 5, 3)
    want, got = called(name, x, y, p), called(name, *(t.to('meta') for t in (x, y, p)))
    assert got.is_meta and got.shape == want.shape and got.dtype == want.dtype

@pytest.mark.parametrize('name', FAMILY)
def test_fastai_batches(name):
    "The types that a fastai loader hands out, in every pair; the loss is a plain tensor"
    core = pytest.importorskip('fastai.torch_core')
    x, y, p, _ = batch(4, 5, 3, 2)
    want = called(name, x, y, p)
    for labels in (core.TensorCategory, core.TensorMask):
        a = x.as_subclass(core.TensorImage).requires_grad_()
        got = called(name, a, y.as_subclass(labels), p.as_subclass(core.TensorMultiCategory))
        assert type(got) is torch.Tensor and got.equal(want)
        if got.requires_grad: assert torch.autograd.grad(got.sum(), a)[0].shape == a.shape

@pytest.mark.parametrize('name', FAMILY)
def test_tracing_with_fx(name):
    "A model that holds the loss, or calls it, is traced with the loss as one node, and its code can be printed, run and copied"
    class Model(torch.nn.Module):
        def __init__(self): super().__init__(); self.net, self.loss = torch.nn.Linear(4, 4).double(), FAMILY[name]
        def forward(self, x, y, p): return called(name, self.net(x), y, p)
    x, y, p, _ = batch(6, 4)
    model = Model()
    traced = torch.fx.symbolic_trace(model)
    close(traced(x, y, p), model(x, y, p))
    assert sum(n.op == 'call_function' for n in traced.graph.nodes) == 1 and 'course_lib' in traced.code
    close(copy.deepcopy(traced)(x, y, p), model(x, y, p))

@pytest.mark.parametrize('fn', [softmax, log_softmax])
def test_softmax_with_a_dtype(fn):
    x = torch.tensor([[100, 0, 3], [1, 1, 2]])
    theirs = getattr(F, fn.__name__)
    for start in (torch.int64, torch.int32, torch.float32, torch.bfloat16):
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            got, want = fn(x.to(start), 1, dtype=dtype), theirs(x.to(start), 1, dtype=dtype)
            assert got.dtype == dtype; close(got, want)
    with pytest.raises(TypeError, match='x must be floating point, got torch.int64'): fn(x.float(), 1, dtype=torch.int64)
