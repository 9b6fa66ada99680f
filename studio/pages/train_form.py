"""The inputs of a plan on the Train page: laid out once, read into a plan, and filled from one."""

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from studio.methods import METHODS
from studio.pages import form
from studio.pages.events import plain
from studio.pages.form import Setting
from studio.pages.recipes import BALANCED, RECIPES, Recipe
from studio.plan import DEFAULT_METHOD, TrainingPlan
from studio.training_settings import Resources, TrainingSettings

Key = tuple[str, str]  # ("training", "epochs"); a method's settings go by its name: ("lora", "rank")

# Where the folded settings stand. Whatever a settings class declares beyond these is under the last tab.
TABS = {
    "What to learn": ("objective", "answers", "dpo_beta", "dpo_loss", "rpo_alpha"),
    "Optimiser": (
        "optimizer",
        "schedule",
        "warmup_ratio",
        "decay_ratio",
        "weight_decay",
        "max_grad_norm",
        "neftune_alpha",
        "max_steps",
        "seed",
    ),
    "Memory": ("quantization", "precision", "gradient_checkpointing", "micro_batch", "packing"),
    "Evaluation": (
        "validation",
        "verdict",
        "evaluate_every",
        "early_stopping",
        "keep",
        "checkpoint_every",
        "keep_checkpoints",
        "suites",
        "sample_prompts",
    ),
}
LAST_TAB = "Queue and notes"
OF_THE_PLAN = ("tags", "notes")
BESIDE_RECIPES = ("suites", "sample_prompts")
PARTS = {"training": TrainingSettings, "resources": Resources}


@dataclass
class PlanForm:
    """The components; `inputs` fixes their order for every event."""

    model: gr.Dropdown
    data: gr.Dropdown
    method: gr.Radio
    recipe: gr.Radio
    version: gr.Dropdown
    """Of the data; shown where there is more than one."""
    name: gr.Textbox = None
    settings: dict[Key, Setting] = field(default_factory=dict)
    components: dict[Key, gr.components.Component] = field(default_factory=dict)
    folded: gr.Accordion = None
    others: gr.Accordion = None
    """Holds the choice of the method; its label names the chosen one."""
    parts_of_methods: dict[str, list[gr.blocks.Block]] = field(default_factory=dict)
    """What is on the page for each method, shown while it is chosen."""

    @property
    def inputs(self) -> list[gr.components.Component]:
        return [self.model, self.data, self.method, self.name, self.version, *self.components.values()]

    @property
    def beside_recipes(self) -> set[Key]:
        """What a recipe says nothing about, and so leaves alone: tags, notes, devices, suites, pinned prompts."""
        return {key for key in self.components if key[0] in ("plan", "resources") or key[1] in BESIDE_RECIPES}

    def values(self, given: tuple, targets: list[str]) -> dict[str, Any]:
        """The plan that the inputs describe, unchecked. `targets` are the model's target modules. Raises Invalid for what is no number."""
        model, data, method, name, version, *rest = given
        plan: dict[str, Any] = {
            "base_model": model or "",
            "dataset": data or "",
            "dataset_version": int(version) if version else None,
            "name": name or "",
            "method": {"name": method},
            "training": {},
            "resources": {},
        }
        for (part, field_name), value in zip(self.components, rest, strict=True):
            setting = self.settings[part, field_name]
            if part == "plan":
                plan[field_name] = form.from_input(setting, value)
            elif part in PARTS:
                plan[part][field_name] = form.from_input(setting, value, part=part)
            elif part == method:
                plan["method"][field_name] = form.from_input(setting, value, targets, "method")
        return plan

    def chosen(self, method: str) -> list[Any]:
        """Updates of `others` and of every method's parts, in the order of `switched`, when this method is chosen."""
        label = f"Method: {METHODS[method].title}" + (" (recommended)" if method == DEFAULT_METHOD else "")
        shown = [gr.update(visible=name == method) for name, parts in self.parts_of_methods.items() for _ in parts]
        return [gr.update(label=label), *shown]

    @property
    def switched(self) -> list[gr.blocks.Block]:
        return [self.others, *(part for parts in self.parts_of_methods.values() for part in parts)]

    def updates(self, plan: dict[str, Any], targets: list[str]) -> list[Any]:
        """What to show for a plan's values (as JSON gives them), in the order of `components`."""
        return [self._update(part, name, plan, targets) for part, name in self.components]

    def _update(self, part: str, name: str, plan: dict[str, Any], targets: list[str]) -> Any:
        setting = self.settings[part, name]
        values = plan if part == "plan" else plan.get(part) if part in PARTS else plan.get("method")
        if part in METHODS and (values or {}).get("name", part) != part:
            values = {}
        value = (values or {}).get(name, setting.default)
        shown = form.to_input(setting, value, targets)
        if setting.kind == "several":
            return gr.update(choices=targets, value=shown)
        if setting.slider and isinstance(shown, int | float):
            return gr.update(value=shown, maximum=max(setting.slider[1], shown))
        return gr.update(value=shown)

    def changed(self, plan: TrainingPlan) -> int:
        """How many of the folded settings differ from their defaults."""
        parts = {"training": plan.training, "resources": plan.resources, "plan": plan, plan.method.name: plan.method}
        folded = [
            (parts[part], setting)
            for (part, _), setting in self.settings.items()
            if part in parts and (setting.advanced or part == "plan")
        ]
        return sum(getattr(values, setting.name) != setting.default for values, setting in folded)


