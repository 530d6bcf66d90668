"""`python -m bench.scrolling`: does the chat page keep up with 5,000 events, and with a very long answer?

A server tells Chromium a conversation of 5,000 events, through which a wheel scrolls from its end to its beginning and
back; then an answer of 200 kB, which is opened, and one that is being written. What counts are the browser's own
records: its first paint, and tasks of more than 50 ms, in which a page answers nobody. Tasks are measured in time of
the processor, so that others who use the machine do not count. Ends with 0 when the first paint comes in time and no
task is that long, 1 otherwise, 2 when nothing could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from playwright.sync_api import Browser

from bench.processes import ServerFailed, free_port, serving
from myagent.client import connect
from tests.support.browser import browsing

EVENTS = 5_000
LONG_ANSWER = 200_000
WHEEL = 900
SETTLE_MS = 1_500
PATIENCE_MS = 120_000
BUDGET_PAINT_MS = 1_000.0
BUDGET_TASK_MS = 50.0
TRACED = ["-*", "toplevel", "devtools.timeline"]
RENDERER = "CrRendererMain"
TASK = "ThreadControllerImpl::RunTask"
PLACE = """() => {
    const box = document.querySelector("myagent-chat").shadowRoot.querySelector(".scroller");
    return [box.scrollTop, box.scrollHeight - box.clientHeight - box.scrollTop];
}"""
PAINT = '() => performance.getEntriesByName("first-contentful-paint")[0].startTime'
FRAME = "() => new Promise((resolve) => requestAnimationFrame(() => resolve()))"
HEAP = "() => document.querySelector('myagent-chat').shadowRoot.querySelectorAll('*').length"


@dataclass(frozen=True, slots=True)
class Phase:
    """What a page did meanwhile: milliseconds of its tasks that are too long, each with what took most of it."""

    name: str
    tasks: list[tuple[float, str]]
    longest: float

    @property
    def kept(self) -> bool:
        """Whether no task is too long."""
        return not self.tasks

    def __str__(self) -> str:
        words = "kept" if self.kept else "missed"
        many = f"{len(self.tasks):4} tasks of more than {BUDGET_TASK_MS:g} ms"
        return f"{self.name:28}{many}, the longest {self.longest:4.0f} ms: {words}"


def phase_of(name: str, trace: bytes) -> Phase:
    """Reads the browser's record: how long the processor worked for each task of the page."""
    events = orjson.loads(trace)["traceEvents"]
    pages = {event["pid"] for event in events if event["name"] == "FrameStartedLoading" or event["name"] == "Layout"}
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == RENDERER and event["pid"] in pages
    }
    own = [event for event in events if (event["pid"], event["tid"]) in mains and "tdur" in event]
    tasks = [event for event in own if event["name"] == TASK]
    long = [(task["tdur"] / 1000, _parts(task, own)) for task in tasks if task["tdur"] > BUDGET_TASK_MS * 1000]
    return Phase(name, long, max((task["tdur"] / 1000 for task in tasks), default=0.0))


def _parts(task: dict[str, Any], events: list[dict[str, Any]]) -> str:
    """What happened in a task, the longest first, in milliseconds."""
    end = task["ts"] + task["dur"]
    parts: dict[str, float] = {}
    for event in events:
        if event is not task and task["ts"] <= event["ts"] < end:
            parts[event["name"]] = parts.get(event["name"], 0.0) + event["tdur"] / 1000
    return ", ".join(f"{name} {ms:.0f}" for name, ms in sorted(parts.items(), key=lambda part: -part[1])[:7])


