"""Pages: what is drawn is escaped, every page stands on the shell, and our own files are served."""

import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gradio as gr
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio import datasets, pages
from studio.dataset_report import Finding, Report, TokenStats
from studio.errors import BadInput, StudioError
from studio.pages import (
    data_detail_view,
    data_upload,
    data_view,
    head,
    home_view,
    models_view,
    parts,
    words,
)
from studio.pages.errors import plainly
from studio.pages.events import action
from studio.pages.plots import lengths
from studio.pages.web import mount
from studio.records import ModelState, Status
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.tokens import Piece

HOSTILE = {
    "html": "<img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)',
    "template": "${alert(1)} {{7*7}}",
    "script": "</script><script>alert(1)</script>",
    "direction": "\u202egnp.exe",
    "quotes": 'O\'Neil & "sons"',
}
hostile = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(scope="module")
def studio_of_pages(tmp_path_factory):
    opened = Studio.open(StudioSettings(data_folder=tmp_path_factory.mktemp("pages")))
    yield opened
    opened.database.close()


@pytest.fixture(scope="module")
def mounted(studio_of_pages):
    return mount(FastAPI(), studio_of_pages)


@pytest.fixture(scope="module")
def demo(mounted):
    """The Blocks of all pages."""
    return mounted.app.routes[-1].app.get_blocks()


@pytest.fixture(scope="module")
def client(mounted):
    return TestClient(mounted, base_url="http://127.0.0.1")


def shown_run(**values) -> dict:
    usual = {
        "id": "r1", "name": "A run", "state": Status.RUNNING, "step": 4, "steps": 10, "loss": 1.5, "heldout_loss": 1.2, "base_heldout_loss": 2.0, "seconds_left": 30.0,
        "sparkline": [2.0, 1.5], "progress": 0.4, "problem": None, "fix": None, "base_model_name": "A base", "dataset_name": "Data", "parent": None,
    }  # fmt: skip
    return usual | values


def shown_model(**values) -> dict:
    usual = {
        "id": "m1", "name": "A base", "source": "local", "location": "a-base", "revision": None, "state": ModelState.READY, "bytes_done": 0, "bytes_total": 0,
        "architecture": "LlamaForCausalLM", "parameters": 1000, "layers": 2, "context_length": 128, "dtype": "float32", "vocabulary": 64, "target_modules": ["q_proj"],
        "has_chat_template": True, "template": None, "licence": "MIT", "size_bytes": 4000, "fingerprint": "0" * 64, "problem": None, "fix": None,
    }  # fmt: skip
    return usual | values


def shown_data(**values) -> dict:
    usual = {
        "id": "d1", "name": "Data", "source": "upload", "builtin_id": None, "file_name": "data.jsonl", "format": "alpaca", "format_title": "Alpaca", "kind": "conversations", "kind_title": "Conversations", "rows": 3, "heldout_rows": 0,
        "dropped_rows": 0, "size_bytes": 100, "sha256": "0" * 64, "created_at": "2026-01-01T00:00:00",
    }  # fmt: skip
    return usual | values


def everything_drawn(name: str) -> dict[str, str]:
    """Every drawing function with somebody's text wherever it takes one."""
    found = Finding(row=1, line=2, field=name, kind="x", problem=name, fix=name)
    conversation = {"messages": [{"role": "user", "content": name}, {"role": "assistant", "content": name}]}
    report = Report(
        file_name=name,
        container="json",
        columns=[name],
        unused_columns=[name],
        findings=[found],
        findings_total=1,
        rows_bad=1,
        examples=[conversation],
    )
    row = datasets.PreviewRow(1, False, 4, 2, 0, [Piece(name, False, False, 2), Piece(name, True, False, 2)])
    failed = shown_model(state=ModelState.FAILED, name=name, location=name, problem=name, fix=name, source="hub")
    return {
        "banner": parts.banner("bad", name, name),
        "empty": parts.empty("data", name, name),
        "table": parts.table([name], [[parts.text(name)]], name),
        "facts": parts.facts([(name, name)]),
        "button": parts.button(name, "/" + name, label=name),
        "action": action(name, "remove", name, confirm=name, label=name),
        "progress": parts.progress(0.5, name),
        "stat": parts.stat(name, name, name),
        "home": home_view.live_cards([shown_run(name=name)], {})
        + home_view.attention([shown_run(name=name, problem=name, fix=name)], 1, False),
        "recent runs": home_view.recent([shown_run(name=name, base_model_name=name, dataset_name=name)]),
        "model": models_view.cards(
            [
                shown_model(name=name, licence=name, dtype=name, target_modules=[name], template=name, location=name),
                failed,
            ],
            {},
            {},
        ),
        "downloading model": models_view.cards(
            [shown_model(name=name, location=name, state=ModelState.DOWNLOADING)], {}, {}
        ),
        "data sets": data_view.listed([shown_data(name=name, file_name=name, format_title=name)], {}),
        "checks": data_view.recognised(report) + data_view.checks(report) + data_view.busy(name),
        "data set": data_detail_view.about(shown_data(name=name, file_name=name), report, name),
        "tokens": data_detail_view.token_row(row, 1, 1),
        "head": pages.shell.head_html(name, name),
    }


