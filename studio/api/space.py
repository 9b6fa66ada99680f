"""Disk space: what takes how much of it, and what can go."""

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter

from studio.api.here import ERRORS, Body, Here, Who
from studio.space import overview

ROUTER = APIRouter(prefix="/api/v1/space", tags=["Disk space"], responses=ERRORS)


class Wanted(Body):
    what: Literal["checkpoints", "encoded"]


@ROUTER.get("")
def get_space(here: Here) -> dict:
    """The disk, the data folder, and each kind of what is in it: `bytes` and, of them, `spare_bytes` that can go."""
    return asdict(overview.space(here))


@ROUTER.post("/free")
def free_space(wanted: Wanted, here: Here, who: Who) -> dict:
    """Delete what can go: checkpoints of ended runs that nothing needs, or rows encoded for training. What was freed of a run is in its history."""
    return {"freed_bytes": overview.free(here, wanted.what, who)}
