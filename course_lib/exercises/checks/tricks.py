"What the exercises of the chapter on tricks are held against"
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same

_Parts = list[tuple[Tensor, Tensor]]


@exercise
def whole_mean(answer: Answer) -> None:
    for sizes, ignored in [((4, 4), 0.), ((5, 5, 2), 0.), ((6, 3, 1), 0.5), ((4, 4, 4), 0.6)]:
        parts = []
        for size in sizes:
            labels = torch.randint(3, (size,), generator=answer.generator)
            out = torch.rand(size, generator=answer.generator) < ignored*torch.linspace(0.4, 1.6, size)
            losses = torch.rand(size, generator=answer.generator)*3 + labels
            parts.append((losses, labels.where(~out, -1)))
        every, labels = (torch.cat(side) for side in zip(*parts))
        same(answer(parts, -1), every[labels != -1].mean(), what='mean loss', mistakes=answer.mistakes())
    parts = [(torch.tensor([1., 5.]), torch.tensor([0, 7])), (torch.tensor([3.]), torch.tensor([7]))]
    same(answer(parts, 7), torch.tensor(1.), what='mean loss where a part has nothing that counts',
         mistakes=answer.mistakes())
    got = answer([(torch.ones(2), torch.tensor([7, 7]))], 7)
    expect(isinstance(got, Tensor) and not got.isnan(), 'where no item counts yours is not a number: return zero')
    same(got, torch.tensor(0.), what='mean loss where no item counts')


@mistake(whole_mean, 'yours is a mean of the means of the parts: a small part then counts as much as a large one')
def _mean_of_means(parts: _Parts, ignore: int) -> Tensor:
    means = [losses[labels != ignore].mean() for losses, labels in parts]
    return torch.stack([m for m in means if not m.isnan()]).mean()


@mistake(whole_mean, 'yours counts the ignored items too: they add nothing and are not divided by')
def _over_all(parts: _Parts, ignore: int) -> Tensor:
    total = sum((losses[labels != ignore].sum() for losses, labels in parts), torch.zeros(()))
    return total/sum(len(labels) for _, labels in parts)


@mistake(whole_mean, 'yours adds the losses of ignored items as well')
def _ignores_nothing(parts: _Parts, ignore: int) -> Tensor: return torch.cat([losses for losses, _ in parts]).mean()


@mistake(whole_mean, 'yours is the sum: divide by how many items count')
def _the_sum(parts: _Parts, ignore: int) -> Tensor:
    return torch.stack([losses[labels != ignore].sum() for losses, labels in parts]).sum()


@mistake(whole_mean, 'yours divides the sum by the number of parts: divide by the number of items that count')
def _over_parts(parts: _Parts, ignore: int) -> Tensor:
    return torch.stack([losses[labels != ignore].sum() for losses, labels in parts]).sum()/len(parts)


@exercise
def way_back(answer: Answer) -> None:
    for shape, mirrored, turns in [((2, 3, 4, 4), True, 0), ((1, 2, 5, 5), False, 1), ((2, 1, 4, 4), True, 1),
                                   ((1, 3, 3, 3), True, 3), ((2, 2, 4, 4), False, 2), ((1, 1, 3, 3), False, 0)]:
        want = torch.randn(shape, generator=answer.generator)
        maps = torch.rot90(want.flip(3) if mirrored else want, turns, (2, 3))
        same(answer(maps, mirrored, turns), want, what='maps turned back', mistakes=answer.mistakes())


@mistake(way_back, 'yours undoes the mirror first: the turn came last, so it is the first to be undone')
def _wrong_order(maps: Tensor, mirrored: bool, turns: int) -> Tensor:
    return torch.rot90(maps.flip(3) if mirrored else maps, -turns, (2, 3))


@mistake(way_back, 'yours turns on in the same direction: turn the other way')
def _turned_on(maps: Tensor, mirrored: bool, turns: int) -> Tensor:
    maps = torch.rot90(maps, turns, (2, 3))
    return maps.flip(3) if mirrored else maps


@mistake(way_back, 'yours mirrors top to bottom: the pictures were mirrored left to right')
def _upside_down(maps: Tensor, mirrored: bool, turns: int) -> Tensor:
    maps = torch.rot90(maps, -turns, (2, 3))
    return maps.flip(2) if mirrored else maps


@mistake(way_back, 'yours mirrors always, whatever `mirrored` says')
def _always_mirrored(maps: Tensor, mirrored: bool, turns: int) -> Tensor:
    return torch.rot90(maps, -turns, (2, 3)).flip(3)


