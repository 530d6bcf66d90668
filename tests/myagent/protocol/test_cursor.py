"""Where a reader stands in a log."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from myagent.protocol.cursor import Cursor, Delivery, event_id, split_event_id


@pytest.mark.parametrize(
    ("last", "prev", "seq", "delivery", "then"),
    [
        (0, 0, 1, Delivery.SEND, 1),
        (5, 5, 6, Delivery.SEND, 6),
        (5, 3, 9, Delivery.SEND, 9),  # numbers may skip, and a log may have been read further than it was announced
        (5, 4, 5, Delivery.SKIP, 5),
        (5, 0, 1, Delivery.SKIP, 5),
        (5, 6, 7, Delivery.CATCH_UP, 5),
    ],
)
def test_what_becomes_of_an_event(last, prev, seq, delivery, then):
    cursor = Cursor(last)
    assert cursor.offer(prev, seq) is delivery
    assert cursor.last_seq == then


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.lists(st.integers(0, 29), max_size=60))
def test_every_event_is_sent_once_however_often_it_is_offered(gaps, offers):
    seqs = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    chain = list(zip([0, *seqs], seqs, strict=False))
    cursor, sent = Cursor(), []
    for index in [*offers, *range(len(chain))]:
        prev, seq = chain[index % len(chain)]
        if cursor.offer(prev, seq) is Delivery.SEND:
            sent.append(seq)
    assert sent == seqs


class CursorMachine(RuleBasedStateMachine):
    """A log that grows and is compacted, offers that come late, again or never, and a reader that goes and comes back.

    `log` is what a look into it finds, `sent` what this connection was sent, which began behind `start`.
    """

    def __init__(self):
        super().__init__()
        self.log: list[int] = []
        self.growths: list[tuple[int, list[int]]] = []
        self.last = 0
        self.begin(0)

    def begin(self, start):
        self.start, self.sent, self.cursor, self.is_behind = start, [], Cursor(start), False

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def grow(self, gaps):
        """Others may have numbers in between: of events that were compacted before anybody looked."""
        prev, seqs = self.last, []
        for gap in gaps:
            self.last += gap
            seqs.append(self.last)
        self.log += seqs
        self.growths.append((prev, seqs))

    @precondition(lambda self: self.growths)
    @rule(data=st.data())
    def offer(self, data):
        """Any growth, the newest or one from long ago, known to the reader or not."""
        prev, seqs = data.draw(st.sampled_from(self.growths[-4:]))
        for seq in seqs:
            before = self.cursor.last_seq
            match self.cursor.offer(prev, seq):
                case Delivery.SEND:
                    self.sent.append(seq)
                case Delivery.SKIP:
                    assert seq <= before, "an event that was never sent was skipped"
                case Delivery.CATCH_UP:
                    assert before < prev, "nothing was missed"
                    self.is_behind = True
            prev = seq

    @rule(page=st.integers(1, 5))
    def catch_up(self, page):
        found = [seq for seq in self.log if seq > self.cursor.last_seq]
        for seq in found[:page]:
            self.cursor.last_seq = seq
            self.sent.append(seq)
        self.is_behind = self.is_behind and len(found) > page

    @precondition(lambda self: len(self.log) > 1)
    @rule(data=st.data())
    def compact(self, data):
        self.log.remove(data.draw(st.sampled_from(self.log[:-1])))

    @rule(data=st.data())
    def come_back(self, data):
        """With any number that a client may give, whether an event bears it or not."""
        self.begin(data.draw(st.integers(0, self.last)))

    @invariant()
    def everything_up_to_the_cursor_was_sent_once_and_in_order(self):
        assert self.sent == sorted(set(self.sent))
        passed = {seq for seq in self.log if self.start < seq <= self.cursor.last_seq}
        assert passed <= set(self.sent)
        assert not self.sent or self.sent[-1] == self.cursor.last_seq

    def teardown(self):
        self.catch_up(len(self.log) + 1)
        assert not self.is_behind
        assert {seq for seq in self.log if seq > self.start} <= set(self.sent)


TestCursorMachine = CursorMachine.TestCase
TestCursorMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("value", ["", "-", "-5", "abc", "a-", "a-x", "a--5x", "a-1.0", "a-٣", "a-" + "9" * 19, "a- 1"])
def test_what_is_no_event_id(in_english, value):
    with pytest.raises(ValueError, match="event id"):
        split_event_id(value)


@given(st.text(min_size=1), st.integers(0, 10**18 - 1))
def test_an_event_id_is_split_at_its_last_dash(session_id, seq):
    assert split_event_id(event_id(session_id, seq)) == (session_id, seq)


@given(st.text())
def test_an_event_id_is_one_or_a_value_error(value):
    try:
        session_id, seq = split_event_id(value)
    except ValueError:
        return
    assert session_id
    assert seq >= 0
