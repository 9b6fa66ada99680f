"""The gate in front of every route: what is not named here is not served.

No sign-in yet, so the studio answers loopback only: a request must name a loopback host (against DNS rebinding), and a
write must come from the studio's own pages or from a program that is no browser (against cross-site requests).
"""

import json
import logging
import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.error_body import OPENAI, error_body
from studio.settings import LOOPBACK

log = logging.getLogger("studio.gate")

READ = ("GET", "HEAD")
WRITE = ("POST",)
ANY = (*READ, "POST", "PATCH", "DELETE")

# (methods, pattern of the whole path, whose it is). Everything else is 404, Gradio's other routes among it: /gradio_api/cancel
# with a foreign event, /proxy=, /deep_link, /vibe*, /monitoring*, /dev/reload, its own /openapi.json, /token, /user, /runs.
OURS: list[tuple[tuple[str, ...], str]] = [
    (READ, r"/healthz"),
    (ANY, r"/api/v1(/[A-Za-z0-9_-]+)+"),
    (READ, r"/v1/models(/[^/]+)*"),
    (WRITE, r"/v1/chat/completions"),
    (READ, r"/files/adapters/[A-Za-z0-9]+(/gguf)?"),
    (READ, r"/(docs|openapi\.json)"),
    (READ, r"/docs-assets/[A-Za-z0-9_.-]+"),
    (READ, r"/assets-studio/[A-Za-z0-9_./-]+"),
]
GRADIO: list[tuple[tuple[str, ...], str]] = [
    (READ, r"/config/?"),
    (READ, r"/(theme\.css|gradio_api/theme\.css|favicon\.ico|robots\.txt|manifest\.json)"),
    (READ, r"/(assets|static|svelte)/.+"),
    (READ, r"/gradio_api/(info|app_id|startup-events|login_check|queue/status|queue/data|upload_progress)/?"),
    (READ, r"/gradio_api/heartbeat/[A-Za-z0-9]+"),
    (READ, r"/gradio_api/file=(?!https?:).+"),
    (WRITE, r"/gradio_api/(queue/join|upload|cancel|reset)/?"),
    (WRITE, r"/gradio_api/(run|api|call|call/v2)/[A-Za-z0-9_]+/?"),
    (READ, r"/gradio_api/call/(v2/)?[A-Za-z0-9_]+/[A-Za-z0-9]+"),
]
POLICY = ";".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio's gr.HTML compiles its templates in the browser
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
STREAMS = re.compile(
    r"/gradio_api/(queue/data|heartbeat/.+)|/api/v1/(compare|blind/[A-Za-z0-9_-]+/ask)|/v1/chat/completions"
)
MOST_STREAMS = 200  # open at the same time; each holds a connection for as long as it likes
UPLOADS = re.compile(r"/api/v1/(datasets(/inspect)?|adapters|suites/upload)|/gradio_api/upload/?")


