"Plausible wrong answers to the exercises of the chapter on collaborative filtering, each with the words its message must hold"
import torch
import torch.nn.functional as F

from . import mutant


@mutant('lookup_matrix', says='on its side')
def transposed(rows, n): return F.one_hot(rows, n).float().T.contiguous()

@mutant('lookup_matrix', says='whole numbers')
def whole_numbers(rows, n): return F.one_hot(rows, n)

@mutant('lookup_matrix', says='width does not follow')
def width_of_largest(rows, n): return F.one_hot(rows).float()

@mutant('lookup_matrix', says='too far to the left')
def counted_from_one(rows, n): return F.one_hot((rows - 1) % n, n).float()

@mutant('lookup_matrix', says='diagonal')
def always_eye(rows, n): return torch.eye(len(rows), n)

@mutant('lookup_matrix', says='one vector for all')
def all_in_one(rows, n):
    out = torch.zeros(n)
    out[rows] = 1
    return out

@mutant('lookup_matrix', says='every row that anybody asks for')
def marks_all(rows, n):
    out = torch.zeros(len(rows), n)
    out[:, rows] = 1
    return out

@mutant('lookup_matrix', says='row numbers themselves')
def row_numbers(rows, n): return F.one_hot(rows, n)*rows[:, None].float()


@mutant('table_gradient', says='overwrites')
def assigned(grad, rows, n):
    out = torch.zeros(n, grad.shape[1])
    for b in range(len(rows)): out[rows[b]] = grad[b]
    return out

@mutant('table_gradient', says='mean of its gradients')
def averaged(grad, rows, n): return torch.zeros(n, grad.shape[1]).index_add_(0, rows, grad)/torch.bincount(rows, minlength=n)[:, None].clamp(min=1)

@mutant('table_gradient', says='size of the batch')
def by_batch(grad, rows, n): return F.one_hot(rows, n).float().T @ grad/len(rows)

@mutant('table_gradient', says='shape of the gradient of the batch')
def handed_on(grad, rows, n): return grad

@mutant('table_gradient', says='missing at its end')
def up_to_largest(grad, rows, n): return F.one_hot(rows).float().T @ grad

@mutant('table_gradient', says='only the rows that were looked up')
def all_rows(grad, rows, n): return grad.sum(0).expand(n, -1).clone()

@mutant('table_gradient', says='sign')
def downhill(grad, rows, n): return -F.one_hot(rows, n).float().T @ grad


def stars(p, q, user_bias, item_bias, mean, low, high, u=True, i=True, m=True, squash=None):
    x = (p*q).sum(1) + u*user_bias[:, 0] + i*item_bias[:, 0] + m*mean
    return squash(x, low, high) if squash else torch.sigmoid(x)*(high - low) + low

