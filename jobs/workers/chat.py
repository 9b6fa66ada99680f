"""The chat worker keeps one base model in memory and answers over a local socket: `python -m jobs.workers.chat <base model folder> --socket <path>`.

One line of JSON asks, lines of JSON answer; closing the connection cancels.

    {"do": "answer", "id", "owner", "columns": [{"messages": [...], "max_new_tokens", "temperature", "top_p", "seed",
                                                 "adapter": {"id", "name"} | null, or "mix": [{"id", "name", "weight"}]}]}
        → {"notice"}, {"position", "waiting"}, {"column", "text"}, {"column", "done", ...} ..., {"end": true}; or {"error": {"problem", "fix", "field", "status"}}
      an adapter with "checkpoint": {"run", "step"} and "kept" is read from the chat folder's copy of that name
    {"do": "weights", "id", "owner", "column", "weights"} → {"column", "weights"}, or {"error"}; whoever asked gets {"column", "weights", "at_token"}
    {"do": "stop_column", "id", "owner", "column"} → {"column"}, or {"error"}; whoever asked gets the column's end
    {"do": "state"} → {"loaded", "busy", "stopping", "base_model", "pid"}
    {"do": "stop"} → {"stopping": true}; it ends when the open answers are written
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from jobs.workers.questions import Inbox, Question
from studio.errors import StudioError
from studio.files import read_json
from studio.folders import QUANTIZATIONS, BaseModelFolder

LONGEST_LINE = 64 * 2**20  # bytes of one request
SECONDS_TO_SAY_WHY = 10.0  # how long a worker that could not load stays to tell it to whoever asks
LOOK_SECONDS = 0.5  # how often it looks whether it is still needed
log = logging.getLogger("chat")


class ChatWorker:
    """The event loop's side: connections, and when to end. The model lives in a thread of its own."""

    def __init__(self, folder: BaseModelFolder, socket: Path, device: str, idle_seconds: float, quantization: str):
        self.folder, self.socket, self.device, self.idle_seconds = folder, socket, device, idle_seconds
        self.quantization = quantization
        self.fingerprint = self._fingerprint()
        self.inbox = Inbox()
        self.loaded = threading.Event()
        self.failed = False
        self.stopping = False
        self.killed = asyncio.Event()

    async def serve(self) -> int:
        """Listen before anything heavy is loaded, so that whoever asks is heard at once. Returns the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.killed.set)
        self.socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connected, self.socket, limit=LONGEST_LINE)
        own = self.socket.stat().st_ino
        threading.Thread(target=self._compute, daemon=True, name="answers").start()
        await self._until_not_needed()
        server.close()
        with contextlib.suppress(OSError):  # a successor may have put its own socket here by now
            if self.socket.stat().st_ino == own:
                self.socket.unlink()
        return int(self.failed)

    def _compute(self) -> None:
        """A bug here ends the process: its traceback is in the log, and the next question starts a new worker."""
        try:
            answering = self.answering()
            answering.load()
            self.loaded.set()
            answering.run()
        except StudioError as error:
            log.error("%s", error)
            self.failed = True
            while True:
                self.inbox.take(wait=True).fail(error)
        except BaseException:
            log.exception("The chat worker ends: this is a bug.")
            logging.shutdown()
            os._exit(1)

    def answering(self):
        """What loads the model and answers the inbox; made in the thread that will do so."""
        from jobs.workers.answering import Answering  # imports torch

        return Answering(self.folder, self.device, self.inbox, self.quantization)

    async def _until_not_needed(self) -> None:
        """Until it is told to stop, idle for long, or the base model's files are others than those in memory."""
        while not self.killed.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.killed.wait(), min(LOOK_SECONDS, self.idle_seconds))
            limit = SECONDS_TO_SAY_WHY if self.failed else self.idle_seconds
            idle = self.inbox.idle_seconds()
            if not self.inbox.busy and (self.stopping or idle > limit or self._fingerprint() != self.fingerprint):
                return

    def _fingerprint(self) -> str | None:
        try:
            return (read_json(self.folder.facts) or {}).get("fingerprint")
        except (ValueError, OSError):
            return None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline() or "null")
            match request and request.get("do"):
                case "answer":
                    await self._answer(request, reader, writer)
                case "weights":
                    await send(writer, self._steered(self.inbox.change_weights, request, ("column", "weights")))
                case "stop_column":
                    await send(writer, self._steered(self.inbox.stop_column, request, ("column",)))
                case "stop":
                    self.stopping = True
                    await send(writer, {"stopping": True})
                case "state":
                    await send(writer, self._state())
        except (ConnectionError, ValueError) as error:
            log.warning("A connection ended: %s", error)
        finally:
            writer.close()

    def _steered(self, steer: Callable[..., None], request: dict, names: tuple[str, ...]) -> dict:
        """What was wanted of a question that is being answered, or why it cannot be."""
        wanted = {name: request[name] for name in names}
        try:
            steer(request["id"], request["owner"], **wanted)
        except StudioError as error:
            return {"error": error.as_dict() | {"status": error.status}}
        return wanted

    def _state(self) -> dict:
        return {
            "loaded": self.loaded.is_set(),
            "busy": self.inbox.busy,
            "stopping": self.stopping,
            "base_model": self.folder.path.name,
            "pid": os.getpid(),
        }

    async def _answer(self, request: dict, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send every event of one question, until its end or until nobody listens."""
        if self.stopping or self.killed.is_set() or self._fingerprint() != self.fingerprint:
            return  # closed without a word: the client starts a new worker and asks again
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[dict | None] = asyncio.Queue()
        asked = {name: request[name] for name in ("columns", "id", "owner")}
        question = Question(**asked, tell=lambda event: loop.call_soon_threadsafe(events.put_nowait, event))
        try:
            self.inbox.ask(question)
        except StudioError as error:
            await send(writer, {"error": error.as_dict() | {"status": error.status}})
            return
        if not self.loaded.is_set():
            await send(writer, {"notice": "The base model is being loaded; this first answer takes a moment longer."})
        gone = asyncio.create_task(reader.read())  # ends when the other side closes
        gone.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while event := await events.get():
                await send(writer, event)
                if "end" in event or "error" in event:
                    return
        finally:
            question.cancelled.set()
            gone.cancel()


async def send(writer: asyncio.StreamWriter, event: dict) -> None:
    writer.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
    await writer.drain()


def main(kind: type[ChatWorker] = ChatWorker) -> None:
    parser = argparse.ArgumentParser(
        description="Answer questions with one base model and its adapters, over a local socket."
    )
    parser.add_argument("folder", type=Path, help="The base model's folder.")
    parser.add_argument("--socket", type=Path, required=True, help="Where to listen.")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="Where to compute.")
    parser.add_argument("--idle-seconds", type=float, default=600, help="End after this long without a question.")
    parser.add_argument("--quantization", choices=QUANTIZATIONS, default="none", help="How to load the base.")
    options = parser.parse_args()
    os.umask(0o077)  # the socket is nobody else's
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    where = (BaseModelFolder(options.folder), options.socket, options.device)
    worker = kind(*where, options.idle_seconds, options.quantization)
    code = asyncio.run(worker.serve())
    logging.shutdown()
    os._exit(code)  # the computing thread may be in the middle of an answer that nobody waits for


if __name__ == "__main__":
    main()
