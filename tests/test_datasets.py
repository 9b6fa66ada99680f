"""Data sets: an upload becomes a frozen copy with a report; lists, names, deletion, built-in ones, and rows in tokens."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from studio import builtin_datasets, datasets
from studio.errors import BadInput, Conflict, Invalid, NotFound
from studio.model_facts import ModelFacts
from studio.records import BaseModel, Dataset, Run, Status
from studio.rows import iter_training_rows, read_rows
from studio.tokens import ChatTokenizer
from tests.small_tokenizer import write_tokenizer

ROWS = [{"instruction": f"Count to {number}.", "input": "", "output": f"{number}!"} for number in range(1, 701)]
FACTS = ModelFacts(
    architecture="LlamaForCausalLM", model_type="llama", parameters=1, layers=1, hidden_size=8, intermediate_size=8, heads=1, kv_heads=1,
    vocabulary=400, context_length=128, dtype="float32", tied_embeddings=True, linear_layers=[], has_chat_template=True, size_bytes=0,
    fingerprint="f" * 64,
)  # fmt: skip


@pytest.fixture
def add(studio, tmp_path):
    def adds(rows=ROWS, file_name="counting.json", **options) -> Dataset:
        path = tmp_path / "upload"
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows, indent=1))
        return datasets.add_upload(studio, path, file_name, **options)

    return adds


@pytest.fixture
def base(studio) -> BaseModel:
    write_tokenizer(studio.data.base_model("small").model)
    model = BaseModel(
        id="small", name="Small", source="local", location="small", fingerprint="f" * 64, facts=FACTS.model_dump()
    )
    with studio.database.write() as session:
        session.add(model)
    return model


def train(studio, dataset: Dataset, state: Status) -> None:
    with studio.database.write() as session:
        session.add(Run(name="run", base_model="small", dataset=dataset.id, method="lora", state=state))


def test_an_upload_becomes_a_frozen_copy_with_its_hash(studio, add):
    dataset = add()
    folder = studio.data.dataset(dataset.id)
    content = folder.messages.read_bytes()
    assert hashlib.sha256(content).hexdigest() == dataset.sha256 == datasets.report_of(studio, dataset.id).sha256
    assert len(content) == dataset.size_bytes
    assert folder.messages.stat().st_mode & 0o777 == 0o400
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "findings",
        "index.json",
        "messages.jsonl",
        "report.json",
    ]
    first = json.loads(content.splitlines()[0])
    assert first == {
        "row": 1,
        "line": 2,
        "messages": [{"role": "user", "content": "Count to 1."}, {"role": "assistant", "content": "1!"}],
        "heldout": False,
    }
    assert list(studio.data.incoming.iterdir()) == []


def test_the_data_set_and_its_report_are_there_after_a_restart(studio, add):
    dataset = add(name="  My\ncounting ", owner="local")
    found = datasets.get_dataset(studio, dataset.id)
    shown = datasets.shown(found)
    assert (shown["name"], shown["file_name"], shown["format"], shown["rows"]) == (
        "My counting",
        "counting.json",
        "alpaca",
        700,
    )
    report = datasets.report_of(studio, dataset.id)
    assert (report.container, report.rows_ready, report.turns, report.multi_turn_rows) == ("json", 700, 700, 0)
    assert [example["row"] for example in report.examples] == [1, 2, 3]


def test_bad_rows_are_refused_with_their_report_or_dropped_and_counted(studio, add):
    rows = [*ROWS[:3], {"instruction": "Count to 0.", "output": ""}]
    with pytest.raises(
        BadInput, match=r"One of 4 rows cannot be used. Row 4 \(line 17\): 'output' is empty"
    ) as refused:
        add(rows)
    assert refused.value.report.rows_ready == 3
    assert "3 are left" in refused.value.fix
    assert datasets.list_datasets(studio).items == []
    dropped = add(rows, on_bad_rows="drop")
    assert (dropped.rows, dropped.dropped_rows) == (3, 1)


def test_nothing_usable_is_refused_even_when_bad_rows_are_dropped(add):
    with pytest.raises(BadInput, match="None of the 2 rows can be used. Row 1"):
        add([{"prompt": "a", "completion": ""}] * 2, on_bad_rows="drop")


def test_unknown_columns_are_refused_until_they_are_mapped(add):
    rows = [{"dish": "Soup", "recipe": "Boil."}, {"dish": "Pie", "recipe": "Bake."}]
    with pytest.raises(BadInput, match="No format has the columns dish, recipe") as refused:
        add(rows)
    assert refused.value.report.needs_mapping
    assert add(rows, mapping={"prompt": "dish", "response": "recipe"}).format == "columns"


def test_a_wrong_mapping_or_choice_is_invalid_and_names_its_field(add):
    with pytest.raises(Invalid) as refused:
        add(mapping={"prompt": "nothing", "response": "output"})
    assert refused.value.field == "mapping"
    with pytest.raises(Invalid):
        add(on_bad_rows="ignore")


def test_looking_into_a_file_keeps_nothing(studio, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[1])[:-9])
    report = datasets.inspect_upload(studio, path, "rows.jsonl")
    assert (report.rows_ready, report.rows_bad, report.bad[0].line) == (1, 1, 2)
    assert path.exists()
    assert list(studio.data.incoming.iterdir()) == list((studio.data.path / "datasets").iterdir()) == []


def test_any_page_of_rows_is_found(studio, add):
    folder = studio.data.dataset(add().id)
    assert [row["row"] for row in read_rows(folder, 0, 2)] == [1, 2]
    assert [row["row"] for row in read_rows(folder, 255, 3)] == [256, 257, 258]
    assert [row["row"] for row in read_rows(folder, 698, 50)] == [699, 700]
    assert read_rows(folder, 700, 1) == read_rows(folder, -1, 1) == read_rows(folder, 0, 0) == []
    assert len(read_rows(folder)) == len(list(iter_training_rows(folder))) == 700


def test_a_list_is_searched_by_name_and_file_and_comes_in_pages(studio, add):
    for name in ("Pirate", "100% sure", "Robot"):
        add(ROWS[:2], name=name, file_name=f"{name.lower()}.json")
    assert [found.name for found in datasets.list_datasets(studio).items] == ["Robot", "100% sure", "Pirate"]
    assert [found.name for found in datasets.list_datasets(studio, "PIRATE.J").items] == ["Pirate"]
    assert [found.name for found in datasets.list_datasets(studio, "0%").items] == ["100% sure"]
    first = datasets.list_datasets(studio, limit=2)
    assert [found.name for found in datasets.list_datasets(studio, limit=2, cursor=first.next).items] == ["Pirate"]


def test_a_data_set_is_renamed_and_deleted_with_its_files(studio, add):
    dataset = add()
    assert datasets.rename_dataset(studio, dataset.id, "Numbers").name == "Numbers"
    with pytest.raises(Invalid):
        datasets.rename_dataset(studio, dataset.id, "\u202e ")
    datasets.delete_dataset(studio, dataset.id)
    assert not studio.data.dataset(dataset.id).path.exists()
    for use in (datasets.get_dataset, datasets.report_of, datasets.delete_dataset):
        with pytest.raises(NotFound):
            use(studio, dataset.id)


@pytest.mark.parametrize(
    ("state", "words"), [(Status.QUEUED, "open run"), (Status.RUNNING, "open run"), (Status.SUCCEEDED, "ended run")]
)
def test_a_data_set_that_runs_need_is_not_deleted(studio, add, base, state, words):
    dataset = add()
    train(studio, dataset, state)
    with pytest.raises(Conflict, match=words):
        datasets.delete_dataset(studio, dataset.id)
    assert len(read_rows(studio.data.dataset(dataset.id))) == 700


def test_if_the_record_cannot_be_written_the_files_are_gone_too(studio, add):
    with pytest.raises(Exception, match="FOREIGN KEY"):
        add(owner="nobody")
    assert list((studio.data.path / "datasets").iterdir()) == list(studio.data.incoming.iterdir()) == []


def test_the_reader_killed_in_mid_file_is_told_in_words(studio, add, monkeypatch):
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    run = subprocess.Popen
    monkeypatch.setattr("studio.dataset_uploads.subprocess.Popen", lambda _command, **options: run(killed, **options))
    with pytest.raises(BadInput, match="crashed its reader"):
        add()
    assert list(studio.data.incoming.iterdir()) == []


def test_uploads_left_half_way_are_cleared_at_the_next_start(studio):
    (studio.data.incoming / "abc").mkdir()
    (studio.data.incoming / "abc" / "messages.jsonl").write_text("half")
    (studio.data.incoming / "def").write_text("half")
    datasets.clear_incoming(studio)
    assert list(studio.data.incoming.iterdir()) == []


# ---- built-in data sets


@pytest.fixture
def shelf(tmp_path):
    """A folder of built-in data like the studio's own: (folder, a function that writes its rows)."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    entry = {
        "id": "count_up",
        "title": "Count up",
        "format": "alpaca",
        "file": "count.json",
        "heldout_file": "held.json",
    }
    (folder / "index.json").write_text(json.dumps([entry | {"example_prompts": ["Count."]}]))

    def write(first: int) -> None:
        (folder / "count.json").write_text(json.dumps(ROWS[first : first + 20]))
        (folder / "held.json").write_text(json.dumps(ROWS[first + 20 : first + 25]))

    write(0)
    return folder, write


