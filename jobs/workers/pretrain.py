"""Train the small base model that ships with the studio: text, tokenizer, model, loop, save.

python -m jobs.workers.pretrain --corpora FOLDER --out FOLDER --minutes 90
"""

import argparse
import json
import math
import random
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from jobs.workers import pretrain_corpora
from jobs.workers.pretrain_text import Conversation, as_messages, stream
from jobs.workers.pretrain_world import copying

CONTEXT_TOKENS = 512
VOCABULARY = 4096
STEP_TOKENS = 4096
MICRO_BATCH_TOKENS = 2048  # activations of one piece stay near the CPU's caches
CHUNK_TOKENS = 120 * STEP_TOKENS  # text is written, cut by length and forgotten in chunks
MUON_LEARNING_RATE, ADAMW_LEARNING_RATE = 4e-3, 3e-3
SHARES = {"own": 0.77, "copying": 0.08, "chitchat": 0.10, "coffee": 0.02, "stories": 0.03}  # of the tokens

# ---- text: our own stream, with the public corpora mixed in by tokens


def held_out(messages: Conversation) -> bool:
    """One prompt in fifty is never trained on. Short ones are: everybody says hello the same way."""
    prompt = next(m["content"] for m in messages if m["role"] == "user").lower().strip(" .?!")
    return len(prompt) >= 20 and zlib.crc32(prompt.encode()) % 50 == 0


def shuffled_for_ever(conversations: list[Conversation], seed: int) -> Iterator[Conversation]:
    rng = random.Random(seed)
    while True:
        yield from rng.sample(conversations, len(conversations))


