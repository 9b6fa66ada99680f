"""The findings of all rules on one chart: the most important first, three at most, and none that comes and goes while a run goes on."""

from collections.abc import Callable

from studio.doctor import amounts, losses
from studio.doctor.chart import Chart, Finding

MOST = 3
Rule = Callable[[Chart], Finding | None]
# The first that is true of a group is said: a training that diverged has not also ended too soon.
GROUPS: tuple[tuple[Rule, ...], ...] = (
    (losses.diverged, losses.never_fell, losses.too_high, losses.too_low, amounts.overfits, amounts.too_few_steps),
    (amounts.too_little_text,),
    (amounts.too_little_heldout,),
)


def diagnosis(chart: Chart) -> list[Finding]:
    """Of a run that has ended: everything. Of one that goes on: what two evaluations in a row have shown."""
    return examined(chart) if chart.ended else lasting(chart)


def examined(chart: Chart) -> list[Finding]:
    found = []
    for group in GROUPS:
        for rule in group:
            if finding := rule(chart):
                found.append(finding)
                break
    return found[:MOST]


def lasting(chart: Chart) -> list[Finding]:
    """What holds at the newest evaluation and held at the one before, so that nothing comes and goes from step to step."""
    if chart.not_numbers:
        return examined(chart)
    looked_at = [step for step, _ in chart.heldout if step > 0]
    if len(looked_at) < 2:
        return []
    before = {finding.key for finding in examined(chart.until(looked_at[-2]))}
    return [finding for finding in examined(chart.until(looked_at[-1])) if finding.key in before]
