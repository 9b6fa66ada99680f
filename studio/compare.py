"""Compare: the same conversation answered by the base model and by adapters at once, and what came out, kept."""

import asyncio
import contextlib
import difflib
import re
from collections.abc import AsyncIterator
from typing import Literal

from studio import chat, openai_backend
from studio.columns import answerers
from studio.compare_request import CompareRequest, NewWeights, OneColumn, sampling_of
from studio.errors import NotFound
from studio.folders import new_id
from studio.records import LOCAL_PERSON, Comparison
from studio.studio import Studio

MOST_WORDS = 4000  # of one answer that is compared word for word


async def stream(studio: Studio, request: CompareRequest, owner: str = LOCAL_PERSON) -> AsyncIterator[dict]:
    """{"id"} of the comparison, then the events of `answers`; what was answered is kept as a Comparison of that id."""
    id, told = new_id(), False
    kept = nothing_said(len(request.columns))
    try:
        async with contextlib.aclosing(answers(studio, request, owner, id)) as events:
            async for event in events:
                if not told:  # only now is it known that it can be answered
                    told = True
                    yield {"id": id}
                keep(kept, event)
                yield event
    finally:
        if any(answer["text"] or "proof" in answer for answer in kept):
            await asyncio.shield(asyncio.to_thread(_store, studio, id, request, owner, kept))


async def answers(studio: Studio, request: CompareRequest, owner: str, id: str | None = None) -> AsyncIterator[dict]:
    """Events of all columns as they come: {"column", "text"}, {"column", "done": True, ..., "proof"}, {"notice"}, and while
    it waits for others' answers {"position", "waiting"}.

    Raises StudioError before the first event when the request cannot be answered, and later when the worker fails.
    Closing the iterator cancels what is still being written.
    """
    base, chosen = await asyncio.to_thread(answerers, studio, request.base_model, request.columns, owner)
    question = {
        "do": "answer",
        "id": id or new_id(),
        "owner": owner,
        "columns": [
            {"messages": request.conversation(column), **answerer.asked(), **sampling_of(request, column)}
            for column, answerer in zip(request.columns, chosen, strict=True)
        ],
    }
    if studio.settings.openai_url:
        said = openai_backend.answer(studio.settings.openai_url, base, question)
    else:
        folders = [folder for answerer in chosen for folder in answerer.folders]
        said = chat.answer(studio, base, question, chat.trained_with(folders))
    async with contextlib.aclosing(said) as events:
        async for event in events:
            yield event


async def change_weights(studio: Studio, id: str, change: NewWeights, owner: str = LOCAL_PERSON) -> dict:
    """Give a mix other weights while its answer is being written: they are those of the next token on.

    Returns {"column", "weights"}. Raises Conflict when no such answer is being written, Invalid when the column is no mix
    of that many adapters.
    """
    asked = {"do": "weights", "id": id, "owner": owner, **change.model_dump()}
    return await asyncio.to_thread(chat.tell, studio, asked)


async def stop_column(studio: Studio, id: str, stop: OneColumn, owner: str = LOCAL_PERSON) -> dict:
    """End one column's answer where it is, while the others go on. Raises Conflict when no such answer is being written."""
    asked = {"do": "stop_column", "id": id, "owner": owner, **stop.model_dump()}
    return await asyncio.to_thread(chat.tell, studio, asked)


def get_comparison(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Comparison:
    """Raises NotFound for one that is not there, and for another person's."""
    with studio.database.read() as session:
        found = session.get(Comparison, id)
    if found is None or found.owner != owner:
        raise NotFound("comparison", id)
    return found


def nothing_said(columns: int) -> list[dict]:
    """What is kept of each column before its first word."""
    return [{"text": "", "stopped_by": "cancel"} for _ in range(columns)]


def keep(kept: list[dict], event: dict) -> None:
    """Add what an event tells to what is kept of its column."""
    if (column := event.get("column")) is None:
        return
    if "text" in event:
        kept[column]["text"] += event["text"]
    elif event.get("done"):
        kept[column] |= {name: value for name, value in event.items() if name not in ("column", "done")}


def _store(studio: Studio, id: str, request: CompareRequest, owner: str, kept: list[dict]) -> None:
    with studio.database.write() as session:
        session.add(
            Comparison(
                id=id,
                owner=owner,
                base_model=request.base_model,
                request=request.model_dump(mode="json"),
                answers={"columns": kept},
            )
        )


def word_differences(base: str, other: str) -> list[tuple[Literal["same", "added", "removed"], str]]:
    """What `other` says differently from `base`: runs of words and marks, with the spaces before them.

    The "same" and "removed" texts join to `base`, the "same" and "added" ones to `other`.
    """
    ours, theirs = _words(base), _words(other)
    found: list[tuple[str, str]] = []
    for kind, start, end, other_start, other_end in difflib.SequenceMatcher(
        None, ours, theirs, autojunk=False
    ).get_opcodes():
        removed, added = "".join(ours[start:end]), "".join(theirs[other_start:other_end])
        if kind == "equal":
            found.append(("same", removed))
        else:
            found += [(side, text) for side, text in (("removed", removed), ("added", added)) if text]
    return found


def _words(text: str) -> list[str]:
    """Words and marks in order, each with the space before it; what is beyond the limit is one piece."""
    words = re.findall(r"\s*(?:\w+|[^\w\s])|\s+", text)
    return words[:MOST_WORDS] + (["".join(words[MOST_WORDS:])] if len(words) > MOST_WORDS else [])
