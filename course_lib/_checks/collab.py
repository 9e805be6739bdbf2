"What the exercises of the chapter on collaborative filtering are held against"
import torch

from course_lib.collab import sigmoid_range
from course_lib.exercises import exercise, expect, same, wrong


@exercise
def lookup_matrix(answer):
    for rows, n in [([4, 0, 4, 1], 6), ([2], 5), ([0, 1, 2], 3), ([3, 1, 0, 2, 1], 9)]:
        rows = torch.tensor(rows)
        got, want = answer(rows, n), torch.nn.functional.one_hot(rows, n).float()
        if isinstance(got, torch.Tensor):
            expect(got.shape != want.T.shape or got.shape == want.shape, f'your matrix has the shape {list(got.shape)}: it lies on its side. To be multiplied with a table of {n} rows from the left it needs {n} columns')
            expect(not (got.ndim == 1 and len(got) == n), f'yours is one vector for all {len(rows)} numbers; each of them needs a row of its own')
            expect(got.ndim != 2 or got.shape[1] == n, f'your matrix has {got.shape[-1]} columns and the table {n} rows: the width does not follow from which rows are asked for')
            expect(got.shape != want.shape or got.dtype != torch.int64, 'yours holds whole numbers (int64); a table of floats cannot be multiplied by them, so make it float32')
        same(got, want, what='matrix', mistakes={
            'your ones stand one place too far to the left: rows are counted from 0': lambda: want.roll(-1, 1),
            'your ones stand one place too far to the right: rows are counted from 0': lambda: want.roll(1, 1),
            'your ones stand on the diagonal whatever rows are asked for': lambda: torch.eye(len(rows), n),
            'each of your rows marks every row that anybody asks for; row b should mark only the one that b asks for': lambda: want.sum(0).clamp(max=1).expand(len(rows), n).clone(),
            'your matrix holds the row numbers themselves where ones should stand: the product would multiply by them': lambda: want*rows[:, None],
        })


@exercise
def table_gradient(answer):
    for rows, n, dim in [([3, 0, 3, 1, 3], 6, 3), ([2], 5, 2), ([0, 0, 0], 4, 1), ([1, 3, 0, 3, 2, 3, 1], 4, 5)]:
        rows = torch.tensor(rows)
        grad = torch.randn(len(rows), dim, generator=answer.generator)
        got, want = answer(grad, rows, n), torch.zeros(n, dim).index_add_(0, rows, grad)
        last, count = torch.zeros(n, dim), torch.bincount(rows, minlength=n)[:, None].clamp(min=1)
        for b, r in enumerate(rows): last[r] = grad[b]
        if isinstance(got, torch.Tensor):
            expect(got.shape != grad.shape or got.shape == want.shape, f'yours has the shape of the gradient of the batch, {list(got.shape)}: the table has {n} rows, and each needs a gradient, be it zero')
            expect(got.ndim != 2 or len(got) == n or got.shape[1] != dim, f'your gradient has {len(got)} rows and the table {n}: the rows that nobody asked for are missing at its end')
        same(got, want, what='gradient of the table', mistakes={
            'a row that was asked for several times keeps only one of its gradients: plain assignment overwrites, and here they must add up': last,
            'a row that was asked for several times gets the mean of its gradients; a loss that uses a row three times depends on it three times, so they add up': lambda: want/count,
            'your gradient is divided by the size of the batch; whether the loss was a mean is already in the gradients that come in': lambda: want/len(rows),
            'rows that nobody asked for got a gradient too: only the rows that were looked up did anything for the loss': lambda: grad.sum(0).expand(n, dim).clone(),
            'your gradient has the wrong sign: a gradient points uphill, and the optimizer takes care of going down': lambda: -want,
        })


