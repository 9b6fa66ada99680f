"""Two models on the same prompts, against published numbers."""

from math import comb

import pytest

from studio.paired import Paired


def test_the_exact_mcnemar_test_gives_the_published_probability():
    # Fagerland, Lydersen and Laake (2013): airway hyper-responsiveness before and after a transplantation, and 6 against 16
    assert Paired(both=1, lost=1, gained=7, neither=12).chance == pytest.approx(0.0703, abs=5e-5)
    assert Paired(both=59, lost=6, gained=16, neither=80).chance == pytest.approx(0.0525, abs=5e-5)


def test_it_is_the_two_sided_binomial_test():
    for lost, gained in ((0, 5), (3, 3), (0, 0), (9, 2)):
        differ, few = lost + gained, min(lost, gained)
        tail = sum(comb(differ, k) for k in range(few + 1)) / 2**differ
        assert Paired(10, lost, gained, 2).chance == pytest.approx(min(1.0, 2 * tail))


def test_the_interval_is_bonett_and_prices_worked_out_by_hand():
    # 1 lost and 7 gained of 21: shares (1 + 1) / 23 and (7 + 1) / 23, so 6/23 ± 1.96 sqrt((10/23 - (6/23)²) / 23)
    low, high = Paired(both=1, lost=1, gained=7, neither=12).interval
    assert (low, high) == (pytest.approx(0.01338, abs=1e-5), pytest.approx(0.50836, abs=1e-5))


def test_few_losses_are_not_called_a_difference():
    assert Paired(both=30, lost=5, gained=0, neither=5).says == "unclear"
    assert Paired(both=29, lost=6, gained=0, neither=5).says == "worse"
    assert Paired(both=29, lost=0, gained=6, neither=5).says == "better"
    assert Paired(both=40).says == "unclear"


def test_no_prompts_are_no_difference():
    nothing = Paired()
    assert (nothing.difference, nothing.chance, nothing.says) == (0.0, 1.0, "unclear")
    assert nothing.interval[0] < 0 < nothing.interval[1]
