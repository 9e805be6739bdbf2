"What the exercises of the chapter on collaborative filtering are held against"
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.collab import sigmoid_range
from course_lib.exercises import Answer, exercise, expect, mistake, same, wrong


@exercise
def lookup_matrix(answer: Answer) -> None:
    for asked, n in [([4, 0, 4, 1], 6), ([2], 5), ([0, 1, 2], 3), ([3, 1, 0, 2, 1], 9)]:
        rows = torch.tensor(asked)
        got, want = answer(rows, n), torch.nn.functional.one_hot(rows, n).float()
        if isinstance(got, torch.Tensor):
            expect(got.shape != want.T.shape or got.shape == want.shape,
                   f'your matrix has the shape {list(got.shape)}: it lies on its side. To be multiplied with a table '
                   f'of {n} rows from the left it needs {n} columns')
            expect(not (got.ndim == 1 and len(got) == n), f'yours is one vector for all {len(rows)} numbers; each of '
                                                          'them needs a row of its own')
            expect(got.ndim != 2 or got.shape[1] == n, f'your matrix has {got.shape[-1]} columns and the table {n} '
                                                       'rows: the width does not follow from which rows are asked for')
            expect(got.shape != want.shape or got.dtype != torch.int64,
                   'yours holds whole numbers (int64); a table of floats cannot be multiplied by them, so make it '
                   'float32')
        same(got, want, what='matrix', mistakes=answer.mistakes() | {
            'your ones stand one place too far to the right: rows are counted from 0': lambda: want.roll(1, 1),
        })


@mistake(lookup_matrix, 'your ones stand one place too far to the left: rows are counted from 0')
def counted_from_one(rows: Tensor, n: int) -> Tensor: return F.one_hot((rows - 1) % n, n).float()

@mistake(lookup_matrix, 'your ones stand on the diagonal whatever rows are asked for')
def always_eye(rows: Tensor, n: int) -> Tensor: return torch.eye(len(rows), n)

@mistake(lookup_matrix, 'each of your rows marks every row that anybody asks for; row b should mark only the one '
         'that b asks for')
def marks_all(rows: Tensor, n: int) -> Tensor:
    out = torch.zeros(len(rows), n)
    out[:, rows] = 1
    return out

@mistake(lookup_matrix, 'your matrix holds the row numbers themselves where ones should stand: the product would '
         'multiply by them')
def row_numbers(rows: Tensor, n: int) -> Tensor: return F.one_hot(rows, n)*rows[:, None].float()


@exercise
def table_gradient(answer: Answer) -> None:
    for asked, n, dim in [([3, 0, 3, 1, 3], 6, 3), ([2], 5, 2), ([0, 0, 0], 4, 1), ([1, 3, 0, 3, 2, 3, 1], 4, 5)]:
        rows = torch.tensor(asked)
        grad = torch.randn(len(rows), dim, generator=answer.generator)
        got, want = answer(grad, rows, n), torch.zeros(n, dim).index_add_(0, rows, grad)
        last = torch.zeros(n, dim)
        for b, r in enumerate(rows): last[r] = grad[b]
        if isinstance(got, torch.Tensor):
            expect(got.shape != grad.shape or got.shape == want.shape,
                   f'yours has the shape of the gradient of the batch, {list(got.shape)}: the table has {n} rows, and '
                   'each needs a gradient, be it zero')
            expect(got.ndim != 2 or len(got) == n or got.shape[1] != dim,
                   f'your gradient has {len(got)} rows and the table {n}: the rows that nobody asked for are missing '
                   'at its end')
        same(got, want, what='gradient of the table', mistakes=answer.mistakes())


@mistake(table_gradient, 'a row that was asked for several times keeps only one of its gradients: plain assignment '
         'overwrites, and here they must add up')
def assigned(grad: Tensor, rows: Tensor, n: int) -> Tensor:
    out = torch.zeros(n, grad.shape[1])
    for b in range(len(rows)): out[rows[b]] = grad[b]
    return out

@mistake(table_gradient, 'a row that was asked for several times gets the mean of its gradients; a loss that uses a '
         'row three times depends on it three times, so they add up')
def averaged(grad: Tensor, rows: Tensor, n: int) -> Tensor:
    return torch.zeros(n, grad.shape[1]).index_add_(0, rows, grad)/torch.bincount(rows, minlength=n)[:,
        None].clamp(min=1)

