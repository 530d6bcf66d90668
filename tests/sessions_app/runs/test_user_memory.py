"""What agents remember of users, as the code of tools reads and writes it: from a thread that is not the server's."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User

from agents.database.threads import in_thread
from myagent.exceptions import ToolFailed
from sessions_app.models import Memory
from sessions_app.runs import user_memory
from sessions_app.runs.user_memory import LONGEST_KEY, LONGEST_TEXT, UserMemory
from tests.support import entries as e

pytestmark = [*e.threads, pytest.mark.usefixtures("in_english")]


@pytest.fixture
async def ann():
    return await in_thread(User.objects.create_user, "ann")


async def use(function, *memories):
    """Do it as a tool does, with these memories."""
    return await asyncio.to_thread(function, *memories)


async def test_it_is_a_mapping_that_is_stored(ann):
    def work(memory, same):
        memory["drink"] = "tea"
        memory["city"] = "Oslo"
        memory["drink"] = "coffee\x00"
        assert dict(same) == {"drink": "coffee\ufffd", "city": "Oslo"} and len(same) == 2
        assert list(same) == ["drink", "city"] and "city" in same and same.get("x") is None
        assert same.pop("city") == "Oslo" and same.pop("city", None) is None
        assert list(memory.items()) == [("drink", "coffee\ufffd")] and list(memory.values()) == ["coffee\ufffd"]
        with pytest.raises(KeyError):
            del memory["city"]
        same.clear()
        assert not memory

    await use(work, UserMemory(ann.pk, "friend"), UserMemory(ann.pk, "friend"))


async def test_it_belongs_to_one_user_and_one_agent(ann):
    eve = await in_thread(User.objects.create_user, "eve")

    def work(mine, hers, others):
        mine["drink"], hers["drink"], others["drink"] = "tea", "gin", "milk"
        mine.clear()
        assert (dict(mine), dict(hers), dict(others)) == ({}, {"drink": "gin"}, {"drink": "milk"})

    await use(work, UserMemory(ann.pk, "friend"), UserMemory(eve.pk, "friend"), UserMemory(ann.pk, "waiter"))


async def test_it_has_limits_that_the_model_is_told(ann, monkeypatch):
    monkeypatch.setattr(user_memory, "MOST", 2)

    def work(memory):
        for key, text in ((" ", "x"), ("k" * (LONGEST_KEY + 1), "x"), ("k", "x" * (LONGEST_TEXT + 1))):
            with pytest.raises(ToolFailed, match="at most 200"):
                memory[key] = text
        memory["a"], memory["b"] = "1", "2"
        with pytest.raises(ToolFailed, match="No more than 2"):
            memory["c"] = "3"
        memory["b"] = "changed"
        assert dict(memory) == {"a": "1", "b": "changed"}

    await use(work, UserMemory(ann.pk, "friend"))


async def test_a_deleted_user_is_not_remembered(ann):
    memory = UserMemory(ann.pk, "friend")

    def keep(memory):
        memory["drink"] = "tea"

    await use(keep, memory)
    await in_thread(ann.delete)
    assert await in_thread(Memory.objects.count) == 0
    with pytest.raises(ToolFailed, match="does not exist"):
        await use(keep, memory)
    assert await use(dict, memory) == {}


async def test_several_write_at_once(ann):
    def keep(number):
        memories[number % 2]["same" if number % 3 else f"{number}"] = f"{number}"

    memories = [UserMemory(ann.pk, "friend"), UserMemory(ann.pk, "friend")]
    await asyncio.gather(*(asyncio.to_thread(keep, number) for number in range(12)))
    assert sorted(await use(list, memories[0])) == ["0", "3", "6", "9", "same"]


async def test_several_that_write_at_once_keep_no_more_than_they_may(ann, monkeypatch):
    monkeypatch.setattr(user_memory, "MOST", 5)
    memories = [UserMemory(ann.pk, "friend") for _ in range(20)]
    begin = threading.Barrier(len(memories))

    def keep(number):
        begin.wait(60)
        try:
            memories[number][f"{number}"] = "x"
        except ToolFailed:
            return 0
        return 1

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(memories)) as tools:
        kept = await asyncio.gather(*(loop.run_in_executor(tools, keep, number) for number in range(len(memories))))
    assert sum(kept) == 5 == len(await use(list, memories[0]))
