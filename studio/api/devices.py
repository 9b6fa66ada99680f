"""Devices: what this machine trains on, and who holds what."""

from fastapi import APIRouter

from studio.api.here import ERRORS, Here
from studio.line.shown import devices_shown

ROUTER = APIRouter(prefix="/api/v1/devices", tags=["Devices"], responses=ERRORS)


@ROUTER.get("")
def list_devices(here: Here) -> dict:
    """Every device with its memory, the part of it that other programs hold, and the runs on it."""
    return {"items": devices_shown(here), "next": None}