@mistake(table_gradient, 'your gradient is divided by the size of the batch; whether the loss was a mean is already '
         'in the gradients that come in')
def by_batch(grad: Tensor, rows: Tensor, n: int) -> Tensor: return F.one_hot(rows, n).float().T @ grad/len(rows)

@mistake(table_gradient, 'rows that nobody asked for got a gradient too: only the rows that were looked up did '
         'anything for the loss')
def all_rows(grad: Tensor, rows: Tensor, n: int) -> Tensor: return grad.sum(0).expand(n, -1).clone()

@mistake(table_gradient, 'your gradient has the wrong sign: a gradient points uphill, and the optimizer takes care '
         'of going down')
def downhill(grad: Tensor, rows: Tensor, n: int) -> Tensor: return -F.one_hot(rows, n).float().T @ grad


@exercise
def predict_stars(answer: Answer) -> None:
    for B, K, low, high in [(4, 3, 0., 5.5), (1, 5, 0.5, 5.5), (7, 2, -1., 1.)]:
        p, q = torch.randn(B, K, generator=answer.generator), torch.randn(B, K, generator=answer.generator)
        bu, bi = torch.randn(B, 1, generator=answer.generator)*0.3, torch.randn(B, 1, generator=answer.generator)*0.3
        mean = 0.4
        dot, u, i = (p*q).sum(1), bu[:, 0], bi[:, 0]
        got, squash = answer(p, q, bu, bi, mean, low, high), lambda x: sigmoid_range(x, low, high)
        if isinstance(got, torch.Tensor) and B > 1:
            expect(got.shape != (B, B), f'your result is a table [{B}, {B}], every user with every film: the biases '
                                        f'have the shape [{B}, 1] and the products [{B}], and adding these two makes a '
                                        'table (or it came from a matrix product)')
            expect(got.shape != (K,), f'yours has {K} numbers, one for each factor: add up along the factors, not '
                                      'along the batch')
            expect(got.shape != (B, K), f'yours has the shape [{B}, {K}]: the products of the factors have not been '
                                        'added up')
        if isinstance(got, torch.Tensor) and got.shape == (B, 1):
            wrong(f'yours has the shape [{B}, 1] and should have [{B}]: a loss between [{B}, 1] and ratings [{B}] '
                  'would compare every one with every other')
        same(got, squash(dot + u + i + mean), what='ratings',
             mistakes=answer.mistakes(low=low, top=low + high, width=high - low, high=high) | {
            'both biases are missing': lambda: squash(dot + mean),
            'the biases are added after the sigmoid, so a rating can leave the range: squash the whole sum, mean and '
            'biases too': lambda: squash(dot + mean) + u + i,
        })


def stars(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float, high: float, *,
          u: bool = True, i: bool = True, m: bool = True, squash: Callable | None = None) -> Tensor:
    x = (p*q).sum(1) + u*user_bias[:, 0] + i*item_bias[:, 0] + m*mean
    return squash(x, low, high) if squash else torch.sigmoid(x)*(high - low) + low

@mistake(predict_stars, 'your ratings are not held in the range from low to high: the sigmoid is missing')
def unsquashed(*args: Any) -> Tensor: return stars(*args, squash=lambda x, low, high: x)

@mistake(predict_stars, 'the mean is missing')
def no_mean(*args: Any) -> Tensor: return stars(*args, m=False)

@mistake(predict_stars, 'the bias of the film is missing')
def no_film_bias(*args: Any) -> Tensor: return stars(*args, i=False)

@mistake(predict_stars, 'the bias of the user is missing')
def no_user_bias(*args: Any) -> Tensor: return stars(*args, u=False)

@mistake(predict_stars, 'yours lie between 0 and {high:g}: the range begins at low, and is as wide as from low to '
         'high')
def stretched_by_high(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float,
                      high: float) -> Tensor:
    return torch.sigmoid((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0] + mean)*high

@mistake(predict_stars, 'ratings outside of the range are cut off in yours, and a cut has no slope to learn from: '
         'squash the sum with a sigmoid')
def clamped(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float, high: float) -> Tensor:
    return ((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0] + mean).clamp(low, high)

@mistake(predict_stars, 'the mean is added after the sigmoid, so a rating can leave the range: squash the whole sum')
def mean_outside(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float,
                 high: float) -> Tensor:
    return ((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0]).sigmoid()*(high - low) + low + mean

@mistake(predict_stars, 'yours lie between 0 and {width:g}: after stretching by the width of the range they must '
         'be moved up to low')
