"""Post one signed message to a webhook: one connection, no redirect followed, a limit on everything."""

import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlunsplit

import studio as package
from studio.errors import Unavailable
from studio.notifications.addresses import allowed_addresses, check_url, port_of
from studio.settings import StudioSettings

SECONDS = 10.0  # for each step of the conversation
MOST_SECONDS = 25.0  # for all of it, however slowly it trickles
FIX = "Look at the receiver, then send a test."


def post(settings: StudioSettings, url: str, secret: str, id: str, body: dict[str, Any]) -> None:
    """Raises Invalid for an address that may not be reached, Unavailable in words when it was not taken."""
    parts = check_url(url)
    content = json.dumps({"id": id, **body}, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"LoRA-Studio/{package.__version__}",
        "X-Studio-Event": body["event"],
        "X-Studio-Delivery": id,
        "X-Studio-Signature": signature(secret, content),
        "Connection": "close",
    }
    try:
        with _connected(settings, parts) as connection:
            connection.request("POST", urlunsplit(("", "", parts.path or "/", parts.query, "")), content, headers)
            answer = connection.getresponse()
    except TimeoutError:
        raise Unavailable(f"{parts.hostname} did not answer within {SECONDS:.0f} seconds.", FIX) from None
    except ssl.SSLError as error:
        raise Unavailable(
            f"{parts.hostname} has no certificate that can be trusted ({error.reason or error}).", FIX
        ) from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise Unavailable(f"{parts.hostname} could not be reached ({_why(error)}).", FIX) from None
    if 300 <= answer.status < 400:
        raise Unavailable(
            f"{parts.hostname} answers with a redirect ({answer.status}), which is not followed.",
            "Enter the address that it leads to.",
        )
    if not 200 <= answer.status < 300:
        raise Unavailable(f"{parts.hostname} answered with the status {answer.status}.", FIX)


def signature(secret: str, content: bytes, now: float | None = None) -> str:
    """`t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">`: the time is signed too, so that an old message cannot be sent again."""
    at = str(int(time.time() if now is None else now))
    return f"t={at},v1={hmac.new(secret.encode(), at.encode() + b'.' + content, hashlib.sha256).hexdigest()}"


@contextlib.contextmanager
def _connected(settings: StudioSettings, parts: SplitResult) -> Iterator[http.client.HTTPConnection]:
    """A connection to a number that was judged, in the name of the host. Raises Invalid, OSError."""
    opened = _socket(allowed_addresses(settings, parts), port_of(parts))
    timer = threading.Timer(MOST_SECONDS, _cut, (opened,))
    timer.daemon = True
    timer.start()
    try:
        if parts.scheme == "https":
            opened = ssl.create_default_context().wrap_socket(opened, server_hostname=parts.hostname)
        connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS)
        connection.sock = opened  # it is open: the connection looks nothing up
        yield connection
    finally:
        timer.cancel()
        opened.close()


def _socket(numbers: list[str], port: int) -> socket.socket:
    failed: OSError | None = None
    for number in numbers:
        try:
            return socket.create_connection((number, port), SECONDS)
        except OSError as error:
            failed = error
    raise failed or OSError("no address")


def _cut(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
