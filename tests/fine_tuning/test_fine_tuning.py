"Fine-tuning: every rule equals what fastai did in a recorded run, and what does not fit is refused by name"
import math
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from torch import nn

warnings.filterwarnings('ignore')
fv = pytest.importorskip('fastai.vision.all')
from course_lib.core import asset  # noqa: E402
from course_lib.fine_tuning import (LayerCount, StepRecorder, backbone, compare_archs, discriminative_lrs, layer_count,  # noqa: E402
                                    learner, load_weights, param_groups, schedule, step_memory)
from course_lib.lr_finder import find_lr  # noqa: E402
from fastai.callback.training import GradientAccumulation  # noqa: E402

CLASSES = ['c', 'a', 'b']


def make_dls(n=48, size=32, seed=0, tfms=()):
    "Noisy pictures of three colours, in memory"
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.integers(0, 120, (n, size, size, 3))
    x[np.arange(n), :, :, y] += 100
    pictures = [fv.PILImage.create(a.astype('uint8')) for a in x]
    block = fv.DataBlock((fv.ImageBlock, fv.CategoryBlock), get_x=lambda i: pictures[i], get_y=lambda i: CLASSES[y[i]],
                         splitter=fv.IndexSplitter(range(n - 12, n)), batch_tfms=list(tfms))
    return block.dataloaders(list(range(n)), bs=12, num_workers=0)


def quiet(learn, run):
    with learn.no_bar(), learn.no_logging(): run(learn)
    return learn


class Spy:
    "Writes down what the optimizer itself holds at each step, not through the recorder"
    def __init__(self, learn):
        if learn.opt is None: learn.create_opt()
        self.rows, step, opt = [], learn.opt.step, learn.opt
        def spied(*args):
            self.rows.append([(h['lr'], h['mom'], all(p.requires_grad for p in ps)) for h, ps in zip(opt.hypers, opt.param_lists)])
            return step(*args)
        learn.opt.step = spied


def cosine(a, b, p): return a + (b - a)*(1 - math.cos(math.pi*p))/2


def one_cycle(peak, steps, pct_start=0.25, div=25., div_final=1e5):
    "The rate of each step, written anew from the paper's picture"
    return [cosine(peak/div, peak, i/steps/pct_start) if i/steps < pct_start else cosine(peak, peak/div_final, (i/steps - pct_start)/(1 - pct_start))
            for i in range(steps)]


def momenta(steps, pct_start, moms=(0.95, 0.85, 0.95)):
    return [cosine(moms[0], moms[1], i/steps/pct_start) if i/steps < pct_start else cosine(moms[1], moms[2], (i/steps - pct_start)/(1 - pct_start))
            for i in range(steps)]


def recorded(learn, column): return learn.step_recorder.to_frame().pivot(index='step', columns='group', values=column).to_numpy()


@pytest.mark.parametrize('kw', [{}, dict(freeze_epochs=2, lr_mult=20, pct_start=0.5, div=3.), dict(base_lr=0.01, div_final=50.)])
def test_fine_tune_is_a_frozen_cycle_and_an_open_one(kw):
    torch.manual_seed(0)
    learn = learner(make_dls())
    spy = Spy(learn)
    quiet(learn, lambda l: l.fine_tune(2, **kw))
    base, n = kw.get('base_lr', 2e-3), len(learn.dls.train)
    a, b = kw.get('freeze_epochs', 1)*n, 2*n
    final = {k: v for k, v in kw.items() if k == 'div_final'}
    frozen = [one_cycle(r, a, 0.99, **final) for r in (base/10, base/10, base)]
    mult = kw.get('lr_mult', 100)
    opened = [one_cycle(r, b, kw.get('pct_start', 0.3), kw.get('div', 5.), **final) for r in (base/2/mult, base/2/mult**0.5, base/2)]
    want = np.concatenate([np.array(frozen).T, np.array(opened).T])
    assert want.shape == (a + b, 3)
    for source in (recorded(learn, 'lr'), np.array([[g[0] for g in row] for row in spy.rows])):
        np.testing.assert_allclose(source, want, rtol=1e-6)
    mom = np.array(momenta(a, 0.99) + momenta(b, kw.get('pct_start', 0.3)))
    for g in range(3): np.testing.assert_allclose(recorded(learn, 'mom')[:, g], mom, rtol=1e-6)
    is_frozen = np.array([[True, True, False]]*a + [[False]*3]*b)
    assert (recorded(learn, 'frozen') == is_frozen).all() and ([[not g[2] for g in row] for row in spy.rows] == is_frozen).all()
    f = learn.step_recorder.to_frame()
    assert f.fit.tolist() == [0]*3*a + [1]*3*b and f[f.fit == 1].epoch.tolist() == [e for e in (0, 1) for _ in range(3*n)]


