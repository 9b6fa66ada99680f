"""Fetch a model from the Hub: `python -m jobs.workers.download <base model folder>`, then look at it as at any that was brought.

The folder holds request.json with {"repo", "revision", ...}. Files come into files/, only those that are needed, all of
one commit; what has arrived is kept and gone on from. download.json tells how far it is; refusal.json what went wrong.
"""

import errno
import fcntl
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from studio.errors import BadInput, StudioError, Unavailable, clip
from studio.files import read_json, sha256_of, write_json
from studio.folders import BaseModelFolder
from studio.model_files import SHARD

REFUSED = 78
SPARE_BYTES = 1 << 30  # left free on the disk
PROGRESS_SECONDS = 0.5
LOCKED = "download.lock"
constants.DOWNLOAD_CHUNK_SIZE = 1 << 20  # what a broken transfer loses at most; the library's own is ten times that
NEEDED = {
    "config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json", "README.md",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
}  # fmt: skip
SLOW_TOKENIZER = {"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"}


def main(folder: BaseModelFolder) -> int:
    with open(folder.path / LOCKED, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another process fetches this model already
        folder.refusal.unlink(missing_ok=True)
        request = read_json(folder.request)
        try:
            with words(request):
                fetch(folder, request["repo"], request["revision"])
        except StudioError as error:
            write_json(folder.refusal, {"status": error.status, **error.as_dict()})
            return REFUSED
        return look_at(folder)


def look_at(folder: BaseModelFolder) -> NoReturn:
    """Become the process that looks at the model: same number, same folder, but it knows neither the Hub nor our token."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HF_") and not name.lower().endswith("_proxy")
    }
    os.execve(
        sys.executable,
        [sys.executable, "-m", "jobs.workers.intake", str(folder.path)],
        {**environment, "HF_HUB_OFFLINE": "1"},
    )


def fetch(folder: BaseModelFolder, repo: str, revision: str) -> None:
    """Bring all needed files of one commit, and prove that those with a published sha256 have it."""
    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    files = needed(repo, {file.rfilename: file for file in info.siblings or []})
    total = sum(file.size or 0 for file in files.values())
    folder.files.mkdir(exist_ok=True)
    check_disk(folder.files, total - arrived(folder.files))
    with progress(folder, total, info.sha):
        for name, file in sorted(files.items(), key=lambda item: item[1].size or 0):
            path = fetch_file(folder.files, repo, name, info.sha)
            if file.lfs and sha256_of(path) != file.lfs.sha256:
                path.unlink()
                raise BadInput(
                    f"{name} arrived damaged: its sha256 is not the one that the Hub names.", "Retry the download."
                )


def fetch_file(folder: Path, repo: str, name: str, commit: str) -> Path:
    """Bring one file, going on where an earlier process stopped: hf_hub_download itself keeps no parts (huggingface_hub pull request 4228)."""
    url = hf_hub_url(repo, name, revision=commit)
    found = get_hf_file_metadata(url)
    path, part = folder / name, folder / f"{name}.{re.sub(r'[^0-9A-Za-z]', '', found.etag or '')[:64]}.part"
    if path.is_file() and path.stat().st_size == found.size:
        return path
    headers = build_hf_headers()
    if urlsplit(found.location).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # storage behind the Hub is not to see the person's token
    with open(part, "ab") as file:
        if found.size is not None and file.tell() > found.size:
            file.truncate(0)
        http_get(found.location, file, resume_size=file.tell(), headers=headers, expected_size=found.size)
    part.rename(path)
    return path


def needed(repo: str, files: dict) -> dict:
    """Of a repository's files those that make the model. Raises BadInput when it holds no safetensors."""
    single = "model.safetensors" in files
    names = {
        name
        for name in files
        if name in NEEDED or (not single and SHARD.fullmatch(name) and name.startswith("model-") and "/" not in name)
    }
    if single:
        names.discard("model.safetensors.index.json")
    if "tokenizer.json" not in files:
        names |= SLOW_TOKENIZER & files.keys()
    if not any(name.endswith(".safetensors") for name in names):
        pickles = sorted(name for name in files if name.endswith((".bin", ".pt", ".pth", ".gguf")))
        has = f"only {pickles[0]}" if pickles else "no weights that transformers loads"
        raise BadInput(
            f"{repo} holds {clip(has, 120)}, and no safetensors.", "Choose a model that is published as safetensors."
        )
    if "config.json" not in files:
        raise BadInput(f"{repo} has no config.json, so it is not a model that transformers loads.", "Choose another.")
    return {name: files[name] for name in names if re.fullmatch(r"[\w.-]+", name)}


def check_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size + SPARE_BYTES > free:
        raise Unavailable(
            f"The download needs {size / 2**30:.1f} GiB and {SPARE_BYTES >> 30} GiB to spare, and {free / 2**30:.1f} GiB are free on the disk.",
            "Free some space, then retry.",
        )


def arrived(folder: Path) -> int:
    """Bytes on disk, of files that are still coming too."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # it was moved to its place just now
    return total


@contextmanager
def progress(folder: BaseModelFolder, total: int, revision: str | None) -> Iterator[None]:
    """While inside, download.json tells how much has arrived; this process ends when the folder is taken away."""
    began_with = arrived(folder.files)
    done = threading.Event()

    def note() -> None:
        state = {
            "bytes_done": min(arrived(folder.files), total),
            "bytes_total": total,
            "began_with": began_with,
            "revision": revision,
            "at": time.time(),
        }
        write_json(folder.download, state)

    def keep_noting() -> None:
        while not done.wait(PROGRESS_SECONDS):
            if not folder.request.exists():
                os._exit(1)
            note()

    note()
    thread = threading.Thread(target=keep_noting, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        note()


@contextmanager
def words(
    request: dict, again: str = "Check the network, then retry; what has arrived is kept.", what: str = "model"
) -> Iterator[None]:
    """Errors of the Hub and of the network in words."""
    repo, revision = request["repo"], request["revision"]
    try:
        yield
    except GatedRepoError:
        raise Unavailable(
            f"{repo} is gated: only who has accepted its owners' terms may fetch it.",
            "Accept them on its page, start the studio with HF_TOKEN set, and retry.",
        ) from None
    except RevisionNotFoundError:
        raise BadInput(
            f"{repo} has no revision '{revision}'.", "Add it again with a branch, tag or commit that it has."
        ) from None
    except RepositoryNotFoundError:
        raise BadInput(
            f"There is no {what} {repo} on the Hub, or it is private.",
            "Check the name; for a private one start the studio with HF_TOKEN set.",
        ) from None
    except OfflineModeIsEnabled:
        raise Unavailable("The studio does not contact the Hub.", "Start it without --hub-offline.") from None
    except HfHubHTTPError as error:
        raise Unavailable(
            f"The Hub answered with an error: {clip(str(error).partition(chr(10))[0], 200)}.", again
        ) from None
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise Unavailable(
            f"The Hub cannot be reached, or broke off: {clip(error, 150) or type(error).__name__}.", again
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(
                "The disk is full, so the download stopped.", "Free some space, then retry; what has arrived is kept."
            ) from None
        raise Unavailable(f"The download stopped: {clip(error, 200)}.", again) from None


if __name__ == "__main__":
    sys.exit(main(BaseModelFolder(sys.argv[1])))
