"""Answers of the model in training to the pinned prompts, so that a person sees it change."""

import time

import torch

from jobs.workers.adapters_in_memory import RowAdapters
from jobs.workers.decode import Answer, finish
from studio.tokens import ChatTokenizer

MOST_NEW_TOKENS = 64


def answer_prompts(
    model, tokenizer: ChatTokenizer, prompts: list[list[int]], context_length: int, together: bool
) -> list[tuple[str, float]]:
    """The likeliest answer of a transformers model to each prompt (token ids): (text, seconds it took).

    `together` computes all of them at once, for models that are known to keep rows apart. A prompt that leaves no room
    in the context is shortened from its beginning. The model comes back in the mode it was in.
    """
    most = min(MOST_NEW_TOKENS, max(1, context_length // 2))
    asked = [ids[-(context_length - most) :] for ids in prompts]
    was_training = model.training
    model.eval()
    try:
        found = (
            at_once(model, tokenizer, asked, most)
            if together
            else [alone(model, tokenizer, ids, most) for ids in asked]
        )
    finally:
        model.train(was_training)
    stop = set(tokenizer.stop_ids)
    return [(tokenizer.decode([id for id in ids if id not in stop]), seconds) for ids, seconds in found]


def at_once(model, tokenizer: ChatTokenizer, asked: list[list[int]], most: int) -> list[tuple[list[int], float]]:
    written = finish(model, RowAdapters(model), [Answer(ids, frozenset(tokenizer.stop_ids), most) for ids in asked])
    return [(answer.ids, answer.last_at - answer.asked_at) for answer in written]


def alone(model, tokenizer: ChatTokenizer, ids: list[int], most: int) -> tuple[list[int], float]:
    began = time.monotonic()
    given = torch.tensor([ids], device=model.device)
    stop = tokenizer.stop_ids or None
    with torch.no_grad():
        made = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=stop,
            pad_token_id=0,
        )
    return made[0, len(ids) :].tolist(), time.monotonic() - began
