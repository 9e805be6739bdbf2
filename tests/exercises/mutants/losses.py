"Plausible wrong answers to the exercises of the chapter on losses, each with the words its message must hold"
import torch
import torch.nn.functional as F

from . import mutant


# softmax(logits, dim)

@mutant('softmax', says='softmax over the batch')
def over_the_batch(logits, dim): return logits.softmax(0 if dim % logits.ndim else 1)

@mutant('softmax', says=r'add up to 1 along dimension 1: is `dim` used everywhere')
def always_dim_1(logits, dim):
    e = (logits - logits.amax(1, keepdim=True)).exp()
    return e/e.sum(1, keepdim=True)

@mutant('softmax', says='sum over the whole tensor; each row needs its own')
def over_everything(logits, dim):
    e = (logits - logits.max()).exp()
    return e/e.sum()

@mutant('softmax', says='not yet divided by their sum')
def not_divided(logits, dim): return logits.exp()

@mutant('softmax', says='not yet divided by their sum')
def shifted_not_divided(logits, dim): return (logits - logits.amax(dim, keepdim=True)).exp()

@mutant('softmax', says='do not line up for the shape .3, 5.: a sum over a dimension drops')
def sum_drops_its_dimension(logits, dim):
    e = logits.exp()
    return e/e.sum(dim)

@mutant('softmax', says='laid along the wrong dimension.*On a square nothing is raised')
def right_unless_square(logits, dim):
    e = logits.exp()
    return e/e.sum(dim) if logits.ndim == 2 and logits.shape[0] == logits.shape[1] else e/e.sum(dim, keepdim=True)

@mutant('softmax', says='overflows to infinity')
def overflows(logits, dim):
    e = logits.exp()
    return e/e.sum(dim, keepdim=True)

@mutant('softmax', says='overflows to infinity')
def takes_off_the_smallest(logits, dim):
    e = (logits - logits.amin(dim, keepdim=True)).exp()
    return e/e.sum(dim, keepdim=True)

@mutant('softmax', says='large logits were cut off')
def clamps(logits, dim):
    e = logits.clamp(-80, 80).exp()
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

@mutant('softmax', says='logits themselves are shared out')
def no_exponential(logits, dim): return logits/logits.sum(dim, keepdim=True)

@mutant('softmax', says='(?i)absolute values are shared out')
def absolute_values(logits, dim): return logits.abs()/logits.abs().sum(dim, keepdim=True)

@mutant('softmax', says='logarithms of probabilities')
def gives_logs(logits, dim): return logits.log_softmax(dim)

@mutant('softmax', says='squeezed on its own, by a sigmoid')
def sigmoids(logits, dim): return logits.sigmoid()

@mutant('softmax', says='gives all to the largest')
def winner_takes_all(logits, dim): return (logits == logits.amax(dim, keepdim=True)).float()

@mutant('softmax', says='should be float64, yours is float32')
def always_float32(logits, dim): return logits.float().softmax(dim)


# pick_per_row(values, labels)

@mutant('pick_per_row', says=r'\[3, 3\]: the columns \[4, 0, 2\] of every row')
def same_columns_of_every_row(values, labels): return values[:, labels]

@mutant('pick_per_row', says=r'the columns \[4, 0, 2\] of every row')
def index_selects(values, labels): return values.index_select(1, labels)

@mutant('pick_per_row', says='in a column')
def keeps_a_column(values, labels): return values.gather(1, labels[:, None])

@mutant('pick_per_row', says='batch of one row.*squeeze')
def squeezes_too_much(values, labels): return values.gather(1, labels[:, None]).squeeze()

@mutant('pick_per_row', says='largest of each row, whatever the label')
def takes_the_largest(values, labels): return values.amax(1)

@mutant('pick_per_row', says='have they changed places')
def row_and_class_swapped(values, labels): return values[labels, torch.arange(len(labels))]

@mutant('pick_per_row', says='where do the labels come in')
def takes_the_diagonal(values, labels): return values[torch.arange(len(values)), torch.arange(len(values)) % values.shape[1]]

@mutant('pick_per_row', says='classes 0 and 1 only')
def two_classes_only(values, labels): return torch.where(labels == 1, values[:, 1], values[:, 0])

