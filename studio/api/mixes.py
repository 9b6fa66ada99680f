"""Mixes: several data sets as a new one."""

from fastapi import APIRouter
from pydantic import Field

from studio.api.datasets import detailed
from studio.api.here import ERRORS, Body, Here, Who
from studio.mixes.making import make_mix
from studio.mixes.recipe import MOST_PARTS, Part

ROUTER = APIRouter(prefix="/api/v1/mixes", tags=["Data sets"], responses=ERRORS)


class NewMix(Body):
    name: str = Field("", max_length=100, description="Named after its parts where this is empty.")
    parts: list[Part] = Field(min_length=1, max_length=MOST_PARTS)


@ROUTER.post("", status_code=201)
def mix(wanted: NewMix, here: Here, who: Who) -> dict:
    """A new data set with the rows of others, each with its weight; held-out rows stay held out."""
    return detailed(here, make_mix(here, wanted.name, wanted.parts, who).id)
