"""Past runs correct the memory plan: by the median of what they measured, within bounds, and only when there are enough."""

import pytest

from studio.files import write_json
from studio.memory import estimate_from
from studio.memory_learned import LAST, Correction, learned_correction
from studio.pages import train_view
from studio.records import BaseModel, Dataset, Run, Status
from tests.test_memory import DATA
from tests.test_resolve import CPU, llama, plan

MIB = 2**20
FIXED, MOVING = 600 * MIB, 1000 * MIB


@pytest.fixture
def studio(studio):
    data = {"source": "upload", "file_name": "d.json", "format": "alpaca", "rows": 3, "size_bytes": 1, "sha256": "0"}
    with studio.database.write() as session:
        session.add_all([BaseModel(id="b", name="B", source="local", location="b"), Dataset(id="d", name="D", **data)])
    return studio


def ended(studio, number: int, times: float, device="cpu", attempts=1, correction=1.0, state=Status.SUCCEEDED) -> None:
    """A run whose parts that come and go took `times` what was planned for them."""
    run = Run(
        id=f"run{number}", name=f"run {number}", base_model="b", dataset="d", method="lora", state=state, steps=10,
        micro_batch=1, grad_accum=1, grad_checkpointing=False,
    )  # fmt: skip
    with studio.database.write() as session:
        session.add(run)
    folder = studio.data.run(run.id).create()
    parts = {"program": 400 * MIB, "weights": 200 * MIB, "activations": round(correction * MOVING)}
    write_json(folder.estimate, {"device": device, "memory": parts, "correction": correction})
    for attempt in range(1, attempts + 1):
        write_json(
            folder.attempt(attempt).create().result, {"peak_memory_bytes": round(FIXED + times * MOVING)}
        )  # fmt: skip


def test_two_runs_are_too_few_and_three_correct_the_plan_by_their_median(studio):
    ended(studio, 1, 1.1)
    ended(studio, 2, 1.4)
    assert learned_correction(studio, "cpu") == Correction()
    ended(studio, 3, 1.2)
    assert learned_correction(studio, "cpu") == Correction(1.2, 3)


def test_what_was_planned_with_a_correction_is_compared_without_it(studio):
    for number in range(3):
        ended(studio, number, 1.2, correction=1.2)
    assert learned_correction(studio, "cpu") == Correction(1.2, 3)


@pytest.mark.parametrize(("times", "factor"), [(9.0, 1.5), (0.1, 0.7)])
def test_a_factor_stays_within_its_bounds(studio, times, factor):
    for number in range(3):
        ended(studio, number, times)
    assert learned_correction(studio, "cpu").factor == factor


def test_runs_that_say_nothing_of_this_machine_are_passed_over(studio):
    ended(studio, 1, 1.2, device="cuda")
    ended(studio, 2, 1.2, attempts=2)
    ended(studio, 3, 1.2, state=Status.FAILED)
    ended(studio, 4, 0.0)  # a peak below the fixed parts
    write_json(studio.data.run("run4").estimate, {"device": "cpu", "memory": {"program": MIB}, "correction": 1.0})
    assert learned_correction(studio, "cpu") == Correction()


def test_only_the_last_runs_count(studio):
    for number in range(LAST + 5):
        ended(studio, number, 1.1)
    assert learned_correction(studio, "cpu").runs == LAST


def test_a_correction_changes_what_comes_and_goes_and_nothing_else():
    before, after = (
        estimate_from(plan(micro_batch=4), llama(), DATA, CPU, learned=learned)
        for learned in (Correction(), Correction(1.2, 8))
    )
    for part, size in before.memory.items():
        assert after.memory[part] == pytest.approx(size * (1.2 if part in ("activations", "loss") else 1), rel=1e-6)
    assert after.planned_memory == {"device": "cpu", "memory": after.memory, "correction": 1.2}


def test_the_train_page_says_what_the_estimate_was_corrected_by():
    found = estimate_from(plan(), llama(), DATA, CPU, learned=Correction(1.07, 8))
    assert "Corrected by 8 runs on this machine: × 1.07" in train_view.cost(plan(), found)
    assert "Corrected by" not in train_view.cost(plan(), estimate_from(plan(), llama(), DATA, CPU))
