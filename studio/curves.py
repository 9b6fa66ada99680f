"""Curves of any length in bounded memory: rows fall into buckets that keep their lowest and highest value, and merge as they become many."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

MOST_BUCKETS = 2048
Point = tuple[float, float]


@dataclass(slots=True)
class Bucket:
    """Neighbouring points: how many, where the first and last are, their sum, and the extremes, which are what a reader looks for."""

    count: int
    first_x: float
    last_x: float
    total: float
    low: Point  # (x, y) of the lowest
    high: Point

    @classmethod
    def of(cls, xs: Sequence[float], ys: Sequence[float]) -> "Bucket":
        low, high = min(ys), max(ys)
        return cls(len(ys), xs[0], xs[-1], sum(ys), (xs[ys.index(low)], low), (xs[ys.index(high)], high))

    def add(self, other: "Bucket") -> None:
        self.count += other.count
        self.last_x = other.last_x
        self.total += other.total
        self.low = min(self.low, other.low, key=lambda point: point[1])
        self.high = max(self.high, other.high, key=lambda point: point[1])

    def points(self) -> list[Point]:
        return [self.low] if self.low == self.high else sorted((self.low, self.high))


class Curve:
    """One value over the steps. Exact up to MOST_BUCKETS points; above, a peak or a dip of one step is still there."""

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self.width = 1  # points per bucket

    def extend(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        """More points, at x beyond those there are."""
        place = 0
        while place < len(ys):
            room = self.width - self.buckets[-1].count if self.buckets else 0
            if room:
                self.buckets[-1].add(Bucket.of(xs[place : place + room], ys[place : place + room]))
            else:
                room = self.width
                if len(self.buckets) >= MOST_BUCKETS:
                    self.buckets, self.width = merged(self.buckets, MOST_BUCKETS // 2), self.width * 2
                    continue
                self.buckets.append(Bucket.of(xs[place : place + room], ys[place : place + room]))
            place += room

    def as_rows(self) -> list[list]:
        """Every bucket as numbers, for a file; from_rows() reads them back."""
        return [list(astuple(bucket)) for bucket in self.buckets]

    @classmethod
    def from_rows(cls, rows: list[list], width: int) -> "Curve":
        curve = cls()
        curve.width = width
        curve.buckets = [Bucket(*numbers, tuple(low), tuple(high)) for *numbers, low, high in rows]
        return curve

    def until(self, x: float) -> list[Bucket]:
        """What lies before x."""
        return [bucket for bucket in self.buckets if bucket.first_x < x]


def merged(buckets: list[Bucket], most: int) -> list[Bucket]:
    """Neighbours together, so that at most `most` are left."""
    together = -(-len(buckets) // most)
    if together <= 1:
        return buckets
    fewer = []
    for start in range(0, len(buckets), together):
        first, *others = buckets[start : start + together]
        bucket = Bucket(first.count, first.first_x, first.last_x, first.total, first.low, first.high)
        for other in others:
            bucket.add(other)
        fewer.append(bucket)
    return fewer


def thinned(buckets: list[Bucket], most: int) -> list[Point]:
    """At most `most` points in order of x: all of them where there are no more, otherwise lows and highs of even parts."""
    if sum(bucket.count for bucket in buckets) <= most:
        return [point for bucket in buckets for point in bucket.points()]
    return [point for bucket in merged(buckets, max(1, most // 2)) for point in bucket.points()]


def means(buckets: list[Bucket], most: int) -> list[float]:
    """At most `most` averages of even parts: the shape of the curve, for a sparkline."""
    return [bucket.total / bucket.count for bucket in merged(buckets, most)]
