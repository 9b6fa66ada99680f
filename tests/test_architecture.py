"""The house's rules, read off the code: imports go one way, and neither web nor runner loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets", "bitsandbytes", "triton"}
FOR_WORKERS = {
    "base_weights",
    "plan",
    "training_settings",
    "resolved_plan",
    "tokens",
    "chat_template",
    "answer_spans",
    "learning",
    "folders",
    "files",
    "methods",
    "containers",
    "formats",
    "rows",
    "versions",
    "mixes",
    "dataset_report",
    "dataset_reading",
    "reading_progress",
    "errors",
    "model_facts",
    "model_files",
    "model_config",
    "model_intake",
    "lora_files",
    "lab_settings",
    "passports",
    "code_version",
    "checkpoint_files",
    "storage",
    "linear_layers",
    "hub_token",
    "heldout",
    "suite_checks",
    "verdict",
    "new_tokens",
    "row_checks",
}
# What each part of the studio may import of the others, from the edge inwards.
LAYERS = [
    {"web"},
    {"pages", "api", "gate"},
    {"services"},  # everything that is in no other layer
    {"studio", "database", "listing"},
    {"database_words"},
    {"dataset_reading", "learning"},
    {"row_checks", "reading_progress"},
    {"records", "plan", "resolved_plan", "tokens", "rows", "containers", "lora_files", "suite_checks"},
    {"folders", "methods", "formats", "model_files", "chat_template", "answer_spans"},
    {"dataset_report", "model_facts", "model_config", "linear_layers", "training_settings"},
    {"new_tokens"},
    {"settings", "errors", "files", "heldout", "wrong_values", "error_body"},
    {"storage", "clock"},
]


def modules(folder: str) -> list[Path]:
    return [path for path in sorted((PROJECT / folder).rglob("*.py")) if "migrations" not in path.parts]


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """Dotted names that a file imports; with everywhere=False only those at its top level."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree) if everywhere else ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module in ("studio", "jobs") else set()
            )
    return found


def part(name: str) -> str | None:
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "studio" and len(pieces) > 1 else None


def layer(name: str) -> int:
    return next((number for number, names in enumerate(LAYERS) if name in names), 2)


@pytest.mark.parametrize("path", modules("studio"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_studio_never_imports_jobs(path):
    assert not {name for name in imports(path) if name.split(".")[0] == "jobs"}


@pytest.mark.parametrize("path", modules("jobs"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_jobs_never_import_the_pages(path):
    assert not {
        name
        for name in imports(path)
        if name.split(".")[0] == "gradio" or name.startswith(("studio.pages", "studio.api", "studio.web"))
    }


@pytest.mark.parametrize("path", modules("jobs/workers"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_workers_know_only_plans_tokens_files_and_errors_of_the_studio(path):
    known = {part(name) for name in imports(path)} - {None}
    assert known <= FOR_WORKERS, f"{path.name} imports studio.{', studio.'.join(sorted(known - FOR_WORKERS))}"


@pytest.mark.parametrize("path", modules("studio"), ids=lambda path: str(path.relative_to(PROJECT)))
def test_imports_go_from_the_edge_inwards(path):
    own = layer(path.relative_to(PROJECT / "studio").parts[0].removesuffix(".py"))
    if path.name == "__init__.py" and path.parent.name == "studio":
        return
    upwards = {name for name in imports(path, everywhere=False) if part(name) and layer(part(name)) < own}
    assert not upwards, f"{path.relative_to(PROJECT)} reaches outwards: {upwards}"


@pytest.mark.parametrize(
    "path",
    [*modules("studio"), PROJECT / "app.py", *(p for p in modules("jobs") if "workers" not in p.parts)],
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_heavy_libraries_are_imported_only_by_workers_or_inside_functions_of_methods(path):
    heavy = {name for name in imports(path, everywhere="methods" not in path.parts) if name.split(".")[0] in HEAVY}
    assert not heavy


@pytest.mark.parametrize("module", ["studio.web", "jobs.runner"])
def test_neither_web_nor_runner_loads_torch(module):
    look = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", look], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "path", [*modules("studio"), *modules("jobs"), PROJECT / "app.py"], ids=lambda path: str(path.relative_to(PROJECT))
)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
