"""Writes a snapshot down in the formats of Prometheus. Needs `prometheus-client` (extra `metrics`)."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator

from prometheus_client import GC_COLLECTOR, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from agents.metrics.instruments import Gauge, Histogram, Instrument, LabelledCounter
from agents.metrics.measures import ALL
from agents.metrics.process_gauges import CPU_SECONDS, PROCESS_GAUGES
from agents.metrics.snapshot import Snapshot
from myagent import __version__


def written(snapshot: Snapshot, accept: str, *, of_one_process: bool) -> tuple[str, bytes]:
    """The type of the answer, by what its reader accepts, and the answer.

    Values of Python's garbage collector are left out where the snapshot is of several processes.
    """
    encoder, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(snapshot))
    if of_one_process:
        registry.register(GC_COLLECTOR)
    return content_type, encoder(registry)


class _Families(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        facts = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("myagent_build", "The server's version and Python's.", facts)
        for instrument in ALL:
            yield _family(instrument, self._snapshot)
        yield from self._of_process()

    def _of_process(self) -> Iterator[Metric]:
        cpu = self._snapshot.counters.get(CPU_SECONDS, {})
        yield CounterMetricFamily(CPU_SECONDS, PROCESS_GAUGES[CPU_SECONDS].text, value=cpu.get((), 0.0))
        for gauge in PROCESS_GAUGES.values():
            if gauge.name != CPU_SECONDS and gauge.name in self._snapshot.gauges:
                yield _family(gauge, self._snapshot)


def _family(instrument: Instrument, snapshot: Snapshot) -> Metric:
    name, text, labels = instrument.name, instrument.text, instrument.labels
    match instrument:
        case LabelledCounter():
            counter = CounterMetricFamily(name, text, labels=labels)
            # Without labels there is always a value, so that a rate exists from the first event on.
            for key, value in (snapshot.counters.get(name) or ({} if labels else {(): 0.0})).items():
                counter.add_metric(key, value)
            return counter
        case Gauge():
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for key, value in snapshot.gauges.get(name, {}).items():
                gauge.add_metric(key, value)
            return gauge
        case Histogram():
            histogram = HistogramMetricFamily(name, text, labels=labels)
            for key, seen in snapshot.histograms.get(name, {}).items():
                histogram.add_metric(key, _cumulated(instrument, seen.counts), seen.total)
            return histogram


def _cumulated(histogram: Histogram, counts: Iterable[int]) -> list[tuple[str, float]]:
    buckets, below = [], 0
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets
