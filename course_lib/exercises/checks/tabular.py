"What the exercises of the chapter on tables are held against"
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from course_lib.exercises import Answer, exercise, mistake, same

_Node = dict[str, Any]
_Cut = tuple[float, float]
_Rows = tuple[ndarray, ndarray, ndarray]


def _rng(answer: Answer) -> np.random.Generator: return np.random.default_rng(answer.generator.initial_seed())


@exercise
def impurity_of(answer: Answer) -> None:
    for labels in (list('caaabbb'), list('abbc'), list('ab'), list('aaa'), [1, 0, 0, 0, 0], ['x'], list('mississippi')):
        same(answer(list(labels)), _gini(labels), what=f'impurity of {labels}', mistakes=answer.mistakes())


def _shares(labels: list) -> list[float]: return [labels.count(kind)/len(labels) for kind in sorted(set(labels))]


def _gini(labels: list) -> float: return 1 - sum(s**2 for s in _shares(labels))


@mistake(impurity_of, 'yours is the chance of being alike: the impurity is what it lacks to one')
def _alike(labels: list) -> float: return 1 - _gini(labels)


@mistake(impurity_of, 'yours draws without putting back: the shares are the same for both draws')
def _without_putting_back(labels: list) -> float:
    n = len(labels)
    return 1 - sum(labels.count(k)*(labels.count(k) - 1) for k in set(labels))/max(1, n*(n - 1))


@mistake(impurity_of, 'yours is the share of what is not the commonest kind: square the share of each')
def _errors(labels: list) -> float: return 1 - max(_shares(labels))


@mistake(impurity_of, 'yours is an entropy, with logarithms: here the shares are squared')
def _entropy(labels: list) -> float: return float(-sum(s*np.log2(s) for s in _shares(labels)))


@mistake(impurity_of, 'yours knows two kinds alone: sum over all kinds there are')
def _two_kinds(labels: list) -> float:
    first = _shares(labels)[0]
    return 1 - first**2 - (1 - first)**2


@exercise
def best_cut(answer: Answer) -> None:
    rng = _rng(answer)
    small = (([1., 2, 3, 4], [0., 0, 0, 1]), ([3., 1, 3, 1, 2], [5., 1, 6, 2, 9]), ([2., 2, 2, 7], [0., 1, 0, 1]),
             ([1., 2, 3, 4, 5], [1., 0, 0, 0, 1]))
    cases = [(np.array(values), np.array(target)) for values, target in small]
    cases += [(rng.integers(0, 6, n).astype(float), rng.normal(size=n)) for n in (12, 30, 50)]
    for values, target in cases:
        same(answer(values.copy(), target.copy()), _best(values, target), what='cut and its fall',
             mistakes=answer.mistakes(), rtol=1e-6, atol=1e-9)


def _fall(left: ndarray, target: ndarray) -> float:
    return float(target.var() - left.mean()*target[left].var() - (~left).mean()*target[~left].var())


def _halfway(values: ndarray) -> ndarray:
    known = np.unique(values)
    return (known[1:] + known[:-1])/2


def _best(values: ndarray, target: ndarray, cuts: ndarray | None = None, fall: Callable = _fall) -> _Cut:
    found = [(fall(values <= cut, target), float(cut)) for cut in (_halfway(values) if cuts is None else cuts)]
    most = max(f for f, _ in found)
    return next((cut, f) for f, cut in found if f > most - 1e-12)


@mistake(best_cut, 'yours takes the plain mean of the two variances: each counts by its number of rows')
def _unweighted(values: ndarray, target: ndarray) -> _Cut:
    return _best(values, target, fall=lambda a, t: float(t.var() - (t[a].var() + t[~a].var())/2))


@mistake(best_cut, 'yours cuts at a value of the column: a cut lies halfway between two neighbouring ones')
def _at_value(values: ndarray, target: ndarray) -> _Cut: return _best(values, target, np.unique(values)[:-1])


@mistake(best_cut, 'yours gives the variance that is left: how far it falls is asked for')
def _what_is_left(values: ndarray, target: ndarray) -> _Cut:
    cut, fall = _best(values, target)
    return cut, float(target.var() - fall)


