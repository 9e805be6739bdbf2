"The tokenizer against Hugging Face's and OpenAI's, and against the slowest formula"
import json
import random
import sys
import unicodedata
from collections import Counter

import pytest

from course_lib.text import BPETokenizer, split_words

PROSE = ["It isn't easy, isn't it? They'll say so: 3½ kg, 1,000.50 $ and 东京2024!!", "  naïve café\n\n\tÜber_all — «ça»  ",
         "the cat sat on the mat and the other cat sat there, and the hat sat on that cat", "Привет, мир! ٣٤٥ १२३ ⅷ ²x",
         "def f(x):\n    return x**2  # f\n", "👩‍🔬 🇩🇪 éé e\u0301\x1c\x1d \u00a0\u2003x\u200b", "AAAA aaa aa a aaaaaaaaaa"]


def drawn(seed, n=40):
    "Texts with letters, digits, blanks and signs of many scripts; none that this Python's tables do not know"
    draw = random.Random(seed)
    some = [chr(c) for c in (*range(128), *draw.choices(range(0x110000), k=3000))
            if unicodedata.category(chr(c)) not in ('Cn', 'Cs', 'Co')]
    some += list(' \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u202f\u3000\u200b\ufeff_') + ["'s", "'LL", "'ve", "'"]
    return [''.join(draw.choices(some, k=draw.randrange(60))) for _ in range(n)]


def slowest(texts, n_merges):
    "Byte pair encoding by its definition: count all pairs of all words again after each merge"
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = printed + [b for b in range(256) if b not in printed]
    words = Counter(tuple(order.index(b) for b in word.encode()) for text in texts for word in split_words(text))
    tokens, merges = [bytes([b]) for b in order], []
    for _ in range(n_merges):
        counts = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]): counts[pair] += times
        if not counts: break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append((tokens[best[0]], tokens[best[1]]))
        tokens.append(tokens[best[0]] + tokens[best[1]])
        after = Counter()
        for word, times in words.items():
            out, i = [], 0
            while i < len(word):
                joined = word[i:i + 2] == best
                out.append(len(tokens) - 1 if joined else word[i])
                i += 1 + joined
            after[tuple(out)] += times
        words = after
    return merges


def one_by_one(tokenizer, word):
    "A word in tokens by the definition: the earliest merge, its leftmost place, one at a time"
    rank = {pair: i for i, pair in enumerate(tokenizer.merges)}
    parts = [bytes([b]) for b in word.encode('utf-8', 'surrogatepass')]
    while True:
        found = [(rank[pair], i) for i, pair in enumerate(zip(parts, parts[1:])) if pair in rank]
        if not found: return parts
        i = min(found)[1]
        parts[i:i + 2] = [parts[i] + parts[i + 1]]


@pytest.mark.parametrize('seed', range(4))
def test_merges_and_ids_are_those_of_the_definition(seed):
    draw = random.Random(seed)
    letters = ('ab', 'aaab', 'abcé ', 'xyz東京')[seed]
    texts = PROSE[seed:seed + 3] + [' '.join(''.join(draw.choices(letters, k=draw.randint(1, 15))) for _ in range(40))]
    tokenizer = BPETokenizer.train(texts, 256 + 90)
    assert tokenizer.merges == slowest(texts, 90)
    for word in {word for text in (*texts, *PROSE) for word in split_words(text)}:
        got = [tokenizer.decode_bytes([i]) for i in tokenizer.encode(word)]
        assert got == one_by_one(tokenizer, word), word


def test_words_are_those_of_gpt2_for_every_kind_of_character():
    regex = pytest.importorskip('regex')
    theirs = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+").findall
    for text in [*PROSE, *drawn(0, 400)]: assert split_words(text) == theirs(text), text
    # each character that this Python knows, alone and between a letter, a digit and a sign
    known = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) != 'Cn' and not 0xe000 <= c < 0xf900]
    for c in random.Random(0).sample(known, 4000) + [chr(c) for c in range(0x3000)]:
        if unicodedata.category(c) == 'Cn': continue
        text = f'a{c}1{c}-{c} {c}{c}x'
        assert split_words(text) == theirs(text), hex(ord(c))


