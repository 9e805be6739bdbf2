"""A card says what was measured, and its interval holds the truth as often as it says.

Seen to fail: Wilson's interval without its second term.
"""
import re

import pytest
from scipy.stats import binom, binomtest

from course_lib.deploy import model_card, wilson


@pytest.mark.parametrize("right, n", [(0, 1), (1, 1), (0, 12), (12, 12), (7, 20), (309, 360), (1, 5000)])
def test_wilsons_interval_is_scipys(right, n):
    want = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert wilson(right, n) == pytest.approx((want.low, want.high), abs=1e-5)


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.99])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(truth):
    n = 100
    held = sum(binom.pmf(k, n, truth) for k in range(n + 1) if wilson(k, n)[0] <= truth <= wilson(k, n)[1])
    assert 0.91 < held < 0.99  # the normal approximation holds 0.99 in 63% of all cases


@pytest.mark.parametrize("right, n", [(1, 0), (-1, 3), (4, 3)])
def test_no_interval_of_nothing(right, n):
    with pytest.raises(ValueError, match="right must be"): wilson(right, n)


def test_a_card_holds_the_sums_and_the_rows():
    card = model_card("A title", "For this.", "Not for that.", {"cat": (9, 10), "great_dane": (1, 30)})
    low, high = wilson(10, 40)
    assert "25.0% of 40 pictures" in card and f"{low:.1%} to {high:.1%}" in card
    assert re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|$", card, re.M) == [("cat", "9", "10"), ("great_dane", "1", "30")]
    assert card.startswith("# A title\n") and "For this." in card and "Not for that." in card
