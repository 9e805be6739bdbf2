"MixUp and CutMix: at λ = 1 every loss of the course is the plain one bit for bit, and shares are those of what is seen"
import inspect
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from course_lib import distillation, foundations, losses
from course_lib.tricks import Mixed, cutmix, draw_share, mixed, mixup

N, C = 8, 5
torch.manual_seed(0)
LOGITS, TEACHER, LABELS = torch.randn(N, C), torch.randn(N, C), torch.randint(C, (N,))
SOFT, WEIGHT = torch.randn(N, C).softmax(1), torch.rand(C) + 0.2
ONE_HOT = F.one_hot(LABELS, C).float()
LOSSES = {  # name: the loss, its predictions, its target, what else it takes
    "cross_entropy": (losses.cross_entropy, LOGITS, LABELS, ()),
    "cross_entropy, weights, ignored, smoothing": (partial(losses.cross_entropy, weight=WEIGHT, ignore_index=1,
                                                           label_smoothing=0.1), LOGITS, LABELS, ()),
    "cross_entropy of probabilities": (partial(losses.cross_entropy, weight=WEIGHT), LOGITS, SOFT, ()),
    "CrossEntropyLoss": (losses.CrossEntropyLoss(WEIGHT), LOGITS, LABELS, ()),
    "nll_loss": (partial(losses.nll_loss, weight=WEIGHT), LOGITS.log_softmax(1), LABELS, ()),
    "kl_div": (partial(losses.kl_div, reduction="batchmean"), LOGITS.log_softmax(1), SOFT, ()),
    "binary_cross_entropy_with_logits": (losses.binary_cross_entropy_with_logits, LOGITS, ONE_HOT, ()),
    "BCEWithLogitsLoss": (losses.BCEWithLogitsLoss(pos_weight=WEIGHT), LOGITS, ONE_HOT, ()),
    "kd_loss": (distillation.kd_loss, LOGITS, LABELS, (TEACHER,)),
    "ban_loss": (distillation.ban_loss, LOGITS, LABELS, (TEACHER,)),
    "dkpp_loss": (lambda *a: distillation.dkpp_loss(*a, generator=torch.Generator().manual_seed(1)), LOGITS, LABELS,
                  (TEACHER,)),
    "cwtm_loss": (partial(distillation.cwtm_loss, weight=WEIGHT), LOGITS, LABELS, (TEACHER,)),
    "CWTMLoss": (distillation.CWTMLoss(), LOGITS, LABELS, (TEACHER,)),
    "mae": (foundations.mae, LOGITS, SOFT, ()), "mse": (foundations.mse, LOGITS, SOFT, ()),
    "rmse": (foundations.rmse, LOGITS, SOFT, ()),
}


def test_no_loss_of_the_course_is_missing():
    "Every public function or module that is called a loss, or is one of the errors of the foundations"
    names = {n for module in (losses, distillation) for n in module.__all__
             if n.lower().endswith("loss") or n in ("cross_entropy", "kl_div", "binary_cross_entropy_with_logits")}
    assert names | {"mae", "mse", "rmse"} <= set(LOSSES)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("name", LOSSES)
def test_nothing_is_mixed_at_one_and_the_loss_is_the_plain_one_bit_for_bit(name, mix):
    loss, preds, target, more = LOSSES[name]
    x = torch.randn(N, 3, 6, 6)
    seen, both = mix(x, target, share=1.)
    assert torch.equal(seen, x) and both.share == 1
    for given in (both, target):
        mine, plain = (preds.clone().requires_grad_() for _ in range(2))
        got, want = mixed(loss)(mine, given, *more), loss(plain, target, *more)
        assert torch.equal(got, want)
        assert torch.equal(*(torch.autograd.grad(each, leaf)[0] for each, leaf in ((got, mine), (want, plain))))


@pytest.mark.parametrize("name", LOSSES)
def test_in_between_it_is_the_plain_loss_of_each_in_its_share(name):
    loss, preds, target, more = LOSSES[name]
    _, both = mixup(torch.randn(N, 2), target, share=0.3)
    want = 0.3*loss(preds, target, *more) + 0.7*loss(preds, both.second, *more)
    torch.testing.assert_close(mixed(loss)(preds, both, *more), want)
    _, none = mixup(torch.randn(N, 2), target, share=0.)
    assert torch.equal(mixed(loss)(preds, none, *more), loss(preds, none.second, *more))


