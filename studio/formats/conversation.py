"""Conversations in lists of messages: roles, contents and their order, whatever names a format gives them."""

import re
from typing import Any

from studio.errors import clip
from studio.formats.format import Conversation, Document, Message, Row, RowFault
from studio.formats.strict_json import parse

ROLES = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant", "model": "assistant",
    "system": "system", "developer": "system",
}  # fmt: skip
TOOLS = (
    "tool",
    "function",
    "function_call",
    "function-call",
    "tool_call",
    "tool_calls",
    "tool_response",
    "observation",
    "ipython",
)
PICTURES = ("image", "images", "image_url", "input_image", "video", "videos", "audio", "audios", "input_audio")
MARKS = ("train", "training", "weight", "loss_weight", "loss")
"""How an answer is marked to be learned or not: by axolotl, OpenAI, LLaMA-Factory and ms-swift."""
# Marks of well-known chat templates. In a text they are ordinary characters to us, and nearly always a leftover.
CONTROL = re.compile(
    r"<\|[A-Za-z_][A-Za-z0-9_]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad)>"
)
PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_][\w .-]{0,60}\s*\}\}")
PICTURE_TAG = re.compile(r"<(img|image|audio|video)>[^<]{1,2000}</\1>")


def text_of(value: Any, field: str) -> str:
    """A content as one text: a string as it is, the text parts of a list one after another. Raises RowFault for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_part(part, f"{field}[{number}]") for number, part in enumerate(value))
    if value is None:
        raise RowFault(
            "empty", f"'{field}' is null, so there is no text to learn.", "Fill it in, or drop the row.", field
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    shown = {bool: "true or false", float: "a number with a fraction", dict: "an object", bytes: "binary data"}.get(
        type(value), f"a {type(value).__name__}"
    )
    raise RowFault("type", f"'{field}' holds {shown} where a text belongs.", "Write it as text.", field)


def _part(part: Any, field: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        kind = part.get("type", "text")
        if kind in ("text", "input_text", "output_text"):
            found = part.get("text", part.get("value", part.get("content")))
            if isinstance(found, str):
                return found
        if kind in PICTURES or any(name in part for name in PICTURES):
            raise RowFault(
                "picture",
                f"'{field}' holds {clip(kind, 20)}, and a text model cannot see or hear it.",
                "Drop the row, or describe it in words.",
                field,
            )
        if kind in TOOLS:
            raise tool_fault(field)
        raise RowFault(
            "type",
            f"'{field}' is a part of the type '{clip(kind, 40)}', which is no text.",
            'Keep only parts of the type "text".',
            field,
        )
    raise RowFault(
        "type",
        f"'{field}' is no text.",
        'Write content as a text, or as a list of {"type": "text", "text": ...}.',
        field,
    )


def tool_fault(field: str) -> RowFault:
    return RowFault(
        "tool", f"'{field}' calls a tool or holds its result, and not every chat template can write that down.",
        "Write the call and its result as ordinary text, or drop the row.", field,
    )  # fmt: skip


def list_in(value: Any, field: str) -> list:
    """The list of messages in a column; in a table it may be written as JSON. Raises RowFault when it is none."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = parse(value, field)
    if not isinstance(value, list):
        raise RowFault(
            "type",
            f"'{field}' is no list of messages.",
            'Write it as [{"role": "user", "content": "..."}, ...].',
            field,
        )
    return value


def read_messages(value: Any, field: str, system: Any = None) -> Conversation:
    """A conversation from a list of messages in any of the usual spellings; `system` stands before it."""
    found = Conversation([])
    if system is not None and text_of(system, "system").strip():
        found.messages.append({"role": "system", "content": text_of(system, "system")})
    for number, item in enumerate(list_in(value, field)):
        place = f"{field}[{number}]"
        if not isinstance(item, dict):
            raise RowFault(
                "type", f"'{place}' is no message.", 'Write each message as {"role": "user", "content": "..."}.', place
            )
        pair = _pair(item)
        if pair:
            found.messages += [
                {"role": role, "content": text_of(content, f"{place}.{name}")} for role, name, content in pair
            ]
        else:
            found.messages.append(_message(item, place, found))
    return found


def _pair(item: Row) -> list[tuple[str, str, Any]]:
    """A question and its answer in one object: {"human": ..., "assistant": ...}."""
    if "role" in item or "from" in item:
        return []
    said = [(ROLES[name], name, content) for name, content in item.items() if name in ROLES]
    return sorted(said, key=lambda part: ("system", "user", "assistant").index(part[0]))


