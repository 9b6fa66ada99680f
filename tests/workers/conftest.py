"""A tiny base model, made once for all tests, and a data folder of its own for each test that trains."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """The folder of a prepared tiny Llama: config, weights, tokenizer with a chat template."""
    from tests.workers.tiny_models import save_model_folder  # here: collecting tests must not load torch

    return save_model_folder(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def place(tmp_path, tiny_base):
    from tests.workers.training_place import training_place

    made = training_place(tmp_path, tiny_base)
    yield made
    made.close()
