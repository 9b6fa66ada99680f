"""Recognisers and reader under fuzzing: whatever a file holds, nothing crashes, and every row in it is accepted or reported."""

import csv
import io
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.dataset_reading import KNOWN_COLUMNS, ReadingRequest, read_file
from studio.errors import StudioError
from studio.folders import DatasetFolder
from studio.formats import FORMATS, RowFault
from studio.formats.strict_json import parse, strictly
from studio.row_checks.kinds.invisible import UNSEEN
from studio.rows import RowWriter, iter_training_rows

KEYS = st.sampled_from(sorted(KNOWN_COLUMNS)) | st.sampled_from(["from", "value", "content", "__proto__", "", "a\nb", "é", " prompt", "Prompt"])  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()  # NaN and infinities too
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "user",
            "assistant",
            "tool",
            "[]",
            "[{",
            '{"name": "f"}',
            "\ud83d",
            "<|im_end|>",
            "{{x}}",
            "true",
            "\x00",
            "long " * 300,
        ]
    )
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
MESSAGE = st.fixed_dictionaries(
    {}, optional={"role": SCALARS, "from": SCALARS, "content": VALUES, "value": VALUES, "tool_calls": VALUES, "weight": SCALARS, "text": SCALARS, "replies": VALUES}
)  # fmt: skip
ROW = st.dictionaries(KEYS, VALUES | st.lists(MESSAGE, max_size=4) | MESSAGE, max_size=5)
RAW = st.sampled_from(
    [
        '{"prompt": "a", "prompt": "b"}', '{"prompt": NaN, "completion": "b"}', '{"a": 1e999}', "[" * 70 + "]" * 70, '{"x": ' + "[" * 64 + "]" * 64 + "}",
        '{"prompt": "\\ud800", "completion": "b"}', "{", "}", "null", "[1, 2]", '"text"', "", "   ", '{"a": ' + "9" * 400 + "}", '{"prompt": "' + "x" * (1 << 20) + '"}',
        '{"prompt": "a", "completion": "b"}', '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]',
    ]
)  # fmt: skip
FUZZ = settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def counted(path, **request) -> None:
    """Read a file; where it is not refused in a sentence, all of its rows are accounted for, in the report and on disk."""
    folder = DatasetFolder(path.parent / "read").create()
    folder.messages.unlink(missing_ok=True)
    request = ReadingRequest(file=path, file_name="fuzzed", **request)
    report, fault = tried(read_file, request, folder)
    if fault:
        assert fault.problem
        assert fault.fix
        return
    report.model_dump_json()
    if report.needs_mapping:
        assert report.rows_total >= report.rows_bad
        return
    assert report.rows_total == report.rows_ready + report.rows_bad
    assert sum(1 for _ in iter_training_rows(folder)) == report.rows_ready
    assert len(report.bad) == min(report.rows_bad, 20)


def tried(read, *given) -> tuple:
    """(what it gave, None), or (None, the sentence that it ended with)."""
    try:
        return read(*given), None
    except (RowFault, StudioError) as fault:
        return None, fault


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "upload"


@FUZZ
@given(
    rows=st.lists(ROW.map(json.dumps) | RAW, min_size=1, max_size=6),
    format=st.none() | st.sampled_from(sorted(set(FORMATS) - {"columns"})),
)
def test_every_line_of_json_lines_is_accepted_or_reported(place, rows, format):
    place.write_text("\n".join(rows), encoding="utf-8", errors="surrogatepass")
    counted(place, format=format)


@FUZZ
@given(
    rows=st.lists(ROW.map(json.dumps) | RAW, min_size=1, max_size=6),
    before=st.sampled_from(["[", ""]),
    indent=st.booleans(),
)
def test_every_value_of_a_json_file_is_accepted_or_reported(place, rows, before, indent):
    text = (",\n" if indent else ",").join(rows)
    place.write_text(f"[{text}]" if before else text, encoding="utf-8", errors="surrogatepass")
    counted(place)


@FUZZ
@given(
    header=st.lists(KEYS, min_size=1, max_size=4), cells=st.lists(st.lists(st.text(max_size=10), max_size=5), max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|", "\x1f"]), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)  # fmt: skip
def test_every_row_of_a_table_is_accepted_or_reported(place, header, cells, delimiter, encoding):
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows([header, *cells])
    place.write_bytes(written.getvalue().encode(encoding, "replace"))
    counted(place)


@FUZZ
@given(
    content=st.binary(max_size=300),
    magic=st.sampled_from(
        [b"", b"PK\x03\x04", b"PAR1", b"ARROW1\x00\x00", b"\xff\xff\xff\xff", b"\x1f\x8b\x08\x00", b"{", b"# ? "]
    ),
)
def test_any_bytes_are_read_or_refused_in_a_sentence(place, content, magic):
    place.write_bytes(magic + content)
    counted(place)


@FUZZ
@given(row=ROW)
def test_every_format_reads_a_row_or_says_why_not(row):
    for format in (format for name, format in FORMATS.items() if name != "columns"):
        for value in format.several(row) if format.several else [row]:
            format.fits(value)
            _, fault = tried(format.read, value, format.mapping(list(value)))
            assert fault is None or (fault.problem and fault.fix)


@FUZZ
@given(text=ROW.map(json.dumps) | st.text(alphabet='{}[]":,\\ab01eE.-+ \n', max_size=40))
def test_the_fast_way_to_read_json_says_what_the_strict_one_says(text):
    def said(read) -> object:
        try:
            return repr(read(text))
        except RowFault as fault:
            return fault.kind

    assert said(parse) == said(strictly)


@FUZZ
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4), learn=st.none() | st.booleans())
def test_a_row_is_written_as_json_writes_it(tmp_path_factory, texts, learn):
    folder = DatasetFolder(tmp_path_factory.mktemp("written"))
    messages = [{"role": "user", "content": text} for text in texts]
    messages.append(
        {"role": "assistant", "content": '\x00\x1f\x7f\u2028"\\/\b', **({} if learn is None else {"learn": learn})}
    )
    writer = RowWriter(folder, 1 << 20)
    writer.write(1, None, {"messages": messages}, 1, heldout=True)
    writer.finish()
    row = {"row": 1, "line": None, "messages": messages, "heldout": True}
    assert folder.messages.read_bytes() == (json.dumps(row, ensure_ascii=False) + "\n").encode()


@FUZZ
@given(
    text=st.text(alphabet="\x1b[0;9m\x00\x7f\u200b\ufeffa\n", max_size=20),
)
def test_what_nobody_sees_is_found_as_by_two_patterns_one_after_the_other(text):
    apart = re.compile(
        "\x1b\\[[0-9;]{0,20}[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]"
    )
    assert UNSEEN.findall(text) == apart.findall(text)
