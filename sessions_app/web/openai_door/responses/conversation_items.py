"""A conversation as a list of items: what was said in it, and what came of that."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

from myagent.protocol.server_events import TERMINAL_EVENTS
from sessions_app import queries
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.responses.output_items import Frame, Item
from sessions_app.web.openai_door.responses.response_ids import ResponseId
from sessions_app.web.openai_door.responses.response_log import begun
from sessions_app.web.run_stream import each_frame

DEFAULT, MOST = 20, 100
"""Items of a page."""


async def items_of(call: Call, facts: queries.SessionFacts) -> list[Item]:
    """All items, in their order: those of a run stay together, also where others were queued meanwhile.

    A call that begins in one response and ends in a later one is one item, as it stands.
    """
    found: dict[str, Item] = {}
    async for run_id, frames in _runs(call, facts):
        found |= {item["id"]: item for item in await _of_run(facts, run_id, frames)}
    return list(found.values())


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


def page_of(items: list[dict[str, Any]], *, after: str, limit: int, is_rising: bool) -> tuple[list[Item], bool]:
    """A page, and whether more items follow it."""
    ordered = items if is_rising else items[::-1]
    names = [item["id"] for item in ordered]
    start = names.index(after) + 1 if after in names else 0
    return ordered[start : start + limit], len(ordered) > start + limit