@pytest.mark.parametrize('lr', [0.003, slice(0.01), slice(1e-5, 1e-2), [1e-4, 1e-3, 2e-3]])
def test_fit_one_cycle_spreads_rates_by_the_rule(lr):
    learn = quiet(learner(make_dls()), lambda l: l.fit_one_cycle(2, lr if not isinstance(lr, list) else np.array(lr), pct_start=0.4))
    n = 2*len(learn.dls.train)
    want = np.array([one_cycle(r, n, 0.4) for r in discriminative_lrs(lr, 3)]).T
    np.testing.assert_allclose(recorded(learn, 'lr'), want, rtol=1e-6)
    assert recorded(learn, 'frozen')[:, :2].all() and not recorded(learn, 'frozen')[:, 2].any()


def test_the_record_agrees_with_fastais_own():
    learn = quiet(learner(make_dls()), lambda l: l.fit_one_cycle(2, slice(1e-4, 1e-2)))
    assert recorded(learn, 'lr')[:, -1].tolist() == learn.recorder.hps['lr'] == learn.recorder.lrs
    assert recorded(learn, 'mom')[:, -1].tolist() == learn.recorder.hps['mom']


@pytest.mark.parametrize('n, moving', [(-1, {2}), (-2, {1, 2}), (0, {0, 1, 2}), (1, {1, 2}), (2, {2})])
@pytest.mark.parametrize('train_bn', [True, False])
def test_freeze_to_and_who_moves(n, moving, train_bn):
    learn = learner(make_dls(), train_bn=train_bn)
    learn.freeze_to(n)
    groups = learn.opt.param_lists
    norms = {id(p) for m in learn.model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    before = [[p.detach().clone() for p in g] for g in groups]
    quiet(learn, lambda l: l.fit(1, 1e-2))
    for g, (old, new) in enumerate(zip(before, groups)):
        for a, b in zip(old, new):
            assert (not a.equal(b.to(a.device))) == (g in moving or (train_bn and id(b) in norms)), (g, a.shape)
    table = param_groups(learn)
    assert set(table.depth[~table.frozen]) == moving
    assert {g for g in range(3) if not recorded(learn, 'frozen')[:, g].any()} == moving
    assert recorded(learn, 'trainable')[0].tolist() == table.trainable.tolist()


def even(lo, hi): return st.floats(lo, hi, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(lr=st.one_of(even(1e-8, 10), st.builds(slice, even(1e-8, 10)), st.builds(slice, even(1e-8, 10), even(1e-8, 10)),
                    st.builds(slice, st.just(0), even(1e-8, 10))), n=st.integers(1, 7))
def test_discriminative_lrs_are_what_fastais_optimizer_holds(lr, n):
    opt = fv.SGD([[nn.Parameter(torch.zeros(1))] for _ in range(n)], lr=1.)
    opt.set_hyper('lr', lr)
    assert discriminative_lrs(lr, n) == pytest.approx([h['lr'] for h in opt.hypers], rel=1e-12)


def test_discriminative_lrs_by_hand_and_refused():
    assert discriminative_lrs(slice(1e-5, 1e-3), 3) == pytest.approx([1e-5, 1e-4, 1e-3])
    assert discriminative_lrs(slice(0.1), 3) == pytest.approx([0.01, 0.01, 0.1])
    assert discriminative_lrs([1, 2], 2) == [1, 2] and discriminative_lrs(np.array([3.]), 2) == [3, 3]
    for bad, n, says in [(slice(None), 3, 'slice'), (slice(1, 2, 3), 3, 'slice'), ([1, 2], 3, '2 rates.*3 parameter groups'), (0., 2, 'above 0'),
                         (slice(-1e-3, 1e-2), 2, 'above 0'), (slice(1e-3, -1e-2), 2, 'above 0'), (1e-3, 0, 'n must be')]:
        with pytest.raises(ValueError, match=says): discriminative_lrs(bad, n)


@pytest.mark.parametrize('arch', ['lcnet_050', torchvision.models.resnet18, torchvision.models.squeezenet1_1])
@pytest.mark.parametrize('kw', [{}, dict(ps=0.1, lin_ftrs=[20], concat_pool=False, bn_final=True)])
def test_learner_is_vision_learner(arch, kw):
    dls, learners = make_dls(), []
    for f in (lambda: fv.vision_learner(dls, arch, pretrained=False, **kw), lambda: learner(dls, arch, weights=None, normalize=False, **kw)):
        torch.manual_seed(3)
        learners.append(f())
    a, b = (l.model.state_dict() for l in learners)
    assert list(a) == list(b) and all(a[k].equal(b[k]) for k in a)
    assert [[p.shape for p in g] for g in learners[0].splitter(learners[0].model)] == [[p.shape for p in g] for g in learners[1].splitter(learners[1].model)]
    assert str(learners[0].model[1]) == str(learners[1].model[1])
    x = torch.randn(2, 3, 64, 64)
    assert learners[0].model.eval()(x).equal(learners[1].model.eval()(x))


def test_custom_head_loss_and_vocab():
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 3))
    loss = fv.LabelSmoothingCrossEntropyFlat()
    learn = learner(make_dls(), custom_head=head, loss_func=loss, lr=0.01, metrics=[fv.accuracy, fv.error_rate], cbs=GradientAccumulation(24))
    assert learn.model[1] is head and learn.loss_func is loss and learn.lr == 0.01 and learn.n_out == 3
    assert list(learn.dls.vocab) == ['a', 'b', 'c']
    quiet(learn, lambda l: l.fit(1))
    assert recorded(learn, 'lr').shape == (1, 3)  # two batches of 12 make one step, the third is left over


