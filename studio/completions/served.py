"""Which models can be asked by name: every ready base model that knows conversations, and every adapter of the person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from studio import base_models
from studio.errors import Conflict, NotFound, clip
from studio.records import LOCAL_PERSON, Adapter, BaseModel, ModelState
from studio.studio import Studio

OWNED_BY = "lora-studio"


@dataclass(frozen=True)
class Served:
    id: str
    name: str
    created_at: datetime
    base_model: str
    adapter: str | None = None

    def shown(self) -> dict[str, Any]:
        """As OpenAI's servers list a model; vLLM too names an adapter's base as its parent."""
        about = {"id": self.id, "object": "model", "created": int(self.created_at.timestamp()), "owned_by": OWNED_BY}
        return {**about, "name": self.name, "parent": self.base_model if self.adapter else None}


def served(studio: Studio, owner: str = LOCAL_PERSON) -> list[Served]:
    """Base models first, then adapters, the newest first."""
    ready = select(BaseModel).where(BaseModel.state == ModelState.READY).order_by(BaseModel.created_at.desc())
    with studio.database.read() as session:
        bases = [base for base in session.scalars(ready) if base_models.facts_of(base).has_chat_template]
        adapters = session.scalars(select(Adapter).where(Adapter.owner == owner).order_by(Adapter.created_at.desc()))
        known = {base.id for base in bases}
        return [
            *(Served(base.id, base.name, base.created_at, base.id) for base in bases),
            *(
                Served(each.id, each.name, each.created_at, each.base_model, each.id)
                for each in adapters
                if each.base_model in known
            ),
        ]


def find(studio: Studio, name: str, owner: str = LOCAL_PERSON) -> Served:
    """The one of this id, or else of this name. Raises NotFound, and Conflict where several have the name."""
    there = served(studio, owner)
    found = [each for each in there if each.id == name] or [each for each in there if each.name == name]
    if not found:
        error = NotFound("model", name)
        error.field, error.fix = "model", "GET /v1/models lists what there is."
        raise error
    if len(found) > 1:
        ids = ", ".join(each.id for each in found[:8])
        raise Conflict(f"{len(found)} models are named '{clip(name)}'.", f"Ask one by its id: {ids}.", "model")
    return found[0]
