"""Conversations in lists of messages: roles, contents and their order, whatever names a format gives them."""

import re
from typing import Any

from studio.errors import clip
from studio.formats.format import Conversation, Document, Message, Row, RowFault
from studio.formats.strict_json import parse
from studio.formats.tool_calls import CALLS, RESULTS, call_text, described, result_text, told

ROLES = {
    "user": "user", "human": "user", "prompter": "user", "customer": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "ai": "assistant", "chatbot": "assistant", "agent": "assistant", "bing": "assistant", "bard": "assistant", "model": "assistant",
    "system": "system", "developer": "system",
}  # fmt: skip
PICTURES = ("image", "images", "image_url", "input_image", "video", "videos", "audio", "audios", "input_audio")
SPEAKERS = ("role", "from", "speaker", "author", "sender")
CONTENTS = ("content", "value", "text", "message", "utterance")
"""How a message calls who speaks and what is said."""
REASONING = ("reasoning", "thinking", "thought")
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Parts of an answer, and fields beside it, with what is thought before it."""
MARKS = ("train", "training", "weight", "loss_weight", "loss")
"""How an answer is marked to be learned or not: by axolotl, OpenAI, LLaMA-Factory and ms-swift."""
# Marks of well-known chat templates. In a text they are ordinary characters to us, and nearly always a leftover.
CONTROL = re.compile(
    r"<\|[A-Za-z_][A-Za-z0-9_]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad)>"
)
PLACEHOLDER = re.compile(r"\{\{\s*[A-Za-z_][\w .-]{0,60}\s*\}\}")
PICTURE_TAG = re.compile(r"<(img|image|audio|video)>[^<]{1,2000}</\1>")


def is_filled(text: str) -> bool:
    """Whether there is more in it than blanks: text.strip() tells the same, and copies the text to do so."""
    return bool(text) and not text.isspace()


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
        if kind in CALLS:
            return call_text(part.get("value", part.get("text", part)), field)
        if kind in REASONING and isinstance(thought := part.get("value", part.get("text")), str):
            return _thought(thought)
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


def _thought(text: str) -> str:
    """What a model thinks before it answers, as Qwen 3 and DeepSeek write it."""
    return f"<think>\n{text.strip()}\n</think>\n\n"


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


def read_messages(value: Any, field: str, system: Any = None, tools: Any = None) -> Conversation:
    """A conversation from a list of messages in any of the usual spellings; `system` stands before it, with the tools it may call."""
    found = Conversation([])
    if system is not None and text_of(system, "system").strip():
        found.messages.append({"role": "system", "content": text_of(system, "system")})
    calls = False
    for number, item in enumerate(list_in(value, field)):
        place = f"{field}[{number}]"
        if not isinstance(item, dict):
            raise RowFault(
                "type", f"'{place}' is no message.", 'Write each message as {"role": "user", "content": "..."}.', place
            )
        if pair := _pair(item):
            found.messages += [
                {"role": role, "content": text_of(content, f"{place}.{name}")} for role, name, content in pair
            ]
            continue
        message, of_a_tool = _message(item, place, found)
        before = found.messages[-1] if found.messages else {}
        if (of_a_tool or (calls and before.get("role") == "assistant")) and before.get("role") == message["role"]:
            before["content"] = (
                f"{before['content']}\n{message['content']}".strip()
            )  # several results, or words and a call
            before.update({name: message[name] for name in ("learn",) if name in message})
        else:
            found.messages.append(message)
        calls = calls or of_a_tool
    _show_tools(found, described(tools), calls)
    return found


def _show_tools(found: Conversation, about: str | None, calls: bool) -> None:
    """Put what is said of the tools into the system message, and tell how calls are written."""
    if about:
        if found.messages and found.messages[0]["role"] == "system":
            found.messages[0]["content"] = f"{found.messages[0]['content'].rstrip()}\n\n{about}".lstrip()
        else:
            found.messages.insert(0, {"role": "system", "content": about})
    if about or calls:
        found.warnings.append(told(calls))


def _pair(item: Row) -> list[tuple[str, str, Any]]:
    """A question and its answer in one object: {"human": ..., "assistant": ...}."""
    if any(name in item for name in SPEAKERS):
        return []
    said = [(ROLES[name], name, content) for name, content in item.items() if name in ROLES]
    return sorted(said, key=lambda part: ("system", "user", "assistant").index(part[0]))


def _message(item: Row, place: str, found: Conversation) -> tuple[Message, bool]:
    """(the message, whether it calls a tool or holds its result)."""
    role = next((item[name] for name in SPEAKERS if name in item), None)
    if not isinstance(role, str):
        raise RowFault(
            "role",
            f"'{place}' does not say who speaks.",
            'Give each message a "role": system, user or assistant.',
            place,
        )
    name = role.strip().lower()
    key = next((key for key in CONTENTS if key in item), "content")
    if name in CALLS:
        return {"role": "assistant", "content": call_text(item.get(key, item), f"{place}.{key}")}, True
    if name in RESULTS:
        return {"role": "user", "content": result_text(text_of(item.get(key), f"{place}.{key}"))}, True
    if name not in ROLES:
        raise RowFault(
            "role",
            f"'{place}' is said by '{clip(role, 40)}', a role that is not known.",
            "Use system, user and assistant (or human and gpt).",
            place,
        )
    if any(item.get(name) for name in PICTURES):
        raise RowFault(
            "picture",
            f"'{place}' comes with a picture, sound or film that a text model cannot take in.",
            "Drop the row.",
            place,
        )
    if ROLES[name] != "assistant":
        return {"role": ROLES[name], "content": text_of(item.get(key), f"{place}.{key}")}, False
    content, calls = _answer(item, key, place)
    message, learn = {"role": "assistant", "content": content}, _mark(item, place, found)
    return message if learn is None else {**message, "learn": learn}, calls


def _answer(item: Row, key: str, place: str) -> tuple[str, bool]:
    """(what the assistant says, with its thoughts before and its calls of tools after it, whether it calls any)."""
    called = next((item[name] for name in CALLS if item.get(name)), None)
    thought = next((item[name] for name in THOUGHTS if isinstance(item.get(name), str) and item[name].strip()), None)
    said = "" if item.get(key) is None and called else text_of(item.get(key), f"{place}.{key}")
    if thought and "<think>" not in said:
        said = _thought(thought) + said
    if called:
        said = f"{said}\n{call_text(called, place)}".lstrip("\n")
    calls = bool(called) or (isinstance(item.get(key), list) and "<tool_call>" in said)
    return said, calls


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
    if "assistant" not in [message["role"] for message in found.messages]:
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
        if not is_filled(message["content"]):
            what = "answer" if role == "assistant" else "question"
            raise RowFault("empty", f"The {what} in message {number + 1} is empty.", "Fill it in, or drop the row.")
    _look_into(found)
    return found


def _drop_blank_system(found: Conversation) -> None:
    if found.messages and found.messages[0]["role"] == "system" and not is_filled(found.messages[0]["content"]):
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
    texts = [message["content"] for message in found.messages]
    for number, text in enumerate(texts):
        if "<" in text and PICTURE_TAG.search(text):
            raise RowFault(
                "picture",
                f"Message {number + 1} refers to a picture, sound or film that a text model cannot take in.",
                "Drop the row, or describe it in words.",
            )
    note_marks(found, texts)


def note_marks(found: Conversation | Document, texts: list[str]) -> None:
    """Add a warning for marks of chat templates and for placeholders in what is learned."""
    marks: dict[str, None] = {}
    blanks: dict[str, None] = {}
    for text in texts:
        if "<" in text or "[" in text:  # nearly all texts are passed over
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
