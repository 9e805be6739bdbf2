"What the exercises of the chapter on scaling are held against"
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same

_Parts = Sequence[tuple[Tensor, Tensor]]


@exercise
def shares_of_mean(answer: Answer) -> None:
    for sizes, kept in [((4, 4), 1.), ((5, 2), 1.), ((6, 3, 1), 1.), ((4, 4, 4), 0.5), ((3, 0), 1.)]:
        parts = [(torch.rand(n, generator=answer.generator)*3 + place,
                  (torch.rand(n, generator=answer.generator) < kept).float()*(1 + place))
                 for place, n in enumerate(sizes)]
        parts[0][1][0] = 2.
        same(answer(parts), _shares(parts), what='shares', mistakes=answer.mistakes())


def _shares(parts: _Parts) -> Tensor:
    count = torch.stack([counts.sum() for _, counts in parts]).mean()
    return torch.stack([(losses*counts).sum()/count for losses, counts in parts])


@mistake(shares_of_mean, 'yours divides each sum by its own count: their average is a mean of means')
def _own_means(parts: _Parts) -> Tensor:
    return torch.stack([(losses*counts).sum()/counts.sum() if counts.sum() else torch.zeros(())
                        for losses, counts in parts])


@mistake(shares_of_mean, 'yours divides by the count of all: they are averaged afterwards, so divide by the mean count')
def _over_all(parts: _Parts) -> Tensor:
    count = torch.cat([counts for _, counts in parts]).sum()
    return torch.stack([(losses*counts).sum()/count for losses, counts in parts])


@mistake(shares_of_mean, 'yours counts rows, not what they count: divide by the sums of the counts')
def _rows(parts: _Parts) -> Tensor:
    rows = sum(len(losses) for losses, _ in parts)/len(parts)
    return torch.stack([(losses*counts).sum()/rows for losses, counts in parts])


@mistake(shares_of_mean, 'yours multiplies no loss by what its row counts')
def _unweighted(parts: _Parts) -> Tensor:
    count = torch.stack([counts.sum() for _, counts in parts]).mean()
    return torch.stack([losses.sum()/count for losses, _ in parts])


@exercise
def rows_for(answer: Answer) -> None:
    for n, world in [(10, 2), (30, 4), (7, 3), (5, 5), (12, 4), (9, 1)]:
        shares = [list(answer(n, rank, world)) for rank in range(world)]
        told = f'with n={n} and world={world} the shares are {shares}: '
        expect(all(0 <= place < n for share in shares for place in share), told + 'there is no such row')
        taken = sorted(place for share in shares for place in share)
        expect(len(set(taken)) == len(taken), told + 'a row stands in two of them')
        expect(len(taken) == n, told + 'a row is missing')
        sizes = [len(share) for share in shares]
        expect(max(sizes) - min(sizes) <= 1, told + 'their sizes differ by more than one')
    for rank in range(3):
        answer.raises(ValueError, 2, rank, 3, why='two rows are too few for three processes, on every one of them')


