"Plausible wrong answers to the exercises of the chapter on distillation, each with the words its message must hold"
import torch
import torch.nn.functional as F
from torch.autograd import Function

from . import mutant


@mutant('soft_targets', says='exponential overflows')
def overflows(logits, temperature):
    e = (logits/temperature).exp()
    return e/e.sum(1, keepdim=True)

@mutant('soft_targets', says='changes its input in place')
def soft_in_place(logits, temperature): return logits.div_(temperature).softmax(1)


@mutant('sure_weights', says='hang on the teacher')
def with_graph(teacher_logits):
    c = teacher_logits.softmax(1).amax(1)
    return c/c.sum()

@mutant('sure_weights', says='will broadcast')
def kept_dimension(teacher_logits):
    c = teacher_logits.detach().softmax(1).amax(1, keepdim=True)
    return c/c.sum()


def modes_put_back(modes):
    for m, training in modes: m.training = training

@mutant('ask_teacher', says='in training mode when it answered')
def no_eval(teacher, x):
    with torch.no_grad(): return teacher(x)

@mutant('ask_teacher', says="carry the teacher's graph")
def no_no_grad(teacher, x):
    modes = [(m, m.training) for m in teacher.modules()]
    teacher.eval()
    try: return teacher(x)
    finally: modes_put_back(modes)

@mutant('ask_teacher', says='thrown away')
def detached_afterwards(teacher, x):
    modes = [(m, m.training) for m in teacher.modules()]
    teacher.eval()
    try: return teacher(x).detach()
    finally: modes_put_back(modes)

@mutant('ask_teacher', says='left in eval mode')
def left_in_eval(teacher, x):
    teacher.eval()
    with torch.no_grad(): return teacher(x)

@mutant('ask_teacher', says='mode of its own')
def all_to_train(teacher, x):
    teacher.eval()
    with torch.no_grad(): out = teacher(x)
    teacher.train()
    return out

@mutant('ask_teacher', says='fter a teacher that raised')
def not_after_an_error(teacher, x):
    modes = [(m, m.training) for m in teacher.modules()]
    teacher.eval()
    with torch.no_grad(): out = teacher(x)
    modes_put_back(modes)
    return out

@mutant('ask_teacher', says='no longer ask for gradients')
def frozen_for_ever(teacher, x):
    modes = [(m, m.training) for m in teacher.modules()]
    teacher.eval().requires_grad_(False)
    try: return teacher(x)
    finally: modes_put_back(modes)

@mutant('ask_teacher', says='switched off for everything')
def gradients_left_off(teacher, x):
    modes = [(m, m.training) for m in teacher.modules()]
    torch.set_grad_enabled(False)
    teacher.eval()
    try: return teacher(x)
    finally: modes_put_back(modes)


def both_losses(logits, target, weights):
    ce = F.cross_entropy(logits, target, reduction='none')
    return ce.mean(), (weights*ce).sum()


@mutant('plain_value', says='value is the weighted sum')
def roles_swapped(logits, target, weights):
    plain, weighted = both_losses(logits, target, weights)
    return weighted.detach() + plain - plain.detach()

@mutant('plain_value', says='no gradient comes from it')
def all_detached(logits, target, weights):
    plain, weighted = both_losses(logits.detach(), target, weights)
    return plain + weighted - weighted


@mutant('plain_value', says='times its length everywhere')
def multiplied(logits, target, weights):
    plain, weighted = both_losses(logits, target, weights)
    return plain.detach()*weighted/weighted.detach()


@mutant('plain_value', says='should be a tensor')
def a_number(logits, target, weights): return both_losses(logits, target, weights)[0].item()


@mutant('distil', says='gradient to the teacher')
def teacher_not_detached(student_logits, target, teacher_logits, temperature, alpha):
    soft = F.kl_div((student_logits/temperature).log_softmax(1), (teacher_logits/temperature).softmax(1),
                    reduction='batchmean')
    return alpha*temperature**2*soft + (1 - alpha)*F.cross_entropy(student_logits, target)


