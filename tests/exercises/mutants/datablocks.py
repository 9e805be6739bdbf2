"Plausible wrong answers to the exercises of the chapter on data blocks, each with the words its message must hold"
import re
from pathlib import Path

import torch
import torch.nn.functional as F

from . import mutant

# the kind of animal from the first letter

@mutant('cat_or_dog', says='you swap the two words')
def swapped(file): return 'dog' if Path(file).name[0].isupper() else 'cat'

@mutant('cat_or_dog', says='folders have capitals here')
def first_letter_of_the_path(file): return 'cat' if str(file)[0].isupper() else 'dog'

@mutant('cat_or_dog', says='it alone counts')
def all_letters(file): return 'cat' if Path(file).name.split('_')[0].isupper() else 'dog'

@mutant('cat_or_dog', says='further on does not make a cat')
def any_capital(file): return 'cat' if re.search('[A-Z]', Path(file).name) else 'dog'

@mutant('cat_or_dog', says='other words of the breed')
def title_case(file): return 'cat' if all(w[0].isupper() for w in Path(file).stem.split('_')[:-1]) else 'dog'

@mutant('cat_or_dog', says='yours is a bool')
def a_truth_value(file): return Path(file).name[0].isupper()

@mutant('cat_or_dog', says='only the file.s name counts')
def folder_name(file): return 'cat' if (Path(file).parent.name or Path(file).name)[0].isupper() else 'dog'


# labels by regular expression


