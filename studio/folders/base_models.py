"""The folder of a base model, and the ways in which it is loaded."""

from pathlib import Path

from studio.folders.folder import Folder

QUANTIZATIONS = ("none", "nf4", "int8")  # ways to load a base model: in full, in 4 or in 8 bits


class BaseModelFolder(Folder):
    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def facts(self) -> Path:
        return self.path / "facts.json"

    @property
    def request(self) -> Path:
        """Written for the processes that fetch and check the model: where it comes from."""
        return self.path / "request.json"

    @property
    def refusal(self) -> Path:
        """Written by them when the model cannot be used: problem and fix."""
        return self.path / "refusal.json"

    @property
    def files(self) -> Path:
        """What the Hub gave, as it came."""
        return self.path / "files"

    @property
    def download(self) -> Path:
        """Written while files come from the Hub: {"bytes_done", "bytes_total", "revision", "at"}."""
        return self.path / "download.json"

    @property
    def download_log(self) -> Path:
        return self.path / "download.log"
