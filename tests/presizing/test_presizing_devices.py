"""Fake CUDA tensors: nothing mixes devices, and the host is asked where that is expected and nowhere else."""
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from course_lib.presizing import (BatchPresize, Draw, FastPresize, detail, draw_map, judge, nearest, places_of, psnr, relit, resample, sample_batch,
                                  sample_one, ssim, supersampled)

FAST = FastPresize(32)
DRAW = Draw(angle=5, brightness=0.6, contrast=1.1)
SMALL, LARGE = draw_map(DRAW, (60, 50), (32, 32)), draw_map(DRAW, (600, 500), (32, 32))


def cuda(*shape, dtype=torch.float32): return torch.zeros(*shape, dtype=dtype, device='cuda')
def on_cuda(x): assert x.device.type == 'cuda'


CASES = {
    'places_of': lambda: on_cuda(places_of(cuda(2, 3, 3), (8, 8))),
    'sample_batch': lambda: on_cuda(sample_batch(cuda(2, 3, 9, 9), cuda(2, 3, 3), (8, 8), [(0., 0.), (0.1, 0.1)])),
    'sample_one': lambda: on_cuda(sample_one(cuda(3, 50, 60), SMALL, (32, 32), [(0., 0.)])),
    'resample': lambda: on_cuda(resample(cuda(3, 50, 60, dtype=torch.uint8), SMALL, (32, 32))),
    'resample, shrunk first': lambda: on_cuda(resample(cuda(3, 500, 600, dtype=torch.uint8), LARGE, (32, 32))),
    'nearest': lambda: on_cuda(nearest(cuda(2, 50, 60, dtype=torch.int64), SMALL, (32, 32), (60, 50))),
    'relit': lambda: on_cuda(relit(cuda(3, 8, 8, dtype=torch.uint8), 0.6, 1.1)),
    'supersampled': lambda: on_cuda(supersampled(cuda(3, 50, 60), SMALL, (32, 32))),
    'FastPresize': lambda: on_cuda(FAST(cuda(3, 50, 60, dtype=torch.uint8), draw=DRAW)),
    'FastPresize, deep': lambda: on_cuda(FAST(cuda(3, 50, 60, dtype=torch.uint16), draw=DRAW)),
    'FastPresize, shrunk': lambda: on_cuda(FAST(cuda(3, 500, 600, dtype=torch.uint8), draw=DRAW)),
    'FastPresize, masks and points': lambda: [on_cuda(x) for x in FAST({
        'i': cuda(3, 50, 60, dtype=torch.uint8), 'masks': cuda(4, 50, 60), 'keypoints': cuda(2, 5, 3)}, draw=DRAW).values()],
    'BatchPresize': lambda: [on_cuda(x) for x in looked()({'i': cuda(2, 3, 50, 60), 'mask': cuda(2, 50, 60, dtype=torch.int64),
                                                           'keypoints': cuda(2, 4, 2)}, draws=[DRAW, DRAW]).values()],
    'BatchPresize, bytes': lambda: on_cuda(looked()([cuda(2, 3, 50, 60, dtype=torch.uint8)], draws=[DRAW, DRAW])[0]),
}
READS = {   # function: why the host must know
    'psnr': (lambda: psnr(cuda(3, 20, 20), cuda(3, 20, 20)), 'returns a number'),
    'ssim': (lambda: ssim(cuda(3, 20, 20), cuda(3, 20, 20)), 'returns a number'),
    'detail': (lambda: detail(cuda(3, 20, 20), cuda(3, 20, 20)), 'returns a number'),
    'judge': (lambda: judge(cuda(3, 20, 20), cuda(3, 20, 20).double(), cuda(20, 20) > 0), 'returns numbers'),
    'boxes': (lambda: FAST({'i': cuda(3, 50, 60, dtype=torch.uint8), 'boxes': cuda(4, 4)}, draw=DRAW), 'how many boxes are left decides the shape'),
    'first batch': (lambda: BatchPresize(FAST)(cuda(2, 3, 50, 60), draws=[DRAW, DRAW]), 'the range of the first batch is looked at, once'),
}


def looked():
    warp = BatchPresize(FAST)
    warp.looked = True
    return warp


@pytest.mark.parametrize('name', CASES)
def test_no_devices_mix_and_nobody_waits(name):
    with FakeTensorMode(): CASES[name]()


@pytest.mark.parametrize('name', READS)
def test_the_host_reads_where_it_must(name):
    with FakeTensorMode(), pytest.raises((DataDependentOutputException, DynamicOutputShapeException)): READS[name][0]()


def test_a_fake_run_leaves_nothing_behind():
    "What is kept between calls must not be a fake tensor"
    with FakeTensorMode(): places_of(cuda(1, 3, 3), (13, 7))
    assert type(places_of(torch.eye(3)[None], (13, 7))) is torch.Tensor


@pytest.mark.cuda
def test_a_real_gpu_gives_the_same_pictures():
    if not torch.cuda.is_available(): pytest.skip('needs a CUDA device')
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 50, 60), dtype=np.uint8))
    fast = FastPresize(32)
    here, there = fast(x, draw=DRAW), fast(x.cuda(), draw=DRAW)
    assert there.device.type == 'cuda' and (here.int() - there.cpu().int()).abs().max() <= 1
    a, b = torch.rand(3, 40, 40)*255, torch.rand(3, 40, 40)*255
    for f in (psnr, ssim, detail): assert abs(f(a, b) - f(a.cuda(), b.cuda())) < 1e-6
