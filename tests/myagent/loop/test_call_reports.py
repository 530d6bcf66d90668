from __future__ import annotations

import asyncio

from myagent.events import ToolProgress
from myagent.loop import call_reports
from myagent.loop.call_reports import MOST_SHOWN, CallReporter, ProgressPace
from tests.support.entries import call_of


def progress(text: str) -> ToolProgress:
    return ToolProgress(call=call_of(), text=text, percent=None)


def shown_within(seconds: float, *, every: float) -> list[float]:
    """When reports that come at this pace would be shown."""
    pace, moments, now = ProgressPace(), [], 0.0
    while now < seconds:
        if pace.wait(now) == 0.0:
            pace.shown(now)
            moments.append(now)
        now += every
    return moments


def test_at_most_25_a_second_and_200_in_all():
    moments = shown_within(3600, every=0.01)
    assert len([moment for moment in moments if moment < 1]) <= 25
    assert len(moments) <= MOST_SHOWN
    assert moments[-1] > 600  # a long call still shows something after ten minutes
    assert ProgressPace().wait(0.0) == 0.0


async def test_the_newest_of_those_that_came_too_fast_is_shown_before_the_result(monkeypatch):
    monkeypatch.setattr(call_reports, "SHORTEST_PAUSE", 60.0)
    queue: asyncio.Queue = asyncio.Queue()
    reporter = CallReporter(queue)
    reporter.show(progress("first"))
    first = queue.get_nowait()
    first.is_taken = True
    for number in range(50):
        reporter.show(progress(str(number)))
    assert queue.empty()
    result = progress("the result")
    ending = asyncio.create_task(reporter.deliver(result))
    await asyncio.sleep(0)
    assert [queue.get_nowait().event.text for _ in range(2)] == ["49", "the result"]
    ending.cancel()
    assert first.event.text == "first"


async def test_a_failed_call_shows_nothing_afterwards(monkeypatch):
    monkeypatch.setattr(call_reports, "SHORTEST_PAUSE", 0.01)
    queue: asyncio.Queue = asyncio.Queue()
    reporter = CallReporter(queue)
    reporter.show(progress("first"))
    queue.get_nowait().is_taken = True
    reporter.show(progress("second"))
    reporter.fail(error := ValueError("broken"))
    assert queue.get_nowait() is error
    await asyncio.sleep(0.05)
    assert queue.empty()
