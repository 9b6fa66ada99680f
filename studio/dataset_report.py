"""What reading a data file found: counts, findings with row and line, and token lengths for one base model."""

from typing import Literal

from pydantic import BaseModel, Field

SHOWN_FINDINGS = 20
"""So many bad rows, and so many warnings, are told one by one; all are counted."""


class Finding(BaseModel):
    """One thing about one row (or, without a row, about the file) that the person should know."""

    row: int | None = None  # counted from 1
    line: int | None = None  # where the row starts in the file; None where a file has no lines
    field: str | None = None  # column, or place in a conversation such as "messages[2].content"
    kind: str  # short name to count by: "empty", "duplicate", "json", ...
    problem: str
    fix: str
    severity: Literal["bad", "warning"] = "bad"

    @property
    def where(self) -> str:
        """ "Row 12 (line 14)", to begin a sentence with; "The file" without a row."""
        if self.row is None:
            return "The file" if self.line is None else f"Line {self.line}"
        return f"Row {self.row}" if self.line is None else f"Row {self.row} (line {self.line})"

    @property
    def sentence(self) -> str:
        return f"{self.where}: {self.problem}"


class Applied(BaseModel):
    """One fix as it was made: kept with the version that it made."""

    check: str  # name of a check of rows, or "left_out"
    mended: int = 0  # rows
    dropped: int = 0
    added: int = 0  # of those that had been left out


class Report(BaseModel):
    """Everything that was found in one data file, whether it was taken or not."""

    file_name: str
    format: str | None = None  # None: not recognised
    format_title: str | None = None
    kind: Literal["conversations", "text", "preference"] = "conversations"
    container: Literal["json", "jsonl", "csv", "parquet", "arrow", "qna", "text"]
    encoding: str | None = None  # "utf-8", "utf-16", "cp1252"; None for Parquet
    delimiter: str | None = None  # of a table
    packed: str | None = None  # what the file is compressed with
    reason: str = ""  # why it is taken for this format, in words
    columns: list[str] = Field(default_factory=list)
    unused_columns: list[str] = Field(default_factory=list)
    mapping: dict[str, str] = Field(
        default_factory=dict
    )  # part ("prompt", "answer", ...) → column; a suggestion when it is needed
    needs_mapping: bool = False
    rows_total: int = 0
    rows_ready: int = 0
    rows_bad: int = 0
    rows_warned: int = 0  # of the ready ones
    heldout_rows: int = 0
    turns: int = 0  # questions with an answer; a pair is one
    marked_rows: int = 0  # conversations that say of an answer whether it should be learned
    multi_turn_rows: int = 0
    system_rows: int = 0  # rows with a system message
    characters: int = 0  # in all messages and texts
    findings: list[Finding] = Field(default_factory=list)  # the first bad rows, then the first warnings
    findings_total: int = 0
    kinds: dict[str, int] = Field(default_factory=dict)  # how many findings of each kind
    checks: dict[str, int] = Field(default_factory=dict)
    """How many of the ready rows have a finding of each kind that a fix is offered for (studio/row_checks/kinds)."""
    rows_left_out: int = 0
    """Lines of left_out.jsonl: the bad rows of the upload, less those that a fix has brought back."""
    fixes: list[Applied] = Field(default_factory=list)
    """Of a version that was made by fixes: which, and to how many rows."""
    examples: list[dict] = Field(default_factory=list)  # the first three rows, long texts cut
    sha256: str | None = None  # of messages.jsonl
    size_bytes: int = 0  # of messages.jsonl
    upload_sha256: str | None = None
    upload_bytes: int = 0

    @property
    def bad(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "bad"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]


class TokenStats(BaseModel):
    """How long the rows of a data set are in tokens of one base model, template included."""

    rows: int
    heldout_rows: int
    total_tokens: int  # of all rows; an estimate when sampled
    trained_tokens: int  # of them, those that the loss is taken on
    shortest: int
    median: int
    p95: int
    longest: int
    histogram: list[tuple[int, int]]  # (rows up to so many tokens, how many rows)
    sampled: bool = False
    lengths: list[int]  # of each row, or of each sampled row, in the order of the file; of pairs two for each
    objective: Literal["answers", "text", "preference"] = "answers"  # what the tokens were counted for
    answers: Literal["all", "last", "marked"] = "all"
    sequences_per_row: int = 1  # 2 for pairs: lengths, shortest, median and longest are of sequences, totals of all
    trained: list[int] = Field(default_factory=list)  # for each of the lengths, how many of its tokens are learned
    learned_from: list[int] = Field(default_factory=list)
    """For each of the lengths the place of the first token that something is learned from (from 1), 0 where there is none; of
    pairs that from which the two answers differ. What is cut before it has nothing to teach."""
    held_out: list[int] = Field(
        default_factory=list
    )  # places among the measured rows, of those that the data holds out
    once: int | None = None  # rows that stand in the data once; None: not counted, as of a sample

    @property
    def learned_share(self) -> float:
        """Of the tokens, how many something is learned from."""
        return min(1.0, self.trained_tokens / max(1, self.total_tokens))

    def as_dict(self) -> dict:
        return self.model_dump(mode="json")