def starts_at_zero(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float,
                   high: float) -> Tensor:
    return stars(p, q, user_bias, item_bias, mean, low, high, squash=lambda x, low,
                 high: torch.sigmoid(x)*(high - low)) if low else stars(p, q, user_bias, item_bias, mean, low, high)

@mistake(predict_stars, 'yours go from {low:g} to {top:g}: stretch by the width of the range, high - low, not '
         'by high')
def stretched_and_moved(*args: Any) -> Tensor:
    return stars(*args, squash=lambda x, low, high: torch.sigmoid(x)*high + low)

@mistake(predict_stars, 'the biases are added after the sigmoid, so a rating can leave the range: squash the whole '
         'sum')
def bias_outside(p: Tensor, q: Tensor, user_bias: Tensor, item_bias: Tensor, mean: float, low: float,
                 high: float) -> Tensor:
    return torch.sigmoid((p*q).sum(1))*(high - low) + low + user_bias[:, 0] + item_bias[:, 0] + mean


@exercise
def damped_biases(answer: Answer) -> None:
    for rated, n, damping in [([0, 2, 2, 0, 2, 4], 6, 5.), ([1, 1, 0], 2, 10.), ([3], 5, 1.),
                              ([0, 1, 2, 1, 0, 1, 0, 1], 3, 0.5)]:
        items = torch.tensor(rated)
        stars = torch.randint(1, 6, (len(items),), generator=answer.generator).float()
        stars[0] += 0.5
        mean, count = stars.mean(), torch.bincount(items, minlength=n).float()
        total = lambda x: torch.zeros(n).index_add_(0, items, x)
        got, want, last = answer(items, stars, n, damping), total(stars - mean)/(count + damping), torch.zeros(n)
        for i, s in zip(items, stars): last[i] = s - mean
        if isinstance(got, torch.Tensor) and got.isnan().any():
            wrong(f'yours is nan for {int(got.isnan().sum())} of {n} films: a film without ratings has nothing to '
                  'divide, and its bias should be zero')
        if isinstance(got, torch.Tensor) and got.ndim == 1 and len(got) < n:
            wrong(f'yours are {len(got)} biases for {n} films: films without a rating get one too, of zero')
        same(got, want, what='biases', mistakes=answer.mistakes() | {
            'yours divide by the number of all ratings: each film has its own '
            'number': lambda: total(stars - mean)/len(stars),
            'your damping is subtracted from the ratings; it belongs in what you divide '
            'by': lambda: total(stars - mean - damping)/count.clamp(min=1),
            'yours subtract the mean of each film itself, so nothing is left: subtract the mean of all '
            'ratings': lambda: torch.zeros(n),
        })


def biases(items: Tensor, ratings: Tensor, n: int, damping: float, above: Tensor | None = None,
           count: Any = None) -> Tensor:
    above = ratings - ratings.mean() if above is None else above
    count = torch.bincount(items, minlength=n) + damping if count is None else count
    return torch.zeros(n).index_add_(0, items, above)/count

@mistake(damped_biases, 'your biases are not damped: a single rating decides as much as a hundred')
def undamped(items: Tensor, ratings: Tensor, n: int, damping: float) -> Tensor:
    return biases(items, ratings, n, damping, count=torch.bincount(items, minlength=n).clamp(min=1))

@mistake(damped_biases, 'yours are means of the stars, not of what they are above the mean of all')
def mean_left_in(items: Tensor, ratings: Tensor, n: int, damping: float) -> Tensor:
    return biases(items, ratings, n, damping, above=ratings)

@mistake(damped_biases, 'the mean of all ratings is taken off at the end: take it off each rating first, or a film '
         'with few ratings falls far below zero')
def mean_off_at_the_end(items: Tensor, stars: Tensor, n: int, damping: float) -> Tensor:
    return torch.bincount(items, stars, n)/(torch.bincount(items, minlength=n) + damping) - stars.mean()

@mistake(damped_biases, "yours take off the mean of the films' means; what is asked for is the mean of all ratings, "
         'in which a film counts as often as it was rated')
def mean_of_means(items: Tensor, stars: Tensor, n: int, damping: float) -> Tensor:
    count = torch.bincount(items, minlength=n)
    means = torch.bincount(items, stars, n)/count.clamp(min=1)
    return count*(means - means[count > 0].mean())/(count + damping)

