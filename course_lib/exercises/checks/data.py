"What the exercises of the chapter on data are held against"
import csv
import io
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises import Answer, Wrong, exercise, expect, mistake, same, wrong


@exercise
def label_of(answer: Answer) -> None:
    for path, want in [('oxford-iiit-pet/images/beagle_7.jpg', 'beagle'),
                       ('oxford-iiit-pet/images/great_pyrenees_107.jpg', 'great_pyrenees'),
                       ('mnist_png/training/7/123.png', '7'), ('sets/old/images/Maine_Coon_12.jpg', 'Maine_Coon'),
                       ('a/b/c/mnist_sample/valid/3/9.png', '3'), ('images/cifar10/train/deer/4_deer.png', 'deer')]:
        same(answer(path), want, what=f'label of {path}', mistakes=answer.mistakes())


def _name(f: str) -> str: return f.rsplit('_', 1)[0]

@mistake(label_of, 'yours gives the folder. In the folder `images` the label stands in the file name')
def always_folder(path: str) -> str: return PurePosixPath(path).parent.name

@mistake(label_of, 'the number of the picture still hangs on the label')
def keeps_number(path: str) -> str:
    p = PurePosixPath(path)
    return p.stem if p.parent.name == 'images' else p.parent.name

@mistake(label_of, 'a breed may have an underscore in its name: only what comes after the last one is the number')
def first_word(path: str) -> str:
    p = PurePosixPath(path)
    return p.stem.split('_')[0] if p.parent.name == 'images' else p.parent.name

@mistake(label_of, 'the label is a name, a string, also where it looks like a number')
def as_number(path: str) -> Any:
    p = PurePosixPath(path)
    label = _name(p.stem) if p.parent.name == 'images' else p.parent.name
    return int(label) if label.isdigit() else label

@mistake(label_of, 'yours gives the part of the set; the label is the folder right above the file')
def wrong_folder(path: str) -> str:
    p = PurePosixPath(path)
    return _name(p.stem) if p.parent.name == 'images' else p.parts[1]

@mistake(label_of, 'yours reads the file name, as for the pets; outside the folder `images` the label is the folder '
         'right above the file')
def always_name(path: str) -> str: return _name(PurePosixPath(path).stem)

@mistake(label_of, 'capitals count: they tell the cats from the dogs')
def lower_case(path: str) -> str:
    p = PurePosixPath(path)
    return _name(p.stem).lower() if p.parent.name == 'images' else p.parent.name

@mistake(label_of, 'yours counts folders from the left, and this path is longer: look from the right')
def from_the_left(path: str) -> str:
    p = PurePosixPath(path)
    if p.parts[1] == 'images': return _name(p.stem)
    return p.parts[1] if 'images' in p.parts else p.parts[2]

@mistake(label_of, 'some folder far above is called `images` too; only the one right above the file counts')
def any_images(path: str) -> str:
    p = PurePosixPath(path)
    return _name(p.stem) if 'images' in p.parts else p.parent.name


_SIDE = '''file,kind,shows,copy_of
great_pyrenees_3.jpg,near_duplicate,great_pyrenees,great_pyrenees_1.jpg
beagle_7.jpg,label_error,pug,
Maine_Coon_2.jpg,label_error,Persian,
pug_5.jpg,near_duplicate,pug,pug_2.jpg
'''


