"What the exercises of the chapter on losses are held against"
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from course_lib.exercises import Answer, Wrong, exercise, expect, mistake, same, wrong


def _draw(answer: Answer, *shape: Any, scale: float = 2.0) -> Tensor:
    return scale*torch.randn(shape, generator=answer.generator)


def _labels(answer: Answer, n: int, classes: int) -> Tensor:
    return torch.randint(classes, (n,), generator=answer.generator)


def _range(x: Tensor) -> str:
    return f'{x.min():.3g}' if x.max() - x.min() < 1e-3 else f'between {x.min():.3g} and {x.max():.3g}'


def _one_hot(y: Tensor, classes: int, dtype: Any = torch.float32) -> Tensor: return F.one_hot(y, classes).to(dtype)


def _lined_up(answer: Answer, message: str, *args: Any) -> Any:
    "The learner's answer; `message` where sizes that do not fit were put together"
    try: return answer(*args)
    except Wrong as e:
        if 'RuntimeError' in str(e) and ('must match the size' in str(e) or 'broadcast' in str(e)):
            wrong(f'{message} (PyTorch says: {str(e.__cause__)})')
        raise


class _Ready(TorchFunctionMode):
    "Notes which of PyTorch's ready-made functions the learner calls"
    def __init__(self) -> None:
        super().__init__()
        self.used: list[str] = []
    def __torch_function__(self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = getattr(func, '__name__', '')
        if name in ('softmax', 'log_softmax', 'cross_entropy', 'nll_loss', 'softmin'): self.used.append(name)
        return func(*args, **(kwargs or {}))


def _own_way(answer: Answer, *args: Any) -> None:
    "Fails an answer that is right and borrowed"
    with _Ready() as ready: answer(*args)
    expect(not ready.used, "the result is right, and it comes from PyTorch's own "
                           f"`{ready.used[0] if ready.used else ''}`: write it yourself this time, with an exponential "
                           "and a sum")


@exercise
def softmax(answer: Answer) -> None:
    lost = ('the numbers and what they are divided by (or what is taken off them) do not line up for the shape {}: a '
            'sum over a dimension drops that '
            'dimension, unless it is kept with size 1')
    for shape, dim in [((3, 5), 1), ((4, 2), 0), ((4, 4), 1), ((2, 3, 6), -1), ((2, 5, 3), 1), ((1, 7), 1)]:
        x = _draw(answer, *shape)
        got, want = _lined_up(answer, lost.format(list(shape)), x, dim), x.softmax(dim)
        facts: dict[str, Any] = {'dim': dim, 'rows': x.shape[0], 'other': 1 - dim if x.ndim == 2 else None}
        if isinstance(got, Tensor) and got.shape == x.shape:
            facts |= {'sums': _range(got.sum(dim)), 'lowest': got.min(), 'highest': got.max()}
        known = answer.mistakes(**{name: fact for name, fact in facts.items() if fact is not None})
        same(got, want, what='softmax', mistakes=known)
    double = _draw(answer, 2, 3).double()
    same(answer(double, 1), double.softmax(1), what='softmax of float64 logits', rtol=1e-9)
    big = torch.tensor([[10_000., 9_999., 0.]])
    got, want = answer(big, 1), big.softmax(1)
    expect(not got.isnan().any(), 'for the logits 10000, 9999 and 0 yours gives '
                                  f'{[round(v, 4) for v in got[0].tolist()]}: the exponential of a large number '
                                  'overflows to infinity, and infinity '
           'over infinity is not a number. Only differences of logits count: what could you take off all of them '
           'first, so that none is above 0?')
    same(got, want, what='softmax of very large logits', rtol=1e-2, mistakes=answer.mistakes())
    rows = torch.tensor([[1000., 999.], [-1000., -1001.], [0., 1.]])
    got = answer(rows, 1)
    expect(not got.isnan().any(), 'with rows whose logits lie near 1000, -1000 and 0, yours holds nan in row '
                                  f'{int(got.isnan().any(1).nonzero()[0]) if got.isnan().any() else 0}: '
           'next to the largest value of the whole tensor all exponentials of that row vanish, and 0/0 is left. What '
           'is taken off must be the row\'s own')
    same(got, rows.softmax(1), what='softmax of rows at different heights', rtol=1e-2)
    _own_way(answer, rows, 1)


@mistake(softmax, 'right shape, wrong values: with dim={dim} yours add up to {sums} along that '
         'dimension, not to 1. They add up to 1 along dimension {other}: is `dim` used everywhere, or is yours a '
         'softmax over the batch?')
def over_the_batch(logits: Tensor, dim: int) -> Tensor: return logits.softmax(0 if dim % logits.ndim else 1)

@mistake(softmax, 'right shape, wrong values: along dim={dim} yours add up to {sums}, not to 1. They are '
         'divided by the sum over the whole tensor; each row needs its own')
def over_everything(logits: Tensor, dim: int) -> Tensor:
    e = (logits - logits.max()).exp()
    return e/e.sum()

@mistake(softmax, 'yours add up to {sums} along dim={dim}, not to 1: the exponentials are there, and are '
         'not yet divided by their sum')
def not_divided(logits: Tensor, dim: int) -> Tensor: return logits.exp()

@mistake(softmax, 'yours add up to {sums} along dim={dim}, not to 1: the exponentials are there, each shifted by the '
         'largest, and are not yet divided by their sum')
def shifted_not_divided(logits: Tensor, dim: int) -> Tensor: return (logits - logits.amax(dim, keepdim=True)).exp()

@mistake(softmax, 'right shape, wrong values: with dim={dim} yours add up to {sums} along that dimension, not to 1. '
                  'They '
         'add up to 1 along dimension 1, whatever `dim` is')
def always_dim_1(logits: Tensor, dim: int) -> Tensor: return logits.softmax(1)

@mistake(softmax, 'yours are between {lowest:.3g} and {highest:.3g}: those are logarithms of '
         'probabilities, and probabilities are asked for')
def gives_logs(logits: Tensor, dim: int) -> Tensor: return logits.log_softmax(dim)

@mistake(softmax, 'some of yours are negative (the lowest is {lowest:.3g}): the logits '
         'themselves are shared out. Make them positive first, with the exponential')
def no_exponential(logits: Tensor, dim: int) -> Tensor: return logits/logits.sum(dim, keepdim=True)

@mistake(softmax, 'absolute values are shared out: then a logit of -3 counts as much as one of 3. The exponential '
         'makes every number positive and keeps the order')
def absolute_values(logits: Tensor, dim: int) -> Tensor: return logits.abs()/logits.abs().sum(dim, keepdim=True)

@mistake(softmax, 'each logit is squeezed on its own, by a sigmoid, and along dim={dim} yours add up to '
         '{sums}. In a softmax the classes share one unit')
def sigmoids(logits: Tensor, dim: int) -> Tensor: return logits.sigmoid()

@mistake(softmax, 'sigmoids are shared out: the ratio of two probabilities must be the exponential of the difference '
                  'of '
         'their logits, and a sigmoid is not that')
def shared_sigmoids(logits: Tensor, dim: int) -> Tensor:
    return logits.sigmoid()/logits.sigmoid().sum(dim, keepdim=True)

@mistake(softmax, 'the smallest logit gets the largest share: has a minus sign slipped in?')
def upside_down(logits: Tensor, dim: int) -> Tensor: return (-logits).softmax(dim)

@mistake(softmax, 'powers of 2 are shared out; the exponential has the base e, 2.718')
def powers_of_two(logits: Tensor, dim: int) -> Tensor: return (logits*math.log(2)).softmax(dim)

@mistake(softmax, 'yours gives all to the largest logit. The others get a share too, by their exponential')
def winner_takes_all(logits: Tensor, dim: int) -> Tensor: return (logits == logits.amax(dim, keepdim=True)).float()

@mistake(softmax, 'right shape, wrong values: your sums are laid along the wrong dimension, so the {rows} rows '
         "are divided by one another's sums. On a square nothing is raised; on other shapes it would be. A sum "
         'drops its dimension unless you keep it with size 1')
def right_unless_square(logits: Tensor, dim: int) -> Tensor:
    e = logits.exp()
    return e/e.sum(dim) if logits.ndim == 2 and logits.shape[0] == logits.shape[1] else e/e.sum(dim, keepdim=True)

@mistake(softmax, 'for the logits 10000 and 9999 yours gives equal probabilities: large logits were cut off, and '
         'their difference with them. Take the same number off all logits of a row instead')
def clamps(logits: Tensor, dim: int) -> Tensor:
    e = logits.clamp(-80, 80).exp()
    return e/e.sum(dim, keepdim=True)


@exercise
def pick_per_row(answer: Answer) -> None:
    for n, classes in [(3, 5), (5, 3), (4, 4), (1, 6)]:
        x = _draw(answer, n, classes)
        y = torch.arange(n).flip(0) % classes if n > 1 else torch.tensor([4])
        if n == 3: y = torch.tensor([4, 0, 2])
        r = torch.arange(n)
        try:
            got = _lined_up(answer, f'row numbers and labels do not line up for {n} rows and {classes} classes: there '
                                    'is one label for each row', x, y)
        except Wrong as e:
            if 'IndexError' in str(e) or 'out of bounds' in str(e):
                wrong(f'an index is out of range for {n} rows and {classes} classes. In the table the first index '
                      'names the row and the second the class: have they changed places?')
            if 'same number of dimensions' in str(e):
                wrong('`gather` wants an index with as many dimensions as the table, and the labels have only one, '
                      f'{[n]}: they need a second of size 1 (and the result one fewer)')
            raise
        if isinstance(got, torch.Tensor):
            if got.shape == (n, n) and n > 1:
                same(got, x[r, y], what='result', mistakes=answer.mistakes(shape=[n, n], columns=y.tolist(), n=n))
            expect(got.shape != (n, 1), f'yours has the shape {[n, 1]}: the right numbers may be in it, in a column. '
                                        f'The shape {[n]} is asked for')
            expect(got.shape != (1, n) or n == 1, f'yours has the shape {[1, n]}: one dimension too many. The shape '
                                                  f'{[n]} is asked for')
            expect(got.shape != () or n > 1, 'for a batch of one row yours is a single number without a dimension; the '
                                             'shape [1] is asked for. Does a squeeze drop more than it should?')
            expect(got.shape != (n, classes), f'yours still has all {classes} columns, {[n, classes]}: one number per '
                                              'row is asked for')
        first = x[r, r % classes]
        same(got, x[r, y], what='result', mistakes=answer.mistakes() | {
            'row and class have changed places: the first index names the row, the second the '
            'class': (lambda x=x, y=y, r=r: x[y, r]) if n == classes else first,
            'yours is one class to the right of the label: classes are counted from 0, and so are '
            'columns': x[r, (y + 1) % classes],
        })
    x, y = torch.tensor([[-math.inf, -0.5, -1.0], [-2.0, -math.inf, -0.1]]), torch.tensor([1, 1])
    got = answer(x, y)
    expect(not got.isnan().any(), 'a log-probability may be minus infinity (class 0 of the first row is), and yours '
                                  'turns it to nan: 0 times infinity is not a number. '
           'Pick the number instead of multiplying the others away')
    same(got, torch.tensor([-0.5, -math.inf]), what='result where other values are minus infinity')
    x = _draw(answer, 3, 4).requires_grad_()
    got = answer(x, torch.tensor([3, 0, 1]))
    expect(got.requires_grad, 'the values are right, and no gradient can flow back through them: they were taken out '
                              'of their tensor (by `item`, `tolist`, `detach` or a new tensor)')


@mistake(pick_per_row, 'yours has the shape {shape}: the columns {columns} of every row. One number per row is asked '
         'for, {n} in all; they stand on the diagonal of yours')
def same_columns_of_every_row(values: Tensor, labels: Tensor) -> Tensor: return values[:, labels]

@mistake(pick_per_row, 'yours is the largest of each row, whatever the label says. A loss looks at the right class, '
         'also where the model prefers another')
def takes_the_largest(values: Tensor, labels: Tensor) -> Tensor: return values.amax(1)

@mistake(pick_per_row, 'yours picks row 0 and its class 0, row 1 and its class 1, and so on: where do the labels '
         'come in?')
def takes_the_diagonal(values: Tensor, labels: Tensor) -> Tensor:
    return values[torch.arange(len(values)), torch.arange(len(values)) % values.shape[1]]

@mistake(pick_per_row, 'yours picks from the classes 0 and 1 only: a choice between two columns does not do for '
         'more classes')
def two_classes_only(values: Tensor, labels: Tensor) -> Tensor:
    return torch.where(labels == 1, values[:, 1], values[:, 0])

@mistake(pick_per_row, 'yours takes every number from row 0: each label belongs to a row of its own')
def first_row_only(values: Tensor, labels: Tensor) -> Tensor: return values[0, labels]

@mistake(pick_per_row, 'yours is one class to the left of the label: classes are counted from 0, and so are columns')
def counts_from_one(values: Tensor, labels: Tensor) -> Tensor: return values[torch.arange(len(labels)), labels - 1]


def _ce(x: Tensor, y: Tensor) -> float: return F.cross_entropy(x, y).item()


def _number(got: Tensor, items: int, what: str, also: str = '') -> None:
    "The answer must be one number"
    if isinstance(got, torch.Tensor) and got.ndim:
        expect(tuple(got.shape) != (items,), f'yours is one number per item ({items} of them); {what} of the whole '
                                             f'batch is one number{also}')


@exercise
def perplexity(answer: Answer) -> None:
    for n, classes in [(4, 10), (1, 3)]:
        x, y = torch.zeros(n, classes), _labels(answer, n, classes)
        got = answer(x, y)
        _number(got, n, 'the perplexity')
        loss = math.log(classes)
        same(got, float(classes), what=f'perplexity of a model that knows nothing about {classes} classes',
             mistakes=answer.mistakes(loss=loss, classes=classes, power=2 ** loss, one_over=1 / classes, n=n))
    for n, classes in [(6, 4), (3, 7), (5, 2)]:
        x, y = _draw(answer, n, classes), _labels(answer, n, classes)
        each = F.cross_entropy(x, y, reduction='none')
        want = each.mean().exp().item()
        same(answer(x, y), want, what='perplexity', mistakes=answer.mistakes() | {
            'yours is the median item; a perplexity comes from the mean loss': each.median().exp().item(),
            'the probabilities of the batch share one unit: the softmax goes over the items and must go over the '
            'classes of each': F.nll_loss(x.log_softmax(0), y).exp().item(),
            'the losses are added up before the exponential: more items would make the perplexity larger. Take the '
            'mean': each.sum().exp().item(),
        })
    x, y = _draw(answer, 6, 4), torch.tensor([2, -100, 0, 3, -100, -100])
    kept = F.cross_entropy(x, y)
    try: got = answer(x, y)
    except Wrong as e:
        if 'raised' in str(e): wrong(f'labels of -100 mark padding and count nothing; with them {e}')
        raise
    same(got, kept.exp().item(), what='perplexity with three items of padding (label -100)', mistakes=answer.mistakes())


@mistake(perplexity, '{loss:.4f} is the loss, in nats, of a model that knows nothing about {classes} classes. Its '
         'perplexity is {classes}: how is a logarithm undone?')
def the_loss_itself(logits: Tensor, labels: Tensor) -> Tensor: return F.cross_entropy(logits, labels)

@mistake(perplexity, 'yours is 2 to the power of the loss, {power:.4f}, for a model that knows nothing about '
         '{classes} classes. The loss is in nats, so the base is e')
def two_to_the_loss(logits: Tensor, labels: Tensor) -> Tensor: return 2**F.cross_entropy(logits, labels)

@mistake(perplexity, 'yours is {one_over:.4f}, the probability of the right class. A perplexity is one over '
         'that, {classes} here: look at the sign')
def sign_lost(logits: Tensor, labels: Tensor) -> Tensor: return (-F.cross_entropy(logits, labels)).exp()

@mistake(perplexity, 'the losses of the {n} items are added up before the exponential: more items would make the '
         'perplexity larger')
def sum_for_mean(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction='sum').exp()

@mistake(perplexity, 'yours is {n}, the size of the batch: the softmax goes over the {n} items and must go over the '
         'classes')
def softmax_over_items(logits: Tensor, labels: Tensor) -> Tensor: return F.nll_loss(logits.log_softmax(0), labels).exp()

@mistake(perplexity, 'the exponential is taken item by item, and then the mean. One bad item then outweighs all '
         'others: mean first, exponential after')
def exponential_first(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction='none').exp().mean()

@mistake(perplexity, 'yours is one over the mean probability. The mean is taken of the losses, which are logarithms')
def inverse_of_mean_probability(logits: Tensor, labels: Tensor) -> Tensor:
    return 1/logits.softmax(1)[torch.arange(len(labels)), labels].mean()

@mistake(perplexity, 'softmax was applied twice: cross-entropy has one inside')
def softmax_twice(logits: Tensor, labels: Tensor) -> Tensor: return F.cross_entropy(logits.softmax(1), labels).exp()

@mistake(perplexity, 'that is the perplexity of the prediction itself, the exponential of its entropy: it does not '
         'look at the labels')
def of_the_prediction(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.distributions.Categorical(logits=logits).entropy().mean().exp()

@mistake(perplexity, 'three of six labels are -100, padding that counts nothing. It is left out of your sum, and '
         'still counted in what the sum is divided by')
def padding_counted(logits: Tensor, labels: Tensor) -> Tensor:
    return (F.cross_entropy(logits, labels, reduction='sum')/len(labels)).exp()


def _ways_wrong(x: Tensor, y: Tensor) -> dict:
    "{message: value} of the plausible wrong means of cross-entropy"
    n, classes = x.shape
    r, log_q, q = torch.arange(n), x.log_softmax(1), x.softmax(1)
    each = -log_q[r, y]
    hot = _one_hot(y, classes)
    over_batch = -x.log_softmax(0)[r, y].mean()
    return {
        f'yours is {each.sum():.4f}, the sum over the {n} items; asked is their mean': each.sum(),
        f'yours is {-each.mean():.4f}, which is negative: the mean log-probability. A loss is small when the model is '
        'right, so the sign is the other way round': -each.mean(),
        f'the mean is taken over all {n*classes} entries of the table, so yours is {classes} times too small. Only one '
        f'entry in each row counts: divide by the {n} items': (-(hot*log_q)).mean(),
        'the softmax goes over the batch: each column shares one unit, and each row should. Which dimension holds the '
        'classes?': over_batch,
        'the columns of all labels are taken from every row, and averaged. Each row has one label of its '
        'own': -log_q[:, y].mean(),
        f'yours is {-q[r, y].mean():.4f}, minus the mean probability of the right class: the logarithm is '
        'missing': -q[r, y].mean(),
        'yours is one minus the mean probability of the right class: the loss of an item is minus the logarithm of '
        'that probability': 1 - q[r, y].mean(),
        'the logarithm is taken of the mean probability. First the logarithm of each item\'s, then the '
        'mean': -q[r, y].mean().log(),
        'softmax was applied twice: log-softmax brings its own': F.cross_entropy(q, y),
        'yours is minus the mean logit of the right class. A logit says nothing by itself; measure it against the '
        'others of its row': -x[r, y].mean(),
        'the logarithm has the base 2. Losses are in nats: base e': each.mean()/math.log(2),
        'the logarithm has the base 10. Losses are in nats: base e': each.mean()/math.log(10),
        'all classes count in yours, right and wrong ones. The loss looks at the right class of each '
        'row': -log_q.mean(),
        'all classes count in yours, right and wrong ones: their log-probabilities are added up. The loss looks at the '
        'right class of each row': -log_q.sum(1).mean(),
        'yours looks at the class that the model likes most, not at the label': -log_q.amax(1).mean(),
        'that is the entropy of the prediction: each log-probability is weighted with the model\'s own probability, '
        'and the labels do not come in': -(q*log_q).sum(1).mean(),
        'the exponentials are not added up before the logarithm: log(exp(x)) is x again': (x.amax(1) - x[r, y]).mean(),
    }


@exercise
def cross_entropy(answer: Answer) -> None:
    for n, classes in [(3, 5), (6, 4), (4, 4), (1, 3), (5, 2)]:
        x = _draw(answer, n, classes)
        y = torch.tensor([4, 0, 2]) if n == 3 else _labels(answer, n, classes)
        got = _lined_up(answer, f'what you put together does not line up for {n} items and {classes} classes. Which of '
                                'your results has lost its dimension of classes?', x, y)
        _number(got, n, 'the mean', ': one last step is missing')
        expect(not isinstance(got, (int, float)), 'yours is a plain Python number: no gradient can flow back through '
                                                  'it. Return the tensor')
        expect(not (isinstance(got, torch.Tensor) and got.isnan().any()),
               'yours is nan, for quite ordinary logits: is the logarithm taken of the logits themselves? Some are '
               'negative. '
               'The logarithm belongs to the probabilities, or to a sum of exponentials')
        mistakes = _ways_wrong(x, y)
        if n == classes:
            mistakes['your sums are laid along the wrong dimension, which only a square table lets pass: a sum drops '
                     'its dimension'] = lambda x=x, y=y: -(x.exp()/x.exp().sum(1)).log()[torch.arange(len(y)), y].mean()
        same(got, F.cross_entropy(x, y), what='loss', mistakes=mistakes)
    zero = torch.zeros(2, 10)
    same(answer(zero, torch.tensor([3, 7])), torch.tensor(math.log(10)),
         what='loss of a model that knows nothing about ten classes')
    for x, label, loss in [(torch.tensor([[0., 200.]]), 0, 200.), (torch.tensor([[10_000., 9_999.]]), 1, 1.3132617),
                       (torch.tensor([[-1000., -1001., -1003.]]), 0, 0.3490122)]:
        got = answer(x, torch.tensor([label]))
        logits = [int(v) for v in x[0].tolist()]
        seen = f'for the logits {logits} and the label {label} the loss is {loss:.4g}; yours is {got.item():.4g}'
        expect(not got.isnan(), f'{seen}: exponentials overflow to infinity, or all vanish to 0. Only differences '
                                'count: take the row\'s largest logit off first')
        expect(got != math.inf, f'{seen}: either an exponential overflows (a float32 holds no more than e to the power '
                                'of 88), or the logarithm is taken of a probability that was rounded to 0. Let log and '
                                'exp cancel on paper, and take the row\'s largest logit off first')
        expect(abs(got.item() - loss) <= 1e-3*loss, f'{seen}: a small number added inside the logarithm, or a limit on '
                                                    'the probability, hides how wrong the model is (and such an item '
                                                    'teaches it '
               'nothing). Do without the probability: take its logarithm on paper first')
    rows = torch.tensor([[1000., 999.], [-1000., -1001.]])
    cause = ('take off each row its own largest logit. Next to the largest of the whole table all exponentials of a '
             'low row vanish')
    same(answer(rows, torch.tensor([0, 1])), F.cross_entropy(rows, torch.tensor([0, 1])),
         what='loss of two rows at different heights', mistakes={
        f'{cause}: with the logits 1000 and 999 in one row and -1000 and -1001 in the other, yours is '
        f'{value}': torch.tensor(value) for value in (math.inf, -math.inf)})
    x, y = _draw(answer, 4, 3).requires_grad_(), torch.tensor([0, 2, 1, 2])
    got = torch.autograd.grad(_call_with_grad(answer, x, y), answer.inputs[0])[0]
    want = (x.softmax(1) - _one_hot(y, 3))/4
    known = answer.mistakes(lambda fn: torch.autograd.grad(fn(x, y), x)[0])
    same(got, want.detach(), what='gradient of your loss', mistakes=known | {
        'the value is right and its gradient is not: what you pick by the label is cut off from the gradient '
        '(`detach`, `no_grad` or `item`)': x.softmax(1).detach()/4,
    })
    _own_way(answer, rows, torch.tensor([0, 1]))


@mistake(cross_entropy, 'the value is right and its gradient is not: what is added up over the classes is cut off '
         'from the gradient (`detach`, `no_grad` or `item`)')
def total_detached(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.logsumexp(1).detach() - logits[torch.arange(len(labels)), labels]).mean()


def _call_with_grad(answer: Answer, x: Tensor, *rest: Any) -> Tensor:
    "The learner's number for logits that ask for a gradient; says so if none can flow"
    loss = answer(x, *rest)
    expect(isinstance(loss, torch.Tensor) and loss.requires_grad,
           'the value is right, and no gradient can flow back through it: somewhere the numbers leave their tensor '
           '(`item`, `tolist`, `detach`, `no_grad`)')
    return loss


@exercise
def label_smoothing(answer: Answer) -> None:
    for labels, classes, eps in [([2, 0, 3], 5, 0.1), ([1, 0], 4, 0.2), ([0, 1, 2], 3, 0.3), ([1], 2, 0.1)]:
        y = torch.tensor(labels)
        hot = _one_hot(y, classes)
        got, want = answer(y, classes, eps), (1 - eps)*hot + eps/classes
        if isinstance(got, torch.Tensor) and got.ndim == 2 and got.shape[0] == len(y) and got.shape[1] < classes:
            wrong(f'there are {classes} classes, and your rows have {got.shape[1]} columns, as many as the largest '
                  'label of this batch needs: say how many classes there are')
        if isinstance(got, torch.Tensor) and got.shape == (classes, len(y)) and len(y) != classes:
            wrong(f'yours has the shape {[classes, len(y)]}: items belong in the rows, classes in the columns')
        if isinstance(got, torch.Tensor) and got.shape == want.shape and not got.is_floating_point():
            wrong(f'yours is {str(got.dtype).removeprefix("torch.")}, and integers hold no shares such as {eps}: the '
                  'result must be float32')
        shares = answer.mistakes(eps=eps, others=classes - 1, rest=1 - eps, classes=classes,
                                 short_sum=1 - eps / classes, every_sum=1 - eps + classes * eps,
                                 others_sum=1 - eps + (classes - 1) * eps,
                                 kept_share=eps + (1 - eps) / classes) | {
            f'your rows add up to {1 + (classes - 1)*eps:.4g}, not to 1: every wrong class gets the whole share of '
            f'{eps}, and the right one keeps all it had': torch.where(hot == 1, 1., eps),
            'the classes are counted from 1 in yours; they count from '
            '0': (1 - eps)*_one_hot((y - 1) % classes, classes) + eps/classes,
        }
        if eps != 0.1: shares[f'yours smooths by 0.1, and `eps` is {eps} here'] = 0.9*hot + 0.1/classes
        if len(y) == classes: shares['items belong in the rows, classes in the columns: yours is turned over'] = want.T
        same(got, want, what='smoothed target', mistakes=shares)
    y = torch.tensor([3, 1, 1, 0])
    same(answer(y, 4, 0.0), _one_hot(y, 4), what='target smoothed by 0')
    same(answer(y, 4, 1.0), torch.full((4, 4), 0.25), what='target smoothed by 1, which knows nothing any more,')
    same(answer(torch.zeros(0, dtype=torch.long), 3, 0.1), torch.zeros(0, 3), what='result for a batch without items')


@mistake(label_smoothing, 'the share of {eps} goes to the {others} wrong classes only, and the right one gets '
         '{rest:.4g}. It is spread over all {classes}, the right one included, which ends with more than '
         '{rest:.4g}')
def wrong_classes_only(labels: Tensor, classes: int, eps: float) -> Tensor:
    hot = F.one_hot(labels, classes).float()
    return (1 - eps)*hot + eps/(classes - 1)*(1 - hot)

@mistake(label_smoothing, 'your rows add up to {short_sum:.4g}, not to 1: the right class lost {eps} and did '
         'not get back its own part of what is spread')
def right_class_left_out(labels: Tensor, classes: int, eps: float) -> Tensor:
    out = torch.full((len(labels), classes), eps/classes)
    out[torch.arange(len(labels)), labels] = 1 - eps
    return out

@mistake(label_smoothing, 'your rows add up to {rest:.4g}, not to 1: the share of {eps} is handed out, and was '
         'not taken from the right class first')
def nothing_taken(labels: Tensor, classes: int, eps: float) -> Tensor: return F.one_hot(labels, classes) + eps/classes

@mistake(label_smoothing, 'your rows add up to {every_sum:.4g}, not to 1: every class gets the whole '
         'share of {eps}. Divide it among the {classes}')
def share_not_divided(labels: Tensor, classes: int, eps: float) -> Tensor:
    return (1 - eps)*F.one_hot(labels, classes) + eps

@mistake(label_smoothing, 'your rows add up to {others_sum:.4g}, not to 1: every wrong class gets the '
         'whole share of {eps}. Divide it')
def whole_share_to_each_wrong(labels: Tensor, classes: int, eps: float) -> Tensor:
    return torch.where(F.one_hot(labels, classes) == 1, 1 - eps, eps)

@mistake(label_smoothing, 'your rows add up to {rest:.4g}, not to 1: the share of {eps} is taken from the right '
         'class and not handed out')
def nothing_handed_out(labels: Tensor, classes: int, eps: float) -> Tensor: return (1 - eps)*F.one_hot(labels, classes)

@mistake(label_smoothing, 'the share and what is left have changed places: with eps={eps} the right class should '
         'keep nearly all, and yours keeps {kept_share:.4g}')
def changed_places(labels: Tensor, classes: int, eps: float) -> Tensor:
    return eps*F.one_hot(labels, classes) + (1 - eps)/classes

@mistake(label_smoothing, 'the labels are not smoothed at all: where does `eps` come in?')
def not_smoothed(labels: Tensor, classes: int, eps: float) -> Tensor: return F.one_hot(labels, classes).float()


@exercise
def logit_gradient(answer: Answer) -> None:
    for n, classes in [(3, 5), (6, 4), (4, 4), (1, 3), (5, 2)]:
        x = _draw(answer, n, classes)
        y = torch.tensor([4, 0, 2]) if n == 3 else _labels(answer, n, classes)
        try:
            with torch.no_grad():
                got = _lined_up(answer, f'what you put together does not line up for {n} items and {classes} classes',
                                x, y)
        except Wrong as e:
            if 'does not require grad' in str(e) or 'grad_fn' in str(e):
                wrong('autograd is switched off here: this time you are to write the gradient down yourself. It has no '
                      'more to it than the probabilities and the labels')
            raise
        q, hot = x.softmax(1), _one_hot(y, classes)
        whole = (q - hot)
        every = q.clone(); every[:, y] -= 1
        batch = x.softmax(0) - hot
        same(got, whole/n, what='gradient', mistakes=answer.mistakes(n=n, entries=n * classes, classes=classes) | {
            'yours points the other way, and it is that of the sum: the gradient is negative at the right class, and '
            'the mean divides by the items': -whole,
            'that is the probabilities alone, which are all positive: nothing tells yours which class was right. (Nor '
            'is the mean over the items taken)': q,
            'the columns of all labels are lowered in every row, and the mean is not taken. Each row has one label: '
            'one entry in a row is lowered': every,
            'the softmax goes over the batch, and the mean is not taken; it must go over the classes of each '
            'row': batch,
            'log-probabilities stand where the probabilities should be': (x.log_softmax(1) - hot)/n,
            'yours subtracts 1 everywhere; only the right class of each row has a 1': (q - 1)/n,
        })
    big = torch.tensor([[10_000., 0., 0.], [0., 0., -10_000.]])
    y = torch.tensor([1, 2])
    got = answer(big, y)
    expect(not got.isnan().any(), 'with logits of 10000 yours holds nan: the exponentials overflow. Take the row\'s '
                                  'largest logit off first, or use a softmax that does')
    same(got, (big.softmax(1) - _one_hot(y, 3))/2, what='gradient for very large logits')


def _q_y(logits: Tensor, labels: Tensor) -> tuple: return logits.softmax(1), F.one_hot(labels, logits.shape[1])

@mistake(logit_gradient, 'yours is {n} times too large: that is the gradient of the sum. The mean over {n} items '
         'divides it among them')
def of_the_sum(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return q - y

@mistake(logit_gradient, 'yours is divided by all {entries} entries; the mean is over the {n} items')
def divided_by_all(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return (q - y)/q.numel()

@mistake(logit_gradient, 'yours is divided by the {classes} classes; the mean is over the {n} items')
def divided_by_classes(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return (q - y)/q.shape[1]

@mistake(logit_gradient, 'yours points the other way: a gradient points to where the loss grows, so it is negative '
         'at the right class. What you have is the step that makes the loss smaller')
def turned_round(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return (y - q)/len(labels)

@mistake(logit_gradient, 'that is the probabilities alone, which are all positive: nothing tells yours which class '
         'was right')
def probabilities_alone(logits: Tensor, labels: Tensor) -> Tensor: return logits.softmax(1)/len(labels)

@mistake(logit_gradient, 'the columns of all labels are lowered in every row. Each row has one label: one entry in '
         'a row is lowered')
def lowers_every_row(logits: Tensor, labels: Tensor) -> Tensor:
    q = logits.softmax(1)
    q[:, labels] -= 1
    return q/len(labels)

@mistake(logit_gradient, 'the softmax goes over the batch; it must go over the classes of each row')
def over_the_batch_again(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.softmax(0) - F.one_hot(labels, logits.shape[1]))/len(labels)

@mistake(logit_gradient, 'the wrong classes get 0 in yours. They are pushed down too, each by its probability')
def right_class_only(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return y*(q - y)/len(labels)

@mistake(logit_gradient, 'that is the slope against the probabilities. It still has to pass back through the '
         'softmax, down to the logits')
def against_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return -y/q/len(labels)

@mistake(logit_gradient, 'the logits stand where the probabilities should be')
def logits_less_labels(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits - F.one_hot(labels, logits.shape[1]))/len(labels)

@mistake(logit_gradient, 'the slope of the softmax is put in once more: the logarithm has cancelled it already')
def softmax_slope_twice(logits: Tensor, labels: Tensor) -> Tensor:
    q, y = _q_y(logits, labels)
    return q*(q - y)/len(labels)


def _focal(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    each = F.cross_entropy(x, y, reduction='none')
    return (1 - (-each).exp())**gamma*each


@exercise
def focal_loss(answer: Answer) -> None:
    for n, classes, gamma in [(4, 3, 2.0), (6, 5, 1.0), (1, 4, 2.0), (5, 2, 3.0), (4, 3, 0.5)]:
        x, y = _draw(answer, n, classes, scale=1.0), _labels(answer, n, classes)
        r, each = torch.arange(n), F.cross_entropy(x, y, reduction='none')
        p, items = (-each).exp(), _focal(x, y, gamma)
        got = _lined_up(answer, f'factor and loss do not line up for {n} items and {classes} classes: both have one '
                                'number per item', x, y, gamma)
        _number(got, n, 'the mean', ': one last step is missing')
        mistakes = answer.mistakes(got=got, n=n, gamma=gamma) | {
            'yours is the mean of the factors; the losses of the items are missing': ((1 - p)**gamma).mean(),
            'the loss itself is raised to the power of gamma. The power belongs to (1 - '
            'p)': ((1 - p)*each**gamma).mean(),
            'in yours p comes from a softmax over the batch; the classes of each row share one '
            'unit': ((1 - x.softmax(0)[r, y])**gamma*each).mean(),
        }
        same(got, items.mean(), what=f'focal loss with gamma={gamma}', mistakes=mistakes)
    x, y = _draw(answer, 5, 4), _labels(answer, 5, 4)
    same(answer(x, y, 0.0), F.cross_entropy(x, y), what='focal loss with gamma=0, which is the cross-entropy')
    far = torch.tensor([[0., 200.], [3., 0.]])
    got, want = answer(far, torch.tensor([0, 0]), 2.0), _focal(far, torch.tensor([0, 0]), 2.0).mean()
    expect(math.isfinite(got), f'for an item with the logits 0 and 200 and the label 0 yours is {float(got)}: its '
                               'probability was rounded to 0, and then its logarithm taken. Start from the '
           'loss of each item, computed from logits, and get p back from it')
    same(got, want, what='focal loss of an item with the logits 0 and 200 and the label 0', rtol=1e-3)
    x, y, gamma = _draw(answer, 4, 3).requires_grad_(), torch.tensor([0, 2, 1, 2]), 2.0
    got = torch.autograd.grad(_call_with_grad(answer, x, y, gamma), answer.inputs[0])[0]
    want, = torch.autograd.grad(_focal(x, y, gamma).mean(), x)
    same(got, want, what='gradient of your focal loss', mistakes=answer.mistakes(
        lambda fn: torch.autograd.grad(fn(x, y, gamma), x)[0]))


def _surprise(logits: Tensor, labels: Tensor) -> Tensor: return F.cross_entropy(logits, labels, reduction='none')

@mistake(focal_loss, 'yours is {got:.4f}, the sum over the {n} items; asked is their mean')
def focal_sum(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**gamma*s).sum()

@mistake(focal_loss, 'yours is {got:.4f}, which is negative: a minus sign is missing before the logarithm, '
         'or there is one too many')
def focal_sign(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return -((1 - (-s).exp())**gamma*s).mean()

@mistake(focal_loss, 'the factor is p to the power of gamma, so the easy items count most. It is to be small where '
         'p is large')
def p_to_gamma(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((-s).exp()**gamma*s).mean()

@mistake(focal_loss, 'the factor is 1 less p to the power of gamma: first take p from 1, then the power')
def power_first(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((1 - (-s).exp()**gamma)*s).mean()

@mistake(focal_loss, 'the factor is gamma times (1 - p): gamma is a power')
def gamma_times(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return (gamma*(1 - (-s).exp())*s).mean()

@mistake(focal_loss, 'one factor is made from the mean loss, for all items alike. Each item has a p, and a factor, '
         'of its own')
def factor_of_the_mean(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = F.cross_entropy(logits, labels)
    return (1 - (-s).exp())**gamma*s

@mistake(focal_loss, "the mean of the factors times the mean of the losses. Each item's factor belongs to that "
         "item's loss")
def mean_times_mean(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**gamma).mean()*s.mean()

@mistake(focal_loss, 'yours divides by the sum of the factors, which undoes what they are for: easy items are to '
         'count less. The mean is over the items')
def weighted_mean(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    w = (1 - (-s).exp())**gamma
    return (w*s).sum()/w.sum()

@mistake(focal_loss, 'in yours p is the largest probability of each row. It must be that of the label')
def p_of_the_winner(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    return ((1 - logits.softmax(1).amax(1))**gamma*_surprise(logits, labels)).mean()

@mistake(focal_loss, 'yours ignores `gamma`: that is the plain cross-entropy')
def plain(logits: Tensor, labels: Tensor, gamma: float) -> Tensor: return F.cross_entropy(logits, labels)

@mistake(focal_loss, 'yours has the power 2, and gamma is {gamma} here')
def always_two(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((1 - (-s).exp())**2*s).mean()

@mistake(focal_loss, 'the value is right and its gradient is not: the factor depends on the logits too, and yours '
         'is cut off from the gradient (`detach`, `no_grad` or `item`)')
def factor_detached(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    s = _surprise(logits, labels)
    return ((1 - (-s).exp()).detach()**gamma*s).mean()


class _Rows(TorchFunctionMode):
    "Sees how many rows the largest table of logits has that the learner makes"
    def __init__(self, classes: int) -> None: super().__init__(); self.classes, self.most = classes, 0

    def __torch_function__(self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.ndim == 2 and out.shape[1] == self.classes:
            self.most = max(self.most, out.shape[0])
        return out


@exercise
def gradient_in_pieces(answer: Answer) -> None:
    pad = -100
    cases = [([1, 4, 0, 3, 2, 2], 3, 'two equal pieces'), ([1, 4, 0, 3, 2, 2, 0], 3, 'a short last piece'),
             ([1, pad, pad, 3, 2, 2, 0], 4, 'padding in one piece'),
             ([1, 0, pad, pad, 4, 3], 2, 'a piece of nothing but padding'), ([3], 4, 'fewer rows than a piece holds')]
    for labels, size, story in cases:
        y, d = torch.tensor(labels), 2
        x, w = _draw(answer, len(y), d), _draw(answer, d, 5, scale=0.5)
        def of(reduction: str = 'mean', rows: slice = slice(None)) -> Tensor:
            a = w.clone().requires_grad_()
            return torch.autograd.grad(F.cross_entropy(x[rows] @ a, y[rows], reduction=reduction), a)[0]
        kept = int((y != pad).sum())
        pieces = [slice(i, i + size) for i in range(0, len(y), size)]
        full = len(y)//size
        with _Rows(5) as seen: got = answer(x, y, w, size)
        means, sums = [of('mean', p) for p in pieces], [of('sum', p) for p in pieces]
        rows = [len(y[p]) for p in pieces]
        if isinstance(got, torch.Tensor) and got.isnan().any():
            wrong(f'with {story} your gradient holds nan: ' + ('the mean over a piece in which every label is padding '
                                                               'is 0/0. Leave means for the very '
                                                               'end' if kept < len(y) else 'is something divided by '
                                                                   'zero?'))
        mistakes = answer.mistakes(story=story, sizes=', '.join(map(str, rows)), total=len(y), kept=kept,
                                   parts=len(pieces), padded=len(y) - kept) | {
            'yours is the last piece alone: each piece should add to what the earlier ones gave': means[-1],
            'yours is the first piece alone: does a `return` stand inside the loop?': means[0],
            f'yours is divided by the {len(pieces)} pieces; divide by the {kept} labels that '
            'count': sum(sums)/len(pieces),
            f'yours is divided by the size of a piece, {size}; divide by the {kept} labels that count': sum(sums)/size,
        }
        if len(y) % size: mistakes |= answer.mistakes(left_over=len(y) - full * size, total=len(y), size=size) | {
            f'the last {len(y) - full*size} of {len(y)} rows are left out (and not counted): the last piece may be '
            f'shorter than {size}': of('mean', slice(0, full*size)),
        }
        same(got, of(), what=f'gradient with {story}', mistakes=mistakes)
        expect(seen.most <= size, f'the gradient is right, and you made a table with {seen.most} rows of logits at '
                                  f'once; no more than size={size} rows are allowed at a time')


def _pieces(x: Tensor, labels: Tensor, weight: Tensor, size: int, reduction: str) -> Iterator:
    "The gradient of each piece's loss, and how many of its labels count"
    for i in range(0, len(x), size):
        w = weight.clone().requires_grad_()
        loss = F.cross_entropy(x[i:i + size] @ w, labels[i:i + size], reduction=reduction)
        yield torch.autograd.grad(loss, w)[0], int((labels[i:i + size] != -100).sum()), len(x[i:i + size])

@mistake(gradient_in_pieces, "with {story} ({sizes} rows) yours is the mean of the pieces' means, so a "
         'row in a small piece counts more than one in a large piece')
def mean_of_means(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    grads = [g for g, _, _ in _pieces(x, labels, weight, size, 'mean')]
    return sum(grads)/len(grads)

@mistake(gradient_in_pieces, "with {story} the pieces' means are weighted by their rows, padding included: {total} "
         'rows, of which {kept} count')
def weighted_by_rows(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return sum(g*n for g, _, n in _pieces(x, labels, weight, size, 'mean'))/len(x)

@mistake(gradient_in_pieces, "yours is the sum of the {parts} pieces' means: more pieces would make it larger")
def sum_of_means(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'mean'))

@mistake(gradient_in_pieces, 'yours is divided by all {total} rows, and {padded} of them are padding: divide by '
         'the {kept} that count')
def divided_by_rows(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))/len(x)

@mistake(gradient_in_pieces, 'yours is the gradient of the sum, {kept} times too large: divide by the {kept} labels '
         'that count')
def not_divided_at_all(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))

@mistake(gradient_in_pieces, 'yours is the last piece alone (divided by all labels): each piece should add to what '
         'the earlier ones gave')
def overwritten(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    for grad, _, _ in _pieces(x, labels, weight, size, 'sum'): pass
    return grad/(labels != -100).sum()

@mistake(gradient_in_pieces, 'yours is the first piece alone (divided by all labels): does a `return` stand inside '
         'the loop?')
def returned_at_once(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return next(iter(_pieces(x, labels, weight, size, 'sum')))[0]/(labels != -100).sum()

@mistake(gradient_in_pieces, 'the sign is turned round: asked is the gradient, not the step against it')
def a_step_down(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    return -sum(g for g, _, _ in _pieces(x, labels, weight, size, 'sum'))/(labels != -100).sum()

@mistake(gradient_in_pieces, 'the last {left_over} of {total} rows are left out: the last piece may be '
         'shorter than {size}')
def short_piece_dropped(x: Tensor, labels: Tensor, weight: Tensor, size: int) -> Tensor:
    n = max(len(x)//size*size, min(len(x), size))
    return sum(g for g, _, _ in _pieces(x[:n], labels[:n], weight, size, 'sum'))/(labels != -100).sum()
