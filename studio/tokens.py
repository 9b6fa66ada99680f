"""Messages → token ids and which of them are trained: the one tokenisation behind preview, counts, trainer and chat."""

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from studio.answer_spans import Answers, AnswerSpans, Span, learned_answers
from studio.chat_template import TEMPLATES, ChatTemplate, Message
from studio.errors import BadInput, clip

__all__ = ["TEMPLATES", "Answers", "ChatTokenizer", "Encoded", "Piece", "pieces"]

# Two of these are put around control tokens that somebody wrote into a message, to tell them from the template's own.
QUOTES = [chr(code) for code in range(0x10FFF0, 0x10FFFE)]  # private-use characters
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
    "config.json",
)  # all that decides how a conversation becomes tokens
_FAR = 2**62  # behind the end of any text
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class Encoded:
    """One conversation as the model sees it. A token is trained when it belongs to an answer or ends one."""

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    """Tokens beyond the maximum length, which are left out."""
    spans: list[Span] | None = None
    """For each token the characters of `text` that it stands for; tokens that share one character share its place."""
    text: str = ""

    @property
    def trained_tokens(self) -> int:
        return sum(self.trained)


@dataclass(frozen=True)
class Piece:
    """A run of neighbouring tokens that are shown alike."""

    text: str
    trained: bool
    special: bool
    tokens: int