@hostile
def test_somebodys_text_is_never_markup(name):
    for place, drawn in everything_drawn(name).items():
        assert "<img" not in drawn, place
        assert "<script" not in drawn, place
        assert 'onmouseover="' not in drawn, place


def test_somebodys_text_does_not_turn_the_words_around_it():
    assert parts.text("\u202egnp.exe") == "<bdi>\u202egnp.exe</bdi>"


def test_no_template_of_a_component_holds_anything_but_constants(demo):
    # Gradio evaluates templates as JavaScript: a run named ${...} would be run in everybody's browser
    templates = {block.html_template for block in demo.blocks.values() if isinstance(block, gr.HTML)}
    assert templates == {"${value}", '<div class="ls-chart"></div>'}


def test_every_page_has_a_title_and_a_place_of_its_own():
    assert pages.PAGES[0].path == ""
    paths = [page.path for page in pages.PAGES]
    assert len(set(paths)) == len(paths)
    for page in pages.PAGES:
        assert page.title
        assert re.fullmatch(r"[a-z]*", page.path)
        assert not page.in_navigation or page.icon in parts.ICONS


def test_every_page_is_built_with_the_shell_around_it(demo):
    assert {path for path, *_ in demo.pages} == {page.path for page in pages.PAGES}
    config = demo.get_config_file()
    rails = [one for one in config["components"] if "ls-shell" in (one["props"].get("elem_classes") or [])]
    assert len(rails) == len(pages.PAGES)


def test_no_page_keeps_anything_in_memory_or_holds_a_connection_open(demo):
    # one gr.State, unload or stream event makes every page hold a connection, and the seventh tab of a browser hangs
    assert not [block for block in demo.blocks.values() if isinstance(block, gr.State)]
    events = {target[1] for fn in demo.fns.values() for target in fn.targets}
    assert not events & {"unload", "stream"}


def test_no_event_of_a_page_is_a_public_api_and_none_covers_the_page(demo):
    for fn in demo.fns.values():
        assert fn.api_visibility == "private", fn
        assert fn.show_progress == "hidden" or fn.fn is None, fn


def test_inputs_can_be_used_before_any_event_names_them(demo):
    kinds = (gr.Textbox, gr.Number, gr.Slider, gr.Dropdown, gr.Radio, gr.Checkbox, gr.CheckboxGroup, gr.File)
    stuck = [
        block
        for block in demo.blocks.values()
        if isinstance(block, kinds) and block.visible and block.interactive is not True
    ]
    assert [getattr(block, "label", block) for block in stuck] == []


def test_an_error_of_ours_is_shown_as_written():
    @plainly
    def handler():
        raise StudioError("Row 3 has <no> answer.", "Fill it in.")

    with pytest.raises(gr.Error) as caught:
        handler()
    assert caught.value.message == "Row 3 has &lt;no&gt; answer.<br>Fill it in."


def test_any_other_error_is_a_number_to_look_up_in_the_log(caplog):
    @plainly
    def handler():
        yield 1
        raise ValueError("secret detail")

    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as caught:
        list(handler())
    assert "secret" not in caught.value.message
    reference = re.search(r"reference ([0-9a-f]{8})", caught.value.message)[1]
    assert reference in caplog.text
    assert "secret detail" in caplog.text


def arriving(studio, name: str) -> Path:
    """Where Gradio puts an upload: into a folder of its own among the incoming ones."""
    folder = studio.data.incoming / "0f0f"
    folder.mkdir(exist_ok=True)
    return folder / name


def test_an_upload_moves_out_of_gradios_folder_and_is_found_by_its_id(studio):
    arrived = arriving(studio, "Mine.jsonl")
    arrived.write_text("{}")
    id, name = data_upload.accept(studio, str(arrived))
    assert name == "Mine.jsonl"
    assert not arrived.exists()
    assert data_upload.incoming_file(studio, id).read_text() == "{}"
    data_upload.forget(studio, id)
    with pytest.raises(BadInput, match="not here any more"):
        data_upload.incoming_file(studio, id)


