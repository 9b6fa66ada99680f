"""A studio whose chat worker only repeats (tests/stub_chat_worker.py): base models, adapters and people without a file of weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from studio import chat
from studio.files import write_json
from studio.model_facts import ModelFacts
from studio.records import Adapter, BaseModel, Person
from studio.settings import StudioSettings
from studio.studio import Studio


@contextmanager
def studio_that_repeats(folder: Path) -> Iterator[Studio]:
    """A studio with base models, adapters of two people and a chat worker that only repeats."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat, "MODULE", "tests.stub_chat_worker")
        opened = Studio.open(StudioSettings(data_folder=folder, device="cpu"))
        add_base(opened, "small")
        add_base(opened, "other")
        add_base(opened, "untold", has_chat_template=False)
        with opened.database.write() as session:
            session.add(Person(id="ann", name="Ann"))
        for id, base, owner in (
            ("pirate", "small", "local"),
            ("judge", "small", "local"),
            ("foreign", "other", "local"),
            ("hers", "small", "ann"),
        ):
            add_adapter(opened, id, base, owner)
        yield opened
        chat.stop_worker(opened)
        opened.database.close()


def add_base(studio, id, has_chat_template=True):
    folder = studio.data.base_model(id).create()
    folder.model.mkdir()
    (folder.model / "model.safetensors").write_bytes(b"weights!")
    facts = ModelFacts(
        architecture="LlamaForCausalLM", model_type="llama", parameters=2, layers=1, hidden_size=1, intermediate_size=1, heads=1, kv_heads=1, vocabulary=2,
        context_length=64, dtype="float32", tied_embeddings=True, linear_layers=[], has_chat_template=has_chat_template, size_bytes=8, fingerprint=f"print of {id}",
    )  # fmt: skip
    write_json(folder.facts, facts.model_dump())
    with studio.database.write() as session:
        session.add(
            BaseModel(
                id=id,
                name=f"The {id} one",
                source="local",
                location=id,
                fingerprint=facts.fingerprint,
                facts=facts.model_dump(),
            )
        )


def add_adapter(studio, id, base, owner):
    with studio.database.write() as session:
        session.add(
            Adapter(id=id, owner=owner, name=id.title(), base_model=base, method="lora", size_bytes=1, sha256="0" * 64)
        )
