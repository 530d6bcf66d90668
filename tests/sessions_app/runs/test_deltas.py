"""When pieces of streamed text go to the journal, and that nothing overtakes them."""

import asyncio
import uuid

import pytest

from sessions_app.runs.deltas import DeltaSender
from sessions_app.runs.pacer import DeltaPacer


class Journal:
    """Takes events; their commit ends when the test says so."""

    def __init__(self):
        self.offered = []
        self.outcomes = []

    def offer(self, events):
        self.offered.append("".join(event.content for event in events))
        self.outcomes.append(asyncio.get_running_loop().create_future())
        return self.outcomes[-1]

    async def commit(self):
        """End the newest commit."""
        self.outcomes[-1].set_result(None)
        await asyncio.sleep(0)


@pytest.fixture
async def journal():
    return Journal()


@pytest.fixture
async def clock(monkeypatch):
    """What the loop's clock shows; timers strike when a test moves it and lets the loop turn."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
    return ahead


@pytest.fixture
async def sender(journal, clock):
    return DeltaSender(DeltaPacer(uuid.uuid4(), epoch=1, interval=3600), journal.offer)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_piece_is_offered_before_anything_else_can_be(sender, journal):
    sender.add_text("a")
    assert journal.offered == ["a"]


async def test_while_one_is_on_its_way_the_others_are_held(sender, journal, clock):
    sender.add_text("a")
    sender.add_text("b")
    clock[0] += 4000
    await turns()
    sender.add_text("c")
    assert journal.offered == ["a"]
    await journal.commit()
    assert journal.offered == ["a", "bc"]


async def test_pieces_are_joined_until_their_time_has_come(sender, journal, clock):
    sender.add_text("a")
    await journal.commit()
    sender.add_text("b")
    sender.add_reasoning("c")
    await turns()
    assert journal.offered == ["a"]
    clock[0] += 4000
    await turns()
    assert journal.offered == ["a", "cb"]


async def test_what_is_held_at_the_end_of_a_step_is_for_its_last_entry(sender, journal, clock):
    sender.add_text("a")
    sender.add_text("b")
    (last,) = sender.finish()
    assert (last.content, last.metadata.is_final) == ("b", True)
    await journal.commit()
    clock[0] += 4000
    await turns()
    assert journal.offered == ["a"]


async def test_what_is_held_of_a_step_that_breaks_off(sender, journal):
    sender.add_text("a")
    sender.add_text("b")
    (rest,) = sender.rest()
    assert (rest.content, rest.metadata.is_final) == ("b", False)


async def test_a_step_that_begins_anew_drops_what_is_held(sender, journal, clock):
    sender.add_text("a")
    await journal.commit()
    sender.add_text("void")
    sender.begin(1)
    sender.add_text("b")
    clock[0] += 4000
    await turns()
    assert "void" not in "".join(journal.offered)
    assert journal.offered[-1] == "b"


@pytest.mark.parametrize("outcome", ["refused", "cancelled"])
async def test_after_a_refusal_nothing_more_is_offered(sender, journal, clock, outcome):
    sender.add_text("a")
    sender.add_text("b")
    if outcome == "refused":
        journal.outcomes[0].set_exception(RuntimeError("stale"))
    else:
        journal.outcomes[0].cancel()
    clock[0] += 4000
    await turns()
    assert journal.offered == ["a"]


async def test_stopped_is_stopped(sender, journal, clock):
    sender.add_text("a")
    await journal.commit()
    sender.add_text("b")
    sender.stop()
    clock[0] += 4000
    await turns()
    assert journal.offered == ["a"]


async def test_stopped_is_stopped_even_while_one_is_on_its_way(sender, journal, clock):
    sender.add_text("a")
    sender.add_text("b")
    sender.stop()
    clock[0] += 4000
    await journal.commit()
    await turns()
    assert journal.offered == ["a"]
