"""Rules on amounts and on the held-out loss: learned by heart, too few steps, too little to learn from, too little to measure on."""

import math

from studio.doctor.chart import Chart, Finding

OVERFIT_RISE = 0.02  # share by which the held-out loss must stand above its lowest
BY_HEART = (
    0.25  # what is left of the training loss, while the held-out loss stands still: only wording is left to learn
)
FEWEST_SINCE = 2  # evaluations since the lowest, all of them above it
FEW_STEPS = 20  # of training: fewer hardly move an adapter whose second matrix starts at 0
WANTED_STEPS = 60
STILL_FALLING = (
    0.1  # of all that the held-out loss fell, the share in the last quarter of the steps: usual runs have 1 %
)
FEW_TOKENS = 2_000  # learned in an epoch: a page or two of answers
FEW_ROWS = 16
FEWEST_HELDOUT = 10  # as the verdict needs them
MOST_EPOCHS = 1000


def overfits(chart: Chart) -> Finding | None:
    """The held-out loss rises, or stands still for long, while the training loss falls on."""
    learned = [point for point in chart.heldout if point[0] > 0]
    if len(learned) < FEWEST_SINCE + 1:
        return None
    at, lowest = min(learned, key=lambda point: point[1])
    since = [value for step, value in learned if step > at]
    then, now = chart.loss_at(at), chart.loss_at(chart.step)
    if len(since) < FEWEST_SINCE or min(since) <= lowest or then is None or now is None or now >= then:
        return None
    rose = since[-1] >= (1 + OVERFIT_RISE) * lowest
    by_heart = len(since) > FEWEST_SINCE and now < BY_HEART * then and now < BY_HEART * since[-1]
    if not (rose or by_heart):
        return None
    way = f"rose from {lowest:.3f} to {since[-1]:.3f}" if rose else f"has not fallen below {lowest:.3f}"
    seen = f"From step {at:,.0f} on the held-out loss {way}, while the training loss fell from {then:.3f} to {now:.3f}."
    cause = f"It learns the {chart.train_rows:,} {chart.unit}s by heart; what comes after step {at:,.0f} helps with nothing else."
    if chart.keeps_best:
        epochs = round(at / max(1, chart.steps_per_epoch), 2)
        change = f"{epochs:g} epochs: the adapter of step {at:,.0f} is kept already, and the rest is time."
        return Finding("overfits", "It learned by heart", seen, cause, change, {"training.epochs": float(epochs)})
    change = "Stop early: end when the held-out loss has not fallen in three evaluations, and keep the best step."
    return Finding("overfits", "It learned by heart", seen, cause, change, {"training.early_stopping": 3})


def too_few_steps(chart: Chart) -> Finding | None:
    """It ended after a handful of steps, or while the held-out loss was still falling steeply."""
    if not chart.ended or not chart.step:
        return None
    epochs = chart.step / max(1, chart.steps_per_epoch)
    few = chart.step < FEW_STEPS
    if not few and not is_still_falling(chart):
        return None
    times = WANTED_STEPS / chart.step if few else 2
    wanted = min(MOST_EPOCHS, max(1, math.ceil(epochs * times)))
    if few:
        seen = f"It ended after {chart.step:,} {'step' if chart.step == 1 else 'steps'}."
        cause = "An adapter begins as nothing and needs some dozen steps to become something."
    else:
        before, last = quarter(chart)
        seen = f"The held-out loss was still falling at the end: from {before:.3f} to {last:.3f} in the last quarter."
        cause = "It had not learned all that the data has to teach."
    changes = {"training.epochs": float(wanted), "training.max_steps": None}
    return Finding("too few steps", "It ended too soon", seen, cause, f"{wanted:,} epochs.", changes)


def is_still_falling(chart: Chart) -> bool:
    parts = quarter(chart)
    if parts is None:
        return False
    before, last = parts
    fallen = chart.heldout[0][1] - last
    return fallen > 0 and before - last > STILL_FALLING * fallen


def quarter(chart: Chart) -> tuple[float, float] | None:
    """The held-out loss at three quarters of the steps, and at the end."""
    earlier = [value for step, value in chart.heldout if 0 < step <= 0.75 * chart.step]
    return (earlier[-1], chart.heldout[-1][1]) if earlier and chart.heldout[-1][0] > 0.75 * chart.step else None


def too_little_text(chart: Chart) -> Finding | None:
    """So little is learned from that it can only be learned by heart."""
    if not chart.trained_tokens:
        return None
    steps = min(chart.steps_per_epoch, len(chart.trained_tokens))
    tokens = sum(value for _, value in chart.trained_tokens[:steps]) * chart.steps_per_epoch / max(1, steps)
    if chart.train_rows >= FEW_ROWS and tokens >= FEW_TOKENS:
        return None
    seen = f"It learned from {chart.train_rows:,} {chart.unit}{'s' if chart.train_rows != 1 else ''} with about {tokens:,.0f} tokens to learn."
    cause = "From so little it learns the wording, and hardly what is behind it."
    return Finding(
        "too little text",
        "There is little to learn from",
        seen,
        cause,
        "Bring more rows: some hundred are a good start.",
    )


def too_little_heldout(chart: Chart) -> Finding | None:
    """Too few rows are held out to say whether the adapter is better."""
    if chart.heldout_rows >= FEWEST_HELDOUT:
        return None
    count = chart.heldout_rows
    seen = f"{count or 'No'} {chart.unit}{' is' if count == 1 else 's are'} held out."
    cause = (
        "With fewer than ten, better and worse cannot be told from chance."
        if count
        else "So nobody can tell whether it is better."
    )
    total = chart.train_rows + count
    if chart.own_heldout or total < 4 * FEWEST_HELDOUT:
        return Finding(
            "little held out", "Little is held out", seen, cause, "Bring more rows, and hold ten or more of them out."
        )
    share = math.ceil(1000 * FEWEST_HELDOUT / total) / 1000
    change = f"A held-out share of {share:.1%}: {FEWEST_HELDOUT} of {total:,} {chart.unit}s."
    return Finding("little held out", "Little is held out", seen, cause, change, {"training.validation": share})
