"""Prompted training: what a method puts in front of every row, as virtual tokens or as cached keys and values, given to the base itself.

PEFT adds a prompt in PeftModel.forward, which computes every logit of every row. The engine asks the base's decoder
instead, so the prompt is added here, and `Engine.choose` compares the result with PEFT's own.
"""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from jobs.workers.fronts import EmbeddedFront, Front, PrefixFront, keys_and_values
from jobs.workers.packing import Example, MicroBatch


class NoPrompt:
    """Nothing stands in front of a row."""

    slots = 0
    """Tokens in front of each row's own, in what is computed."""
    packs = True
    """Whether rows with this prompt can share a sequence."""

    def __init__(self, model):
        self.model = model
        self.on = True

    @contextmanager
    def off(self):
        """The base as it is without the prompt. Micro-batches made inside are for the inside only."""
        self.on = False
        try:
            yield
        finally:
            self.on = True

    def in_front_of(self, example: Example) -> Example:
        """The row with slots for the prompt, which are not learned from."""
        return example

    def added_to(self, given: dict, batch: MicroBatch) -> dict:
        """The base's inputs `given` for this batch, with the prompt among them; its gradients are kept."""
        return given

    def front(self) -> Front | None:
        """The prompt as it stands now, for answering."""
        return None


class EmbeddedPrompt(NoPrompt):
    """Prompt tuning and p-tuning: learned embeddings in place of those of the first tokens, so rows are packed as ever."""

    @property
    def slots(self) -> int:
        return self.model.active_peft_config.num_virtual_tokens if self.on else 0

    def in_front_of(self, example: Example) -> Example:
        if not self.on:
            return example
        ids = np.concatenate([np.zeros(self.slots, example.ids.dtype), example.ids])
        trained = np.concatenate([np.zeros(self.slots + 1, bool), example.trained[1:]])
        return replace(example, ids=ids, trained=trained)  # a row's first token is never learned, with a prompt neither

    def added_to(self, given: dict, batch: MicroBatch) -> dict:
        if not self.on:
            return given
        words = self.model.word_embeddings(batch.input_ids)
        slots = (batch.position_ids < self.slots).nonzero(as_tuple=True)  # row by row, each in its own order
        prompt = self._embeddings().to(words.dtype)
        given["inputs_embeds"] = words.index_put(slots, prompt.repeat(len(slots[0]) // self.slots, 1))
        del given["input_ids"]
        return given

    def _embeddings(self) -> torch.Tensor:
        return self.model.get_prompt(batch_size=1)[0]

    def front(self) -> Front | None:
        return EmbeddedFront(self._embeddings().detach()) if self.on else None


class Prefix(NoPrompt):
    """Prefix tuning: learned keys and values that every layer finds in its cache before the row's first token."""

    packs = False

    def added_to(self, given: dict, batch: MicroBatch) -> dict:
        if not self.on:
            return given
        rows, count = len(batch.input_ids), self.model.active_peft_config.num_virtual_tokens
        if given["attention_mask"] is not None:
            given["attention_mask"] = torch.nn.functional.pad(given["attention_mask"], (count, 0), value=1)
        if "position_ids" in given:
            given["position_ids"] = given["position_ids"] + count
        given["past_key_values"] = self.model.get_prompt(batch_size=rows)
        return given

    def front(self) -> Front | None:
        return PrefixFront(keys_and_values(self.model.get_prompt(batch_size=1))) if self.on else None


def prompt_of(model) -> NoPrompt:
    """How this model's adapter stands in front of its rows; `model` may be any transformers or PEFT model."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return NoPrompt(model)
    return (Prefix if config.peft_type == "PREFIX_TUNING" else EmbeddedPrompt)(model)
