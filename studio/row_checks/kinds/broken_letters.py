"""Letters that an earlier program read in the wrong encoding (Ã¤ for ä), or lost on the way."""

import re

from studio.row_checks.check import Check, Said, several, shown

# How UTF-8 looks when it was read as Windows-1252: the first letter of two or three, then one that stands for a byte 80 to BF.
LIKELY = re.compile(r"[ÂÃÄÅâãäåæçèéïðÐÑÎÏÙØ][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]")
LOST = "\ufffd"


def look(said: Said) -> str | None:
    text = said.text
    if not LIKELY.search(text):
        return None
    mended = mend(text)
    if mended == text:
        return None
    return several([word for word in text.split() if LIKELY.search(word)])


def mend(text: str) -> str:
    """The letters that were meant, by ftfy, which leaves alone whatever is not surely broken."""
    if text.isascii() or not LIKELY.search(text):
        return text
    from ftfy import fix_encoding  # 20 ms and a table of letters that most files never need

    for _ in range(4):  # text may have been broken more than once
        mended = fix_encoding(text)
        if mended == text:
            break
        text = mended
    return text


def look_for_lost(said: Said) -> str | None:
    if LOST not in said.text:
        return None
    at = said.text.index(LOST)
    return f"'{shown(said.text[max(0, at - 20) : at + 20])}'"


CHECKS = [
    Check(
        "encoding",
        "Letters in the wrong encoding",
        "The model learns to write the broken letters.",
        "Mend the letters",
        "with mended letters",
        look=look,
        beyond_ascii=True,
        mend=mend,
    ),
    Check(
        "lost_letters",
        "Letters that were lost",
        "The model learns to write the mark for a letter that could not be read.",
        "Drop these rows",
        "dropped for lost letters",
        look=look_for_lost,
        beyond_ascii=True,
    ),
]
