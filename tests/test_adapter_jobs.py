"""Jobs on adapters: asked for only where they can succeed, done by a process of their own, settled once, and nothing half-made is seen."""

import json
import shutil
import signal
import struct
import subprocess
import sys
import time

import numpy
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file

from jobs import lab
from jobs.processes import Identity
from studio import adapter_job_queue, adapter_jobs, adapters, base_models
from studio.errors import BadInput, Conflict, Invalid, NotFound, TooMany
from studio.files import read_json, write_json
from studio.lab_settings import ShrinkSettings, StackSettings
from studio.lora_files import read_lora
from studio.records import AdapterJob, JobState
from studio.web import build_app
from tests.lora_adapters import add_lora, write_lora

PATIENCE = 60  # seconds on a busy machine until something must have happened


@pytest.fixture
def two(studio):
    """A studio with two adapters of the built-in base."""
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, seed=1)
    add_lora(studio, "orders", rank=2, seed=2)
    return studio


@pytest.fixture
def no_worker(monkeypatch):
    """The runner starts nothing: what a worker would leave is written by the test."""
    monkeypatch.setattr(lab, "start", lambda *_: None)


def stack_of(*ids, **more) -> StackSettings:
    return StackSettings(parents=[{"adapter": id} for id in ids], **more)


def until_ended(studio, id) -> AdapterJob:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lab.tick(studio)
        job = adapter_jobs.get_job(studio, id)
        if job.state not in adapter_jobs.OPEN:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job.state}: {studio.data.adapter_job(id).log.read_text()}")


def test_a_stack_is_made_by_a_process_and_becomes_an_adapter(two):
    job = until_ended(two, adapter_jobs.queue_job(two, stack_of("pirate", "orders", name="Captain")).id)
    assert (job.state, job.problem, job.progress) == (JobState.DONE, None, 1.0)
    adapter = adapters.get_adapter(two, job.result["adapter"])
    assert (adapter.name, adapter.source, adapter.rank) == ("Captain", "stack", 6)
    assert (
        len(read_lora(two.data.adapter(adapter.id), "Captain").modules)
        == read_json(two.data.adapter(adapter.id).passport)["layers"]
    )
    left = {path.name for path in two.data.adapter_job(job.id).path.iterdir()}
    assert not left & {"parents", "adapter", ".adapter"}


def test_layers_that_are_all_changed_are_named_in_short(two):
    job = until_ended(two, adapter_jobs.queue_job(two, stack_of("pirate", "orders")).id)
    assert read_json(two.data.adapter(job.id).config)["target_modules"] == ["q_proj", "v_proj"]


def test_one_job_is_done_at_a_time_and_the_oldest_first(two, no_worker):
    first, second = (adapter_jobs.queue_job(two, stack_of("pirate", "orders")) for _ in range(2))
    lab.tick(two)
    lab.tick(two)
    assert [adapter_jobs.get_job(two, job.id).state for job in (first, second)] == [JobState.RUNNING, JobState.QUEUED]
    assert adapter_job_queue.claim(two) is None


def test_a_waiting_job_is_cancelled_at_once(two):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    adapter_jobs.cancel_job(two, job.id)
    assert adapter_jobs.cancel_job(two, job.id).state is JobState.CANCELLED
    lab.tick(two)
    assert adapter_jobs.get_job(two, job.id).state is JobState.CANCELLED
    assert not (two.data.adapter_job(job.id).path / "parents").exists()


