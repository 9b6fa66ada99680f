"""What every check of rows declares: what it looks for, what that does to a model, and the fix that is offered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from studio.formats import Conversation, Found, Pair

# What most texts are made of. The few bytes of a row that are left without these tell which checks need to look closer.
NOTEWORTHY = b"0@<[{`\x7f" + bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_ORDINARY = bytes(byte for byte in range(256) if byte not in NOTEWORTHY + b"123456789")
_ONE_DIGIT = bytes.maketrans(b"123456789", b"000000000")


@dataclass(slots=True)
class Said:
    """What a row says, as checks look at it."""

    text: str
    """All its texts, a line break between them."""
    marks: bytes
    """Of the text only what is NOTEWORTHY: a 0 for every digit, control characters, and @ < [ { and `."""
    prompts: list[str]
    answers: list[str]
    """What is learned: answers, or a whole document. Of a pair the chosen answer, then the rejected one."""
    heldout: bool


def said_in(found: Found, heldout: bool) -> Said:
    prompts: list[str] = []
    answers: list[str] = []
    if isinstance(found, Conversation):
        texts = [message["content"] for message in found.messages]
        for message in found.messages:  # one loop, not two: this is done for every row of millions
            role = message["role"]
            if role == "assistant":
                answers.append(message["content"])
            elif role == "user":
                prompts.append(message["content"])
    elif isinstance(found, Pair):
        texts = [message["content"] for message in found.spoken]
        prompts = [message["content"] for message in found.prompt if message["role"] == "user"]
        both = (*found.chosen, *found.rejected)
        answers = [message["content"] for message in both if message["role"] == "assistant"]
    else:
        texts = answers = [found.text]
    text = "\n".join(texts)
    marks = text.encode("utf-8", "surrogatepass").translate(_ONE_DIGIT, _ORDINARY)
    return Said(text, marks, prompts, answers, heldout)


class Gathering(Protocol):
    """A check that sees a fault only when it has seen all rows. It keeps a few bytes of each."""

    def add(self, place: int, said: Said) -> None: ...

    def findings(self) -> Iterator[tuple[str, int, str]]:
        """(name of the check, place of the row from 0, what is said of it)."""
        ...


@dataclass(frozen=True)
class Check:
    """One kind of finding, found by its own `look`, or by a `gather` of its file, which may find several kinds."""

    name: str
    title: str
    """In the plural, as a heading of the rows that have it."""
    harm: str
    """One sentence: what a model learns from such rows."""
    fix: str
    """What the fix does, as the button says it."""
    done: str
    """The same when it has been done, after a count of rows: "dropped as duplicates"."""
    look: Callable[[Said], str | None] | None = None
    """look(said): what was found in the row, to be shown; None where there is nothing."""
    needs: bytes = b""
    """NOTEWORTHY bytes of which one must be in a row for `look` to find anything there."""
    beyond_ascii: bool = False
    """Whether `look` may also find something in a row with other characters than those of ASCII."""
    gather: Callable[[], Gathering] | None = None
    mend: Callable[[str], str] | None = None
    """mend(text): one text of the row without the fault; the same text where it has none, and so when it is applied twice.
    None: the fix is to drop the row."""
    when: Literal["first", "second"] = "first"
    """In which pass: the first is every reading of the rows, the second costs several times as much and is a pass of its own."""

    def may_look(self, marks: frozenset[int], is_ascii: bool) -> bool:
        """Whether there is anything to look for in a row with these noteworthy bytes."""
        anywhere = not self.needs and not self.beyond_ascii
        return anywhere or not marks.isdisjoint(self.needs) or (self.beyond_ascii and not is_ascii)

    @property
    def drops(self) -> bool:
        return self.mend is None


def shown(text: str, most: int = 60) -> str:
    """A piece of a row as a finding quotes it."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def several(found: list[str]) -> str:
    """The first three of what was found, each once."""
    names = [shown(each, 40) for each in dict.fromkeys(found)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
