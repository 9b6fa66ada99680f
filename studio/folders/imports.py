"""The folder of one import of data from the Hub."""

from pathlib import Path

from studio.folders.jobs import JobFolder


class ImportFolder(JobFolder):
    """Rows on their way from the Hub. Its request: {"repo", "revision", "config", "split", "heldout", "rows", "text_limit", and limits}."""

    @property
    def rows(self) -> Path:
        """One row on each line, as it came; read like any other file when all are here."""
        return self.path / "rows.jsonl"

    @property
    def cache(self) -> Path:
        """What the library that fetches keeps for itself."""
        return self.path / "cache"
