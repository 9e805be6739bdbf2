"Wrong answers to the exercises on scaling, written without a look at the checks"
import math

import torch

from tests.exercises.mutants import mutant


@mutant('shares_of_mean', says='mean of means')
def each_for_itself(parts): return torch.stack([(l*c).sum()/c.sum().clamp(min=1e-12) for l, c in parts])

@mutant('shares_of_mean', says='mean count')
def all_together(parts):
    n = sum(c.sum() for _, c in parts)
    return torch.stack([(l*c).sum()/n for l, c in parts])

@mutant('shares_of_mean', says='should be|shape')
def one_number(parts):
    n = sum(c.sum() for _, c in parts)
    return torch.stack([sum((l*c).sum() for l, c in parts)/n])


@mutant('rows_for', says='a row is missing')
def equal_and_short(n, rank, world):
    if n < world: raise ValueError
    size = n//world
    return [rank*size + k for k in range(size)]

@mutant('rows_for', says='two of them')
def rounded_up(n, rank, world):
    if n < world: raise ValueError
    size = math.ceil(n/world)
    first = min(rank*size, n - size)
    return range(first, first + size)

@mutant('rows_for', says='too few')
def empty_is_fine(n, rank, world): return [k for k in range(n) if k % world == rank]


@mutant('rate_for', says='square root')
def one_rule(lr, batch, world, rows, adam): return lr*rows*world/batch

@mutant('rate_for', says='number of processes')
def only_world(lr, batch, world, rows, adam): return lr*world**(0.5 if adam else 1)

@mutant('rate_for', says='should be|has its own rows')
def never(lr, batch, world, rows, adam): return lr


@mutant('ring_seconds', says='in each turn')
def latency_once(nodes, size, latency, bandwidth): return latency + 2*(nodes - 1)/nodes*size/bandwidth

@mutant('ring_seconds', says='a part')
def full_each_time(nodes, size, latency, bandwidth): return 2*(nodes - 1)*latency + 2*(nodes - 1)*size/bandwidth

@mutant('ring_seconds', says='should be|latency once')
def straight(nodes, size, latency, bandwidth): return latency + size/bandwidth


@mutant('joint_metric', says='average of the averages|not a number')
def plain_average(tables, name): return sum(t[name] for t, _ in tables)/len(tables)

@mutant('joint_metric', says='divide by the rows')
def weighted_sum(tables, name): return sum(n*t[name] for t, n in tables if n)

@mutant('joint_metric', says='not a number|no mean')
def nan_times_zero(tables, name): return sum(n*t[name] for t, n in tables)/sum(n for _, n in tables)


@mutant('joint_variance', says='means lie apart|lie apart')
def average_variance(parts): return sum(p.var(correction=0) for p in parts if len(p))/sum(1 for p in parts if len(p))

@mutant('joint_variance', says='one less')
def bessel(parts): return torch.cat(parts).var()

@mutant('joint_variance', says='digits|should be')
def squares(parts):
    n = sum(map(len, parts))
    mean = sum(p.sum() for p in parts)/n
    return sum((p**2).sum() for p in parts)/n - mean**2
