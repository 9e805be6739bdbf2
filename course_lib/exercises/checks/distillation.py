"What the exercises of the chapter on distillation are held against"
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from course_lib.distillation import kd_loss
from course_lib.exercises import Answer, NotWritten, exercise, expect, mistake, same, told, wrong


def _randn(answer: Answer, *shape: Any, scale: float = 2., dtype: Any = torch.float32) -> Tensor:
    return (scale*torch.randn(*shape, generator=answer.generator)).to(dtype)


def _labels(answer: Answer, n: int, c: int) -> Tensor: return torch.randint(c, (n,), generator=answer.generator)


@exercise
def soft_targets(answer: Answer) -> None:
    for shape, t in [((3, 5), 4.), ((1, 4), 1.), ((5, 2), 0.5), ((2, 3, 6), 2.)]:
        x = _randn(answer, *shape)
        got = answer(x, t)
        if isinstance(got, torch.Tensor) and got.shape == x.shape and got.is_floating_point():
            sums = got.sum(1)
            same(got, (x/t).softmax(1), what=f'table of soft targets at temperature {t:g}',
                 mistakes=answer.mistakes(t=t, total=sums.flatten()[0]))
        same(got, (x/t).softmax(1), what=f'table of soft targets at temperature {t:g}')
    big = torch.tensor([[2e4, 0., 0.]])
    got = answer(big, 2.)
    if isinstance(got, torch.Tensor) and got.isnan().any():
        wrong('very large logits give nan: the exponential overflows, so the largest logit has to be taken off first, '
              'or a softmax used that does it')
    same(got, torch.tensor([[1., 0., 0.]]), what='table of soft targets of very large logits')


@mistake(soft_targets, 'your targets get sharper when the temperature rises, and they should get softer')
def times_temperature(logits: Tensor, temperature: float) -> Tensor: return (logits*temperature).softmax(1)

@mistake(soft_targets, 'at temperature {t:g} your targets are those of temperature 1: the temperature has no effect')
def no_temperature(logits: Tensor, temperature: float) -> Tensor: return logits.softmax(1)

@mistake(soft_targets, 'your targets add up to 1 along the wrong dimension: the classes stand in dimension 1')
def over_the_batch(logits: Tensor, temperature: float) -> Tensor: return (logits/temperature).softmax(0)

@mistake(soft_targets, 'your targets add up to 1 along the last dimension; the classes stand in dimension 1, also '
         'for logits of shape [N, C, d]')
def over_the_last(logits: Tensor, temperature: float) -> Tensor: return (logits/temperature).softmax(-1)

@mistake(soft_targets, 'your targets add up to {total:.3g} and not to 1: the temperature belongs to the '
         'logits, before they become probabilities')
def probabilities_divided(logits: Tensor, temperature: float) -> Tensor: return logits.softmax(1)/temperature

@mistake(soft_targets, 'your targets come from probabilities that went through a second softmax: soften the logits '
         'themselves')
def softmax_twice(logits: Tensor, temperature: float) -> Tensor: return (logits.softmax(1)/temperature).softmax(1)

@mistake(soft_targets, 'your targets add up to {total:.3g} and not to 1: after the power they have to be '
         'divided by their sum again')
def power_alone(logits: Tensor, temperature: float) -> Tensor: return logits.softmax(1)**(1/temperature)


@exercise
def sure_weights(answer: Answer) -> None:
    for n, c in [(4, 3), (1, 5), (6, 10), (5, 2)]:
        t = _randn(answer, n, c)
        p = t.softmax(1)
        conf = p.amax(1)
        got = answer(t)
        if isinstance(got, torch.Tensor) and got.shape == (n, 1):
            wrong(f'your weights have the shape {[n, 1]}: one number per sample is the shape {[n]}, or they will '
                  'broadcast against the losses')
        if n > 1: same(got, conf/conf.sum(), what='vector of weights', mistakes=answer.mistakes(n=n) | {
            'your weights take the smallest probability of each sample, and it should be the '
            'largest': lambda: (lambda w: w/w.sum())(p.amin(1)),
            'your weights are all the same: probabilities add up to 1 for every sample, so look at the '
            'largest': torch.full((n,), 1/n),
        })
        same(got, conf/conf.sum(), what='vector of weights' if n > 1 else 'weight in a batch of one')
    got = answer(_randn(answer, 4, 3).requires_grad_())
    expect(not got.requires_grad, 'your weights still hang on the teacher\'s graph, so training the student would '
                                  'change the teacher: cut them off')