@pytest.mark.parametrize('seed', range(3))
def test_merges_and_ids_are_those_of_hugging_face(seed):
    tokenizers = pytest.importorskip('tokenizers')
    texts = PROSE + drawn(seed)
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, show_progress=False, special_tokens=['<|end|>']))
    ours = BPETokenizer.train(texts, 700, ['<|end|>'])
    model = json.loads(theirs.to_str())['model']
    # theirs spells a byte as a printable character; the alphabet in order of code points is the order of our bytes
    byte = {c: ours.decode_bytes([i]) for i, c in enumerate(sorted(alphabet))}
    spelled = [tuple(b''.join(byte[c] for c in side) for side in pair) for pair in model['merges']]
    assert ours.merges == spelled and len(ours.merges) == 700 - 257
    for text in [*texts, *drawn(seed + 10)]:  # theirs has the special token first
        assert [i - 1 for i in theirs.encode(text).ids] == ours.encode(text), text
    assert theirs.encode('a<|end|> b').ids == [ours.encode('a')[0] + 1, 0, *(i + 1 for i in ours.encode(' b'))]


def test_ids_are_those_of_tiktoken():
    tiktoken = pytest.importorskip('tiktoken')
    ours = BPETokenizer.train(PROSE + drawn(5), 600, ['<|end|>', '<|end|>!'])
    theirs = tiktoken.Encoding(
        'ours', pat_str=r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        mergeable_ranks={ours.decode_bytes([i]): i for i in range(598)}, special_tokens=dict(ours.special_tokens))
    for text in [*PROSE, *drawn(6, 200), 'ab'*300, 'a'*1000, '']:
        assert ours.encode(text, specials=False) == theirs.encode_ordinary(text), text
    text = 'one<|end|>two'
    assert ours.encode(text) == theirs.encode(text, allowed_special='all')
    assert ours.encode(text, specials=False) == theirs.encode_ordinary(text)
    assert ours.encode('<|end|>!') == [ours.special_id('<|end|>!')]  # the longer one


def test_ten_thousand_texts_come_back():
    tokenizer = BPETokenizer.train(PROSE, 500, ['<|end|>', '\ud800'])
    draw = random.Random(0)
    ranges = (128, 0x250, 0x3000, 0xffff, sys.maxunicode + 1)
    for _ in range(10_000):
        text = ''.join(chr(draw.choice((draw.randrange(draw.choice(ranges)), draw.randrange(0xd800, 0xe000))))
                       for _ in range(draw.randrange(12)))
        if draw.random() < 0.2: text = text[:3] + '<|end|>' + text[3:]
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.decode(tokenizer.encode(text, specials=False)) == text
    assert tokenizer.encode('') == [] and tokenizer.decode([]) == ''


def test_a_special_token_is_one_number_and_can_be_spelled_out():
    tokenizer = BPETokenizer.train(PROSE, 300, ['<|end|>', '<|start|>'])
    assert len(tokenizer) == 300 and tokenizer.special_tokens == {'<|end|>': 298, '<|start|>': 299}
    assert tokenizer.encode('<|start|>a<|end|><|end|>') == [299, *tokenizer.encode('a'), 298, 298]
    spelled = tokenizer.encode('<|end|>', specials=False)
    assert len(spelled) > 1 and max(spelled) < 298 and tokenizer.decode(spelled) == '<|end|>'
    with pytest.raises(ValueError, match="no special token '<|END|>'".replace('|', r'\|')): tokenizer.special_id('<|END|>')


def test_a_file_holds_the_whole_tokenizer_and_nothing_that_runs(tmp_path):
    tokenizer = BPETokenizer.train(PROSE, 400, ['<|end|>'])
    tokenizer.save(tmp_path/'a.json')
    again = BPETokenizer.load(tmp_path/'a.json')
    assert again.merges == tokenizer.merges and again.special_tokens == tokenizer.special_tokens
    assert [again.encode(t) for t in PROSE] == [tokenizer.encode(t) for t in PROSE]
    facts = json.loads((tmp_path/'a.json').read_text(encoding='utf-8'))
    for change, said in [({'version': 2}, 'version 2'), ({'format': 'other'}, 'format'), ({'merges': [[0, 400]]}, 'damaged'),
                         ({'merges': [[0, -1]]}, 'damaged'), ({'merges': [[1, 2], [1, 2]]}, 'second time'),
                         ({'merges': [[True, 2]]}, 'damaged'), ({'special_tokens': ['']}, 'damaged')]:
        (tmp_path/'b.json').write_text(json.dumps(facts | change), encoding='utf-8')
        with pytest.raises(ValueError, match=said): BPETokenizer.load(tmp_path/'b.json')
    for name, content in (('c.json', b'\x80\x04K\x01.'), ('d.json', b'[1]'), ('e.json', b'{"format": "course_lib.te')):
        (tmp_path/name).write_bytes(content)  # the first is a pickle
        with pytest.raises(ValueError, match=name): BPETokenizer.load(tmp_path/name)
    del facts['merges']
    (tmp_path/'b.json').write_text(json.dumps(facts), encoding='utf-8')
    with pytest.raises(ValueError, match='merges'): BPETokenizer.load(tmp_path/'b.json')


