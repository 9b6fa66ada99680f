"""Inputs made from the declarations of settings: one per field, with its title, help and limits. There is no second list of settings."""

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import gradio as gr
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from studio.errors import Invalid, clip

SWITCH = {"auto": "auto", "on": True, "off": False}


@dataclass(frozen=True)
class Setting:
    """One field of a settings class, as a form sees it."""

    name: str
    info: FieldInfo
    kinds: tuple[Any, ...]
    """The types it may have: int, float, bool, str, list, dict, None."""
    words: tuple[str, ...]
    """The words it may have, such as "auto" or "cosine"."""

    @property
    def title(self) -> str:
        return self.info.title or self.name.replace("_", " ").capitalize()

    @property
    def default(self) -> Any:
        return self.info.get_default(call_default_factory=True)

    @property
    def advanced(self) -> bool:
        return bool((self.info.json_schema_extra or {}).get("advanced"))

    @property
    def slider(self) -> tuple[float, float] | None:
        """The range that a slider offers, where the declaration names one."""
        return (self.info.json_schema_extra or {}).get("slider")

    @property
    def empty(self) -> Any:
        """What an input that is left empty means: "auto", or None."""
        return "auto" if "auto" in self.words else None

    @property
    def numeric(self) -> bool:
        return int in self.kinds or float in self.kinds

    @property
    def may_be_empty(self) -> bool:
        return "auto" in self.words or None in self.kinds

    @property
    def kind(self) -> str:
        """Which sort of input it needs."""
        if list in self.kinds:
            return "several" if self.words else "lines"
        if dict in self.kinds:
            return "pairs"
        if bool in self.kinds:
            return "switch" if self.words else "tick"
        if self.numeric:
            return "open number" if self.may_be_empty else "number"
        return "text" if str in self.kinds else "choice"


def settings_of(declared: type[BaseModel]) -> dict[str, Setting]:
    """Every field in which there is something to choose, in the order of the class."""
    found = {}
    for name, info in declared.model_fields.items():
        kinds, words = _leaves(info.annotation)
        if kinds or len(words) > 1:
            found[name] = Setting(name, info, kinds, words)
    return found


def _leaves(annotation: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """(types, words) of an annotation, whatever unions and limits are around them."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _leaves(inner[0])
    if origin is Literal:
        return (), inner
    if origin in (Union, types.UnionType):
        parts = [_leaves(one) for one in inner]
        return tuple(kind for kinds, _ in parts for kind in kinds), tuple(word for _, words in parts for word in words)
    if annotation is type(None):
        return (None,), ()
    return (origin or annotation,), ()


def inputs_for(declared: type[BaseModel]) -> dict[str, gr.components.Component]:
    """An input for each setting, by the field's name."""
    return {name: input_for(setting) for name, setting in settings_of(declared).items()}


def input_for(setting: Setting) -> gr.components.Component:
    shown: dict[str, Any] = {"label": setting.title, "info": setting.info.description, "interactive": True}
    value = to_input(setting, setting.default)
    match setting.kind:
        case "several":
            return gr.CheckboxGroup([], value=[], show_select_all=False, **shown)
        case "switch":
            return gr.Radio(list(SWITCH), value=value, elem_classes=["ls-inline"], **shown)
        case "choice":
            return gr.Dropdown(list(setting.words), value=value, **shown)
        case "tick":
            return gr.Checkbox(value, **shown)
        case "number" if setting.slider:
            return gr.Slider(*setting.slider, value=value, step=1, **shown)
        case "number":
            return gr.Number(value, precision=0 if float not in setting.kinds else None, **shown)
        case "lines":
            return gr.Textbox(value, lines=3, max_lines=10, placeholder="one per line", **shown)
        case "pairs":
            return gr.Textbox(value, lines=2, max_lines=10, placeholder="q_proj = 8", **shown)
    return gr.Textbox(value, max_lines=1, placeholder=setting.empty or "none", **shown)


def to_input(setting: Setting, value: Any, choices: list[str] | None = None) -> Any:
    """A plan's value as its input shows it. `choices` are those of a group: a single word such as "all-linear" means all of them."""
    if setting.kind == "several":
        return list(choices or []) if isinstance(value, str) else [one for one in value if one in (choices or [])]
    if setting.kind == "switch":
        return next(word for word, meaning in SWITCH.items() if meaning == value and type(meaning) is type(value))
    if setting.kind == "lines":
        return "\n".join(value)
    if setting.kind == "pairs":
        return "\n".join(f"{name} = {_number_text(number)}" for name, number in value.items())
    if setting.kind in ("open number", "text"):
        return "" if value in ("auto", None) else _number_text(value)
    return value


def from_input(setting: Setting, value: Any, choices: list[str] | None = None, part: str = "") -> Any:
    """An input's value as the plan wants it. Raises Invalid when it is no number where one is needed."""
    if setting.kind == "several":
        chosen = list(value or [])
        return setting.words[0] if chosen and set(chosen) == set(choices or []) else chosen
    if setting.kind == "switch":
        return SWITCH.get(value, value)
    if setting.kind == "lines":
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]
    if setting.kind == "pairs":
        return _pairs(setting, str(value or ""), part)
    if setting.numeric:
        return _number(setting, value, part)
    if setting.kind == "text":
        words = str(value or "").strip()
        return words or setting.default
    return value


def _number(setting: Setting, value: Any, part: str) -> int | float | str | None:
    words = str("" if value is None else value).strip()
    if setting.may_be_empty and words.lower() in ("", "auto", "none"):
        return setting.empty
    try:
        number = float(words)
    except ValueError:
        left_out = f" or empty for {setting.empty or 'none'}" if setting.may_be_empty else ""
        field = f"{part}.{setting.name}" if part else setting.name
        raise Invalid(f"{setting.title} cannot be '{clip(words, 40)}'.", f"Give a number{left_out}.", field) from None
    return int(number) if number.is_integer() and int in setting.kinds else number


def _pairs(setting: Setting, text: str, part: str) -> dict[str, int | float]:
    """Lines such as "q_proj = 8" by their names. Raises Invalid at the first one that is none."""
    found: dict[str, int | float] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, number = (piece.strip() for piece in line.partition("="))
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not (name and equals) or name in found:
            why = "stands there twice" if name in found else "is no name and number"
            field = f"{part}.{setting.name}" if part else setting.name
            raise Invalid(f"{setting.title}: '{clip(line, 60)}' {why}.", "Write lines such as q_proj = 8.", field)
        found[name] = int(value) if value.is_integer() else value
    return found


def _number_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