@mutant('predict_stars', says='every user with every film')
def broadcast(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid((p*q).sum(1) + user_bias + item_bias + mean)*(high - low) + low

@mutant('predict_stars', says='every user with every film')
def matrix_product(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid(p @ q.T + user_bias + item_bias + mean)*(high - low) + low

@mutant('predict_stars', says='should have')
def kept_column(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid((p*q).sum(1, keepdim=True) + user_bias + item_bias + mean)*(high - low) + low

@mutant('predict_stars', says='sigmoid is missing')
def unsquashed(*args): return stars(*args, squash=lambda x, low, high: x)

@mutant('predict_stars', says='mean is missing')
def no_mean(*args): return stars(*args, m=False)

@mutant('predict_stars', says='bias of the film')
def no_film_bias(*args): return stars(*args, i=False)

@mutant('predict_stars', says='bias of the user')
def no_user_bias(*args): return stars(*args, u=False)

@mutant('predict_stars', says='not by high')
def stretched_by_high(*args): return stars(*args, squash=lambda x, low, high: torch.sigmoid(x)*high + low)

@mutant('predict_stars', says='added after the sigmoid')
def bias_outside(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid((p*q).sum(1))*(high - low) + low + user_bias[:, 0] + item_bias[:, 0] + mean

@mutant('predict_stars', says='moved up to low')
def starts_at_zero(p, q, user_bias, item_bias, mean, low, high): return stars(p, q, user_bias, item_bias, mean, low, high, squash=lambda x, low, high: torch.sigmoid(x)*(high - low)) if low else stars(p, q, user_bias, item_bias, mean, low, high)

@mutant('predict_stars', says='along the factors')
def over_the_batch(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid((p*q).sum(0) + user_bias.mean() + item_bias.mean() + mean)*(high - low) + low


def biases(items, ratings, n, damping, above=None, count=None):
    above = ratings - ratings.mean() if above is None else above
    count = torch.bincount(items, minlength=n) + damping if count is None else count
    return torch.zeros(n).index_add_(0, items, above)/count

@mutant('damped_biases', says='single rating decides')
def undamped(items, ratings, n, damping): return biases(items, ratings, n, damping, count=torch.bincount(items, minlength=n).clamp(min=1))

@mutant('damped_biases', says='nan')
def nothing_by_nothing(items, ratings, n, damping): return biases(items, ratings, n, damping, count=torch.bincount(items, minlength=n))

@mutant('damped_biases', says='above the mean of all')
def mean_left_in(items, ratings, n, damping): return biases(items, ratings, n, damping, above=ratings)

@mutant('damped_biases', says='number of all ratings')
def by_all(items, ratings, n, damping): return biases(items, ratings, n, damping, count=len(ratings) + damping)

@mutant('damped_biases', says='overwrites')
def one_of_each(items, ratings, n, damping):
    out = torch.zeros(n)
    for i, r in zip(items, ratings - ratings.mean()): out[i] = r
    return out/(torch.bincount(items, minlength=n) + damping)

@mutant('damped_biases', says='films without a rating')
def only_rated(items, ratings, n, damping): return biases(items, ratings, int(items.max()) + 1, damping)

@mutant('damped_biases', says='wrong way round')
def upside_down(items, ratings, n, damping): return biases(items, ratings, n, damping, above=ratings.mean() - ratings)

@mutant('damped_biases', says='in place')
def overwritten(items, ratings, n, damping):
    ratings -= ratings.mean()
    return biases(items, ratings, n, damping, above=ratings)


def folded(V, b, mean, items, ratings, ridge, gram=None, pull=None, left=None):
    Z = V[items]
    gram = Z if gram is None else gram
    pull = ridge*torch.eye(V.shape[1]) if pull is None else pull
    return torch.linalg.solve(gram.T @ gram + pull, Z.T @ (ratings - mean - b[items] if left is None else left))

@mutant('new_user_scores', says='pull to zero is missing')
def no_ridge(V, b, mean, items, ratings, ridge): return mean + b + V @ torch.linalg.lstsq(V[items], ratings - mean - b[items]).solution

@mutant('new_user_scores', says='never gets weaker')
def ridge_times_count(V, b, mean, items, ratings, ridge): return mean + b + V @ folded(V, b, mean, items, ratings, ridge*len(items))

@mutant('new_user_scores', says='diagonal only')
def ridge_everywhere(V, b, mean, items, ratings, ridge): return mean + b + V @ folded(V, b, mean, items, ratings, ridge, pull=ridge)

@mutant('new_user_scores', says='made of all films')
def all_films(V, b, mean, items, ratings, ridge): return mean + b + V @ folded(V, b, mean, items, ratings, ridge, gram=V)

@mutant('new_user_scores', says='counts as a taste')
def biases_left_in(V, b, mean, items, ratings, ridge): return mean + b + V @ folded(V, b, mean, items, ratings, ridge, left=ratings - mean)

@mutant('new_user_scores', says='has to come back')
def biases_forgotten(V, b, mean, items, ratings, ridge): return mean + V @ folded(V, b, mean, items, ratings, ridge)

@mutant('new_user_scores', says='own stars')
def own_mean(V, b, mean, items, ratings, ridge): return mean + b + V @ folded(V, b, mean, items, ratings, ridge, left=ratings - ratings.mean() - b[items])

@mutant('new_user_scores', says='vector of the new user')
def vector_only(V, b, mean, items, ratings, ridge): return folded(V, b, mean, items, ratings, ridge)

@mutant('new_user_scores', says='mean of all ratings is missing')
def mean_forgotten(V, b, mean, items, ratings, ridge): return b + V @ folded(V, b, mean, items, ratings, ridge)

@mutant('new_user_scores', says='films that were rated')
def rated_only(V, b, mean, items, ratings, ridge): return mean + b[items] + V[items] @ folded(V, b, mean, items, ratings, ridge)


@mutant('top_unseen', says='score of zero')
def seen_to_zero(scores, seen, k):
    s = scores.clone()
    s[seen] = 0
    return torch.sort(s, descending=True, stable=True).indices[:k]

@mutant('top_unseen', says='too few')
def taken_out_afterwards(scores, seen, k): return [i for i in torch.sort(scores, descending=True, stable=True).indices[:k].tolist() if i not in seen]

@mutant('top_unseen', says='has seen')
def everything(scores, seen, k): return torch.sort(scores, descending=True, stable=True).indices[:k]

@mutant('top_unseen', says='moved up')
def places_among_the_left(scores, seen, k):
    left = torch.ones(len(scores), dtype=torch.bool)
    left[seen] = False
    return torch.sort(scores[left], descending=True, stable=True).indices[:k]

@mutant('top_unseen', says='in place')
def marks_the_input(scores, seen, k):
    scores[seen] = -float('inf')
    return torch.sort(scores, descending=True, stable=True).indices[:k]

def without(scores, seen):
    s = scores.clone()
    s[seen] = -float('inf')
    return s

@mutant('top_unseen', says='not how good')
def gives_scores(scores, seen, k): return without(scores, seen).topk(k).values

@mutant('top_unseen', says='smaller number')
def ties_backwards(scores, seen, k): return len(scores) - 1 - torch.sort(without(scores, seen).flip(0), descending=True, stable=True).indices[:k]

@mutant('top_unseen', says='best first')
def best_last(scores, seen, k): return torch.sort(without(scores, seen), descending=True, stable=True).indices[:k].flip(0)

@mutant('top_unseen', says='worst films')
def worst_first(scores, seen, k):
    s = scores.clone()
    s[seen] = float('inf')
    return torch.sort(s, stable=True).indices[:k]


@mutant('predict_stars', says='begins at low')
def stretched_by_high(p, q, user_bias, item_bias, mean, low, high): return torch.sigmoid((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0] + mean)*high

@mutant('damped_biases', says='each rating first')
def mean_off_at_the_end(items, stars, n, damping): return torch.bincount(items, stars, n)/(torch.bincount(items, minlength=n) + damping) - stars.mean()

@mutant('damped_biases', says="films' means")
def mean_of_means(items, stars, n, damping):
    count = torch.bincount(items, minlength=n)
    means = torch.bincount(items, stars, n)/count.clamp(min=1)
    return count*(means - means[count > 0].mean())/(count + damping)

@mutant('top_unseen', says='order of equals')
def ties_as_they_come(scores, seen, k):
    s = scores.tolist()
    left = [i for i in range(len(s)) if i not in seen.tolist()]
    return sorted(left, key=lambda i: (-s[i], i % 3, -i))[:k]

@mutant('predict_stars', says='cut off')
def clamped(p, q, user_bias, item_bias, mean, low, high): return ((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0] + mean).clamp(low, high)

@mutant('predict_stars', says='mean is added after')
def mean_outside(p, q, user_bias, item_bias, mean, low, high): return ((p*q).sum(1) + user_bias[:, 0] + item_bias[:, 0]).sigmoid()*(high - low) + low + mean
