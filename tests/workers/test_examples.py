"""Which rows are trained on and which are measured on."""

import hashlib
import random

import pytest

from studio.heldout import choose_heldout

pytestmark = pytest.mark.training


def test_what_is_added_to_the_data_leaves_its_held_out_rows_where_they_are():
    contents = [int.from_bytes(hashlib.blake2b(bytes([row]), digest_size=8).digest()) for row in range(200)]
    before = {contents[place] for place in choose_heldout([False] * 200, contents, 10)}
    more = [2**64 - 1 - row for row in range(50)] + contents[::-1]
    after = {more[place] for place in choose_heldout([False] * 250, more, 12)}
    assert before < after
    assert len(choose_heldout([True] * 200, contents, 10)) == 10


def test_a_run_from_before_versions_measures_on_the_rows_that_its_seed_drew():
    contents = list(range(100))
    drawn = choose_heldout([False] * 100, contents, 5, 3)
    assert drawn == random.Random(3).sample(range(100), 5)
    assert choose_heldout([False] * 100, contents, 5) == [0, 1, 2, 3, 4]


def test_a_row_that_stands_in_the_data_twice_is_not_measured_on():
    contents = [1, 2, 2, 3, 3, 3, 4, 5]
    for seed in (None, *range(20)):
        assert set(choose_heldout([False] * 8, contents, 3, seed)) == {0, 6, 7}
    assert set(choose_heldout([False] * 4, [1, 1, 1, 1], 2, 0)) == set()


def test_what_the_data_itself_holds_out_is_measured_on():
    assert set(choose_heldout([False, True, True, False], [1, 2, 3, 4], 2, 0)) == {1, 2}
    assert len({*choose_heldout([False, True, True, False], [1, 2, 3, 4], 1, 0)} & {1, 2}) == 1


def test_one_row_is_always_left_to_learn_from():
    assert len(choose_heldout([False] * 3, [1, 2, 3], 9, 0)) == 2
    assert set(choose_heldout([False], [1], 1, 0)) == set()
