"""How streamed text becomes events, when these go to the journal, and that nothing overtakes them."""

import asyncio
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_app.runs.deltas import DeltaPacer, DeltaSender

RUN = uuid.uuid4()


@pytest.fixture
def pacer():
    return DeltaPacer(RUN, epoch=1, interval=0.04)


def texts(events):
    return [(event.content, event.metadata.index, event.metadata.is_final) for event in events]


def test_nothing_is_due_while_nothing_is_held(pacer):
    assert pacer.due(5.0) is None
    assert pacer.take(5.0) == ()
    assert pacer.finish(5.0) == ()


def test_the_first_piece_goes_at_once_and_later_ones_after_the_interval(pacer):
    pacer.add_text("a")
    assert pacer.due(5.0) == 5.0
    assert texts(pacer.take(5.0)) == [("a", 0, False)]
    pacer.add_text("b")
    pacer.add_text("c")
    assert pacer.due(5.01) == pytest.approx(5.04)
    assert pacer.due(6.0) == 6.0
    assert texts(pacer.take(5.04)) == [("bc", 1, False)]


def test_the_first_piece_of_the_next_step_goes_at_once_too(pacer):
    pacer.add_text("a")
    pacer.finish(5.0)
    pacer.begin(2)
    pacer.add_text("b")
    assert pacer.due(5.001) == 5.001


def test_the_last_piece_says_so_even_if_it_is_empty(pacer):
    pacer.add_text("a")
    pacer.take(5.0)
    assert texts(pacer.finish(5.01)) == [("", 1, True)]


def test_text_that_was_never_taken_is_one_final_piece(pacer):
    pacer.add_text("a")
    pacer.add_text("b")
    assert texts(pacer.finish(5.0)) == [("ab", 0, True)]


def test_reasoning_comes_before_the_text_it_leads_to_and_has_its_own_indexes(pacer):
    pacer.add_reasoning("hm")
    pacer.add_text("so")
    first, second = pacer.take(5.0)
    assert (first.event, first.content, first.metadata.index, first.metadata.reasoning) == (
        "agent.thinking", "hm", 0, True,
    )  # fmt: skip
    assert (second.event, second.content, second.metadata.index) == ("agent.partial_answer", "so", 0)
    pacer.add_reasoning("m")
    (third,) = pacer.take(6.0)
    assert third.metadata.index == 1


def test_reasoning_alone_needs_no_final_text(pacer):
    pacer.add_reasoning("hm")
    assert [event.event for event in pacer.finish(5.0)] == ["agent.thinking"]


def test_a_step_that_begins_anew_forgets_what_is_held_and_has_a_new_id(pacer):
    pacer.add_text("a")
    (before,) = pacer.take(5.0)
    pacer.add_text("held")
    pacer.begin(1)
    assert pacer.due(5.0) is None
    pacer.add_text("b")
    (after,) = pacer.take(6.0)
    assert (after.content, after.metadata.index) == ("b", 0)
    assert before.step_id != after.step_id


def test_a_run_that_goes_on_elsewhere_has_other_ids():
    ids = set()
    for epoch in (1, 2):
        pacer = DeltaPacer(RUN, epoch=epoch, interval=0.04)
        pacer.add_text("a")
        ids |= {event.step_id for event in pacer.take(1.0)}
    assert len(ids) == 2


@given(st.lists(st.one_of(st.text(min_size=1), st.none(), st.integers()), max_size=40))
def test_no_piece_is_lost_and_indexes_have_no_gaps(course):
    """Text is added; None takes what is held; a number is reasoning."""
    pacer, now, events = DeltaPacer(RUN, epoch=1, interval=0.04), 1.0, []
    for item in course:
        now += 1
        if item is None:
            events += pacer.take(now)
        elif isinstance(item, int):
            pacer.add_reasoning(str(item))
        else:
            pacer.add_text(item)
    events += pacer.finish(now)
    said = [event for event in events if event.event == "agent.partial_answer"]
    thought = [event for event in events if event.event == "agent.thinking"]
    assert "".join(event.content for event in said) == "".join(item for item in course if isinstance(item, str))
    assert "".join(event.content for event in thought) == "".join(str(item) for item in course if isinstance(item, int))
    for group in (said, thought):
        assert [event.metadata.index for event in group] == list(range(len(group)))
    assert [event.metadata.is_final for event in said] == [False] * (len(said) - 1) + [True] * bool(said)
    assert len({event.step_id for event in said}) <= 1


def test_a_step_is_finished_once():
    """A run that ends with a call of `terminate` finishes its last step with the call, and again with the answer."""
    pacer = DeltaPacer(RUN, epoch=1, interval=0.04)
    pacer.add_text("Good")
    pacer.take(1.0)
    pacer.add_text("bye")
    (last,) = pacer.finish(2.0)
    assert (last.content, last.metadata.index, last.metadata.is_final) == ("bye", 1, True)
    assert pacer.finish(3.0) == ()


# --- sending ---


class Journal:
    """Takes events; their commit ends when the test says so."""

    def __init__(self):
        self.offered = []
        self.beginnings = []
        self.outcomes = []

    def offer(self, events, is_beginning):
        self.beginnings.append(is_beginning)
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
    assert journal.beginnings == [True, False]


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