class ChatTokenizer:
    """The tokenizer and chat template of one prepared model folder (or of an adapter's folder)."""

    def __init__(
        self, tokenizer: Tokenizer, config: dict[str, Any], template: str | None = None, ends: list[int] | None = None
    ):
        """`config` is tokenizer_config.json; `ends` are further ids at which generation stops (generation_config.json)."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.post_processor = (
            None  # it adds tokens that the template writes, and cuts spaces off the spans of others
        )
        self.tokenizer = tokenizer
        self.vocabulary: int = tokenizer.get_vocab_size(with_added_tokens=True)
        self.added = {token.content: (id, token.special) for id, token in tokenizer.get_added_tokens_decoder().items()}
        named = {
            name: _content(config.get(name))
            for name in (*NAMED_TOKENS, *config.get("model_specific_special_tokens", {}))
        }
        self.named = {name: text for name, text in named.items() if text is not None}
        self.bos_id, self.eos_id, self.pad_id = (
            self._id(self.named.get(name)) for name in ("bos_token", "eos_token", "pad_token")
        )
        self.template = template
        self.chat = ChatTemplate(template, self.named) if template is not None else None
        self.ends = ends or []
        self.end_of_turn = self._end_of_turn() if self.chat else None
        known = (self.end_of_turn, self.eos_id, *self.ends)
        self.stop_ids: list[int] = [
            id for id in dict.fromkeys(known) if id is not None and tokenizer.id_to_token(id) is not None
        ]

    @classmethod
    def load(cls, folder: Path) -> "ChatTokenizer":
        """Raises BadInput when there is no tokenizer.json or it cannot be read."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise BadInput(
                "There is no tokenizer.json, so text cannot be turned into tokens.",
                "Put the model's tokenizer files beside its weights.",
            )
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BadInput(
                f"tokenizer.json cannot be read: {clip(error, 200)}.", "Fetch it again from where the model came from."
            ) from None
        config = _json(folder / "tokenizer_config.json")
        generation, model = _json(folder / "generation_config.json"), _json(folder / "config.json")
        for name in ("bos_token", "eos_token", "pad_token"):
            ids = _ids(generation.get(f"{name}_id")) or _ids(model.get(f"{name}_id"))
            if _content(config.get(name)) is None and ids and (text := tokenizer.id_to_token(ids[0])) is not None:
                config[name] = text
        return cls(tokenizer, config, read_template(folder, config), _ids(generation.get("eos_token_id")))

    @property
    def has_template(self) -> bool:
        return self.chat is not None

    @property
    def preferred_end(self) -> str | None:
        """The token that an offered template should end answers with: the first at which generation stops."""
        return self.tokenizer.id_to_token(self.ends[0]) if self.ends else self.named.get("eos_token")

    def render(self, messages: list[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises BadInput without a template, or when the template refuses it."""
        return self._template.render(messages, add_generation_prompt)

    def encode(
        self, messages: list[Message], max_length: int | None = None, answers: Answers = "all", after: int = 0
    ) -> Encoded:
        """The conversation as ids with its mask. Raises BadInput when it cannot be said where an answer stands.

        `answers` says which answers are trained; those among the first `after` messages never are.
        """
        wanted = learned_answers(messages, answers, after)
        guarded, quotes = self._guard(
            [{"role": message["role"], "content": message["content"]} for message in messages]
        )
        marked = self._template.render(guarded)
        found = AnswerSpans(self._template, self.closers).find(guarded, marked, wanted)
        text, quoted, learned = _without_quotes(marked, found, quotes)
        ids, spans = self._ids_of(text, quoted)
        trained = _overlapping(spans, learned)
        cut = max(0, len(ids) - max_length) if max_length is not None else 0
        kept = len(ids) - cut
        return Encoded(ids[:kept], trained[:kept], cut, spans[:kept], text)

    def encode_text(self, text: str) -> Encoded:
        """A document as ids, all of them trained: from its start token, where the tokenizer has one, to its end token.

        Control tokens in the text are text here too: what a document quotes does not end it. Needs no template.
        """
        quoted = [found.span() for found in self._control_in_answers.finditer(text)]
        ids, spans = self._ids_of(text, quoted)
        first, last = ([] if id is None else [id] for id in (self.bos_id, self.eos_id))
        before, after = ("".join(map(self.piece, each)) for each in (first, last))
        begins, ends = len(before), len(before) + len(text)
        spans = [
            *((0, begins) for _ in first),
            *((begins + start, begins + end) for start, end in spans),
            *((ends, ends + len(after)) for _ in last),
        ]
        ids = [*first, *ids, *last]
        return Encoded(ids, [True] * len(ids), spans=spans, text=before + text + after)

    def prompt(self, messages: list[Message]) -> list[int]:
        """The conversation as ids, up to where the model's answer begins."""
        guarded, quotes = self._guard(messages)
        text, quoted, _ = _without_quotes(self._template.render(guarded, add_generation_prompt=True), [], quotes)
        return self._ids_of(text, quoted)[0]

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def piece(self, id: int) -> str:
        """The text of one token, special ones as they are written."""
        text = self.tokenizer.id_to_token(id)
        if text is None or text in self.added:
            return text or ""
        return self.tokenizer.decode([id], skip_special_tokens=False)

    def is_special(self, id: int) -> bool:
        return id in self._special_ids

    @cached_property
    def closers(self) -> list[str]:
        """Texts of the tokens that end an answer."""
        return [self.tokenizer.id_to_token(id) for id in self.stop_ids]

    @cached_property
    def _special_ids(self) -> set[int]:
        return {id for id, special in self.added.values() if special} | set(self.stop_ids)

    @property
    def _template(self) -> ChatTemplate:
        if self.chat is None:
            raise BadInput(
                "This model has no chat template, so it is not known how its conversations are written.",
                "Choose a template for it on the Models page.",
            )
        return self.chat

    def _id(self, text: str | None) -> int | None:
        return None if text is None else self.tokenizer.token_to_id(text)

    def _end_of_turn(self) -> int | None:
        """The token that the template itself writes after an answer; it need not be the eos token (Llama 3)."""
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": f"b{QUOTES[0]}"}]
        for conversation in (turns, turns * 2):  # a few templates refuse a short conversation
            try:
                after = self.chat.render(conversation).rpartition(QUOTES[0])[2].lstrip()
            except BadInput:
                continue
            written = max((text for text in self.added if after.startswith(text)), key=len, default=None)
            return None if written is None else self.added[written][0]
        return None

    # Control tokens inside a message are text: whoever writes "<|im_end|>" must not end the turn.

    def _guard(self, messages: list[Message]) -> tuple[list[Message], tuple[str, str] | None]:
        """The messages with quotes around their control tokens, and those quotes (None when there was nothing to quote)."""
        if not any(self._control_in(message).search(message["content"]) for message in messages):
            return messages, None
        free = [quote for quote in QUOTES if not any(quote in message["content"] for message in messages)]
        if len(free) < 2:
            raise BadInput(
                "This conversation holds the private-use characters U+10FFF0 to U+10FFFD beside control tokens.",
                "Take them out.",
            )
        opening, closing = free[:2]

        def quoted(message: Message) -> str:
            return self._control_in(message).sub(lambda found: f"{opening}{found[0]}{closing}", message["content"])

        return [{**message, "content": quoted(message)} for message in messages], (opening, closing)

    def _control_in(self, message: Message) -> re.Pattern:
        return self._control_in_answers if message["role"] == "assistant" else self._control_in_questions

    @cached_property
    def _control_in_questions(self) -> re.Pattern:
        written = self._template.literals
        return _alternatives(
            text
            for text, (id, special) in self.added.items()
            if special or id in self.stop_ids or (text in written and not text.isspace())
        )

    @cached_property
    def _control_in_answers(self) -> re.Pattern:
        """An answer may call a tool or think: tokens such as <think> that are not special stay tokens there."""
        return _alternatives(text for text, (id, special) in self.added.items() if special or id in self.stop_ids)

    def _ids_of(self, text: str, quoted: list[Span]) -> tuple[list[int], list[Span]]:
        """Ids and character spans of a rendered text, in which the quoted stretches are text even where they look like tokens."""
        if not quoted:
            encoding = self.tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, encoding.offsets
        ids: list[int] = []
        spans: list[Span] = []
        done = 0
        for start, end in [*quoted, (len(text), len(text))]:
            for part_ids, part_spans in (self._part(text, done, start), self._plain(text, start, end)):
                ids += part_ids
                spans += part_spans
            done = end
        return ids, spans

    def _part(self, text: str, start: int, end: int) -> tuple[list[int], list[Span]]:
        if start == end:
            return [], []
        if start == 0:
            encoding = self.tokenizer.encode(text[:end], add_special_tokens=False)
            return encoding.ids, encoding.offsets
        # Encoded after a newline, so that no tokenizer puts its start-of-text space before a part from the middle
        newline = self.tokenizer.encode("\n", add_special_tokens=False).ids
        encoding, skip = self.tokenizer.encode("\n" + text[start:end], add_special_tokens=False), len(newline)
        if encoding.ids[:skip] != newline:
            encoding, skip = self.tokenizer.encode(text[start:end], add_special_tokens=False), 0
        shift = start - (1 if skip else 0)
        return encoding.ids[skip:], [(first + shift, last + shift) for first, last in encoding.offsets[skip:]]

    def _plain(self, text: str, start: int, end: int) -> tuple[list[int], list[Span]]:
        """A control token's text as ordinary tokens."""
        quote = text[start:end]
        if not quote:
            return [], []
        newline, ids = self._plain_ids("\n"), self._plain_ids("\n" + quote)
        ids = ids[len(newline) :] if ids[: len(newline)] == newline else self._plain_ids(quote)
        if self.tokenizer.token_to_id(quote) in ids:  # some tokenizers take the whole word for the token
            ids = [id for letter in quote for id in self._plain_ids(letter)]
        return ids, [(start, end)] * len(ids)

    def _plain_ids(self, text: str) -> list[int]:
        tokenizer = self.tokenizer
        if tokenizer.normalizer is not None:
            text = tokenizer.normalizer.normalize_str(text)
        words = (
            [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
            if tokenizer.pre_tokenizer is not None
            else [text]
        )
        return [token.id for word in words for token in tokenizer.model.tokenize(word)]


def pieces(tokenizer: ChatTokenizer, encoded: Encoded) -> list[Piece]:
    """The encoded text in runs of equal colour. Their texts join to all of the text that was kept."""
    found: list[Piece] = []
    done = 0
    for id, trained, (_, end) in zip(encoded.ids, encoded.trained, encoded.spans, strict=True):
        text, done = encoded.text[done:end], max(done, end)
        special = tokenizer.is_special(id)
        last = found[-1] if found else None
        if last and not special and (last.trained, last.special) == (trained, special):
            found[-1] = Piece(last.text + text, trained, special, last.tokens + 1)
        else:
            found.append(Piece(text, trained, special, 1))
    return found


def read_template(folder: Path, config: dict[str, Any]) -> str | None:
    """chat_template.jinja, else the one in tokenizer_config.json (the "default" of several)."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _without_quotes(
    marked: str, answers: list[Span], quotes: tuple[str, str] | None
) -> tuple[str, list[Span], list[Span]]:
    """The text without the quotes around control tokens: text, quoted spans, answer spans."""
    if quotes is None:
        return marked, [], answers
    opening, closing = quotes
    places = [found.start() for found in re.finditer(f"[{opening}{closing}]", marked)]

    def moved(place: int) -> int:
        return place - bisect_left(places, place)

    found = re.finditer(f"{opening}[^{opening}{closing}]+{closing}", marked)  # a template may have cut a pair apart
    quoted = [(moved(quote.start()), moved(quote.end())) for quote in found]
    text = marked.replace(opening, "").replace(closing, "")
    return text, quoted, [(moved(start), moved(end)) for start, end in answers]


def _overlapping(spans: list[Span], answers: list[Span]) -> list[bool]:
    """For each token whether it stands for any character of an answer. Both lists are in the order of the text."""
    if not spans or not answers:
        return [False] * len(spans)
    starts, ends = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans)).reshape(-1, 2).T
    begins, closes = np.array([*answers, (_FAR, _FAR)]).T
    at = np.searchsorted(closes, starts, side="right")  # the first answer that ends behind the token's start
    return (np.maximum(ends, starts + 1) > begins[at]).tolist()


def _alternatives(texts) -> re.Pattern:
    """Matches any of the texts, the longest first."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _content(token: Any) -> str | None:
    """A token's text in tokenizer_config.json: a string, or an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) and text else None


def _ids(value: Any) -> list[int]:
    """A token id field: a number or a list of them."""
    return [
        id
        for id in (value if isinstance(value, list) else [value])
        if isinstance(id, int) and not isinstance(id, bool) and id >= 0
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadInput(
            f"{path.name} is not JSON: {clip(error, 100)}.", "Fetch it again from where the model came from."
        ) from None
    return value if isinstance(value, dict) else {}