class Gate:
    """ASGI middleware. `pages` are the paths of the studio's pages, `upload_bytes` and `body_bytes` the largest bodies."""

    def __init__(self, app: ASGIApp, pages: Iterable[str], upload_bytes: int, body_bytes: int):
        self.app = app
        self.upload_bytes, self.body_bytes = upload_bytes, body_bytes
        self.streams = 0  # open now
        shown = [(READ, re.escape("/" + path.strip("/")) + "/?") for path in pages]
        self.policies = [(methods, re.compile(pattern)) for methods, pattern in (*OURS, *GRADIO, *shown)]

    def allows(self, method: str, path: str) -> bool:
        """Is there a policy that names this route?"""
        return any(method in methods and pattern.fullmatch(path) for methods, pattern in self.policies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no page of ours opens a WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        if refusal:
            await _answer(scope["path"], send, *refusal)
            return
        counted = _Counted(receive, send, scope["path"], self._limit(scope["path"]))
        streams = bool(STREAMS.fullmatch(scope["path"]))
        self.streams += streams
        try:
            await self.app(scope, counted.receive, counted.send)
        except _TooLarge:
            if not counted.started:
                await _answer(scope["path"], send, *counted.refusal())
        finally:
            self.streams -= streams

    def _limit(self, path: str) -> int:
        # a file travels in a multipart body, whose other parts are small
        return self.upload_bytes + 1_000_000 if UPLOADS.fullmatch(path) else self.body_bytes

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """(status, problem, fix) when the request may not pass."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        host = headers.get(b"host", "")
        if _without_port(host) not in LOOPBACK:
            return (
                403,
                f"The studio does not answer to the host name '{_plain(host)}'.",
                "Open it as http://127.0.0.1 with its port.",
            )
        if method not in READ and not _same_site(headers, host):
            return (
                403,
                "This request comes from another site.",
                "Use the studio's own pages, or call the API from a program.",
            )
        if ".." in path.split("/") or "\\" in path or "\0" in path or not self.allows(method, path):
            return (
                404,
                "There is nothing at this address.",
                "Start from the studio's first page, or look at /docs for the API.",
            )
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length) > self._limit(path):
            return _too_large(self._limit(path))
        if self.streams >= MOST_STREAMS and STREAMS.fullmatch(path):
            return (
                429,
                f"{MOST_STREAMS} streams are open already.",
                "Close pages or answers that you do not need, and try again.",
            )
        return None


class _TooLarge(Exception):
    pass


class _Counted:
    """Counts the body as it comes in, and guards the headers of what goes out."""

    def __init__(self, receive: Receive, send: Send, path: str, limit: int):
        self._receive, self._send, self._path, self._limit = receive, send, path, limit
        self._seen = 0
        self.started = self.too_large = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            self.too_large = True
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if self.too_large and not self.started:
            raise _TooLarge  # whoever reads bodies takes our error for a broken one, and would answer 400
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": guarded_headers(self._path, message.get("headers", []))}
        await self._send(message)

    def refusal(self) -> tuple[int, str, str]:
        return _too_large(self._limit)


def guarded_headers(path: str, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The response's headers without what must not leave, and with what a browser must be told."""
    # Gradio answers a Range request for a file with the request's own headers, cookie included
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in (b"cookie", b"authorization", b"server", b"host")
    ]
    # and lets every other page of a loopback host read its answers
    kept = [(name, value) for name, value in kept if not name.lower().startswith(b"access-control-")]
    kept += [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", POLICY.encode()),
    ]
    if path.startswith(("/api/", OPENAI, "/files/", "/gradio_api/file=")):
        kept = [(name, value) for name, value in kept if name.lower() != b"cache-control"]
        kept.append((b"cache-control", b"no-store"))
    if path.startswith("/gradio_api/file="):
        # an uploaded file is data: it is never shown as a page of ours
        kept = [(name, value) for name, value in kept if name.lower() != b"content-disposition"]
        kept.append((b"content-disposition", b"attachment"))
    return kept


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _same_site(headers: dict[bytes, str], host: str) -> bool:
    """Browsers send Origin or Sec-Fetch-Site with every write; programs send neither."""
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return False
    return headers.get(b"sec-fetch-site", "none") in ("none", "same-origin")


def _plain(text: str) -> str:
    return "".join(c for c in text[:80] if c.isprintable())


def _too_large(limit: int) -> tuple[int, str, str]:
    return (
        413,
        f"This is larger than the {limit // 1_000_000:,} MB that are taken here.",
        "Send a smaller file, or start the studio with a higher limit.",
    )


async def _answer(path: str, send: Send, status: int, problem: str, fix: str) -> None:
    log.info("refused with %d: %s", status, problem)
    body = json.dumps(error_body(path, status, problem, fix)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": guarded_headers("/api/", headers)})
    await send({"type": "http.response.body", "body": body})