def _message(item: Row, place: str, found: Conversation) -> Message:
    role = item.get("role", item.get("from"))
    if not isinstance(role, str):
        raise RowFault(
            "role",
            f"'{place}' does not say who speaks.",
            'Give each message a "role": system, user or assistant.',
            place,
        )
    name = role.strip().lower()
    if name in TOOLS or item.get("tool_calls") or item.get("function_call"):
        raise tool_fault(place)
    if name not in ROLES:
        raise RowFault(
            "role",
            f"'{place}' is said by '{clip(role, 40)}', a role that is not known.",
            "Use system, user and assistant (or human and gpt).",
            place,
        )
    key = next((key for key in ("content", "value", "text") if key in item), "content")
    if any(item.get(name) for name in PICTURES):
        raise RowFault(
            "picture",
            f"'{place}' comes with a picture, sound or film that a text model cannot take in.",
            "Drop the row.",
            place,
        )
    message = {"role": ROLES[name], "content": text_of(item.get(key), f"{place}.{key}")}
    learn = _mark(item, place, found) if ROLES[name] == "assistant" else None
    return message if learn is None else {**message, "learn": learn}


def _mark(item: Row, place: str, found: Conversation) -> bool | None:
    """Whether an answer is marked to be learned (true) or not to be (false); None where it carries no mark."""
    mark = next((item[name] for name in MARKS if item.get(name) is not None), None)
    if isinstance(mark, str):
        mark = {"true": True, "1": True, "false": False, "0": False}.get(mark.strip().lower())
    if mark is None or not isinstance(mark, bool | int | float):
        return None
    if mark not in (0, 1):
        found.warnings.append(
            RowFault(
                "weight",
                f"'{place}' has the weight {clip(mark, 20)}; an answer is learned whole or not at all.",
                "Write 1 where it should be learned, and 0 where not.",
                place,
            )
        )
    return mark > 0


def check(found: Conversation) -> Conversation:
    """The conversation in the one order that every chat template can write: [system], user, assistant, user, assistant, ...

    Raises RowFault for any other. A last question without an answer is left out, with a warning.
    """
    _drop_blank_system(found)
    if not any(message["role"] == "assistant" for message in found.messages):
        raise RowFault(
            "answer",
            "The conversation has no answer to learn." if found.messages else "The conversation is empty.",
            "Add the assistant's answer, or drop the row.",
        )
    if found.messages[-1]["role"] == "user":
        found.messages.pop()
        found.warnings.append(
            RowFault(
                "unanswered",
                "The last message is a question without an answer; it is left out.",
                "Add the answer if it should be learned.",
            )
        )
    due = "user"
    for number, message in enumerate(found.messages):
        role = message["role"]
        if role == "system" and number == 0:
            continue
        if role != due:
            raise _out_of_order(number, role, found.messages)
        due = "assistant" if due == "user" else "user"
        if not message["content"].strip():
            what = "answer" if role == "assistant" else "question"
            raise RowFault("empty", f"The {what} in message {number + 1} is empty.", "Fill it in, or drop the row.")
    _look_into(found)
    return found


def _drop_blank_system(found: Conversation) -> None:
    if found.messages and found.messages[0]["role"] == "system" and not found.messages[0]["content"].strip():
        found.messages.pop(0)


def _out_of_order(number: int, role: str, messages: list[dict[str, str]]) -> RowFault:
    if role == "system":
        return RowFault(
            "order",
            f"Message {number + 1} is a system message; only the first can be one.",
            "Move it to the front, or drop the row.",
        )
    if number == 0 or messages[number - 1]["role"] == "system":
        return RowFault(
            "order", "The conversation begins with an answer.", "Put the question before it, or drop the row."
        )
    return RowFault(
        "order",
        f"Messages {number} and {number + 1} are both said by the {role}.",
        "Join them into one, or put what was said between them.",
    )


def _look_into(found: Conversation) -> None:
    """Things in the texts that are allowed but seldom meant. Raises RowFault for a picture."""
    for number, message in enumerate(found.messages):
        if "<" in message["content"] and PICTURE_TAG.search(message["content"]):
            raise RowFault(
                "picture",
                f"Message {number + 1} refers to a picture, sound or film that a text model cannot take in.",
                "Drop the row, or describe it in words.",
            )
    note_marks(found, [message["content"] for message in found.messages])


def note_marks(found: Conversation | Document, texts: list[str]) -> None:
    """Add a warning for marks of chat templates and for placeholders in what is learned."""
    marks: dict[str, None] = {}
    blanks: dict[str, None] = {}
    for text in texts:
        if "<" in text or "[" in text:
            marks.update(dict.fromkeys(CONTROL.findall(text)))
        if "{{" in text:
            blanks.update(dict.fromkeys(PLACEHOLDER.findall(text)))
    if marks:
        found.warnings.append(
            RowFault(
                "control",
                f"The text holds {_some(marks)}, a mark of chat templates; it is learned as ordinary text.",
                "Take it out unless it is meant.",
            )
        )
    if blanks:
        found.warnings.append(
            RowFault(
                "placeholder",
                f"The text holds the placeholder {_some(blanks)}, and the model would learn to say it.",
                "Replace it with what it stands for.",
            )
        )


def _some(found: dict[str, None]) -> str:
    names = [clip(name, 40) for name in found]
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
