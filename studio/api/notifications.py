"""Notifications: who is told how that a run has ended, and what was told."""

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from studio.api.here import ERRORS, Body, Here, Who
from studio.notifications import channels, outbox
from studio.notifications.messages import EVENTS

ROUTER = APIRouter(prefix="/api/v1/notifications", tags=["Notifications"], responses=ERRORS)
Events = list[Literal["done", "failed", "paused"]]


class NewChannel(Body):
    kind: Literal["webhook", "email"]
    address: str = Field(max_length=500, description="Where to: an http or https address, or an e-mail address.")
    events: Events = Field(
        default_factory=lambda: list(EVENTS),
        description="Of what: runs that are done, failed, or were paused by themselves.",
    )


class Change(Body):
    events: Events | None = None
    active: bool | None = Field(None, description="False: nothing is told there until it is true again.")


@ROUTER.get("")
def list_notifications(here: Here, who: Who) -> dict:
    """The last 20 that were told or are to be told, newest first."""
    return {"items": [outbox.shown(each) for each in outbox.recent(here, who)], "next": None}


@ROUTER.get("/channels")
def list_channels(here: Here, who: Who) -> dict:
    return {"items": [channels.shown(channel) for channel in channels.list_channels(here, who)], "next": None}


@ROUTER.post("/channels", status_code=201)
def add_channel(new: NewChannel, here: Here, who: Who) -> dict:
    """A webhook's secret is in this answer and in no other: keep it where messages are checked."""
    channel = channels.add_channel(here, new.kind, new.address, new.events, who)
    return {**channels.shown(channel), "secret": channel.secret}


@ROUTER.patch("/channels/{id}")
def change_channel(id: str, change: Change, here: Here, who: Who) -> dict:
    return channels.shown(channels.change_channel(here, id, who, change.events, change.active))


@ROUTER.post("/channels/{id}/secret")
def renew_secret(id: str, here: Here, who: Who) -> dict:
    """A new secret, shown in this answer alone; from now on messages are signed with it."""
    channel = channels.renew_secret(here, id, who)
    return {**channels.shown(channel), "secret": channel.secret}


@ROUTER.post("/channels/{id}/test")
def send_test(id: str, here: Here, who: Who) -> dict:
    """Send a test message and wait until it was taken: 503 with the reason when it was not."""
    channels.send_test(here, id, who)
    return {"sent": True}


@ROUTER.delete("/channels/{id}", status_code=204)
def delete_channel(id: str, here: Here, who: Who) -> None:
    channels.delete_channel(here, id, who)
