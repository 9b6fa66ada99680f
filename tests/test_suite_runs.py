"""Runs of suites without a model: one line with the trainings, one device, one end; results, filters, files and forgetting."""

import csv
import io
import json
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from jobs import suites as suites_of_runner
from jobs.gpus import FoundDevice
from studio import adapters, base_models, run_queue
from studio.errors import Conflict, Invalid, NotFound
from studio.files import write_json
from studio.line.devices import see_devices
from studio.plan import read_plan
from studio.records import Adapter, Device, JobState, Run, Status, SuiteRun, utc_now
from studio.runs import queue_run
from studio.suites import forgetting, lists, results, runs
from studio.suites import run_queue as queue
from studio.suites.after_training import ask_after_trainings
from studio.suites.builtin import add_builtin_suites
from studio.suites.export import csv_lines, harmless, json_lines
from studio.suites.runs import SuiteRunRequest
from studio.web import build_app
from tests.answered_suites import asked, done, leave_answers, neutral, with_a_pirate
from tests.finished_runs import NASTY, leave_run, what_comes_with_it
from tests.queueing import holders, queued

CPU = {"cpu": FoundDevice("cpu", "a CPU", 1)}
LINE = "\u2028"


@pytest.fixture
def place(studio):
    return with_a_pirate(studio)


@pytest.fixture
def no_worker(monkeypatch):
    """The runner starts nothing: what a worker would leave is written by the test."""
    monkeypatch.setattr(suites_of_runner.job_process, "start", lambda *_: None)


def held_by(studio) -> str | None:
    with studio.database.read() as session:
        return session.get(Device, "cpu").suite_run


def test_a_suite_holds_a_device_like_a_training_and_gives_it_back(place):
    run = asked(place)
    assert queue.claim(place, ["cpu"])[1] == "cpu"
    assert held_by(place) == run.id
    queued(place)
    assert run_queue.claim_next(place, "runner", ["cpu"]) is None  # the training waits for the suite's device
    see_devices(place, [("cuda:0", "a GPU", 1)])
    assert "cpu" in holders(place)  # a device that is gone stays while a suite holds it
    leave_answers(place, run, [[True, True]] * 5)
    write_json(place.data.suite_run(run.id).result, {})
    assert queue.settle(place, runs.get_suite_run(place, run.id)).state is JobState.DONE
    assert held_by(place) is None
    assert run_queue.claim_next(place, "runner", ["cpu"]) is not None


def test_a_suite_waits_while_a_training_holds_the_device_and_behind_trainings_that_came_before(place):
    training = queued(place)
    run_queue.claim_next(place, "runner", ["cpu"])
    assert holders(place)["cpu"] == training.id
    asked(place)
    assert queue.claim(place, ["cpu"]) is None
    with place.database.write() as session:
        session.get(Device, "cpu").run_id = None
    earlier = queued(place, "earlier", queued_at=utc_now() - timedelta(minutes=1))
    assert queue.claim(place, ["cpu"]) is None
    with place.database.write() as session:
        session.get(type(earlier), earlier.id).queued_at = utc_now() + timedelta(minutes=1)
    assert queue.claim(place, ["cpu"]) is not None


def test_a_training_for_more_devices_than_there_are_keeps_no_suite_waiting(place):
    queued(place, gpus=4, queued_at=utc_now() - timedelta(minutes=1))
    asked(place)
    assert queue.claim(place, ["cpu"]) is not None


def test_one_suite_is_answered_at_a_time_on_one_device_and_the_oldest_first(place):
    first, second = asked(place), asked(place)
    assert queue.claim(place, ["cpu"])[0].id == first.id
    assert queue.claim(place, ["cpu"]) is None
    assert queue.waiting_before(place, second) == 0


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_keeps_its_answers(place, no_worker):
    waiting = asked(place)
    assert runs.cancel_suite_run(place, waiting.id).state is JobState.CANCELLED
    assert runs.cancel_suite_run(place, waiting.id).state is JobState.CANCELLED
    running = asked(place)
    suites_of_runner.tick(place, CPU)
    leave_answers(place, running, [[True, False]])
    assert runs.cancel_suite_run(place, running.id).cancel
    with pytest.raises(Conflict):
        runs.delete_suite_run(place, running.id)
    suites_of_runner.tick(place, CPU)
    run = runs.get_suite_run(place, running.id)
    assert (run.state, run.answered, held_by(place)) == (JobState.CANCELLED, 2, None)
    assert results.table(place, run)[0].cells[0].passed
    runs.delete_suite_run(place, run.id)
    assert not place.data.suite_run(run.id).path.exists()