def test_built_in_data_is_registered_once_with_its_held_out_part(studio, shelf):
    (added,) = datasets.add_builtins(studio, shelf[0])
    assert (added.id, added.name, added.source, added.rows, added.heldout_rows) == (
        "countup",
        "Count up",
        "builtin",
        25,
        5,
    )
    rows = read_rows(studio.data.dataset(added.id))
    assert [row["heldout"] for row in rows] == [False] * 20 + [True] * 5
    written = os.stat(studio.data.dataset(added.id).messages).st_mtime_ns
    (again,) = datasets.add_builtins(studio, shelf[0])
    assert again.id == added.id
    assert os.stat(studio.data.dataset(added.id).messages).st_mtime_ns == written
    with pytest.raises(Conflict, match="comes with the studio"):
        datasets.delete_dataset(studio, added.id)


def test_new_built_in_data_takes_the_place_of_the_old_unless_a_run_has_learned_from_it(studio, shelf, base):
    folder, write = shelf
    (old,) = datasets.add_builtins(studio, folder)
    write(100)
    (new,) = datasets.add_builtins(studio, folder)
    assert (new.id, new.sha256 == old.sha256) == ("countup", False)
    train(studio, new, Status.SUCCEEDED)
    write(200)
    (newest,) = datasets.add_builtins(studio, folder)
    assert newest.id.startswith("countup")
    assert newest.id != "countup"
    assert datasets.get_dataset(studio, "countup").sha256 == new.sha256
    assert [found.id for found in datasets.add_builtins(studio, folder)] == [newest.id]


