"""One adapter on the model by PEFT itself: the measure of our own batch, and the way to answer where that batch would not do."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from studio.files import read_json
from studio.folders import AdapterFolder

# What PEFT says of learned prompts and of AdaLoRA's ranks, both of which it then does right
warnings.filterwarnings("ignore", "Position ids are not supported for parameter efficient tuning", UserWarning)
warnings.filterwarnings("ignore", "The following rank_pattern keys did not match", RuntimeWarning)


@contextmanager
def with_peft(model, folder: Path) -> Iterator:
    """The adapted model. Afterwards `model` is as it was, trained bias terms included, which PEFT writes over the base's own."""
    from peft import PeftModel

    biases = {name: bias.detach().clone() for name, bias in model.named_parameters() if name.endswith("bias")}
    modules = dict(model.named_modules())
    with embedding_as_long_as(model, rows_needed(folder)):
        try:
            yield PeftModel.from_pretrained(model, folder).eval()
        finally:  # after an adapter that did not fit, too
            put_back(model, modules)
            with torch.no_grad():
                for name, bias in biases.items():
                    model.get_parameter(name).copy_(bias)


def put_back(model, modules: dict[str, torch.nn.Module]) -> None:
    """Every module in its place again. (PEFT's own unload leaves there what was trained in full.)"""
    for name, module in modules.items():
        if name and model.get_submodule(name) is not module:
            model.set_submodule(name, module)
    if hasattr(model, "peft_config"):
        del model.peft_config


def rows_needed(folder: Path) -> int:
    """How many rows the embedding must have for the tokens that the adapter brings; 0 when it brings none."""
    rows = (read_json(AdapterFolder(folder).config) or {}).get("trainable_token_indices") or {}
    lists = rows.values() if isinstance(rows, dict) else [rows]
    return max((id for ids in lists for id in ids), default=-1) + 1


@contextmanager
def embedding_as_long_as(model, rows: int) -> Iterator[None]:
    """The model with an embedding of at least so many rows, for as long as it takes."""
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    if rows <= tables[0].weight.shape[0]:
        yield
        return
    before = [(table, table.weight, table.weight.data) for table in tables if table is not None]
    vocabulary = model.config.get_text_config().vocab_size
    model.resize_token_embeddings(rows, mean_resizing=False)
    try:
        yield
    finally:
        for table, weight, data in before:
            weight.data = data
            table.weight = weight
        model.set_input_embeddings(tables[0])
        if tables[1] is not None:
            model.set_output_embeddings(tables[1])
        for table, _, data in before:
            name = "num_embeddings" if isinstance(table, torch.nn.Embedding) else "out_features"
            setattr(table, name, data.shape[0])
        model.config.get_text_config().vocab_size = vocabulary
