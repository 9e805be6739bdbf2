"""The promise of `backbone`: a map of features [N, C, h/32, w/32], C its `n_features`, and most of the network in it; or a ValueError at once."""
import re
import warnings

import pytest
import timm
import torch
import torchvision
from torch import nn

warnings.filterwarnings('ignore')
pytest.importorskip('fastai.vision.all')
from fastai.vision.core import imagenet_stats  # noqa: E402

from course_lib.fine_tuning import backbone, learner  # noqa: E402
from tests.fine_tuning.test_fine_tuning import make_dls, quiet  # noqa: E402

TIMM = ('resnet10t', 'convnext_atto', 'swin_tiny_patch4_window7_224', 'swinv2_cr_tiny_ns_224', 'mambaout_femto', 'efficientvit_m0', 'nest_tiny',
        'maxvit_rmlp_pico_rw_256', 'inception_v3', 'efficientnet_b2_pruned', 'vgg11', 'hgnet_tiny', 'test_vit', 'mixer_s32_224', 'qwen3_vit_88m_enc')
TORCHVISION = ('alexnet', 'convnext_tiny', 'densenet121', 'efficientnet_b0', 'efficientnet_v2_s', 'googlenet', 'inception_v3', 'maxvit_t', 'mnasnet0_5',
               'mobilenet_v2', 'mobilenet_v3_large', 'mobilenet_v3_small', 'regnet_x_400mf', 'regnet_y_400mf', 'resnet18', 'resnet50', 'resnext50_32x4d',
               'shufflenet_v2_x0_5', 'squeezenet1_0', 'squeezenet1_1', 'swin_t', 'swin_v2_t', 'vgg11', 'vgg13_bn', 'vgg16', 'vgg19_bn', 'vit_b_16',
               'vit_b_32', 'wide_resnet50_2')  # of each family the smallest, and whatever is cut elsewhere; the deeper ones are `slow`
ONE_VECTOR = 'one vector', 'cannot be a body'


@pytest.fixture(autouse=True)
def regnets_count_on_the_cpu(monkeypatch):
    "torchvision works out a RegNet's widths with tensors, and reads them: that cannot be done on the meta device"
    params = torchvision.models.regnet.BlockParams
    real = params.from_init_params.__func__
    def on_the_cpu(cls, *args, **kwargs):
        with torch.device('cpu'): return real(cls, *args, **kwargs)
    monkeypatch.setattr(params, 'from_init_params', classmethod(on_the_cpu))


def torchvision_names(): return torchvision.models.list_models(module=torchvision.models)


def promised(arch):
    "True if the promise is kept, False if the body was refused with a ValueError; measured on meta tensors, two pictures of unequal numbers"
    with torch.device('meta'):
        try: body = backbone(arch, None).eval()
        except ValueError as e:
            assert any(w in str(e) for w in (*ONE_VECTOR, 'parameters')), e
            return False
        side = timm.get_pretrained_cfg(arch).input_size[-1] if isinstance(arch, str) else 224
        with torch.no_grad(): y = body(torch.zeros(2, 3, side, side))
    assert y.ndim == 4 and y.shape[:2] == (2, body.n_features), (arch, y.shape, body.n_features)
    assert max(y.shape[2:]) <= side/16, (arch, y.shape)
    made_for = timm.get_pretrained_cfg(arch) if isinstance(arch, str) else None
    mean, std = (made_for.mean, made_for.std) if made_for else imagenet_stats
    assert body.stats == (tuple(mean), tuple(std))
    if callable(arch):
        whole = torchvision.models.get_model_weights(arch.__name__).DEFAULT.meta['num_params']
        assert sum(p.numel() for p in body.parameters()) > whole/10
    return True


@pytest.mark.parametrize('arch', TIMM)
def test_promise_timm(arch):
    assert promised(arch) == (arch not in ('test_vit', 'mixer_s32_224', 'qwen3_vit_88m_enc'))


def promise_torchvision(name):
    refused = name in ('alexnet', 'vgg11', 'vgg11_bn', 'vgg13', 'vgg13_bn') or name.startswith(('vit_', 'maxvit', 'googlenet', 'inception'))
    assert promised(getattr(torchvision.models, name)) != refused


@pytest.mark.parametrize('name', TORCHVISION)
def test_promise_torchvision(name): promise_torchvision(name)


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted({*torchvision_names()} - {*TORCHVISION}))
def test_promise_of_the_others_of_torchvision(name): promise_torchvision(name)


