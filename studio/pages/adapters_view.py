"""How adapters are drawn: the list with where each comes from, and one of them with its passport and how to load it."""

from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from studio.base_weights import SMALL
from studio.methods import METHODS
from studio.pages import form, method_words, parts, passports_view, settings_view, verdict_view, words
from studio.pages.copying import copy_button
from studio.pages.lab_view import by_module, in_words
from studio.records import Adapter

HEADINGS = ("Adapter", "Base model", "Data", "Method", "Size", "Held-out loss", "From run", "Actions")
SOURCES = {
    "stack": "combined",
    "shrink": "made smaller",
    "import": "imported",
    "checkpoint": "a step of a run",
    "extract": "extracted",
}  # where it comes from, when not from a run
CELLS = ("wrap", "wrap", "wrap", "wrap", "ls-right ls-num", "", "", "ls-act-cell")
Passport = Mapping[str, Any]


def table(found: Iterable[tuple[Adapter, Passport]]) -> str:
    return parts.table(
        HEADINGS, [_cells(adapter, passport) for adapter, passport in found], "Adapters", "phone ls-adapters", CELLS
    )


def _cells(adapter: Adapter, passport: Passport) -> tuple[str, ...]:
    id = escape(adapter.id)
    run = (
        f'<a class="ls-mono" href="/run?id={escape(adapter.run)}">{escape(adapter.run)}</a>'
        if adapter.run
        else f'<span class="ls-muted">{SOURCES.get(adapter.source, "deleted")}</span>'
    )
    return (
        f'<a href="/adapters?id={id}">{parts.text(adapter.name)}</a><div class="ls-muted">{words.ago(adapter.created_at)}</div>',
        parts.text(adapter.base_model_name),
        parts.text(part(passport, "dataset").get("name") or "–"),
        parts.text(method_words.short(adapter.method, adapter.rank)),
        words.size(adapter.size_bytes),
        gain(adapter.base_heldout_loss, adapter.heldout_loss) + verdict_chip(adapter.verdict),
        run,
        parts.button(
            "Download", f"/files/adapters/{adapter.id}", small=True, download=True, label=f"Download {adapter.name}"
        )
        + parts.button(
            "Compare", f"/compare?a={adapter.id}", small=True, label=f"Compare {adapter.name} with its base"
        ),
    )


def gain(base: float | None, after: float | None) -> str:
    """ "4.653 → 0.794", and by how much that is less."""
    if base is None or after is None:
        return parts.chip("not measured")
    change = (after - base) / base if base else 0.0
    kind = "ok" if change < 0 else "warn"
    return f'<span class="ls-num">{words.loss(base)} → {words.loss(after)}</span> {parts.chip(signed(change), kind)}'


def verdict_chip(word: str | None) -> str:
    """Only what the loss beside it does not say by itself."""
    return f" {verdict_view.chip(word)}" if word and word != "better" else ""


def signed(change: float) -> str:
    """-0.83 → "−83 %"."""
    return f"{'−' if change < 0 else '+'}{abs(change) * 100:.0f} %"


def part(passport: Passport, name: str) -> Mapping[str, Any]:
    """One part of a passport; empty where a strange one lacks it."""
    found = passport.get(name)
    return found if isinstance(found, Mapping) else {}


def nothing(searched: bool) -> str:
    if searched:
        return parts.empty(
            "search", "No adapter matches", "Search for another name.", parts.button("Show all adapters", "/adapters")
        )
    return parts.empty(
        "adapter",
        "No adapter yet",
        "An adapter is what a training leaves: a small file that changes what a base model says.",
        parts.button("Train an adapter", "/train", primary=True),
    )