def test_a_worker_that_ends_again_and_again_without_an_answer_is_not_started_for_ever(place, no_worker, monkeypatch):
    run = asked(place)
    monkeypatch.setattr(suites_of_runner.job_process, "has_begun", lambda _: True)
    started = 0
    for _ in range(20):
        before = runs.get_suite_run(place, run.id).attempts
        suites_of_runner.tick(place, CPU)
        started += runs.get_suite_run(place, run.id).attempts != before
    ended = runs.get_suite_run(place, run.id)
    assert (ended.state, started) == (JobState.FAILED, queue.MOST_ATTEMPTS)
    assert ended.problem == queue.BROKE_OFF


def test_a_worker_that_gets_further_is_started_again_as_often_as_it_takes(place, no_worker, monkeypatch):
    run = asked(place, prompts=12)
    monkeypatch.setattr(suites_of_runner.job_process, "has_begun", lambda _: True)
    for prompt in range(12):
        suites_of_runner.tick(place, CPU)
        with open(place.data.suite_run(run.id).answers, "a") as file:
            file.write(json.dumps({"prompt": prompt, "column": 0, "text": "", "passed": None}) + "\n")
    assert runs.get_suite_run(place, run.id).state is JobState.RUNNING


def test_what_the_worker_refuses_is_told_in_its_words(place, no_worker, monkeypatch):
    run = asked(place)
    suites_of_runner.tick(place, CPU)
    monkeypatch.setattr(suites_of_runner.job_process, "has_begun", lambda _: True)
    write_json(place.data.suite_run(run.id).refusal, {"problem": "It is gone.", "fix": "Add it.", "field": None})
    suites_of_runner.tick(place, CPU)
    ended = runs.get_suite_run(place, run.id)
    assert (ended.state, ended.problem, ended.fix) == (JobState.FAILED, "It is gone.", "Add it.")


def test_only_what_can_answer_is_asked(place):
    suite = lists.make_suite(place, "Asked", [{"text": "a"}])

    def ask(**values):
        return runs.queue_suite_run(place, suite.id, SuiteRunRequest(base_model="builtin", **values))

    with pytest.raises(NotFound):
        ask(columns=[{"adapter": "gone"}])
    with pytest.raises(Invalid, match="suite says"):
        ask(columns=[{"messages": [{"role": "user", "content": "x"}]}])
    with pytest.raises(NotFound):
        runs.queue_suite_run(place, suite.id, SuiteRunRequest(base_model="builtin"), "somebody")
    assert not list((place.data.path / "suite_runs").iterdir())


def test_shares_carry_intervals_and_the_base_is_compared_prompt_by_prompt(place):
    run = done(place, [[True, True]] * 4 + [[True, False]] * 6 + [[False, True]] + [[None, True]])
    base, adapter = run.result["columns"]
    assert (base["judged"], base["passed"], adapter["judged"], adapter["passed"]) == (11, 10, 12, 6)
    assert 0.62 < base["low"] < 10 / 11 < base["high"] < 1
    paired = adapter["paired"]
    assert (paired["both"], paired["lost"], paired["gained"], paired["neither"]) == (4, 6, 1, 0)
    assert paired["chance"] == pytest.approx(2 * 8 / 128)
    assert adapter["lost_topics"] == {"sums": 3, "words": 3}


def test_filters_show_failures_differences_and_what_moved(place):
    run = done(
        place, [[True, True], [True, False], [False, True], [False, False], [None, None]], {(4, 0): "a", (4, 1): "b"}
    )
    lines = results.table(place, run)
    shown = {name: [line.place for line in results.filtered(lines, name, 0)] for name in results.FILTERS}
    assert shown == {"all": [0, 1, 2, 3, 4], "failures": [1, 2, 3], "differ": [1, 2, 4], "better": [2], "worse": [1]}
    assert results.filtered(lines, "worse", None) == []