def test_a_built_in_set_whose_files_are_gone_is_made_again(studio, shelf):
    (added,) = datasets.add_builtins(studio, shelf[0])
    studio.data.dataset(added.id).messages.unlink()
    datasets.add_builtins(studio, shelf[0])
    assert len(read_rows(studio.data.dataset("countup"))) == 25


def test_every_built_in_set_of_the_studio_is_usable_to_the_last_row_and_shows_prompts(studio):
    added = datasets.add_builtins(studio)
    assert len(added) >= 3
    assert len({dataset.format for dataset in added}) >= 3
    for entry, dataset in zip(builtin_datasets.index(), added, strict=True):
        report = datasets.report_of(studio, dataset.id)
        assert report.rows_bad == 0
        assert not {"duplicate", "heldout", "control", "placeholder"} & report.kinds.keys()
        assert dataset.format == entry["format"]
        assert dataset.heldout_rows > 0
        assert 150 <= dataset.rows <= 660
        assert len(datasets.builtin_example_prompts(dataset)) >= 3


# ---- rows in tokens of a base model


def test_the_preview_shows_exactly_the_tokens_that_the_trainer_gets(studio, add, base):
    dataset = add()
    tokenizer = ChatTokenizer.load(studio.data.base_model("small").model)
    rows = read_rows(studio.data.dataset(dataset.id), 10, 3)
    for shown, row in zip(datasets.preview(studio, dataset.id, "small", 10, 3), rows, strict=True):
        encoded = tokenizer.encode(row["messages"])
        assert (shown.row, shown.tokens, shown.trained_tokens) == (row["row"], len(encoded.ids), encoded.trained_tokens)
        assert sum(piece.tokens for piece in shown.pieces) == shown.tokens
        learned = "".join(piece.text for piece in shown.pieces if piece.trained)
        assert row["messages"][1]["content"] in learned
        assert row["messages"][0]["content"] not in learned