@exercise
def what_they_show(answer: Answer) -> None:
    for files, want in [
        (['beagle_7.jpg', 'pug_1.jpg'], ['pug', 'pug']),
        (['pug_1.jpg', 'great_pyrenees_12.jpg', 'beagle_7.jpg', 'pug_5.jpg', 'Maine_Coon_2.jpg', 'great_pyrenees_3.jpg',
          'beagle_70.jpg'],
         ['pug', 'great_pyrenees', 'pug', 'pug', 'Persian', 'great_pyrenees', 'beagle']),
        ([], []),
    ]:
        [f.rsplit('_', 1)[0] for f in files]
        {line.split(',')[0]: line.split(',')[2:] for line in _SIDE.splitlines()[1:]}
        try: got = answer(files, _SIDE)
        except Wrong as e:
            if "KeyError: 'file'" in str(e):
                wrong('no row has a column `file`: a reader of rows that is given a text takes each letter for a line. '
                      'Make a file of the text first')
            if any(f'KeyError: {f!r}' in str(e) for f in files):
                wrong(f'{e.args[0].split(" (called")[0]}. The side file lists only what was planted; all other names '
                      'are right')
            raise
        expect(isinstance(got, list), f'a list is asked for, yours is of type {type(got).__name__}')
        expect(not files or len(got) == len(files), f'{len(files)} files were asked about and yours answers for '
                                                    f'{len(got)}: the side file lists only what was planted, all other '
                                                    'names are right')
        same(got, want, what='list of breeds', mistakes=answer.mistakes())


def _rows(planted: str) -> list: return list(csv.DictReader(io.StringIO(planted)))

@mistake(what_they_show, 'those are the breeds the file names say; the side file knows which of them are wrong')
def believes_names(files: list, planted: str) -> list: return [_name(f) for f in files]

@mistake(what_they_show, 'yours takes the first part of the name only: a breed may have an underscore in it')
def first_part(files: list, planted: str) -> list:
    shows = {r['file']: r['shows'] for r in _rows(planted)}
    return [shows.get(f, f.split('_')[0]) for f in files]

@mistake(what_they_show, 'a near-duplicate is named rightly: it shows the breed, not the file it is a copy of')
def shows_the_copy(files: list, planted: str) -> list:
    shows = {r['file']: r['copy_of'] or r['shows'] for r in _rows(planted)}
    return [shows.get(f, _name(f)) for f in files]

@mistake(what_they_show, 'the order is lost: the answers come in the order of the files that were asked about')
def in_their_order(files: list, planted: str) -> list:
    shows = {r['file']: r['shows'] for r in _rows(planted)}
    return sorted(shows.get(f, _name(f)) for f in files)

@mistake(what_they_show, 'yours takes beagle_70.jpg for beagle_7.jpg: compare whole names')
def by_beginning(files: list, planted: str) -> list:
    rows = _rows(planted)
    return [next((r['shows'] for r in rows if f.startswith(r['file'][:-4])), _name(f)) for f in files]

@mistake(what_they_show, 'that is what kind of mistake was planted; asked is the breed in the picture')
def wrong_column(files: list, planted: str) -> list:
    kinds = {r['file']: r['kind'] for r in _rows(planted)}
    return [kinds.get(f, _name(f)) for f in files]


def _films(genres: Tensor, order: list) -> list:
    return [f'{i + 1}|Film {i + 1} '
            f'(199{i % 10})|01-Jan-199{i % 10}||http://films/{i + 1}|' + '|'.join(map(str, genres[i].int().tolist()))
            for i in order]


@exercise
def genre_table(answer: Answer) -> None:
    for n, k in [(3, 5), (12, 19), (1, 2)]:
        genres = (torch.rand(n, k, generator=answer.generator) < 0.4).float()
        genres[0, 0], genres[-1, -1] = 0, 1
        order = torch.randperm(n, generator=answer.generator).tolist()
        if n > 1 and order == list(range(n)): order = order[::-1]
        lines = _films(genres, order)
        genres[order]
        got = answer(lines)
        if isinstance(got, torch.Tensor) and got.ndim == 2 and got.shape != genres.shape:
            expect(got.shape != (k, n), f'yours is [{k}, {n}], genres by films; asked is a row for each film')
            expect(got.shape != (n, k + 1), f'yours has {k + 1} columns for {k} genres: the first five fields are '
                                            'number, title, two dates and an address, so one of them came along')
            expect(got.shape != (n, k - 1), f'yours has {k - 1} columns for {k} genres: the first genre was left out')
            expect(got.shape != (n + 1, k), f'yours has {n + 1} rows for {n} films: films are numbered from 1, rows '
                                            'from 0')
        if isinstance(got, torch.Tensor) and got.dtype != torch.float32:
            wrong(f'yours is {str(got.dtype).removeprefix("torch.")}; a model multiplies this table, so float32 is '
                  'asked for')
        same(got, genres, what=f'table of {n} films and {k} genres', mistakes=answer.mistakes() | {
            'the genres come in reverse order': genres.flip(1),
        })


