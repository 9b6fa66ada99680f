"""Regular expressions of somebody: found with a limit of time, because a hostile one would search for ever."""

import re
from functools import lru_cache

import regex

LONGEST_PATTERN = 500
LARGEST_PATTERN = (
    20_000  # letters once its repeats are written out; the library writes them out, and runs out of memory
)
SECONDS = 0.5  # for one search; a pattern that needs more on an answer is one that backtracks without end
# an escaped letter, a set, the beginning of a group, its end, a repeat with numbers, any other letter
PIECES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)|\{(\d*),?(\d*)\}|.", re.DOTALL)


class TooSlow(Exception):
    """The search was given up."""


@lru_cache(maxsize=1024)
def compiled(pattern: str, ignore_case: bool = False) -> regex.Pattern:
    """Raises regex.error for what is none, or is too large."""
    if written_out(pattern) > LARGEST_PATTERN:
        raise regex.error("its repeats are too many")
    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)


def written_out(pattern: str) -> int:
    """How many letters it has once a{3} is written as aaa, groups included."""
    sizes, last = [0], 0
    for piece in PIECES.finditer(pattern):
        if piece[0] == "(":
            sizes.append(0)
            last = 0
        elif piece[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif piece[0][0] == "{" and (piece[1] or piece[2]):
            times = int((piece[2] or piece[1])[:12])
            sizes[-1] += last * max(0, times - 1)
            last *= max(1, times)
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


def found(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """Whether it is found somewhere in the text. Raises TooSlow."""
    try:
        return compiled(pattern, ignore_case).search(text, timeout=SECONDS) is not None
    except TimeoutError:
        raise TooSlow(f"the pattern was not through with the answer after {SECONDS:g} seconds") from None
