"""`UNet` on bodies of timm, torchvision and our own: an answer for every pixel, for sizes that nothing divides."""
import copy
import warnings

import pytest
import torch
from torch import nn

from course_lib.segmentation import UNet

warnings.filterwarnings("ignore")


class Stages(nn.Module):
    "An encoder of our own, not a Sequential: halves three times, with a residual block whose inside must not be tapped"
    def __init__(self, n_in=3):
        super().__init__()
        self.stem = nn.Conv2d(n_in, 6, 3, 2, 1)
        self.first, self.second = Block(6, 10), Block(10, 14)

    def forward(self, x): return self.second(self.first(self.stem(x)))


class Block(nn.Module):
    "Halves: the inner convolution works at the old size with twice the channels"
    def __init__(self, a, b):
        super().__init__()
        self.wide, self.down, self.short = nn.Conv2d(a, 2*b, 1), nn.Conv2d(2*b, b, 3, 2, 1), nn.Conv2d(a, b, 1, 2)

    def forward(self, x): return torch.relu(self.down(self.wide(x).relu_()) + self.short(x))


class Last(Stages):
    "The same with the channels of its maps last, as some transformers have them"
    def __init__(self):
        super().__init__()
        self.turn, self.also = Turn(), Turn()

    def forward(self, x):
        x = self.also(self.first(self.stem(x)))
        return self.turn(self.second(x.permute(0, 3, 1, 2)))


class Turn(nn.Module):
    def forward(self, x): return x.permute(0, 2, 3, 1)


def widths(net): return [(t.place[0], t.width) for t in net.taps]


def test_the_end_of_each_stage_is_joined_and_the_picture_last():
    assert widths(UNet(Stages(), (8, 8, 8), 2)) == [("first", 10), ("stem", 6), ("", 3)]
    net = UNet(Last(), (8, 8), 2)
    assert widths(net) == [("also", 10), ("stem", 6)] and net.taps[0].channels_last and net.channels_last
    assert net(torch.randn(2, 3, 21, 30)).shape == (2, 2, 21, 30)


def test_the_joined_map_is_the_one_that_the_encoder_makes():
    net = UNet(Stages(), (8,), 2).eval()
    seen, x = [], torch.randn(1, 3, 20, 20)
    net.steps[0].register_forward_hook(lambda module, args, out: seen.append(args[1]))
    net(x)
    assert seen[0].equal(net.encoder.first(net.encoder.stem(x)))


@pytest.mark.parametrize("n_in", [1, 3, 5])
@pytest.mark.parametrize("size", [(8, 8), (33, 47), (40, 9)])
def test_any_size_and_any_number_of_channels(n_in, size):
    net = UNet(Stages(n_in), (8, 8, 4), 3, n_in=n_in)
    y = net(torch.randn(2, n_in, *size))
    assert y.shape == (2, 3, *size)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters() if p.dim() > 1)


def test_looking_at_the_encoder_changes_nothing_and_leaves_no_hook():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 4, 3, 2, 1))
    encoder[1].eval()
    before, state = copy.deepcopy(encoder.state_dict()), torch.get_rng_state()
    UNet(encoder, (4,), 2)
    torch.set_rng_state(state)
    assert encoder.training and encoder[2].training and not encoder[1].training
    assert all(v.equal(before[k]) for k, v in encoder.state_dict().items())
    assert all(type(p) is nn.Parameter for p in encoder.parameters())
    net = UNet(encoder, (4,), 2)
    with pytest.raises(RuntimeError): net.eval()(torch.zeros(1, 3, 8, 8, dtype=torch.float16).double())
    assert not any(m._forward_hooks for m in net.modules())
    x = torch.randn(2, 3, 9, 9)
    assert copy.deepcopy(net)(x).equal(net(x))


