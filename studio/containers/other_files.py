"""Files that are no data, or only look like it, each told by name with what to do: pointers, error pages, archives, weights, pictures."""

import re
import zipfile
from pathlib import Path

from studio.errors import BadInput, clip

TAKEN = "Bring JSON, JSON Lines, CSV, Parquet, Arrow or plain text."
UNPACK = "Unpack it and upload the file inside."
MODEL = "That is a model's; bring it on the Models page, and here the rows to train it on."
TEXT = "Bring the text in it as JSON Lines, CSV or plain text."
PICKLE = "is a Python pickle, which is never opened here because it could run code"
# (first bytes, what the file is, what to do)
BEGINNINGS = [
    (
        b"version https://git-lfs.github.com/spec",
        "is a Git LFS pointer: it only names the data, which was not downloaded",
        "Fetch the data with 'git lfs pull', or download it from its page, and upload that file.",
    ),
    (b"PK\x05\x06", "is an empty zip archive", TAKEN),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", UNPACK),
    (b"Rar!", "is a RAR archive", UNPACK),
    (b"SQLite format 3", "is an SQLite database", "Write its table as CSV."),
    (b"GGUF", "holds weights of a model (GGUF)", MODEL),
    (b"\x93NUMPY", "is an array of NumPy", TEXT),
    (b"\x89HDF", "is an HDF5 file", "Write its rows as Parquet or JSON Lines."),
    (b"ORC", "is an ORC file", "Write it as Parquet or JSON Lines."),
    (b"Obj\x01", "is an Avro file", "Write it as Parquet or JSON Lines."),
    (b"\x7fELF", "is a program", TAKEN),
    (b"%PDF", "is a PDF", TEXT),
    (b"{\\rtf", "is a rich-text document", TEXT),
    (b"\xd0\xcf\x11\xe0", "is an old Word or Excel document", "Save it as CSV or plain text."),
    (b"\x89PNG", "is a picture", TAKEN),
    (b"\xff\xd8\xff", "is a picture", TAKEN),
    (b"GIF8", "is a picture", TAKEN),
    (b"RIFF", "is a sound, a film or a picture", TAKEN),
    (b"OggS", "is a sound", TAKEN),
    (b"ID3", "is a sound", TAKEN),
    *[(b"\x80" + bytes([version]), PICKLE, "Write it as JSON Lines or Parquet.") for version in (2, 3, 4, 5)],
]
PAGE = re.compile(r"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
XML = re.compile(r"\s*<\?xml\b", re.IGNORECASE)
STORAGE_ERROR = re.compile(r"<Error>\s*<Code>(\w{1,60})")
ERRORS = re.compile(
    r"\s*(entry not found|repository not found|invalid username or password|access to (?:dataset|model) .{1,120} is restricted"
    r"|404:? not found|not found|401:? unauthorized|unauthorized|403:? forbidden|forbidden|access denied|too many requests"
    r"|internal server error|bad gateway|502 bad gateway|service unavailable)\b[^\n]{0,200}\s*",
    re.IGNORECASE,
)
"""The whole of a small file: what a server said in place of the file."""
SCRIPT = re.compile(r"\bclass \w+\((?:datasets\.)?(?:GeneratorBasedBuilder|ArrowBasedBuilder|BuilderConfig)\)")


def refuse_other_kinds(path: Path, head: bytes) -> None:
    """Raises BadInput, by name, for a file that is none of the containers; `head` are its first bytes, unpacked."""
    for magic, what, fix in BEGINNINGS:
        if head.startswith(magic):
            raise BadInput(f"The file {what}.", fix)
    if head.startswith(b"PK\x03\x04"):
        raise _archive(path)
    if head[257:262] == b"ustar":
        raise BadInput("The file is a tar archive.", UNPACK)
    if head[4:8] == b"ftyp":
        raise BadInput("The file is a film or a picture.", TAKEN)
    if head[8:10] == b'{"' and 0 < int.from_bytes(head[:8], "little") < 1 << 27:
        raise BadInput("The file holds weights of a model (safetensors), not rows.", MODEL)
    _refuse_pages(head.decode("utf-8", "replace"))


def _archive(path: Path) -> BadInput:
    """A zip archive by what is in it. Only its list is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return BadInput("The file is a zip archive, and a damaged one.", "Fetch it again, and upload the file inside.")
    if any(name.startswith("xl/") for name in names):
        return BadInput("The file is an Excel workbook.", "Save its sheet as CSV.")
    if any(name.startswith("word/") or name == "content.xml" for name in names):
        return BadInput("The file is a text document of an office program.", "Save it as plain text.")
    if any(name.endswith("data.pkl") for name in names):
        return BadInput(f"The file {PICKLE} (PyTorch).", "Write it as JSON Lines or Parquet.")
    inside = [name for name in names if not name.endswith("/")]
    shown = f" with {clip(', '.join(inside[:3]), 120)}" + (f" and {len(inside) - 3:,} more" if len(inside) > 3 else "")
    return BadInput(f"The file is a zip archive{shown if inside else ''}.", UNPACK)


def _refuse_pages(text: str) -> None:
    """What a server or a repository gives in place of the data."""
    if PAGE.match(text):
        raise BadInput(
            "The file is a web page, perhaps the page about the data in place of the data.",
            "Open its address in a browser, download the file itself, and upload that.",
        )
    if found := STORAGE_ERROR.search(text[:4000]):
        raise BadInput(
            f"The file is what a storage server said in place of the data: {found[1]}.", "Download the data again."
        )
    if XML.match(text):
        raise BadInput("The file is XML.", TAKEN)
    if len(text) < 1000 and (found := ERRORS.fullmatch(text)):
        raise BadInput(
            f"The file is what a server said in place of the data: {clip(found[0].strip(), 120)}.",
            "Download the data again; for a gated or private set sign in first.",
        )
    if SCRIPT.search(text):
        raise BadInput(
            "The file is a program that loads data from the Hub. It holds no rows, and it is never run here.",
            "Bring the files that it loads, as JSON Lines, CSV or Parquet.",
        )
