"""The states of one session on one connection, and what leads from one to another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.protocol.cursor import Cursor
from sessions_app.delivery.attachment import Attachment, AwaitingReplay, Behind, Checking, Following

CHECKING = Checking()
MISSED = Checking(has_missed=True)
AWAITING = AwaitingReplay("a")


def following(last_seq):
    return Following("a", Cursor(last_seq))


def behind(last_seq):
    return Behind("a", Cursor(last_seq))


def in_state(state):
    attachment = Attachment()
    attachment.state = state
    return attachment


@pytest.mark.parametrize(
    ("state", "after_follow", "after_await_replay", "after_start_replay", "after_miss", "after_start_reading"),
    [
        (CHECKING, following(5), AWAITING, CHECKING, MISSED, CHECKING),
        (MISSED, behind(5), AWAITING, MISSED, MISSED, MISSED),
        (AWAITING, AWAITING, AWAITING, following(7), AWAITING, AWAITING),
        (following(1), following(1), following(1), following(7), behind(1), following(1)),
        (behind(1), behind(1), behind(1), following(7), behind(1), following(1)),
    ],
)
def test_every_change_of_every_state(
    state, after_follow, after_await_replay, after_start_replay, after_miss, after_start_reading
):
    changes = [
        (lambda attachment: attachment.follow("a", 5), after_follow),
        (lambda attachment: attachment.await_replay("a"), after_await_replay),
        (lambda attachment: attachment.start_replay(7), after_start_replay),
        (lambda attachment: attachment.miss(), after_miss),
        (lambda attachment: attachment.start_reading(), after_start_reading),
    ]
    for change, expected in changes:
        attachment = in_state(state)
        change(attachment)
        assert attachment.state == expected


def test_a_new_one_is_being_checked_and_names_no_agent():
    assert Attachment().state == CHECKING
    assert [in_state(state).agent for state in (CHECKING, MISSED)] == ["", ""]
    assert [in_state(state).agent for state in (AWAITING, following(0), behind(0))] == ["a", "a", "a"]


def test_no_replay_starts_for_a_client_that_may_not_use_the_session():
    assert in_state(CHECKING).start_replay(0) is None
    assert in_state(AWAITING).start_replay(3) == Cursor(3)


def test_the_cursor_is_the_same_object_while_it_is_followed():
    """The pump moves it on while the state changes."""
    cursor = Cursor(1)
    attachment = in_state(Following("a", cursor))
    attachment.miss()
    assert attachment.state.cursor is cursor
    attachment.start_reading()
    assert attachment.state.cursor is cursor


def test_own_events_are_remembered_until_they_are_passed_over():
    attachment = in_state(following(3))
    for seq in (3, 4, 5):
        attachment.add_own(seq)
    assert attachment.own == {4, 5}, "what was sent already needs no remembering"
    assert [attachment.take_own(seq) for seq in (4, 4, 6)] == [True, False, False]
    assert attachment.own == {5}


def test_a_replay_sends_own_events_too():
    attachment = in_state(following(3))
    attachment.add_own(4)
    attachment.start_replay(0)
    assert attachment.own == frozenset()


STEPS = ("follow", "await_replay", "start_replay", "miss", "start_reading")


@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_nothing_that_was_missed_is_forgotten_before_it_is_read(steps):
    """Against a plain model: behind from a miss until the log is read, once it is known from where."""
    attachment, has_missed, cursor = Attachment(), False, None
    for step in steps:
        match step:
            case "follow":
                attachment.follow("a", 5)
                cursor = 5 if cursor is None and not isinstance(attachment.state, AwaitingReplay) else cursor
            case "await_replay":
                attachment.await_replay("a")
            case "start_replay":
                if attachment.start_replay(7) is not None:
                    has_missed, cursor = False, 7  # it reads the log from there
            case "miss":
                attachment.miss()
                has_missed = True
            case "start_reading":
                attachment.start_reading()
                has_missed = has_missed and cursor is None
        assert isinstance(attachment.state, Behind) == (has_missed and cursor is not None)
        known = attachment.state.cursor
        assert (known.last_seq if known is not None else None) == cursor