@mistake(sure_weights, 'your weights are the confidences themselves: divide them by their sum over the batch, so '
         'that they add up to 1')
def not_normalised(teacher_logits: Tensor) -> Tensor: return teacher_logits.softmax(1).amax(1)

@mistake(sure_weights, 'your weights add up to {n}, the size of the batch: their mean is 1, and their sum should be')
def mean_of_one(teacher_logits: Tensor) -> Tensor:
    c = teacher_logits.softmax(1).amax(1)
    return c/c.mean()

@mistake(sure_weights, 'your confidences are logits: turn them into probabilities first, since a logit may be '
         'negative and has no scale')
def largest_logit(teacher_logits: Tensor) -> Tensor:
    c = teacher_logits.amax(1)
    return c/c.sum()

@mistake(sure_weights, 'your confidences went through a softmax over the batch: divide by the sum, so that twice as '
         'sure is twice the weight')
def softmax_of_confidences(teacher_logits: Tensor) -> Tensor: return teacher_logits.softmax(1).amax(1).softmax(0)

@mistake(sure_weights, 'your softmax runs over the batch: a probability compares the classes of one sample')
def wrong_softmax(teacher_logits: Tensor) -> Tensor:
    c = teacher_logits.softmax(0).amax(1)
    return c/c.sum()

@mistake(sure_weights, 'your weights are largest where the teacher is least sure: take its largest probability')
def unsure(teacher_logits: Tensor) -> Tensor:
    c = 1 - teacher_logits.softmax(1).amax(1)
    return c/c.sum()


