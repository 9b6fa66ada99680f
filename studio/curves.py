"""Curves of any length in bounded memory: rows fall into buckets that keep their lowest and highest value, and merge as they become many."""

from dataclasses import dataclass

MOST_BUCKETS = 4096
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

    def add(self, x: float, y: float) -> None:
        point = (x, y)
        if self.buckets and self.buckets[-1].count < self.width:
            self.buckets[-1].add(Bucket(1, x, x, y, point, point))
            return
        if len(self.buckets) >= MOST_BUCKETS:
            self.buckets, self.width = merged(self.buckets, MOST_BUCKETS // 2), self.width * 2
        self.buckets.append(Bucket(1, x, x, y, point, point))

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
