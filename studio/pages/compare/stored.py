"""A conversation of the Compare page that is opened again: what was asked and answered stands in the comparisons that its address names."""

from collections.abc import Sequence

from studio import compare
from studio.compare_request import Column as Asked
from studio.compare_request import read_request, sampling_of
from studio.errors import Conflict, StudioError
from studio.pages import parts
from studio.pages.compare.conversation import MOST_TRIES, Talk, read_talk
from studio.pages.compare.lineup import LineUp
from studio.records import Comparison
from studio.studio import Studio

OTHERS = ("Other models answer in it.", "Choose them above.")


def opened(studio: Studio, ids: Sequence[str], fresh: Talk, lineup: LineUp, seed: int) -> tuple[Talk, str]:
    """(the conversation, what to say where it cannot be shown). `fresh` is an empty one of these columns.

    `ids` names a comparison for each column, or one for all of them; `seed` is that of the columns without one of their own.
    """
    try:
        return filled(studio, ids, fresh, lineup, seed), ""
    except StudioError as error:
        why = f"{error.problem} The next question begins a new one."
        return fresh, parts.banner("warn", "The conversation in this address cannot be shown.", why)


def filled(studio: Studio, ids: Sequence[str], fresh: Talk, lineup: LineUp, seed: int) -> Talk:
    """Raises NotFound for a comparison that is gone or somebody else's, Conflict for one of other columns."""
    ids = [*ids] * len(fresh.columns) if len(ids) == 1 else [*ids]
    if len(ids) != len(fresh.columns):
        raise Conflict(*OTHERS)
    known = {id: compare.get_comparison(studio, id) for id in dict.fromkeys(ids)}
    columns = []
    for place, (id, column) in enumerate(zip(ids, fresh.columns, strict=True)):
        if known[id].base_model != fresh.base_model:
            raise Conflict(*OTHERS)
        columns.append(column.model_dump() | _said(known[id], lineup.columns, place, seed))
    talk = read_talk({**fresh.model_dump(), "columns": columns, "stored": ids})
    if len({tuple(column.questions) for column in talk.columns}) > 1:
        raise Conflict("Its columns were asked different things.", "Ask again.")
    return talk


def _said(comparison: Comparison, lineup: Sequence[Asked], place: int, seed: int) -> dict:
    """What this column was asked and answered. An answer that was asked for again stands in a comparison of its own."""
    request = read_request(comparison.request)
    alone = len(request.columns) == 1
    asked = request.columns[0 if alone else place] if alone or len(request.columns) == len(lineup) else None
    if asked is None or _who(asked) != _who(lineup[place]):
        raise Conflict(*OTHERS)
    answer = dict(comparison.answers["columns"][0 if alone else place])
    messages = [message.model_dump() for message in asked.messages or request.messages]
    messages.append({"role": "assistant", "content": answer.pop("text")})
    own = lineup[place].seed
    tries = sampling_of(request, asked)["seed"] - (seed if own is None else own) if alone and len(lineup) > 1 else 0
    return {"messages": messages, "done": answer, "tries": tries if 0 < tries <= MOST_TRIES else 0}


def _who(column: Asked) -> tuple:
    """Who answers; the weights of a mix may have been moved since."""
    return column.adapter, [part.adapter for part in column.mix or ()], column.checkpoint