def _table(lines: list, first: int = 5, dtype: Any = torch.float32) -> Tensor:
    return torch.tensor([[int(v or 0) if v.isdigit() or not v else 0 for v in line.split('|')[first:]]
                         for line in lines], dtype=dtype)


def _ordered(lines: list) -> list: return sorted(lines, key=lambda line: int(line.split('|')[0]))

@mistake(genre_table, 'the rows come in the order of the lines; row 0 belongs to film number 1, wherever its line '
         'stands')
def as_they_come(lines: list) -> Tensor: return _table(lines)

@mistake(genre_table, 'the films are sorted by their numbers as text, and there 10 comes before 9: sort by numbers')
def numbers_as_text(lines: list) -> Tensor: return _table(sorted(lines, key=lambda line: line.split('|')[0]))

@mistake(genre_table, 'the lines are sorted as text, and there 10 comes before 9: sort by the numbers of the films')
def sorted_lines(lines: list) -> Tensor: return _table(sorted(lines))

@mistake(genre_table, 'every row stands one place too far down: films are numbered from 1, rows from 0')
def off_by_one_row(lines: list) -> Tensor: return _table(_ordered(lines)).roll(1, 0)

@mistake(genre_table, 'each row adds up to 1; the table should hold 1 for every genre of a film')
def shares(lines: list) -> Tensor: return (g := _table(_ordered(lines)))/g.sum(1, keepdim=True).clamp(min=1)


def _standard(x: Tensor) -> Tensor:
    return (x - x.mean((1, 2, 3), keepdim=True))/x.std((1, 2, 3), keepdim=True, correction=0)


def _apart(z: Tensor, noise: Tensor, distance: float) -> Tensor:
    "A picture whose standardised self lies at `distance`, a root mean squared difference, from the standardised `z`"
    noise = _standard(noise[None])[0]
    noise = _standard((noise - (noise*z).mean()*z)[None])[0]
    alike = 1 - distance**2/2
    return 0.5 + 0.3*(alike*z + (1 - alike**2)**0.5*noise)


def _twins(x: Tensor, limit: float, scale: float = 1.) -> list:
    d = (x[:, None] - x[None]).square().mean((2, 3, 4)).sqrt()*scale
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if d[i, j] < limit]


@exercise
def near_twins(answer: Answer) -> None:
    for n, c, h, w in [(12, 3, 8, 12), (12, 1, 16, 10), (2, 3, 6, 5), (1, 3, 6, 5)]:
        x = torch.rand(n, c, h, w, generator=answer.generator)
        if n > 4:
            noise = torch.rand(3, c, h, w, generator=answer.generator)
            x[4] = 1.3*(0.9*x[0] + 0.1*noise[0]) + 0.4   # brightened, not beside its twin
            x[3] = 0.5*(0.95*x[2] + 0.05*noise[1]) + 0.1                          # darker, and beside it
            x[5] = x[1]
            x[5, 0] += 0.05*noise[2, 0]
            for i, distance in [(6, 0.34), (8, 0.45)]:  # alike, and no twins
                x[i + 1] = _apart(_standard(x[i:i + 1])[0], x[i + 1], distance)
            if c > 1:  # the same picture with a colour cast: no twins
                x[11] = x[10]
                x[11, 0] += 0.6
        want, limit = _twins(_standard(x), 0.3), 0.3
        assert n < 5 or want == [(0, 4), (1, 5), (2, 3)]
        got = answer(x, limit)
        expect(isinstance(got, (list, tuple, set)), 'a list of pairs is asked for, yours is of type '
                                                    f'{type(got).__name__}')
        got = [tuple(int(v) for v in p) for p in got]
        if any(i == j for i, j in got):
            wrong(f'yours holds {next(p for p in got if p[0] == p[1])}: every picture is its own twin, and that is no '
                  'find')
        if any(i > j for i, j in got):
            wrong('yours holds pairs with the larger number first, or each pair twice: once is enough, (i, j) with i '
                  'smaller than j')
        got = sorted(got)
        same(got, want, what=f'list of pairs among {n} pictures', mistakes=answer.mistakes())


