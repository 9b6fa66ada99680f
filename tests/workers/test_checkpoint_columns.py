"""A checkpoint of a run answers as PEFT makes it answer, and goes on answering when the run has dropped it."""

import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM

from jobs.workers.answering import Answering
from jobs.workers.questions import Inbox, Question
from jobs.workers.with_peft import with_peft
from studio import checkpoints
from studio.columns import answerers
from studio.compare_request import Column
from studio.errors import Conflict, NotFound
from studio.files import read_json
from studio.folders import AdapterFolder, BaseModelFolder
from studio.records import BaseModel, Dataset, Run
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.workers.training_place import train_here

pytestmark = pytest.mark.training

HELLO = [{"role": "user", "content": "Tell me about your day!"}]
DRAWN = {"max_new_tokens": 12, "temperature": 0.0, "top_p": 1.0, "seed": 0}


@pytest.fixture(params=[{}, {"init": "pissa"}], ids=["LoRA", "PiSSA"])
def studio(place, request):
    """A run of ten steps has ended; those of 4 and 8 are kept."""
    assert train_here(place.queue("r1", method=request.param))["status"] == "succeeded"
    opened = Studio.open(StudioSettings(data_folder=place.data.path, device="cpu"))
    base = place.data.base_model("tiny")
    size = (base.model / "model.safetensors").stat().st_size
    facts = read_json(base.facts) | {"has_chat_template": True, "size_bytes": size}
    with opened.database.write() as session:
        named = {"id": "tiny", "name": "tiny", "source": "local", "location": "tiny"}
        session.add(BaseModel(**named, facts=facts, fingerprint=facts["fingerprint"]))
        session.add(
            Dataset(
                id="small", name="small", source="upload", file_name="a", format="a", rows=1, size_bytes=1, sha256="0"
            )
        )
        session.flush()
        session.add(Run(id="r1", name="ships", base_model="tiny", dataset="small", method="lora"))
    yield opened
    opened.database.close()


def asked(studio, step: int, owner: str = "local") -> dict:
    column = Column.model_validate({"checkpoint": {"run": "r1", "step": step}})
    return answerers(studio, "tiny", [column], owner)[1][0].asked()


def answers(answering: Answering, *columns: dict) -> list[dict]:
    events: list[dict] = []
    question = Question([{"messages": HELLO, **DRAWN, **column} for column in columns], events.append)
    answering.inbox.ask(question)
    while not question.ended.is_set():
        answering.turn()
    found = []
    for column in range(len(columns)):
        own = [event for event in events if event.get("column") == column]
        found.append({"text": "".join(event.get("text", "") for event in own), **next(e for e in own if "proof" in e)})
    return found


def by_peft(answering: Answering, folder: AdapterFolder) -> str:
    model = AutoModelForCausalLM.from_pretrained(answering.folder.model)
    prompt = torch.tensor([answering.tokenizer.prompt(HELLO)])
    with with_peft(model, folder.path) as adapted:
        settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": answering.tokenizer.stop_ids}
        written = adapted.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0, **settings)
    return answering.tokenizer.decode(written[0, prompt.shape[1] :].tolist()).rstrip("�")


def test_a_checkpoint_answers_as_peft_says_and_outlives_its_run_dropping_it(studio):
    assert checkpoints.steps_of(studio, "r1", "local") == [4, 8]
    folder = studio.data.run("r1").checkpoints()[4]
    answering = Answering(BaseModelFolder(studio.data.base_model("tiny").path), "cpu", Inbox())
    answering.load()
    expected, column = by_peft(answering, folder.adapter), asked(studio, 4)
    base, first = answers(answering, {"adapter": None}, column)
    assert first["text"] == expected
    assert first["proof"]["checkpoint"] == {"run": "r1", "step": 4}
    assert (first["proof"]["name"], first["proof"]["self_check"]) == ("ships, step 4", "equal")
    assert first["proof"]["layers_changed"] == 14
    assert (
        first["proof"]["sha256"] == read_json(folder.manifest)["files"]["adapter/adapter_model.safetensors"]["sha256"]
    )

    shutil.rmtree(folder.path)
    assert asked(studio, 4) == column
    assert answers(answering, asked(studio, 4))[0]["text"] == expected

    shutil.rmtree(studio.data.run("r1").checkpoints()[8].path)
    with pytest.raises(Conflict, match="no checkpoint of step 8 now: it keeps none") as gone:
        asked(studio, 8)
    assert gone.value.field == "columns.0.checkpoint.step"
    with pytest.raises(NotFound):
        asked(studio, 4, owner="ann")
    checkpoints.forget(studio, "r1")
    with pytest.raises(Conflict):
        asked(studio, 4)
