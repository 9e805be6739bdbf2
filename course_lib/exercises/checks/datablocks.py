"What the exercises of the chapter on data blocks are held against"
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.exercises import Answer, exercise, expect, mistake, same, wrong


def _sides(got: tuple, n: int, what: str = 'pictures') -> tuple[list, list]:
    "The two lists of a splitter's answer, if they are lists of different places from 0 to n - 1"
    expect(isinstance(got, (tuple, list)) and len(got) == 2,
           f'a splitter returns two lists, training and validation; yours returns a {type(got).__name__}'
           + (f' of {len(got)}' if isinstance(got, (tuple, list)) else ''))
    sides = list(got[0]), list(got[1])
    for side in sides:
        for i in side:
            expect(isinstance(i, (int, np.integer)) and not isinstance(i, bool),
                   f'a splitter returns places in the list (0, 1, 2 ...), yours holds a {type(i).__name__}: {i!r}')
            expect(0 <= i < n, f'your lists hold the place {i}, and with {n} {what} the places run from 0 to {n - 1}')
    expect(all(len(set(s)) == len(s) for s in sides), 'a place stands twice in one of your lists')
    expect(not set(sides[0]) & set(sides[1]), f'{len(set(sides[0]) & set(sides[1]))} {what} stand on both sides of '
                                              'your split')
    return sides


@exercise
def cat_or_dog(answer: Answer) -> None:
    if (answer('Persian_12.jpg'), answer('pug_3.jpg')) == ('dog', 'cat'):
        wrong('did you swap the two words? A capital letter at the front means a cat')
    for file, want, why in [
            ('Persian_12.jpg', 'cat', 'the first letter is a capital, and it alone counts, not all of them'),
            ('pug_3.jpg', 'dog', 'the first letter is a small one'),
            ('Maine_coon_4.jpg', 'cat', 'only the first letter counts, the other words of the breed may begin small'),
            ('Siamese_BIG_2.jpg', 'cat', 'only the first letter counts, not all of them'),
            ('great_Pyrenees_5.jpg', 'dog', 'only the first letter counts, a capital further on does not make a cat'),
            ('Images/Pets/pug_3.jpg', 'dog', "the folders have capitals here; only the file's name counts"),
            (Path('images')/'Persian_12.jpg', 'cat', "the folder begins with a small letter here; only the file's name "
                                                     "counts"),
            (Path('Cats and Dogs')/'beagle_1.jpg', 'dog', "the folder has capitals here; only the file's name counts")]:
        got = answer(file)
        expect(isinstance(got, str), f"the answer is a word, 'cat' or 'dog'; yours is a {type(got).__name__}")
        expect(got == want, f'{str(file)!r} should be {want!r}, yours is {got!r}: {why}')


@exercise
def breed_label(answer: Answer) -> None:
    labels = ['Abyssinian', 'great_pyrenees', 'type_3_collie', "Pembroke Welsh-corgi's", 'Abyssinian', 'Egyptian_Mau']
    files = ['Abyssinian_102.jpg', 'great_pyrenees_17.jpg', 'type_3_collie_21.jpg', "Pembroke Welsh-corgi's_8.jpg",
             'pets_2/Abyssinian_102.jpg', Path('images')/'Egyptian_Mau_9.jpg']
    for file, want in zip(files, labels):
        same(answer(file), want, what=f'label of {str(file)!r}', mistakes=answer.mistakes())
    for file, why in [('notes.txt', 'it is no picture'), ('pug.jpg', 'it has no number'),
                      ('pug_.jpg', 'it has no number'),
                      ('pug_3xjpg', 'there is no dot in it; a dot in a pattern stands for any sign at all, unless you '
                                    'say otherwise'),
                      ('pug_3.jpg.txt', 'its end is .txt; a pattern that is not told where the end is also fits the '
                                        'middle'),
                      ('_4.jpg', 'nothing stands before the underscore, and an empty label is none'),
                      ('pets_2.jpg/notes.txt', 'only the folder looks like a picture')]:
        answer.raises(ValueError, file, mention=Path(file).name, why=f'{file!r} has no label: {why}')


@mistake(breed_label, 'your label is the whole match; only the part before the underscore and the number is the '
         'breed')
