"Wrong answers to the exercises on tables, written without a look at the checks"
import numpy as np
import pandas as pd

from tests.exercises.mutants import mutant


@mutant('impurity_of', says='.')
def spread_of_shares(labels):
    shares = [labels.count(k)/len(labels) for k in set(labels)]
    return float(np.var(shares))

@mutant('impurity_of', says='.')
def product_of_shares(labels):
    out = 1.
    for k in set(labels): out *= labels.count(k)/len(labels)
    return out


@mutant('best_cut', says='.')
def smallest_side(values, target):
    cuts = np.unique(values)
    cuts = (cuts[1:] + cuts[:-1])/2
    left = [target[values <= c].var() for c in cuts]
    i = int(np.argmin(left))
    return float(cuts[i]), float(target.var() - left[i])

@mutant('best_cut', says='.')
def cuts_between_rows(values, target):
    order = np.argsort(values, kind='stable')
    x, t = values[order], target[order]
    gains = [t.var() - (i*t[:i].var() + (len(t) - i)*t[i:].var())/len(t) for i in range(1, len(t))]
    i = int(np.argmax(gains))
    return float((x[i] + x[i + 1])/2), float(gains[i])


@mutant('out_of_bag', says='.')
def first_free_tree(drawn, answers):
    out = np.full(answers.shape[1], np.nan)
    for r in range(answers.shape[1]):
        free = [a[r] for d, a in zip(drawn, answers) if r not in d]
        if free: out[r] = free[0]
    return out

@mutant('out_of_bag', says='.')
def leaves_rows_out(drawn, answers):
    rows = [[a[r] for d, a in zip(drawn, answers) if r not in d] for r in range(answers.shape[1])]
    return np.array([np.mean(found) for found in rows if found])


@mutant('dependence', says='.')
def first_row_only(predict, table, column, grid):
    out = []
    for v in grid:
        t = table[:1].copy()
        t[:, column] = v
        out.append(predict(t)[0])
    return np.array(out)

@mutant('dependence', says='.')
def in_place(predict, table, column, grid):
    out = []
    for v in grid:
        table[:, column] = v
        out.append(predict(table).mean())
    return np.array(out)


@mutant('explain', says='.')
def root_to_leaf_at_once(node, row):
    parts, start, first = np.zeros(len(row)), node['says'], node.get('column', 0)
    while 'cut' in node: node = node['yes' if row[node['column']] <= node['cut'] else 'no']
    parts[first] = node['says'] - start
    return start, parts

@mutant('explain', says='.')
def what_nodes_say(node, row):
    parts, start = np.zeros(len(row)), node['says']
    while 'cut' in node:
        column = node['column']
        node = node['yes' if row[column] <= node['cut'] else 'no']
        parts[column] += node['says']
    return start, parts


@mutant('leaks', says='.')
def straight_lines(columns, target, threshold):
    score = {n: np.corrcoef(v, target)[0, 1]**2 for n, v in columns.items()}
    return sorted([n for n in columns if score[n] >= threshold], key=lambda n: -score[n])

@mutant('leaks', says='.')
def two_groups(columns, target, threshold):
    def part(v):
        halves = np.array_split(np.argsort(v, kind='stable'), 2)
        return 1 - sum(len(h)*target[h].var() for h in halves)/len(target)/target.var()
    return sorted([n for n in columns if part(columns[n]) >= threshold], key=lambda n: -part(columns[n]))


@mutant('new_rows', says='.')
def flags_forgotten(vocabulary, median, kinds, ages):
    codes = np.array([vocabulary.index(str(k)) + 1 if k is not None and str(k) in vocabulary else 0 for k in kinds])
    return codes, np.where(np.isnan(ages), median, ages), np.zeros(len(ages), bool)

@mutant('new_rows', says='.')
def as_it_was(vocabulary, median, kinds, ages):
    codes = pd.Series(kinds).map(str).astype('category').cat.codes.to_numpy()
    return codes, np.nan_to_num(ages), np.zeros(len(ages), bool)
