"""What the Adapters page draws of the lab, without a browser: combining, the list of work, x-rays."""

import pytest

from studio import adapter_job_queue, adapter_jobs, adapters, base_models
from studio.errors import Invalid
from studio.files import write_json
from studio.lab_settings import read_lab_settings
from studio.pages import adapters_combine, adapters_extract, adapters_import, adapters_view, lab_view
from studio.pages.adapters import one_head
from studio.pages.adapters_combine import SAY_HOW_MANY, asked, chosen, fitting
from studio.pages.adapters_work import draw_jobs
from studio.records import AdapterJob, JobState
from studio.xrays import Xray, XrayedModule
from tests.finished_runs import NASTY
from tests.lora_adapters import add_lora


@pytest.fixture
def two(studio):
    base_models.add_builtin(studio)
    add_lora(studio, "pirate", rank=4, seed=1)
    add_lora(studio, "orders", rank=2, seed=2)
    adapters.rename_adapter(studio, "pirate", NASTY)
    return studio


def test_a_slider_appears_for_each_chosen_adapter_and_the_button_says_what_is_missing(two):
    picker, *sliders, button, trial = chosen(two, ["pirate"])
    assert [slider.get("visible") for slider in sliders] == [True] + [False] * 5
    assert (button["value"], button["interactive"]) == (SAY_HOW_MANY, False)
    assert not trial["interactive"]
    assert {id for _, id in picker["choices"]} == {"pirate", "orders"}
    assert [update["interactive"] for update in chosen(two, ["pirate", "orders"])[-2:]] == [True, True]


def test_only_adapters_of_the_base_of_the_first_one_can_be_chosen_with_it(two):
    builtin = base_models.get_model(two, "builtin")
    with two.database.write() as session:
        session.add(
            type(builtin)(
                id="other", name="Other", source="local", location="other", fingerprint="f", facts=builtin.facts
            )
        )
    add_lora(two, "stranger", base_model="other")
    assert {id for _, id in chosen(two, [])[0]["choices"]} == {"pirate", "orders", "stranger"}
    assert {id for _, id in chosen(two, ["pirate"])[0]["choices"]} == {"pirate", "orders"}
    assert chosen(two, ["pirate", "stranger", "gone"])[0]["value"] == ["pirate"]


def test_only_what_the_choice_needs_is_asked_for():
    assert [update["visible"] for update in fitting("exact")] == [False, False, False, True]
    assert [update["visible"] for update in fitting("svd")] == [True, False, False, False]
    assert [update["visible"] for update in fitting("dare")] == [True, True, True, False]


def test_what_is_asked_for_on_the_page_waits_as_a_job(two):
    said = asked(two, ["pirate", "orders"], "ties", 0, 0.25, 7, "Captain", 1, -0.5, 1, 1, 1, 1)
    assert "Captain is being made" in said
    [job] = adapter_jobs.list_jobs(two).items
    assert [parent["weight"] for parent in job.settings["parents"]] == [1.0, -0.5]
    assert (job.settings["density"], job.settings["rank"]) == (0.25, None)


def test_what_cannot_be_made_is_said_beside_the_form(two):
    assert "weight 0" in asked(two, ["pirate", "orders"], "exact", 0, 0.5, 0, "", 1, 0, 1, 1, 1, 1)
    assert "parents.0.weight" in asked(two, ["pirate", "orders"], "exact", 0, 0.5, 0, "", 99, 1, 1, 1, 1, 1)
    assert adapters_combine.MOST_ON_PAGE == 6


def job_of(studio, **values):
    settings = read_lab_settings({"kind": "stack", "parents": [{"adapter": "pirate"}, {"adapter": "orders"}]})
    job = adapter_jobs.queue_job(studio, settings)
    for name, value in values.items():
        setattr(job, name, value)
    return job


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_drawn_in_every_state_with_every_word_of_a_person_escaped(two, state):
    job = job_of(
        two,
        state=state,
        problem=NASTY,
        fix="Wait.",
        doing=NASTY,
        result={"adapter": "x", "rank": 6, "relative_error": 0.364},
    )
    html = lab_view.jobs([job])
    assert "<img" not in html
    assert ('data-act="cancel"' in html) == (state in adapter_jobs.OPEN)