def test_embedded_weights_are_the_file_and_frozen():
    from safetensors.torch import load_file
    learn = learner(make_dls())
    stored = {k: v for k, v in load_file(asset('resnet10.safetensors')).items() if not k.startswith('fc.')}
    own = learn.model[0].model.state_dict()
    assert stored.keys() == own.keys() and all(stored[k].to(own[k].dtype).equal(own[k]) for k in own)
    assert own['conv1.0.weight'].dtype == torch.float32
    table = param_groups(learn)
    assert table.frozen.tolist() == [True, True, False] and not param_groups(learner(make_dls(), weights=None)).frozen.any()
    assert table.parameters.sum() == sum(p.numel() for p in learn.model.parameters())
    assert table.layers.sum() == sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in learn.model.modules())
    assert param_groups(learn.model).parameters.tolist() == [table.parameters[:2].sum(), table.parameters[2]]
    net, groups = learn.model[0].model, learn.opt.param_lists
    assert groups[0][0] is net.conv1[0].weight and any(p is net.layer3[0].conv1.weight for p in groups[1]) and any(p is net.layer2[0].conv2.weight for p in groups[0])
    body = backbone('resnet10')
    assert body.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, body.n_features, 2, 2)
    assert not body(torch.zeros(2, 3, 64, 64)).equal(backbone('resnet10', None)(torch.zeros(2, 3, 64, 64)))