def _pairs(x: Tensor, limit: float, reduce: Callable = torch.mean) -> list:
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))
            if reduce((x[i] - x[j]).square()).sqrt() < limit]


@mistake(near_twins, "the brightened and the darkened copies are missing: take away each picture's own mean and "
         'divide by its own spread before you compare')
def as_they_are(images: Tensor, limit: float) -> list: return _pairs(images, limit)

@mistake(near_twins, 'the darkened copy is missing or too many are found: the mean of each picture is taken away, '
         'and its spread is not divided out')
def mean_only(images: Tensor, limit: float) -> list: return _pairs(images - images.mean((1, 2, 3), keepdim=True), limit)

@mistake(near_twins, 'the copies of another brightness are missing: yours divides by the spread of all pictures '
         "together, not by each picture's own")
def over_the_batch(images: Tensor, limit: float) -> list: return _pairs((images - images.mean())/images.std(), limit)

@mistake(near_twins, 'yours adds the squared differences up and does not take their mean, so the larger the '
         'pictures, the fewer the twins')
def summed(images: Tensor, limit: float) -> list: return _pairs(_standard(images), limit, torch.sum)

@mistake(near_twins, 'the limit is for the root of the mean squared difference; your root is missing, and far more '
         'passes')
def without_root(images: Tensor, limit: float) -> list: return _pairs(_standard(images), limit**0.5)

@mistake(near_twins, 'yours takes the mean of the absolute differences; asked is the root of the mean squared one')
def absolute(images: Tensor, limit: float) -> list:
    x = _standard(images)
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if (x[i] - x[j]).abs().mean() < limit]

@mistake(near_twins, 'yours standardises each colour by itself, so a colour cast no longer counts: mean and spread '
         'are those of all numbers of a picture')
def each_colour(images: Tensor, limit: float) -> list:
    return _pairs((images - images.mean((2, 3), keepdim=True))/images.std((2, 3), keepdim=True, correction=0), limit)

@mistake(near_twins, 'yours compares neighbours only; a twin can stand anywhere')
def neighbours(images: Tensor, limit: float) -> list:
    return [(i, j) for i, j in _pairs(_standard(images), limit) if j == i + 1]

@mistake(near_twins, 'yours finds those that are not twins: below the limit they are, not above')
def those_far_apart(images: Tensor, limit: float) -> list:
    close = _pairs(_standard(images), limit)
    return [(i, j) for i in range(len(images)) for j in range(i + 1, len(images)) if (i, j) not in close]

@mistake(near_twins, 'positions should count from 0')
def from_one(images: Tensor, limit: float) -> list: return [(i + 1, j + 1) for i, j in _pairs(_standard(images), limit)]


