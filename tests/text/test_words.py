"Words, their numbers, and streams of them, beside fastai's"
import random

import pytest
import torch

from course_lib.text import SPECIAL_WORDS, LMStream, Numericalizer, WordTokenizer

TEXT = ("I can't say it isn't GOOD, John's film!!!! It cost 1,000.50 $ :-)<br /><br />See &quot;Jaws&quot; again.",
        ['xxbos', 'xxmaj', 'i', 'ca', "n't", 'say', 'it', 'is', "n't", 'xxup', 'good', ',', 'xxmaj', 'john', "'s", 'film',
         'xxrep', '4', '!', 'xxmaj', 'it', 'cost', '1,000.50', '$', ':', '-', ')', '\n\n', 'xxmaj', 'see', '"', 'xxmaj',
         'jaws', '"', 'again', '.'])


def test_a_text_is_parted_into_words_with_marks():
    text, words = TEXT
    assert WordTokenizer()(text) == words
    plain = [w for w in words if w not in SPECIAL_WORDS and w != '4']
    assert [w for w in WordTokenizer(marks=False)(text) if w != '!'] == [w for w in plain if w != '!']
    assert WordTokenizer(lower=False, marks=False)('A GOOD cat') == ['A', 'GOOD', 'cat']
    assert WordTokenizer()('naïve Ünder_score 東京 don’t iPod') == ['xxbos', 'naïve', 'xxmaj', 'ünder', '_', 'score', '東京',
                                                              'do', 'n’t', 'ipod']
    assert WordTokenizer()('') == ['xxbos'] and WordTokenizer(marks=False)('   \n\n x') == ['\n\n', 'x']
    with pytest.raises(TypeError, match='got bytes'): WordTokenizer()(b'a')


def test_the_frequent_words_get_numbers_as_in_fastai():
    core = pytest.importorskip('fastai.text.data')
    from collections import Counter
    draw = random.Random(0)
    documents = [draw.choices([f'w{i}' for i in range(60)], [1/(i + 1) for i in range(60)], k=50) for _ in range(8)]
    for min_count, max_size in ((3, 60_000), (1, 20), (5, 10)):
        theirs = core.make_vocab(Counter(w for words in documents for w in words), min_freq=min_count,
                                 max_vocab=max_size, special_toks=list(SPECIAL_WORDS))
        ours = Numericalizer(documents, min_count, max_size)
        assert ours.vocab == [w for w in theirs if w != 'xxfake']
        index = {word: i for i, word in enumerate(ours.vocab)}
        assert ours(documents[0]).tolist() == [index.get(word, 0) for word in documents[0]]
        assert ours(documents[0]).dtype == torch.int64 and len(ours) == len(ours.vocab)


def test_known_words_come_back_and_others_are_unknown():
    ours = Numericalizer([['b', 'a', 'xxbos', 'a'], ['b', 'c']], min_count=2)
    assert ours.vocab == [*SPECIAL_WORDS, 'b', 'a']
    ids = ours(['a', 'c', 'xxbos', 'b', 'never met'])
    assert ids.tolist() == [7, 0, 2, 6, 0] and ours.decode(ids) == ['a', 'xxunk', 'xxbos', 'b', 'xxunk']
    assert ours([]).tolist() == [] and ours([]).dtype == torch.int64 and ours.decode([]) == []
    assert ours.vocab[1] == 'xxpad'
    for wrong in (-1, 8):
        with pytest.raises(ValueError, match=f'from 0 to 7, the words known, got {wrong}'): ours.decode([1, wrong])
    with pytest.raises(TypeError, match='part it with WordTokenizer'): ours('a text')
    with pytest.raises(TypeError, match='part it with WordTokenizer'): Numericalizer(['a text'])
    for empty in ([], [[], []]):
        with pytest.raises(ValueError, match='got none'): Numericalizer(empty)
    for sizes in (dict(min_count=0), dict(max_size=6)):
        with pytest.raises(ValueError, match=f'{next(iter(sizes))} must be at least'): Numericalizer([['a']], **sizes)


@pytest.mark.parametrize('lengths, rows, columns', [((5, 1, 8), 2, 4), ((30, 0, 41, 2), 3, 7), ((64,), 4, 5), ((65,), 4, 4),
                                                    ((3, 3, 3), 8, 72), ((200, 100), 1, 9), ((12, 13), 5, 5)])
def test_batches_are_those_of_fastai(lengths, rows, columns):
    data = pytest.importorskip('fastai.text.data')
    line = torch.randint(1000, (sum(lengths),))
    documents = list(line.split(list(lengths)))
    theirs = list(data.LMDataLoader(documents, bs=rows, seq_len=columns))
    ours = list(LMStream(documents, rows, columns))
    assert len(theirs) == len(ours) == len(LMStream(documents, rows, columns))
    for (x, y), (their_x, their_y) in zip(ours, theirs):
        assert x.tolist() == their_x.tolist() and y.tolist() == their_y.tolist()


def test_shuffled_batches_are_those_of_fastai_for_the_same_order():
    data = pytest.importorskip('fastai.text.data')
    documents = list(torch.arange(100).split([20, 5, 30, 45]))
    loader = data.LMDataLoader(documents, bs=3, seq_len=8, shuffle=True)
    theirs = list(loader)
    ours = LMStream([documents[i] for i in loader.items.idxs], 3, 8)
    for (x, y), (their_x, their_y) in zip(ours, theirs, strict=True):
        assert x.tolist() == their_x.tolist() and y.tolist() == their_y.tolist()


def test_each_row_goes_on_where_it_stopped_and_every_token_is_read_once():
    stream = LMStream(list(torch.arange(101).split(10)), 4, 7)
    x, y = (torch.cat(side, 1) for side in zip(*stream))
    assert torch.equal(x.flatten(), torch.arange(100)) and torch.equal(y, x + 1)


def test_shuffling_moves_whole_texts_and_follows_its_generator():
    documents = list(torch.arange(61).split(10))
    def lines(seed, passes=3):
        stream = LMStream(documents, 1, 100, shuffle=True, generator=torch.Generator().manual_seed(seed))
        return [next(iter(stream))[0][0].tolist() for _ in range(passes)]
    assert lines(0) == lines(0) != lines(1) and lines(0)[0] != lines(0)[1]
    for line in lines(0):
        for document in documents[:-1]:
            start = line.index(document[0])
            assert line[start:start + 10] == document.tolist()[:len(line) - start]


def test_a_stream_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match='at least 4 tokens for 3 rows and a target, got 3'):
        LMStream([torch.arange(3)], 3)
    with pytest.raises(ValueError, match='got 0'): LMStream([], 1)
    for sizes in (dict(batch_size=0), dict(seq_len=0)):
        with pytest.raises(ValueError, match=next(iter(sizes))): LMStream([torch.arange(9)], **sizes)
    for wrong, kind in ((torch.rand(3), 'float32'), (torch.zeros(2, 2).long(), r'\[2, 2\]'), ([1, 2], 'list')):
        with pytest.raises(TypeError, match=fr'documents\[1\] .* got .*{kind}'): LMStream([torch.arange(9), wrong], 1)
