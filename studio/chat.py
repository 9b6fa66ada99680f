"""Chat: starts the worker that holds a base model, asks it, and passes its answers on while they are written."""

import asyncio
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, closing
from datetime import datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from studio import chat_device
from studio.child_environment import PROJECT, child_environment
from studio.code_version import code_version
from studio.errors import BadInput, Conflict, Invalid, StudioError, TooLarge, TooMany, Unavailable, clip
from studio.files import read_json, write_json
from studio.folders import QUANTIZATIONS, AdapterFolder, ChatFolder
from studio.records import BaseModel
from studio.studio import Studio

MODULE = "jobs.workers.chat"
LONGEST_PATH = 100  # bytes of a UNIX socket's path; the kernel takes 107
LONGEST_EVENT = 16 * 2**20  # bytes
START_SECONDS = 60.0  # until a new worker listens; it does so before it loads the model
DRAIN_SECONDS = 60.0  # that open answers on another base model get to end before theirs is put away
KILL_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 2.0  # whether a device is free for a question that waits
LEAVING = "A run waits for the device on which answers are written, and gets it after the ones that are being written now; the question waits."
KINDS = {kind.status: kind for kind in (BadInput, Conflict, Invalid, TooLarge, TooMany, Unavailable)}
_children: dict[int, subprocess.Popen] = {}  # started by this process, to be collected when they end


async def answer(
    studio: Studio, base: BaseModel, question: dict, quantization: str | None = None
) -> AsyncIterator[dict]:
    """Events of one question (as in jobs/workers/chat.py), without its end. Raises StudioError; closing cancels at once.

    `quantization` is how the base is to be loaded (see `trained_with`). A worker that ended just before it was asked says
    nothing at all: then a new one is started and asked once more.
    """
    for last_try in (False, True):
        pid, heard = 0, False
        async with aclosing(_until_ready(studio, base, quantization)) as waiting:
            async for said in waiting:
                if isinstance(said, dict):
                    yield said
                else:
                    pid = said
        async with aclosing(_ask(studio, question)) as events:
            async for event in events:
                heard = True
                if "error" in event:
                    raise _error(event["error"])
                if "end" in event:
                    return
                yield event
        if heard or last_try:
            raise await asyncio.to_thread(_ended_early, studio, pid)
        await asyncio.to_thread(_put_away, studio, pid)


async def _until_ready(studio: Studio, base: BaseModel, quantization: str | None) -> AsyncIterator[dict | int]:
    """{"notice"} while all devices are held by others, whenever there is something new to say; then the worker's pid."""
    wait, said = None, ""
    try:
        while True:
            try:
                since = wait and wait.since
                yield await asyncio.to_thread(ready_worker, studio, base, quantization, since)
                return
            except chat_device.DeviceBusy as busy:
                if busy.problem != said:
                    said = busy.problem
                    yield {"notice": f"{busy.problem} {busy.fix}"}
            wait = wait or await asyncio.to_thread(chat_device.stand_in_line, studio)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            await asyncio.to_thread(chat_device.still_waits, studio, wait)
    finally:
        if wait:
            await asyncio.shield(asyncio.to_thread(chat_device.leave_line, studio, wait))


