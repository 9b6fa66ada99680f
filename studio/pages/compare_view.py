"""How a comparison is drawn: one card per column, the base first and grey, the adapters in the colours of the series."""

from collections.abc import Sequence
from html import escape

from studio.pages import parts, words
from studio.pages.conversation import Column, Message, Talk
from studio.pages.copying import copy_button

STOPPED = {"length": "cut at the longest answer allowed", "cancel": "stopped"}


def columns(talk: Talk) -> str:
    """All columns beside each other; on a phone they are swiped through."""
    drawn = "".join(_column(column, place) for place, column in enumerate(talk.columns))
    return (
        f'<div class="ls-answers n{len(talk.columns)}" role="group" aria-label="Answers, the base first">{drawn}</div>'
    )


def _column(column: Column, place: int) -> str:
    role = "Base model" if column.adapter is None else "Adapter"
    said = _conversation(column) if column.messages else '<p class="ls-muted">Its answer comes here.</p>'
    busy = ' aria-busy="true"' if column.waiting else ""
    return (
        f'<section class="ls-card ls-answer" aria-label="{role} {escape(column.name)}"{busy}>'
        f'<header class="ls-col-h"><span class="sw" style="background:var(--ls-s{place})"></span><b title="{escape(column.name)}">{parts.text(column.name)}</b>'
        f'<span class="r">{speed(column.done)}</span></header>'
        f'<div class="ls-said">{said}</div><div class="foot">{_foot(column)}</div></section>'
    )


def _conversation(column: Column) -> str:
    turns = [_turn(message) for message in column.messages]
    if column.waiting:
        typing = '<span class="ls-caret" aria-label="answering"></span>'
        turns.append(f'<div class="a">{typing}</div>' if column.messages[-1].role == "user" else typing)
    return "".join(turns)


def _turn(message: Message) -> str:
    if message.role == "user":
        return f'<div class="q">{parts.text(message.content)}</div>'
    if not message.content.strip():
        return '<div class="a ls-muted">(an empty answer)</div>'
    return f'<div class="a">{parts.text(message.content)}</div>'


def speed(done: dict | None) -> str:
    """ "49 tok · 29 tok/s", once there is something to tell."""
    if not done or not done.get("tokens"):
        return ""
    return f"{words.count(done['tokens'])} tok · {words.count(done.get('tokens_per_second') or 0)} tok/s"


def _foot(column: Column) -> str:
    if not column.done:
        return ""
    stopped = STOPPED.get(str(column.done.get("stopped_by")), "")
    said = " · ".join(part for part in (proof(column.done.get("proof")), stopped) if part)
    copy = copy_button(column.answer) if column.answer else ""
    return f'<span class="ls-proof">{escape(said)}</span>{copy}'


def proof(told: dict | None) -> str:
    """Which weights answered, in words: the worker's own report, not what was asked for."""
    if not told:
        return ""
    check = f" · base self-check {told['self_check']}" if told.get("self_check") else ""
    if told.get("adapter") is None:
        return f"base · no layer changed{check}"
    return f"adapter {told.get('name') or told['adapter']} · changed {words.plural(int(told.get('layers_changed') or 0), 'layer')}{check}"


def differences(pairs: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """(column's name, its word differences against the base), one paragraph each."""
    if not pairs:
        return '<p class="ls-sub">Ask something: what an adapter says differently from the base is marked here.</p>'
    tags = {"added": "ins", "removed": "del"}

    def marked(parts_of: Sequence[tuple[str, str]]) -> str:
        return "".join(
            f"<{tags[kind]}>{escape(text)}</{tags[kind]}>" if kind in tags else escape(text) for kind, text in parts_of
        )

    return "".join(
        f'<h3 class="ls-h2">{parts.text(name)}</h3><p class="ls-diff">{marked(found)}</p>' for name, found in pairs
    )
