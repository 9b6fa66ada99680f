"""Adapters from the Hub and to it, by its real client against a stand-in: private at first, one commit, and a token that is written nowhere."""

import json
import time

import pytest
from fastapi.testclient import TestClient

from jobs import lab
from studio import adapter_jobs, adapters, base_models, hub_token
from studio.errors import Invalid, Unavailable
from studio.files import read_json
from studio.lab_settings import FetchSettings, PushSettings
from studio.records import JobState
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import build_app
from tests.hub_stand_in import COMMIT, HubStandIn, serving
from tests.lora_adapters import add_lora, write_lora

TOKEN = "hf_a-secret-that-nobody-may-keep"
PATIENCE = 120


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(HubStandIn({}, token=TOKEN)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


@pytest.fixture
def pirate(studio):
    base_models.add_builtin(studio)
    return add_lora(studio, "pirate", rank=2)


def until_ended(studio, job):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        lab.tick(studio)
        job = adapter_jobs.get_job(studio, job.id)
        if job.state not in adapter_jobs.OPEN:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job.state}: {studio.data.adapter_job(job.id).log.read_text()}")


def pushed(studio, repo="me/pirate", token=TOKEN, **more):
    return until_ended(
        studio, adapter_jobs.queue_job(studio, PushSettings(adapter="pirate", repo=repo, token=token, **more))
    )


def test_an_adapter_is_pushed_whole_and_private_and_fetched_again(studio, pirate, hub, tmp_path):
    job = pushed(studio)
    assert (job.state, job.problem) == (JobState.DONE, None)
    assert job.result == {"repo": "me/pirate", "url": f"{hub.address}/me/pirate", "commit": COMMIT, "private": True}
    assert hub.visible == {"me/pirate": False}
    files = hub.commits["me/pirate"]
    assert {"README.md", "passport.json", "adapter_config.json", "adapter_model.safetensors"} <= files.keys()
    assert files["adapter_model.safetensors"] == studio.data.adapter("pirate").weights.read_bytes()
    assert files["README.md"].startswith(b"---\n")
    assert not [path for method, path, _ in hub.asked if method == "PUT" and not path.startswith("/upload/")]
    hub.repos["me/copy"] = tmp_path / "on-the-hub"
    hub.repos["me/copy"].mkdir()
    for name, content in files.items():
        (hub.repos["me/copy"] / name).write_bytes(content)
    fetched = until_ended(studio, adapter_jobs.queue_job(studio, FetchSettings(repo="me/copy")))
    assert (fetched.state, fetched.problem) == (JobState.DONE, None)
    arrived = adapters.get_adapter(studio, fetched.result["adapter"])
    assert (arrived.sha256, arrived.source, arrived.base_model) == (pirate.sha256, "import", "builtin")
    imported = read_json(studio.data.adapter(arrived.id).passport)["imported"]
    assert (imported["repo"], imported["revision"]) == ("me/copy", COMMIT)


