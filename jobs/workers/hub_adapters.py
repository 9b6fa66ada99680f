"""Adapters from the Hub and to it: the files of one commit fetched, or a repository made and all files committed at once."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from jobs.workers.download import check_disk, fetch_file, words
from jobs.workers.model_card import model_card, plain
from studio.errors import BadInput, Conflict, Invalid, StudioError, TooLarge, Unavailable, clip
from studio.files import read_json, sha256_of
from studio.folders import AdapterFolder, AdapterJobFolder
from studio.hub_token import take

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
WANTED = (CONFIG, WEIGHTS, "passport.json", "chat_template.jinja", "tokenizer_config.json", "tokenizer.json")
PICKLES = ("adapter_model.bin", "adapter_model.pt")
SMALL_BYTES = 64 << 20  # of what is not the weights
AGAIN = "Check the network, then ask for it again."
Tell = Callable[[float, str], None]


def fetch(folder: AdapterJobFolder, request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """All files of the adapter, of one commit. Raises BadInput when the repository holds none, Unavailable when it cannot be had."""
    repo, revision = request["repo"], request["revision"]
    with words(request, AGAIN):
        tell(0.02, "Asking the Hub")
        info = HfApi().model_info(repo, revision=revision, files_metadata=True)
        listed = {file.rfilename: file for file in info.siblings or []}
        files = {name: listed[name] for name in WANTED if name in listed}
        refuse_others(repo, listed)
        for name, file in files.items():
            limit = request["limit"] if name == WEIGHTS else SMALL_BYTES
            if (file.size or 0) > limit:
                raise TooLarge(
                    f"{name} of {repo} has more than {limit >> 20:,} MB.",
                    "Start the studio with a larger --max-upload-mb.",
                )
        total = sum(file.size or 0 for file in files.values())
        folder.files.mkdir(exist_ok=True)
        check_disk(folder.files, total)
        done = 0
        for name, file in sorted(files.items(), key=lambda item: item[1].size or 0):
            tell(0.05 + 0.9 * done / max(total, 1), f"Fetching {name}")
            path = fetch_file(folder.files, repo, name, info.sha)
            if file.lfs and sha256_of(path) != file.lfs.sha256:
                raise BadInput(
                    f"{name} arrived damaged: its sha256 is not the one that the Hub names.", "Ask for it again."
                )
            done += file.size or 0
    return {"repo": repo, "revision": info.sha, "files": sorted(files)}


def refuse_others(repo: str, listed: dict) -> None:
    if CONFIG not in listed:
        below = sorted(name for name in listed if name.endswith(f"/{CONFIG}"))
        more = f" at its top, only in {clip(below[0])}" if below else ""
        raise BadInput(f"{repo} holds no {CONFIG}{more}, so it is no adapter that PEFT has saved.", "Choose another.")
    if WEIGHTS not in listed:
        pickled = next((name for name in PICKLES if name in listed), None)
        has = f"only {pickled}, which could run code when it is read" if pickled else "no weights"
        raise BadInput(f"{repo} holds {has}, and no {WEIGHTS}.", "Choose one that is published as safetensors.")


def push(folder: AdapterJobFolder, request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """The repository, made when it was not there, and one commit with everything. Raises StudioError in words."""
    token = take(folder.token) if folder.token.exists() else os.environ.get("HF_TOKEN")
    if not token:
        raise Invalid(
            "No token was given, and the studio was started without HF_TOKEN.",
            "Give one with the right to write.",
            "token",
        )
    [parent] = request["parents"]
    adapter, private = folder.parent(parent["id"]), request["settings"]["private"]
    if not adapter.card.is_file():
        adapter.card.write_text(card_of_brought(adapter, parent["name"], request["base_model"]), encoding="utf-8")
    files = sorted(path for path in adapter.path.iterdir() if path.is_file() and not path.name.startswith("."))
    total = sum(path.stat().st_size for path in files)
    with pushed_words(request["repo"], token):
        tell(0.02, "Making the repository")
        repo = make_repository(HfApi(token=token), request["repo"], private)
        counted = Progress(total, tell)
        operations = [CommitOperationAdd(path.name, CountedFile(path, counted)) for path in files]
        commit = HfApi(token=token).create_commit(
            repo, operations, commit_message=f"{clip(parent['name'], 100)}, from LoRA Studio", num_threads=1
        )
    return {"repo": repo, "url": f"{HfApi().endpoint}/{repo}", "commit": commit.oid, "private": private}


def make_repository(api: HfApi, repo: str, private: bool) -> str:
    """Its whole name. Raises Conflict for one that everybody sees already where a private one was asked for."""
    try:
        return api.create_repo(repo, private=private, repo_type="model").repo_id
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code != 409:
            raise
    info = api.model_info(repo)
    if private and not info.private:
        raise Conflict(
            f"{info.id} is there already, and everybody can see it.",
            "Choose another name, or do not ask for a private one.",
            "private",
        )
    return info.id


class Progress:
    """How much was read of all files: once for its sha256, once on its way."""

    def __init__(self, total: int, tell: Tell):
        self.total, self.tell, self.read = max(1, 2 * total), tell, 0

    def add(self, count: int) -> None:
        self.read += count
        self.tell(min(0.95, 0.05 + 0.9 * self.read / self.total), "Sending the files")


class CountedFile(io.BufferedReader):
    def __init__(self, path: Path, progress: Progress):
        super().__init__(io.FileIO(path))
        self.progress = progress

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.progress.add(len(content))
        return content


def card_of_brought(adapter: AdapterFolder, name: str, base: dict[str, Any]) -> str:
    """A card for an adapter that came without one."""
    passport = {**read_json(adapter.passport, {}), "name": name, "base_model": base}
    rows = [
        ("Base model", f"{plain(base['name'])} ({base['architecture']})"),
        ("Method", plain(read_json(adapter.config).get("peft_type"))),
        ("Weights", f"sha256 {sha256_of(adapter.weights)}"),
    ]
    return model_card(passport, "An adapter that was brought to LoRA Studio.", rows)


@contextmanager
def pushed_words(repo: str, token: str) -> Iterator[None]:
    """Errors of the Hub and of the network in words; the token is in none of them."""
    try:
        yield
    except StudioError:
        raise
    except LocalTokenNotFoundError:
        raise Unavailable("The Hub was asked without a token.", "Give one with the right to write.", "token") from None
    except Exception as error:
        told = in_words(cause_of(error), repo)
        if told is None:
            raise
        problem, fix = told
        raise Unavailable(problem.replace(token, "…"), fix) from None


def cause_of(error: BaseException) -> BaseException:
    """What the Hub or the network said, below what the client makes of it while it uploads."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, HfHubHTTPError | httpx2.HTTPError | ConnectionError | TimeoutError):
            return found
        found = found.__cause__
    return error


