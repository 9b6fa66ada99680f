"""What is said of a run that has ended, for programs and for people."""

from typing import Any

from sqlalchemy.orm import Session

from studio.errors import clip
from studio.records import BaseModel, Dataset, Run, Status, Want, utc_now
from studio.settings import StudioSettings

EVENTS = {"done": "Done", "failed": "Failed", "paused": "Paused by itself"}
TEST = "test"


def event_of(run: Run, to: Status) -> str | None:
    """Which event it is that `run` (as it was) has come to `to`; None for what its person has asked for."""
    if to is Status.PAUSED:
        return None if run.want is Want.PAUSE else "paused"
    return {Status.SUCCEEDED: "done", Status.FAILED: "failed"}.get(to)


def body_of(session: Session, settings: StudioSettings, run: Run, event: str, text: str) -> dict[str, Any]:
    """The message about `run` as it is now; `text` is the first line of what its history says."""
    model, dataset = session.get(BaseModel, run.base_model), session.get(Dataset, run.dataset)
    said = f"{clip(run.name, 100)}: {text.partition(chr(10))[0]}"
    facts = {name: getattr(run, name) for name in ("id", "name", "step", "steps", "heldout_loss", "base_heldout_loss", "verdict", "problem", "fix")}  # fmt: skip
    named = {"base_model": model and model.name, "dataset": dataset and dataset.name, "state": run.state.value}
    at = utc_now().isoformat()
    return {
        "event": f"run.{event}",
        "at": at,
        "text": said,
        "run": {**facts, **named, "url": address_of(settings, run.id)},
    }


def body_of_test(settings: StudioSettings) -> dict[str, Any]:
    text = "A test: this is how LoRA Studio tells you that a run has ended."
    return {"event": TEST, "at": utc_now().isoformat(), "text": text, "run": None}


def address_of(settings: StudioSettings, run: str) -> str:
    return f"{(settings.public_url or f'http://{settings.host}:{settings.port}').rstrip('/')}/run?id={run}"


def subject(body: dict[str, Any]) -> str:
    """One line, whatever a run is called: what could begin another header is gone."""
    run = body["run"]
    if run is None:
        return "LoRA Studio: a test"
    word = EVENTS.get(body["event"].removeprefix("run."), "Ended")
    return one_line(f"{word}: {run['name']}")


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:150]


def letter(body: dict[str, Any]) -> str:
    """The e-mail's text."""
    run = body["run"]
    lines = [body["text"]]
    if run is not None:
        lines += ["", run["problem"] or "", run["fix"] or ""] if run["problem"] else []
        lines += [
            "",
            f"Base model: {run['base_model']}",
            f"Data: {run['dataset']}",
            f"Step {run['step']} of {run['steps']}",
        ]
        if run["heldout_loss"] is not None and run["base_heldout_loss"] is not None:
            lines.append(f"Loss on held-out rows: {run['base_heldout_loss']:.3f} → {run['heldout_loss']:.3f}")
        lines += ["", run["url"]]
    return "\n".join(
        [*lines, "", "-- ", "LoRA Studio. You get this because of your settings on its page Notifications."]
    )