def test_the_list_of_work_shows_how_far_it_is(two):
    assert draw_jobs(two) == ""
    job = adapter_job_queue.claim(two) or job_of(two)
    adapter_job_queue.claim(two)
    write_json(two.data.adapter_job(job.id).progress, {"done": 0.5, "doing": "Module 3 of 6"})
    adapter_job_queue.note_progress(two, adapter_jobs.get_job(two, job.id))
    assert all(said in draw_jobs(two) for said in ("Module 3 of 6", 'aria-valuenow="50"', "Working"))


def test_an_adapters_page_lists_the_work_that_it_had_a_part_in(two):
    add_lora(two, "robot", rank=2, seed=3)
    both = adapter_jobs.queue_job(
        two, read_lab_settings({"kind": "stack", "parents": [{"adapter": "pirate"}, {"adapter": "orders"}]})
    )
    smaller = adapter_jobs.queue_job(two, read_lab_settings({"kind": "shrink", "adapter": "robot", "rank": 1}))
    with two.database.write() as session:
        session.get(AdapterJob, both.id).result = {"adapter": "made"}
    listed = {
        id: [job.id for job in adapter_jobs.list_jobs(two, adapter=id).items] for id in ("pirate", "robot", "made")
    }
    assert listed == {"pirate": [both.id], "robot": [smaller.id], "made": [both.id]}
    assert adapter_jobs.list_jobs(two, adapter="pirat").items == []
    assert smaller.name in draw_jobs(two, "robot")
    assert both.name not in draw_jobs(two, "robot")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"rank": 6, "relative_error": 1.4e-8}, "Rank 6. Exactly the sum of the updates (relative error 1e-08)."),
        ({"rank": 6, "relative_error": 0.364}, "Rank 6. 36.4 % away from the exact sum of the updates."),
        (
            {"rank": 4, "energy_lost": 0.0164, "worst_energy_lost": 0.0242},
            "Rank 4. 1.64 % of the update's energy is lost, 2.42 % in the worst module.",
        ),
    ],
)
def test_what_was_lost_is_said_in_words(result, said):
    assert lab_view.in_words(result) == said


def test_an_x_ray_is_a_table_of_layers_by_modules():
    names = ["h.0.attn.c_proj", "h.0.mlp.c_proj", "h.0.attn.c_attn", "h.10.attn.c_attn", "h.2.attn.c_attn", "lm_head"]
    names = [f"transformer.{name}" for name in names]
    html = lab_view.xray(Xray([XrayedModule(name, 2, [3.0, 1.0 + number]) for number, name in enumerate(names)]))
    assert all(
        f'<th scope="col">{column}</th>' in html for column in ("attn.c_proj", "mlp.c_proj", "c_attn", "lm_head")
    )
    rows = [html.index(f'<th scope="row">{row}</th>') for row in (0, 2, 10, "Other")]
    assert rows == sorted(rows)
    assert "--heat:50%" in html


def test_the_name_of_a_module_cannot_become_markup():
    html = lab_view.xray(Xray([XrayedModule(NASTY, 2, [3.0, 1.0])]))
    assert "<img" not in html


def test_smaller_ranks_are_offered_where_they_are_enough():
    assert "Rank 1 keeps 99.8 %" in lab_view.offered(Xray([XrayedModule("a", 2, [20.0, 1.0])]))
    assert "All 2 of its directions are used" in lab_view.offered(Xray([XrayedModule("a", 2, [1.0, 1.0])]))


def test_a_combined_adapter_shows_what_it_is_made_from_even_with_a_strange_passport(two):
    adapter = adapters.get_adapter(two, "orders")
    parent = {"id": "pirate", "name": NASTY, "sha256": "ab" * 32, "weight": -0.5}
    for passport in (
        {"parents": [parent], "made_by": {"kind": "stack", "combination": "exact"}, "measured": {"rank": 6}},
        {"parents": [1], "made_by": 7},
        {"parents": 3},
    ):
        html = adapters_view.details(adapter, passport, "code")
        assert "Made from" in html
        assert "<img" not in html


