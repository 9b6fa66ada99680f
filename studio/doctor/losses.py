"""Rules on the training loss and the gradients: diverged, never fell, steps too large, steps too small."""

from statistics import median

from studio.doctor.chart import Chart, Finding

FEWEST_STEPS = 12  # below that a curve has no shape yet
RISE = 1.15  # the end over the beginning, beyond which a loss has risen: batches differ, but not by a seventh for long
FALL = 0.02  # a loss that fell by less than that share has not fallen
SPIKE = 6.0  # times the usual distance of two steps; a normal loss strays that far about never
GRADIENT_SPIKE = 10.0  # times the median of the steps before it
FEWEST_SPIKES = 3  # one odd batch is the data's, not the rate's
LOOK_BACK = 16  # steps that a spike is compared with
TOO_LOW = 5.0  # the usual rate over the chosen one, beyond which too small is the likely reason
STUCK, STUCK_HIGH = 0.05, 0.25  # a loss that fell by less in the second half, and is still so much of its beginning
SLOW_FALL = 0.6  # share of the loss; what fell by more has learned something, whatever the rate


def diverged(chart: Chart) -> Finding | None:
    """The loss was not a number, or stands at the end clearly above its beginning."""
    lower = rate_below(chart, 10)
    cause = f"Steps of {rate(chart.learning_rate)} are too large: each one overshoots."
    change = {"training.learning_rate": lower}
    if chart.not_numbers:
        first, count = int(chart.not_numbers[0]), len(chart.not_numbers)
        times = "once" if count == 1 else f"{count} times"
        seen = f"The loss was not a number {times}, first at step {first:,}."
        return Finding("diverged", "It diverged", seen, cause, f"Learning rate {rate(lower)}.", change)
    if len(chart.loss) < FEWEST_STEPS:
        return None
    first, last = chart.level(0, 0.15), chart.level(0.85, 1)
    if first is None or last is None or last < RISE * first or last - first < 3 * chart.noise():
        return None
    seen = f"The training loss rose from {first:.3f} to {last:.3f} by step {chart.step:,}."
    return Finding("diverged", "It diverged", seen, cause, f"Learning rate {rate(lower)}.", change)


def never_fell(chart: Chart) -> Finding | None:
    """After a third of the steps and a dozen of them, the loss is where it began, and so is the held-out loss."""
    if len(chart.loss) < FEWEST_STEPS or (not chart.ended and chart.done < 1 / 3) or has_learned(chart):
        return None
    first, last = chart.level(0, 0.15), chart.level(0.85, 1)
    if first is None or last is None or last < (1 - FALL) * first or last > RISE * first:
        return None
    seen = f"The training loss is {last:.3f} after {chart.step:,} steps; it began at {first:.3f}."
    if is_low(chart):
        usual = chart.usual_rate
        cause = f"Steps of {rate(chart.learning_rate)} are too small; {rate(usual)} is usual for this base and method."
        return Finding(
            "never fell",
            "It never fell",
            seen,
            cause,
            f"Learning rate {rate(usual)}.",
            {"training.learning_rate": usual},
        )
    if is_high(chart):
        lower = rate_below(chart, 10)
        cause = f"Steps of {rate(chart.learning_rate)} are too large for it to settle."
        return Finding(
            "never fell",
            "It never fell",
            seen,
            cause,
            f"Learning rate {rate(lower)}.",
            {"training.learning_rate": lower},
        )
    cause = "The answers may be what the base says already, or have nothing to do with their questions."
    return Finding("never fell", "It never fell", seen, cause, "Look at the rows, and at the samples beside them.")


def has_learned(chart: Chart) -> bool:
    """Whether the held-out loss fell below the base's: large models learn most of it in their first few steps."""
    return (
        len(chart.heldout) > 1 and chart.heldout[0][0] == 0 and chart.heldout[-1][1] < (1 - FALL) * chart.heldout[0][1]
    )


def too_high(chart: Chart) -> Finding | None:
    """The loss jumps, rises for a while or stays where it is, or gradients are suddenly many times as long."""
    if len(chart.loss) < FEWEST_STEPS:
        return None
    seen = rise_in_words(chart) or jumps_in_words(chart) or plateau_in_words(chart)
    if seen is None:
        return None
    lower = rate_below(chart, 3)
    cause = f"Steps of {rate(chart.learning_rate)} are at the edge of what this training bears."
    change = {"training.learning_rate": lower}
    return Finding("too high", "The learning rate is too high", seen, cause, f"Learning rate {rate(lower)}.", change)


