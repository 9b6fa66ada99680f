"""Which encoding a text file is in. The whole file is looked at before a row is read, so that a bad byte is named with its line."""

import codecs
import re
from pathlib import Path

from studio.containers.packed import open_bytes
from studio.errors import BadInput
from studio.formats.format import RowFault

BLOCK = 1 << 20
BOMS = [  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")


def encoding_of(path: Path) -> tuple[str, list[RowFault]]:
    """The encoding to open the file with, and what to know about it. Raises BadInput where no encoding fits the whole file."""
    with open_bytes(path) as file:
        head = file.read(1 << 16)
    marked = next((name for bom, name in BOMS if head.startswith(bom)), None) or _unmarked_utf16(head)
    encoding = marked or "utf-8"
    wrong = _first_bad_byte(path, encoding)
    if wrong is None:
        return encoding, []
    if not marked and _is_windows(path):
        line, shown = _place(path, wrong)
        return "cp1252", [
            RowFault(
                "encoding",
                f"The file is not UTF-8 and was read as Windows-1252: line {line} has '{shown}'.",
                "Look at the examples; if letters are wrong, save the file as UTF-8.",
            )
        ]
    raise _bad_byte(path, wrong, encoding)


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of ordinary text is zero, and it reads as text."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) <= len(head) // 5 or min(even, odd) * 10 >= max(even, odd):
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = head[: len(head) // 2 * 2].decode(encoding, "replace")
    strange = sum(not (letter.isprintable() or letter in "\n\r\t") for letter in text)
    return encoding if strange <= 0.02 * len(text) else None


def _first_bad_byte(path: Path, encoding: str) -> int | None:
    """Offset of the first byte that does not decode; None when all do."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    with open_bytes(path) as file:
        while True:
            block = file.read(BLOCK)
            waiting = len(decoder.getstate()[0])  # bytes of a letter whose rest is in this block
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return offset - waiting + error.start
            if not block:
                return None
            offset += len(block)


def _is_windows(path: Path) -> bool:
    """Whether the file is Windows-1252 throughout: few high bytes, none undefined there, and none that form a letter of UTF-8."""
    high = total = 0
    with open_bytes(path) as file:
        while block := file.read(BLOCK):
            if _UTF8_LETTER.search(block):
                return False
            try:
                block.decode("cp1252")
            except UnicodeDecodeError:
                return False
            high += len(_HIGH.findall(block))
            total += len(block)
    return high <= 0.2 * total  # more is another alphabet: Cyrillic, Greek, Chinese


def _place(path: Path, offset: int) -> tuple[int, str]:
    """(line, the letters around) of a byte, read as Windows-1252."""
    line, done = 1, 0
    with open_bytes(path) as file:
        while done < offset:
            block = file.read(min(BLOCK, offset - done))
            line += block.count(b"\n") or block.count(b"\r")
            done += len(block)
    around = _bytes_at(path, max(0, offset - 12), 24).decode("cp1252", "replace")
    return line, "".join(c if c.isprintable() else " " for c in around).strip()


def _bytes_at(path: Path, offset: int, count: int) -> bytes:
    with open_bytes(path) as file:
        if file.seekable():
            file.seek(offset)
        else:
            while offset and (passed := len(file.read(min(BLOCK, offset)))):
                offset -= passed
        return file.read(count)


def _bad_byte(path: Path, offset: int, encoding: str) -> BadInput:
    line, shown = _place(path, offset)
    byte = _bytes_at(path, offset, 1)
    name = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8"}.get(encoding, encoding.upper())
    found = f"the byte 0x{byte[0]:02X}" if byte else "the end of the file in the middle of a letter"
    return BadInput(
        f"Line {line} holds {found}, which is not {name}; in Windows-1252 it would read '{shown}'.",
        f"Save the file as UTF-8 and upload it again; if only this line is damaged, mend line {line}.",
    )


def is_binary(head: bytes) -> bool:
    """Whether these first bytes are no text in any encoding that is looked for."""
    if any(head.startswith(bom) for bom, _ in BOMS) or _unmarked_utf16(head):
        return False
    control = sum(head.count(byte) for byte in (0, *range(2, 9), *range(14, 27), *range(28, 31)))  # 1 and 31 part cells
    return control > 0.02 * len(head)
