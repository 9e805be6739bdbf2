"What the exercises of the chapter on segmentation are held against"
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same


@exercise
def count_pixels(answer: Answer) -> None:
    for classes, ignored in [(3, 255), (4, 255), (2, 9), (5, 0)]:
        shape = 2, 6, 7
        target = torch.randint(classes, shape, generator=answer.generator)
        pred = torch.where(torch.rand(shape, generator=answer.generator) < 0.6, target,
                           torch.randint(classes, shape, generator=answer.generator))
        if ignored >= classes: target[torch.rand(shape, generator=answer.generator) < 0.2] = ignored
        want = torch.zeros(classes, classes, dtype=torch.int64)
        for t, p in zip(target.flatten().tolist(), pred.flatten().tolist()):
            if t != ignored: want[t, p] += 1
        same(answer(pred, target, classes, ignored), want, what='table', mistakes=answer.mistakes())


def _kept(pred: Tensor, target: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    kept = target != ignored
    return pred[kept], target[kept]


def _counted(pred: Tensor, target: Tensor, classes: int) -> Tensor:
    return torch.bincount(target*classes + pred, minlength=classes**2).view(classes, classes)


@mistake(count_pixels, 'yours lies on its side: true classes go down, predicted ones across')
def _turned(pred: Tensor, target: Tensor, classes: int, ignored: int) -> Tensor:
    return _counted(*_kept(pred, target, ignored), classes).T.contiguous()


@mistake(count_pixels, 'yours has no number above one: `table[true, pred] += 1` counts a place once, however often it '
                       'is named')
def _once(pred: Tensor, target: Tensor, classes: int, ignored: int) -> Tensor:
    return _counted(*_kept(pred, target, ignored), classes).clamp(max=1)


@mistake(count_pixels, 'yours counts the ignored pixels as class 0')
def _as_background(pred: Tensor, target: Tensor, classes: int, ignored: int) -> Tensor:
    return _counted(pred.flatten(), torch.where(target == ignored, 0, target).flatten(), classes)


@mistake(count_pixels, 'yours leaves out the pixels that were predicted as the ignored label: what is ignored is '
                       'said by the truth alone')
def _by_prediction(pred: Tensor, target: Tensor, classes: int, ignored: int) -> Tensor:
    pred, target = _kept(pred, target, ignored)
    return _counted(pred[pred != ignored], target[pred != ignored], classes)


@exercise
def iou_of(answer: Answer) -> None:
    for rows in ([[5, 2], [1, 8]], [[6, 1, 0], [1, 3, 0], [0, 0, 0]], [[4, 0, 3], [2, 0, 1], [0, 0, 9]],
                 [[0, 7], [0, 0]]):
        counts = torch.tensor(rows)
        true, taken, right = counts.sum(1), counts.sum(0), counts.diagonal()
        want = right.double()/(true + taken - right)
        got = answer(counts)
        expect(isinstance(got, Tensor) and got.is_floating_point(), 'yours should be a tensor of floats')
        same(got.double(), want, what='IoU', mistakes=answer.mistakes(lambda fn: fn(counts).double()))


@mistake(iou_of, 'yours is the Dice score: divide the right pixels by those of either mask, each counted once')
def _dice(counts: Tensor) -> Tensor: return 2*counts.diagonal()/(counts.sum(0) + counts.sum(1))


@mistake(iou_of, 'yours divides by the true pixels alone, which forgives every false one')
def _recall(counts: Tensor) -> Tensor: return counts.diagonal()/counts.sum(1)


@mistake(iou_of, 'yours divides by the predicted pixels alone, which forgives every missed one')
def _precision(counts: Tensor) -> Tensor: return counts.diagonal()/counts.sum(0)


@mistake(iou_of, 'yours counts the right pixels twice in the union: they are true ones and predicted ones')
def _twice(counts: Tensor) -> Tensor: return counts.diagonal()/(counts.sum(0) + counts.sum(1))


@mistake(iou_of, 'yours gives a class that is nowhere a zero: it has no score, `nan`')
def _zero_for_nothing(counts: Tensor) -> Tensor:
    return counts.diagonal()/(counts.sum(0) + counts.sum(1) - counts.diagonal()).clamp(min=1)


@exercise
def soft_dice(answer: Answer) -> None:
    for shape, ignored in [((2, 4, 4), 0.), ((1, 5, 6), 0.3), ((3, 4, 4), 0.5)]:
        logits = 2*torch.randn(shape, generator=answer.generator)
        target = torch.randint(2, shape, generator=answer.generator)
        target[torch.rand(shape, generator=answer.generator) < ignored] = 255
        p, t = logits.sigmoid()[target != 255], target[target != 255]
        want = 1 - 2*(p*t).sum()/(p.sum() + t.sum())
        same(answer(logits, target, 255), want, what='loss', mistakes=answer.mistakes())


def _soft(p: Tensor, t: Tensor) -> Tensor: return 1 - 2*(p*t).sum()/(p.sum() + t.sum())


@mistake(soft_dice, 'yours takes ignored pixels for background: a probability there still costs')
def _ignored_is_0(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    return _soft(logits.sigmoid(), torch.where(target == ignored, 0, target))


@mistake(soft_dice, 'yours counts with the label of the ignored pixels as if it were a number')
def _with_255(logits: Tensor, target: Tensor, ignored: int) -> Tensor: return _soft(logits.sigmoid(), target)


@mistake(soft_dice, 'yours is the overlap: a loss is small where the overlap is large')
def _the_score(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    return 1 - _soft(logits[target != ignored].sigmoid(), target[target != ignored])


@mistake(soft_dice, 'yours decides each pixel first, which leaves no gradient: use the probabilities')
def _hard(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    return _soft((logits[target != ignored] > 0).float(), target[target != ignored])


@mistake(soft_dice, 'yours is one less the IoU: Dice counts the overlap twice, and both masks in full')
def _one_less_iou(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    p, t = logits[target != ignored].sigmoid(), target[target != ignored]
    return 1 - (p*t).sum()/(p.sum() + t.sum() - (p*t).sum())


@exercise
def after_three(answer: Answer) -> None:
    for height, width in [(64, 96), (33, 47), (8, 9), (1, 100), (31, 32)]:
        x = torch.zeros(1, 1, height, width)
        for _ in range(3): x = F.conv2d(x, torch.zeros(1, 1, 3, 3), stride=2, padding=1)
        same(answer(height, width), tuple(x.shape[2:]), what='size', mistakes=answer.mistakes())


_Size = tuple[int, int]


@mistake(after_three, 'yours rounds down: with a padding of one, an odd size leaves the larger half')
def _rounded_down(height: int, width: int) -> _Size: return height//8, width//8


@mistake(after_three, 'yours is the size after one stride')
def _one_stride(height: int, width: int) -> _Size: return (height + 1)//2, (width + 1)//2


@mistake(after_three, 'yours divides by six: three halvings divide by two, three times')
def _by_six(height: int, width: int) -> _Size: return -(-height//6), -(-width//6)


@mistake(after_three, 'yours has width and height the wrong way round')
def _swapped(height: int, width: int) -> _Size: return -(-width//8), -(-height//8)


@mistake(after_three, 'yours forgets the padding of one on each side')
def _no_padding(height: int, width: int) -> _Size:
    for _ in range(3): height, width = (height - 3)//2 + 1, (width - 3)//2 + 1
    return height, width


@exercise
def joined(answer: Answer) -> None:
    for channels, skips, small, large in [(3, 2, (4, 4), (8, 8)), (2, 2, (3, 5), (5, 9)), (1, 3, (4, 4), (6, 7))]:
        x = torch.randn(2, channels, *small, generator=answer.generator)
        skip = torch.randn(2, skips, *large, generator=answer.generator)
        got = answer(x, skip)
        want = torch.cat([F.interpolate(x, large, mode='nearest'), skip], 1)
        same(got, want, what='joined map', mistakes=answer.mistakes())


@mistake(joined, 'yours has the skip first: the map from below comes first here')
def _skip_first(x: Tensor, skip: Tensor) -> Tensor: return torch.cat([skip, F.interpolate(x, skip.shape[2:])], 1)


@mistake(joined, 'yours leaves the skip out')
def _no_skip(x: Tensor, skip: Tensor) -> Tensor: return F.interpolate(x, skip.shape[2:])


@mistake(joined, 'yours shrinks the skip to the small map: its details are then lost, and the map stays small')
def _shrunk(x: Tensor, skip: Tensor) -> Tensor: return torch.cat([x, F.interpolate(skip, x.shape[2:])], 1)


@mistake(joined, 'yours blends between pixels (bilinear): the nearest pixel is asked for')
def _blended(x: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([F.interpolate(x, skip.shape[2:], mode='bilinear'), skip], 1)


@mistake(joined, 'yours doubles the map and cuts it, which is another map: ask for the size of the skip')
def _doubled(x: Tensor, skip: Tensor) -> Tensor:
    high, wide = skip.shape[2:]
    return torch.cat([F.interpolate(x, scale_factor=2)[..., :high, :wide], skip], 1)


def _lopsided(x: Tensor) -> Tensor:
    "A model that looks at the left neighbour, so that a mirrored picture gets another answer"
    return torch.cat([x.roll(1, -1) + 0.3*x, 0.5*x - x.roll(1, -2)], 1)


@exercise
def both_ways(answer: Answer) -> None:
    for n, size in [(2, (4, 6)), (1, (5, 5)), (3, (6, 4))]:
        x = torch.randn(n, 1, *size, generator=answer.generator)
        plain, mirrored = _lopsided(x).softmax(1), _lopsided(x.flip(-1)).softmax(1).flip(-1)
        same(answer(_lopsided, x), (plain + mirrored)/2, what='probabilities', mistakes=answer.mistakes())


_Model = Callable[[Tensor], Tensor]


@mistake(both_ways, 'yours does not turn the second answer back: it lies on the mirrored picture')
def _not_back(model: _Model, x: Tensor) -> Tensor: return (model(x).softmax(1) + model(x.flip(-1)).softmax(1))/2


@mistake(both_ways, 'yours turns the second answer upside down: left and right were exchanged')
def _wrong_side(model: _Model, x: Tensor) -> Tensor:
    return (model(x).softmax(1) + model(x.flip(-1)).softmax(1).flip(-2))/2


@mistake(both_ways, 'yours averages the logits: average the probabilities')
def _mean_logits(model: _Model, x: Tensor) -> Tensor: return ((model(x) + model(x.flip(-1)).flip(-1))/2).softmax(1)


@mistake(both_ways, 'yours has forgotten the plain picture')
def _mirror_alone(model: _Model, x: Tensor) -> Tensor: return model(x.flip(-1)).softmax(1).flip(-1)


@mistake(both_ways, 'yours adds the two: the probabilities of a pixel then add up to two')
def _summed(model: _Model, x: Tensor) -> Tensor: return model(x).softmax(1) + model(x.flip(-1)).softmax(1).flip(-1)
