"""What goes with an adapter's weights when it leaves: tokenizer and template, a model card for people, a passport for programs."""

import math
import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path

from safetensors import safe_open

from jobs.workers.model_card import TOKENIZER_FILES, model_card, plain
from jobs.workers.report import versions
from studio import storage
from studio.checkpoint_files import attempts_until
from studio.errors import StudioError, clip
from studio.files import read_json, sha256_of, write_json, write_text
from studio.folders import AdapterFolder, AttemptFolder
from studio.methods import METHODS
from studio.model_facts import ModelFacts
from studio.passports.schema import VERSION
from studio.plan import TrainingPlan
from studio.resolved_plan import ResolvedPlan

OF_A_MODULE = re.compile(r"(.+)\.(lora_|vera_lambda_|ia3_l|oft_R)")  # module, then what PEFT calls its parameters there


def save_adapter(
    attempt: AttemptFolder,
    model,
    tokenizer: Path,
    plan: TrainingPlan,
    resolved: ResolvedPlan,
    facts: ModelFacts,
    results: dict,
) -> None:
    """Write the whole adapter folder beside its place, look at it, then rename it there.

    `model` is the PeftModel; `tokenizer` the folder whose tokenizer it was trained with.
    """
    for each in attempts_until(attempt):
        for left in each.path.glob(".adapter-*"):  # of a save that was cut off
            storage.remove(left)
    writing = AdapterFolder(attempt.path / f".adapter-{secrets.token_hex(4)}").create()
    storage.reached("fill", writing.path)
    origin = origin_of(attempt, plan, facts)
    write_adapter(writing, model, tokenizer, plan, origin)
    rows = model.config.get_text_config().vocab_size
    longer = {"embedding_rows": rows if rows != facts.vocabulary else None}  # what the base's embedding must be made to
    passport = {**passport_of(writing, origin, plan, resolved, results), **longer}
    write_json(writing.passport, passport)
    write_text(writing.card, card_of(passport))
    storage.sync_below(writing.path)
    storage.remove(attempt.adapter)  # a worker saves once: it is there only where an attempt was run by hand
    storage.rename(writing.path, attempt.adapter)
    storage.sync(attempt.path)


def write_adapter(folder: AdapterFolder, model, tokenizer: Path, plan: TrainingPlan, origin: dict) -> None:
    """What PEFT loads, and the tokenizer. The model's own settings stay as they are: it may be trained on."""
    # "auto" would look for the base's config on the Hub
    model.save_pretrained(folder.path, save_embedding_layers=False)
    if portable := METHODS[plan.method.name].made_portable:
        portable(plan.method, model, folder.path)
    sets = {name for config in model.peft_config.values() for name, value in vars(config).items() if type(value) is set}
    values = read_json(folder.config)
    # A set's order differs from process to process
    values |= {name: sorted(value) for name, value in values.items() if name in sets and isinstance(value, list)}
    # Only a name on the Hub means something elsewhere: a local folder called gpt2 is another model
    base = origin["base_model"]
    named = base["location"] if base["source"] == "hub" else None
    write_json(folder.config, {**values, "base_model_name_or_path": named})
    for name in TOKENIZER_FILES:
        source = tokenizer / name
        if source.exists():
            shutil.copyfile(source, folder.path / name)


def write_checkpoint_adapter(
    folder: AdapterFolder, attempt: AttemptFolder, model, tokenizer: Path, plan: TrainingPlan, facts: ModelFacts
) -> None:
    """The adapter as it is in the middle of a training, with as much of a passport as it takes to put it on the right base."""
    origin = origin_of(attempt, plan, facts)
    write_adapter(folder, model, tokenizer, plan, origin)
    training = plan.training.model_dump(mode="json")
    write_json(
        folder.passport,
        {"version": 1, "run": attempt.run.id, "base_model": origin["base_model"], "training": training},
    )


def origin_of(attempt: AttemptFolder, plan: TrainingPlan, facts: ModelFacts) -> dict:
    """Names and sources as they were when the run was queued (origin.json); the ids alone where that was not written."""
    origin = read_json(attempt.run.origin, default={})
    base = {
        "id": plan.base_model,
        "name": plan.base_model,
        "source": None,
        "location": plan.base_model,
        "revision": None,
        **origin.get("base_model", {}),
    }
    dataset = {"id": plan.dataset, "name": plan.dataset, "sha256": None, "rows": None, **origin.get("dataset", {})}
    base |= {"fingerprint": facts.fingerprint, "architecture": facts.architecture, "parameters": facts.parameters}
    return {
        "name": plan.name or origin.get("name") or f"{dataset['name']} on {base['name']}",
        "base_model": base,
        "dataset": dataset,
    }