def test_a_second_batch_without_labels_does_not_spoil_a_share_of_one():
    nothing = torch.full((N,), -100)
    got = mixed(losses.cross_entropy)(LOGITS, Mixed(LABELS, nothing, 1.))
    assert torch.equal(got, losses.cross_entropy(LOGITS, LABELS))


def test_several_targets_are_mixed_with_the_same_partners():
    x, rows = torch.arange(8.)[:, None], torch.arange(8)
    seen, first, second = mixup(x, rows, rows.float()*10, share=0.25)
    assert torch.equal(seen[:, 0], 0.25*first.first + 0.75*first.second)
    assert torch.equal(second.second, first.second*10.) and len(first) == 8


def test_a_draw_can_be_repeated_and_leaves_the_global_generator_alone():
    x = torch.randn(6, 3, 8, 8)
    before = torch.get_rng_state()
    for mix in (mixup, cutmix):
        a, b = (mix(x, torch.arange(6), generator=torch.Generator().manual_seed(4)) for _ in range(2))
        assert torch.equal(a[0], b[0]) and a[1].share == b[1].share and torch.equal(a[1].second, b[1].second)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("alpha", [0.2, 0.4, 1., 8.])
def test_shares_have_the_moments_of_the_beta_distribution(alpha):
    gen = torch.Generator().manual_seed(0)
    draws = torch.tensor([draw_share(alpha, gen) for _ in range(3000)])
    var = 1/(4*(2*alpha + 1))
    assert abs(draws.mean() - 0.5) < 5*(var/3000)**0.5 and abs(draws.var()/var - 1) < 0.12
    assert draws.min() >= 0 and draws.max() <= 1


def test_the_share_of_cutmix_is_the_area_that_is_left_also_at_the_border():
    x = torch.arange(6.)[:, None, None, None].expand(6, 2, 9, 7)
    gen, shares = torch.Generator().manual_seed(1), []
    for _ in range(60):
        seen, both = cutmix(x, torch.arange(6), generator=gen)
        torch.testing.assert_close(seen.mean((1, 2, 3)), both.share*both.first + (1 - both.share)*both.second)
        shares.append(both.share)
    assert min(shares) < 0.4 and max(shares) > 0.9 and torch.equal(x[:, 0, 0, 0], torch.arange(6.))


def test_masks_are_pasted_with_their_pictures():
    mask = torch.randint(4, (5, 8, 8))
    x = mask[:, None].float()
    for target in (mask, F.one_hot(mask).movedim(3, 1)):
        seen, pasted = cutmix(x, target, share=0.5)
        assert torch.equal(seen[:, 0].long(), pasted if pasted.ndim == 3 else pasted.argmax(1))


def test_bad_input_is_named():
    x, y = torch.randn(4, 3, 6, 6), torch.arange(4)
    for mix in (mixup, cutmix):
        for bad in ("cats", None, {"y": y}, [0, 1, 2, 3], (y, y), 3, torch.tensor(2)):
            with pytest.raises(TypeError, match="targets must be tensors"): mix(x, bad)
        with pytest.raises(ValueError, match="at least 2 items"): mix(x[:1], y[:1])
        with pytest.raises(ValueError, match="each of 4 items, got 3"): mix(x, y[:3])
        with pytest.raises(ValueError, match="share must be from 0 to 1"): mix(x, y, share=1.1)
        for alpha in (0., -1., float("nan")):
            with pytest.raises(ValueError, match="alpha must be above 0"): mix(x, y, alpha=alpha)
    with pytest.raises(ValueError, match="N, C, H, W"): cutmix(x[:, 0], y)
    with pytest.raises(ValueError, match="one share"): mixed(F.cross_entropy)(x, Mixed(y, y, 0.2), Mixed(y, y, 0.3))
    assert "share" in inspect.signature(mixup).parameters
