"The bag of words beside scikit-learn's naive Bayes and logistic regression"
import numpy as np
import pytest

from course_lib.data import get
from course_lib.text import NBLogistic, bag


def drawn(seed, n=80):
    "Texts of words of which some lean to a class, and their labels"
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = [' '.join(f'w{i}' for i in rng.integers(0, 30, rng.integers(1, 15)) if rng.random() < (0.9 if i % 2 == y else 0.4))
             for y in labels]
    return texts, labels


def test_a_bag_holds_each_word_and_pair_once():
    assert bag('The cat, the CAT') == ['the', 'cat', ',', 'the cat', 'cat ,', ', the']
    assert bag("don't<br />x") == ['do', "n't", 'x', "do n't", "n't x"] and bag('') == []


@pytest.mark.parametrize('smoothing, l2, min_count', [(1., 0.1, 1), (0.3, 3., 2)])
def test_ratios_and_weights_are_those_of_scikit_learn(smoothing, l2, min_count):
    pytest.importorskip('sklearn')
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    texts, labels = drawn(0)
    ours = NBLogistic(smoothing=smoothing, l2=l2, min_count=min_count).fit(texts, labels)
    table = np.array([[f in bag(text) for f in ours.features_] for text in texts], float)
    assert (table.sum(0) >= min_count).all()
    logs = MultinomialNB(alpha=smoothing).fit(table, labels).feature_log_prob_
    np.testing.assert_allclose(ours.ratios_, logs[1] - logs[0], rtol=0, atol=1e-12)
    def scaled(rows):
        rows = rows*ours.ratios_
        return rows/np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    # scikit-learn's C weighs the loss, and its bias goes free, as ours does
    theirs = LogisticRegression(C=1/l2, tol=1e-8, max_iter=10_000).fit(scaled(table), labels)
    np.testing.assert_allclose(ours.weights_, theirs.coef_[0], rtol=0, atol=2e-3)
    others, _ = drawn(1)
    table = np.array([[f in bag(text) for f in ours.features_] for text in others], float)
    np.testing.assert_allclose(ours.predict_proba(others), theirs.predict_proba(scaled(table)), rtol=0, atol=2e-3)


def test_probabilities_and_classes_agree_whatever_the_labels_are_called():
    texts, labels = drawn(2)
    names = np.array(['good', 'bad'])[labels]  # sorted: bad, good
    by_name, by_number = NBLogistic().fit(texts, names), NBLogistic().fit(texts, 1 - labels)
    assert by_name.classes_.tolist() == ['bad', 'good'] and by_number.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(by_name.predict_proba(texts), by_number.predict_proba(texts))
    assert (by_name.predict_proba(texts).sum(1) - 1 < 1e-12).all()
    assert (by_name.predict(texts) == by_name.classes_[by_name.predict_proba(texts).argmax(1)]).all()
    assert NBLogistic().fit(texts, (labels == 1).tolist()).classes_.tolist() == [False, True]


def test_a_text_without_a_known_word_gets_the_bias_and_sure_ones_do_not_overflow():
    model = NBLogistic(l2=1e-6).fit(['good film']*6 + ['bad film']*2, [1]*6 + [0]*2)
    assert model.decision_function(['unheard of', '']).tolist() == [model.bias_]*2
    with np.errstate(all='raise'): probabilities = model.predict_proba(['good', 'bad'])
    assert probabilities[0, 1] > 0.99 and probabilities[1, 0] > 0.99


def test_order_is_seen_in_pairs_alone():
    texts, labels = ['good', 'very good', 'not bad', 'bad', 'very bad', 'not good'], [1, 1, 1, 0, 0, 0]
    assert NBLogistic().fit(texts, labels).predict(texts).tolist() == labels
    alone = NBLogistic(features=lambda text: sorted(set(text.split()))).fit(texts, labels)
    assert alone.predict(texts).tolist() == [1, 1, 0, 0, 0, 1]  # 'not' was met on both sides alike: it says nothing


def test_what_cannot_be_learned_is_refused_and_leaves_the_model_as_it_was():
    texts, labels = drawn(3)
    model = NBLogistic().fit(texts, labels)
    before = model.predict_proba(texts)
    for wrong, said in (((texts, labels[:-1]), 'each of 80 texts'), ((texts, [1]*80), r'two classes, got \[1\]'),
                        ((texts, np.arange(80) % 3), r'two classes, got \[0, 1, 2\]'), (([''], [1]), 'two classes'),
                        ((['', ''], [0, 1]), 'lower min_count')):
        with pytest.raises(ValueError, match=said): model.fit(*wrong)
    for wrong, said in (('one text', 'in a list'), (['a', None], r'texts\[1\] must be a str, got NoneType')):
        with pytest.raises(TypeError, match=said): model.predict_proba(wrong)
    np.testing.assert_array_equal(model.predict_proba(texts), before)
    for name, value in (('min_count', 0), ('smoothing', 0.), ('l2', 0.), ('l2', float('nan'))):
        with pytest.raises(ValueError, match=f'{name} must be (at least|above)'): NBLogistic(**{name: value})
    for ask in ('predict', 'predict_proba', 'decision_function'):
        with pytest.raises(ValueError, match='fit first'): getattr(NBLogistic(), ask)(['a'])


@pytest.mark.real
def test_it_is_hard_to_beat_on_film_reviews():
    folder = get('imdb')
    def part(name):
        files = [sorted((folder/name/side).glob('*.txt')) for side in ('neg', 'pos')]
        return [f.read_text(encoding='utf-8') for side in files for f in side], np.repeat([0, 1], [len(s) for s in files])
    (texts, labels), (others, truth) = part('train'), part('test')
    assert (NBLogistic().fit(texts[::2], labels[::2]).predict(others[::4]) == truth[::4]).mean() > 0.8


def test_texts_may_come_one_by_one_and_bytes_are_refused():
    texts, labels = drawn(4)
    want = NBLogistic().fit(texts, labels).predict_proba(texts)
    by_one = NBLogistic().fit((t for t in texts), labels)
    np.testing.assert_array_equal(by_one.predict_proba(np.array(texts)), want)
    np.testing.assert_array_equal(by_one.predict_proba(t for t in texts), want)
    with pytest.raises(TypeError, match='got one bytes; put it in a list'): by_one.predict(b'text')
    with pytest.raises(TypeError, match=r'texts\[0\] must be a str, got bytes'): by_one.predict([b'text'])
    with pytest.raises(ValueError, match='two classes'): NBLogistic().fit([], [])