def sleeping_worker(studio, job):
    """A process in the place of a job's worker: it holds the lock, says who it is, and never ends."""
    folder = studio.data.adapter_job(job.id)
    code = "import fcntl, sys, time; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print(flush=True); time.sleep(600)"
    command = [sys.executable, "-c", code, str(folder.lock)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    write_json(folder.process, vars(Identity.of(process.pid)))
    return process


def test_a_running_job_is_cancelled_by_a_runner_that_did_not_start_it(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    lab.tick(two)
    process = sleeping_worker(two, job)
    write_json(two.data.adapter_job(job.id).progress, {"done": 0.25, "doing": "Module 2 of 8"})
    lab.tick(two)
    seen = adapter_jobs.get_job(two, job.id)
    assert (seen.state, seen.progress, seen.doing) == (JobState.RUNNING, 0.25, "Module 2 of 8")
    adapter_jobs.cancel_job(two, job.id)
    lab.tick(two)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    lab.tick(two)
    assert adapter_jobs.get_job(two, job.id).state is JobState.CANCELLED
    assert not two.data.adapter(job.id).path.exists()


def test_a_worker_that_dies_without_a_word_fails_its_job_and_leaves_no_adapter(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    lab.tick(two)
    process = sleeping_worker(two, job)
    write_lora(two.data.adapter_job(job.id).path / ".adapter", {"x": (4, 4)})
    process.kill()
    process.wait()
    lab.tick(two)
    failed = adapter_jobs.get_job(two, job.id)
    assert (failed.state, failed.problem) == (JobState.FAILED, adapter_job_queue.BROKE_OFF)
    assert len(adapters.list_adapters(two).items) == 2


def test_a_job_whose_runner_died_before_it_started_a_worker_is_started_by_the_next(two):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    adapter_job_queue.claim(two)  # and the runner dies
    assert until_ended(two, job.id).state is JobState.DONE


def test_a_runner_that_dies_while_it_settles_makes_one_adapter(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    adapter_job_queue.claim(two)
    folder = two.data.adapter_job(job.id)
    write_lora(folder.adapter, {"x": (4, 4)})
    write_json(folder.result, {"rank": 4})
    adapter_job_queue.take_in(two, job, {"rank": 4})  # and the runner dies before the row is written
    assert len(adapters.list_adapters(two).items) == 2
    assert adapter_job_queue.settle(two, job).state is JobState.DONE
    assert len(adapters.list_adapters(two).items) == 3
    assert adapter_job_queue.settle(two, job).state is JobState.DONE


def test_what_a_worker_leaves_is_looked_at_before_it_is_an_adapter(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    adapter_job_queue.claim(two)
    folder = two.data.adapter_job(job.id)
    made = write_lora(folder.adapter, {"x": (4, 4)})
    content = bytearray(made.weights.read_bytes())
    content[-4:] = numpy.array([numpy.nan], "<f4").tobytes()
    made.weights.write_bytes(content)
    write_json(folder.result, {"rank": 4})
    failed = adapter_job_queue.settle(two, job)
    assert (failed.state, "not finite" in failed.problem) == (JobState.FAILED, True)
    assert len(adapters.list_adapters(two).items) == 2


def test_a_job_whose_base_was_removed_meanwhile_fails_in_words(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    adapter_job_queue.claim(two)
    folder = two.data.adapter_job(job.id)
    shutil.rmtree(two.data.base_model("builtin").path)
    subprocess.run([sys.executable, "-m", "jobs.workers.lab", str(folder.path)], check=False, timeout=PATIENCE)
    failed = adapter_job_queue.settle(two, job)
    assert (failed.state, failed.problem) == (JobState.FAILED, "The base model was removed before this job began.")


def test_a_second_worker_of_a_job_ends_at_once(two, no_worker):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    process = sleeping_worker(two, job)
    try:
        folder = two.data.adapter_job(job.id)
        subprocess.run([sys.executable, "-m", "jobs.workers.lab", str(folder.path)], check=True, timeout=PATIENCE)
        assert not folder.adapter.exists()
    finally:
        process.kill()
        process.wait()


def test_ended_jobs_are_cleared_away_and_open_ones_are_not(two):
    job = adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    with pytest.raises(Conflict, match="Cancel it first"):
        adapter_jobs.delete_job(two, job.id)
    adapter_jobs.cancel_job(two, job.id)
    adapter_jobs.delete_job(two, job.id)
    assert adapter_jobs.list_jobs(two).items == []
    assert not two.data.adapter_job(job.id).path.exists()
    with pytest.raises(NotFound):
        adapter_jobs.get_job(two, job.id)


def test_only_so_many_jobs_wait(two, monkeypatch):
    monkeypatch.setattr(adapter_jobs, "MOST_OPEN", 1)
    adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    with pytest.raises(TooMany):
        adapter_jobs.queue_job(two, stack_of("pirate", "orders"))
    assert len(list((two.data.path / "adapter_jobs").iterdir())) == 1


def test_adapters_of_different_bases_have_no_sum(two):
    other = two.data.base_model("other").create()
    shutil.copytree(two.data.base_model("builtin").model, other.model)
    builtin = base_models.get_model(two, "builtin")
    with two.database.write() as session:
        facts = {**builtin.facts, "fingerprint": "f" * 64}
        session.add(
            type(builtin)(
                id="other",
                name="Other",
                source="local",
                location="other",
                fingerprint="f" * 64,
                facts=facts,
                parameters=1,
            )
        )
    add_lora(two, "stranger", base_model="other")
    with pytest.raises(Invalid, match="updates of different weights have no sum"):
        adapter_jobs.queue_job(two, stack_of("pirate", "stranger"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias terms"),
        ({"peft_type": "IA3"}, "its method is IA3"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"init_lora_weights": "pissa"}, "changes the base model itself"),
        ({"task_type": "SEQ_CLS"}, "not for chat"),
        ({"alora_invocation_tokens": [1]}, "more than a plain LoRA"),
        ({"r": 3}, "settings say rank 3"),
        ({"alpha_pattern": {"(a+)+$": 1}}, "plain names"),
    ],
)
def test_what_is_no_plain_lora_is_refused_by_name(two, settings, said):
    add_lora(two, "odd", **{key: value for key, value in settings.items() if key != "r"})
    if "r" in settings:
        config = two.data.adapter("odd").config
        write_json(config, {**read_json(config), "r": settings["r"]})
    for wanted in (stack_of("pirate", "odd"), ShrinkSettings(adapter="odd", rank=1)):
        with pytest.raises(BadInput, match=said):
            adapter_jobs.queue_job(two, wanted)


def test_adapters_that_learned_in_different_templates_are_not_mixed(two):
    add_lora(two, "other", template="{{ messages }}")
    with pytest.raises(Conflict, match="different chat templates"):
        adapter_jobs.queue_job(two, stack_of("pirate", "other"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (stack_of("pirate", "pirate"), "named twice"),
        (stack_of("pirate", "orders", rank=3), "has the rank that its adapters have together"),
        (StackSettings(parents=[{"adapter": "orders"}, {"adapter": "pirate", "weight": 0}]), "weight 0"),
        (ShrinkSettings(adapter="pirate", rank=4), "rank 4 already"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(two, wanted, said):
    with pytest.raises(Invalid, match=said) as refused:
        adapter_jobs.queue_job(two, wanted)
    assert refused.value.field


def test_an_adapter_that_is_gone_is_not_stacked(two):
    with pytest.raises(NotFound) as refused:
        adapter_jobs.queue_job(two, stack_of("pirate", "gone"))
    assert refused.value.field == "parents.1.adapter"


def test_the_lab_works_through_the_api(two):
    with TestClient(build_app(two), base_url="http://127.0.0.1:7860") as client:
        wanted = {"kind": "shrink", "adapter": "pirate", "rank": 1, "name": "Small"}
        job = client.post("/api/v1/adapter-jobs", json=wanted).json()
        assert (job["state"], job["name"], job["settings"]["rank"]) == ("queued", "Small", 1)
        until_ended(two, job["id"])
        job = client.get(f"/api/v1/adapter-jobs/{job['id']}").json()
        assert job["state"] == "done"
        assert 0 < job["result"]["energy_lost"] < job["result"]["worst_energy_lost"] < 1
        assert (
            client.get(f"/api/v1/adapters/{job['result']['adapter']}").json()["passport"]["parents"][0]["id"]
            == "pirate"
        )
        assert client.get("/api/v1/adapter-jobs").json()["items"][0]["id"] == job["id"]
        wrong = client.post("/api/v1/adapter-jobs", json={**wanted, "kind": "stack"}).json()["error"]
        assert "parents" in wrong["problem"]
        wrong = client.post(
            "/api/v1/adapter-jobs", json={"kind": "stack", "parents": [{"adapter": "pirate", "weight": 99}]}
        ).json()["error"]
        assert wrong["field"] == "parents.0.weight"
        wrong = client.post("/api/v1/adapter-jobs", json={"kind": "stack", "parents": [{"adapter": "pirate"}]}).json()
        assert wrong["error"]["field"] == "parents"
        assert wrong["error"]["problem"] == "'parents' needs 2 entries or more, and has 1."
        assert client.post(f"/api/v1/adapter-jobs/{job['id']}/cancel").status_code == 409
        assert client.delete(f"/api/v1/adapter-jobs/{job['id']}").status_code == 204


def test_bfloat16_numbers_are_read_as_they_are(tmp_path):
    folder = write_lora(tmp_path, {"x": (8, 8)}, rank=2)
    expected = load_file(folder.weights)
    halves = {name: (value.view("<u4") >> 16).astype("<u2") for name, value in expected.items()}
    at, entries = 0, {}
    for name, value in halves.items():
        entries[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    header = json.dumps(entries).encode()
    folder.weights.write_bytes(
        struct.pack("<Q", len(header)) + header + b"".join(value.tobytes() for value in halves.values())
    )
    up, down = read_lora(folder, "half").modules["x"].factors()
    assert down == pytest.approx(expected["base_model.model.x.lora_A.weight"], rel=1 / 128)
    assert up == pytest.approx(2 * expected["base_model.model.x.lora_B.weight"], rel=1 / 128)
