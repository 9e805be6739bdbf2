"`out_of_fold`: no model judges a text that it was trained on, every text is judged once, in its own place."
import numpy as np
import pytest

from course_lib.text import out_of_fold

TEXTS = [f"text {i}" for i in range(11)]


class Remembers:
    "Says how many texts it saw, and whether it saw this one"
    def fit(self, texts, labels):
        self.seen = dict(zip(texts, labels.tolist()))
        return self

    def predict_proba(self, texts):
        return np.array([[t in self.seen, len(self.seen), int(t.split()[1])] for t in texts], dtype=float)


@pytest.mark.parametrize("n_folds", [2, 3, 11])
def test_no_text_is_judged_by_a_model_that_saw_it(n_folds):
    seen, sizes, own = out_of_fold(Remembers, TEXTS, [0]*11, n_folds).T
    assert not seen.any() and own.tolist() == list(range(11))
    assert set(sizes) <= {11 - 11//n_folds, 11 - -(-11//n_folds)}


def test_labels_stay_with_their_texts():
    class Checks(Remembers):
        def fit(self, texts, labels):
            assert [int(t.split()[1]) for t in texts] == labels.tolist()
            return super().fit(texts, labels)
    out_of_fold(Checks, TEXTS, np.arange(11), 3)


def test_the_split_is_of_the_seed():
    class First(Remembers):
        def predict_proba(self, texts): return np.full((len(texts), 2), sum(int(t.split()[1]) for t in texts))
    one, again, other = (out_of_fold(First, TEXTS, [0]*11, 3, seed) for seed in (0, 0, 1))
    assert (one == again).all() and (one != other).any()


@pytest.mark.parametrize("n_folds", [1, 12])
def test_numbers_of_folds_that_cannot_be_are_refused(n_folds):
    with pytest.raises(ValueError, match=f"n_folds must be from 2 to the 11 texts, got {n_folds}"):
        out_of_fold(Remembers, TEXTS, [0]*11, n_folds)


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"one entry for each of 11 texts, got \(10,\)"):
        out_of_fold(Remembers, TEXTS, [0]*10)
