"""Answers of the model in training to the pinned prompts, so that a person sees it change."""

from jobs.workers.decode import Answer, finish
from studio.tokens import ChatTokenizer

MOST_NEW_TOKENS = 64


def answer_prompts(model, tokenizer: ChatTokenizer, prompts: list[list[dict]], context_length: int) -> list[tuple[str, float]]:
    """The likeliest answer of a transformers model to each prompt (messages): (text, seconds until it was there).

    A prompt that leaves no room in the context is shortened from its beginning. The model comes back in the mode it was in.
    """
    most = min(MOST_NEW_TOKENS, max(1, context_length // 2))
    stop = frozenset(tokenizer.stop_ids)
    asked = [Answer(tokenizer.prompt(messages)[-(context_length - most) :], stop, most) for messages in prompts]
    was_training = model.training
    model.eval()
    try:
        finish(model, asked)
    finally:
        model.train(was_training)
    return [(tokenizer.decode([id for id in answer.ids if id not in stop]), answer.last_at - answer.asked_at) for answer in asked]