def test_normalisation_is_that_of_the_weights():
    def norms(l): return [f for f in l.dls.after_batch.fs if isinstance(f, fv.Normalize)]
    for weights in ('embedded', None):
        learn = learner(make_dls(), weights=weights)
        assert len(norms(learn)) == 1 and norms(learn)[0].mean.flatten().tolist() == pytest.approx(learn.model[0].stats[0])
        x = fv.TensorImage(torch.full((1, 3, 2, 2), 0.5, device=norms(learn)[0].mean.device))
        want = (0.5 - torch.tensor(learn.model[0].stats[0]))/torch.tensor(learn.model[0].stats[1])
        assert norms(learn)[0](x)[0, :, 0, 0].cpu().tolist() == pytest.approx(want.tolist(), abs=1e-5)
    same = make_dls()
    for _ in range(2): assert len(norms(learner(same))) == 1
    with pytest.raises(ValueError, match='normalises with mean and std .*0.5'): learner(make_dls(tfms=[fv.Normalize.from_stats([0.5]*3, [0.5]*3)]))
    assert norms(learner(make_dls(), normalize=False)) == []
    plain = fv.DataLoaders(fv.DataLoader([(torch.zeros(3, 32, 32), 0)]*4, bs=2), fv.DataLoader([(torch.zeros(3, 32, 32), 0)]*4, bs=2))
    with pytest.raises(TypeError, match='normalize=False'): learner(plain, n_out=2, loss_func=nn.CrossEntropyLoss())
    learner(plain, n_out=2, loss_func=nn.CrossEntropyLoss(), normalize=False)


def test_what_is_unknown_is_named():
    for arch, near in [('resnet1O', 'resnet10'), ('ResNet-18', 'resnet18'), ('mobilenetv2_10', 'mobilenetv2_100'), ('squeezenet10', 'squeezenet1_0')]:
        with pytest.raises(ValueError, match=f'no architecture .{arch}.*{near}'): backbone(arch, None)
    with pytest.raises(ValueError, match='no architecture.*list_models'): layer_count('zzzzzzzz')
    with pytest.raises(ValueError, match='no embedded weights for .resnet18.*imagenet.*None'): learner(make_dls(), 'resnet18')
    with pytest.raises(ValueError, match='never trained on ImageNet'): backbone('resnet10', 'imagenet')
    with pytest.raises(ValueError, match="weights must be.*'imagnet'"): backbone('resnet18', 'imagnet')
    with pytest.raises(TypeError, match="'metric'.*did you mean 'metrics'"): learner(make_dls(), metric=fv.accuracy)
    with pytest.raises(ValueError, match='function of torchvision'): backbone(print, None)


def test_no_network_is_said_and_nothing_else_is_loaded(monkeypatch):
    monkeypatch.delenv('COURSE_LIB_DATA', raising=False)
    real = timm.create_model
    def offline(name, pretrained=False, **kw):
        if pretrained: raise OSError('no route to host')
        return real(name, **kw)
    monkeypatch.setattr(timm, 'create_model', offline)
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', lambda *a, **k: offline('', True) if k['weights_only'] else None)
    for arch in ('lcnet_050', 'mobilenetv2_100', torchvision.models.resnet18, 'mobilenet_v2'):
        with pytest.raises(FileNotFoundError, match='no route to host.*COURSE_LIB_DATA.*embedded.*None'): backbone(arch, 'imagenet')


