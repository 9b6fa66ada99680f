"""What a training tells is read as it grows: half-written lines, several attempts, and a million rows included."""

import json
import random
from collections import OrderedDict

import pytest

from studio import metrics, metrics_file
from studio.curves import MOST_BUCKETS, Curve, means, thinned
from studio.errors import NotFound
from studio.folders import AttemptFolder
from tests.queueing import queued


@pytest.fixture
def run(studio):
    return queued(studio)


def attempt_of(studio, run, epoch=1) -> AttemptFolder:
    return studio.data.run(run.id).attempt(epoch).create()


def tell(path, *rows, end="\n"):
    with open(path, "a") as file:
        file.write("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + end)


def step(number, loss=None, **more):
    return {
        "step": number,
        "steps": 20,
        "loss": 4.0 / number if loss is None else loss,
        "tokens": 100,
        "at": 1000.0 + number,
        **more,
    }


def losses(studio, run, points=240, since=0):
    found = metrics.series(studio, run.id, ["loss"], points, since)["loss"]
    return list(zip(found["x"], found["y"], strict=True))


def test_curves_grow_with_the_file_and_are_not_read_twice(studio, run):
    path = attempt_of(studio, run).metrics
    assert losses(studio, run) == []
    tell(path, {"step": 0, "heldout_loss": 5.0}, step(1), step(2))
    assert losses(studio, run) == [(1, 4.0), (2, 2.0)]
    read = metrics_file.of_attempt(attempt_of(studio, run)).offset
    assert read == path.stat().st_size
    tell(path, step(4))
    assert losses(studio, run) == [(1, 4.0), (2, 2.0), (4, 1.0)]
    assert losses(studio, run, since=1) == [(2, 2.0), (4, 1.0)]
    assert metrics.series(studio, run.id, ["heldout_loss", "nothing"]) == {
        "heldout_loss": {"x": [0], "y": [5.0]},
        "nothing": {"x": [], "y": []},
    }


def test_a_line_that_is_still_being_written_waits_for_its_end(studio, run):
    path = attempt_of(studio, run).metrics
    tell(path, step(1), '{"step": 2, "lo', end="")
    assert losses(studio, run) == [(1, 4.0)]
    tell(path, 'ss": 3.5}')
    assert losses(studio, run) == [(1, 4.0), (2, 3.5)]


@pytest.mark.parametrize(
    "line",
    ["", "[" * 100_000, '{"step": 2, "loss": 1' + "0" * 400 + "}", "garbage", "[1, 2]", "7", '{"step": "2"}', '{"loss": 3}', '{"step": null, "loss": 3}', '{"step": 2, "loss": NaN}', '{"step": 2, "loss": Infinity}', '{"step": 2, "loss": true}', '{"step": 2, "loss": null}', "\x00\x00\x00", '{"step": 2, "loss": "3"}'],
)  # fmt: skip
def test_a_line_that_means_nothing_is_passed_over(studio, run, line):
    tell(attempt_of(studio, run).metrics, step(1), line, step(3))
    assert [x for x, _ in losses(studio, run)] == [1, 3]
    json.dumps(metrics.latest(studio, run.id), allow_nan=False)


def test_a_line_without_end_does_not_hold_up_what_follows(studio, run):
    path = attempt_of(studio, run).metrics
    tell(path, step(1), "x" * (2 * metrics_file.CHUNK_BYTES + 5), step(3))
    assert [x for x, _ in losses(studio, run)] == [1, 3]


def test_a_file_that_became_shorter_is_read_anew(studio, run):
    path = attempt_of(studio, run).metrics
    tell(path, step(1), step(2), step(3))
    losses(studio, run)
    path.write_text(json.dumps(step(7)) + "\n")
    assert [x for x, _ in losses(studio, run)] == [7]


def test_steps_that_a_later_attempt_did_again_count_once(studio, run):
    first, second = attempt_of(studio, run, 1), attempt_of(studio, run, 4)
    tell(
        first.metrics,
        {"step": 0, "heldout_loss": 5.0},
        *[step(n, 9.0) for n in range(1, 8)],
        {"step": 6, "heldout_loss": 4.5},
    )
    tell(first.samples, *[{"step": n, "prompt": "Hi", "answer": "first"} for n in (0, 4, 6)])
    assert len(losses(studio, run)) == 7
    tell(second.metrics, *[step(n, 1.0) for n in range(6, 11)], {"step": 10, "heldout_loss": 2.0})
    tell(second.samples, {"step": 10, "prompt": "Hi", "answer": "second"})
    assert losses(studio, run) == [(n, 9.0) for n in range(1, 6)] + [(n, 1.0) for n in range(6, 11)]
    assert metrics.series(studio, run.id, ["heldout_loss"])["heldout_loss"]["x"] == [0, 10]
    assert [sample["step"] for sample in metrics.samples(studio, run.id)] == [0, 4, 10]
    progress = metrics.RunMetrics(studio.data.run(run.id)).progress()
    assert (progress["step"], progress["heldout_loss"], progress["base_heldout_loss"]) == (10, 2.0, 5.0)


def test_progress_holds_what_lists_show(studio, run):
    path = attempt_of(studio, run).metrics
    assert metrics.RunMetrics(studio.data.run(run.id)).progress() == {}
    tell(path, {"step": 0, "heldout_loss": 5.0}, *[step(n) for n in range(1, 11)])
    progress = metrics.RunMetrics(studio.data.run(run.id)).progress()
    assert (progress["step"], progress["steps"], progress["base_heldout_loss"]) == (10, 20, 5.0)
    assert progress["seconds_left"] == pytest.approx(10.0)  # one second from each step to the next
    assert progress["sparkline"] == [round(4.0 / n, 4) for n in range(1, 11)]
    assert 0.4 < progress["loss"] < 4.0


def test_a_sparkline_has_at_most_forty_points(studio, run):
    tell(attempt_of(studio, run).metrics, *[step(n) for n in range(1, 1001)])
    assert 30 <= len(metrics.RunMetrics(studio.data.run(run.id)).progress()["sparkline"]) <= 40


def test_latest_has_the_last_values_and_sums(studio, run):
    tell(
        attempt_of(studio, run).metrics,
        {"step": 0, "heldout_loss": 5.0},
        step(1, tokens_per_second=90.0),
        step(2, tokens_per_second=110.0, memory_bytes=7),
    )
    found = metrics.latest(studio, run.id)
    assert (found["loss"], found["tokens_per_second"], found["memory_bytes"], found["heldout_loss"]) == (
        2.0,
        110.0,
        7,
        5.0,
    )
    assert (found["total_tokens"], found["base_heldout_loss"], found["seconds_left"]) == (200, 5.0, 18.0)


def test_a_thinned_curve_keeps_every_peak():
    curve = Curve()
    curve.extend(range(200_000), [1.0] * 200_000)
    curve.extend([200_000], [50.0])  # one step's spike
    for x in range(200_001, 210_000):
        curve.extend([x], [2.0])
    assert len(curve.buckets) <= MOST_BUCKETS
    found = thinned(curve.buckets, 240)
    assert len(found) <= 240
    assert (200_000, 50.0) in found
    assert found == sorted(found)
    assert found[0][0] == 0


def test_points_in_bulk_make_the_same_curve_as_one_by_one():
    numbers = random.Random(1)
    ys = [numbers.random() for _ in range(20_000)]
    single, bulk = Curve(), Curve()
    for x, y in enumerate(ys):
        single.extend([x], [y])
    for start in range(0, len(ys), 777):
        bulk.extend(range(len(ys))[start : start + 777], ys[start : start + 777])
    assert [bucket.low for bucket in single.buckets] == [bucket.low for bucket in bulk.buckets]
    assert [bucket.count for bucket in single.buckets] == [bucket.count for bucket in bulk.buckets]


def test_of_a_long_run_only_what_is_new_is_read_also_by_another_process(studio, run, monkeypatch):
    monkeypatch.setattr(metrics_file, "SAVED_EVERY_BYTES", 1000)
    attempt = attempt_of(studio, run)
    tell(attempt.metrics, {"step": 0, "heldout_loss": 5.0}, *[step(n) for n in range(1, 6001)])
    before = losses(studio, run), metrics.latest(studio, run.id)
    monkeypatch.setattr(metrics_file, "_remembered", OrderedDict())  # as another process begins
    with open(attempt.metrics, "r+b") as file:
        file.write(b"#" * 500)  # who read it from its beginning would find garbage
    assert (losses(studio, run), metrics.latest(studio, run.id)) == before
    tell(attempt.metrics, step(6001, 77.0))
    assert (6001, 77.0) in losses(studio, run)
    for damaged in ("", "{", "[]", '{"version": 1}', '{"version": 1, "state": {"offset": 5}, "curves": {"loss": 3}}'):
        attempt.curves.write_text(damaged)
        monkeypatch.setattr(metrics_file, "_remembered", OrderedDict())
        assert losses(studio, run)[-1] == (6001, 77.0)


@pytest.mark.parametrize("count", [0, 1, 2, 239, 240, 241, 5000])
def test_thinning_never_gives_more_than_was_asked_for(count):
    curve, numbers = Curve(), random.Random(count)
    for x in range(count):
        curve.extend([x], [numbers.random()])
    for most in (2, 3, 40, 240, 5000):
        found = thinned(curve.buckets, most)
        assert len(found) <= most
        if count <= min(most, MOST_BUCKETS):
            assert len(found) == count
        assert len(means(curve.buckets, most)) <= most


def test_the_log_of_all_attempts_is_one_text(studio, run):
    attempt_of(studio, run, 1).log.write_text("first\n")
    attempt_of(studio, run, 3).log.write_text("zweite: schön €\n")
    text, offset = metrics.log(studio, run.id)
    assert text == "first\nzweite: schön €\n"
    assert metrics.log(studio, run.id, offset) == ("", offset)
    assert metrics.log(studio, run.id, 6)[0] == "zweite: schön €\n"
    assert metrics.log(studio, run.id, -5)[0] == " €\n"
    assert metrics.log(studio, run.id, 10**9) == ("", 10**9)


def test_a_log_read_in_small_pieces_loses_no_letter(studio, run):
    whole = "Äpfel, 海賊, 🏴‍☠️ und €\n" * 3
    attempt_of(studio, run, 1).log.write_text(whole[:20])
    attempt_of(studio, run, 2).log.write_text(whole[20:])
    for most in range(4, 9):
        pieces, offset = "", 0
        while True:
            text, following = metrics.log(studio, run.id, offset, most)
            if following == offset:
                break
            pieces, offset = pieces + text, following
        assert pieces == whole


def test_a_log_that_is_no_text_is_shown_as_far_as_it_is(studio, run):
    attempt_of(studio, run).log.write_bytes(b"ok \xff\xfe end")
    assert metrics.log(studio, run.id)[0] == "ok �� end"


@pytest.mark.parametrize(
    "ask", [metrics.latest, metrics.samples, metrics.log, lambda studio, id: metrics.series(studio, id, ["loss"])]
)
def test_a_run_that_is_not_there_is_not_found(studio, ask):
    with pytest.raises(NotFound):
        ask(studio, "../../etc")