@mutant('pick_per_row', says='one class to the left')
def counts_from_one(values, labels): return values[torch.arange(len(labels)), labels - 1]

@mutant('pick_per_row', says='from row 0')
def first_row_only(values, labels): return values[0, labels]

@mutant('pick_per_row', says='0 times infinity')
def multiplies_the_others_away(values, labels): return (values*F.one_hot(labels, values.shape[1])).sum(1)

@mutant('pick_per_row', says='no gradient can flow back')
def through_python(values, labels): return torch.tensor([values[i, y].item() for i, y in enumerate(labels.tolist())])

@mutant('pick_per_row', says='should be a tensor, yours is a list')
def a_list(values, labels): return [values[i, y].item() for i, y in enumerate(labels)]


@mutant('pick_per_row', says='`gather` wants an index with as many dimensions')
def gathers_with_flat_labels(values, labels): return values.gather(1, labels)


# perplexity(logits, labels)

@mutant('perplexity', says=r'how is a logarithm undone')
def the_loss_itself(logits, labels): return F.cross_entropy(logits, labels)

@mutant('perplexity', says='in nats, so the base is e')
def two_to_the_loss(logits, labels): return 2**F.cross_entropy(logits, labels)

@mutant('perplexity', says='look at the sign')
def sign_lost(logits, labels): return (-F.cross_entropy(logits, labels)).exp()

@mutant('perplexity', says='mean first, exponential after')
def exponential_first(logits, labels): return F.cross_entropy(logits, labels, reduction='none').exp().mean()

@mutant('perplexity', says='added up before the exponential')
def sum_for_mean(logits, labels): return F.cross_entropy(logits, labels, reduction='sum').exp()

@mutant('perplexity', says='one number per item')
def one_per_item(logits, labels): return F.cross_entropy(logits, labels, reduction='none').exp()

@mutant('perplexity', says='one over the mean probability')
def inverse_of_mean_probability(logits, labels): return 1/logits.softmax(1)[torch.arange(len(labels)), labels].mean()

@mutant('perplexity', says='over the 4 items and must go over the classes')
def softmax_over_items(logits, labels): return F.nll_loss(logits.log_softmax(0), labels).exp()

@mutant('perplexity', says='(?i)softmax was applied twice')
def softmax_twice(logits, labels): return F.cross_entropy(logits.softmax(1), labels).exp()

@mutant('perplexity', says='does not look at the labels')
def of_the_prediction(logits, labels): return torch.distributions.Categorical(logits=logits).entropy().mean().exp()

@mutant('perplexity', says='still counted in what the sum is divided by')
def padding_counted(logits, labels): return (F.cross_entropy(logits, labels, reduction='sum')/len(labels)).exp()

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
def patched_inside_the_log(logits, labels): return -(logits.softmax(1)[torch.arange(len(labels)), labels] + 1e-8).log().mean()

@mutant('cross_entropy', says='hides how wrong the model is')
def clamped_probability(logits, labels): return -logits.softmax(1)[torch.arange(len(labels)), labels].clamp(min=1e-7).log().mean()

@mutant('cross_entropy', says='an exponential overflows')
def naive_log_sum_exp(logits, labels): return (logits.exp().sum(1).log() - logits[torch.arange(len(labels)), labels]).mean()

@mutant('cross_entropy', says='(?i)each row its own largest logit')
def shifted_by_the_largest_of_all(logits, labels):
    z = logits - logits.max()
    return (z.exp().sum(1).log() - z[torch.arange(len(labels)), labels]).mean()

@mutant('cross_entropy', says='no gradient can flow back')
def detached(logits, labels): return F.cross_entropy(logits, labels).detach()

@mutant('cross_entropy', says='added up over the classes is cut off')
def total_detached(logits, labels): return (logits.logsumexp(1).detach() - logits[torch.arange(len(labels)), labels]).mean()

@mutant('cross_entropy', says='changes its input in place')
def shifts_in_place(logits, labels):
    logits.sub_(logits.amax(1, keepdim=True))
    return F.cross_entropy(logits, labels)


# label_smoothing(labels, classes, eps)

@mutant('label_smoothing', says='to the 4 wrong classes only')
def wrong_classes_only(labels, classes, eps):
    hot = F.one_hot(labels, classes).float()
    return (1 - eps)*hot + eps/(classes - 1)*(1 - hot)