def test_weights_of_another_architecture_are_refused_by_tensor(tmp_path):
    net = lambda wide=4, bias=True: nn.Sequential(nn.Linear(3, wide, bias=bias), nn.Linear(wide, 2))  # noqa: E731
    with pytest.raises(ValueError, match=r"'0.weight' has shape \[5, 3\], the model wants \[4, 3\]"): load_weights(net(), net(5).state_dict())
    with pytest.raises(ValueError, match=r"no tensor '0.bias', which the model has with shape \[4\]"): load_weights(net(), net(bias=False).state_dict())
    with pytest.raises(ValueError, match=r"'0.bias' with shape \[4\], which the model has not"): load_weights(net(bias=False), net().state_dict())
    turned = net().state_dict() | {'0.weight': torch.zeros(3, 4)}
    with pytest.raises(ValueError, match=r"'0.weight' has shape \[3, 4\], the model wants \[4, 3\]"): load_weights(net(), turned)
    target, state = net(), net().state_dict()
    old = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(ValueError): load_weights(target, state | {'1.bias': torch.zeros(3)})
    assert all(v.equal(old[k]) for k, v in target.state_dict().items())  # refused weights change nothing
    load_weights(target, state | {'fc.weight': torch.zeros(1)}, skip=['fc.'])
    assert all(v.equal(state[k]) for k, v in target.state_dict().items())
    torch.save(timm.create_model('resnet10t').state_dict(), tmp_path/'wide.pth')
    with pytest.raises(ValueError, match=r"wide.pth: tensor 'layer1.0.conv1.weight' has shape \[64, 64, 3, 3\], the model wants \[32, 64, 3, 3\]"):
        learner(make_dls(), weights=tmp_path/'wide.pth')
    own = timm.create_model('lcnet_050')
    torch.save(own.state_dict(), tmp_path/'own.pth')
    assert backbone('lcnet_050', tmp_path/'own.pth').model.conv_stem.weight.equal(own.conv_stem.weight)
    assert param_groups(learner(make_dls(), 'lcnet_050', tmp_path/'own.pth')).frozen.tolist() == [True, False]


class Evil:
    def __reduce__(self): return (open, ('stolen', 'w'))


def test_a_pth_file_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'conv1.weight': torch.zeros(1), 'x': Evil()}, 'evil.pth')
    with pytest.raises(ValueError, match='evil.pth holds more than tensors'): backbone('resnet18', 'evil.pth')
    assert not (tmp_path/'stolen').exists()
    torch.save([torch.zeros(1)], 'list.pth')
    with pytest.raises(ValueError, match='list.pth must hold tensors by name, it holds list'): backbone('resnet18', 'list.pth')
    (tmp_path/'weights.zip').write_bytes(b'')
    with pytest.raises(ValueError, match='weights.zip is empty'): backbone('resnet18', 'weights.zip')


@pytest.mark.parametrize('depth, shortcuts', [(18, 3), (34, 3), (50, 4), (101, 4), (152, 4)])
def test_layers_of_resnets(depth, shortcuts):
    for arch in (f'resnet{depth}', getattr(torchvision.models, f'resnet{depth}')):
        assert layer_count(arch) == LayerCount(depth, shortcuts) and layer_count(arch).total == depth + shortcuts


def test_layers_of_others_and_nothing_left_behind():
    assert layer_count('vgg16').main == 16 and layer_count('densenet121') == LayerCount(121, 0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.Linear(5, 2, bias=False))
    assert layer_count(model) == LayerCount(3, 0)
    assert model.training and all(p.grad is None for p in model.parameters()) and model[1].num_batches_tracked == 0
    with torch.no_grad(): assert layer_count(model) == LayerCount(3, 0)

    class Product(nn.Module):
        "A matrix product of values alone, and a branch that is shorter"
        def __init__(self):
            super().__init__()
            self.a, self.b, self.side = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(3, 4)
        def forward(self, x):
            x = x.mean((2, 3))
            h = self.b(self.a(x).relu()) + self.side(x)
            return h @ h.T
    assert layer_count(Product()) == LayerCount(2, 1)


@pytest.mark.parametrize('fails', [False, True])
def test_counting_layers_leaves_every_mode_as_it_was(fails):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9 if fails else 4, 2))
    model[1].eval()  # a batch norm that is frozen on purpose
    if fails:
        with pytest.raises(RuntimeError, match='shapes cannot be multiplied'): layer_count(model)
    else: assert layer_count(model) == LayerCount(2, 0)
    assert [m.training for m in model] == [True, False, True, True, True, True] and model.training
    assert model[1].num_batches_tracked == 0
    with pytest.raises(ValueError, match='no trainable parameter'): layer_count(nn.Sequential(nn.Conv2d(3, 4, 3)).requires_grad_(False))


