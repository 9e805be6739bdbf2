"Plausible wrong answers to the exercises of the chapter on losses, each with the words its message must hold"
import torch
import torch.nn.functional as F

from . import mutant

# softmax(logits, dim)


@mutant('softmax', says='do not line up for the shape .3, 5.: a sum over a dimension drops')
def sum_drops_its_dimension(logits, dim):
    e = logits.exp()
    return e/e.sum(dim)


@mutant('softmax', says='overflows to infinity')
def overflows(logits, dim):
    e = logits.exp()
    return e/e.sum(dim, keepdim=True)

@mutant('softmax', says='overflows to infinity')
def takes_off_the_smallest(logits, dim):
    e = (logits - logits.amin(dim, keepdim=True)).exp()
    return e/e.sum(dim, keepdim=True)


@mutant('softmax', says="row 1: next to the largest value of the whole tensor.*must be the row's own")
def takes_off_the_largest_of_all(logits, dim):
    e = (logits - logits.max()).exp()
    return e/e.sum(dim, keepdim=True)

@mutant('softmax', says='changes its input in place')
def in_place(logits, dim):
    logits -= logits.amax(dim, keepdim=True)
    e = logits.exp()
    return e/e.sum(dim, keepdim=True)


@mutant('softmax', says='should be float64, yours is float32')
def always_float32(logits, dim): return logits.float().softmax(dim)


# pick_per_row(values, labels)


@mutant('pick_per_row', says=r'the columns \[4, 0, 2\] of every row')
def index_selects(values, labels): return values.index_select(1, labels)

@mutant('pick_per_row', says='in a column')
def keeps_a_column(values, labels): return values.gather(1, labels[:, None])

@mutant('pick_per_row', says='batch of one row.*squeeze')
def squeezes_too_much(values, labels): return values.gather(1, labels[:, None]).squeeze()


@mutant('pick_per_row', says='have they changed places')
def row_and_class_swapped(values, labels): return values[labels, torch.arange(len(labels))]


@mutant('pick_per_row', says='0 times infinity')
def multiplies_the_others_away(values, labels): return (values*F.one_hot(labels, values.shape[1])).sum(1)

@mutant('pick_per_row', says='no gradient can flow back')
def through_python(values, labels): return torch.tensor([values[i, y].item() for i, y in enumerate(labels.tolist())])

@mutant('pick_per_row', says='should be a tensor, yours is a list')
def a_list(values, labels): return [values[i, y].item() for i, y in enumerate(labels)]


@mutant('pick_per_row', says='`gather` wants an index with as many dimensions')
def gathers_with_flat_labels(values, labels): return values.gather(1, labels)


# perplexity(logits, labels)


@mutant('perplexity', says='one number per item')
def one_per_item(logits, labels): return F.cross_entropy(logits, labels, reduction='none').exp()


@mutant('perplexity', says='(?i)labels of -100 mark padding')
def padding_looked_up(logits, labels):
    if labels.min() < 0: raise IndexError('index -100 is out of bounds for dimension 1')
    return F.cross_entropy(logits, labels).exp()


# cross_entropy(logits, labels)

@mutant('cross_entropy', says='the sum over the 3 items')
def summed(logits, labels): return F.cross_entropy(logits, labels, reduction='sum')

@mutant('cross_entropy', says='negative: the mean log-probability')
def without_minus(logits, labels): return -F.cross_entropy(logits, labels)

@mutant('cross_entropy', says='over all 15 entries of the table, so yours is 5 times too small')
def mean_of_the_table(logits, labels): return -(logits.log_softmax(1)*F.one_hot(labels, logits.shape[1])).mean()

@mutant('cross_entropy', says='softmax goes over the batch')
def batch_softmax(logits, labels): return F.nll_loss(logits.log_softmax(0), labels)

@mutant('cross_entropy', says='columns of all labels are taken from every row')
def every_label_of_every_row(logits, labels): return -logits.log_softmax(1)[:, labels].mean()

@mutant('cross_entropy', says='minus the mean probability.*logarithm is missing')
def probabilities_into_nll(logits, labels): return F.nll_loss(logits.softmax(1), labels)

@mutant('cross_entropy', says='logarithm is taken of the mean probability')
def log_of_mean(logits, labels): return -logits.softmax(1)[torch.arange(len(labels)), labels].mean().log()

@mutant('cross_entropy', says='(?i)softmax was applied twice')
def two_softmaxes(logits, labels): return F.cross_entropy(logits.softmax(1), labels)

@mutant('cross_entropy', says='mean logit of the right class')
def logits_as_log_probabilities(logits, labels): return F.nll_loss(logits, labels)

@mutant('cross_entropy', says='one number per item')
def mean_forgotten(logits, labels): return F.cross_entropy(logits, labels, reduction='none')

@mutant('cross_entropy', says='logarithm taken of the logits themselves')
def log_of_logits(logits, labels): return -logits.log()[torch.arange(len(labels)), labels].mean()

@mutant('cross_entropy', says='base 2')
def in_bits(logits, labels): return F.cross_entropy(logits, labels)/torch.tensor(2.).log()

@mutant('cross_entropy', says='likes most, not at the label')
def most_likely_class(logits, labels): return -logits.log_softmax(1).amax(1).mean()

@mutant('cross_entropy', says='Which of your results has lost its dimension')
def sum_without_its_dimension(logits, labels):
    log_q = logits - logits.exp().sum(1).log()
    return -log_q[torch.arange(len(labels)), labels].mean()