class _Teacher(nn.Module):
    "A teacher that notes how it was called; its first copy is itself, so that the check sees what is left behind"
    def __init__(self, broken: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
        self.broken, self.handed_over = broken, False
        self.calls: list[tuple] = []
    def __deepcopy__(self, memo: dict) -> Any:
        if not self.handed_over:
            self.handed_over = True
            return self
        other = _Teacher(self.broken)
        other.load_state_dict(self.state_dict())
        for a, b in zip(other.modules(), self.modules()): a.training = b.training
        other.calls, other.handed_over = self.calls, True
        return other
    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((torch.is_grad_enabled(), any(m.training for m in self.modules())))
        if self.broken: raise _Broken('a batch of the wrong shape')
        return self.head(self.body(x))


class _Broken(RuntimeError): pass


def _modes(model: nn.Module) -> list: return [m.training for m in model.modules()]


def _modes_left(teacher: nn.Module, before: list, when: str) -> None:
    after = _modes(teacher)
    if after == before: return
    changed = sum(a != b for a, b in zip(after, before))
    if not any(after): wrong(f'{when} the teacher is left in eval mode: put every module back as it was')
    if all(after):
        wrong(f'{when} every module of the teacher is in training mode, and {changed} of them were not before: each '
              'has a mode of its own to go back to')
    wrong(f'{when} {changed} modules of the teacher are in another mode than before')


@exercise
def ask_teacher(answer: Answer) -> None:
    for n, start in [(5, 'mixed'), (1, 'eval'), (8, 'train')]:
        teacher = _Teacher()
        teacher.train(start != 'eval')
        if start == 'mixed': teacher.head.eval()
        x, before, state = _randn(answer, n, 6), _modes(teacher), {k: v.clone() for k,
            v in teacher.state_dict().items()}
        try: got = answer(teacher, x)
        finally: gradients_on = torch.is_grad_enabled()
        expect(len(teacher.calls) == 1, f'the teacher was called {len(teacher.calls)} times: once is what it costs')
        with_graph, training = teacher.calls[0]
        expect(not training, 'the teacher was in training mode when it answered: its dropout threw half of its units '
                             'away, and batch norm took the statistics of this batch')
        expect(gradients_on, 'gradients are switched off for everything that comes after your function: the student '
                             'could not learn')
        expect(all(p.requires_grad for p in teacher.parameters()),
               'the teacher\'s parameters no longer ask for gradients: that stays so after your function, and somebody '
               'may want to train it again')
        expect(not (with_graph and isinstance(got, torch.Tensor) and got.requires_grad),
               'the logits carry the teacher\'s graph: `backward` would run through the teacher too')
        expect(not with_graph, 'the graph of the teacher was built and then thrown away, with all its memory: switch '
                               'gradients off before the call')
        expect(all(torch.equal(v, state[k]) for k, v in teacher.state_dict().items()),
               'the teacher itself has changed: its weights or its running statistics are others than before')
        other = _Teacher()
        other.load_state_dict(state)
        want = other.eval()(x).detach()
        same(got, want, what='logits', mistakes=answer.mistakes() | {
            'you return the teacher\'s guesses; a loss wants all its logits': want.argmax(1),
        })
        _modes_left(teacher, before, 'afterwards')
    teacher = _Teacher(broken=True)
    teacher.head.eval()
    before = _modes(teacher)
    answer.raises(_Broken, teacher, _randn(answer, 3, 6),
                  why='the teacher did, and nobody should go on without its answer')
    _modes_left(teacher, before, 'after a teacher that raised an error')


def modes_put_back(modes: list) -> None:
    for m, training in modes: m.training = training

@mistake(ask_teacher, "you return probabilities; a loss wants the teacher's logits")
def probabilities(teacher: nn.Module, x: Tensor) -> Tensor:
    modes = [(m, m.training) for m in teacher.modules()]
    teacher.eval()
    try:
        with torch.no_grad(): return teacher(x).softmax(1)
    finally: modes_put_back(modes)


def _weighted_case(answer: Answer, n: int, c: int) -> tuple:
    "Logits that ask for a gradient, labels, weights of sum one, cross-entropies and `q - y`, all in float64"
    x = _randn(answer, n, c, dtype=torch.float64).requires_grad_()
    y, w = _labels(answer, n, c), torch.rand(n, generator=answer.generator, dtype=torch.float64) + 0.1
    q = x.detach().softmax(1)
    return x, y, w/w.sum(), F.cross_entropy(x.detach(), y, reduction='none'), q - F.one_hot(y, c)


@exercise
def plain_value(answer: Answer) -> None:
    for n, c in [(4, 3), (7, 5), (3, 10)]:
        x, y, w, ce, raw = _weighted_case(answer, n, c)
        got = answer(x, y, w)
        same(got, ce.mean(), what='value', mistakes=answer.mistakes())
        if not got.requires_grad:
            wrong('the value is right and no gradient comes from it: not everything may be detached')
        got, = torch.autograd.grad(got, answer.inputs[0])
        want = w[:, None]*raw
        ratio = got/want
        expect(not torch.allclose(got, want/n) or torch.allclose(got, want),
               'your gradient is divided by the number of samples: the weighted part is a sum, since its weights add '
               'up to one already')
        if (ratio > 0).all() and ratio.std() < 1e-6*ratio.mean() and abs(ratio.mean() - 1) > 1e-6:
            wrong(f'your gradient points the right way and has {ratio.mean():.3f} times its length everywhere: you '
                  'multiply by the value, where adding leaves the gradient alone')
        def slope(fn: Callable, case: tuple = (x, y, w)) -> Tensor:
            leaf = case[0].detach().clone().requires_grad_()
            return torch.autograd.grad(fn(leaf, *case[1:]), leaf)[0]
        same(got, want, what='gradient', mistakes=answer.mistakes(slope))


def both_losses(logits: Tensor, target: Tensor, weights: Tensor) -> tuple:
    ce = F.cross_entropy(logits, target, reduction='none')
    return ce.mean(), (weights*ce).sum()

@mistake(plain_value, 'your value is the weighted sum; it should be the plain mean, and only the gradient the '
         "weighted one's")
def weighted_alone(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    return both_losses(logits, target, weights)[1]

@mistake(plain_value, 'your value is the sum of the cross-entropies and should be their mean')
def sum_for_mean(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    plain, weighted = both_losses(logits, target, weights)
    return len(logits)*plain.detach() + weighted - weighted.detach()

@mistake(plain_value, 'your value is the mean plus the weighted sum: what brings the gradient must add nothing to '
         'the value')
def added(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    plain, weighted = both_losses(logits, target, weights)
    return plain.detach() + weighted

@mistake(plain_value, 'your gradient is that of the plain mean: that part should give the value and no gradient, '
         'and the weighted part the gradient and no value')
def nothing_detached(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    plain, weighted = both_losses(logits, target, weights)
    return plain + weighted - weighted

@mistake(plain_value, "your gradient is the sum of both losses' gradients: the plain part has to be cut off from "
         'the graph')
def plain_kept(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    plain, weighted = both_losses(logits, target, weights)
    return plain + (weighted - weighted.detach())

@mistake(plain_value, 'your gradient has the wrong sign: it would make the loss larger')
def sign(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    plain, weighted = both_losses(logits, target, weights)
    return plain.detach() + weighted.detach() - weighted


@exercise
def distil(answer: Answer) -> None:
    for n, c, t, alpha in [(4, 3, 2.5, 0.7), (1, 5, 1., 0.4), (6, 10, 4., 1.), (5, 2, 2., 0.)]:
        x, y, z = _randn(answer, n, c), _labels(answer, n, c), _randn(answer, n, c)
        got = answer(x, y, z, t, alpha)
        same(got, kd_loss(x, y, z, temperature=t, alpha=alpha), what=f'loss at temperature {t:g} and alpha {alpha:g}',
             rtol=1e-4, atol=1e-5, mistakes=answer.mistakes(t=t, factor=t ** 2))
    x, z = _randn(answer, 3, 4).requires_grad_(), _randn(answer, 3, 4).requires_grad_()
    got = answer(x, _labels(answer, 3, 4), z, 2., 0.5)
    if not got.requires_grad: wrong('no gradient comes from the loss: the student\'s logits must not be detached')
    student, teacher = torch.autograd.grad(got, answer.inputs[0:3:2], allow_unused=True)
    expect(student is not None, 'no gradient reaches the student\'s logits')
    expect(teacher is None or not teacher.any(), 'the loss sends a gradient to the teacher as well, which would learn '
                                                 'to agree with its student: detach its logits')


def teachers_part(student_logits: Tensor, teacher_logits: Tensor, t: float) -> Tensor:
    return F.kl_div((student_logits/t).log_softmax(1), (teacher_logits.detach()/t).softmax(1), reduction='batchmean')

@mistake(distil, "the teacher's part has lost its factor: at temperature {t:g} its gradient is about {factor:g} times "
         "smaller than the labels'")
def no_square(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
              alpha: float) -> Tensor:
    return alpha*teachers_part(student_logits, teacher_logits,
                               temperature) + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the factor of the teacher's part is T, and it should be its square: both softmaxes shrink the "
         'gradient')
def times_t(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float, alpha: float) -> Tensor:
    return alpha*temperature*teachers_part(student_logits, teacher_logits,
                                           temperature) + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the square of T multiplies the labels' part too, which was never softened")
def square_on_both(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                   alpha: float) -> Tensor:
    return temperature**2*(alpha*teachers_part(student_logits, teacher_logits,
                                               temperature) + (1 - alpha)*F.cross_entropy(student_logits, target))

@mistake(distil, 'the divergence runs from the student to the teacher: the probabilities in front of the logarithms '
         "should be the teacher's")
def other_direction(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                    alpha: float) -> Tensor:
    return alpha*temperature**2*teachers_part(teacher_logits, student_logits,
                                              temperature) + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the teacher's part is averaged over classes as well: sum over classes, mean over samples")
def mean_over_everything(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                         alpha: float) -> Tensor:
    part = teachers_part(student_logits, teacher_logits, temperature)/student_logits.shape[1]
    return alpha*temperature**2*part + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the teacher's part is summed over the batch: it should be a mean over samples")
def sum_over_batch(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                   alpha: float) -> Tensor:
    return alpha*temperature**2*teachers_part(student_logits, teacher_logits,
                                              temperature)*len(target) + (1 - alpha)*F.cross_entropy(student_logits,
                                                  target)

@mistake(distil, "alpha and 1 - alpha have changed places: alpha is the teacher's share")
def shares_swapped(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                   alpha: float) -> Tensor:
    return (1 - alpha)*temperature**2*teachers_part(student_logits, teacher_logits,
                                                    temperature) + alpha*F.cross_entropy(student_logits, target)

@mistake(distil, "the labels' part is softened too: its cross-entropy is taken at temperature 1")
def labels_softened(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                    alpha: float) -> Tensor:
    return alpha*temperature**2*teachers_part(student_logits, teacher_logits,
                                              temperature) + (1 - alpha)*F.cross_entropy(student_logits/temperature,
                                                  target)

@mistake(distil, "the teacher's part is a cross-entropy, larger by the teacher's own entropy: a divergence is zero "
         'when both agree')
def cross_entropy_for_divergence(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                                 alpha: float) -> Tensor:
    soft = F.cross_entropy(student_logits/temperature, (teacher_logits.detach()/temperature).softmax(1))
    return alpha*temperature**2*soft + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the student's probabilities stand where their logarithms are wanted: the divergence then makes no "
         'sense, and can be negative')
def student_without_log(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                        alpha: float) -> Tensor:
    kl = F.kl_div((student_logits/temperature).softmax(1), (teacher_logits.detach()/temperature).softmax(1),
                  reduction='batchmean')
    return alpha*temperature**2*kl + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "the teacher's logarithms stand where its probabilities are wanted, in front of the difference")
def teacher_with_log(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                     alpha: float) -> Tensor:
    kl = F.kl_div((student_logits/temperature).log_softmax(1), (teacher_logits.detach()/temperature).log_softmax(1),
                  reduction='batchmean')
    return alpha*temperature**2*kl + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, 'the logits are multiplied by the temperature, which makes both sharper: divide')
def sharper(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float, alpha: float) -> Tensor:
    kl = F.kl_div((student_logits*temperature).log_softmax(1), (teacher_logits.detach()*temperature).softmax(1),
                  reduction='batchmean')
    return alpha*temperature**2*kl + (1 - alpha)*F.cross_entropy(student_logits, target)

@mistake(distil, "only the student is softened: the teacher's probabilities need the same temperature")
def hard_teacher(student_logits: Tensor, target: Tensor, teacher_logits: Tensor, temperature: float,
                 alpha: float) -> Tensor:
    soft = F.kl_div((student_logits/temperature).log_softmax(1), teacher_logits.detach().softmax(1),
                    reduction='batchmean')
    return alpha*temperature**2*soft + (1 - alpha)*F.cross_entropy(student_logits, target)


@exercise
def cwtm_backward(answer: Answer) -> None:  # noqa: C901 - a class is looked at from outside, step by step
    fn: Any = answer.fn
    if not (isinstance(fn, type) and issubclass(fn, torch.autograd.Function)):
        wrong('your answer should be the class itself, a subclass of torch.autograd.Function')
    answer.calls += 1
    applied = Answer(lambda logits, target, weights: fn.apply(logits, target, weights))

    def gradient(loss: Tensor, x: Tensor, when: str) -> Tensor:
        try: got, = torch.autograd.grad(loss, x, allow_unused=True)
        except NotImplementedError:
            raise NotWritten('`forward` is there, `backward` still raises NotImplementedError') from None
        except Exception as e:
            if 'number of gradients' in str(e):
                wrong('`backward` must return one value for each input of `forward`, so three: the gradient of the '
                      'logits, and None for labels and weights')
            wrong(f'your `backward` raised {told(e)} ({when})')
        expect(got is not None, 'your `backward` gives no gradient for the logits, the first input')
        return got

    for n, c in [(4, 3), (1, 2), (7, 5)]:
        x, y, w, ce, raw = _weighted_case(answer, n, c)
        loss, want = applied(x, y, w), w[:, None]*raw
        def value(made: Any, case: tuple = (x, y, w)) -> Tensor: return made.apply(*case)
        same(loss, (w*ce).sum(), what='value', mistakes=answer.mistakes(value) | {
            'your value has the wrong sign: a cross-entropy is never negative': -(w*ce).sum()})
        expect(loss.requires_grad, 'nothing in your value asks for a gradient')
        for scale in (1., 3., -0.25):
            x = applied.inputs[0]
            got = gradient(scale*applied.fn(x, y.clone(), w.clone()), x, f'with grad_output {scale:g}')
            def slope(made: Any, case: tuple = (x, y, w, scale)) -> Tensor:
                leaf = case[0].detach().clone().requires_grad_()
                return torch.autograd.grad(case[3]*made.apply(leaf, *case[1:3]), leaf)[0]
            facts = {} if scale == 1 else {'scale': scale}
            same(got, scale*want, what=f'gradient when the loss is multiplied by {scale:g}',
                 mistakes=answer.mistakes(slope, **facts))
    x, y, w, ce, raw = _weighted_case(answer, 5, 3)
    w.requires_grad_()
    got, = torch.autograd.grad(fn.apply(x, y, w), w, allow_unused=True)
    expect(got is None, 'your `backward` gives the weights a gradient: they are constants here, so None')
    leaf, w = x.detach().clone().requires_grad_(), w.detach()
    def after_an_edit(made: Any) -> Tensor:
        edited = leaf.clone()
        loss = made.apply(edited, y, w)
        with torch.no_grad(): edited.mul_(3)
        return torch.autograd.grad(loss, leaf)[0]
    try: got = after_an_edit(fn)
    except RuntimeError as e: expect('inplace' in str(e), f'your `backward` raised {told(e)}')
    else: same(got, w[:, None]*raw, what='gradient after an edit', mistakes=answer.mistakes(after_an_edit))
    big = torch.tensor([[2000., 0.], [0., 1.]], dtype=torch.float64).requires_grad_()
    loss = fn.apply(big, torch.tensor([1, 1]), torch.tensor([0.5, 0.5], dtype=torch.float64))
    expect(loss.isfinite(), f'with a logit of 2000 your value is {loss.item()}: take the logarithm of the softmax in '
                            'one step, before anything over- or underflows')
    got = gradient(loss, big, 'with a logit of 2000')
    expect(got.isfinite().all(), 'with a logit of 2000 your gradient is not finite: the exponential overflows')
    answer.calls += applied.calls


class Right(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target, weights)
        return (weights*F.cross_entropy(logits, target, reduction='none')).sum()
    @staticmethod
    def minus(ctx: Any) -> tuple:
        logits, target, weights = ctx.saved_tensors
        return logits.softmax(1), F.one_hot(target, logits.shape[1]), weights[:, None]

@mistake(cwtm_backward, 'your value is the plain mean of the cross-entropies: multiply each by its weight, and add '
         'up')
class PlainForward(Right):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target, weights)
        return F.cross_entropy(logits, target)

@mistake(cwtm_backward, 'your gradient has the wrong sign: following it would lower the probability of the label')
class Ascent(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*w*(y - q), None, None

@mistake(cwtm_backward, 'the weights are missing, and you divide by the number of samples instead: that is plain '
         'cross-entropy')
class Unweighted(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*(q - y)/len(q), None, None

@mistake(cwtm_backward, 'your gradient is divided by the number of samples: the weights add up to one already')
class MeanTwice(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - y)/len(q), None, None

@mistake(cwtm_backward, "you subtract the student's largest probability: eq. 10 subtracts the one-hot label")
class StudentsMaximum(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - q.amax(1, keepdim=True)), None, None

@mistake(cwtm_backward, "only the label's own logit has a gradient: the wrong classes have one too, their "
         'probability times the weight')
class LabelOnly(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - y)*y, None, None

@mistake(cwtm_backward, "the label is missing from your gradient: it is the student's probabilities alone")
class NoLabel(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output*w*q, None, None

@mistake(cwtm_backward, 'your gradient ignores `grad_output`: the loss was multiplied by {scale:g} afterwards, and '
         'the gradient stayed the same')
class Deaf(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return w*(q - y), None, None

@mistake(cwtm_backward, '`grad_output` multiplies your gradient twice')
class Twice(Right):
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        q, y, w = Right.minus(ctx)
        return grad_output**2*w*(q - y), None, None

@mistake(cwtm_backward, 'the logits were changed in place between forward and backward, and your gradient went '
         'wrong in silence: hand tensors on through `ctx.save_for_backward`, which notices')
class OnContext(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        ctx.saved = logits, target, weights
        return (weights*F.cross_entropy(logits, target, reduction='none')).sum()
    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        logits, target, weights = ctx.saved
        return grad_output*weights[:, None]*(logits.softmax(1) - F.one_hot(target, logits.shape[1])), None, None


@exercise
def permute_others(answer: Answer) -> None:
    for n, c in [(40, 5), (1, 6), (30, 3), (4, 2)]:
        p = _randn(answer, n, c).softmax(1)
        given = torch.Generator().manual_seed(7)
        torch.manual_seed(1)
        got = answer(p, given)
        expect(isinstance(got, torch.Tensor) and got.shape == p.shape,
               f'your result should be a tensor of the shape {list(p.shape)}, yours is '
               f'{list(got.shape) if isinstance(got, torch.Tensor) else type(got).__name__}')
        expect(got.dtype == p.dtype, f'your result should be {p.dtype}, yours is {got.dtype}')
        if not torch.allclose(got.sort(1)[0], p.sort(1)[0]):
            if torch.allclose(got.sort(0)[0], p.sort(0)[0]):
                wrong('you moved values from one sample to another, class by class: they move between the classes of '
                      'the same sample')
            if torch.allclose(got.flatten().sort()[0], p.flatten().sort()[0]):
                wrong('you moved values from one sample to another: they move between the classes of the same sample')
            i = int((got.sort(1)[0] - p.sort(1)[0]).abs().amax(1).argmax())
            wrong(f'the values of a sample have changed: those of sample {i} add up to {got[i].sum():.3f} now. Each '
                  'value must be there once, in its old place or in another')
        moved = got.argmax(1) != p.argmax(1)
        expect(not moved.any(), f'{int(moved.sum())} of {n} samples have lost their largest probability to another '
                                'class: it stays where it was, only the others move')
        if c == 5: expect(not torch.equal(got, p), 'nothing has moved')
        torch.manual_seed(2)
        expect(torch.equal(answer(p, given), got), 'the same generator gives another permutation the second time: draw '
                                                   'all your random numbers from `generator`')
        if c == 5:
            expect(not all(torch.equal(answer(p, torch.Generator().manual_seed(s)), got) for s in (8, 9, 10)),
                   'another generator gives the very same permutation: the seed must not be your own')
    same_row = torch.tensor([0.1, 0.5, 0.2, 0.15, 0.05])
    p = same_row.repeat(1500, 1)
    got = answer(p, torch.Generator().manual_seed(3))
    orders: dict[tuple, int] = {}
    for row in got[:, [0, 2, 3, 4]].mul(100).round().int().tolist(): orders[tuple(row)] = orders.get(tuple(row), 0) + 1
    expect(len(orders) > 1, 'every sample is permuted in the same way: draw a new permutation for each, or classes '
                            'stay related across the batch')
    stayed = (got == p)[:, [0, 2, 3, 4]].any(1).float().mean().item()
    expect(stayed > 0, 'no value ever stays in its place: a random order sometimes leaves one where it was, and that '
                       'must be allowed')
    expect(len(orders) == 24, f'four classes have 24 orders, and yours come in only {len(orders)}: shifting all by the '
                              'same number, or swapping two, is too little')
    low, high = min(orders.values()), max(orders.values())
    expect(high < 3*low, f'your orders are not equally likely: of 1500 samples one came {high} times and another {low} '
                         'times')
    tie = torch.tensor([[0.4, 0.1, 0.4, 0.1]]).repeat(50, 1)
    got = answer(tie, torch.Generator().manual_seed(4))
    expect((got.argmax(1) == tie.argmax(1)).all() and torch.allclose(got.sort(1)[0], tie.sort(1)[0]),
           'two classes share the largest probability: keep the first of them where it is, and move the other')
    expect((got[:, 2] < 0.4).any(), 'two classes share the largest probability, and neither of them ever moves: one '
                                    'class stays, the first of them')
