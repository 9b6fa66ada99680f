"""How the rows of a version are spread, as the checks counted them: answers in a row, copies, languages."""

from studio.formats import Kind
from studio.pages.plots.bars import Bar, lying
from studio.row_checks.findings import Found
from studio.row_checks.looking import MOST_TURNS

MOST_LANGUAGES = 8
CLOSER = 'Press "Look closer" above to count {}.'


def spread(found: Found | None, kind: Kind) -> str:
    """Nothing where nobody has looked at the rows yet."""
    if found is None or not found.rows:
        return ""
    plots = [_turns(found)] if kind == "conversations" and found.turns else []
    plots += [_copies(found), _languages(found)]
    return f'<div class="ls-grid ls-g3 ls-gap">{"".join(plots)}</div>'


def _turns(found: Found) -> str:
    bars = [Bar(_answers(turns), count) for turns, count in sorted(found.turns.items())]
    return lying("Answers in a conversation", bars)


def _answers(turns: int) -> str:
    if turns >= MOST_TURNS:
        return f"{MOST_TURNS} or more"
    return f"{turns} answer" if turns == 1 else f"{turns} answers"


def _copies(found: Found) -> str:
    exact, near = found.counts.get("duplicate", 0), found.counts.get("near_duplicate", 0)
    bars = [Bar("There once", max(0, found.rows - exact - near)), Bar("Exact copies", exact, over=True)]
    if not found.second_pass:
        return lying("Copies", bars, CLOSER.format("near copies"))
    return lying("Copies", [*bars, Bar("Nearly the same", near, over=True)])


def _languages(found: Found) -> str:
    if not found.second_pass:
        return lying("Languages of the answers", [], CLOSER.format("languages"))
    counted = sorted(found.languages.items(), key=lambda each: (each[0] == "unknown", -each[1]))
    named = [
        Bar("Too short or mixed to tell" if name == "unknown" else name, count) for name, count in counted if count
    ]
    rest = sum(bar.count for bar in named[MOST_LANGUAGES:])
    return lying("Languages of the answers", named[:MOST_LANGUAGES] + ([Bar("Others", rest)] if rest else []))
