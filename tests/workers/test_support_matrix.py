"""Every method and variant is tried at everything, and docs/methods.md says what came of it and nothing else."""

import pytest

from tests.workers.method_cases import CASES
from tests.workers.support_matrix import prove, rows_on_the_page

pytestmark = pytest.mark.training


@pytest.mark.parametrize(("title", "method", "training"), CASES, ids=[case[0] for case in CASES])
def test_what_the_page_says_of_it_is_what_it_does(place, title, method, training):
    said = next((row for row in rows_on_the_page() if row.startswith(f"| {title} |")), None)
    assert prove(place, title, method, training).row == said


def test_the_page_names_every_method_and_variant_once_and_in_their_order():
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows_on_the_page()] == [case[0] for case in CASES]