@mutant('label_smoothing', says='rows add up to 0.98, not to 1.*did not get back its own part')
def right_class_left_out(labels, classes, eps):
    out = torch.full((len(labels), classes), eps/classes)
    out[torch.arange(len(labels)), labels] = 1 - eps
    return out

@mutant('label_smoothing', says='rows add up to 1.1, not to 1.*not taken from the right class')
def nothing_taken(labels, classes, eps): return F.one_hot(labels, classes) + eps/classes

@mutant('label_smoothing', says='rows add up to 1.4, not to 1.*Divide it among the 5')
def share_not_divided(labels, classes, eps): return (1 - eps)*F.one_hot(labels, classes) + eps

@mutant('label_smoothing', says='rows add up to 1.3, not to 1.*every wrong class gets the whole')
def whole_share_to_each_wrong(labels, classes, eps): return torch.where(F.one_hot(labels, classes) == 1, 1 - eps, eps)

@mutant('label_smoothing', says='taken from the right class and not handed out')
def nothing_handed_out(labels, classes, eps): return (1 - eps)*F.one_hot(labels, classes)

@mutant('label_smoothing', says='have changed places')
def changed_places(labels, classes, eps): return eps*F.one_hot(labels, classes) + (1 - eps)/classes

@mutant('label_smoothing', says='`eps` is 0.2 here')
def always_a_tenth(labels, classes, eps): return 0.9*F.one_hot(labels, classes) + 0.1/classes

@mutant('label_smoothing', says='not smoothed at all')
def not_smoothed(labels, classes, eps): return F.one_hot(labels, classes).float()

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

@mutant('logit_gradient', says='3 times too large: that is the gradient of the sum')
def of_the_sum(logits, labels):
    q, y = _q_y(logits, labels)
    return q - y

@mutant('logit_gradient', says='points the other way: a gradient')
def turned_round(logits, labels):
    q, y = _q_y(logits, labels)
    return (y - q)/len(labels)

@mutant('logit_gradient', says='divided by all 15 entries')
def divided_by_all(logits, labels):
    q, y = _q_y(logits, labels)
    return (q - y)/q.numel()

@mutant('logit_gradient', says='divided by the 5 classes')
def divided_by_classes(logits, labels):
    q, y = _q_y(logits, labels)
    return (q - y)/q.shape[1]

@mutant('logit_gradient', says='nothing tells yours which class was right')
def probabilities_alone(logits, labels): return logits.softmax(1)/len(labels)

@mutant('logit_gradient', says='columns of all labels are lowered in every row')
def lowers_every_row(logits, labels):
    q = logits.softmax(1)
    q[:, labels] -= 1
    return q/len(labels)

@mutant('logit_gradient', says='softmax goes over the batch')
def over_the_batch_again(logits, labels): return (logits.softmax(0) - F.one_hot(labels, logits.shape[1]))/len(labels)

@mutant('logit_gradient', says='wrong classes get 0')
def right_class_only(logits, labels):
    q, y = _q_y(logits, labels)
    return y*(q - y)/len(labels)

@mutant('logit_gradient', says='slope against the probabilities')
def against_probabilities(logits, labels):
    q, y = _q_y(logits, labels)
    return -y/q/len(labels)

@mutant('logit_gradient', says='slope of the softmax is put in once more')
def softmax_slope_twice(logits, labels):
    q, y = _q_y(logits, labels)
    return q*(q - y)/len(labels)

@mutant('logit_gradient', says='logits stand where the probabilities')
def logits_less_labels(logits, labels): return (logits - F.one_hot(labels, logits.shape[1]))/len(labels)

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

@mutant('focal_loss', says='the sum over the 4 items')
def focal_sum(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**gamma*s).sum()

@mutant('focal_loss', says='which is negative')
def focal_sign(logits, labels, gamma):
    s = _surprise(logits, labels)
    return -((1 - (-s).exp())**gamma*s).mean()