class Right(Function):
    @staticmethod
    def forward(ctx, logits, target, weights):
        ctx.save_for_backward(logits, target, weights)
        return (weights*F.cross_entropy(logits, target, reduction='none')).sum()
    @staticmethod
    def minus(ctx):
        logits, target, weights = ctx.saved_tensors
        return logits.softmax(1), F.one_hot(target, logits.shape[1]), weights[:, None]


@mutant('cwtm_backward', says='one value for each input')
class OneGradient(Right):
    @staticmethod
    def backward(ctx, grad_output):
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - y)


@mutant('cwtm_backward', says='give[s]? the weights a gradient')
class WeightsToo(Right):
    @staticmethod
    def backward(ctx, grad_output):
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - y), None, -grad_output*(q*y).sum(1).log()

@mutant('cwtm_backward', says='should be the class itself')
def the_gradient_alone(logits, target, weights):
    return weights[:, None]*(logits.softmax(1) - F.one_hot(target, logits.shape[1]))

@mutant('cwtm_backward', says='before anything over- or underflows')
class Underflows(Right):
    @staticmethod
    def forward(ctx, logits, target, weights):
        ctx.save_for_backward(logits, target, weights)
        return -(weights*logits.softmax(1).gather(1, target[:, None])[:, 0].log()).sum()
    @staticmethod
    def backward(ctx, grad_output):
        q, y, w = Right.minus(ctx)
        return grad_output*w*(q - y), None, None


def others_of(row): return torch.arange(len(row))[torch.arange(len(row)) != row.argmax()]

@mutant('permute_others', says='lost their largest probability')
def permute_all(probs, generator):
    return torch.stack([row[torch.randperm(len(row), generator=generator)] for row in probs])

@mutant('permute_others', says='from one sample to another')
def permute_rows(probs, generator): return probs[torch.randperm(len(probs), generator=generator)]

@mutant('permute_others', says='permuted in the same way')
def one_order_for_all(probs, generator):
    out, order = probs.clone(), torch.randperm(probs.shape[1] - 1, generator=generator)
    for row in out: row[others_of(row)] = row[others_of(row)[order]]
    return out

@mutant('permute_others', says='same generator gives another permutation')
def generator_ignored(probs, generator):
    out = probs.clone()
    for row in out: row[others_of(row)] = row[others_of(row)[torch.randperm(len(row) - 1)]]
    return out

@mutant('permute_others', says='the seed must not be your own')
def seed_of_its_own(probs, generator):
    return shuffled(probs, torch.Generator().manual_seed(0))

def shuffled(probs, generator):
    out = probs.clone()
    for row in out: row[others_of(row)] = row[others_of(row)[torch.randperm(len(row) - 1, generator=generator)]]
    return out

@mutant('permute_others', says='changes its input in place')
def others_in_place(probs, generator):
    for row in probs: row[others_of(row)] = row[others_of(row)[torch.randperm(len(row) - 1, generator=generator)]]
    return probs

@mutant('permute_others', says='o value ever stays')
def never_in_place(probs, generator):
    out = probs.clone()
    for row in out:
        row[others_of(row)] = row[others_of(row).roll(int(torch.randint(1, max(2, len(row) - 1), (1,),
            generator=generator)))]
    return out

@mutant('permute_others', says='come in only')
def random_shift(probs, generator):
    out = probs.clone()
    for row in out:
        row[others_of(row)] = row[others_of(row).roll(int(torch.randint(0, len(row) - 1, (1,), generator=generator)))]
    return out

@mutant('permute_others', says='share the largest probability')
def both_largest_stay(probs, generator):
    out = probs.clone()
    for row in out:
        others = torch.arange(len(row))[row != row.max()]
        row[others] = row[others[torch.randperm(len(others), generator=generator)]]
    return out

@mutant('permute_others', says='othing has moved')
def untouched(probs, generator): return probs.clone()

@mutant('permute_others', says='values of a sample have changed')
def drawn_with_repeats(probs, generator):
    out = probs.clone()
    for row in out:
        others = others_of(row)
        row[others] = row[others[torch.randint(0, len(others), (len(others),), generator=generator)]]
    return out


@mutant('plain_value', says='divided by the number of samples')
def weighted_mean_brings_it(logits, target, weights):
    ce = F.cross_entropy(logits, target, reduction='none')
    part = (weights*ce).mean()
    return ce.mean().detach() + part - part.detach()
