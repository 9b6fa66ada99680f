"""Answers of the model in training to the pinned prompts, so that a person sees it change."""

import time
from collections.abc import Sequence

import torch

from jobs.workers.adapters_in_memory import RowAdapters
from jobs.workers.decode import Answer, finish
from jobs.workers.engine import Engine
from jobs.workers.fronts import Front
from studio.tokens import ChatTokenizer

MOST_NEW_TOKENS = 64


def answer_prompts(
    engine: Engine,
    tokenizer: ChatTokenizer,
    prompts: list[list[int]],
    context_length: int,
    most_tokens: Sequence[int] | None = None,
) -> list[tuple[str, float]]:
    """The likeliest answer of the model in training to each prompt (token ids): (text, seconds it took).

    All are written at once where the engine knows that the model keeps rows apart. `most_tokens` of each answer, so that
    none is longer for its company; MOST_NEW_TOKENS where it is not given. A prompt that leaves no room in the
    context is shortened from its beginning. The model comes back in the mode it was in.
    """
    was_training = engine.model.training
    engine.model.eval()
    try:
        with torch.no_grad():
            front = engine.prompt.front()
            room = context_length - (front.tokens if front else 0)
            wanted = most_tokens or [MOST_NEW_TOKENS] * len(prompts)
            most = [min(each, max(1, room // 2)) for each in wanted]
            asked = [(ids[-(room - each) :], each) for ids, each in zip(prompts, most, strict=True)]
            if engine.packs:
                found = at_once(engine.causal, front, tokenizer, asked)
            else:
                plain = engine.model if front else engine.causal
                found = [alone(plain, tokenizer, *each) for each in asked]
    finally:
        engine.model.train(was_training)
    stop = set(tokenizer.stop_ids)
    return [(tokenizer.decode([id for id in ids if id not in stop]), seconds) for ids, seconds in found]


def at_once(
    model, front: Front | None, tokenizer: ChatTokenizer, asked: list[tuple[list[int], int]]
) -> list[tuple[list[int], float]]:
    """`asked`: each prompt, and the most tokens of its answer."""
    stop = frozenset(tokenizer.stop_ids)
    written = finish(model, RowAdapters(model), [Answer(ids, stop, most, front=front) for ids, most in asked])
    return [(answer.ids, answer.last_at - answer.asked_at) for answer in written]


def alone(model, tokenizer: ChatTokenizer, ids: list[int], most: int) -> tuple[list[int], float]:
    """By transformers' own generate, or PEFT's where the model has a prompt in front."""
    began = time.monotonic()
    given = torch.tensor([ids], device=model.device)
    made = model.generate(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=tokenizer.stop_ids or None,
        pad_token_id=0,
    )
    return made[0, len(ids) :].tolist(), time.monotonic() - began
