"""Every method and variant is tried at everything, and docs/methods.md says what came of it and nothing else."""

import json
import subprocess
import sys

import pytest

from tests.workers.method_cases import CASES
from tests.workers.support_matrix import prove, rows_on_the_page, trained
from tests.workers.training_place import PROJECT, TrainingPlace, training_place

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def places() -> dict[str, TrainingPlace]:
    """Where each of them was trained, for what is tried on all of them at once."""
    return {}


@pytest.mark.parametrize(("title", "method", "training"), CASES, ids=[case[0] for case in CASES])
def test_what_the_page_says_of_it_is_what_it_does(place, places, title, method, training):
    said = next((row for row in rows_on_the_page() if row.startswith(f"| {title} |")), None)
    assert prove(place, title, method, training).row == said
    places[title] = place


def test_plain_peft_in_a_fresh_process_gives_the_logits_that_the_worker_had(places, tmp_path, tiny_base):
    for number, (title, method, training) in enumerate(CASES):
        if title not in places:  # this test alone was asked for
            places[title] = training_place(tmp_path / str(number), tiny_base)
            trained(places[title], "straight", method, training)
    adapters = {
        title: (str(tiny_base), str(places[title].data.run("straight").attempt(1).adapter), training.get("quantization", "none"))
        for title, _, training in CASES
    }  # fmt: skip
    file = tmp_path / "adapters.json"
    file.write_text(json.dumps(adapters))
    command = [sys.executable, "-W", "ignore", "-m", "tests.workers.plain_peft", str(file)]
    done = subprocess.run(command, cwd=PROJECT, env=places[CASES[0][0]].environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout.splitlines()[-1])
    assert differences.keys() == adapters.keys()
    assert max(differences.values()) <= 2e-5, differences


def test_the_page_names_every_method_and_variant_once_and_in_their_order():
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows_on_the_page()] == [case[0] for case in CASES]
