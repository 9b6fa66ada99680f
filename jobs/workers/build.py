"""The base model with the method's parameters added, as the first step finds it: the same in every process and after every resume."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file

from jobs.workers.load import load_base_model
from jobs.workers.new_tokens import add_to_tokenizer, give_rows
from jobs.workers.packing import Example, padded, split_for_padding
from studio.folders import AttemptFolder
from studio.methods import METHODS
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan
from studio.tokens import ChatTokenizer

START_BATCHES = 16  # of the training's own, that a start is told by


@dataclass
class Words:
    """The tokenizer of a training, and the tokens that the person had added to it."""

    folder: Path  # where it lies: the base model's folder, or the attempt's own copy
    tokenizer: ChatTokenizer
    tokens: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


def words_of(attempt: AttemptFolder, plan: TrainingPlan, base: Path) -> Words:
    """The base's tokenizer, with the plan's new tokens where there are some."""
    tokens = list(getattr(plan.method, "new_tokens", ()))
    if not tokens:
        return Words(base, ChatTokenizer.load(base))
    ids = add_to_tokenizer(base, tokens, attempt.tokenizer)
    return Words(attempt.tokenizer, ChatTokenizer.load(attempt.tokenizer), tokens, ids)


def load_model(
    plan: TrainingPlan, resolved: ResolvedPlan, folder: Path, device: torch.device, words: Words | None = None
):
    """The base from its folder with the method's untrained adapter."""
    base = load_base_model(folder, resolved.precision, device, plan.training.quantization)
    base.requires_grad_(False)
    if resolved.gradient_checkpointing and base.supports_gradient_checkpointing:
        base.activation_checkpointing_enable()
    set_seed(plan.training.seed)
    given = {}
    if words is not None and words.ids:
        give_rows(base, ChatTokenizer.load(folder), words.tokens, words.ids)
        given = {"token_ids": words.ids}
    model = METHODS[plan.method.name].add_to(plan.method, base, **given).to(device)
    return in_full_precision(model)


def in_full_precision(model):
    """What is trained is kept in fp32: steps are too small for the 8 bits of bf16. (PEFT sees to its own matrices only.)"""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data = parameter.data.float()
    return model


def set_start(attempt: AttemptFolder, plan: TrainingPlan, model, rows: Callable[[int], list[Example]]) -> bool:
    """Let the training data say what the adapter starts from, where the plan wants it. Returns whether it did.

    It is found once in a run and kept in the attempt's folder. `rows(n)` are those of optimiser step n.
    """
    method = METHODS[plan.method.name]
    if method.start_from_data is None:
        return False
    found = next((each.start for each in attempt.run.attempts() if each.start.exists()), None)
    if found is not None:
        start = load_file(found)
    else:
        start = method.start_from_data(plan.method, model, lambda: inputs_of(rows, next(model.parameters()).device))
    if not start:
        return False
    method.put_start(plan.method, model, start)
    if found is None:
        writing = attempt.path / f".start-{secrets.token_hex(4)}"
        save_file({name: tensor.cpu() for name, tensor in start.items()}, writing)
        os.replace(writing, attempt.start)  # several processes may write it: they found the same
    in_full_precision(model)
    return True


def inputs_of(rows: Callable[[int], list[Example]], device: torch.device) -> list[dict]:
    """The model's inputs for the first batches of the training, padded."""
    batches = []
    for number in range(1, START_BATCHES + 1):
        documents = [document for row in rows(number) for document in row.documents]
        for group in split_for_padding(documents, 8, 4096):
            batch = padded(group, device)
            mask = torch.ones_like(batch.input_ids) if batch.attention_mask is None else batch.attention_mask
            batches.append({"input_ids": batch.input_ids, "attention_mask": mask})
    return batches
