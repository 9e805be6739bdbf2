"Weight files as people have them: read, unwrapped, or named for what they are; nothing but tensors is ever unpickled"
import gzip
import io
import pickle
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save, save_file
from torch import nn

warnings.filterwarnings('ignore')
pytest.importorskip('fastai.vision.all')
from course_lib.fine_tuning import backbone, load_weights  # noqa: E402


def net(): return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4), tail=nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))))


@pytest.fixture
def state():
    torch.manual_seed(1)
    return net().state_dict()


def same(model, state): return all(v.cpu().equal(state[k]) for k, v in model.state_dict().items())


DISGUISES = {
    'plain': lambda s: s,
    'OrderedDict': lambda s: OrderedDict(s),
    'DataParallel': lambda s: {f'module.{k}': v for k, v in s.items()},
    'compiled': lambda s: {f'_orig_mod.{k}': v for k, v in s.items()},
    'compiled, then DataParallel': lambda s: {f'module._orig_mod.{k}': v for k, v in s.items()},
    'DataParallel, then compiled': lambda s: {f'_orig_mod.module.{k}': v for k, v in s.items()},
    'a part compiled': lambda s: {k.replace('tail.', 'tail._orig_mod.'): v for k, v in s.items()},
    'a part wrapped': lambda s: {k.replace('conv.', 'conv.module.'): v for k, v in s.items()},
    'FSDP': lambda s: {f'_fsdp_wrapped_module.{k}': v for k, v in s.items()},
    'Lightning': lambda s: {'epoch': 3, 'pytorch-lightning_version': '2', 'state_dict': {f'model.{k}': v for k, v in s.items()}, 'loops': {}},
    'some prefix': lambda s: {f'net.encoder.{k}': v for k, v in s.items()},
    'state_dict': lambda s: {'state_dict': s},
    'model': lambda s: {'model': s, 'optimizer': {'state': {0: {'exp_avg': torch.ones(4)}}, 'param_groups': [{'lr': 0.1}]}, 'epoch': 7},
    'model_state_dict': lambda s: {'epoch': 1, 'model_state_dict': s, 'loss': torch.tensor(0.5)},
    'deeper': lambda s: {'checkpoint': {'model': {'state_dict': {f'module.{k}': v for k, v in s.items()}}}},
    'old PyTorch': lambda s: {k: v for k, v in s.items() if not k.endswith('num_batches_tracked')},
    'old PyTorch, DataParallel': lambda s: {f'module.{k}': v for k, v in s.items() if not k.endswith('num_batches_tracked')},
}


@pytest.mark.parametrize('name', DISGUISES)
@pytest.mark.parametrize('how', ['dict', 'pth'])
def test_what_people_save_is_loaded(name, how, state, tmp_path):
    held, model = DISGUISES[name](state), net()
    if how == 'pth': torch.save(held, tmp_path/'saved.pth')
    assert load_weights(model, held if how == 'dict' else tmp_path/'saved.pth') is model and same(model, state)


def test_a_wrapped_model_takes_plain_weights(state):
    wrapped = nn.DataParallel(net())
    load_weights(wrapped, state)
    assert same(wrapped.module, state)


def test_a_layer_that_is_called_module_is_no_wrapper():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.module, self.fc = nn.Linear(2, 2), nn.Linear(2, 3)
            self.weight = nn.Parameter(torch.zeros(1))
    state = Odd().state_dict()
    assert same(load_weights(Odd(), state), state)
    with pytest.raises(ValueError, match=r"'module.weight' has shape \[3, 3\], the model wants \[2, 2\]"):
        load_weights(Odd(), state | {'module.weight': torch.zeros(3, 3)})


def test_which_of_two_is_asked(state):
    with pytest.raises(ValueError, match=r"more than once, under \['state_dict'\] and \['state_dict_ema'\]"):
        load_weights(net(), {'state_dict': state, 'state_dict_ema': {k: v + 1 for k, v in state.items()}})
    with pytest.raises(ValueError, match='more than once, under student. and teacher.'):
        load_weights(net(), {f'{p}.{k}': v for k, v in state.items() for p in ('student', 'teacher')})


