"""How the audit of a sequence length is drawn: what it cuts, how full the batches are, the steps that follow, and the advice."""

from studio.length_audit import LengthAudit
from studio.pages import parts, words

WHAT = {"answers": ("answer", "answers"), "text": ("document", "documents"), "preference": ("answer", "answers")}


def audited(found: LengthAudit, objective: str, train: str) -> str:
    """`train` is the address of the Train page with everything but the length, which is written behind it."""
    cut = objective != "text"
    figures = (
        parts.stat("Sequence length", words.count(found.length), "tokens"),
        parts.stat("Learned from", f"{found.learned_share:.1%}", "of all tokens"),
        parts.stat("Rows that lose their end", words.count(found.cut_rows), f"{words.count(found.cut_tokens)} tokens cut") if cut else "",
        parts.stat("Batches are full to", _share(found.packed_share), f"{_share(found.padded_share)} if padded"),
        parts.stat("Steps", words.count(found.steps), f"{found.epochs:g} epochs") if found.steps else "",
    )  # fmt: skip
    drawn = f'<h3 class="ls-side">What a training makes of it</h3><div class="ls-stats ls-gap">{"".join(figures)}</div>'
    if found.problem:
        drawn += parts.banner("bad", found.problem, found.fix)
    elif found.rows_without_learning:
        rows = words.plural(found.rows_without_learning, "row")
        drawn += parts.banner(
            "warn", f"Of {rows} nothing is learned: the answer begins behind the cut.", "They are left out of training."
        )
    return drawn + _advice(found, objective, train)


def _advice(found: LengthAudit, objective: str, train: str) -> str:
    if found.advised_length is None:
        return ""
    one, many = WHAT[objective]
    saved = f"1 {one} is" if found.advised_saves == 1 else f"{words.count(found.advised_saves)} {many} are"
    return parts.banner(
        "info",
        f"Raise the length to {words.count(found.advised_length)}: {saved} no longer cut.",
        "",
        parts.button(f"Train with {words.count(found.advised_length)}", f"{train}{found.advised_length}", small=True),
    )


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