@exercise
def predict_stars(answer):
    for B, K, low, high in [(4, 3, 0., 5.5), (1, 5, 0.5, 5.5), (7, 2, -1., 1.)]:
        p, q = torch.randn(B, K, generator=answer.generator), torch.randn(B, K, generator=answer.generator)
        bu, bi = torch.randn(B, 1, generator=answer.generator)*0.3, torch.randn(B, 1, generator=answer.generator)*0.3
        mean = 0.4
        dot, u, i = (p*q).sum(1), bu[:, 0], bi[:, 0]
        got, squash = answer(p, q, bu, bi, mean, low, high), lambda x: sigmoid_range(x, low, high)
        if isinstance(got, torch.Tensor) and B > 1:
            expect(got.shape != (B, B), f'your result is a table [{B}, {B}], every user with every film: the biases have the shape [{B}, 1] and the products [{B}], and adding these two makes a table (or it came from a matrix product)')
            expect(got.shape != (K,), f'yours has {K} numbers, one for each factor: add up along the factors, not along the batch')
            expect(got.shape != (B, K), f'yours has the shape [{B}, {K}]: the products of the factors have not been added up')
        if isinstance(got, torch.Tensor) and got.shape == (B, 1): wrong(f'yours has the shape [{B}, 1] and should have [{B}]: a loss between [{B}, 1] and ratings [{B}] would compare every one with every other')
        same(got, squash(dot + u + i + mean), what='ratings', mistakes={
            'your ratings are not held in the range from low to high: the sigmoid is missing': lambda: dot + u + i + mean,
            'the mean is missing': lambda: squash(dot + u + i),
            'the bias of the film is missing': lambda: squash(dot + u + mean),
            'the bias of the user is missing': lambda: squash(dot + i + mean),
            f'yours lie between 0 and {high:g}: the range begins at low, and is as wide as from low to high': lambda: torch.sigmoid(dot + u + i + mean)*high,
            'ratings outside of the range are cut off in yours, and a cut has no slope to learn from: squash the sum with a sigmoid': lambda: (dot + u + i + mean).clamp(low, high),
            'the mean is added after the sigmoid, so a rating can leave the range: squash the whole sum': lambda: squash(dot + u + i) + mean,
            'both biases are missing': lambda: squash(dot + mean),
            f'yours lie between 0 and {high - low:g}: after stretching by the width of the range they must be moved up to low': lambda: torch.sigmoid(dot + u + i + mean)*(high - low),
            f'yours go from {low:g} to {low + high:g}: stretch by the width of the range, high - low, not by high': lambda: torch.sigmoid(dot + u + i + mean)*high + low,
            'the biases are added after the sigmoid, so a rating can leave the range: squash the whole sum': lambda: squash(dot) + u + i + mean,
            'the biases are added after the sigmoid, so a rating can leave the range: squash the whole sum, mean and biases too': lambda: squash(dot + mean) + u + i,
        })


@exercise
def damped_biases(answer):
    for items, n, damping in [([0, 2, 2, 0, 2, 4], 6, 5.), ([1, 1, 0], 2, 10.), ([3], 5, 1.), ([0, 1, 2, 1, 0, 1, 0, 1], 3, 0.5)]:
        items = torch.tensor(items)
        stars = torch.randint(1, 6, (len(items),), generator=answer.generator).float()
        stars[0] += 0.5
        mean, count = stars.mean(), torch.bincount(items, minlength=n).float()
        total = lambda x: torch.zeros(n).index_add_(0, items, x)
        got, want, last = answer(items, stars, n, damping), total(stars - mean)/(count + damping), torch.zeros(n)
        for i, s in zip(items, stars): last[i] = s - mean
        if isinstance(got, torch.Tensor) and got.isnan().any(): wrong(f'yours is nan for {int(got.isnan().sum())} of {n} films: a film without ratings has nothing to divide, and its bias should be zero')
        if isinstance(got, torch.Tensor) and got.ndim == 1 and len(got) < n: wrong(f'yours are {len(got)} biases for {n} films: films without a rating get one too, of zero')
        same(got, want, what='biases', mistakes={
            'your biases are not damped: a single rating decides as much as a hundred': lambda: total(stars - mean)/count.clamp(min=1),
            'yours are means of the stars, not of what they are above the mean of all': lambda: total(stars)/(count + damping),
            'the mean of all ratings is taken off at the end: take it off each rating first, or a film with few ratings falls far below zero': lambda: total(stars)/(count + damping) - mean,
            'yours take off the mean of the films\' means; what is asked for is the mean of all ratings, in which a film counts as often as it was rated': lambda: (lambda m: count*(m - m[count > 0].mean())/(count + damping))(total(stars)/count.clamp(min=1)),
            'the damping should be added to the number of ratings of a film; yours is added to the number of all ratings': lambda: total(stars - mean)/(len(stars) + damping),
            'yours divide by the number of all ratings: each film has its own number': lambda: total(stars - mean)/len(stars),
            'each film keeps only one of its ratings: plain assignment overwrites, and here they must add up': lambda: last/(count + damping),
            'your damping is subtracted from the ratings; it belongs in what you divide by': lambda: total(stars - mean - damping)/count.clamp(min=1),
            'the wrong way round: films liked more than the mean should have a bias above zero': lambda: -want,
            'yours subtract the mean of each film itself, so nothing is left: subtract the mean of all ratings': lambda: torch.zeros(n),
        })


def _folded(V, b, mean, items, stars, ridge, own=False, back=True, rated=None, everywhere=False, subtract=True):
    Z, K = V[items] if rated is None else rated, V.shape[1]
    t = stars - (stars.mean() if own else mean) - (b[items] if subtract else 0)
    x = torch.linalg.solve(Z.T @ Z + ridge*(torch.ones(K, K) if everywhere else torch.eye(K)), V[items].T @ t)
    return mean + V @ x + (b if back else 0)