@mistake(way_back, 'yours leaves the mirror image as it is')
def _turn_only(maps: Tensor, mirrored: bool, turns: int) -> Tensor: return torch.rot90(maps, -turns, (2, 3))


@exercise
def share_left(answer: Answer) -> None:
    for height, width, row, column, lam in [(16, 16, 8, 8, 0.75), (16, 12, 8, 6, 0.5), (16, 16, 0, 8, 0.75),
                                            (10, 20, 9, 1, 0.3), (8, 8, 4, 4, 1.), (8, 8, 7, 7, 0.), (7, 9, 3, 0, 0.6)]:
        want = torch.zeros(height, width)
        high, wide = int(height*(1 - lam)**0.5), int(width*(1 - lam)**0.5)
        top, left = row - high//2, column - wide//2
        want[max(top, 0):max(top + high, 0), max(left, 0):max(left + wide, 0)] = 1
        same(answer(height, width, row, column, lam), 1 - want.mean().item(), what='share that is left',
             mistakes=answer.mistakes())


def _lengths(height: int, width: int, lam: float) -> tuple[int, int]:
    return int(height*(1 - lam)**0.5), int(width*(1 - lam)**0.5)


def _inside(size: int, middle: int, length: int) -> int:
    return min(middle - length//2 + length, size) - max(middle - length//2, 0)


@mistake(share_left, 'yours is the share that the box covers: the rest of the picture is asked for')
def _covered(height: int, width: int, row: int, column: int, lam: float) -> float:
    high, wide = _lengths(height, width, lam)
    return _inside(height, row, high)*_inside(width, column, wide)/(height*width)


@mistake(share_left, 'yours takes the whole box: what lies outside the picture covers nothing')
def _not_cut(height: int, width: int, row: int, column: int, lam: float) -> float:
    high, wide = _lengths(height, width, lam)
    return 1 - high*wide/(height*width)


@mistake(share_left, 'yours is λ as it was drawn: the box has whole pixels and is cut at the border')
def _as_drawn(height: int, width: int, row: int, column: int, lam: float) -> float: return lam


@mistake(share_left, 'yours makes the sides of the box too short: its area has the share 1 - λ, so a side has the root')
def _no_root(height: int, width: int, row: int, column: int, lam: float) -> float:
    high, wide = int(height*(1 - lam)), int(width*(1 - lam))
    return 1 - _inside(height, row, high)*_inside(width, column, wide)/(height*width)


@mistake(share_left, 'yours lets the box begin at the place: the place is its middle')
def _from_the_corner(height: int, width: int, row: int, column: int, lam: float) -> float:
    high, wide = _lengths(height, width, lam)
    return 1 - min(high, height - row)*min(wide, width - column)/(height*width)


@exercise
def two_targets(answer: Answer) -> None:
    for n, columns, more in [(4, 3, 2), (5, 2, 4), (1, 3, 3), (6, 5, 2)]:
        output = 2*torch.randn(n, columns + more, generator=answer.generator)
        first = torch.randint(columns, (n,), generator=answer.generator)
        second = torch.randint(more, (n,), generator=answer.generator)
        want = F.cross_entropy(output[:, :columns], first) + F.cross_entropy(output[:, columns:], second)
        same(answer(output, first, second, columns), want, what='loss', mistakes=answer.mistakes())


@mistake(two_targets, 'yours is the mean of the two losses: they are added')
def _mean_of_both(output: Tensor, first: Tensor, second: Tensor, columns: int) -> Tensor:
    return (F.cross_entropy(output[:, :columns], first) + F.cross_entropy(output[:, columns:], second))/2


@mistake(two_targets, 'yours lets all columns compete in one softmax: each label has a slice of its own')
def _one_softmax(output: Tensor, first: Tensor, second: Tensor, columns: int) -> Tensor:
    return F.cross_entropy(output, first) + F.cross_entropy(output, second + columns)


@mistake(two_targets, 'yours takes the loss of the first target only')
def _first_only(output: Tensor, first: Tensor, second: Tensor, columns: int) -> Tensor:
    return F.cross_entropy(output[:, :columns], first)


@mistake(two_targets, 'yours takes the loss of the second target only')
def _second_only(output: Tensor, first: Tensor, second: Tensor, columns: int) -> Tensor:
    return F.cross_entropy(output[:, columns:], second)


@mistake(two_targets, 'yours adds up over the batch: each of the two is a mean')
def _summed(output: Tensor, first: Tensor, second: Tensor, columns: int) -> Tensor:
    return (F.cross_entropy(output[:, :columns], first, reduction='sum')
            + F.cross_entropy(output[:, columns:], second, reduction='sum'))


_State = dict[str, Tensor]


@exercise
def ema_step(answer: Answer) -> None:
    for decay in (0.9, 0.5, 0., 0.99):
        average, now = ({'weight': torch.randn(2, 3, generator=answer.generator),
                         'mean': torch.randn(3, generator=answer.generator), 'count': torch.tensor(count)}
                        for count in (10, 31))
        want = {name: decay*average[name] + (1 - decay)*now[name] for name in ('weight', 'mean')}
        same(answer(average, now, decay), want | {'count': torch.tensor(31)}, what='average',
             mistakes=answer.mistakes())


@mistake(ema_step, 'the decay is what stays of the average: yours has the two shares the wrong way round')
def _shares_swapped(average: _State, now: _State, decay: float) -> _State:
    return {n: (1 - decay)*v + decay*now[n] if v.is_floating_point() else now[n] for n, v in average.items()}


@mistake(ema_step, 'yours averages the count too: whole numbers are those of `now`')
def _count_averaged(average: _State, now: _State, decay: float) -> _State:
    return {n: (decay*v + (1 - decay)*now[n]).to(v.dtype) for n, v in average.items()}


@mistake(ema_step, 'yours keeps the old count: whole numbers are those of `now`')
def _count_kept(average: _State, now: _State, decay: float) -> _State:
    return {n: decay*v + (1 - decay)*now[n] if v.is_floating_point() else v for n, v in average.items()}


@mistake(ema_step, 'yours takes the plain mean of both: `decay` says what stays')
def _plain_mean(average: _State, now: _State, decay: float) -> _State:
    return {n: (v + now[n])/2 if v.is_floating_point() else now[n] for n, v in average.items()}


@mistake(ema_step, 'yours adds the weights of now whole: they get the share `1 - decay`')
def _added_whole(average: _State, now: _State, decay: float) -> _State:
    return {n: decay*v + now[n] if v.is_floating_point() else now[n] for n, v in average.items()}


@exercise
def stirred(answer: Answer) -> None:
    def state(count: int, dtype: torch.dtype = torch.float32) -> _State:
        weight = torch.randn(3, 4, generator=answer.generator).to(dtype)
        return {'weight': weight, 'bias': torch.randn(3, generator=answer.generator), 'count': torch.tensor(count)}
    for n, dtype in [(2, torch.float32), (3, torch.float32), (1, torch.float32), (3, torch.float16)]:
        states = [state(7 + 2*i, dtype) for i in range(n)]
        want = {name: torch.stack([s[name] for s in states]).float().mean(0).to(states[0][name].dtype)
                for name in ('weight', 'bias')}
        got = answer(states)
        same(got, want | {'count': torch.tensor(7)}, what='soup', rtol=2e-3, atol=2e-3, mistakes=answer.mistakes())
        expect(got['weight'].dtype == dtype, f"the weight came as {dtype} and is {got['weight'].dtype} in yours")
    fewer = {name: value for name, value in state(1).items() if name != 'bias'}
    answer.raises(ValueError, [state(1), fewer], mention='bias', why='only one of them has a bias')
    answer.raises(ValueError, [fewer, state(1)], mention='bias', why='only one of them has a bias')
    answer.raises(ValueError, [state(1), state(1) | {'weight': torch.ones(1, 4)}], mention='weight',
                  why='the weights differ in shape, also where they could be broadcast')


@mistake(stirred, 'yours adds the states up: divide by how many there are')
def _states_added(states: list[_State]) -> _State:
    return {n: torch.stack([s[n] for s in states]).sum(0) if v.is_floating_point() else v for n, v in states[0].items()}


@mistake(stirred, 'yours averages the count: whole numbers are those of the first')
def _mean_count(states: list[_State]) -> _State:
    return {n: torch.stack([s[n].float() for s in states]).mean(0).to(v.dtype) for n, v in states[0].items()}


@mistake(stirred, 'yours takes the count of the last: whole numbers are those of the first')
def _last_count(states: list[_State]) -> _State:
    return {n: torch.stack([s[n] for s in states]).mean(0) if v.is_floating_point() else states[-1][n]
            for n, v in states[0].items()}


@mistake(stirred, 'yours is the first state: the others have a say too')
def _the_first(states: list[_State]) -> _State: return {n: v.clone() for n, v in states[0].items()}


@mistake(stirred, 'yours averages pair by pair, so that the last state counts as much as all before it together')
def _pair_by_pair(states: list[_State]) -> _State:
    out = dict(states[0])
    for other in states[1:]: out = {n: (v + other[n])/2 if v.is_floating_point() else v for n, v in out.items()}
    return out
