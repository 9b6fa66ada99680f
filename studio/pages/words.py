"""Numbers, sizes and times as people read them."""

from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def count(number: int | float) -> str:
    """1234567 → "1,234,567"."""
    return f"{round(number):,}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """(1, "row") → "1 row"; (2, "row") → "2 rows"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def short_count(number: int | float) -> str:
    """Parameters and tokens: 41943040 → "41.9 M"."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return count(number)


def size(number: int | float) -> str:
    """Bytes of a file, in the decimal units that file managers show: 84000000 → "84 MB"."""
    return _scaled(number, 1000, ("bytes", "kB", "MB", "GB", "TB"))


def memory(number: int | float) -> str:
    """Bytes of memory, in binary units: 12348030976 → "11.5 GiB"."""
    return _scaled(number, 1024, ("bytes", "KiB", "MiB", "GiB", "TiB"))


def _scaled(number: float, base: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if number < base - 0.5:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:.3g} {unit}"
        number /= base
    return f"{number:.3g} {units[-1]}"


def duration(seconds: float | None) -> str:
    """45 → "45 s", 1900 → "32 min", 7500 → "2 h 5 min", 400000 → "4 d 15 h"; "–" when it is not known."""
    if seconds is None or seconds < 0:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < MINUTE - 0.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    hours = round(seconds / HOUR)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long since: "just now", "5 min ago", "3 h ago", "2 days ago", then the date."""
    if moment is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min ago"
    if seconds < DAY:
        return f"{int(seconds // HOUR)} h ago"
    if seconds < 7 * DAY:
        return f"{plural(int(seconds // DAY), 'day')} ago"
    return moment.strftime("%-d %b %Y")


def nth(number: int) -> str:
    """2 → "2nd"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def in_line(number: int, seconds: float | None) -> str:
    """(2, 840.0) → "2nd in line, about 14 min"; without a time where none is known."""
    place = "next in line" if number == 1 else f"{nth(number)} in line"
    if seconds is None:
        return place
    return f"{place}, about {duration(seconds)}" if seconds >= 10 else f"{place}, in a moment"


def share(part: float) -> str:
    """0.00524 → "0.524 %"."""
    return f"{part * 100:.3g} %"


def figure(value: float) -> str:
    """A number of any size, in three digits: 2980.96 → "2.98 k"."""
    return short_count(value) if value >= 1000 else f"{value:.3g}"


def loss(value: float | None) -> str:
    """Three digits are what a person compares; "–" when there is none."""
    return "–" if value is None else f"{value:.3f}"


def rate(value: float | None) -> str:
    """A learning rate: 0.0002 → "2e-4"."""
    if value is None:
        return "–"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"
