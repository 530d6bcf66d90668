"""What is counted, and how the counts of several processes become one."""

from __future__ import annotations

import pytest

from agents.metrics import instruments
from agents.metrics.instruments import Gauge, Histogram, LabelledCounter
from agents.metrics.snapshot import Snapshot

ENDED = LabelledCounter("ended_total", "Ended.", ("agent", "outcome"))
SECONDS = Histogram("seconds", "Seconds.", ("agent",), (1.0, 10.0))
OPEN = Gauge("open", "Open.", ("door",))
HEALTHY = Gauge("healthy", "Healthy.", merge=min)
QUEUED = Gauge("queued", "Queued.", merge=None)
ALL = (ENDED, SECONDS, OPEN, HEALTHY, QUEUED)


@pytest.fixture(autouse=True)
def nothing_counted():
    ENDED.values.clear()
    SECONDS.values.clear()


def taken(*, door: float = 1, healthy: float = 1) -> Snapshot:
    return Snapshot.take(ALL, {OPEN: {("websocket",): door}, HEALTHY: {(): healthy}})


def test_counts_are_added_and_gauges_are_merged_as_each_says():
    ENDED.add("weather", "answer")
    ENDED.add("weather", "answer", count=2)
    for seconds in (0.5, 1.0, 3, 11):
        SECONDS.observe(seconds, "weather")
    mine, other = taken(door=2), Snapshot.decode(taken(door=3, healthy=0).encode())
    mine.add_counts(other)
    mine.merge_gauges([other], [OPEN, HEALTHY, QUEUED])
    assert mine.counters == {"ended_total": {("weather", "answer"): 6}}
    seen = mine.histograms["seconds"]["weather",]
    assert (seen.counts, seen.total) == ([4, 2, 2], 31)
    assert mine.gauges == {"open": {("websocket",): 5}, "healthy": {(): 0}}
    assert ENDED.values == {("weather", "answer"): 3}, "what this process has counted is its own"
    assert SECONDS.values["weather",].counts == [2, 1, 1]


def test_other_buckets_are_left_out():
    SECONDS.observe(1, "weather")
    mine, older = taken(), taken()
    older.histograms["seconds"]["weather",].counts.append(7)
    mine.add_counts(older)
    assert mine.histograms["seconds"]["weather",].counts == [1, 0, 0]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"counters": 1, "gauges": {}, "histograms": {}}'])
def test_half_a_file_is_no_snapshot(text):
    with pytest.raises(ValueError):
        Snapshot.decode(text)


def test_labels_are_bounded_whatever_is_counted(monkeypatch):
    monkeypatch.setattr(instruments, "MOST_SERIES", 3)
    for number in range(10):
        ENDED.add("weather", str(number))
        SECONDS.observe(1, str(number))
    assert ENDED.values == {("weather", "0"): 1, ("weather", "1"): 1, ("weather", "2"): 1, ("other", "other"): 7}
    assert [sum(seen.counts) for seen in SECONDS.values.values()] == [1, 1, 1, 7]
