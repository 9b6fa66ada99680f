"""Self-check: the answers of a shared batch against those of the plain model and of PEFT, token for token."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from jobs.workers.adapters_in_memory import LoadedAdapter, RowAdapters
from jobs.workers.decode import Answer, finish
from jobs.workers.row_updates import RowUpdate
from jobs.workers.with_peft import with_peft
from studio.tokens import ChatTokenizer

EQUAL = "equal"
EQUAL_BUT_ROUNDING = "equal up to rounding"  # two tokens were as likely as the device's numbers can tell
GOOD = (EQUAL, EQUAL_BUT_ROUNDING)
TOKENS = 12  # compared of each answer
QUESTIONS = ("Hello!", "Please tell me in one sentence what you can do, and name three things that you like.")


def check_base(model, rows: RowAdapters, tokenizer: ChatTokenizer) -> str:
    """One of GOOD when the base's rows, in one batch with prompts of other lengths, are the plain model's own greedy answers."""
    prompts = _prompts(tokenizer)
    batched = finish(model, rows, [_answer(prompt) for prompt in prompts])
    return compared(model, batched, "the plain base model")


def check_adapter(model, rows: RowAdapters, tokenizer: ChatTokenizer, adapter: LoadedAdapter) -> str:
    """One of GOOD when the adapter's rows, in one batch with rows of the base, are what PEFT generates with this adapter alone.

    The base's rows beside them must be the plain model's.
    """
    batched = finish(model, rows, [_answer(prompt, each) for prompt in _prompts(tokenizer) for each in (None, adapter)])
    base = compared(model, [answer for answer in batched if not answer.adapter], "the plain base model")
    if base not in GOOD:
        return base
    with with_peft(model, adapter.folder) as adapted:
        return compared(adapted, [answer for answer in batched if answer.adapter], "PEFT with this adapter alone")


def check_mix(model, rows: RowAdapters, tokenizer: ChatTokenizer, mix) -> str:
    """One of GOOD when the mix's rows, in one batch with rows of the base, are what the base writes when each of its modules
    adds the weighted sum of what every adapter alone would change there."""
    batched = finish(model, rows, [_answer(prompt, each) for prompt in _prompts(tokenizer) for each in (None, mix)])
    base = compared(model, [answer for answer in batched if not answer.adapter], "the plain base model")
    if base not in GOOD:
        return base
    with summed(model, [part.updates for part in mix.stack.parts], mix.weights):
        return compared(model, [answer for answer in batched if answer.adapter], "the sum of its updates")


@contextmanager
def summed(model, updates: list[dict[str, RowUpdate]], weights: list[float]) -> Iterator[None]:
    """The model as base(x) + Σ weight · (with one adapter's update alone - base(x)), module by module."""

    def adding(parts: list[tuple[float, RowUpdate]]):
        def add(module, inputs, output):
            total = output.clone()
            for weight, update in parts:
                given = update.before(inputs[0].flatten(0, -2)).view_as(inputs[0])
                alone = module.forward(given).clone() if update.turns_inputs else output.clone()
                update.add_to(alone.view(-1, alone.shape[-1]), given.flatten(0, -2))
                total += weight * (alone - output)
            return total

        return add

    parts: dict[str, list] = {}
    for weight, changed in zip(weights, updates, strict=True):
        for name, update in changed.items():
            parts.setdefault(name, []).append((weight, update))
    hooks = [model.get_submodule(name).register_forward_hook(adding(each)) for name, each in parts.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _prompts(tokenizer: ChatTokenizer) -> list[list[int]]:
    if not tokenizer.has_template:
        return [tokenizer.tokenizer.encode(question).ids for question in QUESTIONS]
    return [tokenizer.prompt([{"role": "user", "content": question}]) for question in QUESTIONS]


def _answer(prompt: list[int], adapter: LoadedAdapter | None = None) -> Answer:
    return Answer(prompt, frozenset(), TOKENS, adapter)


@torch.inference_mode()
def compared(plain, answers: list[Answer], who: str) -> str:
    """Whether `plain` alone, by transformers' own generate, writes these answers."""
    verdict = EQUAL
    for number, answer in enumerate(answers):
        ids = torch.tensor([answer.prompt], device=plain.device)
        settings = {
            "max_new_tokens": TOKENS,
            "min_new_tokens": TOKENS,
            "do_sample": False,
            "eos_token_id": None,
            "pad_token_id": 0,
        }
        written = plain.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **settings)[0].tolist()
        ours = answer.prompt + answer.ids
        if written == ours:
            continue
        place = next(place for place, (mine, theirs) in enumerate(zip(ours, written, strict=True)) if mine != theirs)
        if not _as_likely(plain, ours[:place], ours[place], written[place]):
            token = place - len(answer.prompt) + 1
            return f"not equal: at token {token} of test answer {number + 1}, {who} writes something else"
        verdict = EQUAL_BUT_ROUNDING
    return verdict


def _as_likely(plain, ids: list[int], mine: int, theirs: int) -> bool:
    """Whether both tokens are equally likely within what sums in this precision are off by."""
    logits = plain(input_ids=torch.tensor([ids], device=plain.device)).logits[0, -1]
    off_by = 8 * torch.finfo(logits.dtype).eps * float(logits.abs().max())
    return abs(float(logits[mine]) - float(logits[theirs])) <= off_by
