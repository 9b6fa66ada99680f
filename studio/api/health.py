"""Is the studio well? Needs no sign-in."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

import studio as package
from studio.api.here import Here
from studio.devices import planned_device
from studio.runs import runner_alive

ROUTER = APIRouter(tags=["Health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"
    version: str
    runner: Literal["alive", "absent"]
    device: str


@ROUTER.get("/healthz")
def health(here: Here) -> Health:
    return Health(
        version=package.__version__,
        runner="alive" if runner_alive(here) else "absent",
        device=planned_device(here).name,
    )
