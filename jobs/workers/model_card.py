"""The model card that goes with an adapter, in the Hub's form: what it is, where it comes from, how to load it."""

from collections.abc import Iterable
from typing import Any

from studio.base_weights import SMALL
from studio.errors import clip

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def model_card(passport: dict[str, Any], about: str, figures: Iterable[tuple[str, str]]) -> str:
    """`about` in one sentence, then a table of `figures`: names, and values that are finished Markdown."""
    base = passport["base_model"]
    # Only what is on the Hub has a name that others can load: a folder called "gpt2" is not the Hub's gpt2
    on_hub = base["source"] == "hub"
    named = [f"base_model: {quoted(base['location'])}"] if on_hub else []
    loaded = f"{base['location']!r}, revision={base['revision']!r}" if on_hub else '"path/of/the/base"'
    head = ["---", *named, "library_name: peft", "pipeline_tag: text-generation"]
    rows = [f"| {name} | {value} |" for name, value in figures]
    terms = "The base model's licence and the data's own terms apply to what is made with this adapter."
    lines = [*head, "tags:", "- lora", "- lora-studio", "---", "", f"# {plain(passport['name'])}", ""]
    lines += [about, "", "| | |", "|---|---|", *rows, ""]
    lines += ["## Use", "", "```python", *usage(passport, loaded), "```", ""]
    lines += [f"{terms} `passport.json` holds every setting.", ""]
    return "\n".join(lines)


def usage(passport: dict[str, Any], loaded: str) -> list[str]:
    """The lines of Python that load it. `loaded` is what the base is loaded from."""
    small = SMALL.get(passport.get("training", {}).get("quantization"))
    rows = passport.get("embedding_rows")
    return [
        "from peft import PeftModel",
        f"from transformers import AutoModelForCausalLM, AutoTokenizer{', BitsAndBytesConfig' if small else ''}",
        "",
        *([f"small = BitsAndBytesConfig({small})  # as it was trained"] if small else []),
        f"base = AutoModelForCausalLM.from_pretrained({loaded}{', quantization_config=small' if small else ''})",
        *([f"base.resize_token_embeddings({rows})  # the adapter brings tokens of its own"] if rows else []),
        'model = PeftModel.from_pretrained(base, "path/of/this/folder")',
        'tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")',
    ]


def plain(text: object) -> str:
    """Somebody's words inside a Markdown table: one line that cannot break out of its cell or become markup."""
    return clip(text, 200).translate({ord(character): f"\\{character}" for character in "|<>[]`*_#"})


def quoted(text: str) -> str:
    """As one YAML string."""
    escaped = clip(text, 200).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
