"""A time limit that stands still while it is paused, by a clock of the test's own."""

import asyncio

import pytest

from myagent.loop.pausable_timeout import PausableTimeout


@pytest.fixture
async def clock(monkeypatch):
    """Moves the loop's clock forward, and lets the limits strike that are due."""
    loop, ahead = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])

    async def forward(seconds):
        ahead[0] += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    return forward


async def forever():
    await asyncio.Event().wait()


async def limited(limit, work=forever):
    async with limit:
        await work()


async def begin(limit, work=forever):
    task = asyncio.create_task(limited(limit, work))
    await asyncio.sleep(0)
    return task


def test_the_time_of_a_block_that_was_not_entered_is_not_over():
    assert not PausableTimeout(1).expired


async def test_the_block_ends_when_the_time_is_over(clock):
    limit = PausableTimeout(60)
    task = await begin(limit)
    await clock(59)
    assert not task.done()
    await clock(2)
    with pytest.raises(TimeoutError):
        await task
    assert limit.expired


async def test_the_time_begins_with_the_block_and_not_with_the_object(clock):
    limit = PausableTimeout(60)
    await clock(3600)
    task = await begin(limit)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not limit.expired


async def test_a_block_in_time_is_left_alone(clock):
    limit = PausableTimeout(60)
    async with limit:
        assert limit.is_active
        await clock(59)
    await clock(60)
    assert not limit.expired
    assert not limit.is_active


async def test_pauses_do_not_count_and_what_is_left_counts_after_them(clock):
    limit = PausableTimeout(60)
    task = await begin(limit)
    for _ in range(2):
        await clock(25)
        with limit.paused():
            await clock(3600)
            assert not task.done()
    await clock(5)
    assert not task.done()
    await clock(6)
    with pytest.raises(TimeoutError):
        await task


async def test_of_pauses_that_overlap_the_last_one_ends_the_pause(clock):
    limit = PausableTimeout(60)
    task = await begin(limit)
    first, second = limit.paused(), limit.paused()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    await clock(3600)
    assert not task.done()
    second.__exit__(None, None, None)
    await clock(61)
    assert task.done() and limit.expired
    with pytest.raises(TimeoutError):
        await task


async def test_a_pause_may_outlast_the_block(clock):
    limit = PausableTimeout(60)
    pause = limit.paused()
    async with limit:
        pause.__enter__()
    pause.__exit__(None, None, None)
    await clock(3600)
    assert not limit.expired


async def test_without_seconds_there_is_no_limit(clock):
    limit = PausableTimeout(None)
    async with limit:
        with limit.paused():
            await clock(3600)
        await clock(3600)
    assert not limit.expired


async def test_there_is_no_pause_outside_of_the_block_or_when_the_time_is_over(clock):
    limit = PausableTimeout(60)
    with pytest.raises(RuntimeError), limit.paused():
        pass
    refused = []

    async def pauses_too_late():
        try:
            await forever()
        finally:
            with pytest.raises(RuntimeError) as raised, limit.paused():
                pass
            refused.append(raised.value)

    task = await begin(limit, pauses_too_late)
    await clock(61)
    with pytest.raises(TimeoutError):
        await task
    assert len(refused) == 1
    with pytest.raises(RuntimeError), limit.paused():
        pass
