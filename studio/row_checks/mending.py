"""What a fix makes of a row: its texts without the fault, or no row any more."""

from studio.formats import Conversation, Document, Found, Pair, RowFault
from studio.formats.checks import checked
from studio.row_checks.kinds import CHECKS

Messages = list[dict]


def mended(row: Found, check: str) -> Found | None:
    """The row after the fix of this check; None where it is dropped. A fix that leaves nothing to learn from drops the row.

    Applied twice it is the same as once, and a row without the fault comes back as it was.
    """
    mend = CHECKS[check].mend
    if mend is None:
        return None

    def each(messages: Messages) -> Messages:
        return [{**message, "content": mend(message["content"])} for message in messages]

    if isinstance(row, Document):
        made: Found = Document(mend(row.text))
    elif isinstance(row, Pair):
        made = Pair(each(row.prompt), each(row.chosen), each(row.rejected))
    else:
        made = Conversation(each(row.messages))
    try:
        return checked(made)
    except RowFault:
        return None
