"""What the studio remembers: SQLAlchemy models. Facts we search or sort by are columns; everything else is a file in the thing's folder."""

from studio.records.adapters import Adapter, AdapterJob
from studio.records.base_models import BaseModel
from studio.records.comparisons import BlindComparison, Comparison, Vote
from studio.records.datasets import Dataset, DatasetEdit, DatasetVersion
from studio.records.notifications import Channel, Notification
from studio.records.record import LOCAL_PERSON, Person, Record, UtcDateTime, owner_column, stored_as_text, utc_now
from studio.records.remembered import RememberedAnswer
from studio.records.runs import ChatWait, Device, Run, RunEvent
from studio.records.states import LIVE, OPEN, TERMINAL, Delivery, JobState, ModelState, Status, Want
from studio.records.suites import Suite, SuiteRun

__all__ = [
    "Adapter",
    "AdapterJob",
    "BaseModel",
    "BlindComparison",
    "Channel",
    "ChatWait",
    "Comparison",
    "Dataset",
    "DatasetEdit",
    "DatasetVersion",
    "Delivery",
    "Device",
    "JobState",
    "LIVE",
    "LOCAL_PERSON",
    "ModelState",
    "Notification",
    "OPEN",
    "Person",
    "Record",
    "RememberedAnswer",
    "Run",
    "RunEvent",
    "Status",
    "Suite",
    "SuiteRun",
    "TERMINAL",
    "UtcDateTime",
    "Vote",
    "Want",
    "owner_column",
    "stored_as_text",
    "utc_now",
]