@mistake(best_cut, 'yours takes the cut that makes the variance fall least')
def _least(values: ndarray, target: ndarray) -> _Cut:
    cut, fall = _best(values, target, fall=lambda a, t: -_fall(a, t))
    return cut, -fall


@mistake(best_cut, 'yours sums squares instead of taking variances: divide by the number of rows')
def _sums(values: ndarray, target: ndarray) -> _Cut:
    cut, fall = _best(values, target)
    return cut, fall*len(target)


@exercise
def out_of_bag(answer: Answer) -> None:
    rng = _rng(answer)
    for trees, n in ((3, 5), (6, 8), (2, 4), (10, 20)):
        drawn, said = rng.integers(0, n, (trees, n)), rng.normal(size=(trees, n))
        drawn[:, 0] = 0  # every tree draws the first row
        drawn[0] = np.where(drawn[0] == n - 1, 0, drawn[0])  # the first tree does not draw the last
        same(answer(drawn.copy(), said.copy()), _free(drawn, said), what='answers out of bag',
             mistakes=answer.mistakes())


def _judges(drawn: ndarray, said: ndarray) -> ndarray:
    return np.array([~np.isin(np.arange(said.shape[1]), rows) for rows in drawn])


def _free(drawn: ndarray, said: ndarray, judges: ndarray | None = None) -> ndarray:
    ask = _judges(drawn, said) if judges is None else judges
    with np.errstate(invalid='ignore'): return (said*ask).sum(0)/ask.sum(0)


@mistake(out_of_bag, 'yours asks the trees that drew the row: those that did not are to judge')
def _in_bag(drawn: ndarray, said: ndarray) -> ndarray: return _free(drawn, said, ~_judges(drawn, said))


@mistake(out_of_bag, 'yours asks all trees: those that drew the row know it by heart')
def _every_tree(drawn: ndarray, said: ndarray) -> ndarray: return said.mean(0)


@mistake(out_of_bag, 'yours divides by the number of all trees: divide by those that were asked')
def _by_all(drawn: ndarray, said: ndarray) -> ndarray: return (said*_judges(drawn, said)).mean(0)


@mistake(out_of_bag, 'yours says zero where no tree may judge: that should be nan')
def _zero(drawn: ndarray, said: ndarray) -> ndarray: return np.nan_to_num(_free(drawn, said))


@mistake(out_of_bag, 'yours falls back on all trees where none may judge: that should be nan')
def _all_at_last(drawn: ndarray, said: ndarray) -> ndarray:
    found = _free(drawn, said)
    return np.where(np.isnan(found), said.mean(0), found)


@exercise
def dependence(answer: Answer) -> None:
    rng = _rng(answer)
    predictors: tuple[Callable, ...] = (lambda t: t[:, 0]*t[:, 1] + t[:, 2], lambda t: (t[:, 1] > t[:, 0])*t[:, 2]**2)
    for predict in predictors:
        for column in range(3):
            table, grid = rng.normal(size=(7, 3)), np.linspace(-1, 2, 4)
            same(answer(predict, table.copy(), column, grid), _dependence(predict, table, column, grid),
                 what=f'dependence on column {column}', mistakes=answer.mistakes())


def _set(table: ndarray, column: int, value: Any) -> ndarray:
    table = table.copy()
    table[:, column] = value
    return table