@mistake(damped_biases, 'the damping should be added to the number of ratings of a film; yours is added to the '
         'number of all ratings')
def by_all(items: Tensor, ratings: Tensor, n: int, damping: float) -> Tensor:
    return biases(items, ratings, n, damping, count=len(ratings) + damping)

@mistake(damped_biases, 'each film keeps only one of its ratings: plain assignment overwrites, and here they must '
         'add up')
def one_of_each(items: Tensor, ratings: Tensor, n: int, damping: float) -> Tensor:
    out = torch.zeros(n)
    for i, r in zip(items, ratings - ratings.mean()): out[i] = r
    return out/(torch.bincount(items, minlength=n) + damping)

@mistake(damped_biases, 'the wrong way round: films liked more than the mean should have a bias above zero')
def upside_down(items: Tensor, ratings: Tensor, n: int, damping: float) -> Tensor:
    return biases(items, ratings, n, damping, above=ratings.mean() - ratings)


def _folded(V: Tensor, b: Tensor, mean: float, items: Tensor, stars: Tensor, ridge: float, own: bool = False,
            back: bool = True, rated: Tensor | None = None, everywhere: bool = False, subtract: bool = True) -> Tensor:
    Z, K = V[items] if rated is None else rated, V.shape[1]
    t = stars - (stars.mean() if own else mean) - (b[items] if subtract else 0)
    x = torch.linalg.solve(Z.T @ Z + ridge*(torch.ones(K, K) if everywhere else torch.eye(K)), V[items].T @ t)
    return mean + V @ x + (b if back else 0)


@exercise
def new_user_scores(answer: Answer) -> None:
    for n, K, rated, ridge in [(9, 3, [0, 4, 7, 8, 2], 2.), (6, 4, [5, 1], 0.7), (5, 2, [3], 12.),
                               (12, 5, [11, 0, 6, 3, 9, 10, 4, 1], 1.)]:
        V, b = torch.randn(n, K, generator=answer.generator), torch.randn(n, generator=answer.generator)*0.5
        items, stars, mean = torch.tensor(rated), torch.randint(1, 6, (len(rated),),
                                                                generator=answer.generator).float(), 3.4
        args = V, b, mean, items, stars, ridge
        got, want = answer(*args), _folded(*args)
        if isinstance(got, torch.Tensor):
            expect(got.shape != (K,), f'yours has {K} numbers: that is the vector of the new user. Go on and predict a '
                                      f'rating for each of the {n} films')
            expect(got.shape != (len(items),) or len(items) == n,
                   f'yours has {len(items)} numbers, for the films that were rated: predict all {n}')
        same(got, want, what=f'scores after {len(rated)} rating{"s"*(len(rated) > 1)}', rtol=1e-3, atol=1e-4,
             mistakes=answer.mistakes() | {
            'the biases of the films are used neither before nor after: subtract them from the stars, and add them to '
            'the predictions': lambda: _folded(*args, back=False, subtract=False),
        })


def folded(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float, gram: Tensor | None = None,
           pull: float | None = None, left: Tensor | None = None) -> Tensor:
    Z = V[items]
    gram = Z if gram is None else gram
    ridges: Any = ridge*torch.eye(V.shape[1]) if pull is None else pull
    return torch.linalg.solve(gram.T @ gram + ridges, Z.T @ (ratings - mean - b[items] if left is None else left))

@mistake(new_user_scores, 'the pull to zero is missing: with few ratings many vectors fit, and without a ridge the '
         'most extreme one may come out')