def test_the_token_is_nowhere_in_the_data_folder_nor_in_what_is_told(studio, pirate, hub):
    hub.refuses["/commit/"] = 403
    with TestClient(build_app(studio), base_url="http://127.0.0.1:7860") as client:
        wanted = {"kind": "push", "adapter": "pirate", "repo": "me/pirate", "token": TOKEN}
        answer = client.post("/api/v1/adapter-jobs", json=wanted, headers={"Idempotency-Key": "once"})
        assert (answer.status_code, TOKEN in answer.text, "token" in answer.json()["settings"]) == (201, False, False)
        wrong = client.post("/api/v1/adapter-jobs", json={**wanted, "private": "maybe"})
        assert (wrong.status_code, TOKEN in wrong.text) == (422, False)
    job = until_ended(studio, adapter_jobs.get_job(studio, answer.json()["id"]))
    assert (job.state, job.problem) == (JobState.FAILED, "This token may not write to me/pirate.")
    kept = [path for path in studio.data.path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []
    assert not studio.data.adapter_job(job.id).token.exists()


@pytest.mark.parametrize(
    ("faults", "token", "said"),
    [
        ({}, "hf_wrong", "does not know this token"),
        ({"/repos/create": 403}, TOKEN, "may not write to me/pirate"),
        ({"/repos/create": 404}, TOKEN, "no place me/pirate on the Hub"),
        ({"/commit/": 409}, TOKEN, "changed by somebody else"),
        ({"/upload/": 413}, TOKEN, "takes no files of this size"),
        ({"/lfs/": 402}, TOKEN, "quota"),
        ({}, None, "No token was given"),
    ],
    ids=str,
)
def test_what_the_hub_refuses_is_told_in_words(studio, pirate, hub, faults, token, said):
    hub.refuses |= faults
    job = pushed(studio, token=token)
    assert job.state is JobState.FAILED
    assert said in job.problem
    assert hub.commits == {}


def test_a_public_repository_is_not_taken_for_a_private_one(studio, pirate, hub, monkeypatch):
    hub.visible["me/pirate"] = True
    assert "everybody can see it" in pushed(studio).problem
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # the operator's
    job = pushed(studio, token=None, private=False)
    assert (job.state, job.result["private"]) == (JobState.DONE, False)


def test_without_a_network_it_is_said(studio, pirate, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    job = pushed(studio)
    assert (job.state, "The Hub cannot be reached" in job.problem) == (JobState.FAILED, True)


def test_a_token_whose_studio_was_started_anew_is_gone(tmp_path):
    hub_token.leave_place(tmp_path / "token")
    with pytest.raises(Unavailable, match="The token is gone"):
        hub_token.take(tmp_path / "token", seconds=0.1)
    hub_token.leave_place(tmp_path / "token")
    thread = hub_token.hand_over(tmp_path / "token", TOKEN)
    assert hub_token.take(tmp_path / "token") == TOKEN
    thread.join(5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README.md": "x"}, "holds no adapter_config.json"),
        ({"adapter_config.json": "{}"}, "holds no weights"),
        ({"adapter_config.json": "{}", "adapter_model.bin": "x"}, "only adapter_model.bin, which could run code"),
    ],
    ids=["no config", "no weights", "pickle"],
)
def test_a_repository_that_is_no_adapter_is_refused(studio, hub, tmp_path, files, said):
    hub.repos["me/other"] = tmp_path / "other"
    hub.repos["me/other"].mkdir()
    for name, content in files.items():
        (hub.repos["me/other"] / name).write_text(content)
    job = until_ended(studio, adapter_jobs.queue_job(studio, FetchSettings(repo="me/other")))
    assert (job.state, said in job.problem) == (JobState.FAILED, True)


def test_what_cannot_be_asked_for_is_refused_at_once(studio, pirate, tmp_path):
    with pytest.raises(Invalid, match="is not the name of a model"):
        adapter_jobs.queue_job(studio, PushSettings(adapter="pirate", repo="../me"))
    with pytest.raises(Invalid, match="That is no token"):
        adapter_jobs.queue_job(studio, PushSettings(adapter="pirate", repo="me/x", token="two words"))
    offline = Studio.open(StudioSettings(data_folder=tmp_path / "offline", hub_offline=True))
    with pytest.raises(Unavailable, match="does not contact the Hub"):
        adapter_jobs.queue_job(offline, FetchSettings(repo="me/x"))
    offline.database.close()
    assert json.dumps(PushSettings(adapter="a", repo="b", token=TOKEN).model_dump(mode="json")).count("secret") == 0


def test_an_adapter_that_fits_no_base_here_is_refused_after_it_was_fetched(studio, hub, tmp_path):
    hub.repos["me/wide"] = write_lora(tmp_path / "wide", {"model.layers.0.self_attn.q_proj": (64, 64)}).path
    job = until_ended(studio, adapter_jobs.queue_job(studio, FetchSettings(repo="me/wide")))
    assert (job.state, "fits no base model" in job.problem) == (JobState.FAILED, True)
    assert not studio.data.adapter_job(job.id).files.exists()
