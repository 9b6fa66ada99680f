"""The folder of a version of a data set."""

from pathlib import Path

from studio.folders.folder import Folder


class DatasetFolder(Folder):
    @property
    def messages(self) -> Path:
        return self.path / "messages.jsonl"

    @property
    def index(self) -> Path:
        """Byte offsets of every 256th row of messages.jsonl, so that a page of rows is found at once."""
        return self.path / "index.json"

    @property
    def request(self) -> Path:
        """Written for the process that reads an upload: what to read, and how."""
        return self.path / "request.json"

    @property
    def refusal(self) -> Path:
        """Written by that process when the file cannot be used: problem and fix."""
        return self.path / "refusal.json"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def reading_progress(self) -> Path:
        """Written by the process that reads an upload while it reads: rows, and the share of the file."""
        return self.path / "reading.json"

    @property
    def left_out(self) -> Path:
        """Rows that could not be used, with the reason: a line for each."""
        return self.path / "left_out.jsonl"

    @property
    def findings(self) -> Path:
        """What the checks of rows found: a file for each kind, and their counts (studio/row_checks/findings.py)."""
        return self.path / "findings"

    @property
    def findings_summary(self) -> Path:
        return self.findings / "summary.json"

    @property
    def checking_progress(self) -> Path:
        """Written by the second pass while it runs: what share of the rows it has seen."""
        return self.findings / "progress.json"

    @property
    def checking_lock(self) -> Path:
        """Held by the second pass while it runs."""
        return self.findings / "lock"

    def tokens(self, key: str) -> Path:
        return self.path / f"tokens-{key}.json"

    def encoding(self, key: str) -> Path:
        """Every row as token ids of one base model (jobs/workers/token_store.py); may go at any time, and is made again."""
        return self.path / f"encoded-{key}"

    def encodings(self) -> list[Path]:
        """All of them, the one used last first."""
        found = [path for path in self.path.glob("encoded-*") if path.is_dir()]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    @property
    def encoding_lock(self) -> Path:
        """Held while an encoding is looked for or made."""
        return self.path / "encoding.lock"
