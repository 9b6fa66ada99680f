"""The form of one prompt: its inputs, and the way from a prompt to them and back."""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import Invalid
from studio.suite_checks.kinds import Contains, ContainsNot, Exact, IsJson, Length, Matches
from studio.suites.prompts import SuitePrompt

UNITS = ["words", "characters", "tokens"]
JSON_CHOICES = {"": "Any text", "json": "Valid JSON", "schema": "JSON by this schema"}


@dataclass
class PromptForm:
    """The inputs, from top to bottom; `place` says which prompt is edited, -1 a new one."""

    place: gr.Number
    question: gr.Textbox
    system: gr.Textbox
    expected: gr.Textbox
    exact: gr.Checkbox
    contains: gr.Textbox
    contains_not: gr.Textbox
    case: gr.Checkbox
    matches: gr.Textbox
    form: gr.Dropdown
    schema: gr.Textbox
    unit: gr.Dropdown
    least: gr.Number
    most: gr.Number
    topic: gr.Textbox

    @property
    def inputs(self) -> list:
        return list(vars(self).values())


def form() -> PromptForm:
    """Drawn in the column that is open."""
    text = {"interactive": True}
    place = gr.Number(-1, visible=False)
    question = gr.Textbox(label="Question", lines=2, max_lines=10, **text)
    with gr.Row():
        expected = gr.Textbox(
            label="Expected answer", lines=1, max_lines=6, info="What a right answer says. Empty: none.", **text
        )
        exact = gr.Checkbox(
            True,
            label="Must be exactly this",
            info="Case, spaces and marks at the ends are looked over.",
            interactive=True,
        )
    with gr.Accordion("Checks, system prompt and topic", open=False):
        with gr.Row():
            contains = gr.Textbox(label="Contains", lines=2, info="One text per line; all of them.", **text)
            contains_not = gr.Textbox(
                label="Does not contain", lines=2, info="One text per line; none of them.", **text
            )
        with gr.Row():
            matches = gr.Textbox(label="Matches", max_lines=1, info="A regular expression found in the answer.", **text)
            case = gr.Checkbox(False, label="Case matters", info="A and a are different.", interactive=True)
        with gr.Row():
            shape = gr.Dropdown(
                [(words, name) for name, words in JSON_CHOICES.items()], value="", label="Form", interactive=True
            )
            schema = gr.Textbox(
                label="JSON Schema",
                lines=2,
                max_lines=12,
                placeholder='{"type": "object", "required": ["name"]}',
                **text,
            )
        with gr.Row():
            unit = gr.Dropdown(UNITS, value="words", label="Length in", interactive=True)
            least = gr.Number(None, label="At least", precision=0, minimum=0, interactive=True)
            most = gr.Number(None, label="At most", precision=0, minimum=0, interactive=True)
        system = gr.Textbox(label="System prompt", lines=1, max_lines=6, **text)
        topic = gr.Textbox(
            label="Topic", max_lines=1, max_length=64, info="Prompts of one topic are counted together.", **text
        )
    return PromptForm(
        place,
        question,
        system,
        expected,
        exact,
        contains,
        contains_not,
        case,
        matches,
        shape,
        schema,
        unit,
        least,
        most,
        topic,
    )


def filled(prompt: SuitePrompt | None, place: int) -> list[Any]:
    """The inputs' values for a prompt, or for a new one."""
    if prompt is None:
        return [-1, "", "", "", True, "", "", False, "", "", "", "words", None, None, ""]
    first = prompt.messages[0]
    by_kind: dict[type, list[Any]] = {}
    for check in prompt.checks:
        by_kind.setdefault(type(check), []).append(check)
    length = (by_kind.get(Length) or [Length(least=0)])[0]
    shape = by_kind.get(IsJson, [None])[0]
    sensitive = any(not check.ignore_case for check in prompt.checks if isinstance(check, Contains | ContainsNot))
    return [
        place, prompt.question, first.content if first.role == "system" else "", prompt.expected or "",
        Exact in by_kind or (prompt.exact and not prompt.checks),
        *("\n".join(check.text for check in by_kind.get(kind, ())) for kind in (Contains, ContainsNot)), sensitive,
        (by_kind[Matches][0].pattern if Matches in by_kind else ""), "" if shape is None else "schema" if shape.wanted else "json",
        json.dumps(shape.wanted, ensure_ascii=False, indent=1) if shape and shape.wanted else "",
        length.unit, length.least if Length in by_kind else None, length.most, prompt.topic,
    ]  # fmt: skip


def loses(prompt: SuitePrompt) -> bool:
    """Whether saving the form would lose something of this prompt that the form cannot show."""
    return read(prompt, *filled(prompt, 0)[1:]) != prompt


def read(
    before: SuitePrompt | None, question: str, system: str, expected: str, exact: bool, contains: str, contains_not: str,
    case: bool, matches: str, shape: str, schema: str, unit: str, least: float | None, most: float | None, topic: str,
) -> SuitePrompt:  # fmt: skip
    """The prompt that the inputs say; earlier turns and the id of the one before are kept. Raises Invalid, as a prompt does."""
    from studio.suites.prompts import read_prompts

    checks: list[Any] = [_texts("contains", contains, case), _texts("not_contains", contains_not, case)]
    checks = [check for several in checks for check in several]
    checks += [{"kind": "matches", "pattern": matches}] if (matches or "").strip() else []
    checks += [{"kind": "json", **({"schema": _schema(schema)} if shape == "schema" else {})}] if shape else []
    if least is not None or most is not None:
        checks.append({"kind": "length", "unit": unit, "least": _whole(least), "most": _whole(most)})
    told = (expected or "").strip() != ""
    checks += [{"kind": "exact"}] if told and exact and checks else []
    turns = [message.model_dump() for message in before.messages if message.role != "system"][:-1] if before else []
    instructions = [{"role": "system", "content": system}] if (system or "").strip() else []
    messages = [*instructions, *turns, {"role": "user", "content": question or ""}]
    values = {
        "messages": messages,
        "checks": checks,
        "topic": topic or "",
        "exact": bool(exact) or bool(checks) or not told,
        "id": before.id if before else "",
    }
    [prompt] = read_prompts([{**values, **({"expected": expected} if told else {})}])
    return prompt if before else prompt.model_copy(update={"id": ""})


def _texts(kind: str, lines: str, case: bool) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "text": line, "ignore_case": not case} for line in (lines or "").splitlines() if line.strip()
    ]


def _schema(text: str) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        raise Invalid("The JSON Schema is no JSON.", 'Write one such as {"type": "object"}.', "schema") from None


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