def test_every_family_of_torchvision_is_tried():
    family = lambda name: re.match('[a-z]+(_v2|_x|_y|_v3_large|_v3_small)?', name)[0]
    assert {family(n) for n in torchvision_names()} == {family(n) for n in TORCHVISION}


@pytest.mark.slow
def test_promise_all_of_timm(counted):
    kept = [promised(n) for n in timm.list_models() if not n.startswith('hf')]
    counted(f"timm's {len(kept)} architectures: {sum(kept)} bodies with a map of features, {len(kept) - sum(kept)} refused by name")
    assert sum(kept) > 900


def features_in_the_whole(name, x):
    "What the last child that the body keeps gives inside the whole torchvision network, and what the body makes of the same picture"
    torch.manual_seed(0)
    body = backbone(getattr(torchvision.models, name), None).eval()
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    count = len([c for c in body if next(c.parameters(), None) is not None])
    kept = [c for c in model.children() if next(c.parameters(), None) is not None]
    seen = []
    kept[count - 1].register_forward_hook(lambda m, i, y: seen.append(y.clone()))
    with torch.no_grad():
        model(x)
        return seen[-1], body(x)


SMALL = ('resnet18', 'shufflenet_v2_x0_5', 'mobilenet_v3_small', 'mnasnet0_5', 'regnet_y_400mf', 'densenet121', 'squeezenet1_1', 'efficientnet_b0')


@pytest.mark.parametrize('name', SMALL)
def test_a_torchvision_body_computes_what_the_whole_network_does(name):
    inner, ours = features_in_the_whole(name, torch.randn(2, 3, 64, 64))
    assert torch.allclose(inner, ours, atol=1e-5)


def test_known_bodies_are_cut_where_fastai_cuts():
    from fastai.vision.learner import create_body, model_meta
    for f in (torchvision.models.resnet18, torchvision.models.squeezenet1_1, torchvision.models.densenet121):
        assert [str(c) for c in backbone(f, None)] == [str(c) for c in create_body(f(weights=None), cut=model_meta[f]['cut'])]


def test_channels_last_learns():
    learn = quiet(learner(make_dls(size=64), 'mambaout_femto', weights=None), lambda l: l.fit(1, 1e-3))
    x = learn.dls.one_batch()[0]
    rows = learn.model[0].model.forward_features(x)
    assert rows.shape[-1] == learn.model[0].n_features  # timm's own order
    assert learn.model[0](x).shape == (len(x), learn.model[0].n_features, 2, 2)
    assert learn.model[0].eval()(x).equal(learn.model[0].model.forward_features(x).permute(0, 3, 1, 2))


def test_a_network_that_pools_itself_learns_and_is_no_backbone():
    with pytest.raises(ValueError, match="'test_vit' gives one vector .* learner"): backbone('test_vit', None)
    learn = quiet(learner(make_dls(size=160), 'test_vit', weights=None), lambda l: l.fit(1, 1e-3))
    assert learn.model[0](learn.dls.one_batch()[0]).ndim == 2 and learn.model[0].pooled


def test_looking_at_a_body_changes_nothing():
    body = backbone('lcnet_050', None)
    assert body.training and all(m.training for m in body.modules())
    assert all(int(m.num_batches_tracked) == 0 for m in body.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(type(p) is nn.Parameter and p.grad is None for p in body.parameters())
    torch.manual_seed(0)
    first = backbone('lcnet_050', None)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    timm.create_model('lcnet_050', num_classes=0)
    assert torch.rand(1) == drawn  # no random number is drawn beside those of the weights
    assert first is not body


def resnet18(**kwargs): return nn.Sequential(nn.Conv2d(3, 8, 3))


@pytest.mark.parametrize('arch', [resnet18, torchvision.models.quantization.resnet18, nn.Sequential(nn.Conv2d(3, 8, 3)), nn.Linear, torchvision.models.segmentation.fcn_resnet50], ids=str)
def test_a_function_of_ones_own_is_not_taken_for_the_one_of_that_name(arch):
    with pytest.raises(ValueError, match='function of torchvision.models or timm, got'): backbone(arch, None)


def test_a_function_of_timm_is_what_its_name_gives():
    assert list(backbone(timm.models.resnet.resnet18, None).state_dict()) == list(backbone('resnet18', None).state_dict())
    for bad in (18, None, b'resnet18'):
        with pytest.raises(ValueError, match="a name such as 'resnet18', got"): backbone(bad, None)