def test_memory_is_counted_by_hand():
    model, x = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10)), torch.randn(8, 100)
    m = step_memory(model, x)
    n = 100*50 + 50 + 50*10 + 10
    assert (m['parameters'], m['gradients'], m['optimizer']) == (4*n, 4*n, 8*n)
    assert m['activations'] == 4*(8*100 + 8*50)  # what the two layers multiply; ReLU keeps the very same tensor as the second layer
    assert step_memory(model, x, optimizer_states=1)['optimizer'] == 4*n
    half = step_memory(model.bfloat16(), x.bfloat16())
    assert all(2*half[k] == m[k] for k in m)
    model.float()[0].requires_grad_(False)
    less = step_memory(model, x)
    assert less['activations'] == 4*8*50 and less['gradients'] == 4*(50*10 + 10) and less['parameters'] == m['parameters']
    with torch.no_grad(): assert step_memory(model, x) == less


def test_the_picture_shows_the_record():
    import matplotlib
    matplotlib.use('agg')
    learn = learner(make_dls())
    with pytest.raises(ValueError, match='train first'): schedule(learn)
    quiet(learn, lambda l: l.fine_tune(1))
    rates, mom, frozen = schedule(learn)
    f = learn.step_recorder.to_frame()
    curves = [l for l in rates.lines if len(l.get_xdata()) > 2]
    assert len(curves) == 6
    for g in range(3):
        drawn = np.concatenate([l.get_ydata() for l in curves[2*g:2*g + 2]])
        np.testing.assert_allclose(drawn, f[f.group == g].lr)
    boxes = sorted((p.vertices[:, 1].mean().round(), len(b.get_paths())) for b in frozen.collections for p in b.get_paths()[:1])
    n = len(learn.dls.train)
    assert [k for _, k in boxes] == [n, n, n, n, 2*n] and rates.get_yscale() == 'log'
    matplotlib.pyplot.close('all')
    other = fv.Learner(learn.dls, learn.model, splitter=learn.splitter)
    with pytest.raises(ValueError, match='add_cb'): schedule(other)
    other.add_cb(StepRecorder())
    quiet(other, lambda l: l.fit(1))
    assert len(schedule(other)) == 3
    matplotlib.pyplot.close('all')


def test_searching_a_rate_leaves_no_record(tmp_path):
    learn = learner(make_dls(), path=tmp_path)
    quiet(learn, lambda l: l.fit(1))
    before = list(learn.step_recorder.rows), learn.step_recorder.fits
    with learn.no_bar(), learn.no_logging():
        find_lr(learn, num_it=12)
        learn.lr_find(show_plot=False, num_it=12)
        learn.get_preds()
    assert (learn.step_recorder.rows, learn.step_recorder.fits) == before
    quiet(learn, lambda l: l.fit(1))
    assert len(learn.step_recorder.rows) == 2*len(before[0])


