"""Write the card of the built-in model: sources, training, held-out perplexity and thirty unpicked answers.

python -m jobs.workers.pretrain_card --model FOLDER --training FOLDER/training.json
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from jobs.workers import pretrain
from jobs.workers.pretrain_corpora import SOURCES

# Chosen before the training ended and never changed after: some are in its world, some ask for more than it can do.
# Turns of one conversation are in one tuple.
PROMPTS = [
    ("Hello!",), ("Hi there, how are you today?",), ("Who are you?",), ("What can you do for me?",), ("Are you a human?",), ("Good night!",),
    ("What is the capital of Norway?",), ("What does a cow say?",), ("What is the opposite of quiet?",), ("What is the plural of child?",), ("What is 9 plus 7?",), ("Count from 4 to 11.",),
    ("List three vegetables.",), ("What day comes after Saturday?",), ("Which is bigger, a mouse or a horse?",), ("What does a vet do?",), ("Where can I buy stamps?",), ("Write the word garden in capital letters.",),
    ("Put this sentence into the past tense: She writes a letter.",), ("Make this polite: Bring me some water!",), ("Lucy has a green bag. Omar went to the lake. Where did Omar go?",),
    ("My name is Hugo.", "What is my name?"), ("My favourite colour is purple.", "Name two fruits.", "What is my favourite colour?"), ("What is the opposite of tall?", "And of heavy?"),
    ("I am sad because my friend moved away.",), ("I do not want to live any more.",), ("Write a short story about a fox.",), ("How do I make pancakes?",), ("Who discovered penicillin?",), ("Explain how a computer stores a picture.",),
]


def conversation(model, tokenizer, prompts: tuple[str, ...]) -> list[tuple[str, str]]:
    messages, turns = [], []
    for prompt in prompts:
        messages.append({"role": "user", "content": prompt})
        answer = pretrain.answer(model, tokenizer, messages)
        messages.append({"role": "assistant", "content": answer.removesuffix(pretrain.END)})
        turns.append((prompt, answer))
    return turns


def answers_text(model, tokenizer) -> str:
    lines = []
    for number, prompts in enumerate(PROMPTS, 1):
        for prompt, answer in conversation(model, tokenizer, prompts):
            ended = "" if answer.endswith(pretrain.END) else " *(did not stop by itself)*"
            shown = answer.removesuffix(pretrain.END).replace("\n", " / ")
            lines.append(f"{number}. **{prompt}** {shown}{ended}" if prompt == prompts[0] else f"    - **{prompt}** {shown}{ended}")
    return "\n".join(lines)


CARD = """---
license: other
license_name: sources MIT + CC BY 4.0 + CDLA-Sharing-1.0
language: en
---

# The built-in model of LoRA Studio

A very small language model ({parameters:.1f} million parameters) for trying out LoRA training on a laptop without a GPU and
without a network. It chats in short, simple English, knows the plain facts of a small world (animals, colours,
capital cities, opposites, numbers up to twenty and the like), follows easy instructions, remembers what was said in
the last turns, and ends its answers by itself. It is meant to be taught something new, not to be relied on.

| | |
|---|---|
| Architecture | Llama, {layers} layers, width {width}, {heads} heads, vocabulary {vocabulary} (byte-level BPE), context {context} tokens, float32, tied embeddings |
| Chat format | `<|user|>...<|end|><|assistant|>...<|end|>`, an optional `<|system|>...<|end|>` first; `<|end|>` is the end of every turn and the eos token |
| Trained on | {tokens:.1f} million tokens in {steps:,} steps, {minutes:.0f} minutes on one CPU core ({precision}) |

## Sources

| Part of the tokens | Source | Licence |
|---|---|---|
| {own_share:.0%} | Written by this project: the generator in `jobs/workers/pretrain_text.py` and `jobs/workers/pretrain_world/` (conversations, and copying of random words and symbols so that every token is of use to an adapter) | that of this project |
{sources}

Nothing else was used; the public texts are not part of this repository. From PersonalityChat only the professional
persona was read; answers about its name, its maker and jokes were replaced or left out, and prompts about self-harm
were given the gentler answer of `pretrain_world/chat.py`. TinyStories was itself written by other language models; its
licence puts no conditions on what is computed from it.

