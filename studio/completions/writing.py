"""One answer in the shapes of OpenAI's protocol: whole, or in chunks while it is written."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from studio import compare
from studio.compare_request import OneColumn
from studio.completions.request import CompletionRequest
from studio.completions.served import find
from studio.error_body import OPENAI, error_body
from studio.errors import StudioError
from studio.folders import new_id
from studio.records import LOCAL_PERSON
from studio.studio import Studio

DONE = "data: [DONE]\n\n"
REASONS = {"length": "length"}  # why an answer ended, where it is not by itself


class StopTexts:
    """Passes an answer on up to the first of some texts, holding back what may be the beginning of one."""

    def __init__(self, texts: list[str]):
        self.texts, self.held, self.found = texts, "", False

    def passed(self, text: str) -> str:
        self.held += text
        places = [at for each in self.texts if (at := self.held.find(each)) >= 0]
        if places:
            self.found = True
            return self._release(min(places))
        beginnings = (
            size for each in self.texts for size in range(len(each) - 1, 0, -1) if self.held.endswith(each[:size])
        )
        return self._release(len(self.held) - max(beginnings, default=0))

    def rest(self) -> str:
        """What was held back and is the answer's, now that nothing comes any more."""
        return "" if self.found else self._release(len(self.held))

    def _release(self, size: int) -> str:
        text, self.held = self.held[:size], self.held[size:]
        return text


@dataclass
class Completion:
    """An answer as it comes: `events` first, then what is known at its end."""

    studio: Studio
    request: CompletionRequest
    owner: str = LOCAL_PERSON
    id: str = field(default_factory=new_id)
    created: int = field(default_factory=lambda: int(time.time()))
    pieces: int = 0
    done: dict[str, Any] = field(default_factory=dict)
    """The event with which the answer ended."""

    async def texts(self) -> AsyncIterator[str | None]:
        """Pieces of the answer, and None for everything else that shows that it is being worked on. Raises StudioError."""
        model = await asyncio.to_thread(find, self.studio, self.request.model, self.owner)
        question = self.request.question(model.base_model, model.adapter)
        stops = StopTexts(self.request.stops)
        async with contextlib.aclosing(compare.answers(self.studio, question, self.owner, self.id)) as events:
            async for event in events:
                if event.get("done"):
                    self.done = event
                elif "text" not in event:
                    yield None
                elif not stops.found:
                    self.pieces += 1
                    yield stops.passed(event["text"])
                    if stops.found and not await self._stop():
                        break
        yield stops.rest()

    async def _stop(self) -> bool:
        """End the answer where it is. False where nobody can be told: then it ends as nobody listens."""
        with contextlib.suppress(StudioError):
            await compare.stop_column(self.studio, self.id, OneColumn(column=0), self.owner)
            return True
        return False

    async def whole(self) -> dict[str, Any]:
        text = "".join([piece async for piece in self.texts() if piece])
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.reason}
        return {**self._about("chat.completion"), "choices": [choice], "usage": self.usage}

    async def chunks(self) -> AsyncIterator[str]:
        """Server-sent events; comments keep the connection alive while the question waits for its turn.

        What cannot be answered at all is raised before the first of them, and what fails later is an event.
        """
        async with contextlib.aclosing(self.texts()) as texts:
            first = await anext(texts, "")
            yield self._chunk({"role": "assistant", "content": ""})
            yield self._event(first)
            try:
                async for piece in texts:
                    yield self._event(piece)
            except StudioError as error:
                said = error_body(OPENAI, error.status, error.problem, error.fix, error.field)
                yield f"data: {json.dumps(said)}\n\n"
                return
        yield self._chunk({}, self.reason)
        if self._wants_usage:
            yield f"data: {json.dumps({**self._about('chat.completion.chunk'), 'choices': [], 'usage': self.usage})}\n\n"
        yield DONE

    @property
    def reason(self) -> str:
        return REASONS.get(self.done.get("stopped_by", ""), "stop")

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of the question and of the answer; a server in the worker's place may not tell them."""
        asked, answered = self.done.get("prompt_tokens") or 0, self.done.get("tokens", self.pieces)
        return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}

    @property
    def _wants_usage(self) -> bool:
        return bool(self.request.stream_options and self.request.stream_options.include_usage)

    def _about(self, kind: str) -> dict[str, Any]:
        sha256 = (self.done.get("proof") or {}).get("sha256")
        known = {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.request.model}
        return {**known, "system_fingerprint": sha256 and f"fp_{sha256[:16]}"}

    def _event(self, piece: str | None) -> str:
        if piece is None:
            return ": waiting\n\n"
        return self._chunk({"content": piece}) if piece else ""

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._wants_usage else {}
        chunk = {**self._about("chat.completion.chunk"), "choices": [choice], **usage}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
