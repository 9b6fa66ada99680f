"""How the doctor's findings are drawn: each with what was seen, why, and one click to try the change."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from studio.doctor.chart import Finding
from studio.pages import parts
from studio.plan_changes import as_text

TOGETHER = (
    "Both are true: this adapter is better than the base on rows that it has never seen, and the last part of its training taught it nothing "
    "but the training rows. Use it as it is; the change below gives an adapter as good in less time, or a better one."
)


def findings(found: Sequence[Finding], run_id: str, running: bool = False, verdict: str | None = None) -> str:
    """ "" where there is nothing to say. `verdict` is the word that stands beside them."""
    if not found:
        return ""
    title = "What the curves say so far" if running else "What the curves say"
    rows = "".join(_finding(finding, run_id) for finding in found)
    both = verdict == "better" and any(finding.key == "overfits" for finding in found)
    joined = f'<p class="ls-sub">{TOGETHER}</p>' if both else ""
    return f'<section class="ls-card ls-doctor" aria-label="{title}"><h2>{title}</h2>{joined}<ol>{rows}</ol></section>'


def _finding(finding: Finding, run_id: str) -> str:
    again = ""
    if finding.changes:
        address = f"/train?from={quote(run_id)}&set={quote(as_text(finding.changes))}"
        again = parts.button(
            "Clone with this change", address, small=True, label=f"Clone with this change: {finding.change}"
        )
    return (
        f"<li><div><h3>{escape(finding.title)}</h3><p>{escape(finding.seen)} {escape(finding.cause)}</p>"
        f'<p class="try">Try: {escape(finding.change)}</p></div>{again}</li>'
    )
