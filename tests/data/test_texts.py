"Texts made by rule: numbers as words, and drawn reviews with their truth"
import csv
import re

import pytest

from course_lib.data import get, info, number_words, reviews_truth


def value(words):
    "The number that words say, by adding up from left to right"
    small = {number_words(n): n for n in (*range(1, 20), *range(20, 100, 10))}
    total = part = 0
    for word in words.split():
        if word == 'thousand': total, part = part*1000, 0
        elif word == 'hundred': part *= 100
        else: part += small[word]
    return total + part


def test_numbers_say_what_they_are():
    assert all(value(number_words(n)) == n for n in (*range(1, 2200), 9_999, 10_000, 123_456, 700_007, 999_999))
    for wrong in (0, -3, 1_000_000):
        with pytest.raises(ValueError, match=f'got {wrong}'): number_words(wrong)


def test_numbers_come_as_fastais_files(clean):
    folder = get('numbers', quiet=True)
    lines = {name: (folder/f'{name}.txt').read_bytes().decode().split('\n') for name in ('train', 'valid')}
    assert [value(line) for line in lines['train'][:-1]] == list(range(1, 8000))
    assert [value(line) for line in lines['valid'][:-1]] == list(range(8001, 10_000))
    assert all(line.endswith(' ') for side in lines.values() for line in side[:-1]) and info('numbers').offline == 'real'


def test_reviews_say_what_their_truth_says(clean):
    folder = get('reviews', quiet=True)
    with open(folder/'texts.csv', encoding='utf-8', newline='') as f: rows = list(csv.DictReader(f))
    truth = reviews_truth(folder)
    assert len(rows) == len(truth) == 3000 and sum(row['is_valid'] == 'True' for row in rows) == 1000
    good = set('superb charming clever moving witty gripping delightful brilliant'.split())
    for row, true in zip(rows, truth):
        judged = re.findall(r'was (not )?(?:very |rather )?(\w+) \.', row['text'])
        judged = [(negated, word) for negated, word in judged if word not in ('made', 'shown', 'shot', 'sold')]
        says = {((word in good) != bool(negated)) != ('the other way round' in row['text']) for negated, word in judged}
        assert len(says) == 1 and (true['label'] == 'positive') in says, row['text']
        assert (true['way'] == 'negated') == any(negated for negated, _ in judged)
        assert (true['way'] == 'far') == row['text'].startswith('take my last words') and len(judged) == 2 - (true['way'] == 'far')
        assert (row['label'] != true['label']) == true['flipped']
    assert 60 < sum(true['flipped'] for true in truth[:2000]) < 140 and not any(true['flipped'] for true in truth[2000:])
    far = [(row, true) for row, true in zip(rows, truth) if true['way'] == 'far']
    for cue in ('the other way round', 'as they stand'):  # neither the cue nor the judging word tells anything alone
        friendly = [true['label'] == 'positive' for row, true in far if cue in row['text']]
        assert abs(sum(friendly)/len(friendly) - 0.5) < 0.1
    with pytest.raises(FileNotFoundError, match='planted truth'): reviews_truth(folder.parent)