def details(adapter: Adapter, passport: Passport, code: str) -> str:
    """The passport in cards, then how to load the adapter elsewhere."""
    cards = (
        *([told] if (told := passports_view.brought(passport)) else []),
        parts.card(
            parts.facts(known(base_facts(part(passport, "base_model")))), "Base model", "What it must be put on."
        ),
        *(made_from(passport) if passport.get("parents") or passport.get("extracted_from") else learned_from(passport)),
        parts.card(parts.facts(known(result_facts(adapter, passport))), "Result", "How it went."),
    )
    loading = (
        '<div class="ls-row"><h2>Load it with PEFT</h2><span class="end">' + copy_button(code) + "</span></div>"
        f'<p class="ls-sub">Unpack the zip beside your program. The tokenizer and the chat template are in it.</p><pre class="ls-log ls-code" tabindex="0">{escape(code)}</pre>'
    )
    verdict = verdict_view.card(part(passport, "verdict"))  # its rows stayed with the run
    return f'{verdict}{parts.grid(cards, 2)}<section class="ls-card ls-load">{loading}</section>'


def learned_from(passport: Passport) -> tuple[str, ...]:
    if not known(data_facts(passport)) and not part(passport, "method"):
        return ()  # it was brought without a passport: what is known of it stands in a card of its own
    return (
        parts.card(parts.facts(known(data_facts(passport))), "Data", "What it learned from."),
        parts.card(parts.facts(known(method_facts(passport))), "Method", "What was trained."),
    )


def made_from(passport: Passport) -> tuple[str, ...]:
    """Instead of data and training: the adapters that went in, and how."""
    parents, made_by, measured = passport.get("parents"), part(passport, "made_by"), part(passport, "measured")
    rows = "".join(
        f'<li><a class="ls-link" href="/adapters?id={escape(str(parent.get("id")))}">{parts.text(parent.get("name"))}</a> '
        f'<span class="ls-muted">weight {escape(str(parent.get("weight")))}, sha256 {escape(str(parent.get("sha256"))[:16])}</span></li>'
        for parent in (parents if isinstance(parents, list) else [])
        if isinstance(parent, Mapping)
    )
    settings = [(str(key).replace("_", " ").capitalize(), value) for key, value in made_by.items() if key != "kind"]
    if tuned := part(passport, "extracted_from"):
        named = f'{parts.text(tuned.get("name"))} <span class="ls-muted">fingerprint {escape(str(tuned.get("fingerprint"))[:16])}</span>'
        rows += f"<li>{named}</li>"
    return (
        parts.card(f'<ul class="ls-parents">{rows}</ul>', "Made from", "What went in."),
        parts.card(
            parts.facts(known(settings))
            + f'<p class="ls-sub ls-gap">{escape(in_words(measured))}</p>{by_module(measured)}',
            "Made by",
            "How they went in.",
        ),
    )


def known(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in pairs if value not in (None, "", "–")]


def base_facts(base: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Name", base.get("name")),
        (
            "Source",
            {"hub": "Hugging Face Hub", "local": "local folder", "builtin": "comes with the studio"}.get(
                str(base.get("source")), base.get("source")
            ),
        ),
        ("Location", base.get("location") if base.get("source") != "builtin" else None),
        ("Revision", base.get("revision")),
        ("Architecture", base.get("architecture")),
        ("Parameters", words.short_count(base["parameters"]) if base.get("parameters") else None),
        ("Fingerprint", str(base["fingerprint"])[:16] if base.get("fingerprint") else None),
    ]


def data_facts(passport: Passport) -> list[tuple[str, Any]]:
    dataset, results = part(passport, "dataset"), part(passport, "results")
    cut = results.get("cut_rows")
    return [
        ("Name", dataset.get("name")),
        ("Rows", words.count(dataset["rows"]) if dataset.get("rows") is not None else None),
        ("Trained on", words.count(results["train_rows"]) if results.get("train_rows") is not None else None),
        ("Held out", words.count(results["heldout_rows"]) if results.get("heldout_rows") is not None else None),
        ("Rows cut", f"{words.count(cut)} ({words.plural(results.get('cut_tokens') or 0, 'token')})" if cut else None),
        ("sha256", str(dataset["sha256"])[:16] if dataset.get("sha256") else None),
    ]


