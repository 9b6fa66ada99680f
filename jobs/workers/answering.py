"""Answering: one base model in memory, and one thread that lets the answers of all open questions grow together."""

import time
from collections import deque

import torch

from jobs.workers.adapters_in_memory import AdaptersInMemory, RowAdapters
from jobs.workers.columns.column import Column, Columns
from jobs.workers.columns.waiting import Line
from jobs.workers.decode import Answer, Batch, OneByOne, written_alone
from jobs.workers.ending import is_out_of_memory
from jobs.workers.load import load_base_model
from jobs.workers.questions import Inbox, Question
from jobs.workers.self_check import GOOD, check_base
from studio.errors import BadInput, StudioError, Unavailable
from studio.folders import BaseModelFolder, DataFolder
from studio.model_facts import ModelFacts
from studio.tokens import ChatTokenizer

MOST_ROWS = 16  # answers that grow at once; further ones wait for their turn


class Answering:
    """Everything here belongs to the thread that calls `load` and then `run`."""

    def __init__(
        self,
        folder: BaseModelFolder,
        device: str,
        inbox: Inbox,
        quantization: str = "none",
        most_rows: int = MOST_ROWS,
    ):
        self.folder, self.device, self.inbox, self.quantization = folder, device, inbox, quantization
        self.most_rows = most_rows
        self._line = Line()
        self._ready: dict[Question, deque[Column]] = {}  # columns of questions in the line that are only short of room
        self._columns: dict[Answer, Column] = {}  # being written, or about to be by PEFT
        self._in_turn: deque[Answer] = deque()  # answers whose adapter cannot share a batch

    def load(self) -> None:
        """Raises StudioError when the base model cannot be loaded."""
        facts = ModelFacts.model_validate_json(self.folder.facts.read_bytes())
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
        self.tokenizer = tokenizer = ChatTokenizer.load(self.folder.model)
        self.rows = RowAdapters(self.model)
        self.base_check = check_base(self.model, self.rows, tokenizer)
        adapters, data = AdaptersInMemory(self.model, facts.fingerprint), DataFolder(self.folder.path.parent.parent)
        about = (facts.context_length, self.quantization, self.base_check)
        self.columns = Columns(self.rows, tokenizer, adapters, data, *about)
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
        self._hear(wait=not (self._columns or self._line))
        self._begin()
        self._tell(self.batch.step())
        if self._in_turn and not self.batch.busy:
            self._write_alone(self._in_turn.popleft())

    def _out_of_memory(self) -> None:
        """Give everything back, and say so to all who were being answered."""
        asked = {column.question for column in self._columns.values()} | self._ready.keys()
        self._columns, self._in_turn = {}, deque()
        self.rows.put_on([])
        self.batch = self._empty_batch()
        torch.cuda.empty_cache()
        for question in asked:
            self._give_up(question, self._no_memory())

    def _no_memory(self) -> Unavailable:
        return Unavailable(
            f"The {self.model.device.type} has not enough memory for these answers.",
            "Ask for fewer columns or shorter answers, or wait until a training on it has ended.",
        )

    def _hear(self, wait: bool) -> None:
        """Take in new questions, new weights, what is to stop and who has gone. `wait` for the first question, as there is nothing to do."""
        while question := self.inbox.take(wait):
            self._line.add(question)
            wait = False
        while not self.inbox.new_weights.empty():
            self._change_weights(*self.inbox.new_weights.get())
        while not self.inbox.stops.empty():
            self._stop(*self.inbox.stops.get())
        for question in self._line.cancelled():
            self._line.remove(question)
            begun = self._ready.pop(question, None) is not None
            if not begun or question not in self._writing():
                question.end()
        for column in [column for column in self._columns.values() if column.question.cancelled.is_set()]:
            column.answer.cancel()
            self._end(column)

    def _stop(self, question: Question, index: int) -> None:
        """End one answer where it is; one that has not begun yet ends as it begins."""
        question.stopped_columns.add(index)
        for column in [each for each in self._columns.values() if (each.question, each.index) == (question, index)]:
            column.answer.cancel()
            self._end(column)

    def _change_weights(self, question: Question, index: int, weights: list[float]) -> None:
        columns = [*self._columns.values(), *self._ready.get(question, ())]
        column = next((each for each in columns if (each.question, each.index) == (question, index)), None)
        if column:
            column.set_weights(weights)
        elif index not in question.ended_columns:  # not made yet
            for part, weight in zip(question.columns[index]["mix"], weights, strict=True):
                part["weight"] = weight

    def _writing(self) -> list[Question]:
        return [column.question for column in self._columns.values()]

    def _begin(self) -> None:
        """Let answers begin while there is room, fairly. One that PEFT must write first gets the model for itself."""
        begun: list[Column] = []
        while len(self._columns) < self.most_rows and not self._in_turn and self._line:
            question = self._line.next(self._writing())
            if question not in self._ready and not self._make_ready(question):
                continue
            column = self._ready[question].popleft()
            if not self._ready[question]:
                del self._ready[question]
                self._line.remove(question)
            self._columns[column.answer] = column
            if column.index in question.stopped_columns:
                self._stop(question, column.index)
                continue
            if column.alone:
                self._in_turn.append(column.answer)
            begun.append(column)
        for column in begun:  # time counts from here: reading an adapter is no part of answering with it
            column.answer.asked_at = time.monotonic()
        self.batch.join([column.answer for column in begun if not column.alone])
        self._line.tell_positions(self._writing())

    def _make_ready(self, question: Question) -> bool:
        """Load what its columns need. False when it cannot be answered, which it is told."""
        in_use = {column.answer.adapter.id for column in self._columns.values() if column.answer.adapter}
        try:
            self._ready[question] = deque(self.columns.made(question, in_use))
        except StudioError as error:
            self._give_up(question, error)
            return False
        except Exception as error:
            if is_out_of_memory(error):  # or it would be the next one again, for ever
                self._give_up(question, self._no_memory())
            raise
        return True

    def _give_up(self, question: Question, error: StudioError) -> None:
        if question in list(self._line):
            self._line.remove(question)
        self._ready.pop(question, None)
        question.fail(error)

    def _write_alone(self, answer: Answer) -> None:
        if answer.stopped_by:  # cancelled while it waited
            return
        for written in written_alone(self.model, self.rows, answer):
            self._tell(written)
            self._hear(wait=False)
            self._line.tell_positions(self._writing())

    def _tell(self, written: list[tuple[Answer, int]]) -> None:
        for answer, token in written:
            column = self._columns[answer]
            column.wrote(token)
            if answer.stopped_by:
                self._end(column)

    def _end(self, column: Column) -> None:
        question = column.question
        del self._columns[column.answer]
        column.end()
        if question not in self._ready and question not in self._writing():
            question.end()


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
