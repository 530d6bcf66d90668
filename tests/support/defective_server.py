"""A server with a planted defect: the real one behind a WebSocket proxy that changes what passes.

async with defective(url, lambda: Defect(sent=only(event("agent.final_answer"), dropped))) as url: ...
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect as open_websocket
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]
Change = Callable[[Frame], list[Frame]]
Match = Callable[[Frame], bool]


def same(frame: Frame) -> list[Frame]:
    return [frame]


def dropped(frame: Frame) -> list[Frame]:
    return []


def twice(frame: Frame) -> list[Frame]:
    return [frame, frame]


@dataclass(frozen=True)
class Defect:
    """What is done on one connection to the frames that the server sends and receives; whose `token` it shows."""

    sent: Change = same
    received: Change = same
    token: str | None = None


def event(*names: str) -> Match:
    """Matches events by their names."""
    return lambda frame: frame["event"] in names


def every(number: int, matches: Match) -> Match:
    """Matches every so many-th of those that match."""
    counted = count(1)
    return lambda frame: matches(frame) and next(counted) % number == 0


def only(matches: Match, change: Change) -> Change:
    """Changes what matches."""
    return lambda frame: change(frame) if matches(frame) else [frame]


def having(**values: Any) -> Change:
    """Gives a frame other values; None takes the key away."""

    def change(frame: Frame) -> list[Frame]:
        return [{key: value for key, value in {**frame, **values}.items() if value is not None}]

    return change


def telling(**values: Any) -> Change:
    """Gives the metadata of a frame other values; None takes the key away."""

    def change(frame: Frame) -> list[Frame]:
        metadata = {**frame.get("metadata", {}), **values}
        return [{**frame, "metadata": {key: value for key, value in metadata.items() if value is not None}}]

    return change


def next_number(frame: Frame) -> list[Frame]:
    """The event, and once more under the next number."""
    seq = frame["seq"] + 1
    return [frame, {**frame, "seq": seq, "event_id": f"{frame['session_id']}-{seq}"}]


def late_by_one(matches: Match) -> Change:
    """Of those that match, each second one comes before the one that it follows."""
    held: list[Frame] = []

    def change(frame: Frame) -> list[Frame]:
        if matches(frame) and not held:
            held.append(frame)
            return []
        released, held[:] = [*held], []
        return [frame, *released]

    return change


@asynccontextmanager
async def defective(url: str, plant: Callable[[], Defect]) -> AsyncIterator[str]:
    """The address of the server at `url` with a defect, which each connection has anew."""

    async def handle(front: ServerConnection) -> None:
        defect = plant()
        assert front.request is not None
        given = front.request.headers.get("Authorization", "")
        headers = {"Authorization": f"Bearer {defect.token}" if defect.token else given}
        address = f"ws://{urlsplit(url).netloc}{front.request.path}"
        async with open_websocket(address, additional_headers=headers, max_size=None) as back:
            both = [
                asyncio.create_task(_pass_on(back, front, defect.sent)),
                asyncio.create_task(_pass_on(front, back, defect.received)),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            await front.close(back.close_code or 1000)
        await asyncio.gather(*both)

    async with serve(handle, "127.0.0.1", 0, max_size=None) as proxy:
        yield f"ws://127.0.0.1:{next(iter(proxy.sockets)).getsockname()[1]}/"


async def _pass_on(source: Any, target: Any, change: Change) -> None:
    with suppress(ConnectionClosed):
        async for text in source:
            for passed in _changed(text, change):
                await target.send(passed)


def _changed(text: str | bytes, change: Change) -> list[str | bytes]:
    """What is no event passes as it is: the server has to say so."""
    try:
        frame = json.loads(text)
    except ValueError:
        return [text]
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        return [text]
    return [json.dumps(one) for one in change(frame)]