async def _ask(studio: Studio, question: dict) -> AsyncIterator[dict]:
    """What the worker sends, until it closes the connection."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket_path(studio), limit=LONGEST_EVENT)
    except OSError:
        return
    try:
        writer.write(json.dumps(question, ensure_ascii=False).encode() + b"\n")
        await writer.drain()
        while (line := await reader.readline()).endswith(b"\n"):
            yield json.loads(line)
    except ConnectionError:
        return
    finally:
        writer.close()


def trained_with(folders: Iterable[AdapterFolder]) -> str | None:
    """How the base was loaded when these adapters were trained: "none", "nf4" or "int8".

    Where they differ, the base in full; None where there are none.
    """
    found = {folder.quantization for folder in folders}
    return found.pop() if len(found) == 1 else "none" if found else None


def ready_worker(
    studio: Studio, base: BaseModel, quantization: str | None = None, waited_since: datetime | None = None
) -> int:
    """The pid of the worker that holds this base model, started when it is not there. One worker at a time: another's ends first.

    `quantization` is how the base must be loaded; None takes it as it is, and starts it in full. Raises DeviceBusy while
    runs hold the devices or are before whoever has waited since `waited_since`, Unavailable with the log's last lines
    when it does not start.
    """
    folder = studio.data.chat.create()
    try:
        with FileLock(folder.lock, timeout=START_SECONDS + DRAIN_SECONDS):
            pid = _running(studio)
            if pid and (_say(studio, {"do": "state"}) or {}).get("stopping"):
                raise chat_device.DeviceBusy(LEAVING, "It is answered as soon as there is a device for it again.")
            if pid and _about(folder).get("holds") in _suitable(base, quantization):
                return pid
            if pid:
                _end(studio, pid, DRAIN_SECONDS)
            lease = chat_device.take(studio, waited_since)
            try:
                return _start(studio, base, quantization or "none", lease.environment)
            except BaseException:
                chat_device.release(studio)
                raise
    except Timeout:
        raise Unavailable(
            "Somebody else's question is still starting the chat worker.", "Ask again in a minute."
        ) from None


def _put_away(studio: Studio, pid: int) -> None:
    """End this worker, if it still lives: it is on its way out or does not listen."""
    with FileLock(studio.data.chat.lock):
        if _running(studio) == pid:
            _end(studio, pid, DRAIN_SECONDS)


def stop_worker(studio: Studio, patience: float = 0) -> None:
    """End the chat worker; answers that are being written get `patience` seconds to end."""
    folder = studio.data.chat.create()
    with FileLock(folder.lock):
        if pid := _running(studio):
            _end(studio, pid, patience)
        folder.worker.unlink(missing_ok=True)


def worker_state(studio: Studio) -> dict:
    """{"state": "absent" | "loading" | "ready" | "answering", "base_model", "pid", "memory_bytes"}."""
    pid = _running(studio)
    said = _say(studio, {"do": "state"}) if pid else None
    if not said:
        return {"state": "absent", "base_model": None, "pid": None, "memory_bytes": 0}
    state = "loading" if not said["loaded"] else "answering" if said["busy"] else "ready"
    try:
        memory = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        memory = 0
    return {"state": state, "base_model": said["base_model"], "pid": pid, "memory_bytes": memory}


def tell(studio: Studio, request: dict) -> dict:
    """The worker's answer about a question that it is answering. Raises what the worker says, Conflict when there is none."""
    said = _say(studio, request) if _running(studio) else None
    if said is None:
        raise Conflict("This answer is not being written now.", "Ask again.")
    if "error" in said:
        raise _error(said["error"])
    return said


def socket_path(studio: Studio) -> Path:
    """In the data folder; for a path too long for a socket, in a folder of our own below the system's temporary one."""
    path = studio.data.chat.socket
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"lora-studio-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise Unavailable(
            f"The folder {folder} for the chat worker's socket belongs to somebody else.",
            "Remove it, or use a data folder with a shorter path.",
        )
    return folder / "socket"


def _start(studio: Studio, base: BaseModel, quantization: str, devices: dict[str, str]) -> int:
    folder, path = studio.data.chat, socket_path(studio)
    settings = studio.settings
    command = [sys.executable, "-m", MODULE, str(studio.data.base_model(base.id).path), "--socket", str(path)]
    command += ["--device", settings.device, "--idle-seconds", str(settings.chat_idle_seconds)]
    command += ["--quantization", quantization]
    path.unlink(missing_ok=True)
    with open(folder.log, "wb") as log:
        child = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=child_environment(settings.threads or threads_for_chat(), devices),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children[child.pid] = child
    write_json(folder.worker, {"pid": child.pid, "holds": _holds(base, quantization)})
    patience = time.monotonic() + START_SECONDS
    while not _listens(path):
        if child.poll() is not None or time.monotonic() > patience:
            child.kill()
            raise _ended_early(studio, child.pid, "did not start")
        time.sleep(0.03)
    return child.pid


