"""Downloads from the Hub: a background job with progress, resumed where it broke off, and told in words."""

import os
import shutil
import signal
import time

import pytest

from jobs import downloads
from studio import base_models, hub
from studio.errors import Conflict, Invalid, Unavailable
from studio.records import ModelState
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.hub_stand_in import COMMIT, HubStandIn, serving
from tests.model_folders import tiny_llama

REPO = "someone/tiny-llama"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    source = tiny_llama(tmp_path / "on-the-hub", hidden=256)
    with serving(HubStandIn({REPO: source})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "300")  # a transfer that is held does not end by itself
        yield server


def until(studio, id, *states, seconds=300):
    """Tick as the runner does until the model is in one of the states."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        downloads.tick(studio)
        model = base_models.get_model(studio, id)
        if model.state in states:
            return model
        time.sleep(0.05)
    log = studio.data.base_model(id).download_log
    raise AssertionError(f"{model.state} for {seconds} seconds\n{log.read_text() if log.exists() else ''}")


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_model_from_the_hub_becomes_ready_with_the_commit_it_came_from(studio, stand_in):
    model = base_models.add_hub(studio, REPO)
    assert (model.state, model.revision) == (ModelState.QUEUED, "main")
    ready = until(studio, model.id, ModelState.READY, ModelState.FAILED)
    assert (ready.state, ready.problem, ready.revision) == (ModelState.READY, None, COMMIT)
    assert base_models.facts_of(base_models.ready_model(studio, model.id)).hidden_size == 256
    assert ready.bytes_done == ready.bytes_total > 0
    assert not studio.data.base_model(model.id).files.exists()


def test_only_the_files_that_are_needed_are_fetched(studio, stand_in):
    for name in (
        "pytorch_model.bin",
        "model.onnx",
        "consolidated.safetensors",
        "training_args.bin",
        "run.py",
        "vocab.json",
    ):
        (stand_in.repos[REPO] / name).write_bytes(b"x" * 100)
    until(studio, base_models.add_hub(studio, REPO).id, ModelState.READY)
    fetched = {path.rpartition("/")[2] for method, path, _ in stand_in.asked if method == "GET" and "/resolve/" in path}
    assert fetched == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }


def test_a_transfer_that_breaks_off_goes_on_where_it_was(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1_500_000]
    until(studio, base_models.add_hub(studio, REPO).id, ModelState.READY)
    ranges = [asked for method, path, asked in stand_in.asked if method == "GET" and path.endswith("model.safetensors")]
    assert ranges == [None, "bytes=1048576-"]


def test_a_download_whose_process_is_killed_goes_on_where_it_was(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1_500_000]
    stand_in.hold.clear()
    model = base_models.add_hub(studio, REPO)
    downloads.tick(studio)
    folder = studio.data.base_model(model.id)
    wait_for(lambda: any(path.stat().st_size >= 1 << 20 for path in folder.path.rglob("*.part")))
    wait_for(lambda: until(studio, model.id, ModelState.DOWNLOADING).bytes_done >= 1 << 20)
    os.kill(base_models.get_model(studio, model.id).pid, signal.SIGKILL)
    stand_in.hold.set()
    until(studio, model.id, ModelState.READY)
    ranges = [asked for method, path, asked in stand_in.asked if method == "GET" and path.endswith("model.safetensors")]
    assert ranges == [None, "bytes=1048576-"]


def test_a_download_outlives_its_runner_and_is_settled_by_the_next(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1_500_000]
    stand_in.hold.clear()
    model = base_models.add_hub(studio, REPO)
    downloads.tick(studio)
    pid = base_models.get_model(studio, model.id).pid
    downloads._started[model.id].returncode = 0  # the runner is gone: nobody collects its child
    downloads._started.clear()
    downloads.tick(studio)
    assert base_models.get_model(studio, model.id).pid == pid  # watched, not started again
    stand_in.hold.set()
    assert until(studio, model.id, ModelState.READY).fingerprint


def test_a_second_process_for_the_same_model_ends_at_once(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1_500_000]
    stand_in.hold.clear()
    model = base_models.add_hub(studio, REPO)
    downloads.tick(studio)
    folder = studio.data.base_model(model.id)
    wait_for(lambda: any(folder.path.rglob("*.part")))
    assert hub.start_download(folder).wait(300) == 0
    stand_in.hold.set()
    until(studio, model.id, ModelState.READY)


def test_a_damaged_file_is_not_taken(studio, stand_in):
    stand_in.wrong_sha256.add("model.safetensors")
    model = until(studio, base_models.add_hub(studio, REPO).id, ModelState.FAILED)
    assert "model.safetensors arrived damaged" in model.problem
    stand_in.wrong_sha256.clear()
    base_models.retry_download(studio, model.id)
    assert until(studio, model.id, ModelState.READY, ModelState.FAILED).problem is None


def test_a_model_that_is_not_there_or_not_for_us_is_told_in_words(studio, stand_in):
    stand_in.repos["someone/gated"] = stand_in.repos[REPO]
    stand_in.gated = ("someone/gated",)
    for repo, revision, said in [
        ("someone/nothing", "main", "There is no model someone/nothing"),
        ("someone/gated", "main", "gated"),
        (REPO, "v9", "no revision 'v9'"),
    ]:
        model = until(studio, base_models.add_hub(studio, repo, revision).id, ModelState.FAILED)
        assert said in model.problem
        with pytest.raises(Conflict, match=said):
            base_models.ready_model(studio, model.id)


def test_a_gated_model_comes_with_the_persons_token(studio, stand_in, monkeypatch):
    stand_in.gated, stand_in.token = (REPO,), "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert until(studio, base_models.add_hub(studio, REPO).id, ModelState.READY)


def test_weights_that_are_only_a_pickle_are_not_even_fetched(studio, stand_in):
    (stand_in.repos[REPO] / "model.safetensors").rename(stand_in.repos[REPO] / "pytorch_model.bin")
    model = until(studio, base_models.add_hub(studio, REPO).id, ModelState.FAILED)
    assert "only pytorch_model.bin, and no safetensors" in model.problem
    assert not [path for _, path, _ in stand_in.asked if "/resolve/" in path]


def test_a_model_that_is_refused_when_looked_at_fails_with_its_reason(studio, stand_in):
    (stand_in.repos[REPO] / "tokenizer.json").unlink()
    model = until(studio, base_models.add_hub(studio, REPO).id, ModelState.FAILED)
    assert "no tokenizer.json" in model.problem


def test_a_hub_that_cannot_be_reached_fails_and_can_be_retried(studio, stand_in, monkeypatch):
    address = os.environ["HF_ENDPOINT"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    model = until(studio, base_models.add_hub(studio, REPO).id, ModelState.FAILED)
    assert "cannot be reached" in model.problem
    monkeypatch.setenv("HF_ENDPOINT", address)
    base_models.retry_download(studio, model.id)
    until(studio, model.id, ModelState.READY)
    with pytest.raises(Conflict, match="nothing to retry"):
        base_models.retry_download(studio, model.id)


def test_deleting_a_model_ends_its_download_and_leaves_nothing(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1_500_000]
    stand_in.hold.clear()
    model = base_models.add_hub(studio, REPO)
    downloads.tick(studio)
    folder, pid = studio.data.base_model(model.id), base_models.get_model(studio, model.id).pid
    wait_for(lambda: any(folder.path.rglob("*.part")))
    base_models.delete_model(studio, model.id)
    assert hub.download_process(folder, pid) is None
    assert list(folder.path.parent.iterdir()) == []
    downloads.tick(studio)


def test_two_downloads_run_at_once_and_the_third_waits(studio, stand_in):
    stand_in.break_off["model.safetensors"] = [1000, 1000, 1000]
    stand_in.hold.clear()
    ids = [base_models.add_hub(studio, REPO).id for _ in range(3)]
    downloads.tick(studio)
    assert [base_models.get_model(studio, id).state for id in ids] == [
        ModelState.DOWNLOADING,
        ModelState.DOWNLOADING,
        ModelState.QUEUED,
    ]
    stand_in.hold.set()
    for id in ids:
        until(studio, id, ModelState.READY)


@pytest.mark.parametrize("repo", ["", "../x", "a/b/c", "a b", "-x/y", "a\nb/c", "a/..", "a\0b", "x" * 200, "ü/ä"])
def test_names_that_the_hub_cannot_have_are_refused(studio, repo):
    with pytest.raises(Invalid, match="not the name of a model"):
        base_models.add_hub(studio, repo)


def test_the_address_of_a_models_page_is_taken_as_its_name(studio):
    assert base_models.add_hub(studio, "https://huggingface.co/someone/model-1.5/").location == "someone/model-1.5"
    assert base_models.add_hub(studio, "gpt2").location == "gpt2"


@pytest.mark.parametrize("revision", ["../x", "a b", "-x", "x" * 101, "a\nb"])
def test_revisions_that_cannot_be_are_refused(studio, revision):
    with pytest.raises(Invalid, match="not a revision"):
        base_models.add_hub(studio, REPO, revision)


def test_a_studio_that_stays_offline_adds_nothing_from_the_hub(tmp_path):
    offline = Studio.open(StudioSettings(data_folder=tmp_path, hub_offline=True))
    with pytest.raises(Unavailable, match="does not contact the Hub"):
        base_models.add_hub(offline, REPO)
    offline.database.close()


def test_a_full_disk_is_told_before_anything_is_fetched(studio, stand_in, monkeypatch):
    from jobs.workers import download

    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(Unavailable, match="are free on the disk"):
        download.check_disk(studio.data.path, 5)


@pytest.mark.parametrize("name", ["model-/../../x-00001-of-00001.safetensors", "model-a/b-00001-of-00001.safetensors"])
def test_a_shard_whose_name_leads_into_another_folder_is_not_one_that_is_needed(name):
    from jobs.workers.download import needed

    plain = "model-00001-of-00001.safetensors"
    assert set(needed("owner/name", dict.fromkeys([plain, name, "config.json"]))) == {plain, "config.json"}
