"""How streamed text becomes events."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_app.runs.pacer import DeltaPacer

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
