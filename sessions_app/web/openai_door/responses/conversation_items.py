"""A conversation as a list of items: what was said in it, and what came of that."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import AsyncIterator

import orjson

from myagent.protocol.server_events import TERMINAL_EVENTS
from sessions_app import queries
from sessions_app.web.api_call import Call
from sessions_app.web.newest_runs import MAX_SNAPSHOT_BYTES
from sessions_app.web.openai_door.responses.output_items import Frame, Item
from sessions_app.web.openai_door.responses.response_ids import ResponseId
from sessions_app.web.openai_door.responses.response_log import begun
from sessions_app.web.run_stream import each_frame

DEFAULT, MOST = 20, 100
"""Items of a page."""


async def page_of(
    call: Call, facts: queries.SessionFacts, *, after: str, limit: int, is_rising: bool
) -> tuple[list[Item], bool]:
    """A page, from the beginning where there is no item `after`, and whether more items follow it."""
    page = ItemPage(after, limit, is_rising)
    async for item in _items(call, facts):
        page.take(item)
        if page.is_full:
            break
    if after and not page.has_begun:
        return await page_of(call, facts, after="", limit=limit, is_rising=is_rising)
    return page.told()


class ItemPage:
    """Takes the items in their order, and keeps what one page holds: so many, of so many bytes, or one."""

    def __init__(self, after: str, limit: int, is_rising: bool) -> None:
        self._after = after
        self._limit = limit
        self._is_rising = is_rising
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._has_more = False
        self.has_begun = not after
        """Whether the item was found that the page comes behind."""
        self.is_full = False

    def take(self, item: Item) -> None:
        """The next item."""
        if item["id"] == self._after:
            self.has_begun = True
            self.is_full = not self._is_rising  # a falling page ends with the item before it
        elif self.has_begun or not self._is_rising:
            self._keep(item)

    def _keep(self, item: Item) -> None:
        size = len(orjson.dumps(item))
        self._items.append((item, size))
        self._bytes += size
        while len(self._items) > 1 and (len(self._items) > self._limit or self._bytes > MAX_SNAPSHOT_BYTES):
            self._has_more = True
            self.is_full = self._is_rising
            self._bytes -= (self._items.pop() if self._is_rising else self._items.popleft())[1]

    def told(self) -> tuple[list[Item], bool]:
        """What the page holds, and whether more items follow it."""
        items = [item for item, _size in self._items]
        return (items if self._is_rising else items[::-1]), self._has_more


async def _items(call: Call, facts: queries.SessionFacts) -> AsyncIterator[Item]:
    """All items, in their order: those of a run stay together, also where others were queued meanwhile.

    A call that begins in one response and ends in a later one is one item, as it stands.
    """
    async for run_id, frames in _runs(call, facts):
        for item in {item["id"]: item for item in await _of_run(facts, run_id, frames)}.values():
            yield item


async def _runs(call: Call, facts: queries.SessionFacts) -> AsyncIterator[tuple[uuid.UUID, list[Frame]]]:
    """The events of each run, in the order in which they were asked for; what is told is not kept."""
    runs: dict[str, list[Frame]] = {}
    over: set[str] = set()
    async for _seq, frame in each_frame(facts.id, call):
        if (run_id := frame["metadata"].get("run_id")) is None:
            continue
        runs.setdefault(run_id, []).append(frame)
        if frame["event"] in TERMINAL_EVENTS:
            over.add(run_id)
        # One that is queued behind another may end first, if it is taken back.
        while runs and (first := next(iter(runs))) in over:
            yield uuid.UUID(first), runs.pop(first)
    for name, frames in runs.items():
        yield uuid.UUID(name), frames


async def _of_run(facts: queries.SessionFacts, run_id: uuid.UUID, frames: list[Frame]) -> list[Item]:
    found: list[Item] = []
    part = 1
    while True:
        response = await begun(facts, ResponseId(run_id, part))
        for frame in frames:
            response.take(frame)
        if not response.exists:
            return found
        found += [*response.input, *response.output.valid]
        part += 1