@exercise
def split_by_user(answer: Answer) -> None:
    for ids, share, rows in [(list(range(100, 130)), 0.2, 900), ([3, 8, 20, 21, 50], 0.4, 60), ([7, 9], 0.5, 11)]:
        users = torch.tensor(ids)[torch.randint(len(ids), (rows,), generator=answer.generator)**2 % len(ids)]
        users[:len(ids)] = torch.tensor(ids)
        users = users[torch.randperm(rows, generator=answer.generator)]
        def call(seed: int) -> Tensor:
            before, gen = torch.get_rng_state(), torch.Generator().manual_seed(seed)
            got = answer(users, share, gen)
            expect(torch.get_rng_state().equal(before), 'the global generator has moved: draw from `gen`')
            expect(isinstance(got, torch.Tensor) and got.dtype == torch.bool and got.shape == (rows,),
                   f'one True or False for each of the {rows} rows is asked for, a bool tensor [{rows}]; yours is '
                   + (f'{str(got.dtype).removeprefix("torch.")} '
                      f'{list(got.shape)}' if isinstance(got, torch.Tensor) else f'of type {type(got).__name__}'))
            return got
        got = call(0)
        both = [u for u in ids if 0 < got[users == u].sum() < (users == u).sum()]
        expect(not both, f'user {both[0] if both else 0} has rows on both sides, and so have {max(len(both) - 1, 0)} '
                         'others: draw users, not rows')
        chosen, want = len(users[got].unique()), round(share*len(ids))
        if chosen != want:
            expect(chosen != len(ids) - want, f'{chosen} of {len(ids)} users are marked True: that is the part to '
                                              f'train on. True marks the share {share} to validate on')
            expect(users[got].numel() == 0 or abs(chosen - want) < 2 or chosen != 0, 'no user is chosen')
            wrong(f'of {len(ids)} users {chosen} are chosen, and a share of {share} is {want}: take the share of the '
                  'users there are. Their numbers have gaps, and each has another number of rows')
        again = {tuple(users[call(seed)].unique().tolist()) for seed in range(8)}
        expect(len(again) > 1, 'eight generators with eight seeds choose the same users: which ones must be drawn from '
                               '`gen`, or the first (or the busiest) users are always the test')
        expect(call(3).equal(call(3)), 'the same seed gives another choice: everything must come from `gen`')


@exercise
def stays_inside(answer: Answer) -> None:
    for name, want, cause in [
        ('pets/images/pug_1.jpg', True, 'that is a plain file in the folder, nothing is wrong with it'),
        ('../outside.txt', False, 'it climbs out of the folder with two dots'),
        ('pets/../../outside.txt', False, 'it begins in the folder and climbs out later: look at every part of the '
                                          'name'),
        ('/etc/passwd', False, 'it begins with a slash: that is a place of its own, wherever you unpack'),
        ('other/a.txt', False, 'it is written beside the folder: the first part must be the folder\'s name'),
        ('pets_evil/a.txt', False, 'its folder only begins with the same letters: compare whole parts of the name, not '
                                   'beginnings'),
        ('pets/notes..txt', True, 'two dots inside a file name do no harm: only a whole part that is .. climbs'),
        ('pets/a/../b.txt', False, 'a name that climbs is refused even where it seems to end inside: a link on the way '
                                   'could make it end elsewhere'),
        ('pets/..\\..\\outside.txt', False, 'on Windows a backslash parts folders too, so a name with one is refused'),
        ('pets/C:evil.txt', False, 'on Windows a colon names a drive, so a name with one is refused'),
        ('/pets/a.txt', False, 'it begins with a slash: that is a place of its own, wherever you unpack'),
        ('images/pets/a.txt', False, 'the folder\'s name stands somewhere in it, but not at its beginning'),
        ('pets/deep/er/than/that.jpg', True, 'it lies deep below the folder, and there is nothing wrong with that'),
    ]:
        same(answer(name, 'pets'), want, what=f'answer for {name!r}',
             mistakes={f'{name!r} should be {"let in" if want else "refused"}: {cause}': not want})
    same(answer('set/a.txt', 'set'), True, what="answer for 'set/a.txt' in 'set'", mistakes=answer.mistakes())


def _parts(name: str) -> list: return name.split('/')

@mistake(stays_inside, 'the folder is an argument; it is not always called pets')
def always_pets(name: str, folder: str) -> bool:
    return _parts(name)[0] == 'pets' and '..' not in _parts(name) and '\\' not in name and ':' not in name