@mutant('breed_label', says='there is no dot in it')
def bare_dot(file):
    m = re.search(r'^(.+)_\d+.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mutant('breed_label', says='not told where the end is')
def no_end(file):
    m = re.match(r'(.+)_\d+\.jpg', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)

@mutant('breed_label', says='it raises AttributeError')
def no_check(file): return re.search(r'^(.+)_\d+\.jpg$', Path(file).name).group(1)

@mutant('breed_label', says='should raise a ValueError, because')
def no_pattern(file): return Path(file).stem.rsplit('_', 1)[0]

@mutant('breed_label', says='should name what is wrong')
def error_without_the_file(file):
    m = re.search(r'^(.+)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError('no label')
    return m.group(1)

@mutant('breed_label', says='an empty label is none')
def empty_breed(file):
    m = re.search(r'^(.*)_\d+\.jpg$', Path(file).name)
    if not m: raise ValueError(f'no label in {file}')
    return m.group(1)


# a split by folder

def _folders(files, of, train='train', valid='valid'):
    return [i for i, f in enumerate(files) if of(f) == train], [i for i, f in enumerate(files) if of(f) == valid]

@mutant('folder_split', says='lists are swapped')
def sides_swapped(files): return _folders(files, lambda f: f.parts[-3])[::-1]

@mutant('folder_split', says='it is one further up')
def by_parent(files): return _folders(files, lambda f: f.parent.name)

@mutant('folder_split', says='places in the list')
def files_themselves(files): return tuple([files[i] for i in side] for side in _folders(files, lambda f: f.parts[-3]))

@mutant('folder_split', says='you train on it')
def the_rest_is_training(files):
    valid = _folders(files, lambda f: f.parts[-3])[1]
    return [i for i in range(len(files)) if i not in valid], valid

@mutant('folder_split', says='you validate on it')
def the_rest_is_validation(files):
    train = _folders(files, lambda f: f.parts[-3])[0]
    return train, [i for i in range(len(files)) if i not in train]

@mutant('folder_split', says='further up has one of the names')
def anywhere_in_the_path(files):
    return _folders(files, lambda f: next((p for p in f.parts if p in ('train', 'valid')), ''))

@mutant('folder_split', says='invalid_names')
def part_of_the_text(files):
    return _folders(files, lambda f: 'valid' if 'valid' in '/'.join(f.parts[-3:]) else 'train'
                    if 'train' in f.parts[-3] else '')

@mutant('folder_split', says='how many there are on each side')
def as_if_sorted(files):
    n, m = map(len, _folders(files, lambda f: f.parts[-3]))
    return list(range(n)), list(range(n, n + m))


# normalising


@mutant('normalise_batch', says='along the width')
def along_the_width(x, mean, std): return (x/255 - mean)/std

@mutant('normalise_batch', says='along the height')
def along_the_height(x, mean, std):
    return (x/255 - mean[:, None])/std[:, None] if x.shape[2] == len(mean) else (x/255 - mean.view(-1, 1,
        1))/std.view(-1, 1, 1)


@mutant('normalise_batch', says='in place')
def mean_scaled_in_place(x, mean, std): return (x - mean.mul_(255).view(-1, 1, 1))/std.mul_(255).view(-1, 1, 1)


@mutant('normalise_batch', says='should be float32, yours is float64')
def in_double(x, mean, std): return (x.double()/255 - mean.view(-1, 1, 1))/std.view(-1, 1, 1)


# a split by group

def _drawn(names, n, seed):
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    return {names[i] for i in order[:n]}

def _two(groups, chosen):
    return [i for i, g in enumerate(groups) if g not in chosen], [i for i, g in enumerate(groups) if g in chosen]

@mutant('group_split', says='draw groups, not pictures')
def pictures_drawn(groups, valid_pct, seed):
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    n = round(valid_pct*len(groups))
    return order[n:], order[:n]

@mutant('group_split', says='different seeds give you the same')
def always_the_first(groups, valid_pct, seed):
    names = sorted(set(groups))
    return _two(groups, set(names[:min(max(round(valid_pct*len(names)), 1), len(names) - 1)]))

@mutant('group_split', says='the random numbers that all others use')
def global_seed(groups, valid_pct, seed):
    names = sorted(set(groups))
    torch.manual_seed(seed)
    order = torch.randperm(len(names)).tolist()
    return _two(groups, {names[i] for i in order[:min(max(round(valid_pct*len(names)), 1), len(names) - 1)]})

@mutant('group_split', says='validation side is empty')
def may_be_empty(groups, valid_pct, seed):
    names = sorted(set(groups))
    return _two(groups, _drawn(names, round(valid_pct*len(names)), seed))

@mutant('group_split', says='training side is empty')
def may_take_all(groups, valid_pct, seed):
    names = sorted(set(groups))
    return _two(groups, _drawn(names, max(round(valid_pct*len(names)), 1), seed))

@mutant('group_split', says='are cut off to')
def cut_off(groups, valid_pct, seed):
    names = sorted(set(groups))
    return _two(groups, _drawn(names, min(max(int(valid_pct*len(names)), 1), len(names) - 1), seed))

@mutant('group_split', says='are the sides swapped')
def swapped_groups(groups, valid_pct, seed):
    names = sorted(set(groups))
    return _two(groups, _drawn(names, min(max(round(valid_pct*len(names)), 1), len(names) - 1), seed))[::-1]

@mutant('group_split', says='count groups, not pictures')
def share_of_pictures(groups, valid_pct, seed):
    names, chosen = sorted(set(groups)), set()
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    for i in order:
        chosen.add(names[i])
        if sum(g in chosen for g in groups) > (valid_pct + 0.15)*len(groups): break
    return _two(groups, chosen)

@mutant('group_split', says='yours holds a str')
def names_of_groups(groups, valid_pct, seed):
    names = sorted(set(groups))
    chosen = _drawn(names, min(max(round(valid_pct*len(names)), 1), len(names) - 1), seed)
    return [n for n in names if n not in chosen], sorted(chosen)


# a picture in 64 bits


@mutant('average_hash', says='equal is not brighter')
def or_equal(grey): return grey.view(8, grey.shape[0]//8, 8, grey.shape[1]//8).mean((1, 3)) >= grey.mean()


@mutant('average_hash', says='16 × 40 pixels should be')
def squares_only(grey): return F.avg_pool2d(grey[None], grey.shape[0]//8)[0] > grey.mean()


@mutant('average_hash', says='True or False; yours holds float32')
def numbers_for_bits(grey):
    return (F.avg_pool2d(grey[None], (grey.shape[0]//8, grey.shape[1]//8))[0] > grey.mean()).float()


# the most suspicious pictures


@mutant('suspicious', says='the losses themselves')
def the_losses(logits, targets, k): return F.cross_entropy(logits, targets, reduction='none').topk(k).values


@mutant('suspicious', says='only the first')
def all_of_them(logits, targets, k): return F.cross_entropy(logits, targets, reduction='none').argsort(descending=True)


# judged by a stranger

def _parts(n, parts, seed): return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tensor_split(parts)

def _judged(x, y, fit, cuts, train=None, reduction='none'):
    losses = torch.zeros(len(x))
    for part in cuts:
        seen = torch.ones(len(x), dtype=torch.bool)
        seen[part] = False
        model = fit(x[seen], y[seen])
        with torch.no_grad(): losses[part] = F.cross_entropy(model(x[part]), y[part], reduction=reduction)
    return losses

@mutant('stranger_losses', says='that it was trained on')
def trained_on_all(x, y, fit, parts, seed):
    losses = torch.zeros(len(x))
    for part in _parts(len(x), parts, seed):
        model = fit(x, y)
        with torch.no_grad(): losses[part] = F.cross_entropy(model(x[part]), y[part], reduction='none')
    return losses

@mutant('stranger_losses', says='not the other way round')
def trained_on_the_part(x, y, fit, parts, seed):
    losses = torch.zeros(len(x))
    for part in _parts(len(x), parts, seed):
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[part] = False
        model = fit(x[part], y[part])
        with torch.no_grad(): losses[rest] = F.cross_entropy(model(x[rest]), y[rest], reduction='none')
    return losses

@mutant('stranger_losses', says='seeds give you the same parts')
def not_shuffled(x, y, fit, parts, seed): return _judged(x, y, fit, torch.arange(len(x)).tensor_split(parts))

@mutant('stranger_losses', says='two different sets of parts')
def seed_ignored(x, y, fit, parts, seed): return _judged(x, y, fit, torch.randperm(len(x)).tensor_split(parts))


@mutant('stranger_losses', says='they may differ by one at most')
def uneven_parts(x, y, fit, parts, seed):
    return _judged(x, y, fit, torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).chunk(parts))

@mutant('stranger_losses', says='are judged by no model')
def last_ones_forgotten(x, y, fit, parts, seed):
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return _judged(x, y, fit, order[:len(x)//parts*parts].view(parts, -1))

@mutant('stranger_losses', says='hang on the gradients')
def with_gradients(x, y, fit, parts, seed):
    losses = torch.zeros(len(x))
    for part in _parts(len(x), parts, seed):
        seen = torch.ones(len(x), dtype=torch.bool)
        seen[part] = False
        losses[part] = F.cross_entropy(fit(x[seen], y[seen])(x[part]), y[part], reduction='none')
    return losses

@mutant('stranger_losses', says='that it was trained on')
def one_model(x, y, fit, parts, seed):
    cut = _parts(len(x), parts, seed)
    model = fit(x[torch.cat(cut[1:])], y[torch.cat(cut[1:])])
    with torch.no_grad(): return F.cross_entropy(model(x), y, reduction='none')


@mutant('group_split', says='next run of Python')
def from_a_set(groups, valid_pct, seed):
    ids = list(set(groups))
    k = min(max(round(valid_pct*len(ids)), 1), len(ids) - 1)
    drawn = {ids[i] for i in torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))[:k].tolist()}
    return [i for i, g in enumerate(groups) if g not in drawn], [i for i, g in enumerate(groups) if g in drawn]


@mutant('folder_split', says='from the end of the path')
def counted_from_the_left(files):
    return tuple([i for i, f in enumerate(files) if f.parts[1] == side] for side in ('train', 'valid'))