def in_words(error: BaseException, repo: str) -> tuple[str, str] | None:
    """(problem, fix); None for what is a fault of ours."""
    if not isinstance(error, HfHubHTTPError):
        if isinstance(error, httpx2.HTTPError | OSError):
            return f"The Hub cannot be reached, or broke off: {clip(error, 150) or type(error).__name__}.", AGAIN
        return None
    status = error.response.status_code if error.response is not None else 0
    said = clip(str(error).partition("\n")[0], 200)
    return {
        401: (
            "The Hub does not know this token.",
            "Make one in the Hub's settings, with the right to write, and ask again.",
        ),
        403: (f"This token may not write to {repo}.", "Use one with the right to write there, or another name."),
        404: (f"There is no place {repo} on the Hub, or this token may not see it.", "Check the name of its owner."),
        409: (f"{repo} was changed by somebody else meanwhile.", "Ask for it again."),
        402: (f"The quota for {repo} is used up.", "Make room on the Hub, or push publicly."),
        413: (
            f"The Hub takes no files of this size for {repo}.",
            "Make the adapter smaller, or ask its owner for more room.",
        ),
        429: ("The Hub asks to wait: there were too many requests.", "Ask for it again in some minutes."),
        507: (f"The quota for {repo} is used up.", "Make room on the Hub, or push publicly."),
    }.get(status, (f"The Hub answered with an error: {said}.", AGAIN))
