"""Which rows are trained on and which are measured on."""

import pytest

from studio.heldout import choose_heldout

pytestmark = pytest.mark.training


def test_a_row_that_stands_in_the_data_twice_is_not_measured_on():
    contents = [1, 2, 2, 3, 3, 3, 4, 5]
    for seed in range(20):
        assert set(choose_heldout([False] * 8, contents, 3, seed)) == {0, 6, 7}
    assert set(choose_heldout([False] * 4, [1, 1, 1, 1], 2, 0)) == set()


def test_what_the_data_itself_holds_out_is_measured_on():
    assert set(choose_heldout([False, True, True, False], [1, 2, 3, 4], 2, 0)) == {1, 2}
    assert len({*choose_heldout([False, True, True, False], [1, 2, 3, 4], 1, 0)} & {1, 2}) == 1


def test_one_row_is_always_left_to_learn_from():
    assert len(choose_heldout([False] * 3, [1, 2, 3], 9, 0)) == 2
    assert set(choose_heldout([False], [1], 1, 0)) == set()
