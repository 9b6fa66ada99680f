"""Models of the Hugging Face Hub: their names, and the process that fetches one."""

import os
import re
import subprocess
import sys

import psutil

from studio.child_environment import PROJECT, child_environment
from studio.errors import Invalid, clip
from studio.folders import BaseModelFolder

REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,99}", re.ASCII)
ADDRESS = re.compile(r"https?://[^/]+/")
# What the process that fetches may know beyond the others: how to reach the Hub, and as whom
ITS_OWN = (
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "HF_HUB_ETAG_TIMEOUT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


def check_repo(repo: str) -> str:
    """The name of a model on the Hub, also from its page's address. Raises Invalid."""
    name = ADDRESS.sub("", repo.strip()).strip("/")
    if not REPO.fullmatch(name) or ".." in name or "--" in name or name.endswith((".git", ".")):
        raise Invalid(
            f"'{clip(repo)}' is not the name of a model on the Hub.",
            "Write it as on its page, such as owner/name.",
            "repo",
        )
    return name


def check_revision(revision: str) -> str:
    name = revision.strip() or "main"
    if not REVISION.fullmatch(name) or ".." in name:
        raise Invalid(
            f"'{clip(revision)}' is not a revision.", "Name a branch, a tag or a commit, such as main.", "revision"
        )
    return name


def may_reach() -> dict[str, str]:
    """What is added to the environment of a process that may contact the Hub."""
    known = {name: os.environ[name] for name in ITS_OWN if name in os.environ}
    return {**known, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def start_download(folder: BaseModelFolder) -> subprocess.Popen:
    """Start the process that fetches what folder.request names. It goes on when we end, and ends at once beside another of its kind."""
    environment = child_environment(1, may_reach())
    with open(folder.download_log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.workers.download", str(folder.path)],
            cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, umask=0o077, start_new_session=True,
        )  # fmt: skip


def download_process(folder: BaseModelFolder, pid: int | None) -> psutil.Process | None:
    """The living process that fetches into this folder; numbers are reused, but no other process names the folder."""
    try:
        process = psutil.Process(pid) if pid else None
        if process and process.status() != psutil.STATUS_ZOMBIE and str(folder.path) in process.cmdline():
            return process
    except psutil.Error:
        pass
    return None


def end_download(folder: BaseModelFolder, pid: int | None) -> None:
    """End the process, if it still lives, and wait until it writes no more."""
    process = download_process(folder, pid)
    if process:
        try:
            process.kill()
            process.wait(10)
        except psutil.Error:
            pass
