"""A suite answered by a real small model: all prompts and columns, the same straight, interrupted or squeezed for memory."""

import json
import os
import signal
import time

import pytest
import torch

pytestmark = pytest.mark.training

from jobs import suites as suites_of_runner  # noqa: E402
from jobs.gpus import FoundDevice  # noqa: E402
from jobs.workers.answering import Answering  # noqa: E402
from jobs.workers.suite import __main__ as worker  # noqa: E402
from studio import base_models  # noqa: E402
from studio.files import read_json  # noqa: E402
from studio.line.devices import see_devices  # noqa: E402
from studio.records import JobState  # noqa: E402
from studio.suites import lists, results, run_queue, runs  # noqa: E402
from studio.suites.runs import SuiteRunRequest  # noqa: E402
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base  # noqa: E402

CPU = {"cpu": FoundDevice("cpu", "a CPU", 1)}
PATIENCE = 120
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
PROMPTS = [
    {"text": f"Count to {' '.join(WORDS[: 1 + place % 5])}!", "checks": [{"kind": "length", "most": 10_000}]}
    for place in range(12)
] + [{"text": "Say nothing.", "system": "Be brief.", "expected": "nothing"}]


@pytest.fixture
def place(studio):
    base = add_tiny_base(studio)
    add_tiny_adapter(studio, base, "pirate", seed=1)
    see_devices(studio, [("cpu", "a CPU", 1)])
    return studio


def queued(studio, prompts=PROMPTS, **more):
    suite = lists.make_suite(studio, "Counting", prompts)
    columns = [{"adapter": None}, {"adapter": "pirate"}]
    asked = {"base_model": "tinybase", "columns": columns, "max_new_tokens": 12, **more}
    return runs.queue_suite_run(studio, suite.id, SuiteRunRequest(**asked))


def answered(studio, run):
    """The job done as runner and worker do it, in this process."""
    assert run_queue.claim(studio, ["cpu"])[0].id == run.id
    worker.main(studio.data.suite_run(run.id))
    return run_queue.settle(studio, runs.get_suite_run(studio, run.id))


def texts(studio, run) -> list[list[str]]:
    return [[cell.text for cell in line.cells] for line in results.table(studio, run)]


def test_every_prompt_is_answered_by_every_column_and_judged(place):
    run = answered(place, queued(place))
    assert (run.state, run.problem, run.answered) == (JobState.DONE, None, 26)
    assert [(told["judged"], told["passed"]) for told in run.result["columns"]] == [(13, 12), (13, 12)]
    lines = results.table(place, run)
    assert [line.cells[1].proof["adapter"] for line in lines] == ["pirate"] * 13
    assert lines[0].cells[0].text != lines[0].cells[1].text
    assert lines[12].cells[0].checks == [{"passed": False, "said": "Is not the expected answer “nothing”."}]


def test_the_answers_are_those_that_compare_gives(place):
    run = answered(place, queued(place, temperature=0.9, seed=7))
    folder = place.data.suite_run(run.id)
    alone = read_json(folder.request)
    for number in (0, 4):
        one = queued(place, [PROMPTS[number]], temperature=0.9, seed=7)
        assert texts(place, answered(place, one)) == [texts(place, run)[number]]
    told = [column["adapter"] for column in alone["columns"]]
    assert told == [None, {"id": "pirate", "name": "adapter pirate"}]


def test_a_worker_killed_in_the_middle_goes_on_after_its_last_answer_and_writes_what_it_would_have(place):
    many, asked = 2 * PROMPTS, {"max_new_tokens": 60}  # more than are answered at once: most is still to be written
    straight = texts(place, answered(place, queued(place, many, **asked)))
    run = queued(place, many, **asked)
    folder = place.data.suite_run(run.id)
    suites_of_runner.tick(place, CPU)
    until(lambda: folder.answers.exists() and folder.answers.read_bytes().count(b"\n") >= 3, folder)
    os.killpg(read_json(folder.process)["pid"], signal.SIGKILL)
    until(lambda: not suites_of_runner.job_process.alive(folder), folder)
    kept = folder.answers.read_bytes()
    assert kept.count(b"\n") < 52
    with open(folder.answers, "ab") as file:
        file.write(b'{"prompt": 3, "col')  # as a kill in the middle of a write leaves it
    suites_of_runner.job_process.forget(folder)  # a runner that was killed too knows nothing of its children

    def ended():
        suites_of_runner.tick(place, CPU)
        return runs.get_suite_run(place, run.id).state is not JobState.RUNNING

    until(ended, folder)
    run = runs.get_suite_run(place, run.id)
    assert (run.state, run.problem, run.answered) == (JobState.DONE, None, 52)
    assert folder.answers.read_bytes().startswith(kept)
    lines = [json.loads(line) for line in folder.answers.read_bytes().splitlines()]
    assert len({(line["prompt"], line["column"]) for line in lines}) == len(lines) == 52
    assert texts(place, run) == straight
    assert run_queue.device_of(place, run) is None


def until(true, folder) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, folder.log.read_text() if folder.log.exists() else "no log"
        time.sleep(0.05)


def test_when_memory_runs_out_fewer_are_answered_at_once_and_nothing_is_lost(place, monkeypatch):
    straight = texts(place, answered(place, queued(place)))
    turn, most = Answering.turn, []

    def short_of_memory(self):
        turn(self)
        most.append(len(self.batch.answers))
        if most[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Answering, "turn", short_of_memory)
    run = answered(place, queued(place))
    assert (run.state, run.answered, run.result["most_at_once"]) == (JobState.DONE, 26, 2)
    assert texts(place, run) == straight


def test_a_mix_answers_as_its_own_column_against_the_base(place):
    add_tiny_adapter(place, base_models.get_model(place, "tinybase"), "orders", seed=2)
    mix = [{"adapter": "pirate", "weight": 1.0}, {"adapter": "orders", "weight": -0.5}]
    run = answered(
        place, queued(place, PROMPTS[:2], columns=[{}, {"mix": mix}, {"adapter": "pirate", "temperature": 0.8}])
    )
    assert (run.state, run.problem, run.answered) == (JobState.DONE, None, 6)
    assert run.columns[1]["mix"] == mix
    assert "paired" in run.result["columns"][1]
    assert "paired" not in run.result["columns"][0]
    assert runs.list_suite_runs(place, adapter="orders").items[0].id == run.id


def test_a_machine_that_has_no_room_for_one_answer_says_so(place, monkeypatch):
    def no_memory(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Answering, "turn", no_memory)
    run = answered(place, queued(place))
    assert (run.state, run.problem) == (JobState.FAILED, "There is not enough memory for a single answer.")


def test_a_prompt_beyond_the_context_fails_alone(place):
    run = answered(place, queued(place, [PROMPTS[0], {"text": "ship " * 3000, "expected": "no"}]))
    assert run.state is JobState.DONE
    first, second = results.table(place, run)
    assert first.cells[0].passed
    assert "reads 256 at most" in second.cells[1].problem
    assert second.cells[1].passed is False


def test_an_adapter_that_is_gone_when_its_turn_comes_ends_the_run_in_words(place):
    from studio import adapters

    run = queued(place)
    adapters.delete_adapter(place, "pirate")
    run = answered(place, run)
    assert (run.state, run.problem) == (JobState.FAILED, "There is no adapter with the id 'pirate'.")