def test_the_files_hold_every_answer_and_no_formula(place):
    evil = '=HYPERLINK("http://x")'
    run = done(
        place,
        [[True, False], [False, None]],
        {(0, 0): evil, (0, 1): f'a,b\n"c"{LINE}', (1, 0): "\t=1+1", (1, 1): "-2\0"},
    )
    rows = list(csv.reader(io.StringIO("".join(csv_lines(place, run)).lstrip("\ufeff"), newline="")))
    assert rows[0][:4] == ["id", "topic", "question", "expected"]
    assert [row[4] for row in rows[1:]] == ["'" + evil, "'\t=1+1"]
    assert [row[7] for row in rows[1:]] == [f'a,b\n"c"{LINE}', "'-2"]
    assert [row[5] for row in rows[1:]] == ["yes", "no"]
    told = [json.loads(line) for line in "".join(json_lines(place, run)).split("\n") if line]
    assert told[0]["answers"][0]["text"] == evil
    assert [answer["adapter"] for answer in told[1]["answers"]] == [None, "pirate"]
    assert [harmless(cell) for cell in ("plain", " =1", "@x", "+1", "")] == ["plain", "' =1", "'@x", "'+1", ""]


def test_a_run_is_asked_watched_read_exported_and_deleted_over_the_api(place):
    suite = lists.make_suite(place, "Asked", [{"text": NASTY, "expected": "yes"}])
    with TestClient(build_app(place), base_url="http://127.0.0.1") as client:
        body = {"base_model": "builtin", "columns": [{}, {"adapter": "pirate"}]}
        made = client.post(f"/api/v1/suites/{suite.id}/runs", json=body, headers={"Idempotency-Key": "k"})
        assert (made.status_code, made.json()["state"], made.json()["answers"]) == (201, "queued", 2)
        assert (
            client.post(f"/api/v1/suites/{suite.id}/runs", json=body, headers={"Idempotency-Key": "k"}).json()
            == made.json()
        )
        id = made.json()["id"]
        queue.claim(place, ["cpu"])
        leave_answers(place, runs.get_suite_run(place, id), [[True, False]])
        write_json(place.data.suite_run(id).result, {})
        queue.settle(place, runs.get_suite_run(place, id))
        [found] = client.get("/api/v1/suite-runs?adapter=pirate").json()["items"]
        assert (found["id"], found["state"]) == (id, "done")
        assert not client.get("/api/v1/suite-runs?adapter=other").json()["items"]
        [line] = client.get(f"/api/v1/suite-runs/{id}/answers").json()["items"]
        assert [cell["passed"] for cell in line["cells"]] == [True, False]
        exported = client.get(f"/api/v1/suite-runs/{id}/export?format=csv")
        assert exported.headers["content-disposition"].endswith('.csv"')
        assert client.get(f"/api/v1/suite-runs/{id}/export?format=xlsx").status_code == 422
        assert client.post(f"/api/v1/suite-runs/{id}/cancel").status_code == 409
        assert client.delete(f"/api/v1/suite-runs/{id}").status_code == 204
        assert client.get(f"/api/v1/suite-runs/{id}").status_code == 404


def test_a_deleted_suite_leaves_its_runs(place):
    run = done(place, [[True, True]])
    lists.delete_suite(place, run.suite)
    left = runs.get_suite_run(place, run.id)
    assert (left.suite, left.name) == (None, "Asked")
    assert results.table(place, left)[0].question == "Question 0"


@pytest.fixture
def trained(studio):
    """A studio in which two trainings have ended."""
    what_comes_with_it(studio)
    add_builtin_suites(studio)
    see_devices(studio, [("cpu", "a CPU", 1)])
    return studio


def adapter_of(studio, run_id) -> Adapter:
    [found] = [adapter for adapter in adapters.list_adapters(studio).items if adapter.run == run_id]
    return found


def test_after_a_training_its_adapter_is_asked_once_where_the_training_stood_in_the_line(trained):
    leave_run(trained, "before")
    lists.change_suite(trained, "neutral", after_training=True)
    id = leave_run(trained, "after")
    [run] = ask_after_trainings(trained)
    assert (run.training, run.columns[1]["adapter"], run.neutral) == (id, adapter_of(trained, id).id, True)
    assert run.settings["max_new_tokens"] == 96
    with trained.database.read() as session:
        training = session.get(Run, id)
    assert runs.get_suite_run(trained, run.id).queued_at == training.queued_at
    assert ask_after_trainings(trained) == []
    leave_run(trained, "failed", Status.FAILED, problem="x")
    assert ask_after_trainings(trained) == []


def test_a_deleted_answer_to_a_training_is_not_asked_for_again(trained):
    lists.change_suite(trained, "neutral", after_training=True)
    leave_run(trained, "after")
    [run] = ask_after_trainings(trained)
    runs.cancel_suite_run(trained, run.id)
    runs.delete_suite_run(trained, run.id)
    assert ask_after_trainings(trained) == []