@pytest.mark.parametrize("id", ["../studio", "..", "", "a/b", "x\0y"])
def test_an_id_from_the_browser_reaches_no_other_file(studio, id):
    with pytest.raises(BadInput):
        data_upload.incoming_file(studio, id)


def test_a_file_with_bad_rows_is_taken_only_when_the_person_says_so(studio):
    arrived = arriving(studio, "rows.jsonl")
    arrived.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "c", "output": ""}\n')
    *_, checks, _, drop, take = data_upload.inspect(studio, *data_upload.accept(studio, str(arrived)))
    assert "Row 2 (line 2)" in checks
    assert drop["visible"]
    assert not take["interactive"]


def test_rows_that_no_model_can_read_to_their_end_are_told_before_training():
    stats = TokenStats(
        rows=3,
        heldout_rows=0,
        total_tokens=24,
        trained_tokens=9,
        shortest=4,
        median=8,
        p95=12,
        longest=12,
        histogram=[(4, 1), (8, 1), (12, 1)],
        lengths=[4, 8, 12],
        trained=[1, 3, 5],
    )
    drawn = lengths.lengths(stats, context_length=8)
    assert "1 row longer than the 8 tokens" in drawn
    assert "class=over" in drawn
    assert "Answer: what is learned, from 1 to 5 tokens, half of them up to 3" in drawn
    assert "cut at 6" in lengths.lengths(stats, context_length=8, cut=6)
    assert "longer than" not in lengths.lengths(stats, context_length=12)


def test_home_offers_the_next_step_to_whoever_is_new():
    nothing = home_view.Counts()
    assert "Choose a base model" in home_view.steps(nothing, large=True)
    some = replace(nothing, models=1, datasets=3)
    assert "Train your first adapter" in home_view.steps(some, large=True)
    assert "2 of your own" in home_view.steps(replace(some, own_datasets=2, trained=1))


def test_home_tells_of_waiting_runs_that_nobody_will_start():
    assert "not running" in home_view.attention([], waiting=2, runner_alive=False)
    assert home_view.attention([], waiting=2, runner_alive=True) == ""
    assert home_view.attention([], waiting=0, runner_alive=False) == ""


@pytest.mark.parametrize("status", Status)
def test_every_state_of_a_run_has_a_word_and_a_colour(status):
    assert 'class="ls-chip' in parts.status_chip(status)


def test_a_page_comes_with_our_stylesheet_and_title_in_its_head(client):
    html = client.get("/models").text
    top = html[: html.index("</head>")]
    assert f'href="{head.ADDRESS}/style.css"' in top
    assert f'src="{head.ADDRESS}/early.js"' in top
    assert 'content="Models · LoRA Studio"' in top
    assert "fonts.googleapis" not in html


def test_our_files_may_be_kept_for_ever_because_their_address_is_their_content(client, tmp_path):
    answer = client.get(f"{head.ADDRESS}/style.css")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(f"{head.ADDRESS}/{head.FONT}").content[:4] == b"wOF2"
    (tmp_path / "a.css").write_text("a")
    before = head.version_of(tmp_path)
    (tmp_path / "a.css").write_text("b")
    assert head.version_of(tmp_path) != before


def test_pages_are_compressed_for_whoever_asks(client):
    answer = client.get("/", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "studio-title" in answer.text


def test_numbers_are_written_as_people_read_them():
    now = datetime(2026, 1, 10, tzinfo=UTC)
    assert words.count(1234567) == "1,234,567"
    assert words.plural(1, "row") == "1 row"
    assert words.short_count(41_943_040) == "41.9 M"
    assert words.size(84_000_000) == "84 MB"
    assert words.memory(24 * 2**30) == "24 GiB"
    assert [words.duration(seconds) for seconds in (None, 2.34, 45, 59.9, 1900, 3600, 7500, 90000)] == [
        "–", "2.3 s", "45 s", "1 min", "32 min", "1 h", "2 h 5 min", "1 d 1 h",
    ]  # fmt: skip
    assert words.ago(now - timedelta(minutes=5), now) == "5 min ago"
    assert words.ago(now - timedelta(days=30), now) == "11 Dec 2025"
    assert words.share(0.00524) == "0.524 %"
    assert words.rate(0.0002) == "2e-4"
    assert words.loss(None) == "–"


def test_marks_that_turn_or_hide_text_are_seen_in_the_preview():
    assert "abc[U+202E]def" in data_detail_view.tokens([Piece("abc\u202edef", True, False, 1)])
