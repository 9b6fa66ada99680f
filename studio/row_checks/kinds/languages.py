"""In which language the answers are, by Chromium's detector (CLD2), and which are in another one than nearly all the others."""

import re
from array import array
from collections import Counter
from collections.abc import Iterator

from studio.row_checks.check import Check, Said

SHORTEST = 40  # characters that tell a language
LETTERS = 1000  # that are looked at
MOST_SHARE = 0.8  # so many of the rows whose language is told must have one, before others look wrong
FEW = 0.05  # of the rows: a language that more of them have is meant
UNKNOWN = "unknown"
MOST_MARKS = 0.08  # of what stands in prose are digits, brackets and the like
NO_WORDS = re.compile(r"[0-9(){}\[\]<>=+*/_;:|#$%&@~^\\\"]")
SURE = 90  # per cent of the text


class Languages:
    """A number for the language of each row: 2 bytes a row."""

    def __init__(self) -> None:
        self.names: list[str] = [UNKNOWN]
        self.spoken = array("H")
        self.places = array("q")

    def add(self, place: int, said: Said) -> None:
        answer = said.answers[0] if said.answers else ""
        name = language_of(answer) if len(answer) >= SHORTEST else UNKNOWN
        if name not in self.names:
            self.names.append(name)
        self.spoken.append(self.names.index(name))
        self.places.append(place)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by language, the most first; of too short or mixed answers it is unknown."""
        counted = Counter(self.spoken)
        return {self.names[number]: count for number, count in counted.most_common()}

    def findings(self) -> Iterator[tuple[str, int, str]]:
        counts = {name: count for name, count in self.counts.items() if name != UNKNOWN}
        told = sum(counts.values())
        usual, most = next(iter(counts.items()), ("", 0))
        if most < MOST_SHARE * max(1, told) or most < 10:
            return
        rare = {name for name, count in counts.items() if count < FEW * told and name != usual}
        for place, number in zip(self.places, self.spoken, strict=True):
            if self.names[number] in rare:
                yield "language", place, f"{self.names[number]}, where {most / told:.0%} of the answers are {usual}"


def language_of(text: str) -> str:
    """Its English name, such as "German"; "unknown" where it is not surely one."""
    import pycld2  # 10 MB of tables that only this pass needs

    text = text[:LETTERS]
    if len(NO_WORDS.findall(text)) > MOST_MARKS * len(text):
        return UNKNOWN  # code and tables
    try:
        reliable, _, found = pycld2.detect(text)
    except (pycld2.error, ValueError):
        return UNKNOWN  # characters that are none
    name, _, share, score = found[0]
    return name.replace("_", " ").title() if reliable and share >= SURE and score >= 300 else UNKNOWN


CHECKS = [
    Check(
        "language",
        "Answers in another language",
        "The model learns to change the language where nobody asked for it.",
        "Drop these rows",
        "dropped for their language",
        gather=Languages,
        when="second",
    )
]