def written_words(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The tokens that are whole words or pieces of them, as text."""
    texts = (tokenizer.decode([token]).strip() for token in range(len(ROLE_TOKENS) + 2, len(tokenizer)))
    return sorted({text for text in texts if text.isprintable() and text and "\ufffd" not in text})


def sources(corpora: Path, seed: int, tokenizer: PreTrainedTokenizerFast) -> dict[str, Iterator[Conversation]]:
    public = pretrain_corpora.read_all(corpora)
    copies = (as_messages(turns) for turns in copying.stream_of(written_words(tokenizer), seed))
    return {"own": stream(seed), "copying": copies} | {
        name: shuffled_for_ever(rows, seed) for name, rows in public.items()
    }


def training_text(
    streams: dict[str, Iterator[Conversation]], tokens_of, wanted: bool = False
) -> Iterator[tuple[str, list]]:
    """Endless encoded conversations; the source that is furthest behind its share comes next."""
    seen = dict.fromkeys(streams, 0)
    while True:
        name = min(streams, key=lambda source: seen[source] / SHARES[source])
        batch = [c for c in (next(streams[name]) for _ in range(32)) if held_out(c) == wanted]
        for encoded in tokens_of(batch):
            seen[name] += len(encoded[0])
            yield name, encoded


# ---- tokenizer: byte-level BPE, one token to end every turn

ROLE_TOKENS = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
PAD, END = "<|pad|>", "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + (message['content'] | trim) + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(corpora: Path, seed: int) -> PreTrainedTokenizerFast:
    own = stream(seed)
    texts = (m["content"] for _ in range(60_000) for m in next(own))
    public = (
        m["content"]
        for rows in pretrain_corpora.read_all(corpora).values()
        for conversation in rows
        for m in conversation
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, *ROLE_TOKENS.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for part in (texts, public) for text in part), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


PROMPT_WEIGHT = 0.2  # the answers are what counts, but reading the person's words helps to understand them


def encoder(tokenizer: PreTrainedTokenizerFast):
    """Conversations to (token ids, loss weight of each token), as the chat template writes them."""
    roles = {role: tokenizer.convert_tokens_to_ids(token) for role, token in ROLE_TOKENS.items()}
    backend, end = tokenizer.backend_tokenizer, tokenizer.eos_token_id

    def tokens_of(conversations: list[Conversation]) -> list[tuple[list[int], list[float]]]:
        texts = backend.encode_batch([m["content"].strip() for c in conversations for m in c], add_special_tokens=False)
        encoded, turn = [], iter(texts)
        for conversation in conversations:
            ids, weights = [], []
            for message in conversation:
                body = next(turn).ids + [end]
                ids += [roles[message["role"]]] + body
                weights += [PROMPT_WEIGHT] + [1.0 if message["role"] == "assistant" else PROMPT_WEIGHT] * len(body)
            if len(ids) <= CONTEXT_TOKENS:
                encoded.append((ids, weights))
        return encoded

    return tokens_of


# ---- model


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
    )  # for short texts on a CPU: sdpa's backward takes 1.6 times as long
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_new_tokens=200, do_sample=False
    )
    return model


def loss_sum(model: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy, summed. Padding is on the right, so the causal mask alone hides it."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    logits = (
        F.linear(hidden, model.lm_head.weight).flatten(0, 1).float()
    )  # all of them: picking the few that count costs more in the backward
    return (F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="none") * weights[:, 1:].flatten()).sum()


# ---- loop


def has_fast_bfloat16() -> bool:
    """Without these units bfloat16 on a CPU is many times slower than float32; with them it is twice as fast."""
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and any(flag in cpu.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def padded(documents: list, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in documents)
    return (
        torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in documents]),
        torch.tensor([weights + [0.0] * (width - len(weights)) for _, weights in documents]),
    )


def micro_batches(documents: list, pad: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Documents of like length side by side, so that hardly a token is padding."""
    pieces, piece = [], []
    for document in sorted(documents, key=lambda d: len(d[0])):
        if piece and len(document[0]) * (len(piece) + 1) > MICRO_BATCH_TOKENS:
            pieces.append(padded(piece, pad))
            piece = []
        piece.append(document)
    return pieces + [padded(piece, pad)] if piece else pieces


def steps(text: Iterator, pad: int, seed: int) -> Iterator[list]:
    rng = random.Random(seed)
    while True:
        documents, tokens = [], 0
        while tokens < CHUNK_TOKENS:
            documents.append(next(text)[1])
            tokens += len(documents[-1][0])
        pieces = micro_batches(documents, pad)
        rng.shuffle(pieces)
        per_step = STEP_TOKENS // MICRO_BATCH_TOKENS
        yield from (pieces[i : i + per_step] for i in range(0, len(pieces) - per_step + 1, per_step))


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(
            matrices, lr=MUON_LEARNING_RATE, momentum=0.95, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=ADAMW_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(progress: float) -> float:
    """Warm up for a fiftieth of the time, hold for a fifth, then fall to zero: by the clock, so it ends on time on a busy machine."""
    return min(progress / 0.02, 1.0, (1.0 - progress) / 0.8) if progress < 1 else 0.0


@torch.no_grad()
def perplexities(model: LlamaForCausalLM, held: dict[str, list], pad: int) -> dict[str, float]:
    """Of the answers alone, for prompts that were never trained on."""
    model.eval()
    result = {}
    for name, documents in held.items():
        total, tokens = 0.0, 0
        for ids, weights in micro_batches(
            [(ids, [float(w == 1.0) for w in weights]) for ids, weights in documents], pad
        ):
            total += loss_sum(model, ids, weights).item()
            tokens += int(weights[:, 1:].sum())
        result[name] = math.exp(total / tokens)
    model.train()
    return result


HELD_OUT_PER_SOURCE = 200


def held_out_documents(
    corpora: Path, tokenizer: PreTrainedTokenizerFast, per_source: int = HELD_OUT_PER_SOURCE
) -> dict[str, list]:
    tokens_of = encoder(tokenizer)
    streams, held = sources(corpora, 2, tokenizer), {name: [] for name in SHARES}
    for name, rows in streams.items():
        looked = (next(rows) for _ in range(per_source * 400))
        for conversation in looked:
            if held_out(conversation) and len(held[name]) < per_source:
                held[name] += tokens_of([conversation])
            if len(held[name]) >= per_source:
                break
    return held


SAMPLES = [
    "Hello!",
    "Who are you?",
    "What is the capital of Italy?",
    "What is 7 plus 5?",
    "Name three animals.",
    "I feel sad today.",
    "What is the opposite of hot?",
    "What can I cook tonight?",
]


def answer(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, messages: Conversation) -> str:
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        ids = model.generate(**prompt, max_new_tokens=120)
    return tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=False)


def train(
    model, tokenizer, corpora: Path, out: Path, minutes: float, save_minutes: float, seed: int, earlier: dict | None
) -> None:
    tokens_of, pad = encoder(tokenizer), tokenizer.pad_token_id
    held = held_out_documents(corpora, tokenizer)
    batches = steps(training_text(sources(corpora, seed, tokenizer), tokens_of), pad, seed)
    both, bfloat16 = optimizers(model), has_fast_bfloat16()
    facts = {
        "minutes": minutes,
        "parameters": sum(p.numel() for p in model.parameters()),
        "bfloat16": bfloat16,
        "steps": 0,
        "tokens": 0,
        "seed": seed,
        "earlier": earlier,
    }
    started, running = time.monotonic(), None
    next_save = min(4.0, save_minutes)
    while True:
        elapsed = (time.monotonic() - started) / 60
        if elapsed >= minutes:
            break
        step = next(batches)
        total = sum(float(weights[:, 1:].sum()) for _, weights in step)
        loss = 0.0
        for ids, weights in step:
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                part = loss_sum(model, ids, weights) / total
            part.backward()
            loss += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("full_lr", group["lr"]) * schedule(elapsed / minutes)
            optimizer.step()
            optimizer.zero_grad()
        facts["steps"] += 1
        facts["tokens"] += sum(int((weights > 0).sum()) for _, weights in step)
        running = loss if running is None else 0.95 * running + 0.05 * loss
        if facts["steps"] % 20 == 0:
            print(
                f"minute {elapsed:5.1f} step {facts['steps']:5d} tokens {facts['tokens'] / 1e6:6.2f}M loss {running:.3f} {facts['tokens'] / elapsed / 60:.0f}/s",
                flush=True,
            )
        if elapsed >= next_save:
            next_save += save_minutes
            report(
                model, tokenizer, {name: documents[:40] for name, documents in held.items()}, facts, out
            )  # a glance; the whole at the end
    report(model, tokenizer, held, facts, out)


# ---- save


def report(model, tokenizer, held: dict, facts: dict, out: Path) -> None:
    facts["perplexity"] = {
        name: round(value, 3) for name, value in perplexities(model, held, tokenizer.pad_token_id).items()
    }
    print("held-out perplexity", facts["perplexity"], flush=True)
    model.eval()
    for prompt in SAMPLES:
        print("   ", prompt, "->", answer(model, tokenizer, [{"role": "user", "content": prompt}]), flush=True)
    model.train()
    save(model, tokenizer, out / "latest")
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(
        folder, save_jinja_files=False
    )  # the template belongs in tokenizer_config.json: one file less to lose
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {
        "tokenizer_class": "PreTrainedTokenizerFast"
    }  # transformers 4 does not know the new name
    for of_this_run in ("backend", "is_local", "local_files_only"):
        settings.pop(of_this_run, None)
    path.write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpora", type=Path, required=True, help="folder of the public corpora")
    options.add_argument("--out", type=Path, required=True, help="folder for the model and the record of its training")
    options.add_argument("--minutes", type=float, default=90)
    options.add_argument("--save-minutes", type=float, default=12)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--go-on-from", type=Path, help="a model folder of an earlier run; without it a new model begins"
    )
    chosen = options.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    earlier = None
    if chosen.go_on_from:
        earlier = json.loads((chosen.go_on_from.parent / "training.json").read_text())
        tokenizer = PreTrainedTokenizerFast.from_pretrained(chosen.go_on_from)
        model = LlamaForCausalLM.from_pretrained(chosen.go_on_from, attn_implementation="eager")
    else:
        tokenizer = train_tokenizer(chosen.corpora, chosen.seed)
        model = new_model(tokenizer, chosen.seed)
    train(model, tokenizer, chosen.corpora, chosen.out, chosen.minutes, chosen.save_minutes, chosen.seed, earlier)


if __name__ == "__main__":
    main()
