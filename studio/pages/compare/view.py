"""How a comparison is drawn: one card per column, the base first and grey, the adapters in the colours of the series."""

from collections.abc import Sequence
from html import escape

from studio.pages import parts, words
from studio.pages.compare.conversation import Column, Message, Talk
from studio.pages.copying import copy_button
from studio.pages.events import action

LETTERS = "ABCD"
STOPPED = {"length": "cut at the longest answer allowed", "cancel": "stopped"}


def columns(talk: Talk) -> str:
    """All columns beside each other; on a phone they are swiped through."""
    again = not talk.blind and not talk.hidden
    drawn = "".join(_column(column, place, talk.hidden, again) for place, column in enumerate(talk.columns))
    order = "in a hidden order" if talk.hidden else "the base first"
    if talk.blind and not talk.hidden:
        order = "in the order in which they were hidden"
    return f'<div class="ls-answers n{len(talk.columns)}" role="group" aria-label="Answers, {order}">{drawn}</div>'


def _column(column: Column, place: int, hidden: bool, again: bool) -> str:
    role = "" if hidden else "Base model " if column.adapter is None else "Adapter "
    said = _conversation(column) if column.messages else '<p class="ls-muted">Its answer comes here.</p>'
    busy = ' aria-busy="true"' if column.waiting else ""
    swatch = "" if hidden else f'<span class="sw" style="background:var(--ls-s{column.colour})"></span>'
    return (
        f'<section class="ls-card ls-answer" aria-label="{role}{escape(column.name)}"{busy}>'
        f'<header class="ls-col-h">{swatch}<b title="{escape(column.name)}">{parts.text(column.name)}</b>'
        f'<span class="r">{speed(column.done)}</span></header>'
        f'<div class="ls-said">{said}</div><div class="foot">{_foot(column, place, again)}</div></section>'
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


def _foot(column: Column, place: int, again: bool) -> str:
    if not column.done:
        return ""
    stopped = STOPPED.get(str(column.done.get("stopped_by")), "")
    tried = f"draw {column.tries + 1}" if column.tries else ""
    told = (proof(column.done.get("proof")), first_token(column.done), tried, stopped)
    said = " · ".join(part for part in told if part)
    redo = action("Again", "again", str(place), label=f"Ask {column.name} again") if again and column.answer else ""
    copy = copy_button(column.answer) if column.answer else ""
    return f'<span class="ls-proof">{escape(said)}</span>{redo}{copy}'


def first_token(done: dict) -> str:
    """ "first token after 0.08 s": how long one waited for the answer to begin."""
    seconds = done.get("first_token_seconds")
    return f"first token after {seconds:.2f}\u00a0s" if isinstance(seconds, int | float) else ""


def proof(told: dict | None) -> str:
    """Which weights answered, in words: the worker's own report, not what was asked for."""
    if not told:
        return ""
    check = f" · base self-check {told['self_check']}" if told.get("self_check") else ""
    if told.get("adapter") is None:
        return f"base · no layer changed{check}"
    if tokens := int(told.get("virtual_tokens") or 0):
        return (
            f"adapter {told.get('name') or told['adapter']} · {words.plural(tokens, 'learned token')} in front{check}"
        )
    return f"adapter {told.get('name') or told['adapter']} · changed {words.plural(int(told.get('layers_changed') or 0), 'layer')}{check}"


def ballot(talk: Talk, busy: bool) -> str:
    """The vote: its buttons wait until every column has answered, and each names the key that presses it."""
    if not talk.hidden:
        return ""
    locked = " disabled" if busy or not talk.votable else ""
    names = [(f"{LETTERS[place]} is better", LETTERS[place], str(place + 1)) for place in range(len(talk.columns))]
    drawn = "".join(
        f'<button type="button" class="ls-btn" data-act="vote" data-id="{choice}" data-key="{key.lower()}" aria-keyshortcuts="{key}"{locked}>'
        f"{words}<kbd>{key}</kbd></button>"
        for words, choice, key in (*names, ("About the same", "tie", "T"), ("All bad", "bad", "B"))
    )
    if busy:
        hint = "The vote opens when every column has answered. All of them are written in step, so that speed tells nothing."
    elif locked:
        hint = "Ask something: the names and numbers stay hidden until you have voted."
    else:
        keys = '<span class="ls-hide-phone"> Click, or press a key while the vote is outlined.</span>'
        hint = f"Which answer is best?{keys} Asking further keeps the order."
    return f'<div class="ls-votes" role="group" aria-label="Your vote" tabindex="-1">{drawn}</div><p class="ls-sub ls-hint">{hint}</p>'


def verdict(talk: Talk, choice: str, standing: Sequence[tuple[str, str]] = ()) -> str:
    """After the vote: what it said with the names, and how each adapter (name, sentence) stands against the base by now."""
    names = dict(zip(LETTERS, talk.columns, strict=False))
    if choice in names:
        model = names[choice]
        who = "the base model" if model.adapter is None else "the adapter"
        words = f"You found answer {choice} best: {who} {model.name.partition(' · ')[2]}."
    else:
        words = {"tie": "You found them about the same.", "bad": "You found all of them bad."}[choice]
    so_far = " ".join(f"{name}: {sentence}" for name, sentence in standing)
    after = "The next question begins a new comparison, shuffled again."
    link = parts.button("All votes", f"/votes?model={talk.base_model}", small=True)
    return parts.banner("ok", words, f"{so_far} {after}".strip(), link)


def differences(pairs: Sequence[tuple[str, Sequence[tuple[str, str]]]], hidden: bool = False) -> str:
    """(column's name, its word differences against the base), one paragraph each."""
    if hidden:
        return (
            '<p class="ls-sub">Hidden until you have voted: the differences would tell which answer is the base\'s.</p>'
        )
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
