"Wrong answers to the exercises on collaborative filtering, each with the words its message must hold"
import torch
import torch.nn.functional as F

from . import mutant


@mutant('lookup_matrix', says='on its side')
def transposed(rows, n): return F.one_hot(rows, n).float().T.contiguous()

@mutant('lookup_matrix', says='whole numbers')
def whole_numbers(rows, n): return F.one_hot(rows, n)

@mutant('lookup_matrix', says='width does not follow')
def width_of_largest(rows, n): return F.one_hot(rows).float()


@mutant('lookup_matrix', says='one vector for all')
def all_in_one(rows, n):
    out = torch.zeros(n)
    out[rows] = 1
    return out


@mutant('table_gradient', says='shape of the gradient of the batch')
def handed_on(grad, rows, n): return grad

@mutant('table_gradient', says='missing at its end')
def up_to_largest(grad, rows, n): return F.one_hot(rows).float().T @ grad


def stars(p, q, user_bias, item_bias, mean, low, high, u=True, i=True, m=True, squash=None):
    x = (p*q).sum(1) + u*user_bias[:, 0] + i*item_bias[:, 0] + m*mean
    return squash(x, low, high) if squash else torch.sigmoid(x)*(high - low) + low

@mutant('predict_stars', says='every user with every film')
def broadcast(p, q, user_bias, item_bias, mean, low, high):
    return torch.sigmoid((p*q).sum(1) + user_bias + item_bias + mean)*(high - low) + low

@mutant('predict_stars', says='every user with every film')
def matrix_product(p, q, user_bias, item_bias, mean, low, high):
    return torch.sigmoid(p @ q.T + user_bias + item_bias + mean)*(high - low) + low

@mutant('predict_stars', says='should have')
def kept_column(p, q, user_bias, item_bias, mean, low, high):
    return torch.sigmoid((p*q).sum(1, keepdim=True) + user_bias + item_bias + mean)*(high - low) + low


@mutant('predict_stars', says='not by high')
def stretched_by_high(*args): return stars(*args, squash=lambda x, low, high: torch.sigmoid(x)*high + low)


@mutant('predict_stars', says='along the factors')
def over_the_batch(p, q, user_bias, item_bias, mean, low, high):
    return torch.sigmoid((p*q).sum(0) + user_bias.mean() + item_bias.mean() + mean)*(high - low) + low


def biases(items, ratings, n, damping, above=None, count=None):
    above = ratings - ratings.mean() if above is None else above
    count = torch.bincount(items, minlength=n) + damping if count is None else count
    return torch.zeros(n).index_add_(0, items, above)/count


@mutant('damped_biases', says='nan')
def nothing_by_nothing(items, ratings, n, damping):
    return biases(items, ratings, n, damping, count=torch.bincount(items, minlength=n))


@mutant('damped_biases', says='films without a rating')
def only_rated(items, ratings, n, damping): return biases(items, ratings, int(items.max()) + 1, damping)


@mutant('damped_biases', says='in place')
def overwritten(items, ratings, n, damping):
    ratings -= ratings.mean()
    return biases(items, ratings, n, damping, above=ratings)


def folded(V, b, mean, items, ratings, ridge, gram=None, pull=None, left=None):
    Z = V[items]
    gram = Z if gram is None else gram
    pull = ridge*torch.eye(V.shape[1]) if pull is None else pull
    return torch.linalg.solve(gram.T @ gram + pull, Z.T @ (ratings - mean - b[items] if left is None else left))


@mutant('new_user_scores', says='vector of the new user')
def vector_only(V, b, mean, items, ratings, ridge): return folded(V, b, mean, items, ratings, ridge)


@mutant('new_user_scores', says='films that were rated')
def rated_only(V, b, mean, items, ratings, ridge):
    return mean + b[items] + V[items] @ folded(V, b, mean, items, ratings, ridge)


@mutant('top_unseen', says='too few')
def taken_out_afterwards(scores, seen, k):
    return [i for i in torch.sort(scores, descending=True, stable=True).indices[:k].tolist() if i not in seen]


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


@mutant('top_unseen', says='order of equals')
def ties_as_they_come(scores, seen, k):
    s = scores.tolist()
    left = [i for i in range(len(s)) if i not in seen.tolist()]
    return sorted(left, key=lambda i: (-s[i], i % 3, -i))[:k]