class Reader:
    """A person before the page, with a wheel."""

    def __init__(self, browser: Browser, *, explain: bool) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-US")
        self.page.set_default_timeout(PATIENCE_MS)
        self._browser = browser
        self._explain = explain
        self.phases: list[Phase] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note what the page does inside, until it has been quiet for a while, and say it."""
        self._browser.start_tracing(page=self.page, categories=TRACED)
        try:
            yield
            self.page.wait_for_timeout(SETTLE_MS)
        finally:
            trace = self._browser.stop_tracing()
        phase = phase_of(name, trace)
        self.phases.append(phase)
        print(phase, flush=True)
        for ms, parts in phase.tasks if self._explain else ():
            print(f"    {ms:.0f} ms: {parts}", flush=True)

    def opens(self, url: str) -> float:
        """Open a conversation and wait for its newest answer; returns the milliseconds until the first paint."""
        self.page.goto("about:blank")
        self.page.goto(url)
        self.page.locator(".turn.ended .text").last.wait_for()
        return float(self.page.evaluate(PAINT))

    def scrolls(self, direction: int) -> None:
        """Turn the wheel until there is nothing more in this direction, for several turns."""
        self.page.mouse.move(700, 400)
        at_end = 0
        while at_end < 20:
            self.page.mouse.wheel(0, direction * WHEEL)
            self.page.evaluate(FRAME)
            above, below = self.page.evaluate(PLACE)
            at_end = at_end + 1 if (above if direction < 0 else below) < 2 else 0


async def talk(url: str, *, events: int, size: int) -> tuple[str, str]:
    """The ids of a conversation of so many events and of one with a long answer."""
    async with connect(url) as client:
        many, long = await client.create_session(), await client.create_session()
        seq = number = 0
        while seq < events:
            number += 1
            run = (await client.say(many, f"exchange {number}")).run_id
            seq = (await client.until(lambda frame, run=run: frame.ends_run and frame.run_id == run))[-1].seq or 0
        run = (await client.say(long, f"write {size}")).run_id
        await client.until(lambda frame: frame.ends_run and frame.run_id == run)
        return many, long


def measure(browser: Browser, root: str, ids: tuple[str, str], *, size: int, explain: bool) -> bool:
    """Measure and print; whether all is within the budgets."""
    many, long = ids
    reader = Reader(browser, explain=explain)
    with reader.phase("opened, scrolled up at once"):
        paint = reader.opens(f"{root}#{many}")
        reader.scrolls(-1)
    print(f"first paint {paint:.0f} ms, at most {BUDGET_PAINT_MS:g}; {reader.page.evaluate(HEAP)} elements")
    for name, direction in (("scrolled down", 1), ("up again", -1), ("and down again", 1)):
        with reader.phase(name):
            reader.scrolls(direction)
    with reader.phase("an answer there"):
        reader.page.locator(".composer textarea").fill("exchange 1000")
        reader.page.keyboard.press("Enter")
        reader.page.locator(".turn:not(.ended)").first.wait_for()
        reader.page.locator(".turn:not(.ended)").first.wait_for(state="detached")
    with reader.phase("a long answer opened"):
        reader.opens(f"{root}#{long}")
    with reader.phase("scrolled up and down"):
        reader.scrolls(-1)
        reader.scrolls(1)
    with reader.phase("a long answer being written"):
        reader.page.locator(".composer textarea").fill(f"write {size}")
        reader.page.keyboard.press("Enter")
        reader.page.locator(".turn:not(.ended)").first.wait_for()
        reader.page.locator(".turn:not(.ended)").first.wait_for(state="detached")
    return paint <= BUDGET_PAINT_MS and all(phase.kept for phase in reader.phases)


def main() -> int:
    """Measure and say what was found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.scrolling", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, metavar="N", help="of the conversation (%(default)s)")
    parser.add_argument("--size", type=int, default=LONG_ANSWER, metavar="N", help="of the answer (%(default)s)")
    parser.add_argument("--explain", action="store_true", help="say what the long frames spent their time on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, "manage.py", "runagent", "bench/talkative.py", "--port", str(port)]
        env = {"MYAGENT_DATA_DIR": str(Path(folder) / "data"), "MYAGENT_LANGUAGE": "en"}
        try:
            with serving(command, port=port, env=env, cores=frozenset()):
                ids = asyncio.run(talk(f"ws://127.0.0.1:{port}/", events=options.events, size=options.size))
                with browsing() as browser:
                    root = f"http://localhost:{port}/"
                    return int(not measure(browser, root, ids, size=options.size, explain=options.explain))
        except ServerFailed as error:
            print("\n".join([str(error), *getattr(error, "__notes__", [])]), file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
