"""Columns of a comparison: who answers in each, looked up, checked against the base, and told to the chat worker."""

from dataclasses import dataclass, field

from studio import adapters, base_models, checkpoints
from studio.compare_request import Answering, CheckpointOf
from studio.errors import Invalid, NotFound, at_field, clip
from studio.folders import AdapterFolder
from studio.lab_settings import sum_in_words
from studio.records import Adapter, BaseModel
from studio.studio import Studio


@dataclass(frozen=True)
class Answerer:
    """Who answers in one column: the base when nothing is set."""

    adapter: Adapter | None = None
    mix: tuple[tuple[Adapter, float], ...] = ()
    checkpoint: CheckpointOf | None = None
    run_name: str = ""
    kept: str = ""
    """The name under which the checkpoint's adapter is kept for the chat worker."""
    folders: tuple[AdapterFolder, ...] = field(default=(), compare=False)
    """Where what it is made of lies."""

    @property
    def name(self) -> str:
        """Of what answers; empty for the base."""
        if self.checkpoint:
            return f"{self.run_name}, step {self.checkpoint.step}"
        if self.mix:
            return sum_in_words((weight, adapter.name) for adapter, weight in self.mix)
        return self.adapter.name if self.adapter else ""

    def asked(self) -> dict:
        """As the chat worker is told: {"adapter": {...} | None}, or {"mix": [...]}."""
        if self.mix:
            return {"mix": [{"id": adapter.id, "name": adapter.name, "weight": weight} for adapter, weight in self.mix]}
        if self.checkpoint:
            about = {"id": f"{self.checkpoint.run}-{self.checkpoint.step}", "name": self.name, "kept": self.kept}
            return {"adapter": {**about, "checkpoint": self.checkpoint.model_dump()}}
        return {"adapter": self.adapter and {"id": self.adapter.id, "name": self.adapter.name}}


def answerers(
    studio: Studio, base_model: str, columns: list[Answering], owner: str
) -> tuple[BaseModel, list[Answerer]]:
    """The base and who answers in each column. Raises NotFound, Conflict or Invalid when one cannot."""
    with at_field("base_model"):
        base = base_models.ready_model(studio, base_model)
        base_models.require_template(base)
    return base, [_answerer(studio, base, column, owner, f"columns.{place}") for place, column in enumerate(columns)]


def _answerer(studio: Studio, base: BaseModel, column: Answering, owner: str, field: str) -> Answerer:
    if column.mix:
        parts = [
            (_adapter(studio, base, part.adapter, owner, f"{field}.mix.{place}.adapter"), part.weight)
            for place, part in enumerate(column.mix)
        ]
        return Answerer(mix=tuple(parts), folders=tuple(studio.data.adapter(adapter.id) for adapter, _ in parts))
    if column.checkpoint:
        return _checkpoint(studio, base, column.checkpoint, owner, f"{field}.checkpoint")
    if column.adapter:
        adapter = _adapter(studio, base, column.adapter, owner, f"{field}.adapter")
        return Answerer(adapter, folders=(studio.data.adapter(adapter.id),))
    return Answerer()


def _adapter(studio: Studio, base: BaseModel, id: str, owner: str, field: str) -> Adapter:
    with at_field(field):
        adapter = adapters.get_adapter(studio, id)
        if adapter.owner != owner:
            raise NotFound("adapter", id)
    _check_base(studio, base, adapter.base_model, adapter.name, field)
    return adapter


def _checkpoint(studio: Studio, base: BaseModel, asked: CheckpointOf, owner: str, field: str) -> Answerer:
    with at_field(f"{field}.run"):
        run = checkpoints.get_run(studio, asked.run, owner)
    _check_base(studio, base, run.base_model, run.name, f"{field}.run")
    kept = checkpoints.kept(studio, run, asked.step, f"{field}.step")
    return Answerer(checkpoint=asked, run_name=run.name, kept=kept, folders=(studio.data.chat.checkpoint(kept),))


def _check_base(studio: Studio, base: BaseModel, trained_on: str, name: str, field: str) -> None:
    """Whether what was trained on that base may be put on this one: the same, or one with the same weights."""
    theirs = base_models.find(studio, trained_on)
    if trained_on != base.id and (theirs is None or theirs.fingerprint != base.fingerprint):
        on = f"'{clip(theirs.name)}'" if theirs else "a model that is gone"
        raise Invalid(
            f"'{clip(name)}' was trained on {on} and cannot be put on '{clip(base.name)}'.",
            "Choose adapters of the same base model.",
            field,
        )
