"""The folder of the chat worker."""

import re
from pathlib import Path

from studio.errors import NotFound
from studio.folders.adapters import AdapterFolder
from studio.folders.folder import Folder

KEPT_CHECKPOINT = re.compile(
    r"[A-Za-z0-9]{1,64}-[0-9]{1,10}-[0-9a-f]{16}"
)  # run, step, beginning of the weights' sha256


class ChatFolder(Folder):
    @property
    def checkpoints(self) -> Path:
        """Adapters of checkpoints that were asked, which their runs may drop at any time."""
        return self.path / "checkpoints"

    def checkpoint(self, name: str) -> AdapterFolder:
        """One of them. Raises NotFound for what is no name of one."""
        if not KEPT_CHECKPOINT.fullmatch(name):
            raise NotFound("checkpoint", name)
        return AdapterFolder(self.checkpoints / name)

    @property
    def worker(self) -> Path:
        """Which process answers now, for which base model."""
        return self.path / "worker.json"

    @property
    def lock(self) -> Path:
        """Held while a chat worker is started or stopped."""
        return self.path / "worker.lock"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def socket(self) -> Path:
        return self.path / "socket"
