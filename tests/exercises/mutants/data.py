"Plausible wrong answers to the exercises of the chapter on data, each with the words its message must hold"
import csv
import io
import os
from pathlib import PurePosixPath

import torch

from . import mutant


def _name(f): return f.rsplit('_', 1)[0]

@mutant('label_of', says='only what comes after the last one')
def first_word(path):
    p = PurePosixPath(path)
    return p.stem.split('_')[0] if p.parent.name == 'images' else p.parent.name

@mutant('label_of', says='gives the folder')
def always_folder(path): return PurePosixPath(path).parent.name

@mutant('label_of', says='reads the file name')
def always_name(path): return _name(PurePosixPath(path).stem)

@mutant('label_of', says='number of the picture still hangs')
def keeps_number(path):
    p = PurePosixPath(path)
    return p.stem if p.parent.name == 'images' else p.parent.name

@mutant('label_of', says='also where it looks like a number')
def as_number(path):
    p = PurePosixPath(path)
    label = _name(p.stem) if p.parent.name == 'images' else p.parent.name
    return int(label) if label.isdigit() else label

@mutant('label_of', says='part of the set')
def wrong_folder(path):
    p = PurePosixPath(path)
    return _name(p.stem) if p.parent.name == 'images' else p.parts[1]

@mutant('label_of', says='tell the cats')
def lower_case(path):
    p = PurePosixPath(path)
    return _name(p.stem).lower() if p.parent.name == 'images' else p.parent.name

@mutant('label_of', says='only the one right above the file')
def any_images(path):
    p = PurePosixPath(path)
    return _name(p.stem) if 'images' in p.parts else p.parent.name

@mutant('label_of', says='counts folders from the left')
def from_the_left(path):
    p = PurePosixPath(path)
    return _name(p.stem) if p.parts[1] == 'images' else p.parts[2] if len(p.parts) == 4 and p.parts[2] != 'images' else p.parts[1] if 'images' in p.parts else p.parts[2]


def _rows(planted): return list(csv.DictReader(io.StringIO(planted)))

@mutant('what_they_show', says='side file knows')
def believes_names(files, planted): return [_name(f) for f in files]

@mutant('what_they_show', says='answers for')
def only_planted(files, planted): return [r['shows'] for r in _rows(planted) if r['file'] in files]

@mutant('what_they_show', says='lists only what was planted')
def only_the_side_file(files, planted):
    shows = {r['file']: r['shows'] for r in _rows(planted)}
    return [shows[f] for f in files]

@mutant('what_they_show', says='each letter for a line')
def letters_for_lines(files, planted):
    shows = {r['file']: r['shows'] for r in csv.DictReader(planted)}
    return [shows.get(f, _name(f)) for f in files]

@mutant('what_they_show', says='underscore')
def first_part(files, planted):
    shows = {r['file']: r['shows'] for r in _rows(planted)}
    return [shows.get(f, f.split('_')[0]) for f in files]

@mutant('what_they_show', says='copy of')
def shows_the_copy(files, planted):
    shows = {r['file']: r['copy_of'] or r['shows'] for r in _rows(planted)}
    return [shows.get(f, _name(f)) for f in files]

@mutant('what_they_show', says='order is lost')
def in_their_order(files, planted):
    shows = {r['file']: r['shows'] for r in _rows(planted)}
    return sorted(shows.get(f, _name(f)) for f in files)

@mutant('what_they_show', says='compare whole names')
def by_beginning(files, planted):
    rows = _rows(planted)
    return [next((r['shows'] for r in rows if f.startswith(r['file'][:-4])), _name(f)) for f in files]

@mutant('what_they_show', says='what kind of mistake')
def wrong_column(files, planted):
    kinds = {r['file']: r['kind'] for r in _rows(planted)}
    return [kinds.get(f, _name(f)) for f in files]


def _table(lines, first=5, dtype=torch.float32):
    return torch.tensor([[int(v or 0) if v.isdigit() or not v else 0 for v in line.split('|')[first:]] for line in lines], dtype=dtype)

def _ordered(lines): return sorted(lines, key=lambda line: int(line.split('|')[0]))

@mutant('genre_table', says='order of the lines')
def as_they_come(lines): return _table(lines)

@mutant('genre_table', says='one place too far down|numbered from 1')
def off_by_one_row(lines): return _table(_ordered(lines)).roll(1, 0)

@mutant('genre_table', says='4 rows for 3 films')
def spare_row(lines): return torch.cat([torch.zeros(1, len(lines[0].split('|')) - 5), _table(_ordered(lines))])

@mutant('genre_table', says='6 columns for 5 genres')
def one_column_more(lines): return _table(_ordered(lines), 4)

@mutant('genre_table', says='4 columns for 5 genres')
def one_column_less(lines): return _table(_ordered(lines), 6)

@mutant('genre_table', says='row for each film')
def transposed(lines): return _table(_ordered(lines)).T

@mutant('genre_table', says='lines are sorted as text')
def sorted_lines(lines): return _table(sorted(lines))

@mutant('genre_table', says='numbers as text')
def numbers_as_text(lines): return _table(sorted(lines, key=lambda line: line.split('|')[0]))

@mutant('genre_table', says='float32 is asked for')
def whole_numbers(lines): return _table(_ordered(lines), dtype=torch.int64)

@mutant('genre_table', says='adds up to 1')
def shares(lines): return (g := _table(_ordered(lines)))/g.sum(1, keepdim=True).clamp(min=1)


def _standard(x): return (x - x.mean((1, 2, 3), keepdim=True))/x.std((1, 2, 3), keepdim=True, correction=0)