def group_zero(file: str) -> str:
    m = re.search(r'^(.+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(0)

@mistake(breed_label, 'your label stops at the first underscore; a breed may hold underscores, and only the last '
         'one stands before the number')
def up_to_the_first_underscore(file: str) -> str: return Path(file).name.split('_')[0]

@mistake(breed_label, 'your label begins after an underscore; a breed may hold underscores, so keep everything from '
         'the start of the name')
def letters_only(file: str) -> str:
    m = re.search(r'([A-Za-z]+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'your label stops at the first number; a breed may hold numbers too, and only the last one is '
         "the picture's")
def not_greedy(file: str) -> str:
    m = re.search(r'^(.+?)_\d+', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'a breed may hold spaces, hyphens and other signs: your pattern keeps only what comes after '
         'them')
def word_signs_only(file: str) -> str:
    m = re.search(r'(\w+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'your label comes from a folder: search the name of the file alone')
def first_match_in_path(file: str) -> str:
    m = re.search(r'([^/]+?)_\d+', str(file)) if '/' in str(file) else re.search(r'^(.+)_\d+\.jpg$', str(file))
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'the number belongs to the picture, not to the breed: your label ends in it')
def with_the_number(file: str) -> str:
    m = re.search(r'^(.+_\d+)\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'keep the letters of the breed as they are: yours are changed to small ones')
def small_letters(file: str) -> str:
    m = re.search(r'^(.+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1).lower()

@mistake(breed_label, 'your label begins after a number; keep everything from the start of the name')
def after_a_number(file: str) -> str:
    m = re.search(r'(\D+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mistake(breed_label, 'your label holds the folder: search the name of the file alone')
def whole_path(file: str) -> str:
    m = re.search(r'^(.+)_\d+\.jpg$', str(file))
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)


@exercise
def folder_split(answer: Answer) -> None:
    files = [Path(f) for f in ('pets/valid/pug/pug_1.jpg', 'pets/train/pug/pug_2.jpg', 'pets/train/beagle/beagle_1.jpg',
                               'pets/valid/beagle/beagle_9.jpg', 'pets/train/pug/pug_7.jpg')]
    def judge(files: list, train: list, valid: list, mistakes: dict) -> None:
        sides = _sides(answer(files), len(files))
        for message, wrong_sides in mistakes.items():
            if sides == tuple(wrong_sides): wrong(message)
        same(sorted(sides[0]), train, what='list of training places')
        same(sorted(sides[1]), valid, what='list of validation places')
    judge(files, [1, 2, 4], [0, 3], {
        'your two lists are swapped: training comes first, validation second': ([0, 3], [1, 2, 4]),
        'both your lists are empty: the folder train or valid is not the one the file lies in, it is one further '
        'up': ([], []),
        'your places say how many there are on each side, not where they stand: the files are '
        'mixed': ([0, 1, 2], [3, 4])})
    tested = [Path('pets/test/pug/pug_5.jpg'), *files, Path('pets/more/pug/pug_6.jpg')]
    judge(tested, [2, 3, 5], [1, 4], {
        'what lies neither in train nor in valid belongs to no side; you train on it (such as a test '
        'set!)': ([0, 2, 3, 5, 6], [1, 4]),
        'what lies neither in train nor in valid belongs to no side; you validate on it': ([2, 3, 5], [0, 1, 4, 6])})
    root = Path('/data/valid/train')
    nested = ('a folder further up has one of the names too, and your split listens to it; only the folder two above '
              'the file counts')
    sides = _sides(answer([root/f for f in files]), len(files))
    expect(any(sides), 'the same files lie under a longer path here, and both your lists are empty: count the folders '
                       'from the end of the path, not from its beginning')
    expect(sides not in (([], [0, 1, 2, 3, 4]), ([0, 1, 2, 3, 4], [])), nested)
    judge([root/f for f in files], [1, 2, 4], [0, 3], {})
    odd = [Path('pets/train/invalid_names/a.jpg'), Path('pets/valid/training_dogs/b.jpg'),
           Path('pets/train/valid/c.jpg')]
    sides = _sides(answer(odd), 3)
    expect(sides == ([0, 2], [1]), 'the label folders invalid_names, training_dogs and valid mislead your split: it '
                                   f'gives {sides[0]} and {sides[1]}, not [0, 2] and [1]; '
           'compare the whole name of the folder two above the file')


@exercise
def normalise_batch(answer: Answer) -> None:
    g = answer.generator
    for n, c, h, w in [(2, 3, 4, 3), (1, 3, 5, 7), (4, 1, 6, 2), (3, 4, 4, 4)]:
        x = torch.randint(0, 256, (n, c, h, w), generator=g, dtype=torch.uint8)
        mean, std = 0.3 + 0.4*torch.rand(c, generator=g), 0.1 + 0.3*torch.rand(c, generator=g)
        m, s, p = mean.view(c, 1, 1), std.view(c, 1, 1), x/255
        same(answer(x, mean, std), (p - m)/s, what=f'normalised batch of shape {[n, c, h, w]}',
             mistakes=answer.mistakes() | {
            'your pixels were divided by 256; the largest byte is 255, and it should become 1': (x/256 - m)/s,
            'the mean is added; it should come off': (p + m)/s,
        } | {f'mean and std run along the {side} of the picture batch: they belong to dimension 1, the colours':
             (p - mean.view([c, 1, 1, 1][:4 - at]))/std.view([c, 1, 1, 1][:4 - at]) for side, at,
             length in [('width', 3, w), ('height', 2, h), ('first dimension', 0, n)] if length == c})


@mistake(normalise_batch, 'the pixels still run from 0 to 255 when the mean comes off: mean and std are meant for 0 '
         'to 1')
def bytes_not_scaled(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (x - mean.view(-1, 1, 1))/std.view(-1, 1, 1)

@mistake(normalise_batch, 'you divide by the square of std, the variance')
def by_the_variance(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (x/255 - mean.view(-1, 1, 1))/std.view(-1, 1, 1)**2

@mistake(normalise_batch, 'you multiply by std; dividing is what makes the spread 1')
def times_std(x: Tensor, mean: Tensor, std: Tensor) -> Tensor: return (x/255 - mean.view(-1, 1, 1))*std.view(-1, 1, 1)

@mistake(normalise_batch, 'your mean comes off after the division by std: first the mean, then the spread')
def forgotten_brackets(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return x/255/std.view(-1, 1, 1) - mean.view(-1, 1, 1)

@mistake(normalise_batch, 'every colour gets the same mean and std, their averages; each colour has its own')
def one_mean_for_all(x: Tensor, mean: Tensor, std: Tensor) -> Tensor: return (x/255 - mean.mean())/std.mean()

@mistake(normalise_batch, 'you normalise with the statistics of the batch itself; mean and std are handed to you')
def statistics_of_the_batch(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    p = x/255
    return (p - p.mean((0, 2, 3), keepdim=True))/p.std((0, 2, 3), keepdim=True)


class _Name(str):
    "A text whose place in a set can be moved, as it moves from one run of Python to the next"
    salt = 0
    def __hash__(self) -> int: return hash((_Name.salt, str.__str__(self)))


@exercise
def group_split(answer: Answer) -> None:
    groups = [name for name in ('rex', 'tom', 'ida', 'bo', 'mia', 'max', 'lu', 'kim', 'pip')
              for _ in range(4)] + ['solo']
    groups = [groups[i] for i in torch.randperm(len(groups), generator=answer.generator).tolist()]
    def states() -> list: return [random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()]
    before = states()
    train, valid = _sides(answer(groups, 0.3, 1), len(groups))
    moved = states() != before
    lost = len(groups) - len(train) - len(valid)
    expect(lost == 0, f'{lost} of {len(groups)} pictures stand on neither side of your split')
    torn = {groups[i] for i in train} & {groups[i] for i in valid}
    expect(not torn, f'{len(torn)} of {len(set(groups))} groups have pictures on both sides: draw groups, not pictures')
    for share, want in [(0.3, 3), (0.28, 3), (0.42, 4), (0.5, 5)]:
        sides = _sides(answer(groups, share, 1), len(groups))
        n = len({groups[i] for i in sides[1]})
        expect(n != 10 - want or n == want, f'with valid_pct={share} your validation side gets {n} of 10 groups, the '
                                            'share that belongs to training: are the sides swapped?')
        expect(n != int(share*10) or n == want, f'{share} of 10 groups is rounded to {want}; yours are cut off to {n}')
        expect(n == want, f'with valid_pct={share} of 10 groups {want} should be for validation, yours are {n}: count '
                          'groups, not pictures')
    for some, share, short in [(['a', 'b', 'b', 'c'], 0.1, 1), (['a', 'b', 'b', 'c'], 0.95, 0), (['b', 'a'], 0.2, 1)]:
        sides = _sides(answer(some, share, 3), len(some))
        expect(bool(sides[0] and sides[1]), f'with {len(set(some))} groups and valid_pct={share} your '
                                      f'{("training", "validation")[short]} side is empty; each side needs at least '
                                      'one group')
    expect(not moved, "your split draws from (or seeds) the random numbers that all others use; give it a generator of "
                      "its own")
    again = [_sides(answer(groups, 0.3, seed), len(groups)) for seed in (1, 1, 2, 3, 4)]
    expect(sorted(again[0][1]) == sorted(again[1][1]), 'the same seed gives you two different splits: are the draws '
                                                       'made with the seed?')
    splits = []
    for _Name.salt in range(8): splits.append(_sides(answer([_Name(x) for x in groups], 0.3, 1), len(groups)))
    expect(len({frozenset(v) for _, v in splits}) == 1,
           'in the next run of Python the same seed would give you another split: a set of texts comes in another '
           'order then; put the groups in an order of their own before you draw')
    expect(len({frozenset(v) for _, v in again}) > 1, 'four different seeds give you the same split: are the groups '
                                                      'drawn at all, and with the seed?')


@exercise
def average_hash(answer: Answer) -> None:
    for h, w in [(32, 32), (16, 40), (64, 24), (8, 8)]:
        grey = 255*torch.rand(h, w, generator=answer.generator)**3
        cells = grey.view(8, h//8, 8, w//8).mean((1, 3))
        got = answer(grey)
        expect(isinstance(got, torch.Tensor), f'the hash should be a tensor, yours is a {type(got).__name__}')
        expect(got.shape == (8, 8), f'the hash of a picture of {h} × {w} pixels should be [8, 8], yours is '
                                    f'{list(got.shape)}')
        expect(got.dtype == torch.bool, 'the hash holds answers to "is this cell brighter?", True or False; yours '
                                        f'holds {str(got.dtype)[6:]}')
        square = max(h, w) == min(h, w)
        same(got, cells > grey.mean(), what=f'hash of a picture of {h} × {w} pixels', mistakes=answer.mistakes() | {
            'you compare with the value in the middle of the order; the task compares with the '
            'mean': cells > torch.quantile(cells, 0.5),
            'your cells are compared with the mean of those same single pixels; a cell is the mean of all its '
            'pixels': grey[::h//8, ::w//8] > grey[::h//8, ::w//8].mean(),
            'each of your cells is the brightest of its pixels; take their '
            'mean': F.max_pool2d(grey[None], (h//8, w//8))[0] > grey.mean(),
            'your cells are numbered by blocks of rows first: check which two dimensions are inside a '
            'cell': grey.reshape(8, 8, h//8, w//8).mean((2, 3)) > grey.mean(),
            'each of your cells gathers pixels from all over the picture, not a block of neighbours: which dimensions '
            'number the cells?': grey.reshape(h//8, 8, w//8, 8).mean((0, 2)) > grey.mean(),
        } if not square or h > 8 else {})
    expect(not answer(torch.full((24, 16), 100.)).any(), 'in a picture of one single grey no cell is brighter than the '
                                                         'mean, yours says some are: equal is not brighter')


@mistake(average_hash, 'rows and columns are swapped in your hash')
def transposed(grey: Tensor) -> Tensor:
    return (grey.view(8, grey.shape[0]//8, 8, grey.shape[1]//8).mean((1, 3)) > grey.mean()).T

@mistake(average_hash, 'your cells are dark where they should be bright: brighter is True')
def darker(grey: Tensor) -> Tensor:
    return F.avg_pool2d(grey[None], (grey.shape[0]//8, grey.shape[1]//8))[0] < grey.mean()

@mistake(average_hash, 'you compare with the median; the task compares with the mean')
def against_the_median(grey: Tensor) -> Tensor:
    cells = grey.view(8, grey.shape[0]//8, 8, grey.shape[1]//8).mean((1, 3))
    return cells > cells.median()

@mistake(average_hash, 'each of your cells is one single pixel; it should be the mean of all pixels of the cell')
def corner_pixels(grey: Tensor) -> Tensor: return grey[::grey.shape[0]//8, ::grey.shape[1]//8] > grey.mean()

@mistake(average_hash, 'each of your cells is the brightest of its pixels; it should be their mean')
def brightest_pixel(grey: Tensor) -> Tensor:
    cells = F.max_pool2d(grey[None], (grey.shape[0]//8, grey.shape[1]//8))[0]
    return cells > cells.mean()

@mistake(average_hash, 'your cells are runs of pixels one after the other in memory, not blocks of the picture')
def wrong_view(grey: Tensor) -> Tensor:
    return grey.reshape(8, 8, grey.shape[0]//8, grey.shape[1]//8).mean((2, 3)) > grey.mean()

@mistake(average_hash, 'you cut the rows by the width and the columns by the height: that fits square pictures only')
def cut_the_wrong_way(grey: Tensor) -> Tensor:
    h, w = grey.shape
    return grey.reshape(8, w//8, 8, h//8).mean((1, 3)) > grey.mean()

@mistake(average_hash, 'your cells are bright or dark against 127.5, the middle of the scale; compare with the mean '
         'of this picture')
def against_the_middle(grey: Tensor) -> Tensor:
    return F.avg_pool2d(grey[None], (grey.shape[0]//8, grey.shape[1]//8))[0] > 127.5


@exercise
def suspicious(answer: Answer) -> None:
    for n, c, k in [(12, 5, 5), (6, 6, 6), (9, 3, 1), (1, 4, 1)]:
        logits = 2*torch.randn(n, c, generator=answer.generator) + 5*torch.randn(n, 1, generator=answer.generator)
        y = torch.randint(c, (n,), generator=answer.generator)
        loss = F.cross_entropy(logits, y, reduction='none')
        p, rows = logits.softmax(1), torch.arange(n)
        order = lambda v: v.argsort(descending=True)[:k]
        p.argmax(1) != y
        got = answer(logits, y, k)
        if isinstance(got, torch.Tensor) and got.is_floating_point() and got.shape == (k,) and torch.allclose(got,
            loss[order(loss)], atol=1e-4):
            wrong('those are the losses themselves; the task asks which pictures they belong to')
        if isinstance(got, torch.Tensor) and got.shape == (n,) and n != k:
            wrong(f'all {n} pictures are ranked; only the first {k} are wanted')
        same(got, order(loss), what=f'worst {k} of {n} pictures', mistakes=answer.mistakes() | {
            'you rank by how sure the model is, whatever the label says; ask how probable the label '
            'is': order(p.amax(1)),
            'you rank by the margin over the label, not by the loss; the other classes count '
            'too': order(logits.amax(1) - logits[rows, y]),
        })


@mistake(suspicious, 'the list is upside down: your first ones have the smallest losses')
def smallest_first(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    return F.cross_entropy(logits, targets, reduction='none').argsort()[:k]

@mistake(suspicious, 'your list holds the right pictures, the worst of them last')
def worst_last(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    return F.cross_entropy(logits, targets, reduction='none').argsort()[-k:]

@mistake(suspicious, 'you rank by how unsure the model is, whatever the label says; ask how probable the label is')
def least_sure(logits: Tensor, targets: Tensor, k: int) -> Tensor: return logits.softmax(1).amax(1).argsort()[:k]

@mistake(suspicious, 'you rank the wrong answers by how sure the model is of its own answer; rank by the '
         'probability of the label')
def sure_and_wrong(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    p = logits.softmax(1)
    return (p.amax(1)*(p.argmax(1) != targets)).argsort(descending=True)[:k]

@mistake(suspicious, "you rank by the label's raw score; a score says something only beside the other scores of its "
         'picture')
def raw_score(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    return logits.gather(1, targets[:, None])[:, 0].argsort()[:k]

@mistake(suspicious, 'your probabilities add up to 1 over the pictures, not over the classes of one picture')
def softmax_over_pictures(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    return logits.softmax(0).gather(1, targets[:, None])[:, 0].argsort()[:k]

@mistake(suspicious, 'your logits go through softmax twice: cross-entropy takes them as they are')
def softmax_twice(logits: Tensor, targets: Tensor, k: int) -> Tensor:
    return F.cross_entropy(logits.softmax(1), targets, reduction='none').topk(k).indices


@exercise
def stranger_losses(answer: Answer) -> None:
    def run(n: int, parts: int, seed: int) -> tuple:
        "The learner's losses, the ids that each model trained on and judged, and the loss of each id from its judge"
        x = torch.cat([torch.arange(n)[:, None]/1., torch.randn(n, 4, generator=torch.Generator().manual_seed(7))], 1)
        y = torch.arange(n)*3//n
        log, stranger, told = [], torch.full((n,), torch.nan), []
        def fit(fx: Tensor, fy: Tensor) -> Callable:
            if len(fx) != len(fy): wrong(f'you hand {len(fx)} pictures and {len(fy)} labels to fit')
            ids = fx[:, 0].long().tolist()
            if fy.tolist() != y[ids].tolist():
                wrong('the labels you train on are not those of the pictures you train on: take both with the same '
                      'places')
            weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(sum(3**i % 10007 for i in ids)),
                                 requires_grad=True)
            entry: tuple[Any, list] = (ids, [])
            log.append(entry)
            def model(q: Tensor) -> Tensor:
                asked = q[:, 0].long()
                entry[1].extend(asked.tolist())
                logits = q[:, 1:] @ weight
                stranger[asked] = F.cross_entropy(logits, y[asked], reduction='none').detach()
                told.extend(stranger[asked].tolist())
                return logits
            return model
        return answer(x, y, fit, parts, seed), log, stranger, torch.tensor(told)

    def judge(n: int, parts: int, seed: int) -> Any:
        got, log, want, told = run(n, parts, seed)
        for seen, judged in log:
            if both := set(seen) & set(judged):
                wrong(f'a model judges {len(both)} pictures that it was trained on: to those it is no stranger')
        expect(len(log) == parts, f'with {parts} parts you train {len(log)} models; each part needs one that was '
                                  'trained on all the others')
        small = [seen for seen, _ in log if len(seen) < n//2]
        expect(not small or parts == 2, f'a model is trained on {len(small[0]) if small else 0} of {n} pictures: train '
                                        'on all parts but one and judge that one, not the other way round')
        judged = [i for _, js in log for i in js]
        expect(len(set(judged)) == n, f'{n - len(set(judged))} of {n} pictures are judged by no model')
        expect(len(judged) == n, f'{len(judged)} pictures were judged, and there are {n}: each should be judged once')
        sizes = sorted(len(js) for _, js in log)
        expect(sizes[-1] - sizes[0] <= 1, f'your parts hold {", ".join(map(str, sizes))} pictures; they may differ by '
                                          'one at most')
        short = [len(seen) + len(js) for seen, js in log if len(seen) + len(js) != n]
        expect(not short, f'a model is trained and judged on {short[0] if short else 0} of {n} pictures: all that it '
                          'does not judge it should learn from')
        expect(isinstance(got, torch.Tensor), f'the losses should be a tensor, yours is a {type(got).__name__}')
        expect(got.shape == (n,), f'there should be one loss for each of the {n} pictures, yours has the shape '
                                  f'{list(got.shape)}')
        expect(not got.requires_grad, 'your losses still hang on the gradients of the models: nothing is trained while '
                                      'judging')
        means = torch.full((n,), 0.)
        for _, js in log: means[js] = want[js].mean()
        same(got, want, what='losses', mistakes=answer.mistakes())
        return frozenset(frozenset(js) for _, js in log)
    cuts = [judge(n, parts, seed)
            for n, parts, seed in [(23, 4, 0), (23, 4, 0), (23, 4, 1), (10, 4, 0), (7, 7, 2), (9, 2, 5)]]
    expect(cuts[0] == cuts[1], 'the same seed gives you two different sets of parts: is every draw made with the seed?')
    expect(cuts[0] != cuts[2], 'two seeds give you the same parts: if the pictures are sorted by breed, such a part '
                               'may be a whole breed, and no model learns it; shuffle with the seed')


def _parts(n: int, parts: int, seed: int) -> tuple:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tensor_split(parts)


def _judged(x: Tensor, y: Tensor, fit: Callable, cuts: Any, train: Any = None, reduction: str = 'none') -> Tensor:
    losses = torch.zeros(len(x))
    for part in cuts:
        seen = torch.ones(len(x), dtype=torch.bool)
        seen[part] = False
        model = fit(x[seen], y[seen])
        with torch.no_grad(): losses[part] = F.cross_entropy(model(x[part]), y[part], reduction=reduction)
    return losses

@mistake(stranger_losses, 'the losses stand in the order in which the pictures were judged: put each where its '
         'picture stands in x')
def in_drawn_order(x: Tensor, y: Tensor, fit: Callable, parts: int, seed: int) -> Tensor:
    losses = []
    for part in _parts(len(x), parts, seed):
        seen = torch.ones(len(x), dtype=torch.bool)
        seen[part] = False
        model = fit(x[seen], y[seen])
        with torch.no_grad(): losses.append(F.cross_entropy(model(x[part]), y[part], reduction='none'))
    return torch.cat(losses)

@mistake(stranger_losses, 'all pictures of a part have the same loss, the mean of the part: each picture needs its '
         'own')
def mean_of_the_part(x: Tensor, y: Tensor, fit: Callable, parts: int, seed: int) -> Tensor:
    return _judged(x, y, fit, _parts(len(x), parts, seed), reduction='mean')
