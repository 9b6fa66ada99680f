"""Fixes of what the checks found: one row's or all of a kind, in a new version that says what was done; the original stays."""

import time

import pytest

from studio import datasets
from studio.errors import Invalid
from studio.folders import DatasetFolder
from studio.row_checks.findings import findings_of
from studio.versions import checking, drafts, lineage, saving
from studio.versions.edits import Edit
from tests.dataset_files import add_rows, answers, change, conversation, rows_of

ROWS = [
    conversation("Who?", "Write to jane@acme.org.<|im_end|>"),
    conversation("Where?", "At the harbour."),
    conversation("Where?", "At the harbour."),
    conversation("What?", "Ask bob@acme.org."),
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "there"}, {"role": "assistant", "content": "Ahoy!"}]},
    {"messages": [{"role": "user", "content": "And?"}, {"role": "assistant", "content": " "}]},
]  # fmt: skip


@pytest.fixture
def faulty(studio, tmp_path):
    return add_rows(studio, tmp_path, ROWS, on_bad_rows="drop")


def places(studio, id, check, version=None):
    folder = lineage.folder_of(studio, lineage.get_version(studio, id, version))
    return [place for place, _ in findings_of(folder, check)]


def test_what_was_found_is_counted_and_paged_with_the_rows(studio, faulty):
    state = checking.checked_state(studio, faulty.id)
    assert state.counts == {"email": 2, "left_out": 2, "control": 1, "duplicate": 1}
    page = checking.page_of(studio, faulty.id, 1, "email", 0, 1)
    assert (page["items"][0]["row"], page["items"][0]["found"], page["next"]) == (1, "jane@acme.org", 1)
    left = checking.page_of(studio, faulty.id, 1, "left_out")["items"]
    assert [(each["row"], each["kind"]) for each in left] == [(5, "order"), (6, "empty")]
    assert left[0]["value"] == ROWS[4]
    with pytest.raises(Invalid, match="no kind of finding 'nonsense'"):
        checking.page_of(studio, faulty.id, 1, "nonsense")


def test_all_of_a_kind_are_fixed_in_a_version_that_says_so_and_the_original_stays(studio, faulty):
    before = studio.data.dataset(faulty.id).messages.read_bytes()
    fixes = [Edit(op="fix", check=check) for check in ("email", "control", "duplicate", "left_out")]
    version = saving.save_version(studio, faulty.id, 1, fixes)
    assert answers(studio, faulty.id) == [
        "Write to someone@example.com.",
        "At the harbour.",
        "Ask someone@example.com.",
        "Ahoy!",
    ]
    assert (version.added, version.removed, version.changed) == (1, 1, 3)
    assert "2 rows with e-mail addresses replaced" in version.why
    assert "1 row dropped as duplicates" in version.why
    report = lineage.report_on(studio, version)
    assert [(fix.check, fix.mended, fix.dropped, fix.added) for fix in report.fixes] == [
        ("email", 2, 0, 0), ("control", 1, 0, 0), ("duplicate", 0, 1, 0), ("left_out", 0, 0, 1),
    ]  # fmt: skip
    assert checking.checked_state(studio, faulty.id).counts == {"left_out": 1}  # the one without an answer
    assert studio.data.dataset(faulty.id).messages.read_bytes() == before


def test_a_fix_of_one_row_touches_no_other(studio, faulty):
    saving.save_version(studio, faulty.id, 1, [Edit(op="fix", check="email", row=4)])
    assert answers(studio, faulty.id) == [*answers(studio, faulty.id, 1)[:3], "Ask someone@example.com."]
    assert places(studio, faulty.id, "email") == [0]


def test_a_fix_named_for_a_row_without_the_finding_changes_nothing(studio, faulty):
    saving.save_version(
        studio, faulty.id, 1, [Edit(op="fix", check="duplicate", row=1), Edit(op="fix", check="email", row=1)]
    )
    assert len(rows_of(studio, faulty.id)) == 4


def test_fixes_wait_in_the_draft_with_edits_and_a_row_written_by_hand_is_mended_and_not_dropped(studio, faulty):
    drafts.add_edits(studio, faulty.id, 1, [Edit(op="fix", check="duplicate"), Edit(op="fix", check="email")])
    drafts.add_edits(studio, faulty.id, 1, [change(3, "By hand, ask joe@acme.org.")])
    version = drafts.save_draft(studio, faulty.id)
    assert (
        answers(studio, faulty.id)[2] == "By hand, ask joe@acme.org."
    )  # it names what was found, and this was not there
    assert "2 rows with e-mail addresses replaced; 1 row changed" in version.why


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit(op="fix", check="nonsense"), "no kind of finding 'nonsense'"),
        (Edit(op="fix"), "no kind of finding ''"),
        (Edit(op="fix", check="email", row=99), "no such row"),
        (Edit(op="fix", check="email", value={"text": "x"}), "makes the row's value itself"),
        (Edit(op="drop", row=1, check="email"), "no finding is named"),
    ],
)
def test_a_fix_that_cannot_be_made_is_refused_by_name(studio, faulty, edit, words):
    with pytest.raises(Invalid, match=words):
        drafts.add_edits(studio, faulty.id, 1, [edit])


def test_the_second_pass_runs_on_its_own_and_its_findings_join_the_others(studio, tmp_path):
    said = " ".join(["The lighthouse stands on the last rock before the sea and its keeper counts the ships"] * 3)
    dataset = add_rows(
        studio, tmp_path, [conversation("Say.", said), conversation("Say.", f"{said} again."), *ROWS[:4]]
    )
    assert not checking.checked_state(studio, dataset.id).found.second_pass
    checking.start_check(studio, dataset.id)
    while (state := checking.checked_state(studio, dataset.id)).running:
        time.sleep(0.1)
    assert state.failed is None
    assert state.found.second_pass
    assert state.counts == {"email": 2, "control": 1, "duplicate": 1, "near_duplicate": 1}
    assert not DatasetFolder(studio.data.dataset(dataset.id).path).checking_progress.exists()


def test_rows_from_before_there_were_checks_are_checked_when_asked(studio, faulty):
    folder = studio.data.dataset(faulty.id)
    for path in folder.findings.iterdir():
        path.unlink()
    assert checking.checked_state(studio, faulty.id).found is None
    checking.start_check(studio, faulty.id)
    while (state := checking.checked_state(studio, faulty.id)).running:
        time.sleep(0.1)
    assert state.counts == {"email": 2, "left_out": 2, "control": 1, "duplicate": 1}
    assert datasets.report_of(studio, faulty.id).checks == {"email": 2, "control": 1, "duplicate": 1}