def test_comparing_trains_each_alone(monkeypatch):
    calls, fits = [], []
    fit = fv.Learner.fit
    monkeypatch.setattr(fv.Learner, 'fit', lambda self, n, *a, **k: (fits.append((id(self), n)), fit(self, n, *a, **k))[1])
    def make():
        calls.append(1)
        return make_dls()
    with pytest.raises(ValueError, match='no architecture'): compare_archs(['resnet10', 'resnet1o0'], make)
    with pytest.raises(ValueError, match='2 seeds'): compare_archs(['resnet10'], make, seeds=[0])
    assert not calls
    found = compare_archs(['resnet10', ('resnet10', None), ('lcnet_050', None)], make, epochs=1, lr=5e-3, seeds=(0, 1))
    assert list(found.table.index) == ['resnet10, embedded', 'resnet10, None', 'lcnet_050'] and '2 epochs' in found.budget
    t = found.table
    assert (t.low <= t.accuracy).all() and (t.accuracy <= t.high).all() and (t[['images/s', 'memory (MB)', 'seconds']] > 0).all(axis=None)
    assert t.parameters['lcnet_050'] == sum(p.numel() for p in learner(make_dls(), 'lcnet_050', None).model.parameters())
    assert (t.low >= 0).all() and (t.high <= 1).all()  # a share lies nowhere else
    assert {k: sum(v)/2 for k, v in found.scores.items()} == pytest.approx(t.accuracy.to_dict())
    assert 'resnet10, None' in found._repr_html_()
    assert t['memory (MB)']['resnet10, embedded'] == t['memory (MB)']['resnet10, None']  # what counts is the unfrozen network
    per_run = {}
    for who, n in fits: per_run[who] = per_run.get(who, 0) + n
    assert sum(per_run.values()) == 3*2*2  # three networks, two seeds, two epochs each
    again = compare_archs(['resnet10', ('resnet10', None), ('lcnet_050', None)], make, epochs=1, lr=5e-3, seeds=(0, 1))
    assert again.table.accuracy.tolist() == t.accuracy.tolist()  # measuring speed does not change what is learned
    ax = found.plot()
    assert {a.get_text() for a in ax.texts} == set(t.index) and any('2 epochs' in ax.get_title(side) for side in ('left', 'center', 'right'))
    timed = compare_archs([('lcnet_050', None)], make, seconds=0.5, seeds=(0, 1))
    assert '0.5 s' in timed.budget and timed.table.seconds.iloc[0] < 5


def test_a_learner_can_be_exported(tmp_path):
    learn = learner(fv.ImageDataLoaders.from_lists(tmp_path, _files(tmp_path), ['a', 'b']*4, bs=2, num_workers=0, valid_pct=0.5))
    quiet(learn, lambda l: l.fit(1))
    learn.export(tmp_path/'model.pkl')
    assert (tmp_path/'model.pkl').stat().st_size > 1e6


def _files(folder):
    out = []
    for i in range(8):
        out.append(folder/f'{i}.png')
        fv.PILImage.create(np.full((32, 32, 3), 20*i, 'uint8')).save(out[-1])
    return out


@pytest.mark.real
@pytest.mark.parametrize('arch', ['mobilenetv2_100', 'mobilenet_v2', torchvision.models.squeezenet1_0])
def test_imagenet_weights_from_files(real_data, arch, capsys):
    body = backbone(arch, 'imagenet')
    assert 'ImageNet weights from COURSE_LIB_DATA' in capsys.readouterr().out
    assert body.stats[0] == pytest.approx((0.485, 0.456, 0.406)) and body.eval()(torch.randn(1, 3, 64, 64)).isfinite().all()
    learn = quiet(learner(make_dls(size=64), arch, 'imagenet', metrics=fv.accuracy), lambda l: l.fine_tune(1, 5e-3))
    assert param_groups(learn).frozen.sum() == 0 and len(learn.step_recorder.rows) > 0


@pytest.mark.real
def test_the_padding_belongs_to_the_weights(real_data):
    body = backbone('mobilenetv2_100', 'imagenet')
    assert type(body.model.conv_stem).__name__ == 'Conv2dSame'
    file = real_data/'weights'/'mobilenet_v2-tvlayout-from-tflite.pth'
    with pytest.raises(ValueError, match="holds no tensor 'conv_stem.weight'"): backbone('mobilenetv2_100', file)


@pytest.mark.cuda
def test_half_precision_on_a_gpu():
    learn = quiet(learner(make_dls()).to_fp16(), lambda l: l.fine_tune(1))
    assert next(learn.model.parameters()).dtype == torch.float32 and next(learn.model.parameters()).is_cuda
    assert recorded(learn, 'lr').shape[1] == 3
