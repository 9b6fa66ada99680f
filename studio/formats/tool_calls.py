"""Tools, their calls and their results, written as text the way Hermes and Qwen write them, so that any chat template can carry them.

Qwen 2.5 and 3 write the same from OpenAI's fields in their own templates; another family of models learns this way of writing.
"""

import json
from typing import Any

from studio.formats.format import Row, RowFault
from studio.formats.strict_json import parse

CALLS = ("function_call", "function-call", "tool_call", "tool_calls")
RESULTS = ("tool", "function", "tool_response", "function_response", "observation", "ipython")
TOOLS = (*CALLS, *RESULTS)
# Word for word from Qwen 2.5's template
ABOUT = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""


def call_text(value: Any, field: str) -> str:
    """One call, or several, in any of the usual spellings. Raises RowFault for what names no function."""
    if isinstance(value, str):
        value = _value_of(value)
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise _no_call(field)
    return "\n".join(f"<tool_call>\n{_one_call(call, field)}\n</tool_call>" for call in calls)


def _one_call(call: Any, field: str) -> str:
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        call = call["function"]
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise _no_call(field)
    arguments = call.get("arguments", call.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _value_of(arguments)
    return _json({"name": call["name"], "arguments": arguments})


def _no_call(field: str) -> RowFault:
    return RowFault(
        "tool", f"'{field}' is the call of a tool, and does not say which.",
        'Write it as {"name": "...", "arguments": {...}}, or drop the row.', field,
    )  # fmt: skip


def result_text(text: str) -> str:
    return f"<tool_response>\n{text}\n</tool_response>"


def described(value: Any) -> str | None:
    """What the system message says of a row's tools; None where it has none. Raises RowFault for what cannot be read."""
    if isinstance(value, str) and value.strip():
        value = parse(value, "tools")
    if not value:
        return None
    tools = value if isinstance(value, list) else [value]
    if not all(isinstance(tool, dict) for tool in tools):
        raise RowFault(
            "tools", "'tools' holds something else than descriptions of tools.",
            'Write it as [{"type": "function", "function": {"name": "...", ...}}], or drop the row.', "tools",
        )  # fmt: skip
    return ABOUT.format(tools="\n".join(_json(_wrapped(tool)) for tool in tools))


def _wrapped(tool: Row) -> Row:
    return tool if "function" in tool or "name" not in tool else {"type": "function", "function": tool}


def told(calls: bool) -> RowFault:
    """What to know about a row with tools, and with calls of them or without."""
    if not calls:
        return RowFault(
            "tools",
            "It describes tools; the description is written into the system message, as Qwen and Hermes do.",
            "Nothing, unless the tools should not be shown to the model.",
        )
    return RowFault(
        "tool",
        "It calls tools; the calls and their results are written as text between <tool_call> and <tool_response> marks.",
        "Nothing for Qwen and Hermes, whose way this is; another base model learns this way of writing.",
    )


def _value_of(text: str) -> Any:
    try:
        return parse(text)
    except RowFault:
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