def test_half_a_character_is_shown_as_such():
    tokenizer = BPETokenizer([])
    ids = tokenizer.encode('é')
    assert len(ids) == 2 and tokenizer.decode(ids[:1]) == '\ufffd' and tokenizer.decode_bytes(ids[:1]) == b'\xc3'
    with pytest.raises(ValueError, match='from 0 to 255, got -1'): tokenizer.decode([-1])
    with pytest.raises(ValueError, match='got 256'): tokenizer.decode([256])


def test_a_small_corpus_runs_out_of_pairs_and_a_long_word_does_not_take_long():
    tokenizer = BPETokenizer.train(['ab ab'], 1000)
    assert tokenizer.merges == [(b'a', b'b'), (b' ', b'ab')] and len(tokenizer) == 258
    tokenizer = BPETokenizer.train(PROSE, 600)
    word = ''.join(random.Random(0).choices('catshemo', k=60_000))
    assert tokenizer.decode(tokenizer.encode(word)) == word
    assert tokenizer.encode('x'*1000) == tokenizer.encode('x'*1000)


def test_words_that_are_remembered_are_forgotten_in_time():
    tokenizer = BPETokenizer.train(PROSE, 400)
    want = [tokenizer.encode(text) for text in PROSE]
    small = BPETokenizer(tokenizer.merges)
    small._known.most = 3
    assert [small.encode(text) for text in PROSE] == want and 0 < len(small._known) <= 3


@pytest.mark.parametrize('size, special, said', [(255, (), 'from 256'), (256, ('a',), 'from 257'), (2**21, (), 'got 2097152')])
def test_a_size_that_cannot_be_is_refused(size, special, said):
    with pytest.raises(ValueError, match=said): BPETokenizer.train(PROSE, size, special)


def test_what_is_no_corpus_is_refused():
    for empty in ([], ['', '']):
        with pytest.raises(ValueError, match='some text'): BPETokenizer.train(empty, 300)
    with pytest.raises(TypeError, match='put it in a list'): BPETokenizer.train('one text', 300)
    with pytest.raises(TypeError, match=r'texts\[1\] must be a str, got bytes'): BPETokenizer.train(['a', b'b'], 300)
    with pytest.raises(TypeError, match='use a list'): BPETokenizer.train(['a'], 300, '<|end|>')
    with pytest.raises(ValueError, match='differ'): BPETokenizer.train(['a'], 300, ['x', 'x'])
    with pytest.raises(TypeError, match='got NoneType'): BPETokenizer([]).encode(None)


def test_numbers_may_come_as_arrays_tensors_or_one_by_one_and_nothing_else():
    import numpy as np
    import torch
    tokenizer = BPETokenizer.train(PROSE, 300)
    ids = tokenizer.encode(PROSE[2])
    for same in (np.array(ids), torch.tensor(ids), tuple(ids), iter(ids)): assert tokenizer.decode(same) == PROSE[2]
    for bad, said in ((torch.tensor([ids]), r'Tensor \[1, \d+\]'), (np.array(3), r'ndarray \[\]'), (3, 'int'), (None, 'NoneType')):
        with pytest.raises(TypeError, match=f'ids must be whole numbers, one after the other, got {said}'): tokenizer.decode(bad)
    for bad in ('text', [None], [0.5]):
        with pytest.raises(ValueError, match='ids must be whole numbers from 0 to 299, got'): tokenizer.decode(bad)
    with pytest.raises(TypeError, match='text must be a str, got bytes'): tokenizer.encode(b'a')
    with pytest.raises(TypeError, match='text must be a str, got ndarray'): tokenizer.encode(np.array(['a']))
    assert BPETokenizer.train((text for text in PROSE), 300).merges == tokenizer.merges
