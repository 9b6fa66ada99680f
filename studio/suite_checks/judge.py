"""Whether an answer passes its prompt's checks, and if not, why not: one function for each kind of check."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from studio.suite_checks.json_schema import violation
from studio.suite_checks.kinds import Check, Contains, ContainsNot, Exact, IsJson, Length, Matches
from studio.suite_checks.patterns import TooSlow, found

SHOWN = 60  # characters of a text within a sentence
FENCE = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n?```\Z", re.DOTALL)
ENDS = " \t\n\r.,;:!?\"'`*“”‘’«»"  # what a normalised answer may have around it
DIRECT_JSON = json.JSONDecoder(parse_constant=lambda name: _refuse_constant(name))
_checks = TypeAdapter(list[Check])


@dataclass(frozen=True)
class Answered:
    """What is known of an answer when it is judged."""

    text: str
    tokens: int
    expected: str | None = None


@dataclass(frozen=True)
class Verdict:
    passed: bool
    said: str
    """In words: what was wanted where it passed, what was found instead where it did not."""

    def as_dict(self) -> dict[str, Any]:
        return {"passed": self.passed, "said": self.said}


def read_checks(values: Sequence[Mapping[str, Any]]) -> list[Check]:
    return _checks.validate_python(list(values))


def judge(answered: Answered, checks: Sequence[Check]) -> list[Verdict]:
    """One verdict for each check. A check that cannot be decided in time does not pass, and says so."""
    verdicts = []
    for check in checks:
        try:
            verdicts.append(JUDGES[type(check)](answered, check))
        except TooSlow as error:
            verdicts.append(Verdict(False, f"Not decided: {error}."))
    return verdicts


def contains(answered: Answered, check: Contains) -> Verdict:
    inside = _folded(check.text, check.ignore_case) in _folded(answered.text, check.ignore_case)
    return Verdict(inside, f"{'Contains' if inside else 'Does not contain'} {_shown(check.text)}.")


def contains_not(answered: Answered, check: ContainsNot) -> Verdict:
    inside = _folded(check.text, check.ignore_case) in _folded(answered.text, check.ignore_case)
    return Verdict(not inside, f"{'Contains' if inside else 'Does not contain'} {_shown(check.text)}.")


def matches(answered: Answered, check: Matches) -> Verdict:
    matched = found(check.pattern, answered.text, check.ignore_case)
    return Verdict(matched, f"{'Matches' if matched else 'Does not match'} {_shown(check.pattern)}.")


def is_json(answered: Answered, check: IsJson) -> Verdict:
    """The whole answer must be one JSON value; a fence of ``` around it, as chat models write it, is looked over."""
    text = answered.text.strip()
    fenced = FENCE.match(text)
    try:
        value = DIRECT_JSON.decode(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as error:
        return Verdict(False, f"Is no valid JSON: {str(error)[:100]}.")
    if check.wanted is None:
        return Verdict(True, "Is valid JSON.")
    wrong = violation(check.wanted, value)
    return Verdict(wrong is None, f"Does not keep the schema: {wrong}." if wrong else "Is JSON that keeps the schema.")


def length(answered: Answered, check: Length) -> Verdict:
    counted = {
        "characters": len(answered.text.strip()),
        "words": len(answered.text.split()),
        "tokens": answered.tokens,
    }[check.unit]
    passed = (check.least is None or counted >= check.least) and (check.most is None or counted <= check.most)
    limits = [f"at least {check.least}"] * (check.least is not None) + [f"at most {check.most}"] * (
        check.most is not None
    )
    return Verdict(passed, f"Has {counted} {check.unit} ({' and '.join(limits)} wanted).")


def exact(answered: Answered, check: Exact) -> Verdict:
    if answered.expected is None:
        return Verdict(False, "No answer is expected, so none can be equal to it.")
    tidy: Callable[[str], str] = normalised if check.normalised else str.strip
    same = tidy(answered.text) == tidy(answered.expected)
    return Verdict(
        same, "Is the expected answer." if same else f"Is not the expected answer {_shown(answered.expected)}."
    )


def normalised(text: str) -> str:
    """Compatible letters made one (NFKC), case folded, spaces joined, marks at the ends taken off."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(ENDS)


JUDGES: dict[type, Callable[[Answered, Any], Verdict]] = {
    Contains: contains,
    ContainsNot: contains_not,
    Matches: matches,
    IsJson: is_json,
    Length: length,
    Exact: exact,
}


def _folded(text: str, ignore_case: bool) -> str:
    return text.casefold() if ignore_case else text


def _shown(text: str) -> str:
    return f"“{text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}”"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