def test_a_suite_that_the_plan_names_is_asked_once_after_that_training_alone(trained):
    suite = lists.make_suite(trained, "Sums", [{"text": "2 + 2?", "expected": "4"}])
    deleted = lists.make_suite(trained, "Gone", [{"text": "Hi"}])
    named = leave_run(trained, "named", suites=f"{suite.id} {deleted.id} neutral")
    lists.delete_suite(trained, deleted.id)
    lists.change_suite(trained, "neutral", after_training=False)
    leave_run(trained, "other")
    assert [(run.training, run.name) for run in ask_after_trainings(trained)] == [
        (named, "Sums"),
        (named, lists.get_suite(trained, "neutral").name),
    ]
    for run in runs.list_suite_runs(trained).items:
        runs.cancel_suite_run(trained, run.id)
        runs.delete_suite_run(trained, run.id)
    assert ask_after_trainings(trained) == []


def test_a_plan_names_suites_by_name_or_id_and_one_that_is_not_there_is_refused(trained):
    suite = lists.make_suite(trained, "Sums", [{"text": "2 + 2?"}])
    lists.make_suite(trained, "Twice", [{"text": "Hi"}])
    lists.make_suite(trained, "Twice", [{"text": "Hi"}])
    assert [each.id for each in lists.suites_named(trained, ["Sums", "neutral", suite.id])] == [suite.id, "neutral"]
    for wrong, place in ((["Sums", "gone"], 1), (["Twice"], 0)):
        with pytest.raises((NotFound, Conflict)) as refused:
            lists.suites_named(trained, wrong)
        assert refused.value.field == f"training.suites.{place}"
    plan = {"base_model": "builtin", "dataset": "pirate", "training": {"suites": ["Sums"], "max_steps": 1}}
    assert queue_run(trained, read_plan(plan)).suites == suite.id


def test_a_base_model_stays_while_answers_of_it_are_kept(place):
    builtin = base_models.get_model(place, "builtin")
    with place.database.write() as session:
        facts = {"location": "other", "fingerprint": "f", "facts": builtin.facts}
        session.add(type(builtin)(id="other", name="Other", source="local", **facts))
    run = done(place, [[True]], columns=[{}])
    with place.database.write() as session:
        session.get(SuiteRun, run.id).base_model = "other"
    with pytest.raises(Conflict, match="runs of suites: Asked"):
        base_models.delete_model(place, "other")
    runs.delete_suite_run(place, run.id)
    base_models.delete_model(place, "other")


def test_a_suite_that_cannot_be_asked_after_a_training_says_so_once(trained, monkeypatch):
    from studio.suites import after_training

    def refuse(*_, **__):
        raise Conflict("It has no template.", "Choose one.")

    monkeypatch.setattr(after_training, "queue_suite_run", refuse)
    lists.change_suite(trained, "neutral", after_training=True)
    id = leave_run(trained, "after")
    assert (ask_after_trainings(trained), ask_after_trainings(trained)) == ([], [])
    [run] = runs.list_suite_runs(trained, training=id).items
    assert (run.state, run.problem) == (JobState.FAILED, "It has no template.")


def test_forgetting_is_told_with_numbers_topics_and_an_interval(place):
    neutral(place, [[True, False]] * 11 + [[True, True]] * 23 + [[False, True]] * 2 + [[False, False]] * 4)
    told = forgetting.forgetting_of(place, "pirate")
    assert told.forgot
    assert told.sentence == (
        "34 of 40 right before, 25 after: lost 11 (arithmetic 6, capitals 5), gained 2. "
        "That is -22 points (95 % between -38 and -5; McNemar exact p = 0.022)."
    )


def test_a_loss_that_may_be_chance_is_not_called_forgetting(place):
    neutral(place, [[True, False]] * 5 + [[True, True]] * 29 + [[False, False]] * 6)
    told = forgetting.forgetting_of(place, "pirate")
    assert (told.forgot, told.title) == (False, "What it lost may be chance.")
    assert forgetting.forgetting_of(place, "other") is None


def test_only_the_newest_finished_run_of_the_neutral_questions_counts(place):
    neutral(place, [[True, False]] * 20 + [[True, True]] * 20)
    second = neutral(place, [[True, True]] * 40)
    done(place, [[True, False]] * 30)
    told = forgetting.forgetting_of(place, "pirate")
    assert (told.run.id, told.forgot) == (second.id, False)
    assert isinstance(told.run, SuiteRun)