def recipe_values(recipe: Recipe, method: str) -> dict[str, Any]:
    """A recipe as plan values: what it says, and the defaults for the rest."""
    return {"method": {"name": method, **recipe.methods.get(method, {})}, "training": dict(recipe.training)}


def recipe_of(plan: TrainingPlan) -> str | None:
    """The recipe whose values these are; None when something was changed."""
    for recipe in RECIPES:
        method = type(plan.method)(**recipe.methods.get(plan.method.name, {}))
        if method == plan.method and TrainingSettings(**recipe.training) == plan.training.model_copy(
            update={name: [] for name in BESIDE_RECIPES}
        ):
            return recipe.title
    return None


def layout() -> PlanForm:
    """The left column of the page, from top to bottom."""
    made = model_and_data()
    for method in METHODS.values():
        take(made, method.name, method.settings)
    for part, declared in (*PARTS.items(), ("plan", TrainingPlan)):
        take(made, part, declared, OF_THE_PLAN if part == "plan" else None)
    for method in METHODS.values():
        with gr.Column(elem_classes=["ls-sec"], visible=method.name == DEFAULT_METHOD) as section:
            plain(f'<h2 class="ls-h2">{method.title}</h2><p class="ls-sub">{method.summary}</p>')
            place(made, [key for key in made.settings if key[0] == method.name and not made.settings[key].advanced])
        made.parts_of_methods[method.name] = [section]
    with gr.Column(elem_classes=["ls-sec"]):
        plain(
            '<h2 class="ls-h2">Training</h2><p class="ls-sub">What is left empty is chosen for the model, the data and the device; the reasons stand beside the numbers.</p>'
        )
        place(
            made,
            [
                ("training", name)
                for part, name in made.settings
                if part == "training" and not made.settings[part, name].advanced
            ],
        )
    with gr.Accordion("Advanced settings", open=False, elem_classes=["ls-fold"]) as made.folded:
        fold(made)
    made.components = {key: made.components[key] for key in made.settings}
    return made


def model_and_data() -> PlanForm:
    with gr.Column(elem_classes=["ls-sec"]):
        plain('<h2 class="ls-h2">Model and data</h2>')
        with gr.Row():
            model = gr.Dropdown([], label="Base model", info=" ", interactive=True)
            data = gr.Dropdown([], label="Training data", info=" ", interactive=True)
        version = gr.Dropdown([], label="Version of the data", visible=False, interactive=True)
    with gr.Column(elem_classes=["ls-sec"]):
        plain(
            '<h2 class="ls-h2">Recipe</h2><p class="ls-sub">A starting point. Anything you change below turns it into your own.</p>'
        )
        recipe = gr.Radio(
            [(one.label, one.title) for one in RECIPES],
            value=BALANCED.title,
            label="Recipe",
            show_label=False,
            elem_classes=["ls-cards"],
            interactive=True,
        )
    label = f"Method: {METHODS[DEFAULT_METHOD].title} (recommended)"
    with gr.Accordion(label, open=False, elem_classes=["ls-fold"]) as others:
        plain('<p class="ls-sub">How the base is changed. The base itself stays frozen, whichever you take.</p>')
        names = [(f"{method.title}\n{method.summary}", name) for name, method in METHODS.items()]
        method = gr.Radio(
            names, value=DEFAULT_METHOD, show_label=False, label="Method", elem_classes=["ls-cards"], interactive=True
        )
    return PlanForm(model, data, method, recipe, version, others=others)


def take(made: PlanForm, part: str, declared: type, only: tuple[str, ...] | None = None) -> None:
    for name, setting in form.settings_of(declared).items():
        if only is None or name in only:
            made.settings[part, name] = setting


def place(made: PlanForm, keys: list[Key]) -> None:
    """Inputs two beside each other; wide ones have a line of their own."""
    narrow = [key for key in keys if made.settings[key].kind not in ("several", "lines", "pairs")]
    for i in range(0, len(narrow), 2):
        with gr.Row(elem_classes=["ls-two"]):
            for key in narrow[i : i + 2]:
                made.components[key] = form.input_for(made.settings[key])
    for key in keys:
        if key not in narrow:
            made.components[key] = form.input_for(made.settings[key])


def fold(made: PlanForm) -> None:
    """The settings that most people leave alone, under tabs."""
    open_ones = [key for key, setting in made.settings.items() if setting.advanced or key[0] == "plan"]
    under: dict[str, list[Key]] = {
        tab: [("training", name) for name in names if ("training", name) in open_ones] for tab, names in TABS.items()
    }
    placed = {key for keys in under.values() for key in keys}
    rest = [key for key in open_ones if key not in placed and key[0] not in METHODS]
    with gr.Tabs():
        for tab, keys in under.items():
            with gr.Tab(tab):
                place(made, keys)
        with gr.Tab("Method"):
            for method in METHODS:
                fold_method(made, method, [key for key in open_ones if key[0] == method])
        with gr.Tab(LAST_TAB):
            place(made, rest)


def fold_method(made: PlanForm, method: str, keys: list[Key]) -> None:
    with gr.Column(visible=method == DEFAULT_METHOD) as shown:
        if not keys:
            plain(f'<p class="ls-sub">{METHODS[method].title} has no further settings.</p>')
        place(made, keys)
    made.parts_of_methods[method].append(shown)