def _pairs(x, limit, reduce=torch.mean):
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if reduce((x[i] - x[j]).square()).sqrt() < limit]

@mutant('near_twins', says='brightened and the darkened')
def as_they_are(images, limit): return _pairs(images, limit)

@mutant('near_twins', says='spread is not divided out')
def mean_only(images, limit): return _pairs(images - images.mean((1, 2, 3), keepdim=True), limit)

@mutant('near_twins', says='all pictures together')
def over_the_batch(images, limit): return _pairs((images - images.mean())/images.std(), limit)

@mutant('near_twins', says='the fewer the twins')
def summed(images, limit): return _pairs(_standard(images), limit, torch.sum)

@mutant('near_twins', says='root is missing')
def without_root(images, limit): return _pairs(_standard(images), limit**0.5)

@mutant('near_twins', says='absolute differences')
def absolute(images, limit):
    x = _standard(images)
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if (x[i] - x[j]).abs().mean() < limit]

@mutant('near_twins', says='colour by itself')
def each_colour(images, limit):
    return _pairs((images - images.mean((2, 3), keepdim=True))/images.std((2, 3), keepdim=True, correction=0), limit)

@mutant('near_twins', says='neighbours only')
def neighbours(images, limit): return [(i, j) for i, j in _pairs(_standard(images), limit) if j == i + 1]

@mutant('near_twins', says='own twin')
def with_itself(images, limit): return [(i, i) for i in range(len(images))] + _pairs(_standard(images), limit)

@mutant('near_twins', says='each pair twice')
def both_ways(images, limit): return [p for i, j in _pairs(_standard(images), limit) for p in ((i, j), (j, i))]

@mutant('near_twins', says='not above')
def those_far_apart(images, limit):
    close = _pairs(_standard(images), limit)
    return [(i, j) for i in range(len(images)) for j in range(i + 1, len(images)) if (i, j) not in close]

@mutant('near_twins', says='changes its input in place')
def in_place(images, limit):
    images -= images.mean((1, 2, 3), keepdim=True)
    images /= images.std((1, 2, 3), keepdim=True, correction=0)
    return _pairs(images, limit)

@mutant('near_twins', says='count from 0')
def from_one(images, limit): return [(i + 1, j + 1) for i, j in _pairs(_standard(images), limit)]


def _chosen(users, n, gen):
    there = users.unique()
    return torch.isin(users, there[torch.randperm(len(there), generator=gen)[:n]])

@mutant('split_by_user', says='draw users, not rows')
def by_rows(users, share, gen): return torch.rand(len(users), generator=gen) < share

@mutant('split_by_user', says='part to train on')
def turned_round(users, share, gen): return ~_chosen(users, round(share*len(users.unique())), gen)

@mutant('split_by_user', says='choose the same users')
def first_users(users, share, gen): return torch.isin(users, users.unique()[:round(share*len(users.unique()))])

@mutant('split_by_user', says='numbers have gaps')
def up_to_the_largest(users, share, gen):
    n = int(users.max()) + 1
    return torch.isin(users, torch.randperm(n, generator=gen)[:round(share*n)])

@mutant('split_by_user', says='global generator has moved')
def forgets_gen(users, share, gen):
    there = users.unique()
    return torch.isin(users, there[torch.randperm(len(there))[:round(share*len(there))]])

@mutant('split_by_user', says='a share of 0.2 is 6')
def one_too_many(users, share, gen): return _chosen(users, round(share*len(users.unique())) + 2, gen)

@mutant('split_by_user', says='a bool tensor')
def positions(users, share, gen): return _chosen(users, round(share*len(users.unique())), gen).nonzero()[:, 0]

@mutant('split_by_user', says='choose the same users')
def reseeds(users, share, gen): return _chosen(users, round(share*len(users.unique())), gen.manual_seed(0))


def _parts(name): return name.split('/')

@mutant('stays_inside', says='begins in the folder and climbs out later')
def only_the_start(name, folder): return not name.startswith(('..', '/')) and _parts(name)[0] == folder

@mutant('stays_inside', says='compare whole parts')
def by_letters(name, folder): return name.startswith(folder) and '..' not in _parts(name)

@mutant('stays_inside', says='inside a file name do no harm')
def any_two_dots(name, folder): return '..' not in name and _parts(name)[0] == folder and '\\' not in name and ':' not in name

@mutant('stays_inside', says='seems to end inside')
def normalised(name, folder): return os.path.normpath(name).split('/')[0] == folder

@mutant('stays_inside', says='backslash')
def unix_only(name, folder): return _parts(name)[0] == folder and '..' not in _parts(name)

@mutant('stays_inside', says='names a drive')
def forgets_drives(name, folder): return _parts(name)[0] == folder and '..' not in _parts(name) and '\\' not in name

@mutant('stays_inside', says='beside the folder')
def only_dots(name, folder): return '..' not in _parts(name) and not name.startswith('/')

@mutant('stays_inside', says='begins with a slash')
def strips_the_slash(name, folder): return folder in _parts(name) and '..' not in _parts(name) or name.startswith('/')

@mutant('stays_inside', says='not at its beginning|not always called pets')
def anywhere(name, folder): return folder in _parts(name) and '..' not in _parts(name) and not name.startswith('/') and '\\' not in name and ':' not in name

@mutant('stays_inside', says='not always called pets')
def always_pets(name, folder): return _parts(name)[0] == 'pets' and '..' not in _parts(name) and '\\' not in name and ':' not in name