def jumps_in_words(chart: Chart) -> str | None:
    jumps, bursts = spikes_of_loss(chart), spikes_of_gradient(chart)
    fewest = max(FEWEST_SPIKES, len(chart.loss) // 100)
    if len(jumps) >= fewest:
        return f"The training loss jumped up at {steps_in_words(jumps)}."
    if len(bursts) >= fewest:
        return f"The gradient was over {GRADIENT_SPIKE:g} times as long as before at {steps_in_words(bursts)}."
    return None


def rise_in_words(chart: Chart) -> str | None:
    """Of a loss that rose for a while and fell again: by tenths of the steps, so that single batches do not count."""
    if len(chart.loss) < 3 * FEWEST_STEPS:
        return None
    lowest, noise = None, chart.noise()
    for tenth in range(10):
        level = chart.level(tenth / 10, (tenth + 1) / 10)
        if lowest is not None and level > RISE * lowest and level - lowest > 3 * noise:
            return f"The training loss rose from {lowest:.3f} to {level:.3f} by step {chart.step * (tenth + 1) // 10:,}, amid the training."
        lowest = level if lowest is None else min(lowest, level)
    return None


def plateau_in_words(chart: Chart) -> str | None:
    """Of steps far above the usual, with which the loss fell at first and has then stayed high."""
    if len(chart.loss) < 3 * FEWEST_STEPS or not is_high(chart) or (not chart.ended and chart.done < 0.5):
        return None
    first, middle, last = chart.level(0, 0.1), chart.level(0.4, 0.5), chart.level(0.9, 1)
    if last < STUCK_HIGH * first or last < (1 - STUCK) * middle:
        return None
    return f"The training loss has stayed at {last:.3f} since about step {chart.step // 2:,}."


def too_low(chart: Chart) -> Finding | None:
    """It fell, but by little, with steps far below the usual."""
    if len(chart.loss) < FEWEST_STEPS or (not chart.ended and chart.done < 0.5) or not is_low(chart):
        return None
    first, last = chart.level(0, 0.1), chart.level(0.9, 1)
    if first is None or last is None or not (FALL <= 1 - last / first < SLOW_FALL):
        return None
    usual = chart.usual_rate
    seen = f"The training loss fell slowly, from {first:.3f} to {last:.3f} in {chart.step:,} steps."
    cause = f"Steps of {rate(chart.learning_rate)} are small; {rate(usual)} is usual for this base and method."
    change = {"training.learning_rate": usual}
    return Finding("too low", "The learning rate is too low", seen, cause, f"Learning rate {rate(usual)}.", change)


def spikes_of_loss(chart: Chart) -> list[int]:
    """Steps whose loss stands far above the ones before it, after the warm-up, and that of the next step too.

    A batch of odd rows stands out alone; a step that was too large is felt by the next one.
    """
    noise, found = chart.noise(), []
    for at in range(3, len(chart.loss) - 1):
        step, value = chart.loss[at]
        before = [each for _, each in chart.loss[max(0, at - LOOK_BACK) : at]]
        usual = median(before)
        far = max(SPIKE * noise, 0.25 * usual)
        if step > chart.warmup_steps and value - usual > far and chart.loss[at + 1][1] - usual > far / 2:
            found.append(int(step))
    return found


def spikes_of_gradient(chart: Chart) -> list[int]:
    found = []
    for at in range(3, len(chart.grad_norm)):
        step, value = chart.grad_norm[at]
        before = [each for _, each in chart.grad_norm[max(0, at - LOOK_BACK) : at]]
        if step > chart.warmup_steps and value > GRADIENT_SPIKE * median(before) and value > chart.max_grad_norm:
            found.append(int(step))
    return found


def is_low(chart: Chart) -> bool:
    return chart.usual_rate is not None and chart.learning_rate * TOO_LOW <= chart.usual_rate


def is_high(chart: Chart) -> bool:
    return chart.usual_rate is not None and chart.learning_rate >= TOO_LOW * chart.usual_rate


def rate_below(chart: Chart, times: float) -> float:
    """A learning rate to try: so many times lower, or the usual one where that is lower still."""
    lower = chart.learning_rate / times
    if chart.usual_rate is not None and is_high(chart):
        lower = min(lower, chart.usual_rate) if times > 3 else chart.usual_rate
    return float(f"{lower:.1e}")


def rate(value: float) -> str:
    """0.0002 → "2e-4"."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def steps_in_words(steps: list[int]) -> str:
    named = ", ".join(f"{step:,}" for step in steps[:3])
    return f"step {named}" + (f" and {len(steps) - 3} more" if len(steps) > 3 else "")
