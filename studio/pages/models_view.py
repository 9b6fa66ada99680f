"""How base models are drawn: one card each, with what a person wants to know before choosing one."""

from typing import Any

from studio.pages import parts, words
from studio.pages.events import action
from studio.records import ModelState

Shown = dict[str, Any]  # a model as base_models.shown gives it

FIT_WORDS = {
    "yes": ("LoRA fits", "ok"),
    "tight": ("LoRA fits, tightly", "warn"),
    "no": ("Too large to train here", "bad"),
}
SOURCES = {
    "builtin": "Comes with the studio",
    "local": "A folder on this machine",
    "hub": "Hugging Face Hub",
    "merged": "An adapter merged into a base model",
}


def cards(models: list[Shown], fits: dict[str, str], adapters: dict[str, int]) -> str:
    """All models. `fits` says for each id whether a LoRA training with the defaults fits this device."""
    if not models:
        return parts.empty(
            "model", "No base model yet", "Add one below: a folder on this machine, or a name on the Hugging Face Hub."
        )
    return parts.grid((card(model, fits.get(model["id"]), adapters.get(model["id"], 0)) for model in models), 3)


def card(model: Shown, fit: str | None, adapters: int) -> str:
    name = f"<h2>{parts.text(model['name'])}</h2>"
    if model["state"] == ModelState.READY:
        body = _ready(model, fit, adapters)
    elif model["state"] == ModelState.FAILED:
        body = _failed(model)
    else:
        body = _coming(model)
    return f'<article class="ls-card ls-model">{name}{body}</article>'


def _ready(model: Shown, fit: str | None, adapters: int) -> str:
    line = f"{words.short_count(model['parameters'])} parameters · {words.count(model['context_length'])} context · {words.plural(model['layers'], 'layer')}"
    tags = [model["licence"] or "licence not stated", model["dtype"], words.size(model["size_bytes"])]
    chips = (parts.chip(*FIT_WORDS[fit]) if fit else "") + "".join(parts.tag(words) for words in tags)
    made = f'<span class="ls-sub end">{words.plural(adapters, "adapter")}</span>' if adapters else ""
    return (
        f'<p class="ls-sub">{line}</p><div class="ls-row ls-chips">{chips}</div>{_template(model)}{_details(model)}'
        f'<div class="ls-row ls-foot">{_use(model, fit)}{_remove(model)}{made}</div>'
    )


def _use(model: Shown, fit: str | None) -> str:
    if not _has_template(model):
        return ""
    chat = parts.button("Chat", f"/compare?model={model['id']}", small=True, label=f"Chat with {model['name']}")
    if fit == "no":
        return f'<span class="ls-sub">Needs a larger device</span>{chat}'
    return (
        parts.button(
            "Train", f"/train?model={model['id']}", primary=True, small=True, label=f"Train on {model['name']}"
        )
        + chat
        + _download(model)
    )


def _download(model: Shown) -> str:
    """Only what the studio itself has made is not to be had elsewhere."""
    if model["source"] != "merged":
        return ""
    label = f"Download {model['name']}"
    return parts.button("Download", f"/api/v1/models/{model['id']}/download", small=True, download=True, label=label)


def _has_template(model: Shown) -> bool:
    return bool(model["has_chat_template"] or model["template"])


def _template(model: Shown) -> str:
    """A model without a chat template cannot be used before the person chose one."""
    if _has_template(model):
        return ""
    return parts.banner(
        "warn",
        "It has no chat template.",
        "The studio needs to know how a conversation is written for it. The plain one suits models that were not made for chat.",
        action("Use the plain template", "template", model["id"]),
    )


def _details(model: Shown) -> str:
    template = model["template"] or ("its own" if model["has_chat_template"] else "none")
    pairs = [
        ("Architecture", model["architecture"]),
        ("Vocabulary", f"{words.count(model['vocabulary'])} tokens"),
        ("Layers for LoRA", ", ".join(model["target_modules"])),
        ("Chat template", template),
        ("From", SOURCES.get(model["source"], model["source"])),
        ("Fingerprint", (model["fingerprint"] or "")[:12]),
    ]
    if model.get("location") and model["source"] != "builtin":
        pairs.insert(
            5,
            (
                "Made from" if model["source"] == "merged" else "Name there",
                model["location"] + (f" at {model['revision'][:12]}" if model.get("revision") else ""),
            ),
        )
    return f'<details class="ls-more"><summary>All facts</summary>{parts.facts(pairs)}</details>'


def _remove(model: Shown) -> str:
    if model["source"] == "builtin":
        return ""
    question = f"Remove {model['name']} from the studio? Its own files in your models folder stay where they are."
    return action("Remove", "remove", model["id"], confirm=question, quiet=True, label=f"Remove {model['name']}")


def _coming(model: Shown) -> str:
    done, total = model["bytes_done"], model["bytes_total"]
    if model["state"] == ModelState.QUEUED or not total:
        line, share = "Waiting to be downloaded", 0.0
    else:
        line, share = f"{words.size(done)} of {words.size(total)}", done / total
    return (
        f'<p class="ls-sub">{parts.text(model["location"])}</p><div class="ls-row ls-chips">{parts.chip("Downloading", "running")}'
        f'<span class="ls-sub ls-num end">{line}</span></div>{parts.progress(share, "Download of " + model["name"])}'
        f'<div class="ls-row ls-foot">{_remove(model)}</div>'
    )


def _failed(model: Shown) -> str:
    again = action("Try again", "retry", model["id"]) if model["source"] == "hub" else ""
    return (
        f'<p class="ls-sub">{parts.text(model["location"])}</p>{parts.banner("bad", model["problem"] or "It could not be added.", model["fix"] or "")}'
        f'<div class="ls-row ls-foot">{again}{_remove(model)}</div>'
    )
