"""Merging as a job: the new base model answers as the adapter did, is one like any other, and leaves as a zip."""

import io
import zipfile

import pytest
import torch

pytestmark = pytest.mark.training

from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from jobs.workers import lab  # noqa: E402
from studio import adapter_job_checks, adapter_job_queue, adapter_jobs, base_models  # noqa: E402
from studio.errors import BadInput, Conflict  # noqa: E402
from studio.files import read_json, write_json  # noqa: E402
from studio.lab_settings import MergeSettings  # noqa: E402
from studio.records import JobState, ModelState  # noqa: E402
from tests.workers.tiny_models import add_tiny_adapter, add_tiny_base  # noqa: E402


@pytest.fixture
def base(studio):
    base = add_tiny_base(studio)
    facts = studio.data.base_model(base.id).facts
    write_json(facts, {**read_json(facts), "licence": "apache-2.0"})
    add_tiny_adapter(studio, base, "pirate", use_rslora=True)
    return base


def merged(studio, **settings):
    job = adapter_jobs.queue_job(studio, MergeSettings(adapter="pirate", **settings))
    adapter_job_queue.claim(studio)
    lab.main(studio.data.adapter_job(job.id))
    return adapter_job_queue.settle(studio, job)


def test_a_merged_model_answers_as_the_adapter_and_is_a_base_model_like_any_other(studio, base, tmp_path):
    job = merged(studio, name="Pirate model")
    assert (job.state, job.problem) == (JobState.DONE, None)
    assert job.result["logit_difference"] < 1e-4
    model = base_models.ready_model(studio, job.result["model"])
    assert (model.name, model.source, model.state, model.location) == (
        "Pirate model",
        "merged",
        ModelState.READY,
        "tiny tinybase with adapter pirate",
    )
    assert model.fingerprint != base.fingerprint
    assert base_models.facts_of(model).licence == "apache-2.0"
    assert base_models.facts_of(model).linear_layers == base_models.facts_of(base).linear_layers
    with zipfile.ZipFile(io.BytesIO(b"".join(base_models.zip_chunks(studio, model.id)))) as archive:
        archive.extractall(tmp_path)
    [unzipped] = tmp_path.glob("pirate-model-*")
    ids = torch.arange(20)[None] + 7
    plain = AutoModelForCausalLM.from_pretrained(studio.data.base_model(base.id).model)
    expected = PeftModel.from_pretrained(plain, studio.data.adapter("pirate").path)(ids).logits
    assert torch.allclose(AutoModelForCausalLM.from_pretrained(unzipped)(ids).logits, expected, atol=1e-4)


def test_a_merge_that_is_refused_leaves_no_model(studio, base):
    config = studio.data.adapter("pirate").config
    write_json(config, {**read_json(config), "r": 3})  # not what its weights are
    job = merged(studio)
    assert job.state is JobState.FAILED
    assert "does not fit this base model" in job.problem
    assert not studio.data.base_model(job.id).path.exists()


def test_a_merge_is_asked_for_only_where_the_disk_has_room(studio, base, monkeypatch):
    monkeypatch.setattr(adapter_job_checks, "MERGE_ROOM", 1e15)
    with pytest.raises(Conflict, match="GiB free"):
        adapter_jobs.queue_job(studio, MergeSettings(adapter="pirate"))


def test_an_adapter_of_other_weights_is_refused_before_a_job_waits(studio, base):
    write_json(studio.data.adapter("pirate").passport, {"version": 1, "base_model": {"fingerprint": "0" * 64}})
    with pytest.raises(BadInput, match="other weights"):
        adapter_jobs.queue_job(studio, MergeSettings(adapter="pirate"))


def test_only_what_the_studio_made_is_downloaded_from_it(studio, base):
    with pytest.raises(Conflict, match="not made by it"):
        base_models.zip_chunks(studio, base.id)