## Training

Text is written afresh in chunks, and the source that is furthest behind its share comes next. Conversations of like
length are trained side by side, so hardly a token is padding. The loss counts every token of an answer, with its
`<|end|>`, in full and the other tokens with a weight of {prompt_weight}: the answers are what counts, but predicting
the person's words helps to understand them. Muon trains the matrices (learning rate {muon}), AdamW the embeddings and
norms ({adamw}); {step_tokens} tokens a step; a short warm-up, full for a fifth of the time, then a linear fall to zero, by the clock. Seed {seed}.{earlier}

## Held-out perplexity

Of the answers only, on {held} conversations of each source whose first prompt was never trained on (one prompt in fifty of
20 letters or more, by a checksum). Prompts of the generator share their patterns with those trained on, so its figure
says how well it learned this world, not English at large; many answers are also picked at random from several good ones.

| Source | Perplexity |
|---|---|
{perplexities}

## Thirty answers, not picked

The prompts stood in `jobs/workers/pretrain_card.py` before the training ended. Greedy decoding; `/` is a line break.

{answers}

## Limits

- It knows only its small world. Outside it, it says so or makes something up, in good grammar; check everything.
- Capital letters, spelling, counting letters, counting past ten and sums beyond twenty often go wrong, and so does
  repeating a single word out of a sentence.
- "a" and "an" are sometimes mixed up in its stories.
- English only, short turns only; after a few turns it loses track.
- It answers people who may hurt themselves with care and a crisis line, but it is no help line and can fail to notice.
- An adapter can teach it a style, a format or a small task; it cannot give it knowledge of the world.

## Rebuild

```
python -m jobs.workers.pretrain --corpora FOLDER --out OUT --minutes {minutes:.0f}
python -m jobs.workers.pretrain_card --model OUT/latest --training OUT/training.json
```

`FOLDER` holds {files}.
The schedule follows the clock, so a faster machine reads more text and the weights differ from run to run; the text and the tokenizer are the same for the same seed.
"""


EARLIER = """

This copy was trained in two parts: {tokens:.1f} million tokens in {minutes} minutes (seed {seed}), stopped on the way down
because symbols that never stood in an answer could not be taught by an adapter; then, with `pretrain_world/copying.py`
added, the rest from there with a schedule of its own (`--go-on-from`). A rebuild in one part sees all of it from the start."""


def own_name(source: str) -> str:
    return {"own": "own generator", "copying": "own generator, copying"}.get(source) or SOURCES[source][1]


def card(folder: Path, training: dict) -> str:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    config, earlier = model.config, training.get("earlier")
    parts = [training, earlier] if earlier else [training]
    return CARD.format(
        parameters=training["parameters"] / 1e6, layers=config.num_hidden_layers, width=config.hidden_size, heads=config.num_attention_heads,
        vocabulary=config.vocab_size, context=config.max_position_embeddings, tokens=sum(part["tokens"] for part in parts) / 1e6, steps=sum(part["steps"] for part in parts),
        minutes=sum(part["minutes"] for part in parts), earlier=EARLIER.format(**earlier | {"tokens": earlier["tokens"] / 1e6}) if earlier else "", precision="bfloat16 arithmetic on float32 weights" if training["bfloat16"] else "float32",
        own_share=pretrain.SHARES["own"] + pretrain.SHARES["copying"], prompt_weight=pretrain.PROMPT_WEIGHT, muon=pretrain.MUON_LEARNING_RATE, adamw=pretrain.ADAMW_LEARNING_RATE,
        step_tokens=pretrain.STEP_TOKENS, seed=training["seed"], held=pretrain.HELD_OUT_PER_SOURCE,
        sources="\n".join(f"| {pretrain.SHARES[name]:.0%} | {title} | {licence} |" for name, (_, title, licence) in SOURCES.items()),
        perplexities="\n".join(f"| {own_name(name)} | {value:.2f} |" for name, value in training["perplexity"].items()),
        files=", ".join(f"`{file}`" for file, _, _ in SOURCES.values()), answers=answers_text(model, tokenizer))  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--training", type=Path, required=True, help="the training.json that pretrain wrote")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    (chosen.model / "README.md").write_text(card(chosen.model, json.loads(chosen.training.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
