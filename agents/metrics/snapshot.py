"""The values of all instruments at one moment: of this process, of another one as it wrote them down, or of several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from agents.metrics.instruments import Distribution, Gauge, Histogram, Instrument, LabelledCounter, Labels

Readings = Mapping[Gauge, Mapping[Labels, float]]
"""What gauges show, by their labels."""


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """Values by the name of the instrument and by labels."""

    counters: dict[str, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[str, dict[Labels, Distribution]] = field(default_factory=dict)
    gauges: dict[str, dict[Labels, float]] = field(default_factory=dict)

    @classmethod
    def take(cls, instruments: Iterable[Instrument], readings: Readings) -> Snapshot:
        """What this process has counted, and `readings`."""
        taken = cls(gauges={gauge.name: dict(values) for gauge, values in readings.items()})
        for instrument in instruments:
            match instrument:
                case LabelledCounter():
                    # Copied at once, because other threads count, too.
                    taken.counters[instrument.name] = dict(instrument.values)
                case Histogram():
                    copies = dict(instrument.values).items()
                    taken.histograms[instrument.name] = {
                        labels: Distribution(list(seen.counts), seen.total) for labels, seen in copies
                    }
        return taken

    def add_counts(self, other: Snapshot) -> None:
        """Add what another process has counted. A histogram with other buckets (of another version) is left out."""
        for name, values in other.counters.items():
            mine = self.counters.setdefault(name, {})
            for labels, value in values.items():
                mine[labels] = mine.get(labels, 0) + value
        for name, distributions in other.histograms.items():
            ours = self.histograms.setdefault(name, {})
            for labels, seen in distributions.items():
                before = ours.get(labels)
                if before is None:
                    ours[labels] = Distribution(list(seen.counts), seen.total)
                elif len(before.counts) == len(seen.counts):
                    counts = [a + b for a, b in zip(before.counts, seen.counts, strict=True)]
                    ours[labels] = Distribution(counts, before.total + seen.total)

    def merge_gauges(self, others: Iterable[Snapshot], gauges: Iterable[Gauge]) -> None:
        """Make one value of ours and those of `others`, as each gauge says."""
        others = list(others)
        for gauge in gauges:
            if gauge.merge is None:
                continue
            found: dict[Labels, list[float]] = defaultdict(list)
            for snapshot in (self, *others):
                for labels, value in snapshot.gauges.get(gauge.name, {}).items():
                    found[labels].append(value)
            self.gauges[gauge.name] = {labels: gauge.merge(values) for labels, values in found.items()}

    def encode(self) -> bytes:
        """As JSON, for `decode`."""
        return orjson.dumps(
            {
                "counters": {name: list(values.items()) for name, values in self.counters.items()},
                "gauges": {name: list(values.items()) for name, values in self.gauges.items()},
                "histograms": {
                    name: [(labels, seen.counts, seen.total) for labels, seen in values.items()]
                    for name, values in self.histograms.items()
                },
            }
        )

    @classmethod
    def decode(cls, text: bytes) -> Snapshot:
        """What `encode` made. Raises `ValueError` for anything else."""
        data: dict[str, Any] = orjson.loads(text)
        try:
            return cls(
                counters={name: _by_labels(pairs) for name, pairs in data["counters"].items()},
                gauges={name: _by_labels(pairs) for name, pairs in data["gauges"].items()},
                histograms={
                    name: {tuple(labels): Distribution(counts, total) for labels, counts, total in triples}
                    for name, triples in data["histograms"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("This is no snapshot.") from error


def _by_labels(pairs: Iterable[tuple[list[str], float]]) -> dict[Labels, float]:
    return {tuple(labels): value for labels, value in pairs}
