"""A studio in a scratch folder with a base model of random weights and rows of random words, each word one token of it.

Everything goes through the studio's own doors (intake, upload, queue), so that what is measured on it is what a person
would get; only the weights and the words mean nothing.
"""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from studio import base_models, dataset_uploads, runs
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.memory import Estimate, estimate
from studio.plan import read_plan
from studio.settings import StudioSettings
from studio.studio import Studio

SPECIAL = ["<|pad|>", "<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
QUESTION_TOKENS, ANSWER_TOKENS = 3, 1  # what the template writes around a question and its answer


def write_random_model(folder: Path, shape: dict, vocabulary: int, model_type: str = "qwen2") -> None:
    """config.json, weights and a tokenizer of one token per word. `shape` holds fields of the model's config."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, vocab_size=vocabulary, tie_word_embeddings=True, **shape)
    config.pad_token_id, config.bos_token_id, config.eos_token_id = 0, 1, 2
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    words = [*SPECIAL, *(f"w{number}" for number in range(vocabulary - len(SPECIAL)))]
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<|pad|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|begin|>", eos_token="<|end|>",
        additional_special_tokens=SPECIAL[3:],
    )  # fmt: skip
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)


def random_words(count: int, vocabulary: int, random: np.random.Generator) -> list[str]:
    """Each of them one token."""
    return [f"w{number}" for number in random.integers(0, vocabulary - len(SPECIAL), count)]


def random_pair(tokens: int, answer_share: float, vocabulary: int, random: np.random.Generator) -> dict:
    """A question of such a row with its answer, and one that was rejected and is half to one and a half times as long."""
    row = random_row(tokens, answer_share, vocabulary, random)
    asked, answer = row["messages"]
    other = random_words(max(1, round(len(answer["content"].split()) * random.uniform(0.5, 1.5))), vocabulary, random)
    rejected = {"role": "assistant", "content": " ".join(other)}
    return {"messages": [asked], "chosen": [answer], "rejected": [rejected]}


def random_row(tokens: int, answer_share: float, vocabulary: int, random: np.random.Generator) -> dict:
    """A conversation of so many tokens, template included, of which this share is the answer."""
    answer = min(max(1, round(tokens * answer_share) - ANSWER_TOKENS), tokens - QUESTION_TOKENS - ANSWER_TOKENS - 1)
    numbers = random.integers(0, vocabulary - len(SPECIAL), tokens - QUESTION_TOKENS - ANSWER_TOKENS)
    words = [f"w{number}" for number in numbers]
    question, said = " ".join(words[:-answer]), " ".join(words[-answer:])
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": said}]}


class RandomStudio:
    """One base model, any number of data sets and runs on it."""

    def __init__(self, folder: Path, shape: dict, vocabulary: int):
        self.folder, self.vocabulary = folder, vocabulary
        write_random_model(folder / "models" / "random", shape, vocabulary)
        settings = StudioSettings(data_folder=folder / "data", models_folder=folder / "models", device="cpu")
        self.studio = Studio.open(settings)
        self.base = base_models.add_local(self.studio, "random")

    @property
    def model_folder(self) -> Path:
        return self.studio.data.base_model(self.base.id).model

    def queue(self, name: str, rows: list[dict], method: dict, training: dict) -> AttemptFolder:
        """Upload the rows, queue a run on them, and make the folder of its first attempt, as the runner would."""
        file = self.folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        dataset = dataset_uploads.add_upload(self.studio, file, file.name)
        values = {"base_model": self.base.id, "dataset": dataset.id, "method": method, "training": training}
        run = runs.queue_run(self.studio, read_plan(values))
        return self.studio.data.run(run.id).attempt(1).create()

    def planned(self, attempt: AttemptFolder) -> Estimate:
        """What the person was shown when the run was queued."""
        return estimate(self.studio, read_plan(read_json(attempt.run.plan)))
