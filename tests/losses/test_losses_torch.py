"""PyTorch's own sample inputs, run against `course_lib.losses`: forward, gradient, and second gradient.

The samples are those of OpInfo and ModuleInfo in `torch.testing._internal`, with which PyTorch tests itself. Their signatures
are PyTorch's; what ours spells otherwise is adapted in `ADAPTED`, and a sample that could not be run would stand in `LEFT_OUT`.
"""
import inspect
import warnings
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import losses

pytest.importorskip('expecttest')
with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')  # torch's own advice on kl_div's 'mean' and implicit dims

OPS = {  # OpInfo's name: ours, theirs
    'nn.functional.cross_entropy': (losses.cross_entropy, F.cross_entropy),
    'nn.functional.nll_loss': (losses.nll_loss, F.nll_loss),
    'nn.functional.kl_div': (losses.kl_div, F.kl_div),
    'log_softmax': (losses.log_softmax, F.log_softmax),
    'softmax': (losses.softmax, F.softmax),
    'nn.functional.binary_cross_entropy_with_logits': (losses.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits),
}
MODULES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.KLDivLoss, nn.LogSoftmax, nn.Softmax, nn.BCEWithLogitsLoss)
DTYPES = (torch.float64, torch.float32)
ADAPTED = {'dim': 'nn.Softmax() without dim guesses one; ours is called with the dim it guesses'}
LEFT_OUT = []  # (case, reason)
NOT_FINITE = []  # samples to which torch itself answers nan or inf: compared with it, but not by finite differences


def adapt_op(ours, theirs, args, kwargs):
    "The two calls for one OpInfo sample, as functions of the input and the target"
    tensor_args = [a for a in args if isinstance(a, torch.Tensor)]
    plain = [a for a in args if not isinstance(a, torch.Tensor)]
    unknown = set(kwargs) - set(inspect.signature(ours).parameters)
    if unknown: return None, f'no argument {sorted(unknown)}'
    return (tensor_args, lambda x, *t: ours(x, *t, *plain, **kwargs), lambda x, *t: theirs(x, *t, *plain, **kwargs)), None


def adapt_module(cls, args, kwargs):
    "The two calls for one ModuleInfo sample"
    theirs = cls(*args, **kwargs)
    if cls in (nn.Softmax, nn.LogSoftmax):
        fn = losses.softmax if cls is nn.Softmax else losses.log_softmax
        def ours(x): return fn(x, dim=theirs.dim if theirs.dim is not None else F._get_softmax_dim('softmax', x.dim(), 3))
        return ours, theirs
    if cls in (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss): return getattr(losses, cls.__name__)(*args, **kwargs), theirs
    fn = losses.nll_loss if cls is nn.NLLLoss else losses.kl_div
    return (lambda x, t: fn(x, t, *args, **kwargs)), theirs


def collect():
    "Every sample as (name, ours, theirs, input, further tensors)"
    cases = []
    for dtype in DTYPES:
        for op in op_db:
            if op.name not in OPS: continue
            torch.manual_seed(0)
            for i, s in enumerate(op.sample_inputs('cpu', dtype, requires_grad=True)):
                name = f"{op.name.split('.')[-1]}{'-' + op.variant_test_name if op.variant_test_name else ''}-op{i}-{str(dtype)[6:]}"
                made, reason = adapt_op(*OPS[op.name], s.args, s.kwargs)
                if reason: LEFT_OUT.append((name, reason)); continue
                tensors, ours, theirs = made
                cases.append((name, ours, theirs, s.input, tensors))
        for info in module_db:
            if info.module_cls not in MODULES: continue
            torch.manual_seed(0)
            samples = info.module_inputs_func(info, device='cpu', dtype=dtype, requires_grad=True, training=True)
            for i, s in enumerate(samples):
                name = f"{info.module_cls.__name__}-mod{i}-{str(dtype)[6:]}"
                try: ours, theirs = adapt_module(info.module_cls, s.constructor_input.args, s.constructor_input.kwargs)
                except TypeError as e: LEFT_OUT.append((name, str(e))); continue
                x, *rest = s.forward_input.args
                cases.append((name, ours, theirs, x, rest))
    return cases


CASES = collect()


def leaves(x, tensors):
    "Fresh leaves: floats with a gradient, labels as they are"
    return [t.detach().clone().requires_grad_(t.is_floating_point()) for t in (x, *tensors)]


@pytest.mark.parametrize('name,ours,theirs,x,tensors', CASES, ids=[c[0] for c in CASES])
def test_sample(name, ours, theirs, x, tensors):
    mine, peer = leaves(x, tensors), leaves(x, tensors)
    out, want = ours(*mine), theirs(*peer)
    torch.testing.assert_close(out, want, equal_nan=True)  # also shape and dtype
    if out.numel():
        pull = torch.randn_like(want)
        grads = torch.autograd.grad(out, [t for t in mine if t.requires_grad], pull)
        wants = torch.autograd.grad(want, [t for t in peer if t.requires_grad], pull)
        torch.testing.assert_close(grads, wants, equal_nan=True)
        if not want.isfinite().all(): NOT_FINITE.append(name)
        elif x.dtype == torch.float64:  # numbers by finite differences know nothing of either formula
            inputs = leaves(x, tensors)
            fast = sum(t.numel() for t in inputs) > 40
            assert torch.autograd.gradcheck(ours, inputs, fast_mode=fast)
            assert torch.autograd.gradgradcheck(ours, inputs, fast_mode=fast)


def test_no_sample_is_left_out_and_there_are_hundreds(capsys):
    "A change of torch that adds a sample we cannot run, or empties its lists, shows here"
    kinds = Counter((c[0].split('-')[0], 'OpInfo' if '-op' in c[0] else 'ModuleInfo') for c in CASES)
    with capsys.disabled():
        print(f"\n{len(CASES)} samples of torch {torch.__version__} in {len(DTYPES)} dtypes, {len(LEFT_OUT)} left out:",
              ', '.join(f'{n} {k} ({v})' for (k, v), n in sorted(kinds.items())))
        print(f"{len(NOT_FINITE)} of them have no finite value in torch either and went without gradcheck: {', '.join(NOT_FINITE) or 'none'}")
    assert LEFT_OUT == []
    # ModuleInfo gives KLDivLoss targets below 0, where log is nan, and CrossEntropyLoss one batch whose labels are all ignored
    assert {name.split('-mod')[0] for name in NOT_FINITE} <= {'KLDivLoss', 'CrossEntropyLoss'} and len(NOT_FINITE) < 25
    assert len(CASES) >= 500 and len({c[0] for c in CASES}) == len(CASES)
    assert {k for k, _ in kinds} == {name.split('.')[-1] for name in OPS} | {m.__name__ for m in MODULES}
    assert min(kinds.values()) >= 4
