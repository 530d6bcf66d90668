"""What is counted in place: counters and histograms, and how the values of gauges are put together.

Plain Python, because an addition to a dict is all that a server pays for them; the package that writes them down for
Prometheus is only needed when they are asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

MOST_SERIES = 2_000
"""Combinations of labels of one metric; what comes after these is counted under `OTHER`."""
OTHER = "other"

Labels = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Distribution:
    """How often each bucket was hit (the last one is beyond all bounds), and the sum of what was observed."""

    counts: list[int]
    total: float = 0.0


@dataclass(slots=True, eq=False)
class LabelledCounter:
    """Something that only grows, by the values of its labels. One thread counts with it."""

    name: str
    text: str
    labels: Sequence[str] = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *labels: str, count: float = 1) -> None:
        """Count `count` more."""
        try:
            self.values[labels] += count
        except KeyError:
            labels = _bounded(self.values.__len__, labels)
            self.values[labels] = self.values.get(labels, 0) + count


@dataclass(slots=True, eq=False)
class Histogram:
    """How something is distributed, by the values of its labels. `bounds` are the upper ends of the buckets."""

    name: str
    text: str
    labels: Sequence[str] = ()
    bounds: Sequence[float] = ()
    values: dict[Labels, Distribution] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        """Count one more of `value`."""
        distribution = self.values.get(labels)
        if distribution is None:
            labels = _bounded(self.values.__len__, labels)
            distribution = self.values.setdefault(labels, Distribution([0] * (len(self.bounds) + 1)))
        distribution.counts[bisect_left(self.bounds, value)] += 1
        distribution.total += value


def _bounded(count: Callable[[], int], labels: Labels) -> Labels:
    """`labels`, unless there are too many series: names of agents and tools are few, and a mistake must cost little."""
    return labels if count() < MOST_SERIES else (OTHER,) * len(labels)


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """Something that is read when it is asked for. `merge` makes one value of those of several workers.

    Where it is None, the value is not of a process (it is read from the database): one worker's is enough.
    """

    name: str
    text: str
    labels: Sequence[str] = ()
    merge: Callable[[Sequence[float]], float] | None = sum


Instrument = LabelledCounter | Histogram | Gauge