def test_what_is_too_much_or_missing_is_named(state):
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    wrong = {
        r"holds no tensor 'conv.bias', which the model has with shape \[4\]": {k: v for k, v in state.items() if k != 'conv.bias'},
        r"'bn.running_mean' has shape \[5\], the model wants \[4\]": state | {'bn.running_mean': torch.zeros(5)},
        r"'extra' with shape \[1\], which the model has not": state | {'extra': torch.zeros(1)},
        r"'model.criterion' with shape \[1\], which the model has not|'criterion' with shape": {f'model.{k}': v for k, v in state.items()} | {'model.criterion': torch.zeros(1)},
        "must hold tensors by name, it holds 'epoch'": {'epoch': 1},
        "must hold tensors by name, it holds nothing": {},
    }
    for says, held in wrong.items():
        with pytest.raises(ValueError, match=says): load_weights(model, held)
        assert same(model, before)
    assert same(load_weights(net(), state | {'extra': torch.zeros(1)}, skip=['extra']), state)


def test_half_precision_and_safetensors(state, tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    save_file(half, tmp_path/'half.safetensors')
    model = load_weights(net(), tmp_path/'half.safetensors')
    assert model.conv.weight.dtype == torch.float32 and model.conv.weight.equal(state['conv.weight'].half().float())


def test_the_name_of_a_file_does_not_matter(state, tmp_path):
    for name in ('a.ckpt', 'b.pth.tar', 'c.bin', 'd', 'e.safetensors'):
        torch.save(state, tmp_path/name)
        assert same(load_weights(net(), tmp_path/name), state)
    save_file(state, tmp_path/'f.pth')
    assert same(load_weights(net(), str(tmp_path/'f.pth')), state)
    torch.save(state, tmp_path/'old.pth', _use_new_zipfile_serialization=False)
    assert same(load_weights(net(), tmp_path/'old.pth'), state)


class Evil:
    def __reduce__(self): return (open, ('stolen', 'w'))


def bad_files(state):
    "{name: (bytes, what the message says)}"
    def saved(what, **kw):
        f = io.BytesIO()
        torch.save(what, f, **kw)
        return f.getvalue()
    whole, old = saved(state), saved(state, _use_new_zipfile_serialization=False)
    safe = save(state)
    other = io.BytesIO()
    with zipfile.ZipFile(other, 'w') as z: z.writestr('readme.txt', 'hello')
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), script)
    numpy = io.BytesIO()
    np.save(numpy, np.ones(3))
    return {
        'empty.pth': (b'', 'is empty'), 'empty.safetensors': (b'', 'is empty'),
        'half.pth': (whole[:len(whole)//2], 'damaged'), 'nearly.pth': (whole[:-30], 'damaged'), 'start.pth': (whole[:20], 'damaged'),
        'half-old.pth': (old[:len(old)//2], 'damaged'), 'start-old.pth': (old[:50], 'damaged'),
        'half.safetensors': (safe[:len(safe)//2], 'damaged'), 'nearly.safetensors': (safe[:-4], 'damaged'), 'start.safetensors': (safe[:40], 'damaged'),
        'pointer.pth': (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n', 'Git LFS pointer.*git lfs pull'),
        'pointer.safetensors': (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n', 'Git LFS pointer'),
        'page.pth': (b'<html>404</html>', 'web page'), 'page.safetensors': (b'\xef\xbb\xbf\n <!DOCTYPE HTML><html>', 'web page'),
        'denied.bin': (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'web page'),
        'error.pth': (b'{"error": "Repository not found"}', 'JSON'), 'text.pth': (b'Not Found', 'no file of weights'),
        'zeros.pth': (b'\0'*1000, 'zeros'), 'packed.pth': (gzip.compress(whole), 'gzip'), 'other.pth': (other.getvalue(), 'holds a zip that torch.save did not write'),
        'script.pt': (script.getvalue(), 'TorchScript'), 'keras.pth': (b'\x89HDF\r\n\x1a\n' + b'\0'*99, 'HDF5'), 'array.pth': (numpy.getvalue(), 'numpy'),
        'list.pth': (saved([torch.zeros(1)]), 'tensors by name, it holds list'), 'tensor.pth': (saved(torch.zeros(1)), 'tensors by name, it holds Tensor'),
        'evil.pth': (saved({'conv.weight': torch.zeros(1), 'x': Evil()}), 'evil.pth holds more than tensors.*run code'),
        'evil-old.pth': (saved({'x': Evil()}, _use_new_zipfile_serialization=False), 'holds more than tensors'),
        'evil.pkl': (pickle.dumps(Evil()), 'holds more than tensors|damaged'), 'whole-model.pth': (saved(net()), 'holds more than tensors'),
    }


@pytest.mark.parametrize('unsafe', [False, True])
def test_bad_files_are_named_for_what_they_are(unsafe, state, tmp_path, monkeypatch):
    if unsafe: monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.chdir(tmp_path)
    for name, (content, says) in bad_files(state).items():
        (tmp_path/name).write_bytes(content)
        with pytest.raises(ValueError, match=says) as e: load_weights(net(), tmp_path/name)
        assert name in str(e.value) and ('evil' in name or 'model' in name or 'run code' not in str(e.value)), name
    assert not (tmp_path/'stolen').exists()
    with pytest.raises(FileNotFoundError, match='nowhere.pth'): load_weights(net(), 'nowhere.pth')


@pytest.mark.parametrize('arch, classes', [(torchvision.models.resnet18, 7), (torchvision.models.squeezenet1_1, 7), (torchvision.models.mobilenet_v2, 2),
                                           ('resnet18', 7), ('convnext_atto', 3), ('vgg11_bn', 4)])
def test_the_head_of_a_file_does_not_matter_to_a_body(arch, classes, tmp_path):
    model = arch(num_classes=classes) if callable(arch) else timm.create_model(arch, num_classes=classes)
    torch.save({'state_dict': {f'module.{k}': v for k, v in model.state_dict().items()}}, tmp_path/'w.pth')
    body = backbone(arch, tmp_path/'w.pth')
    kept = {v.double().sum().item() for v in model.state_dict().values()}
    assert all(v.double().sum().item() in kept for v in body.state_dict().values())
    headless = {k: v for k, v in model.state_dict().items() if not k.startswith(('fc.', 'classifier.', 'head.fc.'))}
    torch.save(headless, tmp_path/'none.pth')
    again = backbone(arch, tmp_path/'none.pth')
    assert all(v.equal(w) for v, w in zip(body.state_dict().values(), again.state_dict().values()))


def test_a_torchvision_body_still_wants_all_of_its_own(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    torch.save({k: v for k, v in state.items() if k != 'layer4.1.conv2.weight'}, tmp_path/'w.pth')
    with pytest.raises(ValueError, match="holds no tensor 'layer4.1.conv2.weight'"): backbone(torchvision.models.resnet18, tmp_path/'w.pth')
    torch.save(torchvision.models.resnet34().state_dict(), tmp_path/'w.pth')
    with pytest.raises(ValueError, match="holds tensor 'layer1.2.conv1.weight'"): backbone(torchvision.models.resnet18, tmp_path/'w.pth')


def test_numbers_that_a_copy_would_change_are_named(state):
    wrong = {r"'conv.weight' is of torch.int8, the model wants torch.float32.*dequantised": {k: (v*100).to(torch.int8) if v.is_floating_point() else v for k, v in state.items()},
             "'conv.weight' is of torch.complex64": state | {'conv.weight': state['conv.weight'].to(torch.complex64)},
             "'conv.weight' has a shape and no numbers": {k: v.to('meta') for k, v in state.items()}}
    for says, held in wrong.items():
        with pytest.raises(ValueError, match=says): load_weights(net(), held)
    for kind in (torch.float64, torch.bfloat16):
        held = {k: v.to(kind) if v.is_floating_point() else v for k, v in state.items()}
        assert load_weights(net(), held).conv.weight.equal(held['conv.weight'].float())


def test_what_is_neither_a_file_nor_weights_is_named(state):
    for bad in (None, net(), io.BytesIO(b'x'), [state], 3):
        with pytest.raises(TypeError, match=f'model.state_dict.*got {type(bad).__name__}'): load_weights(net(), bad)


def test_one_beginning_may_be_a_string(state):
    other = state | {'tail.1.weight': torch.zeros(9, 9), 'tail.1.bias': torch.zeros(9)}
    model = load_weights(net(), other, skip='tail.1.')
    assert model.conv.weight.equal(state['conv.weight']) and model.tail[0].weight.equal(state['tail.0.weight']) and not model.tail[1].weight.equal(state['tail.1.weight'])