def threads_for_chat() -> int:
    """Half of the cores: two threads that fight for one core are many times slower than one (docs/decisions.md)."""
    return min(8, max(1, len(os.sched_getaffinity(0)) // 2))


def _holds(base: BaseModel, quantization: str) -> list[str | None]:
    """What the worker must have in memory: the same model with the same weights and template, loaded the same way, by the same code.

    A worker outlives the studio's restart, and so would an older version's.
    """
    return [base.id, base.fingerprint, (base.facts or {}).get("template"), quantization, code_version()["code"]]


def _suitable(base: BaseModel, quantization: str | None) -> list[list[str | None]]:
    return [_holds(base, each) for each in ((quantization,) if quantization else QUANTIZATIONS)]


def _about(folder: ChatFolder) -> dict:
    try:
        return read_json(folder.worker, {})
    except ValueError:
        return {}


def _running(studio: Studio) -> int | None:
    """The worker's pid while it lives. It is known by its command line, as pids are used again."""
    pid = _about(studio.data.chat).get("pid")
    if pid in _children and _children[pid].poll() is not None:
        return None
    try:
        process = psutil.Process(pid) if pid else None
        alive = process and process.status() != psutil.STATUS_ZOMBIE and process.uids().real == os.getuid()
        return pid if alive and {MODULE, str(socket_path(studio))} <= set(process.cmdline()) else None
    except psutil.Error:
        return None


def _end(studio: Studio, pid: int, patience: float) -> None:
    """Ask it to end after the open answers, then tell it, then make it."""
    try:
        process = psutil.Process(pid)
        if patience and _say(studio, {"do": "stop"}):
            _gone(process, patience)
        process.terminate()
        if not _gone(process, KILL_SECONDS):
            process.kill()
            _gone(process, KILL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    chat_device.release(studio)


def make_way(studio: Studio, wanted: bool) -> None:
    """Called by the runner while the worker has a device. `wanted`: a run waits for it, so the worker is told to go when its answers are written.

    One that is gone gives its device back here, unless somebody is starting the next one just now.
    """
    if _running(studio):
        if wanted:
            _say(studio, {"do": "stop"})
        return
    try:
        with FileLock(studio.data.chat.create().lock, timeout=0):
            if not _running(studio):
                chat_device.release(studio)
    except Timeout:
        pass


def _gone(process: psutil.Process, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True


def _listens(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        return connection.connect_ex(str(path)) == 0


def _say(studio: Studio, request: dict) -> dict | None:
    """The worker's one-line answer to a request without events; None when it does not answer."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(10)
        try:
            connection.connect(str(socket_path(studio)))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(connection.makefile("rb").readline() or "null")
        except (OSError, ValueError):
            return None


def _error(said: dict) -> StudioError:
    """The worker's StudioError, with the status it would have had here."""
    error = KINDS.get(said["status"], BadInput)(said["problem"], said["fix"], said.get("field"))
    error.status = said["status"]
    return error


def _ended_early(studio: Studio, pid: int, what: str = "ended in the middle of the answer") -> Unavailable:
    how = _how_it_ended(pid)
    return Unavailable(
        f"The chat worker {what}{how}.{_last_words(studio.data.chat)}",
        "Send the message again: a new one is started. If that does not help, its whole log is chat/log.txt in the data folder.",
    )


def _how_it_ended(pid: int) -> str:
    child = _children.pop(pid, None)
    if child is None:
        return ""
    try:
        code = child.wait(2)
    except subprocess.TimeoutExpired:
        return ""
    if code == -9:
        return " (it was killed; the machine may have run out of memory)"
    return f" (signal {-code})" if code < 0 else f" (exit code {code})"


def _last_words(folder: ChatFolder, lines: int = 3) -> str:
    try:
        text = folder.log.read_bytes()[-4000:].decode(errors="replace")
    except OSError:
        return ""
    said = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    return f" It said last: {clip(' | '.join(said), 400)}" if said else ""
