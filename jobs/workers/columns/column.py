"""A column: one answer of a question, made ready with its adapter, mix, template and sampling, and told while it grows."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.workers.adapters_in_memory import AdaptersInMemory, LoadedAdapter, RowAdapters
from jobs.workers.columns.mixes import Mix, StacksInMemory
from jobs.workers.decode import Answer, Sampling
from jobs.workers.questions import Question
from jobs.workers.self_check import GOOD, check_adapter, check_mix
from jobs.workers.text_stream import TextStream
from studio.errors import BadInput, StudioError
from studio.folders import AdapterFolder, DataFolder
from studio.tokens import ChatTokenizer

SHORTEST_ANSWER = 32  # tokens that a long conversation leaves for the answer, where the context allows


@dataclass(eq=False)
class Column:
    """One answer of a question, on its way to the page."""

    question: Question
    index: int
    answer: Answer
    text: TextStream
    base_proof: dict
    context: int
    cut_by_context: bool

    @property
    def alone(self) -> bool:
        """Its adapter cannot share a batch."""
        return bool(self.answer.adapter and self.answer.adapter.alone)

    def tell(self, **event) -> None:
        self.question.tell({"column": self.index, **event})

    def wrote(self, token: int) -> None:
        if token not in self.answer.stop_ids and (text := self.text.add(token)):
            self.tell(text=text)

    def set_weights(self, weights: list[float]) -> None:
        at = len(self.answer.ids)
        self.answer.adapter.set_weights(weights, at)
        self.tell(weights=weights, at_token=at)

    def end(self) -> None:
        answer = self.answer
        if rest := self.text.end():
            self.tell(text=rest)
        if answer.stopped_by == "length" and self.cut_by_context:
            self.tell(notice=f"The answer ends here: the model's context of {self.context} tokens is full.")
        proof = answer.adapter.proof() if answer.adapter else self.base_proof
        self.tell(done=True, stopped_by=answer.stopped_by, **measured(answer), proof=proof)
        self.question.ended_columns.add(self.index)


class Columns:
    """Makes columns of what is asked. It has the base's tokenizer and whatever adapters are in memory."""

    def __init__(
        self,
        rows: RowAdapters,
        tokenizer: ChatTokenizer,
        adapters: AdaptersInMemory,
        data: DataFolder,
        context: int,
        quantization: str,
        base_check: str,
    ):
        self.rows, self.tokenizer, self.adapters, self.data = rows, tokenizer, adapters, data
        self.context, self.quantization = context, quantization
        self.base_proof = {"adapter": None, "name": None, "sha256": None, "layers_changed": 0, "self_check": base_check}
        self.stacks = StacksInMemory()

    def made(self, question: Question, in_use: set[str]) -> list[Column]:
        """All columns of a question, those that can share a batch first. `in_use` names adapters that must stay in memory.

        Raises StudioError, its field saying which column it is about, when one of them cannot be answered.
        """
        in_use = in_use | {part["id"] for asked in question.columns for part in _parts(asked)}
        columns = []
        for index, asked in enumerate(question.columns):
            try:
                columns.append(self._made(question, index, asked, in_use))
            except StudioError as error:
                if error.field and error.field != "messages":
                    error.field = f"columns.{index}.{error.field}"
                raise
        return sorted(columns, key=lambda column: column.alone)

    def _made(self, question: Question, index: int, asked: dict, in_use: set[str]) -> Column:
        adapter = self._answering(f"{question.id}/{index}", asked, in_use)
        if said := self._otherwise_loaded([AdapterFolder(part.folder) for part in _loaded(adapter)]):
            question.tell({"column": index, "notice": said})
        tokenizer = adapter.tokenizer if adapter and adapter.tokenizer else self.tokenizer
        context = self.context - (adapter.front.tokens if adapter and adapter.front else 0)
        wanted = asked["max_new_tokens"]
        prompt, left_out = self._prompt(tokenizer, asked["messages"], wanted, context)
        if left_out:
            gone = "its first message was" if left_out == 1 else f"its first {left_out} messages were"
            longer = f"The conversation is longer than the model's context of {self.context} tokens"
            question.tell({"column": index, "notice": f"{longer}: {gone} left out."})
        most = min(wanted, context - len(prompt))
        sampling = Sampling(asked["temperature"], asked["top_p"], asked["seed"])
        stops = frozenset([*self.tokenizer.stop_ids, *tokenizer.stop_ids])
        answer = Answer(prompt, stops, most, adapter, sampling)
        text = TextStream(tokenizer.decode)
        return Column(question, index, answer, text, self.base_proof, self.context, most < wanted)

    def _answering(self, id: str, asked: dict, in_use: set[str]) -> LoadedAdapter | Mix | None:
        if mix := asked.get("mix"):
            stack = self.stacks.get([self._adapter(part, in_use) for part in mix], self.tokenizer)
            if stack.self_check is None:
                stack.self_check = check_mix(self.rows.model, self.rows, self.tokenizer, Mix(id, stack, _uneven(mix)))
            return Mix(id, stack, [part["weight"] for part in mix])
        return self._adapter(asked["adapter"], in_use) if asked.get("adapter") else None

    def _adapter(self, asked: dict, in_use: set[str]) -> LoadedAdapter:
        """The adapter, compared with PEFT when it is read for the first time."""
        kept = asked.get("kept")
        folder = self.data.chat.checkpoint(kept) if kept else self.data.adapter(asked["id"])
        adapter = self.adapters.get(asked["id"], folder.path, asked["name"], in_use)
        adapter.checkpoint = asked.get("checkpoint")
        if adapter.self_check is None:
            adapter.self_check = check_adapter(self.rows.model, self.rows, self.tokenizer, adapter)
            adapter.alone = adapter.self_check not in GOOD
        if adapter.tokenizer is None:
            adapter.tokenizer = self._with_own_template(folder)
        return adapter

    def _with_own_template(self, folder: AdapterFolder) -> ChatTokenizer | None:
        """The tokenizer of an adapter that has learned in another template than the base has now."""
        if not (folder.path / "tokenizer.json").is_file():
            return None
        own = ChatTokenizer.load(folder.path)
        return own if own.template not in (None, self.tokenizer.template) else None

    def _otherwise_loaded(self, folders: list[AdapterFolder]) -> str | None:
        """What is to be said when the base is not loaded as it came, or as these adapters have learned on."""
        if not folders:
            loaded = f"The base answers in {self.quantization}, as the adapter beside it was trained on it."
            return loaded if self.quantization != "none" else None
        others = {folder.quantization for folder in folders} - {self.quantization}
        if not others:
            return None
        name = {"none": "in full"}
        as_trained, as_loaded = (name.get(each, f"in {each}") for each in (min(others), self.quantization))
        who = "This adapter was" if len(folders) == 1 else "An adapter of this mix was"
        return f"{who} trained on the base {as_trained} and answers on it {as_loaded} here: a little otherwise."

    def _prompt(
        self, tokenizer: ChatTokenizer, messages: list[dict], wanted: int, context: int
    ) -> tuple[list[int], int]:
        """The prompt's tokens and how many of the oldest messages had to be left out for the context."""
        room = context - min(wanted, max(1, min(SHORTEST_ANSWER, context // 4)))
        for left_out, shorter in shortened(messages):
            ids = tokenizer.prompt(shorter)
            if len(ids) <= room:
                return ids, left_out
        raise BadInput(
            f"The last message makes {len(ids)} tokens, and this model reads {self.context} at most, its answer included.",
            "Shorten the message.",
            "messages",
        )


def _parts(asked: dict) -> list[dict]:
    """The adapters that a column asks for."""
    return asked.get("mix") or ([asked["adapter"]] if asked.get("adapter") else [])


def _loaded(adapter: LoadedAdapter | Mix | None) -> tuple[LoadedAdapter, ...]:
    if isinstance(adapter, Mix):
        return adapter.stack.parts
    return (adapter,) if adapter else ()


def _uneven(mix: list[dict]) -> list[float]:
    """Weights to check a stack with, whatever the person's own are: 1, -1/2, 1/3 ..."""
    return [(-1) ** place / (place + 1) for place in range(len(mix))]


def shortened(messages: list[dict]) -> Iterator[tuple[int, list[dict]]]:
    """(left out, messages) for ever shorter conversations that still begin with a question; instructions stay."""
    system = [message for message in messages[:1] if message["role"] == "system"]
    turns = messages[len(system) :]
    for start, message in enumerate(turns):
        if start == 0 or message["role"] == "user":
            yield start, system + turns[start:]


def measured(answer: Answer) -> dict:
    """Tokens and speed of an answer; an end-of-turn token is no part of it."""
    if answer.first_at is None:
        return {
            "prompt_tokens": len(answer.prompt),
            "tokens": 0,
            "seconds": round(time.monotonic() - answer.asked_at, 4),
            "first_token_seconds": None,
            "tokens_per_second": None,
        }
    seconds, first = answer.last_at - answer.asked_at, answer.first_at - answer.asked_at
    steps = len(answer.ids) - 1
    return {
        "prompt_tokens": len(answer.prompt),
        "tokens": len(answer.ids) - (answer.stopped_by == "end"),
        "seconds": round(seconds, 4),
        "first_token_seconds": round(first, 4),
        "tokens_per_second": round(steps / (seconds - first) if steps else 1 / max(seconds, 1e-6), 2),
    }