@mutant('cross_entropy', says='logarithm is taken of a probability that was rounded to 0')
def log_of_rounded_zero(logits, labels): return -logits.softmax(1)[torch.arange(len(labels)), labels].log().mean()

@mutant('cross_entropy', says='hides how wrong the model is')
def patched_inside_the_log(logits, labels):
    return -(logits.softmax(1)[torch.arange(len(labels)), labels] + 1e-8).log().mean()

@mutant('cross_entropy', says='hides how wrong the model is')
def clamped_probability(logits, labels):
    return -logits.softmax(1)[torch.arange(len(labels)), labels].clamp(min=1e-7).log().mean()

@mutant('cross_entropy', says='an exponential overflows')
def naive_log_sum_exp(logits, labels):
    return (logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels]).mean()

@mutant('cross_entropy', says='(?i)each row its own largest logit')
def shifted_by_the_largest_of_all(logits, labels):
    z = logits - logits.max()
    return (z.exp().sum(1).log() - z[torch.arange(len(labels)), labels]).mean()

@mutant('cross_entropy', says='no gradient can flow back')
def detached(logits, labels): return F.cross_entropy(logits, labels).detach()


@mutant('cross_entropy', says='changes its input in place')
def shifts_in_place(logits, labels):
    logits.sub_(logits.amax(1, keepdim=True))
    return F.cross_entropy(logits, labels)


# label_smoothing(labels, classes, eps)


@mutant('label_smoothing', says='`eps` is 0.2 here')
def always_a_tenth(labels, classes, eps): return 0.9*F.one_hot(labels, classes) + 0.1/classes


@mutant('label_smoothing', says='say how many classes there are')
def as_many_as_the_largest_label(labels, classes, eps):
    hot = F.one_hot(labels).float()
    return (1 - eps)*hot + eps/hot.shape[1]

@mutant('label_smoothing', says='integers hold no shares')
def integers(labels, classes, eps):
    out = F.one_hot(labels, classes)
    return ((1 - eps)*out + eps/classes).to(out.dtype)

@mutant('label_smoothing', says='turned over|items belong in the rows')
def turned_over(labels, classes, eps): return ((1 - eps)*F.one_hot(labels, classes) + eps/classes).T


# logit_gradient(logits, labels)

def _q_y(logits, labels): return logits.softmax(1), F.one_hot(labels, logits.shape[1])


@mutant('logit_gradient', says='changes its input in place')
def in_place_on_logits(logits, labels):
    logits -= logits.amax(1, keepdim=True)
    q, y = _q_y(logits, labels)
    return (q - y)/len(labels)

@mutant('logit_gradient', says='(?i)autograd is switched off here')
def by_autograd(logits, labels):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(logits, labels), logits)[0]

@mutant('logit_gradient', says='exponentials overflow')
def gradient_overflows(logits, labels):
    e = logits.exp()
    return (e/e.sum(1, keepdim=True) - F.one_hot(labels, logits.shape[1]))/len(labels)


# focal_loss(logits, labels, gamma)

def _surprise(logits, labels): return F.cross_entropy(logits, labels, reduction='none')


@mutant('focal_loss', says='one number per item')
def focal_each(logits, labels, gamma):
    s = _surprise(logits, labels)
    return (1 - (-s).exp())**gamma*s

@mutant('focal_loss', says='rounded to 0, and then its logarithm taken')
def focal_log_of_zero(logits, labels, gamma):
    p = logits.softmax(1)[torch.arange(len(labels)), labels]
    return (-(1 - p)**gamma*p.log()).mean()


# gradient_in_pieces(x, labels, weight, size)

def _pieces(x, labels, weight, size, reduction):
    "The gradient of each piece's loss, and how many of its labels count"
    for i in range(0, len(x), size):
        w = weight.clone().requires_grad_()
        loss = F.cross_entropy(x[i:i + size] @ w, labels[i:i + size], reduction=reduction)
        yield torch.autograd.grad(loss, w)[0], int((labels[i:i + size] != -100).sum()), len(x[i:i + size])


@mutant('gradient_in_pieces', says='every label is padding is 0/0')
def mean_over_nothing(x, labels, weight, size):
    total = torch.zeros_like(weight)
    for i in range(0, len(x), size):
        rows, y = x[i:i + size], labels[i:i + size]
        kept = y != -100
        slope = ((rows @ weight).softmax(1) - F.one_hot(y.clamp(min=0), weight.shape[1]))*kept[:, None]
        total += rows.T @ slope/kept.sum()*kept.sum()
    return total/(labels != -100).sum()

@mutant('gradient_in_pieces', says='6 rows of logits at once; no more than size=3')
def all_at_once(x, labels, weight, size): return next(_pieces(x, labels, weight, len(x), 'mean'))[0]


@mutant('gradient_in_pieces', says='changes its input in place')
def trains_the_weights(x, labels, weight, size):
    grad = sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))/(labels != -100).sum()
    weight -= 0.1*grad
    return grad


@mutant('softmax', says='write it yourself')
def borrowed_softmax(logits, dim): return logits.softmax(dim)

@mutant('cross_entropy', says='write it yourself')
def borrowed_loss(logits, labels): return F.cross_entropy(logits, labels)

@mutant('cross_entropy', says='write it yourself')
def borrowed_log_softmax(logits, labels): return -logits.log_softmax(1)[torch.arange(len(labels)), labels].mean()
