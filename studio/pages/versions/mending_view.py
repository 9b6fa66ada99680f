"""How the dialog is drawn in which a bad answer is mended, and what became of it."""

from collections.abc import Sequence
from html import escape

from studio.formats import KINDS, Kind
from studio.pages import parts, words
from studio.pages.events import action
from studio.records import Dataset
from studio.versions.mending import Mend, Place

ANSWERS, PAIRS = "new-answers", "new-pairs"
NEW: dict[str, tuple[Kind, str]] = {
    ANSWERS: ("conversations", "A new data set of answers"),
    PAIRS: ("preference", "A new data set of preference pairs"),
}
SHOWN = 400  # letters of a question or an answer that is only told


def dialog(
    mend: Mend,
    offered: Sequence[Dataset],
    learned: str | None,
    chosen: Dataset | None,
    into: str,
    place: Place | None,
    waiting: int,
) -> str:
    earlier = len(mend.messages) - 1
    before = f' <span class="ls-muted">after {words.plural(earlier, "message")}</span>' if earlier else ""
    return (
        '<section class="ls-card ls-mend" aria-label="Mend the data from this answer"><h2>Mend the data from this answer</h2>'
        f'<p class="ls-sub">To: {parts.text(_short(mend.messages[-1].content))}{before}</p>'
        f'<label class="ls-box">The right answer<textarea rows="5">\n{escape(mend.right)}</textarea></label>'
        f'<label class="ls-box">Into<select>{_options(offered, learned, chosen, into)}</select></label>'
        f"{_what(chosen, into)}{_same(place)}{_buttons(chosen, into, waiting)}</section>"
    )


def _options(offered: Sequence[Dataset], learned: str | None, chosen: Dataset | None, into: str) -> str:
    names = [
        (
            dataset.id,
            f"{dataset.name} ({KINDS[dataset.kind].lower()}){', learned from' if dataset.id == learned else ''}",
        )
        for dataset in offered
    ]
    names += [(id, title) for id, (_, title) in NEW.items()]
    wanted = chosen.id if chosen else into
    return "".join(
        f'<option value="{escape(id)}"{" selected" if id == wanted else ""}>{escape(name)}</option>'
        for id, name in names
    )


def _what(chosen: Dataset | None, into: str) -> str:
    """What a row will be, and the name of a data set that begins here."""
    kind = chosen.kind if chosen else NEW[into][0]
    said = {
        "conversations": "The question with your answer becomes a row. Earlier answers of the conversation are read, not learned.",
        "preference": "Your answer becomes the chosen one, the answer above the rejected one.",
    }[kind]
    name = (
        ""
        if chosen
        else '<label class="ls-box">Its name<input class="ls-why" data-name maxlength="100" value="Mended answers"></label>'
    )
    return f'{name}<p class="ls-sub ls-gap">{said}</p>'


def _same(place: Place | None) -> str:
    if place is None:
        return ""
    return (
        f'<p class="ls-sub">Row {words.count(place.row)} asks the same, and says: {parts.text(_short(place.answer))}</p>'
        '<label class="ls-tick"><input type="checkbox" data-replace checked> Replace the answer of that row</label>'
    )


def _buttons(chosen: Dataset | None, into: str, waiting: int) -> str:
    if chosen is None:
        save, collect, together = "Make it", "", ""
    else:
        save, collect = f"Save as version {chosen.version + 1}", action("Collect, and save later", "collect", "")
        said = (
            f"{words.plural(waiting, 'edit')} that {'wait' if waiting > 1 else 'waits'} already will be saved with it."
        )
        together = f'<p class="ls-sub">{said}</p>' if waiting else ""
    return (
        f'{together}<div class="ls-row ls-gap"><button type="button" class="ls-btn s p" data-act="save">{save}</button>{collect}'
        f"{action('Leave it', 'leave', '')}</div>"
    )


def saved(dataset: Dataset, version: int, why: str, train: str) -> str:
    actions = parts.button("Train again with this version", train, small=True, primary=True)
    actions += parts.button("Look at it", f"/data?id={dataset.id}&version={version}", small=True)
    return parts.banner("ok", f"Version {version} of '{dataset.name}' is saved.", why, actions)


def collected(dataset: Dataset, waiting: int) -> str:
    actions = parts.button("Look at them and save", f"/data?id={dataset.id}", small=True)
    said = f"{words.plural(waiting, 'edit')} {'wait' if waiting > 1 else 'waits'} for version {dataset.version + 1} of '{dataset.name}'."
    return parts.banner("info", said, "Mend more, then save all of them as one version.", actions)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"
