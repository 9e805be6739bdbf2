"Plausible wrong answers to the exercises of the chapter on data, each with the words its message must hold"
import csv
import io
import os

import torch

from . import mutant


def _name(f): return f.rsplit('_', 1)[0]


def _rows(planted): return list(csv.DictReader(io.StringIO(planted)))


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


def _table(lines, first=5, dtype=torch.float32):
    return torch.tensor([[int(v or 0) if v.isdigit() or not v else 0 for v in line.split('|')[first:]]
                         for line in lines], dtype=dtype)

def _ordered(lines): return sorted(lines, key=lambda line: int(line.split('|')[0]))


@mutant('genre_table', says='4 rows for 3 films')
def spare_row(lines): return torch.cat([torch.zeros(1, len(lines[0].split('|')) - 5), _table(_ordered(lines))])

@mutant('genre_table', says='6 columns for 5 genres')
def one_column_more(lines): return _table(_ordered(lines), 4)

@mutant('genre_table', says='4 columns for 5 genres')
def one_column_less(lines): return _table(_ordered(lines), 6)

@mutant('genre_table', says='row for each film')
def transposed(lines): return _table(_ordered(lines)).T


@mutant('genre_table', says='float32 is asked for')
def whole_numbers(lines): return _table(_ordered(lines), dtype=torch.int64)


def _standard(x): return (x - x.mean((1, 2, 3), keepdim=True))/x.std((1, 2, 3), keepdim=True, correction=0)

def _pairs(x, limit, reduce=torch.mean):
    return [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))
            if reduce((x[i] - x[j]).square()).sqrt() < limit]


@mutant('near_twins', says='own twin')
def with_itself(images, limit): return [(i, i) for i in range(len(images))] + _pairs(_standard(images), limit)

@mutant('near_twins', says='each pair twice')
def both_ways(images, limit): return [p for i, j in _pairs(_standard(images), limit) for p in ((i, j), (j, i))]


@mutant('near_twins', says='changes its input in place')
def in_place(images, limit):
    images -= images.mean((1, 2, 3), keepdim=True)
    images /= images.std((1, 2, 3), keepdim=True, correction=0)
    return _pairs(images, limit)


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


@mutant('stays_inside', says='climbs out later')
def only_the_start(name, folder): return not name.startswith(('..', '/')) and _parts(name)[0] == folder

@mutant('stays_inside', says='compare whole parts')
def by_letters(name, folder): return name.startswith(folder) and '..' not in _parts(name)

@mutant('stays_inside', says='inside a file name do no harm')
def any_two_dots(name, folder):
    return '..' not in name and _parts(name)[0] == folder and '\\' not in name and ':' not in name

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
def anywhere(name, folder):
    plain = '..' not in _parts(name) and not name.startswith('/') and '\\' not in name and ':' not in name
    return folder in _parts(name) and plain
