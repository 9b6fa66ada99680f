"""Chat templates: messages → text, with Jinja's sandbox, as transformers renders them, within limits of time and size."""

import json
import threading
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from studio.errors import BadInput, clip

MOST_ROUNDS = 100_000  # loop rounds and macro calls of one rendering; real templates need a few for each message
MOST_CHARACTERS = 16_000_000  # of one rendered conversation; rows are at most 1 MB

Message = dict[str, Any]

# Offered to models that have no template. The end token is written into it when it is chosen (see `offered`).
TEMPLATES: dict[str, str] = {
    "plain": (
        "{{ bos_token or '' }}\n"
        "{%- for message in messages %}\n"
        "{%- if message.role == 'system' %}{{ message.content | trim + '\\n\\n' }}\n"
        "{%- elif message.role == 'assistant' %}{{ 'Answer: ' + message.content | trim + eos_token + '\\n\\n' }}\n"
        "{%- elif message.role == 'tool' %}{{ 'Result: ' + message.content | trim + '\\n' }}\n"
        "{%- else %}{{ 'Question: ' + message.content | trim + '\\n' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{ 'Answer:' }}{%- endif %}\n"
    )
}


def offered(name: str, end_token: str) -> str:
    """An offered template whose answers end with `end_token`, which need not be the tokenizer's own eos token."""
    return TEMPLATES[name].replace("eos_token", json.dumps(end_token))


class TemplateLimit(jinja2.TemplateError):
    """The template runs too long or writes too much."""


class UnusableTemplate(BadInput):
    """Whatever the conversation, this template cannot be rendered within the limits."""


class _Rendering(threading.local):
    """What one rendering has used so far, in the thread that renders."""

    rounds = 0
    marks: tuple[str, str] | None = None


class _Counted(NodeTransformer):
    """Counts every round of a loop and every macro call, so that no template can run for ever."""

    def _count(self, node):
        tick = nodes.ExprStmt(nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None), lineno=node.lineno)
        node.body.insert(0, tick)
        return self.generic_visit(node)

    visit_For = visit_Macro = visit_CallBlock = _count


class _AnswerMarks(Extension):
    """`{% generation %} ... {% endgeneration %}`, with which some templates mark what the model has to write."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller) -> str:
        marks = self.environment.rendering.marks
        return f"{marks[0]}{caller()}{marks[1]}" if marks else caller()


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def __init__(self):
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_AnswerMarks, loopcontrols])
        self.rendering = _Rendering()
        self.filters["tojson"] = _tojson
        self.globals.update(raise_exception=_raise, dict=_Dict(), namespace=_Namespace)

    def _parse(self, source, name, filename):
        return _Counted().visit(super()._parse(source, name, filename))

    def tick(self) -> None:
        self.rendering.rounds += 1
        if self.rendering.rounds > MOST_ROUNDS:
            raise TemplateLimit(f"it does not end within {MOST_ROUNDS:,} rounds of its loops")

    def call_binop(self, context, operator, left, right):
        size = max(len(side) if isinstance(side, str | list | tuple) else 0 for side in (left, right))
        times = max(abs(side) if isinstance(side, int | float) else 0 for side in (left, right))
        if size * times > MOST_CHARACTERS or (operator == "**" and times > 1000):
            raise TemplateLimit("it computes something far too large")
        return super().call_binop(context, operator, left, right)


class _Dict:
    """`dict(...)` for templates, without the type's own attributes."""

    def __call__(self, *args, **kwargs) -> dict:
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs) -> dict:
        return dict.fromkeys(*args, **kwargs)


class _Namespace(jinja2.utils.Namespace):
    """`namespace(...)` for templates, without names that begin with an underscore."""

    def __init__(*args, **kwargs):  # no `self`, so that a template may call a value "self"
        self, given = args[0], dict(*args[1:], **kwargs)
        for name in given:
            _Namespace._check(name)
        jinja2.utils.Namespace.__init__(self, given)

    def __setitem__(self, name, value):
        _Namespace._check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"it stores the name {name!r}")


def _raise(message):
    raise jinja2.exceptions.TemplateError(message)


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    # Jinja's own filter escapes HTML; models are trained on plain JSON
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


_environment = _Environment()


@lru_cache(maxsize=64)
def _compiled(source: str) -> jinja2.Template:
    try:
        return _environment.from_string(source)
    except (jinja2.TemplateError, RecursionError, ValueError, SyntaxError) as error:
        raise BadInput(
            f"The chat template cannot be read: {clip(error, 200)}.", "Correct chat_template.jinja beside the model."
        ) from None


class ChatTemplate:
    """One model's template with its special tokens. Rendering raises BadInput with the template's own words."""

    def __init__(self, source: str, variables: dict[str, str]):
        self.source = source
        self.variables = variables
        self.compiled = _compiled(source)
        self.started = datetime.now()  # a template that writes today's date writes the same one for all rows
        tree = _environment.parse(source)
        constants = {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
        self.literals = "\0".join(constants | {node.data for node in tree.find_all(nodes.TemplateData)})
        self.marks_answers = any(
            node.identifier.endswith("_AnswerMarks") for node in tree.find_all(nodes.ExtensionAttribute)
        )
        self.merges_system = self._refuses_system()

    def render(
        self, messages: list[Message], add_generation_prompt: bool = False, marks: tuple[str, str] | None = None
    ) -> str:
        """The conversation as text. `marks` surround what the template itself marks as the model's answers."""
        if self.merges_system:
            messages = system_in_first_user_turn(messages)
        return self._render(messages, add_generation_prompt, marks)

    def _render(
        self, messages: list[Message], add_generation_prompt: bool = False, marks: tuple[str, str] | None = None
    ) -> str:
        state = _environment.rendering
        state.rounds, state.marks = 0, marks
        values = {
            **self.variables,
            "messages": [dict(message) for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            "strftime_now": self.started.strftime,
        }
        written, parts = 0, []
        try:
            for part in self.compiled.generate(values):
                written += len(part)
                if written > MOST_CHARACTERS:
                    raise TemplateLimit(f"it writes more than {MOST_CHARACTERS:,} characters")
                parts.append(part)
        except TemplateLimit as error:
            raise UnusableTemplate(
                f"The chat template cannot be used: {error}.",
                "Correct chat_template.jinja beside the model, or choose another base model.",
            ) from None
        except MemoryError:
            raise UnusableTemplate(
                "The chat template cannot be used: it takes more memory than there is.",
                "Correct chat_template.jinja beside the model, or choose another base model.",
            ) from None
        except Exception as error:  # somebody else's code: whatever it raises is about this conversation
            said = str(error).rstrip(". ") or type(error).__name__
            raise BadInput(
                f"The chat template refuses this conversation: {clip(said, 200)}.",
                "Change the order or the roles of its turns, or choose another base model.",
            ) from None
        finally:
            state.marks = None
        return "".join(parts)

    def _refuses_system(self) -> bool:
        """Some templates (Gemma 2, early Mistral) raise for a system message; the field then puts it before the first question."""
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        return self.accepts(turns) and not self.accepts([{"role": "system", "content": "c"}, *turns])

    def accepts(self, messages: list[Message]) -> bool:
        """Whether the template writes this conversation at all. Raises UnusableTemplate when it writes none."""
        try:
            self._render(messages)
        except UnusableTemplate:
            raise
        except BadInput:
            return False
        return True


def system_in_first_user_turn(messages: list[Message]) -> list[Message]:
    """The same conversation with the leading system message put before the first question."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    first = {**messages[1], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]
