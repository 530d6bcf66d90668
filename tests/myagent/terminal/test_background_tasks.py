"""Tasks beside a conversation: they are kept, their end is reported, and the first failure is remembered."""

import asyncio

import pytest

from myagent.terminal.background_tasks import BackgroundTasks


@pytest.fixture
def ended():
    return asyncio.Event()


async def test_the_end_of_a_task_is_reported(ended):
    tasks = BackgroundTasks(ended.set)
    task = tasks.start(asyncio.sleep(0))
    assert not ended.is_set()
    await ended.wait()
    assert task.done() and tasks.failure is None


async def test_a_task_that_fails_leaves_its_error(ended):
    async def fail():
        raise OSError("gone")

    tasks = BackgroundTasks(ended.set)
    tasks.start(fail())
    await ended.wait()
    assert isinstance(tasks.failure, OSError)


async def test_cancelling_waits_until_all_have_ended_and_is_no_failure(ended):
    stopped = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            stopped.append(True)

    tasks = BackgroundTasks(ended.set)
    tasks.start(work())
    tasks.start(work())
    await asyncio.sleep(0)
    await tasks.cancel()
    assert stopped == [True, True]
    assert tasks.failure is None
