"""Whatever rows say: the checks do not fail, no row is lost, a fix made twice is a fix made once, and touches only rows it names."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.dataset_reading import ReadingRequest, read_file
from studio.errors import BadInput
from studio.folders import DatasetFolder
from studio.formats import Conversation
from studio.row_checks.findings import findings_of, found_in
from studio.row_checks.kinds import CHECKS
from studio.row_checks.left_out import left_out_of
from studio.row_checks.mending import mended
from studio.rows import iter_training_rows
from studio.versions.edits import LEFT_OUT, Changes, Fix
from studio.versions.rewriting import Rewriting, rewrite

# Pieces that checks look for, whole and broken, between any letters
PIECES = ["<|im_end|>", "<|im_", "end|>", "</s>", "[INST]", "{{name}}", "[Your Name]", "<your name>", "Ã¶", "Ã", "â€™", "\ufffd", "\u200b", "\x1b[31m", "\x1b", "a@b.org", "@", "+49 30 12345678", "(202) 333-4199",
          "0123456789", "sk-abcdefghij0123456789ABCDEF", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----", "```", "N/A", "…", "\n", " ", "Tell me."]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "nobody"]), "content": TEXT})
USUAL = st.tuples(TEXT, TEXT).map(
    lambda both: [{"role": "user", "content": both[0]}, {"role": "assistant", "content": both[1]}]
)
ROWS = st.lists(st.fixed_dictionaries({"messages": USUAL | st.lists(MESSAGE, max_size=5)}), min_size=1, max_size=12)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(rows: list[dict], place: Path):
    file, folder = place / "rows.jsonl", DatasetFolder(place / "first")
    folder.path.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_file(ReadingRequest(file=file, file_name="rows.jsonl", format="messages"), folder), folder


def rewritten(report, folder: DatasetFolder, name: str, checks: list[str]):
    made = DatasetFolder(folder.path.parent / name)
    made.path.mkdir()
    changes = Changes(fixes=[Fix(check=check) for check in checks])
    return rewrite(Rewriting(parent=folder.path, report=report, changes=changes, last_number=99), made), made


def said(folder: DatasetFolder) -> list:
    return [row["messages"] for row in iter_training_rows(folder)]


@FEW
@given(ROWS)
def test_rows_in_are_rows_accepted_and_rows_reported(rows):
    with TemporaryDirectory() as place:
        report, folder = read(rows, Path(place))
        assert report.rows_total == len(rows) == report.rows_ready + report.rows_bad
        assert len(said(folder)) == report.rows_ready == found_in(folder).rows
        left = list(left_out_of(folder))
        assert len(left) == report.rows_bad == report.rows_left_out
        numbers = {row["row"] for row in iter_training_rows(folder)} | {each.row for each in left}
        assert numbers == set(range(1, len(rows) + 1))
        for check, count in report.checks.items():
            places = [place for place, _ in findings_of(folder, check)]
            assert len(places) == count == len(set(places))
            assert all(0 <= place < report.rows_ready for place in places)


@FEW
@given(TEXT, st.sampled_from([name for name, check in CHECKS.items() if check.mend]))
def test_a_fix_made_twice_is_a_fix_made_once_and_takes_the_finding_away(answer, check):
    row = Conversation([{"role": "user", "content": "Tell me."}, {"role": "assistant", "content": answer or "."}])
    once = mended(row, check)
    if once is None:
        return
    assert mended(once, check).fields == once.fields
    text = "\n".join(message["content"] for message in once.messages)
    assert CHECKS[check].mend(text) == text


@FEW
@given(ROWS, st.sampled_from([*CHECKS, LEFT_OUT]))
def test_a_fix_touches_only_the_rows_it_names_and_loses_none(rows, check):
    with TemporaryDirectory() as place:
        report, folder = read(rows, Path(place))
        named = {place for place, _ in findings_of(folder, check)}
        try:
            after, made = rewritten(report, folder, "second", [check])
        except BadInput:
            assert report.rows_ready <= len(named)  # nothing was left
            return
        dropped = sum(fix.dropped for fix in after.fixes)
        added = sum(fix.added for fix in after.fixes)
        assert after.rows_ready == report.rows_ready - dropped + added
        assert after.rows_left_out == report.rows_left_out - added
        before, now = list(iter_training_rows(folder)), {row["row"]: row for row in iter_training_rows(made)}
        for at, row in enumerate(before):
            if at not in named:
                assert now[row["row"]]["messages"] == row["messages"]
        try:
            again, third = rewritten(after, made, "third", [check])
        except BadInput:
            return
        if check in CHECKS and CHECKS[check].mend is None and CHECKS[check].look is None:
            return  # what is found by comparing rows is found anew where rows have gone
        assert said(third) == said(made)
        assert not again.fixes