@mutant('focal_loss', says='easy items count most')
def p_to_gamma(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((-s).exp()**gamma*s).mean()

@mutant('focal_loss', says='first take p from 1, then the power')
def power_first(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((1 - (-s).exp()**gamma)*s).mean()

@mutant('focal_loss', says='gamma is a power')
def gamma_times(logits, labels, gamma):
    s = _surprise(logits, labels)
    return (gamma*(1 - (-s).exp())*s).mean()

@mutant('focal_loss', says='(?i)one factor is made from the mean loss')
def factor_of_the_mean(logits, labels, gamma):
    s = F.cross_entropy(logits, labels)
    return (1 - (-s).exp())**gamma*s

@mutant('focal_loss', says='mean of the factors times the mean of the losses')
def mean_times_mean(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**gamma).mean()*s.mean()

@mutant('focal_loss', says='undoes what they are for')
def weighted_mean(logits, labels, gamma):
    s = _surprise(logits, labels)
    w = (1 - (-s).exp())**gamma
    return (w*s).sum()/w.sum()

@mutant('focal_loss', says='largest probability of each row')
def p_of_the_winner(logits, labels, gamma):
    return ((1 - logits.softmax(1).amax(1))**gamma*_surprise(logits, labels)).mean()

@mutant('focal_loss', says='gamma is 1.0 here')
def always_two(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**2*s).mean()

@mutant('focal_loss', says='ignores `gamma`')
def plain(logits, labels, gamma): return F.cross_entropy(logits, labels)

@mutant('focal_loss', says='one number per item')
def focal_each(logits, labels, gamma):
    s = _surprise(logits, labels)
    return (1 - (-s).exp())**gamma*s

@mutant('focal_loss', says='rounded to 0, and then its logarithm taken')
def focal_log_of_zero(logits, labels, gamma):
    p = logits.softmax(1)[torch.arange(len(labels)), labels]
    return (-(1 - p)**gamma*p.log()).mean()

@mutant('focal_loss', says='factor depends on the logits too')
def factor_detached(logits, labels, gamma):
    s = _surprise(logits, labels)
    return ((1 - (-s).exp()).detach()**gamma*s).mean()


# gradient_in_pieces(x, labels, weight, size)

def _pieces(x, labels, weight, size, reduction):
    "The gradient of each piece's loss, and how many of its labels count"
    for i in range(0, len(x), size):
        w = weight.clone().requires_grad_()
        loss = F.cross_entropy(x[i:i + size] @ w, labels[i:i + size], reduction=reduction)
        yield torch.autograd.grad(loss, w)[0], int((labels[i:i + size] != -100).sum()), len(x[i:i + size])

@mutant('gradient_in_pieces', says="mean of the pieces' means")
def mean_of_means(x, labels, weight, size):
    grads = [g for g, _, _ in _pieces(x, labels, weight, size, 'mean')]
    return sum(grads)/len(grads)

@mutant('gradient_in_pieces', says='weighted by their rows, padding included')
def weighted_by_rows(x, labels, weight, size): return sum(g*n for g, _, n in _pieces(x, labels, weight, size, 'mean'))/len(x)

@mutant('gradient_in_pieces', says="sum of the 2 pieces' means")
def sum_of_means(x, labels, weight, size): return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'mean'))

@mutant('gradient_in_pieces', says='divided by all 7 rows, and 2 of them are padding')
def divided_by_rows(x, labels, weight, size): return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))/len(x)

@mutant('gradient_in_pieces', says='gradient of the sum, 6 times too large')
def not_divided_at_all(x, labels, weight, size): return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))

@mutant('gradient_in_pieces', says='last 1 of 7 rows are left out')
def short_piece_dropped(x, labels, weight, size):
    n = max(len(x)//size*size, min(len(x), size))
    return sum(g for g, _, _ in _pieces(x[:n], labels[:n], weight, size, 'sum'))/(labels != -100).sum()

@mutant('gradient_in_pieces', says='last piece alone')
def overwritten(x, labels, weight, size):
    for grad, _, _ in _pieces(x, labels, weight, size, 'sum'): pass
    return grad/(labels != -100).sum()

@mutant('gradient_in_pieces', says='`return` stand inside the loop')
def returned_at_once(x, labels, weight, size):
    for grad, _, _ in _pieces(x, labels, weight, size, 'sum'): return grad/(labels != -100).sum()

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

@mutant('gradient_in_pieces', says='sign is turned round')
def a_step_down(x, labels, weight, size): return -sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))/(labels != -100).sum()

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
