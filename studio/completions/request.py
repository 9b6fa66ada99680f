"""What OpenAI's clients send: the parts that decide an answer here; what would change it and cannot is refused, the rest passed over."""

import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from studio.compare_request import CompareRequest, read_request
from studio.errors import Invalid, clip

LONGEST = CompareRequest.model_fields["max_new_tokens"].metadata[1].le  # tokens of an answer
USUAL = 1024  # where nothing is asked: a base model may never end by itself
MOST_STOPS = 4
SEEDS = 2**31

# Settings that change an answer, with the values that change nothing: others are refused rather than passed over in silence.
WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "tools": (None, []),
    "functions": (None, []),
    "tool_choice": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "web_search_options": (None,),
}


class Lenient(BaseModel):
    """OpenAI's servers pass over what they do not know, and clients rely on it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class TextPart(Lenient):
    type: Literal["text"]
    text: str


class Message(Lenient):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @field_validator("content", mode="before")
    @classmethod
    def only_texts(cls, content: Any) -> Any:
        kinds = [part.get("type") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        if other := next((kind for kind in kinds if kind != "text"), None):
            raise ValueError(f"only texts can be read here, and one of its parts is of the type '{clip(other)}'")
        return content

    def plain(self) -> dict[str, str]:
        role = "system" if self.role == "developer" else self.role
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": role, "content": text}


class StreamOptions(Lenient):
    include_usage: bool | None = None


Stop = Annotated[str, Field(min_length=1, max_length=500)]
Number = Annotated[int, Field(ge=1)]


class CompletionRequest(Lenient):
    model: str = Field(min_length=1, max_length=200, description="Id or name of an adapter, or of a base model.")
    messages: list[Message] = Field(min_length=1, description="The conversation; its last message is the question.")
    max_completion_tokens: Number | None = Field(None, description=f"Longest answer; left out, {USUAL} tokens.")
    max_tokens: Number | None = Field(None, description="The older name of max_completion_tokens.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="Left out: 1.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="Left out: 1.")
    seed: int | None = Field(None, description="The same seed draws the same answer. Left out: another one each time.")
    stop: Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)] | None = Field(
        None, description="Texts at which the answer ends, without them."
    )
    stream: bool | None = Field(None, description="The answer as server-sent events while it is written.")
    stream_options: StreamOptions | None = None
    n: Any = None
    tools: Any = None
    functions: Any = None
    tool_choice: Any = None
    response_format: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None

    @field_validator(*WITHOUT_EFFECT)
    @classmethod
    def changes_nothing(cls, value: Any, about: ValidationInfo) -> Any:
        if value not in WITHOUT_EFFECT[about.field_name]:
            raise ValueError("this studio's answers know nothing of it, so it must be left out")
        return value

    @field_validator("temperature", "top_p", mode="before")
    @classmethod
    def no_truth_values(cls, value: Any) -> Any:
        return CompareRequest.no_truth_values(value)

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    def question(self, base_model: str, adapter: str | None) -> CompareRequest:
        """As Compare asks it. Raises Invalid, its field named as it was sent."""
        asked = {
            "base_model": base_model,
            "columns": [{"adapter": adapter}],
            "messages": [message.plain() for message in self.messages],
            "max_new_tokens": min(self.max_completion_tokens or self.max_tokens or USUAL, LONGEST),
            "temperature": 1.0 if self.temperature is None else self.temperature,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "seed": secrets.randbelow(SEEDS) if self.seed is None else self.seed % SEEDS,
        }
        try:
            return read_request(asked)
        except Invalid as error:
            error.field = "model" if (error.field or "").startswith(("columns", "base_model")) else error.field
            raise
