"""Real receivers on loopback: a small HTTP server and a small SMTP server, that keep what they get and answer as they are told."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# For localhost and 127.0.0.1, signed by itself and for the next hundred years; it opens nothing but these receivers.
CERTIFICATE = Path(__file__).parent / "tls" / "certificate.pem"
KEY = CERTIFICATE.with_name("key.pem")


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Webhooks:
    url: str
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What the next requests are answered with; 200 after that."""


@contextmanager
def http_receiver(encrypted: bool = False) -> Iterator[Webhooks]:
    hooks = Webhooks("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hooks.got.append(Got(self.path, dict(self.headers), body))
            status, headers = hooks.answers.pop(0) if hooks.answers else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if encrypted:
            server.socket = tls().wrap_socket(server.socket, server_side=True)
        hooks.url = f"http{'s' if encrypted else ''}://127.0.0.1:{server.server_address[1]}"
        with serving(server):
            yield hooks


@dataclass
class Mails:
    port: int
    got: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse: str | None = None
    """An address that is not known here."""


@contextmanager
def smtp_receiver(encrypted: bool = False) -> Iterator[Mails]:
    """Where it is to be encrypted it offers STARTTLS and takes any AUTH PLAIN."""
    mails = Mails(0)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.encrypted = False
            self.say("220 here")
            while line := self.rfile.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                if verb.upper() == "QUIT":
                    return self.say("221 bye")
                getattr(self, f"do_{verb.lower()}", self.unknown)(rest)
            return None

        def say(self, *lines):
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        def unknown(self, _rest):
            self.say("250 as you like")

        def do_ehlo(self, _rest):
            secure = encrypted and not self.encrypted
            self.say("250-here", "250-AUTH PLAIN", *(["250-STARTTLS"] if secure else []), "250 8BITMIME")

        def do_starttls(self, _rest):
            self.say("220 go on")
            self.request = tls().wrap_socket(self.request, server_side=True)
            self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
            self.encrypted = True

        def do_auth(self, rest):
            mails.signed_in.append(rest)
            self.say("235 welcome")

        def do_rcpt(self, rest):
            address = rest.partition("<")[2].partition(">")[0]
            mails.recipients.append(address)
            self.say("550 nobody" if address == mails.refuse else "250 known")

        def do_data(self, _rest):
            self.say("354 go on")
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b"..") else line)
            mails.encrypted.append(self.encrypted)
            mails.got.append(message_from_bytes(b"".join(lines), policy=policy.default))
            self.say("250 taken")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        mails.port = server.server_address[1]
        with serving(server):
            yield mails


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context
