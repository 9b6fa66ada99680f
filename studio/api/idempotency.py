"""Idempotency-Key: the same write sent twice is done once, and answered alike.

A repeated POST, PATCH or DELETE with the same key by the same person answers what the first one answered. Kept for a day.
The same key with another request is a mistake of the sender, and refused.
"""

import hashlib
import json
from datetime import timedelta

from sqlalchemy import delete
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.errors import StudioError
from studio.gate import STREAMS
from studio.records import LOCAL_PERSON, RememberedAnswer, utc_now
from studio.studio import Studio

KEPT = timedelta(days=1)
LARGEST = 1_000_000  # bytes of an answer that is remembered; larger ones are streams
COMPARED = 1_000_000  # bytes of a request that are compared; of a longer one, and of an upload, also the length
PENDING = 0  # status of an answer that is still being made


class Idempotency:
    """ASGI middleware before the API. Requests without the header, and reads, pass untouched."""

    def __init__(self, app: ASGIApp, studio: Studio):
        self.app, self.studio = app, studio
        self.unsettled: dict[str, _Kept] = {}  # answers by their keys that the database could not take
        with studio.database.write() as session:  # left by a web process that was killed: nobody works on them any more
            session.execute(delete(RememberedAnswer).where(RememberedAnswer.status == PENDING))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        sent, receive = await _fingerprint(scope, receive)
        try:
            known = await run_in_threadpool(self._begin, key, sent)
        except StudioError as error:
            await _send(send, error.status, _error(error.problem, error.fix))
            return
        if known is None:
            await self._first(key, scope, receive, send)
        elif known.request not in ("", sent):
            body = _error("This Idempotency-Key belongs to another request.", "Send a new request with a new key.")
            await _send(send, 422, body)
        elif known.status == PENDING:
            body = _error("This request was sent before and is still being worked on.", "Wait a moment and ask again.")
            await _send(send, 409, body)
        else:
            await _send(send, known.status, known.body.encode(), replayed=True)

    async def _first(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        kept = _Kept(send)
        try:
            await self.app(scope, receive, kept.send)
        finally:
            try:
                await run_in_threadpool(self._end, key, kept)
            except StudioError:  # its answer has left; it is remembered when the request comes again
                self.unsettled[key] = kept

    def _begin(self, key: str, sent: str) -> RememberedAnswer | None:
        """The remembered answer, or None when this request is the first with its key (which is then marked as pending)."""
        if kept := self.unsettled.get(key):
            self._end(key, kept)
            del self.unsettled[key]
        with self.studio.database.write() as session:
            session.execute(delete(RememberedAnswer).where(RememberedAnswer.at < utc_now() - KEPT))
            known = session.get(RememberedAnswer, key)
            if known is None:
                session.add(RememberedAnswer(key=key, owner=LOCAL_PERSON, request=sent, status=PENDING, body=""))
            return known

    def _end(self, key: str, kept: "_Kept") -> None:
        with self.studio.database.write() as session:
            remembered = session.get(RememberedAnswer, key)
            if remembered is None:
                return
            if kept.worth_keeping:
                remembered.status, remembered.body = kept.status, kept.body.decode()
            else:
                session.delete(remembered)  # a fault or a refusal may be tried again


class _Kept:
    """Passes an answer on and keeps a copy of it."""

    def __init__(self, send: Send):
        self._send = send
        self.status, self.body, self.finished = 0, b"", False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif len(self.body) <= LARGEST:
            self.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.finished = True
        await self._send(message)

    @property
    def worth_keeping(self) -> bool:
        return self.finished and 200 <= self.status < 300 and len(self.body) <= LARGEST


async def _fingerprint(scope: Scope, receive: Receive) -> tuple[str, Receive]:
    """What tells a request from others with its key, and a `receive` that gives the application all of it.

    An upload is known by its length alone: whoever sends it again draws new boundaries between its parts.
    """
    headers = dict(scope["headers"])
    known = hashlib.sha256(scope["query_string"] + b"\n" + headers.get(b"content-length", b""))
    messages: list[Message] = []
    if not headers.get(b"content-type", b"").startswith(b"multipart/"):
        read = 0
        while read <= COMPARED:
            messages.append(await receive())
            known.update(messages[-1].get("body", b""))
            read += len(messages[-1].get("body", b""))
            if not messages[-1].get("more_body"):
                break
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return known.hexdigest(), again


def _key(scope: Scope) -> str | None:
    """What makes a request the same: the person, the method, the address and the key that was sent."""
    if (
        scope["type"] != "http"
        or scope["method"] not in ("POST", "PATCH", "DELETE")
        or not scope["path"].startswith("/api/v1/")
    ):
        return None
    sent = next((value for name, value in scope["headers"] if name == b"idempotency-key"), None)
    if not sent or STREAMS.fullmatch(scope["path"]):  # a stream is not remembered
        return None
    return hashlib.sha256(
        b"\n".join((LOCAL_PERSON.encode(), scope["method"].encode(), scope["path"].encode(), sent))
    ).hexdigest()


def _error(problem: str, fix: str) -> bytes:
    return json.dumps({"error": {"problem": problem, "fix": fix, "field": None}}).encode()


async def _send(send: Send, status: int, body: bytes, replayed: bool = False) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if replayed:
        headers.append((b"idempotent-replayed", b"true"))
    if status == 204:
        headers, body = headers[2:], b""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
