"""Answering: one base model in memory, and one thread that lets the answers of all open questions grow together."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from jobs.workers.adapters_in_memory import AdaptersInMemory, LoadedAdapter, RowAdapters
from jobs.workers.decode import Answer, Batch, OneByOne, Sampling, written_alone
from jobs.workers.ending import is_out_of_memory
from jobs.workers.load import load_base_model
from jobs.workers.questions import Inbox, Question
from jobs.workers.self_check import GOOD, check_adapter, check_base
from jobs.workers.text_stream import TextStream
from studio.errors import BadInput, StudioError, Unavailable
from studio.folders import AdapterFolder, BaseModelFolder, DataFolder
from studio.model_facts import ModelFacts
from studio.tokens import ChatTokenizer

MOST_ROWS = 16  # answers that grow at once; further questions wait for their turn
SHORTEST_ANSWER = 32  # tokens that a long conversation leaves for the answer, where the context allows


@dataclass(eq=False)
class Column:
    """One answer of a question, on its way to the page."""

    question: Question
    index: int
    answer: Answer
    text: TextStream
    proof: dict
    cut_by_context: bool

    def tell(self, **event) -> None:
        self.question.tell({"column": self.index, **event})


class Answering:
    """Everything here belongs to the thread that calls `load` and then `run`."""

    def __init__(self, folder: BaseModelFolder, device: str, inbox: Inbox, quantization: str = "none"):
        self.folder, self.device, self.inbox, self.quantization = folder, device, inbox, quantization
        self._waiting: deque[Question] = deque()
        self._columns: dict[Answer, Column] = {}
        self._in_turn: deque[Answer] = deque()  # answers whose adapter cannot share a batch

    def load(self) -> None:
        """Raises StudioError when the base model cannot be loaded."""
        facts = ModelFacts.model_validate_json(self.folder.facts.read_bytes())
        self.context = facts.context_length
        device, precision = where_to_compute(self.device)
        try:
            self.model = load_base_model(self.folder.model, precision, device, self.quantization)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise Unavailable(
                f"The base model does not fit into the free memory of the {device}.",
                "Wait until a training on it has ended, or choose a smaller base model.",
            ) from None
        self.tokenizer = ChatTokenizer.load(self.folder.model)
        self.stop_ids = frozenset(self.tokenizer.stop_ids)
        self.adapters = AdaptersInMemory(self.model, facts.fingerprint)
        self.rows = RowAdapters(self.model)
        self.base_check = check_base(self.model, self.rows, self.tokenizer)
        self.batch = self._empty_batch()

    def _empty_batch(self) -> Batch | OneByOne:
        """An architecture whose rows differ in a shared batch still answers right, each alone."""
        return (Batch if self.base_check in GOOD else OneByOne)(self.model, self.rows)

    def run(self) -> None:
        """Answer for ever."""
        while True:
            self.go_on()

    def go_on(self) -> bool:
        """One turn. False when memory ran out: then all that was being answered is given up, and those who asked are told."""
        try:
            self.turn()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._out_of_memory()
            return False
        return True

    def turn(self) -> None:
        """Begin what can begin, and write one more token of everything; waits while there is nothing to do."""
        self._take_in()
        for question in self._admitted():
            self._begin(question)
        self._drop_cancelled()
        self._tell(self.batch.step())
        if self._in_turn and not self.batch.answers:
            self._write_alone(self._in_turn.popleft())

    def _out_of_memory(self) -> None:
        """Give everything back, and say so to all who were being answered."""
        asked = {column.question for column in self._columns.values()}
        self._columns, self._in_turn = {}, deque()
        self.rows.put_on([])
        self.batch = self._empty_batch()
        torch.cuda.empty_cache()
        for question in asked:
            question.fail(
                Unavailable(
                    f"The {self.model.device.type} has not enough memory for these answers.",
                    "Ask for fewer columns or shorter answers, or wait until a training on it has ended.",
                )
            )

    def _take_in(self) -> None:
        """Move new questions into the queue; wait for one when there is nothing to do."""
        wait = not (self._columns or self._waiting)
        while question := self.inbox.take(wait):
            self._waiting.append(question)
            if self._rows_with(*self._waiting) > MOST_ROWS:
                question.tell({"notice": "Many answers are being written; this one waits for its turn."})
            wait = False

    def _admitted(self) -> list[Question]:
        """The questions whose turn has come."""
        admitted: list[Question] = []
        while self._waiting:
            first, alone = self._waiting[0], not (self._columns or admitted)
            if not alone and self._rows_with(first, *admitted) > MOST_ROWS:
                break
            self._waiting.popleft()
            if first.cancelled.is_set():
                first.end()
            else:
                admitted.append(first)
        return admitted

    def _rows_with(self, *questions: Question) -> int:
        return len(self._columns) + sum(len(question.columns) for question in questions)

    def _begin(self, question: Question) -> None:
        """Load what the columns need and let their answers join the batch."""
        try:
            columns = [self._column(question, index, asked) for index, asked in enumerate(question.columns)]
        except StudioError as error:
            question.fail(error)
            return
        answers = [column.answer for column in columns]
        self._columns |= dict(zip(answers, columns, strict=True))
        self._in_turn.extend(answer for answer in answers if answer.adapter and answer.adapter.alone)
        self._begin_now(answers)

    def _begin_now(self, answers: list[Answer]) -> None:
        """Time counts from here: reading an adapter is no part of answering with it."""
        for answer in answers:
            answer.asked_at = time.monotonic()
        self._tell(self.batch.join([answer for answer in answers if answer not in self._in_turn]))

    def _write_alone(self, answer: Answer) -> None:
        if answer.stopped_by:  # cancelled while it waited
            return
        for written in written_alone(self.model, self.rows, answer):
            self._tell([written])
            self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        for column in [column for column in self._columns.values() if column.question.cancelled.is_set()]:
            column.answer.cancel()
            self._end(column)

    def _column(self, question: Question, index: int, asked: dict) -> Column:
        adapter, proof = (
            None,
            {"adapter": None, "name": None, "sha256": None, "layers_changed": 0, "self_check": self.base_check},
        )
        if asked["adapter"]:
            adapter = self._adapter(question, asked["adapter"])
            proof = adapter.proof()
        if said := self._otherwise_loaded(adapter):
            question.tell({"column": index, "notice": said})
        tokenizer = adapter.tokenizer if adapter and adapter.tokenizer else self.tokenizer
        context = self.context - (adapter.front.tokens if adapter and adapter.front else 0)
        prompt, left_out = self._prompt(tokenizer, asked["messages"], question.max_new_tokens, context)
        if left_out:
            gone = "its first message was" if left_out == 1 else f"its first {left_out} messages were"
            question.tell(
                {
                    "column": index,
                    "notice": f"The conversation is longer than the model's context of {self.context} tokens: {gone} left out.",
                }
            )
        most = min(question.max_new_tokens, context - len(prompt))
        sampling = Sampling(question.temperature, question.top_p, question.seed)
        answer = Answer(prompt, self.stop_ids, most, adapter, sampling)
        return Column(question, index, answer, TextStream(tokenizer.decode), proof, most < question.max_new_tokens)

    def _otherwise_loaded(self, adapter: LoadedAdapter | None) -> str | None:
        """What is to be said when the base is not loaded as it came, or as this adapter has learned on."""
        if adapter is None:
            loaded = f"The base answers in {self.quantization}, as the adapter beside it was trained on it."
            return loaded if self.quantization != "none" else None
        trained = AdapterFolder(adapter.folder).quantization
        if trained == self.quantization:
            return None
        name = {"none": "in full"}
        as_trained, as_loaded = (name.get(each, f"in {each}") for each in (trained, self.quantization))
        return (
            f"This adapter was trained on the base {as_trained} and answers on it {as_loaded} here: a little otherwise."
        )

    def _adapter(self, question: Question, asked: dict) -> LoadedAdapter:
        """The adapter, compared with PEFT when it is read for the first time."""
        wanted = {column["adapter"]["id"] for column in question.columns if column["adapter"]}
        answering = {column.answer.adapter.id for column in self._columns.values() if column.answer.adapter}
        folder = DataFolder(self.folder.path.parent.parent).adapter(asked["id"])
        adapter = self.adapters.get(asked["id"], folder.path, asked["name"], in_use=wanted | answering)
        if adapter.self_check is None:
            adapter.self_check = check_adapter(self.model, self.rows, self.tokenizer, adapter)
            adapter.alone = adapter.self_check not in GOOD
        return adapter

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

    def _tell(self, written: list[tuple[Answer, int]]) -> None:
        for answer, token in written:
            column = self._columns[answer]
            if token not in self.stop_ids and (text := column.text.add(token)):
                column.tell(text=text)
            if answer.stopped_by:
                self._end(column)

    def _end(self, column: Column) -> None:
        answer, question = column.answer, column.question
        del self._columns[answer]
        if rest := column.text.end():
            column.tell(text=rest)
        if answer.stopped_by == "length" and column.cut_by_context:
            column.tell(notice=f"The answer ends here: the model's context of {self.context} tokens is full.")
        column.tell(done=True, stopped_by=answer.stopped_by, **measured(answer), proof=column.proof)
        if not any(other.question is question for other in self._columns.values()):
            question.end()


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
            "tokens": 0,
            "seconds": round(time.monotonic() - answer.asked_at, 4),
            "first_token_seconds": None,
            "tokens_per_second": None,
        }
    seconds, first = answer.last_at - answer.asked_at, answer.first_at - answer.asked_at
    steps = len(answer.ids) - 1
    return {
        "tokens": len(answer.ids) - (answer.stopped_by == "end"),
        "seconds": round(seconds, 4),
        "first_token_seconds": round(first, 4),
        "tokens_per_second": round(steps / (seconds - first) if steps else 1 / max(seconds, 1e-6), 2),
    }


def where_to_compute(wanted: str) -> tuple[str, str]:
    """(device, precision): half precision only where the device has it; on a CPU it is many times slower (docs/decisions.md)."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu", "fp32"
    if not torch.cuda.is_available():
        raise BadInput(
            "The studio is told to use a GPU, and there is none that can be used.",
            "Start it with --device auto.",
            "device",
        )
    return "cuda", "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
