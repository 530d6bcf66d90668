"""Large frames are parsed beside the loop, one at a time."""

import asyncio
import threading
import time
from itertools import pairwise

import pytest

from myagent.protocol.client_events import UserCancel
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.services import heavy_work
from sessions_app.services.heavy_work import beside_the_loop, parsed

SIZE = 4_000_000
HEAVY = {
    "objects": '{"event": "user.cancel", "session_id": "x", "y": [' + "{}," * (SIZE // 3) + "{}]}",
    "numbers": '{"event": "user.cancel", "session_id": "x", "y": [' + "1," * (SIZE // 2) + "1]}",
    "a table": '{"event": "user.cancel", "session_id": "x", "y": "' + "1," * (SIZE // 2) + '"}',
    "texts to clean": '{"event": "user.cancel", "session_id": "x", "y": ['
    + ",".join(['"' + "\\u0000" * 6 + '"'] * 30_000)
    + "]}",
}


async def attempt(frame):
    try:
        return await parsed(frame)
    except ProtocolError as error:
        return error.code


@pytest.mark.parametrize("kind", HEAVY)
async def test_those_who_send_large_frames_do_not_hold_up_the_loop(kind):
    """Measured in time of this process, as the machine has others to serve: how long the loop is kept from running."""
    working = [asyncio.ensure_future(attempt(HEAVY[kind])) for _ in range(3)]
    turns = []
    while not all(task.done() for task in working):
        turns.append(time.process_time())
        await asyncio.sleep(0.001)
    gaps = sorted(later - earlier for earlier, later in pairwise(turns))
    assert gaps[int(len(gaps) * 0.95)] < 0.03
    outcomes = {str(task.result()) if isinstance(task.result(), str) else type(task.result()) for task in working}
    assert outcomes == {ErrorCode.TOO_MANY_VALUES if kind in ("objects", "numbers") else UserCancel}


async def test_a_small_frame_does_not_wait_for_a_large_one():
    free = threading.Event()
    blocked = asyncio.ensure_future(beside_the_loop(free.wait))
    try:
        assert await parsed('{"event": "user.cancel", "session_id": "x"}') == UserCancel(session_id="x")
        assert await attempt(b"binary") == ErrorCode.BAD_FRAME
        large = asyncio.ensure_future(attempt(HEAVY["a table"]))
        await asyncio.sleep(0.02)
        assert not large.done()
    finally:
        free.set()
    await blocked
    assert isinstance(await large, UserCancel)


async def test_small_ones_of_many_values_count_as_large(monkeypatch):
    monkeypatch.setattr(heavy_work, "parse_frame", lambda frame: threading.current_thread().name)
    assert (await parsed('{"x": [' + "0," * 2_000 + "0]}")).startswith("myagent-heavy")
    assert await parsed('{"x": [0]}') == threading.main_thread().name


LIGHT = [{"text": "x" * 60_000}, [1] * 900, {"a": [{"b": ["c"] * 100}] * 5}, None, "x"]
LARGE = [{"text": "x" * 70_000}, [1] * 1_100, {"a": [{"b": ["c"] * 300}] * 5}, ["x" * 1_000] * 70, "x" * 70_000]


def where(monkeypatch):
    """Have what parses and writes JSON say in which thread it does so."""
    for name in ("loads", "dumps"):
        monkeypatch.setattr(heavy_work.orjson, name, lambda _value: threading.current_thread().name)


@pytest.mark.parametrize("value", LIGHT, ids=range(len(LIGHT)))
async def test_what_is_light_is_written_at_once(monkeypatch, value):
    assert not heavy_work.is_heavy(value)
    where(monkeypatch)
    assert await heavy_work.written(value) == threading.main_thread().name


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
async def test_what_is_large_is_written_beside_the_loop(monkeypatch, value):
    assert heavy_work.is_heavy(value)
    where(monkeypatch)
    assert (await heavy_work.written(value)).startswith("myagent-heavy")


async def test_a_stored_frame_is_parsed_where_its_length_says(monkeypatch):
    assert await heavy_work.loaded('{"x": 1}') == {"x": 1}
    where(monkeypatch)
    assert await heavy_work.loaded("{}") == threading.main_thread().name
    assert (await heavy_work.loaded('"' + "x" * 70_000 + '"')).startswith("myagent-heavy")