def _sizes(method: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The numbers that decide how much an adapter can learn, by the titles that its method gives them."""
    known = METHODS.get(method.get("name"))
    fields = known.settings.model_fields if known else {}
    numbers = {name: method.get(name) for name in method_words.SIZES if isinstance(method.get(name), int | float)}
    return [(fields[name].title or name, f"{number:g}") for name, number in numbers.items() if name in fields]


def _choices(method: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What was chosen otherwise than it comes, among the settings that are folded away on the form."""
    known = METHODS.get(method.get("name"))
    try:
        settings = known.settings.model_validate(dict(method)) if known else None
    except ValidationError:  # of a passport that somebody else wrote
        settings = None
    if settings is None:
        return []
    found = form.settings_of(known.settings).values()
    chosen = [(each, getattr(settings, each.name)) for each in found if each.advanced]
    return [(each.title, settings_view.said(each.name, value)) for each, value in chosen if value != each.default]


def method_facts(passport: Passport) -> list[tuple[str, Any]]:
    method, resolved = part(passport, "method"), part(passport, "resolved")
    targets = resolved.get("targets") or method.get("targets")
    quantization = part(passport, "training").get("quantization", "none")
    return [
        ("Method", method_words.title(method.get("name"))),
        *_sizes(method),
        ("Dropout", method.get("dropout")),
        ("Target modules", ", ".join(targets) if isinstance(targets, list) else targets),
        *_choices(method),
        ("Base loaded in", quantization if quantization != "none" else None),
        ("Layers changed", passport.get("layers")),
        ("Learning rate", words.rate(resolved.get("learning_rate"))),
        ("Batch", f"{resolved['batch_size']} rows" if resolved.get("batch_size") else None),
        ("Epochs", f"{resolved['epochs']:g}" if resolved.get("epochs") else None),
        ("Precision", resolved.get("precision")),
    ]


def result_facts(adapter: Adapter, passport: Passport) -> list[tuple[str, Any]]:
    results = part(passport, "results")
    trained = results.get("trainable_parameters")
    return [
        (
            "Held-out loss",
            f"{words.loss(adapter.base_heldout_loss)} → {words.loss(adapter.heldout_loss)}"
            if adapter.heldout_loss is not None
            else "not measured",
        ),
        (
            "Steps",
            f"{words.count(results['step'])} of {words.count(results.get('steps') or results['step'])}"
            if results.get("step") is not None
            else None,
        ),
        ("Tokens", words.short_count(results["tokens"]) if results.get("tokens") else None),
        ("Trained parameters", words.short_count(trained) if trained else None),
        ("Time", words.duration(results.get("seconds"))),
        ("Peak memory", words.memory(results["peak_memory_bytes"]) if results.get("peak_memory_bytes") else None),
        ("Device", results.get("device")),
        ("File", words.size(adapter.size_bytes)),
        ("sha256", adapter.sha256[:16]),
    ]


def loading_code(folder: str, base: str, revision: str | None = None, passport: Passport = MappingProxyType({})) -> str:
    """A program that answers with this adapter. `base`: what from_pretrained takes, a Hub id or a folder."""
    at = f", revision={revision!r}" if revision else ""
    small, rows = SMALL.get(str(part(passport, "training").get("quantization"))), passport.get("embedding_rows")
    config = f"\nsmall = BitsAndBytesConfig({small})  # as it was trained" if small else ""
    longer = f"\nbase.resize_token_embeddings({rows})  # it brings tokens of its own" if isinstance(rows, int) else ""
    return f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer{", BitsAndBytesConfig" if small else ""}

folder = {folder!r}  # the unpacked zip{config}
base = AutoModelForCausalLM.from_pretrained({base!r}{at}{", quantization_config=small" if small else ""}){longer}
model = PeftModel.from_pretrained(base, folder)
tokenizer = AutoTokenizer.from_pretrained(folder)

chat = [{{"role": "user", "content": "Hello!"}}]
asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answered = model.generate(**asked, max_new_tokens=200, do_sample=False)
print(tokenizer.decode(answered[0, asked["input_ids"].shape[1]:], skip_special_tokens=True))
"""
