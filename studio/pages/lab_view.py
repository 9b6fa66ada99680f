"""How the adapter lab is drawn: its jobs with what was measured, and the x-ray of an adapter as a heat map."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from studio.errors import clip
from studio.pages import parts, words
from studio.pages.events import action
from studio.records import AdapterJob, JobState
from studio.xrays import Xray, XrayedModule, offers

KINDS = {
    "stack": "Combined",
    "shrink": "Made smaller",
    "merge": "Merged into the base",
    "extract": "Extracted",
    "fetch": "Fetched from the Hub",
    "push": "Pushed to the Hub",
}
STATES = {
    JobState.QUEUED: ("Waiting", "idle"),
    JobState.RUNNING: ("Working", "running"),
    JobState.DONE: ("Done", "ok"),
    JobState.FAILED: ("Failed", "bad"),
    JobState.CANCELLED: ("Cancelled", "idle"),
}
STRONGEST = 50  # percent of the accent colour; more would leave the numbers on it too little contrast
OUTSIDE = "Other"
EXACT = 1e-6  # relative error of what is only rounded


def jobs(found: Iterable[AdapterJob]) -> str:
    """The jobs as a list, newest first; nothing where there are none."""
    rows = "".join(job_row(job) for job in found)
    return (
        f'<section class="ls-card" id="work"><h2>Work on adapters</h2><ul class="ls-jobs">{rows}</ul></section>'
        if rows
        else ""
    )


def job_row(job: AdapterJob) -> str:
    word, kind = ("Stopping", "warn") if job.cancel and job.state is JobState.RUNNING else STATES[job.state]
    title = parts.text(job.name)
    if job.state is JobState.DONE:
        title = f'<a href="{escape(place_of(job))}">{title}</a>'
    more = {JobState.RUNNING: running, JobState.FAILED: failed, JobState.DONE: measured}.get(job.state)
    return (
        f'<li><div class="ls-row"><b class="ls-name">{title}</b>{parts.chip(word, kind)}<span class="ls-sub">{KINDS.get(job.kind, job.kind)}, '
        f'{words.ago(job.created_at)}</span><span class="end">{buttons(job)}</span></div>{more(job) if more else ""}</li>'
    )


def place_of(job: AdapterJob) -> str:
    """Where what it made is shown."""
    if (url := str(job.result.get("url", ""))).startswith(("https://", "http://")):
        return url
    return "/models" if "model" in job.result else f"/adapters?id={job.result.get('adapter', '')}"


def running(job: AdapterJob) -> str:
    said = f'<p class="ls-sub">{escape(job.doing)}</p>' if job.doing else ""
    return parts.progress(job.progress, f"Progress of {job.name}") + said


def failed(job: AdapterJob) -> str:
    return parts.banner("bad", job.problem or "It failed.", job.fix or "")


def measured(job: AdapterJob) -> str:
    """What the result lost, in a sentence."""
    return f'<p class="ls-sub">{escape(in_words(job.result))}</p>'


def in_words(result: Mapping[str, Any]) -> str:
    """What a job measured on its result: its rank, and what it lost."""
    said = [f"Rank {result['rank']}."] if result.get("rank") else []
    if repo := result.get("repo"):
        seen = {True: ", private", False: ", for everybody"}.get(result.get("private"), "")
        said.append(f"{clip(repo, 120)}{seen}, commit {clip(result.get('commit') or result.get('revision'), 12)}.")
    if (error := result.get("relative_error")) is not None:
        exact = f"Exactly the sum of the updates (relative error {error:.0e})."
        said.append(exact if error < EXACT else f"{percent(error)} away from the exact sum of the updates.")
    if (lost := result.get("energy_lost")) is not None:
        said.append(
            f"{percent(lost)} of the update's energy is lost, {percent(result['worst_energy_lost'])} in the worst module."
        )
    if count := result.get("outside_count"):
        said.append(outside_in_words(result, count))
    if (difference := result.get("logit_difference")) is not None:
        said.append(
            f"A base model now, on the Models page. No logit differs from the adapter's by more than {difference:.0e} of the largest one."
        )
    return " ".join(said)


def outside_in_words(result: Mapping[str, Any], count: int) -> str:
    """What a fine-tune changed beside the targeted layers."""
    listed = result.get("outside")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], Mapping) else {}
    size = first.get("relative_change")
    most = (
        f", most of all {clip(first.get('name'), 80)} (by {percent(size)} of its norm)"
        if isinstance(size, float)
        else ""
    )
    where = "They are in it whole." if result.get("outside_kept") else "They are not in it."
    return f"{words.plural(count, 'other weight')} differ too{most}. {where}"


def by_module(measured: Mapping[str, Any]) -> str:
    """What each module lost, the worst first; nothing where it was not measured so."""
    listed = measured.get("modules")
    found = [
        (str(each.get("name")), each.get("rank"), each["energy_lost"])
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, Mapping) and isinstance(each.get("energy_lost"), int | float)
    ]
    rows = [
        (f'<span class="ls-mono">{parts.text(clip(name, 120))}</span>', parts.text(rank), percent(lost))
        for name, rank, lost in sorted(found, key=lambda each: -each[2])
    ]
    if not rows:
        return ""
    drawn = parts.table(
        ("Module", "Rank", "Energy lost"),
        rows,
        "Loss of each module",
        "",
        ("wrap", "ls-right ls-num", "ls-right ls-num"),
    )
    return (
        f'<details class="ls-more"><summary>{words.plural(len(rows), "module")}, one by one</summary>{drawn}</details>'
    )


def percent(share: float) -> str:
    return words.share(share) if share >= 1e-4 else f"{share * 100:.1e} %"


def buttons(job: AdapterJob) -> str:
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        return "" if job.cancel else action("Cancel", "cancel", job.id, label=f"Cancel {job.name}")
    return action("Clear", "clear", job.id, quiet=True, label=f"Take {job.name} out of this list")


def xray(found: Xray) -> str:
    """A heat map of layers by modules: the stronger the update, the stronger the colour; the numbers say the same."""
    columns = columns_of(found.modules)
    layers = sorted({module.layer for module in found.modules}, key=lambda layer: (layer is None, layer))
    cells = {(module.layer, columns[module.name]): module for module in found.modules}
    names = list(dict.fromkeys(columns.values()))
    strongest = max(module.norm for module in found.modules) or 1.0
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{OUTSIDE if layer is None else layer}</th>'
        + "".join(cell(found, cells.get((layer, name)), strongest) for name in names)
        + "</tr>"
        for layer in layers
    )
    return (
        '<section class="ls-card ls-load"><h2>X-ray</h2><p class="ls-sub">How strongly each layer was changed: the norm of its update, '
        f"and below it in how many directions (effective rank, of {found.widest}).</p>"
        '<div class="ls-tw" tabindex="0" role="region" aria-label="X-ray of the adapter"><table class="ls-heat"><caption class="ls-hidden">Norm and '
        f'effective rank of the update, by layer and module</caption><thead><tr><th scope="col">Layer</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def cell(found: Xray, module: XrayedModule | None, strongest: float) -> str:
    if module is None:
        return '<td class="ls-muted">–</td>'
    heat = round(STRONGEST * module.norm / strongest)
    hint = f"{module.name}: {percent(found.share(module))} of the whole update's energy, rank {module.rank}"
    return f'<td style="--heat:{heat}%" title="{escape(hint)}"><b>{module.norm:.3g}</b><small>{module.effective_rank:.1f}</small></td>'


def columns_of(modules: list[XrayedModule]) -> dict[str, str]:
    """The column of each module: the last part of its name, with the one before it where a layer has that name twice."""
    seen: dict[tuple[int | None, str], int] = {}
    for module in modules:
        key = (module.layer, last(module.name, 1))
        seen[key] = seen.get(key, 0) + 1
    twice = {name for (_, name), count in seen.items() if count > 1}
    return {module.name: last(module.name, 2 if last(module.name, 1) in twice else 1) for module in modules}


def last(name: str, count: int) -> str:
    return ".".join(name.split(".")[-count:])


def offered(found: Xray) -> str:
    """Which smaller ranks would be enough."""
    told = [
        f"Rank {offer['rank']} keeps {percent(offer['kept'])} of the update's energy (its squared norm); the module that loses most keeps "
        f"{percent(offer['worst_kept'])}."
        for offer in offers(found)
        if offer["rank"] < found.widest
    ]
    if not told:
        return f'<p class="ls-sub">All {found.widest} of its directions are used: a smaller rank keeps less than 99 % of the update.</p>'
    return "".join(f'<p class="ls-sub">{escape(sentence)}</p>' for sentence in dict.fromkeys(told))
