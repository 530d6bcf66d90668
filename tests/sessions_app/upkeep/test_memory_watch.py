"""When nothing new is begun, and when it is again."""

import pytest

from sessions_app.upkeep import memory_watch
from sessions_app.upkeep.memory_watch import MemoryWatch


class Memory:
    taken: float | None = 50.0

    def percent(self):
        return self.taken


@pytest.fixture
def trims(monkeypatch):
    trims = []
    monkeypatch.setattr(memory_watch, "give_back_memory", lambda: trims.append(1))
    return trims


async def test_it_refuses_from_the_limit_on_until_there_is_clearly_enough(caplog, trims):
    watch = MemoryWatch(90, memory := Memory())
    seen = []
    for memory.taken in (89, 90, 99, 86, 85, 89):
        await watch.look()
        seen.append(watch.is_scarce)
    assert seen == [False, True, True, True, False, False]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert len(trims) == 1, "what the allocator holds is given back at once, and then now and again"


@pytest.mark.parametrize(("limit", "taken"), [(None, 99.0), (90, None)])
async def test_without_a_limit_or_where_the_system_does_not_tell_it_is_off(limit, taken):
    watch = MemoryWatch(limit, memory := Memory())
    memory.taken = taken
    await watch.look()
    assert not watch.is_scarce
