"""Where a reader stands in a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("value", ["", "-", "-5", "abc", "a-", "a-x", "a--5x", "a-1.0", "a-٣", "a-" + "9" * 19, "a- 1"])
def test_what_is_no_event_id(value):
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