def brought(studio, name, content) -> str:
    """A file as Gradio leaves an upload."""
    folder = studio.data.incoming / "0f0f"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return str(folder / name)


def test_an_adapter_is_imported_on_the_page(two):
    folder = two.data.adapter("orders")
    paths = [brought(two, path.name, path.read_bytes()) for path in (folder.config, folder.weights)]
    said, *_ = adapters_import.taken(two, paths, "", "", "", "", "From elsewhere")
    assert "From elsewhere is here now." in said
    assert adapters.list_adapters(two, "elsewhere").items[0].source == "import"


def test_what_cannot_be_imported_is_said_beside_the_form(two, tmp_path):
    (tmp_path / "secret.zip").write_bytes(b"secret")
    for paths, words in (
        (None, "Nothing is chosen"),
        ([str(tmp_path / "secret.zip")], "not here any more"),
        ([brought(two, "a.zip", b"x")], "adapter_config.json"),
    ):
        assert words in adapters_import.taken(two, paths, "", "", "", "", "")[0]
    assert (tmp_path / "secret.zip").exists()


def test_an_adapters_page_leads_to_combining_it_where_it_can_be(two):
    adapter = adapters.get_adapter(two, "orders")
    assert "/adapters?with=orders#combine" in one_head(adapter)
    adapter.method = "ia3"
    assert "#combine" not in one_head(adapter)


def test_an_extraction_is_asked_for_on_the_page_and_what_it_measured_is_told(two):
    whole, *choices = adapters_extract.pairs(two)
    assert (whole["visible"], choices[0]["choices"][0][1]) == (False, "builtin")  # one model is no pair
    assert "There is no base model" in adapters_extract.asked(two, "builtin", "gone", 8, 95, True, "")
    assert "same weights" in adapters_extract.asked(two, "builtin", "builtin", 8, 95, True, "")
    outside = {"outside_count": 3, "outside": [{"name": "<b>norm", "relative_change": 0.25}], "outside_kept": False}
    said = lab_view.in_words({"rank": 8, "energy_lost": 0.05, "worst_energy_lost": 0.2, **outside})
    assert "3 other weights differ too, most of all <b>norm (by 25 % of its norm). They are not in it." in said
    table = lab_view.by_module({"modules": [{"name": NASTY, "rank": 4, "energy_lost": 0.5}, 7, {"name": "x"}]})
    assert "1 module, one by one" in table
    assert "<img" not in table


def test_an_adapter_of_the_hub_is_asked_for_on_the_page_and_what_was_pushed_is_told(two):
    assert "is being made" in adapters_import.taken(two, None, "", "me/pirate", "main", "", "")[0]
    assert "is not the name of a model" in adapters_import.taken(two, None, "", "../x", "", "", "")[0]
    result = {"repo": "me/pirate", "url": "https://hub/me/pirate", "commit": "0123456789abcdef", "private": True}
    job = job_of(two, kind="push", state=JobState.DONE, result=result)
    assert 'href="https://hub/me/pirate"' in lab_view.job_row(job)
    assert "me/pirate, private, commit 0123456789a…." in lab_view.in_words(result)
    assert lab_view.place_of(job_of(two, result={"url": "javascript:alert(1)"})).startswith("/adapters")


def test_a_mix_can_be_tried_in_compare_before_it_is_made(two):
    said = adapters_combine.tried(two, ["pirate", "orders"], 1, -0.35, 1)
    assert said == "/compare?model=builtin&columns=base,pirate*1+orders*-0.35"
    both = ["pirate", "orders"]
    for ids, weights in ((["pirate"], [1]), (both, [1, 0]), (both, [1, None]), (None, [])):
        with pytest.raises(Invalid, match="nothing to mix"):
            adapters_combine.tried(two, ids, *weights)