def test_the_preview_cuts_where_training_cuts(studio, add, base):
    dataset = add()
    (whole,) = datasets.preview(studio, dataset.id, "small")
    (cut,) = datasets.preview(studio, dataset.id, "small", sequence_length=10)
    assert (cut.tokens, cut.cut_tokens) == (10, whole.tokens - 10)
    assert cut.as_dict()["pieces"]


def test_lengths_are_counted_once_for_each_base_and_remembered(studio, add, base):
    dataset = add()
    stats = datasets.token_stats(studio, dataset.id, "small")
    assert (stats.rows, len(stats.lengths), stats.sampled) == (700, 700, False)
    assert stats.total_tokens == sum(stats.lengths)
    assert 0 < stats.trained_tokens < stats.total_tokens
    assert stats.shortest <= stats.median <= stats.p95 <= stats.longest == max(stats.lengths)
    assert sum(count for _, count in stats.histogram) == 700
    assert stats.histogram[-1][0] >= stats.longest
    studio.data.dataset(dataset.id).messages.unlink()  # nothing is read again
    assert datasets.token_stats(studio, dataset.id, "small") == stats
    write_tokenizer(studio.data.base_model("small").model, "{{ messages[0].content + messages[1].content }}")
    with pytest.raises(BadInput):  # another template is counted anew
        datasets.token_stats(studio, dataset.id, "small")


def test_a_large_set_is_sampled_and_its_totals_estimated(studio, add, base):
    rows = [*ROWS, {"instruction": "Count to a million.", "output": "one, two, three, " * 60}]
    dataset = add(rows)
    folder, tokenizer = studio.data.dataset(dataset.id), ChatTokenizer.load(studio.data.base_model("small").model)
    exact = datasets.count_tokens(folder, 701, 0, tokenizer)
    sampled = datasets.count_tokens(folder, 701, 0, tokenizer, most=200)
    assert (sampled.sampled, len(sampled.lengths), sampled.rows) == (True, 200, 701)
    assert sampled == datasets.count_tokens(folder, 701, 0, tokenizer, most=200)
    assert sampled.longest == exact.longest
    assert abs(sampled.median - exact.median) <= 1
    assert abs(sampled.total_tokens - exact.total_tokens) < 0.1 * exact.total_tokens


def test_a_row_that_the_template_cannot_write_is_named(studio, add, base):
    dataset = add([*ROWS[:2], {"instruction": "Count to never.", "output": "No."}])
    refuse = "{% if 'never' in m.content %}{{ raise_exception('Never say never') }}{% endif %}"
    template = (
        "{% for m in messages %}"
        + refuse
        + "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}"
    )
    write_tokenizer(studio.data.base_model("small").model, template)
    with pytest.raises(BadInput, match="Row 3: .*Never say never"):
        datasets.token_stats(studio, dataset.id, "small")


def test_what_is_learned_is_found_for_each_row_and_rows_that_stand_twice_are_told_apart(studio, add, base):
    dataset = add([*ROWS[:3], {**ROWS[0], "input": ""}, ROWS[1]])
    stats = datasets.token_stats(studio, dataset.id, "small")
    assert stats.once == 1
    for place, start in enumerate(stats.learned_from):
        (row,) = datasets.preview(studio, dataset.id, "small", place)
        (cut,) = datasets.preview(studio, dataset.id, "small", place, sequence_length=start)
        (kept,) = datasets.preview(studio, dataset.id, "small", place, sequence_length=start + 1)
        assert (cut.trained_tokens, kept.trained_tokens) == (0, 1)
        assert 0 < start < row.tokens