def no_ridge(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ torch.linalg.lstsq(V[items], ratings - mean - b[items]).solution

@mistake(new_user_scores, 'the pull grows with the number of ratings, so it never gets weaker: the ridge is added '
         'once, whatever their number')
def ridge_times_count(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ folded(V, b, mean, items, ratings, ridge*len(items))

@mistake(new_user_scores, 'your ridge is added to every entry of the matrix: it belongs on the diagonal only')
def ridge_everywhere(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ folded(V, b, mean, items, ratings, ridge, pull=ridge)

@mistake(new_user_scores, 'your matrix is made of all films: only those that the user has rated say anything about '
         'the user')
def all_films(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ folded(V, b, mean, items, ratings, ridge, gram=V)

@mistake(new_user_scores, 'the biases of the rated films were not subtracted from the stars, so a film that '
         'everybody likes counts as a taste')
def biases_left_in(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ folded(V, b, mean, items, ratings, ridge, left=ratings - mean)

@mistake(new_user_scores, 'the biases of the films are missing in your predictions: what was subtracted has to come '
         'back')
def biases_forgotten(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + V @ folded(V, b, mean, items, ratings, ridge)

@mistake(new_user_scores, "yours subtract the mean of the user's own stars; the mean of all ratings is what the "
         'model was made with')
def own_mean(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return mean + b + V @ folded(V, b, mean, items, ratings, ridge, left=ratings - ratings.mean() - b[items])

@mistake(new_user_scores, 'the mean of all ratings is missing in your predictions')
def mean_forgotten(V: Tensor, b: Tensor, mean: float, items: Tensor, ratings: Tensor, ridge: float) -> Tensor:
    return b + V @ folded(V, b, mean, items, ratings, ridge)


@exercise
def top_unseen(answer: Answer) -> None:
    cases = [([3.1, 4.5, 2.0, 4.9, 4.4, 1.0], [3, 0], 2), ([-3., -1., -2., -0.5, -4.], [0], 3),
             ([2., 5., 1., 5., 5., 3., 5.], [1], 2), ([1., 2., 3.], [], 3),
             ([0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 2, 3], 4)]
    for numbers, known, k in cases:
        scores, seen = torch.tensor(numbers), torch.tensor(known, dtype=torch.long)
        left = [i for i in range(len(scores)) if i not in seen.tolist()]
        got, want = answer(scores, seen, k), sorted(left, key=lambda i: (-scores[i].item(), i))[:k]
        if isinstance(got, torch.Tensor) and got.is_floating_point():
            wrong('yours are scores: give the numbers of the films, not how good they are')
        rows = got.tolist() if isinstance(got, torch.Tensor) else list(got) if isinstance(got, (list, tuple)) else got
        if not isinstance(rows, list): wrong(f'give {k} film numbers as a list or a tensor, not a {type(got).__name__}')
        everything = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
        if len(rows) < k and rows == [i for i in everything[:k] if i not in seen.tolist()]:
            wrong(f'yours are {len(rows)} films and {k} were asked for: taking out what was seen after choosing the '
                  'best leaves too few')
        films = len(rows) == k == len({*map(str, rows)}) and all(isinstance(i, int) and i in left for i in rows)
        backwards = sorted(left, key=lambda i: (-scores[i].item(), -i))[:k]
        if films and rows not in (want, backwards) and [numbers[i] for i in rows] == [numbers[i] for i in want]:
            wrong(f'yours are {rows}: the scores are right, and films with equal scores are not in the order of their '
                  'numbers. Not every sorting function keeps the order of equals')
        def listed(fn: Callable, case: tuple = (scores, seen, k)) -> list: return [int(i) for i in fn(*case)]
        same(rows, want, what=f'films for the scores {[round(s, 1) for s in scores.tolist()]} without {seen.tolist()}',
             mistakes=answer.mistakes(listed))


def without(scores: Tensor, seen: Tensor) -> Tensor:
    s = scores.clone()
    s[seen] = -float('inf')
    return s

@mistake(top_unseen, 'films that the user has seen are among yours')
def everything(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    return torch.sort(scores, descending=True, stable=True).indices[:k]

@mistake(top_unseen, 'among yours are films that the user has seen: with every score below zero, a score of zero is '
         'the best of all')
def seen_to_zero(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    s = scores.clone()
    s[seen] = 0
    return torch.sort(s, descending=True, stable=True).indices[:k]

@mistake(top_unseen, 'yours are numbers within the films that are left: after taking films out, the others have '
         'moved up')
def places_among_the_left(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    left = torch.ones(len(scores), dtype=torch.bool)
    left[seen] = False
    return torch.sort(scores[left], descending=True, stable=True).indices[:k]

@mistake(top_unseen, 'yours are the worst films, or the best come last: the best first')
def worst_first(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    s = scores.clone()
    s[seen] = float('inf')
    return torch.sort(s, stable=True).indices[:k]

@mistake(top_unseen, 'the right films in the wrong order: the best first')
def best_last(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    return torch.sort(without(scores, seen), descending=True, stable=True).indices[:k].flip(0)

@mistake(top_unseen, 'of films with equal scores the one with the smaller number comes first; yours come the other '
         'way round')
def ties_backwards(scores: Tensor, seen: Tensor, k: int) -> Tensor:
    return len(scores) - 1 - torch.sort(without(scores, seen).flip(0), descending=True, stable=True).indices[:k]
