"""All prompts of a suite through the machinery that answers Compare: many at once, and fewer when memory runs out."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jobs.workers.questions import Inbox, Question
from jobs.workers.suite.answers_file import AnswersFile
from studio.errors import BadInput, Unavailable
from studio.folders import SuiteRunFolder, data_of
from studio.suite_checks.judge import Answered, judge, read_checks

MOST_AT_ONCE = 32  # answers that grow together; halved whenever memory runs out, down to one
log = logging.getLogger("suite")


@dataclass(eq=False)
class Unit:
    """What is asked at once: one prompt, of the columns that have not answered it."""

    prompt: int
    columns: list[int]
    texts: dict[int, str] = field(default_factory=dict)
    notices: dict[int, list[str]] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    question: Question | None = None


class OwnInbox(Inbox):
    """Questions of one asker, who asks only as many as there is room for."""

    def ask(self, question: Question) -> None:
        self._questions.put(question)


class Asking:
    """One loaded base that answers unit after unit. Everything happens in the thread that calls `run`."""

    def __init__(self, folder: SuiteRunFolder, request: dict[str, Any], answers: AnswersFile, attempt: int = 1):
        """`attempt`: the how-manieth worker in a row this is that has not got further; each asks half as much at once."""
        self.folder, self.request, self.answers = folder, request, answers
        self.prompts, self.columns = request["prompts"], request["columns"]
        self.most_at_once = max(1, MOST_AT_ONCE >> (attempt - 1))
        self.left = [unit for place in range(len(self.prompts)) if (unit := self._unit(place)).columns]

    def _unit(self, place: int) -> Unit:
        return Unit(place, [n for n in range(len(self.columns)) if (place, n) not in self.answers.known])

    def load(self) -> None:
        """Raises StudioError when the base model cannot be loaded."""
        from jobs.workers.answering import Answering  # here: it loads torch

        self.inbox = OwnInbox()
        base = data_of(self.folder).base_model(self.request["base_model"])
        self.answering = Answering(base, "auto", self.inbox, self.request["quantization"], self.most_at_once)
        self.answering.load()
        # Prompts of one length are read together, and answers of one length end together
        self.left.sort(key=lambda unit: (self._tokens(unit.prompt), unit.prompt), reverse=True)

    def _tokens(self, place: int) -> int:
        return len(self.answering.tokenizer.prompt(self.prompts[place]["messages"]))

    def run(self, tell: Callable[[], None]) -> None:
        """Until every prompt has its answers. Raises StudioError when one cannot even be answered alone."""
        asked: list[Unit] = []
        while self.left or asked:
            tell()
            room = self.most_at_once - sum(len(unit.columns) for unit in asked)
            for unit in self._next(room):
                self._ask(unit)
                asked.append(unit)
            if not self.answering.go_on():
                self._less_at_once()
            for unit in [unit for unit in asked if unit.question.ended.is_set()]:
                asked.remove(unit)
                self._end(unit)

    def _next(self, room: int) -> Iterator[Unit]:
        """Units for which there is room; one that is larger than all room there is, is asked column by column."""
        while self.left:
            if len(self.left[-1].columns) > self.most_at_once:
                unit = self.left.pop()
                self.left += [Unit(unit.prompt, [column]) for column in reversed(unit.columns)]
            if len(self.left[-1].columns) > room:
                return
            room -= len(self.left[-1].columns)
            yield self.left.pop()

    def _ask(self, unit: Unit) -> None:
        messages = [{"role": m["role"], "content": m["content"]} for m in self.prompts[unit.prompt]["messages"]]
        columns = [asked(self.columns[column], messages) for column in unit.columns]
        unit.question = Question(columns, tell=partial(self._heard, unit))
        self.inbox.ask(unit.question)

    def _heard(self, unit: Unit, event: dict[str, Any]) -> None:
        """An event of one unit's question; a whole answer is judged and written down."""
        if "error" in event:
            unit.error = event["error"]
        column = unit.columns[event.get("column", 0)]
        if "text" in event:
            unit.texts[column] = unit.texts.get(column, "") + event["text"]
        if "notice" in event:
            unit.notices.setdefault(column, []).append(event["notice"])
        if event.get("done"):
            self._write(unit, column, event)

    def _write(self, unit: Unit, column: int, done: dict[str, Any]) -> None:
        prompt, text = self.prompts[unit.prompt], unit.texts.get(column, "")
        checks = read_checks(prompt["applied"])
        verdicts = judge(Answered(text, done["tokens"], prompt["expected"]), checks)
        passed = all(verdict.passed for verdict in verdicts) if checks else None
        told = {name: done[name] for name in ("tokens", "seconds", "stopped_by", "proof")}
        judged = {"passed": passed, "checks": [verdict.as_dict() for verdict in verdicts]}
        self.answers.add(unit.prompt, column, {"text": text, **told, "notices": unit.notices.get(column, []), **judged})

    def _end(self, unit: Unit) -> None:
        """Nothing more comes of this question. Raises what every other prompt would meet as well."""
        error = unit.error
        if error is None:
            return
        again = self._unit(unit.prompt)
        again.columns = [column for column in again.columns if column in unit.columns]
        if error["status"] == Unavailable.status:
            self.left.append(again)
        elif error["field"] == "messages":  # this prompt alone cannot be answered, such as one beyond the context
            passed = False if self.prompts[unit.prompt]["applied"] else None
            for column in again.columns:
                self.answers.add(unit.prompt, column, {"text": "", "passed": passed, "problem": error["problem"]})
        else:
            raise BadInput(error["problem"], error["fix"])

    def _less_at_once(self) -> None:
        if self.most_at_once == 1:
            raise Unavailable(
                "There is not enough memory for a single answer.",
                "Choose shorter answers, or wait until a training on this device has ended.",
            )
        self.most_at_once //= 2
        log.warning("Memory ran out: at most %d answers at once from here on.", self.most_at_once)


def asked(column: dict[str, Any], messages: list[dict[str, str]]) -> dict[str, Any]:
    """What one column is asked: the prompt, with the column's own instructions in place of the prompt's where it has some."""
    system = column.get("system")
    if system is not None:
        turns = [message for message in messages if message["role"] != "system"]
        messages = [{"role": "system", "content": system}, *turns] if system else turns
    return {"messages": messages, **{name: value for name, value in column.items() if name != "system"}}