def _dependence(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    return np.array([predict(_set(table, column, v)).mean() for v in grid])


@mistake(dependence, 'yours asks about one mean row: set the column in all rows, and take the mean of the predictions')
def _mean_row(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    return _dependence(predict, table.mean(0, keepdims=True), column, grid)


@mistake(dependence, 'yours adds the value to the column: the column becomes the value in all rows')
def _added(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    return np.array([predict(_set(table, column, table[:, column] + v)).mean() for v in grid])


@mistake(dependence, 'yours sums the predictions: take their mean')
def _summed(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    return _dependence(predict, table, column, grid)*len(table)


@mistake(dependence, 'yours keeps a line for each row: take the mean over the rows')
def _lines(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    return np.stack([predict(_set(table, column, v)) for v in grid], 1)


@mistake(dependence, 'yours is centred: leave the mean prediction as it is')
def _centred(predict: Callable, table: ndarray, column: int, grid: ndarray) -> ndarray:
    found = _dependence(predict, table, column, grid)
    return found - found.mean()


def _tree() -> _Node:
    "Asks column 0 twice, and ends in leaves at several depths"
    deep = {'says': 7., 'column': 0, 'cut': 4., 'yes': {'says': 6.}, 'no': {'says': 9.}}
    right = {'says': 5., 'column': 2, 'cut': 0., 'yes': {'says': 2.}, 'no': deep}
    return {'says': 3., 'column': 0, 'cut': 1., 'yes': {'says': 1.}, 'no': right}


@exercise
def explain(answer: Answer) -> None:
    tree = _tree()
    for row in ([0., 0, 0], [1., 5, 5], [2., 0, 0], [4., 1, 1], [5., -1, 2]):
        same(answer(tree, np.array(row)), _explain(tree, np.array(row)), what=f'start and parts of {row}',
             mistakes=answer.mistakes())
    same(answer({'says': 4.}, np.zeros(2)), (4., np.zeros(2)), what='answer for a single leaf',
         mistakes=answer.mistakes())


def _way(node: _Node, row: ndarray) -> list[_Node]:
    "The nodes from the root to the leaf"
    way = [node]
    while 'cut' in way[-1]: way.append(way[-1]['yes' if row[way[-1]['column']] <= way[-1]['cut'] else 'no'])
    return way


def _explain(node: _Node, row: ndarray) -> tuple[float, ndarray]:
    way, parts = _way(node, row), np.zeros(len(row))
    for above, below in zip(way, way[1:]): parts[above['column']] += below['says'] - above['says']
    return node['says'], parts


@mistake(explain, 'yours keeps the last move of a column alone: a column that is asked twice gets both')
def _last_move(node: _Node, row: ndarray) -> tuple[float, ndarray]:
    way, parts = _way(node, row), np.zeros(len(row))
    for above, below in zip(way, way[1:]): parts[above['column']] = below['says'] - above['says']
    return node['says'], parts


@mistake(explain, 'yours has the signs the wrong way round: what a step adds is below less above')
def _signs(node: _Node, row: ndarray) -> tuple[float, ndarray]:
    start, parts = _explain(node, row)
    return start, -parts


@mistake(explain, 'yours begins with what the leaf says: begin at the root')
def _from_leaf(node: _Node, row: ndarray) -> tuple[float, ndarray]:
    return _way(node, row)[-1]['says'], _explain(node, row)[1]


@mistake(explain, 'yours gives each move to the column of the node below: it belongs to the one that was asked')
def _column_below(node: _Node, row: ndarray) -> tuple[float, ndarray]:
    way, parts = _way(node, row), np.zeros(len(row))
    for above, below in zip(way, way[1:]):
        parts[below.get('column', above['column'])] += below['says'] - above['says']
    return node['says'], parts


@mistake(explain, 'yours sends a value that equals the cut to the right: up to the cut means left')
def _equals_right(node: _Node, row: ndarray) -> tuple[float, ndarray]: return _explain(node, row + 1e-6)


@exercise
def leaks(answer: Answer) -> None:
    rng = _rng(answer)
    for n in (200, 107):
        target = rng.normal(size=n)
        columns = {'noise': rng.normal(size=n), 'fee': target + 0.2*rng.normal(size=n),
                   'weak': target + rng.normal(size=n), 'old': -target**3,
                   'level': rng.integers(0, 3, n).astype(float)}
        if n == 107: target = np.where(np.arange(n) < 7, 4*target, target)
        for threshold in (0.3, 0.8, 0.):
            same(answer(dict(columns), target.copy(), threshold), _leaks(columns, target, threshold),
                 what=f'columns that explain at least {threshold}', mistakes=answer.mistakes())


def _explained(values: ndarray, target: ndarray, groups: int = 10) -> float:
    parts = np.array_split(np.argsort(values, kind='stable'), groups)
    return float(1 - sum(len(p)*target[p].var() for p in parts)/len(target)/target.var())


def _leaks(columns: dict[str, ndarray], target: ndarray, threshold: float, score: Callable = _explained) -> list[str]:
    scores = {name: score(values, target) for name, values in columns.items()}
    return sorted([n for n in columns if scores[n] >= threshold], key=lambda n: -scores[n])


@mistake(leaks, 'yours lists the best column last: the worst leak comes first')
def _worst_last(columns: dict[str, ndarray], target: ndarray, threshold: float) -> list[str]:
    return _leaks(columns, target, threshold)[::-1]


@mistake(leaks, 'yours keeps the order of the columns: sort by what they explain')
def _unsorted(columns: dict[str, ndarray], target: ndarray, threshold: float) -> list[str]:
    found = _leaks(columns, target, threshold)
    return [n for n in columns if n in found]


@mistake(leaks, 'yours lists the columns that explain little: those at or above the threshold are asked for')
def _harmless(columns: dict[str, ndarray], target: ndarray, threshold: float) -> list[str]:
    found = _leaks(columns, target, threshold)
    return [n for n in columns if n not in found]


@mistake(leaks, 'yours lists one column alone: there may be several')
def _first_alone(columns: dict[str, ndarray], target: ndarray, threshold: float) -> list[str]:
    return _leaks(columns, target, threshold)[:1]


@mistake(leaks, 'yours parts the rows as they stand: sort them by the column first')
def _as_they_stand(columns: dict[str, ndarray], target: ndarray, threshold: float) -> list[str]:
    return _leaks(columns, target, threshold, lambda values, t: _explained(np.zeros(len(t)), t))


@exercise
def new_rows(answer: Answer) -> None:
    cases: list[tuple[list[str], float, list, list[float]]] = [
        (['a', 'b', 'c'], 2.5, ['b', 'c', 'a'], [1., np.nan, 3]),
        (['1', '2', '3'], 7., [3, '2', 9], [np.nan, np.nan, 0]),
        (['x', 'None'], 1., [None, 'x', 'y'], [4., 5, np.nan]), (['b', 'a'], 0., ['a', 'b', None, 'z'], [1., 2, 3, 4])]
    for vocabulary, median, kinds, ages in cases:
        same(answer(list(vocabulary), median, list(kinds), np.array(ages)),
             _new_rows(vocabulary, median, kinds, np.array(ages)), what=f'codes, ages and gaps of {kinds}',
             mistakes=answer.mistakes())


def _codes(vocabulary: list[str], kinds: list, text: Callable = str) -> ndarray:
    place = {word: i + 1 for i, word in enumerate(vocabulary)}
    return np.array([0 if kind is None else place.get(text(kind), 0) for kind in kinds])


def _new_rows(vocabulary: list[str], median: float, kinds: list, ages: ndarray, codes: ndarray | None = None) -> _Rows:
    gaps = np.isnan(ages)
    return _codes(vocabulary, kinds) if codes is None else codes, np.where(gaps, median, ages), gaps


@mistake(new_rows, 'yours makes codes of the new rows themselves: the places are those of the vocabulary')
def _own_codes(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    own = sorted({str(kind) for kind in kinds if kind is not None})
    return _new_rows(vocabulary, median, kinds, ages, _codes(own, kinds))


@mistake(new_rows, 'yours takes a number for another kind than its text: turn kinds into text')
def _no_text(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    return _new_rows(vocabulary, median, kinds, ages, _codes(vocabulary, kinds, lambda kind: kind))


@mistake(new_rows, 'yours takes None for a word: what is missing has the code zero, whatever the vocabulary says')
def _none_is_word(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    return _new_rows(vocabulary, median, kinds, ages, _codes(vocabulary, [str(kind) for kind in kinds]))


@mistake(new_rows, 'yours counts places from zero: zero is kept for what is missing or new')
def _from_zero(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    return _new_rows(vocabulary, median, kinds, ages, _codes(vocabulary, kinds) - 1)


@mistake(new_rows, 'yours fills with the median of the new rows: training has one')
def _own_median(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    known = ages[~np.isnan(ages)]
    return _new_rows(vocabulary, float(np.median(known)), kinds, ages)


@mistake(new_rows, 'yours fills with zero: the median of training is given')
def _with_zero(vocabulary: list[str], median: float, kinds: list, ages: ndarray) -> _Rows:
    return _new_rows(vocabulary, 0., kinds, ages)
