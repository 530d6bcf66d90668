"""What takes long for a single request, such as reading or writing megabytes: beside the loop, one thing at a time."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

import orjson

from myagent.protocol.client_fields import ClientEvent
from myagent.protocol.codec import parse_frame
from myagent.protocol.frame_weight import may_hold

LIGHT_CHARACTERS = 65_536
LIGHT_VALUES = 1_000
"""A frame of at most so many is parsed at once: it takes less time than to hand it to another thread and back."""
LONGEST_PAUSE = 0.05

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def parsed(frame: str | bytes) -> ClientEvent:
    """The event in `frame`. Raises `ProtocolError`."""
    if isinstance(frame, bytes) or is_light(frame):
        return parse_frame(frame)
    return await beside_the_loop(parse_frame, frame)


def is_light(text: str) -> bool:
    """Whether it takes no time to parse this."""
    return len(text) <= LIGHT_CHARACTERS and may_hold(text) <= LIGHT_VALUES


async def loaded(frame: str) -> dict[str, Any]:
    """What a stored frame says, parsed."""
    work = partial(orjson.loads, frame)
    found: dict[str, Any] = work() if len(frame) <= LIGHT_CHARACTERS else await beside_the_loop(work)
    return found


async def written(value: Any) -> bytes:
    """The value as JSON."""
    return await beside_the_loop(orjson.dumps, value) if is_heavy(value) else orjson.dumps(value)


def is_heavy(value: Any) -> bool:
    """Whether it takes time to write this: found out at once, by no more of it than a light one has."""
    characters, values, rest = 0, 0, [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict):
            rest += one.values()
        elif isinstance(one, list | tuple):
            rest += one
        values += 1
        if characters > LIGHT_CHARACTERS or values + len(rest) > LIGHT_VALUES:
            return True
    return False


async def beside_the_loop(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call it in the one thread there is for this: those who send much wait for each other, and others do not wait."""
    inside = partial(contextvars.copy_context().run, partial(call, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_thread(), partial(_worker().work, inside))


class _Worker:
    """Rests after each call for as long as it took. Python runs one thread at a time, and a parser does not let go in
    between, so that the loop has the process for itself only while nothing is parsed.
    """

    def __init__(self) -> None:
        self._rests_until = 0.0

    def work(self, call: Callable[[], _T]) -> _T:
        began = time.monotonic()
        if (pause := self._rests_until - began) > 0:
            time.sleep(pause)
            began = time.monotonic()
        try:
            return call()
        finally:
            ended = time.monotonic()
            self._rests_until = ended + min(ended - began, LONGEST_PAUSE)


@cache
def _worker() -> _Worker:
    return _Worker()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="myagent-heavy")
