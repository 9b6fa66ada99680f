"""Suites in a test's studio with what a worker would leave of them."""

import json

from studio import base_models
from studio.files import write_json
from studio.line.devices import see_devices
from studio.suites import lists, runs
from studio.suites import run_queue as queue
from studio.suites.builtin import add_builtin_suites
from studio.suites.runs import SuiteRunRequest
from tests.lora_adapters import add_lora

TWO = [{"adapter": None}, {"adapter": "pirate"}]


def with_a_pirate(studio):
    """The built-in base with an adapter, and a device to answer on."""
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, seed=1)
    see_devices(studio, [("cpu", "a CPU", 1)])
    return studio


def asked(studio, prompts=5, columns=TWO, **more):
    told = [{"text": f"Question {n}", "expected": "yes", "topic": ("sums", "words")[n % 2]} for n in range(prompts)]
    suite = lists.make_suite(studio, "Asked", told)
    return runs.queue_suite_run(studio, suite.id, SuiteRunRequest(base_model="builtin", columns=columns), **more)


def leave_answers(studio, run, passed: list[list[bool | None]], texts: dict | None = None) -> None:
    """What a worker leaves: passed[prompt][column]."""
    with open(studio.data.suite_run(run.id).answers, "a", encoding="utf-8") as file:
        for prompt, line in enumerate(passed):
            for column, passes in enumerate(line):
                text = (texts or {}).get((prompt, column), "yes" if passes else "no")
                checks = [{"passed": passes, "said": "Is the expected answer."}] if passes is not None else []
                told = {
                    "prompt": prompt,
                    "column": column,
                    "text": text,
                    "passed": passes,
                    "tokens": 1,
                    "checks": checks,
                }
                file.write(json.dumps(told, ensure_ascii=False) + "\n")


def done(studio, passed, texts=None, **more):
    """A run of which everything is answered."""
    run = asked(studio, prompts=len(passed), **more)
    queue.claim(studio, ["cpu"])
    leave_answers(studio, run, passed, texts)
    write_json(studio.data.suite_run(run.id).result, {"seconds": 1.0, "most_at_once": 16})
    return queue.settle(studio, runs.get_suite_run(studio, run.id))


def neutral(studio, passed):
    add_builtin_suites(studio)
    request = SuiteRunRequest(base_model="builtin", columns=TWO)
    run = runs.queue_suite_run(studio, "neutral", request)
    queue.claim(studio, ["cpu"])
    leave_answers(studio, run, passed)
    write_json(studio.data.suite_run(run.id).result, {})
    return queue.settle(studio, runs.get_suite_run(studio, run.id))
