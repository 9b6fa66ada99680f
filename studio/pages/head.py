"""Our stylesheets, fonts and scripts in the head of every page.

Gradio's own `css=` breaks rules inside @media and its `head=` comes after the first drawing, so a small ASGI middleware
writes the links into the HTML that Gradio answers with. The folder's hash is in the address: browsers may keep the files for ever.
"""

import hashlib
from html import escape
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio import pages

FOLDER = Path(__file__).parent / "assets"
STYLESHEETS = ("style.css", "controls.css", "compare.css", "suites.css")
FONT = "fonts/inter-latin-wght-normal.woff2"


def version_of(folder: Path) -> str:
    """Hash over names and contents of all files: another file, another address."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:12]


VERSION = version_of(FOLDER)
ADDRESS = f"/assets-studio/{VERSION}"


class Assets(StaticFiles):
    """Files whose address changes with their content."""

    def file_response(self, *args, **kwargs):
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def static_files() -> tuple[str, ASGIApp]:
    """(address, app) of the studio's own files."""
    return ADDRESS, GZipMiddleware(Assets(directory=FOLDER), minimum_size=1000)


def head_html(title: str, root_path: str = "") -> str:
    at = escape(root_path.rstrip("/") + ADDRESS)
    sheets = "".join(f'<link rel="stylesheet" href="{at}/{sheet}">' for sheet in STYLESHEETS)
    return (
        f'<meta name="studio-title" content="{escape(title)}">'
        f'<script src="{at}/early.js"></script>'
        f'<link rel="preload" href="{at}/{FONT}" as="font" type="font/woff2" crossorigin>'
        f'{sheets}<script src="{at}/chart.js" defer></script><script src="{at}/compare.js" defer></script><script src="{at}/tokens.js" defer></script>'
    )


class PageHead:
    """Adds the head to the studio's pages and compresses them; everything else passes as it is."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.titles = {page.address: f"{page.title} · LoRA Studio" for page in pages.PAGES}
        self.compressed = GZipMiddleware(self.with_head, minimum_size=1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and self._page(scope) in self.titles:
            await self.compressed(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    @staticmethod
    def _page(scope: Scope) -> str:
        return scope["path"].rstrip("/") or "/"

    async def with_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Gradio would compress by itself, and then there is no </head> to be found.
        plain = scope | {"headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            html = bytes(body).replace(
                b"</head>",
                head_html(self.titles[self._page(scope)], scope.get("root_path", "")).encode() + b"</head>",
                1,
            )
            headers = MutableHeaders(raw=start["headers"])
            if scope["method"] == "GET":
                headers["content-length"] = str(len(html))
            await send(start)
            await send({"type": "http.response.body", "body": html})

        await self.app(plain, receive, collect)