def test_it_learns_where_a_square_is():
    x = torch.zeros(8, 1, 16, 16)
    for i in range(8): x[i, 0, i:i + 6, 9 - i:15 - i] = 1
    y, net = x[:, 0].long(), UNet(Stages(1), (8, 8, 8), 2, n_in=1)
    opt = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(30):
        loss = nn.functional.cross_entropy(net(x + 0.1*torch.randn_like(x)), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert (net.eval()(x).argmax(1) == y).float().mean() > 0.98


@pytest.mark.parametrize("args, says", [
    ((Stages(), (), 2), "channels must hold 1 to 3 widths, for maps of 1/4, 1/2, 1/1"),
    ((Stages(), (8,)*4, 2), "1 to 3 widths"), ((Stages(1), (8,), 2), "does not take pictures"),
    ((nn.Conv2d(3, 4, 3, padding=1), (8,), 2), "smaller map"),
    ((nn.Sequential(Stages(), nn.Flatten()), (8,), 2), "smaller map .* got"),
    ((Stages(), (8, 0), 2), "at least 1, got 0"), ((Stages(), (8., 8), 2), "whole numbers .* got 8.0"),
    ((Stages(), (8,), 0), "at least 1, got 0"), ((Stages(), (8,), None), "got None"),
    ((Stages(), (8,), 2, -1), "at least 1, got -1")])
def test_what_is_no_encoder_is_refused(args, says):
    with pytest.raises(ValueError, match=says): UNet(*args)


def test_a_name_is_no_encoder():
    with pytest.raises(TypeError, match=r"encoder must be a network, got 'resnet18': .*backbone"): UNet("resnet18", (8,), 2)


BODIES = ("resnet10t", "mobilenetv2_100", "convnext_atto", "swin_tiny_patch4_window7_224", "swinv2_cr_tiny_ns_224",
          "mambaout_femto", "efficientvit_m0", "nest_tiny", "maxvit_rmlp_pico_rw_256", "inception_v3",
          "efficientnet_b2_pruned", "vgg11", "hgnet_tiny")  # those that the test of `backbone` has
FROM_TORCHVISION = ("resnet18", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "squeezenet1_1", "swin_t",
                    "vgg16_bn", "shufflenet_v2_x0_5")
ALL = [(name, "timm") for name in BODIES] + [(name, "torchvision") for name in FROM_TORCHVISION]
ONE_SIZE = {"swin_tiny_patch4_window7_224": 224, "swinv2_cr_tiny_ns_224": 224, "nest_tiny": 224,
            "maxvit_rmlp_pico_rw_256": 256, "efficientvit_m0": 224}


def backbone(name, source):
    "A body as the chapter on fine-tuning makes it"
    pytest.importorskip("fastai.vision.all")
    import torchvision

    from course_lib.fine_tuning import backbone
    return backbone(name if source == "timm" else getattr(torchvision.models, name), None)


@pytest.mark.parametrize("name, source", ALL)
def test_bodies(name, source): answers_every_pixel(name, source)


@pytest.mark.parametrize("n_in", [1, 4, 5])
@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_100", "convnext_atto"])
def test_bodies_of_timm_with_other_channels(name, n_in):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        body = timm.create_model(name, in_chans=n_in, num_classes=0, global_pool="")
        for side in (33, 97) if "convnext" in name else (1, 31, 33, 97):  # it takes none below 32
            assert UNet(body, (16, 8), 2, n_in)(torch.zeros(2, n_in, side, side)).shape == (2, 2, side, side)


@pytest.mark.parametrize("side", [1, 31, 33, 97])
def test_sizes_numbers_of_pictures_and_precisions_of_a_real_body(side):
    net = UNet(backbone("mobilenetv2_100", "timm"), (8, 8, 8, 8), 2).eval()
    y = net(torch.randn(2, 3, side, side))
    assert y.shape == (2, 2, side, side) and y.isfinite().all()
    assert net(torch.zeros(0, 3, side, side)).shape == (0, 2, side, side)
    for dtype in (torch.bfloat16, torch.float16):
        half = copy.deepcopy(net).to(dtype)(torch.randn(1, 3, side, 7).to(dtype))
        assert half.shape == (1, 2, side, 7) and half.dtype == dtype and half.isfinite().all()


@pytest.mark.slow
def test_all_bodies_of_torchvision(monkeypatch):
    "Every network that `backbone` takes"
    import torchvision
    params = torchvision.models.regnet.BlockParams
    real = params.from_init_params.__func__
    def on_the_cpu(cls, *args, **kwargs):  # a RegNet works its widths out with tensors, and reads them
        with torch.device("cpu"): return real(cls, *args, **kwargs)
    monkeypatch.setattr(params, "from_init_params", classmethod(on_the_cpu))
    taken = 0
    for name in torchvision.models.list_models(module=torchvision.models):
        try:
            with torch.device("meta"): backbone(name, "torchvision")
        except ValueError: continue
        answers_every_pixel(name, "torchvision")
        taken += 1
    assert taken > 50


def answers_every_pixel(name, source):
    "On meta tensors: maps that shrink step by step, and an answer for every pixel of a size that nothing divides"
    with torch.device("meta"):
        net = UNet(backbone(name, source), (32, 24, 16), 3)
        h, w = (ONE_SIZE[name],)*2 if name in ONE_SIZE else (203, 331)
        assert net.eval()(torch.zeros(2, 3, h, w)).shape == (2, 3, h, w)
    levels = [t.level for t in net.taps]
    assert levels == sorted(set(levels), reverse=True) and levels[0] in (2, 3, 4, 5)


def test_mobilenet_is_small():
    with torch.device("meta"): net = UNet(backbone("mobilenetv2_100", "timm"), (128, 64, 32, 16), 2)
    assert sum(p.numel() for p in net.parameters()) < 3e6  # that of the benchmark is narrower still
    assert [t.width for t in net.taps] == [96, 32, 24, 16]  # the ends of its stages, not the wide layers inside blocks