@exercise
def new_user_scores(answer):
    for n, K, rated, ridge in [(9, 3, [0, 4, 7, 8, 2], 2.), (6, 4, [5, 1], 0.7), (5, 2, [3], 12.), (12, 5, [11, 0, 6, 3, 9, 10, 4, 1], 1.)]:
        V, b = torch.randn(n, K, generator=answer.generator), torch.randn(n, generator=answer.generator)*0.5
        items, stars, mean = torch.tensor(rated), torch.randint(1, 6, (len(rated),), generator=answer.generator).float(), 3.4
        args = V, b, mean, items, stars, ridge
        got, want = answer(*args), _folded(*args)
        if isinstance(got, torch.Tensor):
            expect(got.shape != (K,), f'yours has {K} numbers: that is the vector of the new user. Go on and predict a rating for each of the {n} films')
            expect(got.shape != (len(items),) or len(items) == n, f'yours has {len(items)} numbers, for the films that were rated: predict all {n}')
        same(got, want, what=f'scores after {len(rated)} rating{"s"*(len(rated) > 1)}', rtol=1e-3, atol=1e-4, mistakes={
            'the pull to zero is missing: with few ratings many vectors fit, and without a ridge the most extreme one may come out': lambda: _folded(*args[:-1], 1e-9) if len(rated) >= K else mean + b + V @ torch.linalg.lstsq(V[items], stars - mean - b[items], driver='gelsd').solution,
            'the pull grows with the number of ratings, so it never gets weaker: the ridge is added once, whatever their number': lambda: _folded(*args[:-1], ridge*len(rated)),
            'your ridge is added to every entry of the matrix: it belongs on the diagonal only': lambda: _folded(*args, everywhere=True),
            'your matrix is made of all films: only those that the user has rated say anything about the user': lambda: _folded(*args, rated=V),
            'the biases of the rated films were not subtracted from the stars, so a film that everybody likes counts as a taste': lambda: _folded(*args, subtract=False),
            'the biases of the films are missing in your predictions: what was subtracted has to come back': lambda: _folded(*args, back=False),
            'the biases of the films are used neither before nor after: subtract them from the stars, and add them to the predictions': lambda: _folded(*args, back=False, subtract=False),
            'yours subtract the mean of the user\'s own stars; the mean of all ratings is what the model was made with': lambda: _folded(*args, own=True),
            'the mean of all ratings is missing in your predictions': lambda: want - mean,
        })


@exercise
def top_unseen(answer):
    cases = [([3.1, 4.5, 2.0, 4.9, 4.4, 1.0], [3, 0], 2), ([-3., -1., -2., -0.5, -4.], [0], 3), ([2., 5., 1., 5., 5., 3., 5.], [1], 2), ([1., 2., 3.], [], 3), ([0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 2, 3], 4)]
    for scores, seen, k in cases:
        scores, seen = torch.tensor(scores), torch.tensor(seen, dtype=torch.long)
        left = [i for i in range(len(scores)) if i not in seen.tolist()]
        got, want = answer(scores, seen, k), sorted(left, key=lambda i: (-scores[i].item(), i))[:k]
        if isinstance(got, torch.Tensor) and got.is_floating_point(): wrong('yours are scores: give the numbers of the films, not how good they are')
        rows = got.tolist() if isinstance(got, torch.Tensor) else list(got) if isinstance(got, (list, tuple)) else got
        if not isinstance(rows, list): wrong(f'give {k} film numbers as a list or a tensor, not a {type(got).__name__}')
        everything = sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i))
        if len(rows) < k and rows == [i for i in everything[:k] if i not in seen.tolist()]:
            wrong(f'yours are {len(rows)} films and {k} were asked for: taking out what was seen after choosing the best leaves too few')
        if len(rows) == k and rows != want and len({*map(str, rows)}) == k and all(isinstance(i, int) and i in left for i in rows) and [scores[i].item() for i in rows] == [scores[i].item() for i in want] and rows != sorted(left, key=lambda i: (-scores[i].item(), -i))[:k]:
            wrong(f'yours are {rows}: the scores are right, and films with equal scores are not in the order of their numbers. Not every sorting function keeps the order of equals')
        zeroed = scores.clone()
        zeroed[seen] = 0
        same(rows, want, what=f'films for the scores {[round(s, 1) for s in scores.tolist()]} without {seen.tolist()}', mistakes={
            'films that the user has seen are among yours': everything[:k],
            'among yours are films that the user has seen: with every score below zero, a score of zero is the best of all': lambda: sorted(range(len(scores)), key=lambda i: (-zeroed[i].item(), i))[:k],
            'yours are numbers within the films that are left: after taking films out, the others have moved up': lambda: [left.index(i) for i in want],
            'yours are the worst films, or the best come last: the best first': lambda: sorted(left, key=lambda i: (scores[i].item(), i))[:k],
            'the right films in the wrong order: the best first': lambda: want[::-1],
            'of films with equal scores the one with the smaller number comes first; yours come the other way round': lambda: sorted(left, key=lambda i: (-scores[i].item(), -i))[:k],
        })