@mistake(rows_for, 'with n={n} and world={world} the shares are {shares}: a row stands in two of them')
def _padded(n: int, rank: int, world: int) -> list[int]:
    if n < world: raise ValueError("too few")
    return [place % n for place in range(rank, -(-n//world)*world, world)]


@mistake(rows_for, 'with n={n} and world={world} the shares are {shares}: a row is missing')
def _dropped(n: int, rank: int, world: int) -> range:
    if n < world: raise ValueError("too few")
    return range(rank*(n//world), (rank + 1)*(n//world))


@mistake(rows_for, 'with n={n} and world={world} the shares are {shares}: their sizes differ by more than one')
def _last_takes_the_rest(n: int, rank: int, world: int) -> range:
    if n < world: raise ValueError("too few")
    return range(rank*(n//world), n if rank == world - 1 else (rank + 1)*(n//world))


@mistake(rows_for, 'with {row} your function should raise a ValueError, because two rows are too few for three '
         'processes, on every one of them; it returns {got}')
def _without_a_look(n: int, rank: int, world: int) -> range: return range(rank, n, world)


@exercise
def rate_for(answer: Answer) -> None:
    for lr, rows, new_rows, each, adam in [(0.1, 32, 8, 32, False), (0.01, 64, 4, 64, True), (0.3, 128, 2, 32, False),
                                           (0.002, 256, 16, 32, True), (0.05, 100, 1, 100, False)]:
        same(answer(lr, rows, new_rows, each, adam), _rate(lr, rows, new_rows, each, adam), what='rate',
             mistakes=answer.mistakes())


def _rate(lr: float, batch: int, world: int, rows: int, adam: bool) -> float:
    return lr*(math.sqrt(world*rows/batch) if adam else world*rows/batch)


@mistake(rate_for, 'yours multiplies by the number of processes: what counts is the size of the batch, old and new')
def _by_world(lr: float, batch: int, world: int, rows: int, adam: bool) -> float:
    return lr*(math.sqrt(world) if adam else world)


@mistake(rate_for, 'yours scales Adam like SGD: for Adam it is the square root')
def _all_linear(lr: float, batch: int, world: int, rows: int, adam: bool) -> float: return lr*world*rows/batch


@mistake(rate_for, 'yours scales SGD like Adam: for SGD the rate grows as the batch does')
def _all_root(lr: float, batch: int, world: int, rows: int, adam: bool) -> float:
    return lr*math.sqrt(world*rows/batch)


@mistake(rate_for, 'yours divides: a larger batch allows a larger rate')
def _divided(lr: float, batch: int, world: int, rows: int, adam: bool) -> float:
    return lr/(math.sqrt(world*rows/batch) if adam else world*rows/batch)


@mistake(rate_for, 'yours forgets that each process has its own rows: the batch is those of all together')
def _one_process(lr: float, batch: int, world: int, rows: int, adam: bool) -> float:
    return lr*(math.sqrt(rows/batch) if adam else rows/batch)


@exercise
def ring_seconds(answer: Answer) -> None:
    for nodes, size, latency, bandwidth in [(2, 4e6, 1e-4, 1e9), (4, 1e8, 5e-5, 3e9), (8, 1e6, 1e-2, 1e9),
                                            (64, 4e8, 2e-3, 1e9), (1, 1e6, 1e-3, 1e9)]:
        same(answer(nodes, size, latency, bandwidth), _ring(nodes, size, latency, bandwidth), what='seconds',
             mistakes=answer.mistakes())


def _ring(nodes: int, size: float, latency: float, bandwidth: float) -> float:
    turns = 2*(nodes - 1)
    return turns*latency + turns*size/nodes/bandwidth


@mistake(ring_seconds, 'yours sends all bytes in each turn: a turn carries a part, one for each process')
def _whole_message(nodes: int, size: float, latency: float, bandwidth: float) -> float:
    return 2*(nodes - 1)*(latency + size/bandwidth)


@mistake(ring_seconds, 'yours goes round once: once to add up, and once more to hand the sums round')
def _once(nodes: int, size: float, latency: float, bandwidth: float) -> float:
    return _ring(nodes, size, latency, bandwidth)/2


@mistake(ring_seconds, 'yours pays the latency once: it is paid in each turn')
def _one_latency(nodes: int, size: float, latency: float, bandwidth: float) -> float:
    return latency + 2*(nodes - 1)*size/nodes/bandwidth


@mistake(ring_seconds, 'yours takes as many turns as there are processes: one less is enough, twice')
def _a_turn_too_many(nodes: int, size: float, latency: float, bandwidth: float) -> float:
    return 2*nodes*(latency + size/nodes/bandwidth)


@exercise
def joint_metric(answer: Answer) -> None:
    for rows in [(4, 4), (5, 3), (30, 1, 1), (0, 6), (7, 0, 2)]:
        tables = [({'accuracy': float(torch.rand((), generator=answer.generator)) if n else math.nan}, n) for n in rows]
        got = answer(tables, 'accuracy')
        told = f'yours is not a number with rows={rows}: a process without rows has no mean'
        expect(not math.isnan(float(got)), told)
        same(got, _joint(tables, 'accuracy'), what='accuracy', mistakes=answer.mistakes())


_Tables = Sequence[tuple[Mapping[str, float], int]]


def _joint(tables: _Tables, name: str) -> float:
    return sum(table[name]*n for table, n in tables if n)/sum(n for _, n in tables)


@mistake(joint_metric, 'yours is the average of the averages: weigh each by its rows')
def _mean_of_means(tables: _Tables, name: str) -> float:
    found = [table[name] for table, n in tables if n]
    return sum(found)/len(found)


@mistake(joint_metric, 'yours is a sum of rows times means: divide by the rows of all')
def _not_divided(tables: _Tables, name: str) -> float: return sum(table[name]*n for table, n in tables if n)


@mistake(joint_metric, 'yours is the metric of the first process that has rows')
def _the_first(tables: _Tables, name: str) -> float: return next(table[name] for table, n in tables if n)


@mistake(joint_metric, 'yours divides by the number of processes: divide by the rows of all')
def _over_processes(tables: _Tables, name: str) -> float:
    return sum(table[name]*n for table, n in tables if n)/len(tables)


@exercise
def joint_variance(answer: Answer) -> None:
    for sizes in [(9, 3), (6, 6), (5, 1, 4), (0, 8)]:
        parts = [torch.randn(n, generator=answer.generator)*(1 + place) + 5*place for place, n in enumerate(sizes)]
        same(answer(parts), torch.cat(parts).var(correction=0), what='variance', mistakes=answer.mistakes())
    large = [torch.tensor([1e4 + 0.5, 1e4 - 0.5]), torch.tensor([1e4 + 0.5, 1e4 - 0.5])]
    same(answer(large), torch.tensor(0.25), what='variance of numbers near ten thousand', mistakes=answer.mistakes())


@mistake(joint_variance, 'yours averages the variances of the parts: how far their means lie apart is lost')
def _mean_variance(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.var(correction=0) for part in parts if len(part)]).mean()


@mistake(joint_variance, 'yours weighs the variances by rows, and loses how far the means of the parts lie apart')
def _within(parts: Sequence[Tensor]) -> Tensor:
    return sum((part.var(correction=0)*len(part) for part in parts if len(part)), torch.zeros(()))/sum(map(len, parts))


@mistake(joint_variance, 'yours takes the mean of the means: add up sums, and divide by all rows')
def _mean_of_means_first(parts: Sequence[Tensor]) -> Tensor:
    middle = torch.stack([part.mean() for part in parts if len(part)]).mean()
    return torch.cat(list(parts)).sub(middle).square().mean()


@mistake(joint_variance, 'yours divides by one less than the rows: batch norm divides by all of them')
def _corrected(parts: Sequence[Tensor]) -> Tensor: return torch.cat(list(parts)).var()


@mistake(joint_variance, 'yours is the mean square less the square of the mean: far from zero that loses its digits')
def _difference_of_squares(parts: Sequence[Tensor]) -> Tensor:
    every = torch.cat(list(parts))
    return every.square().mean() - every.mean().square()
