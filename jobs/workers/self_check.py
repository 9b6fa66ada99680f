"""Self-check: the answers of a shared batch against those of the plain model and of PEFT, token for token."""

import torch

from jobs.workers.adapters_in_memory import LoadedAdapter, RowAdapters
from jobs.workers.decode import Answer, finish
from jobs.workers.with_peft import with_peft
from studio.tokens import ChatTokenizer

EQUAL = "equal"
TOKENS = 12  # compared of each answer
QUESTIONS = ("Hello!", "Please tell me in one sentence what you can do, and name three things that you like.")


def check_base(model, rows: RowAdapters, tokenizer: ChatTokenizer) -> str:
    """ "equal" when the base's rows, in one batch with prompts of other lengths, are the plain model's own greedy answers."""
    prompts = _prompts(tokenizer)
    batched = finish(model, rows, [_answer(prompt) for prompt in prompts])
    plain = [_greedy(model, prompt) for prompt in prompts]
    return _verdict([answer.ids for answer in batched], plain, "the plain base model answers")


def check_adapter(model, rows: RowAdapters, tokenizer: ChatTokenizer, adapter: LoadedAdapter) -> str:
    """ "equal" when the adapter's rows, in one batch with rows of the base, are what PEFT generates with this adapter alone."""
    prompts = _prompts(tokenizer)
    batched = finish(model, rows, [_answer(prompt, each) for prompt in prompts for each in (None, adapter)])
    with with_peft(model, adapter.folder) as adapted:
        alone = [_greedy(adapted, prompt) for prompt in prompts]
    return _verdict([answer.ids for answer in batched if answer.adapter], alone, "PEFT answers with it alone")


def _prompts(tokenizer: ChatTokenizer) -> list[list[int]]:
    if not tokenizer.has_template:
        return [tokenizer.tokenizer.encode(question).ids for question in QUESTIONS]
    return [tokenizer.prompt([{"role": "user", "content": question}]) for question in QUESTIONS]


def _answer(prompt: list[int], adapter: LoadedAdapter | None = None) -> Answer:
    return Answer(prompt, frozenset(), TOKENS, adapter)


def _greedy(model, prompt: list[int]) -> list[int]:
    ids = torch.tensor([prompt], device=model.device)
    with torch.inference_mode():
        written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False, eos_token_id=None, pad_token_id=0)
    return written[0, len(prompt) :].tolist()


def _verdict(ours: list[list[int]], plain: list[list[int]], what: str) -> str:
    for row, (mine, theirs) in enumerate(zip(ours, plain, strict=True)):
        if mine != theirs:
            token = next(i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
            return f"not equal: from token {token + 1} of test answer {row + 1} on, {what} differently"
    return EQUAL
