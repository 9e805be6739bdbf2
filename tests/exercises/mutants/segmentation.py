"Wrong answers to the exercises on segmentation, written without a look at the checks"
import torch
import torch.nn.functional as F

from tests.exercises.mutants import mutant


@mutant('count_pixels', says='no number above one')
def indexed_sum(pred, target, classes, ignored):
    table = torch.zeros(classes, classes, dtype=torch.long)
    kept = target != ignored
    table[target[kept], pred[kept]] += 1
    return table

@mutant('count_pixels', says='on its side')
def predicted_down(pred, target, classes, ignored):
    pairs = zip(pred.flatten().tolist(), target.flatten().tolist())
    table = torch.zeros(classes, classes, dtype=torch.long)
    for p, t in pairs:
        if t != ignored: table[p, t] += 1
    return table

@mutant('count_pixels', says='int64')
def shares(pred, target, classes, ignored):
    table = torch.zeros(classes, classes)
    for p, t in zip(pred.flatten().tolist(), target.flatten().tolist()):
        if t != ignored: table[t, p] += 1
    return table/table.sum()


@mutant('iou_of', says='Dice')
def f1(counts):
    tp = counts.diagonal().double()
    fp, fn = counts.sum(0) - tp, counts.sum(1) - tp
    return 2*tp/(2*tp + fp + fn)

@mutant('iou_of', says='IoU|true pixels')
def rights_of_all(counts): return counts.diagonal()/counts.sum()

@mutant('iou_of', says='floats')
def whole_numbers(counts):
    tp = counts.diagonal()
    return tp//(counts.sum(0) + counts.sum(1) - tp).clamp(min=1)


@mutant('soft_dice', says='loss')
def mean_of_pictures(logits, target, ignored):
    kept = (target != ignored).float()
    p, t = logits.sigmoid()*kept, (target == 1).float()
    axes = tuple(range(1, p.dim()))
    return (1.1 - 2*(p*t).sum(axes)/(p.sum(axes) + t.sum(axes))).mean()

@mutant('soft_dice', says='background')
def only_truth_masked(logits, target, ignored):
    p, t = logits.sigmoid(), (target == 1).float()
    return 1 - 2*(p*t).sum()/(p.sum() + t.sum())

@mutant('soft_dice', says='loss')
def squares_below(logits, target, ignored):
    kept = target != ignored
    p, t = logits.sigmoid()[kept], target[kept].float()
    return 1 - 2*(p*t).sum()/(p.square().sum() + t.square().sum())


@mutant('after_three', says='rounds down')
def floor_thrice(height, width):
    for _ in range(3): height, width = height//2, width//2
    return height, width

@mutant('after_three', says='tuple')
def one_number(height, width): return -(-height//8)*-(-width//8)

@mutant('after_three', says='size')
def four_strides(height, width): return -(-height//16), -(-width//16)


@mutant('joined', says='shape')
def stacked_in_batch(x, skip):
    up = F.interpolate(x, skip.shape[-2:])
    return torch.cat([up, up.mean(1, keepdim=True).expand(-1, 2*skip.shape[1], -1, -1)], 1)

@mutant('joined', says='skip first')
def other_order(x, skip): return torch.cat((skip, F.interpolate(x, size=skip.shape[-2:], mode='nearest')), dim=1)

@mutant('joined', says='wrong values')
def corners(x, skip):
    up = F.interpolate(x, skip.shape[-2:], mode='bilinear', align_corners=True)
    return torch.cat([up, skip], 1)


@mutant('both_ways', says='lies on the mirrored picture')
def batch_of_two(model, x):
    out = model(torch.cat([x, x.flip(-1)])).softmax(1)
    return out.view(2, len(x), *out.shape[1:]).mean(0)

@mutant('both_ways', says='probabilities')
def larger_of_both(model, x):
    return torch.maximum(model(x).softmax(1), model(x.flip(-1)).softmax(1).flip(-1))

@mutant('both_ways', says='probabilities')
def geometric(model, x):
    p = model(x).softmax(1)*model(x.flip(-1)).softmax(1).flip(-1)
    return p.sqrt()