def passport_of(folder: AdapterFolder, origin: dict, plan: TrainingPlan, resolved: ResolvedPlan, results: dict) -> dict:
    return {
        "version": VERSION,
        "name": origin["name"],
        "run": folder.path.parent.parent.name,
        "base_model": origin["base_model"],
        "dataset": origin["dataset"],
        "method": plan.method.model_dump(mode="json"),
        "training": plan.training.model_dump(mode="json"),
        "resolved": resolved.model_dump(mode="json"),
        "results": results,
        "layers": layers_of(folder.weights),
        "adapter_sha256": sha256_of(folder.weights),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def layers_of(weights: Path) -> int:
    """How many modules the saved adapter changes. Raises StudioError when a number in it is not finite."""
    modules = set()
    with safe_open(weights, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118  (an open safetensors file is no dictionary)
            if not file.get_tensor(key).isfinite().all():
                raise StudioError(
                    f"The trained adapter holds numbers that are not finite ({clip(key)}).",
                    "Train again with a lower learning rate.",
                )
            if found := OF_A_MODULE.match(key):
                modules.add(found[1])
    return len(modules)


LEARNED = {  # what was learned, and what a row of it is
    "answers": ("{} answers of conversations", "rows"),
    "text": ("raw text, every token", "pieces of text"),
    "preference": ("which of two answers is preferred (DPO)", "pairs"),
}


def card_of(passport: dict) -> str:
    return model_card(passport, "An adapter trained with LoRA Studio.", figures_of(passport))


def figures_of(passport: dict) -> list[tuple[str, str]]:
    keys = ("base_model", "dataset", "results", "resolved", "method")
    base, dataset, results, resolved, method = (passport[key] for key in keys)
    settings = [
        f"{key} {plain(value)}" for key, value in method.items() if key != "name" and value not in (None, False, [], {})
    ]
    rows, heldout, diverged = results["train_rows"], results["heldout_rows"], results.get("diverged_at")
    epochs = results["step"] / math.ceil(
        rows / resolved["batch_size"]
    )  # as trained: a limit or a stop may have come first
    objective, choice = resolved.get("objective", "answers"), resolved.get("answers", "all")
    learned, unit = LEARNED[objective]
    steps = f"{results['step']} steps of {resolved['batch_size']} {unit}, {round(epochs, 2):g} epochs"
    quantization = passport["training"]["quantization"]
    loaded = "" if quantization == "none" else f", loaded in {quantization}"
    where = f" in {passport['layers']} layers" if passport["layers"] else ", in front of every row"
    version = f", version {dataset['version']}" if dataset.get("version") else ""
    return [
        ("Base model", f"{plain(base['name'])} ({base['architecture']}, {base['parameters']:,} parameters{loaded})"),
        ("Learned", learned if objective != "answers" else learned.format(choice)),
        ("Data", f"{plain(dataset['name'])}{version}, {rows} {unit} trained on, {heldout} held out"),
        ("Method", f"{method['name']}, {', '.join(settings)}"),
        ("Trained", f"{steps}, learning rate {resolved['learning_rate']:.2g}, {resolved['precision']}"),
        *(
            [("Ended", f"it diverged at step {diverged}; this is step {results['best_step']}, the best before that")]
            if diverged
            else []
        ),
        ("Trained parameters", f"{results['trainable_parameters']:,}{where}"),
        ("Held-out loss", loss_in_words(results)),
        *([("Verdict", plain(verdict["title"]))] if (verdict := passport.get("verdict")) else []),
    ]


def loss_in_words(results: dict) -> str:
    base, after = results.get("base_heldout_loss"), results.get("heldout_loss")
    if base is None or after is None:
        return "not measured (no held-out rows)"
    right = results.get("heldout_accuracy")
    pairs = "" if right is None else f"; the chosen answer is preferred in {right:.0%} of the held-out pairs"
    return f"{base:.3f} before, {after:.3f} after{pairs}"
