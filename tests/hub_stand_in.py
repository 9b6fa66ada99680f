"""A stand-in for the Hugging Face Hub: the routes that a download and a push ask, on this machine, with faults on demand."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStandIn:
    """`repos` maps names to folders. `break_off` maps a file's name to after how many bytes its transfer breaks, each time it is listed."""

    def __init__(self, repos: dict[str, Path], gated: tuple[str, ...] = (), token: str | None = None):
        self.repos, self.gated, self.token = repos, gated, token
        self.break_off: dict[str, list[int]] = {}
        self.wrong_sha256: set[str] = set()
        self.hold = threading.Event()  # cleared: a listed transfer waits after it broke its bytes off
        self.hold.set()
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.address = ""
        self.visible: dict[str, bool] = {}  # repositories that were made here, and whether everybody sees them
        self.uploaded: dict[str, bytes] = {}  # by sha256, before a commit names them
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refuses: dict[str, int] = {}  # a word in the address of a write, and the status that it is answered with


@contextmanager
def serving(hub: HubStandIn):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.hold.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if path.startswith("/api/models/"):
            repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        elif path.startswith("/api/datasets/"):
            repo, revision = self.of_data(path)
        else:
            repo, _, rest = path.lstrip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
        if repo in self.hub.visible:
            self.send_json(self.info(repo))
        elif repo not in self.hub.repos:
            self.refuse(401, "RepoNotFound")
        elif repo in self.hub.gated and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self.refuse(401, "GatedRepo")
        elif revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif "/tree/" in path:
            self.send_json(self.tree(repo, path.partition("/tree/")[2].partition("/")[2]))
        elif path.startswith("/api/"):
            self.send_json(self.info(repo))
        elif not (self.hub.repos[repo] / name).is_file():
            self.refuse(404, "EntryNotFound")
        else:
            self.send_file(self.hub.repos[repo] / name, body)

    def of_data(self, path: str) -> tuple[str, str]:
        """(name, revision) of a question about a data set: itself, one of its revisions, or a folder in it."""
        parts = path.removeprefix("/api/").split("/")
        known = next((length for length in (3, 2) if "/".join(parts[:length]) in self.hub.repos), 3)
        return "/".join(parts[:known]), parts[known + 1] if len(parts) > known + 1 else "main"

    def tree(self, repo: str, folder: str) -> list[dict]:
        """Everything below a folder of a data set, as the Hub lists it."""
        root = self.hub.repos[repo]
        found = [path for path in sorted((root / folder).rglob("*")) if not path.name.startswith(".")]
        return [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": str(path.relative_to(root))}
            if path.is_dir()
            else {
                "type": "file",
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
                "size": path.stat().st_size,
                "path": str(path.relative_to(root)),
            }
            for path in found
        ]

    def paths_info(self, repo: str, wanted: list[str]) -> list[dict]:
        return [each for each in self.tree(repo, "") if each["path"] in wanted]

    def do_PUT(self) -> None:
        self.write()

    def do_POST(self) -> None:
        self.write()

    def write(self) -> None:
        """What a push asks: make a repository, say which files are large, take those, then one commit with all."""
        path, body = urlsplit(self.path).path, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append((self.command, path, None))
        fault = next((status for word, status in self.hub.refuses.items() if word in path), None)
        if fault:
            return self.refuse(fault, "")
        if path.startswith("/upload/"):  # storage behind the Hub: it sees no token
            self.hub.uploaded[hashlib.sha256(body).hexdigest()] = body
            return self.send_json({})
        if path.startswith("/api/datasets/") and "/paths-info/" in path:
            asked = parse_qs(body.decode()).get("paths", []) if not body.startswith(b"{") else json.loads(body)["paths"]
            return self.send_json(self.paths_info(self.of_data(path)[0], asked))
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.refuse(401, "")
        if path == "/api/validate-yaml":
            return self.send_json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self.make(json.loads(body))
        if "/preupload/" in path:
            return self.send_json({"files": [self.mode(file) for file in json.loads(body)["files"]]})
        if path.endswith("/info/lfs/objects/batch"):
            return self.send_json(
                {"transfer": "basic", "objects": [self.place(each) for each in json.loads(body)["objects"]]}
            )
        return self.commit(path.removeprefix("/api/models/").partition("/commit/")[0], body)

    def make(self, wanted: dict) -> None:
        repo = f"{wanted['organization'] or 'me'}/{wanted['name']}"
        if repo in self.hub.visible:
            return self.refuse(409, "")
        self.hub.visible[repo] = wanted.get("visibility") != "private" and not wanted.get("private")
        return self.send_json({"url": f"{self.hub.address}/{repo}", "name": repo})

    def mode(self, file: dict) -> dict:
        return {
            "path": file["path"],
            "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
            "shouldIgnore": False,
            "oid": None,
        }

    def place(self, wanted: dict) -> dict:
        upload = {"href": f"{self.hub.address}/upload/{wanted['oid']}", "header": {}}
        return {**wanted, "actions": {"upload": upload}}

    def commit(self, repo: str, body: bytes) -> None:
        found = {}
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                found[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                found[entry["value"]["path"]] = self.hub.uploaded[entry["value"]["oid"]]
        self.hub.commits[repo] = found
        self.send_json(
            {
                "commitUrl": f"{self.hub.address}/{repo}/commit/{COMMIT}",
                "commitOid": COMMIT,
                "success": True,
                "hookOutput": "",
            }
        )

    def info(self, repo: str) -> dict:
        if repo in self.hub.visible:
            return {
                "_id": "1",
                "id": repo,
                "modelId": repo,
                "sha": COMMIT,
                "private": not self.hub.visible[repo],
                "tags": [],
                "downloads": 0,
                "siblings": [],
            }
        siblings = []
        for path in sorted(path for path in self.hub.repos[repo].rglob("*") if path.is_file()):
            entry = {
                "rfilename": str(path.relative_to(self.hub.repos[repo])),
                "size": path.stat().st_size,
                "blobId": "0" * 40,
            }
            if path.suffix == ".safetensors":
                digest = (
                    "0" * 64 if path.name in self.hub.wrong_sha256 else hashlib.sha256(path.read_bytes()).hexdigest()
                )
                entry["lfs"] = {"sha256": digest, "size": path.stat().st_size, "pointerSize": 130}
            siblings.append(entry)
        return {
            "_id": "1",
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "siblings": siblings,
        }

    def send_json(self, value: dict) -> None:
        content = json.dumps(value).encode()
        self.start(200, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.start(status, {"X-Error-Code": code, "X-Error-Message": code, "Content-Length": "0"})

    def send_file(self, path: Path, body: bool) -> None:
        content = path.read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.start(206 if asked else 200, {**headers, "Content-Length": str(len(content) - start)})
        if not body:
            return
        faults = self.hub.break_off.get(path.name)
        end = start + faults.pop(0) if faults else len(content)
        self.wfile.write(content[start:end])
        if end < len(content):
            self.wfile.flush()
            self.hub.hold.wait(300)
            self.close_connection = True
            self.connection.close()

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
