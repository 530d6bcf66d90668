"""Who is told that a log grew."""

import uuid

import pytest

from sessions_app.delivery.hub import Hub
from sessions_app.journal.log import Growth, Logged
from sessions_app.run_queue import Place

A, B = uuid.uuid4(), uuid.uuid4()


class Listener:
    def __init__(self):
        self.heard = []

    def offer(self, growth):
        self.heard.append(("grown", growth.session_id, growth.events[-1].seq))

    def lag_behind(self, session_id):
        self.heard.append(("behind", session_id))

    def session_deleted(self, session_id):
        self.heard.append(("deleted", session_id))

    def tell_place(self, session_id, place):
        self.heard.append(("place", session_id, place and place.position))


def growth(session, prev, last):
    return Growth(session, prev, [Logged(seq, "{}", None) for seq in range(prev + 1, last + 1)])


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def listener(hub):
    listener = Listener()
    hub.attach(A, listener)
    return listener


def test_only_those_who_watch_a_session_are_told(hub, listener):
    hub.grown([growth(B, 0, 1), growth(A, 0, 2)])
    hub.grown_elsewhere({B: 5})
    hub.deleted([B])
    assert listener.heard == [("grown", A, 2)]


def test_everybody_who_watches_is_told(hub, listener):
    other = Listener()
    hub.attach(A, other)
    hub.grown([growth(A, 0, 1)])
    assert listener.heard == other.heard == [("grown", A, 1)]


def test_attaching_twice_tells_once(hub, listener):
    hub.attach(A, listener)
    hub.grown([growth(A, 0, 1)])
    assert len(listener.heard) == 1


def test_what_this_process_wrote_is_no_news_from_elsewhere(hub, listener):
    hub.grown([growth(A, 0, 3)])
    hub.grown_elsewhere({A: 3})
    hub.grown_elsewhere({A: 2})
    assert listener.heard == [("grown", A, 3)]
    hub.grown_elsewhere({A: 4})
    hub.grown_elsewhere({A: 4})
    assert listener.heard[1:] == [("behind", A)]


def test_a_late_announcement_does_not_turn_what_was_read_into_news_again(hub, listener):
    hub.grown_elsewhere({A: 9})  # the poll was quicker
    hub.grown([growth(A, 0, 8)])
    listener.heard.clear()
    hub.grown_elsewhere({A: 9})
    assert listener.heard == []


def test_after_leaving_nothing_is_heard_and_nothing_kept(hub, listener):
    hub.grown([growth(A, 0, 3)])
    hub.detach(A, listener)
    hub.detach(A, listener)
    hub.grown([growth(A, 3, 4)])
    assert listener.heard == [("grown", A, 3)]
    assert (list(hub.attached), list(hub.known)) == ([], [])


def test_a_listener_may_leave_while_it_is_told(hub, listener):
    class Leaving(Listener):
        def session_deleted(self, session_id):
            super().session_deleted(session_id)
            hub.detach(session_id, self)

    leaving = Leaving()
    hub.attach(A, leaving)
    hub.deleted([A])
    assert leaving.heard == listener.heard == [("deleted", A)]
    hub.detach(A, listener)
    assert list(hub.attached) == []


def test_known_sessions_are_those_that_were_heard_of(hub, listener):
    hub.attach(B, listener)
    hub.grown([growth(A, 0, 1)])
    assert list(hub.known) == [A]
    assert set(hub.attached) == {A, B}


def test_places_are_told_while_a_run_waits_and_its_end_once(hub, listener):
    place, other = Place(uuid.uuid4(), 2), Place(uuid.uuid4(), 1)
    hub.tell_places({A: place, B: other}, hub.ends)
    hub.tell_places({B: other}, hub.ends)
    hub.tell_places({}, hub.ends)
    assert listener.heard == [("place", A, 2), ("place", A, None)]


def test_a_place_that_was_read_before_the_run_may_have_started_is_not_told(hub, listener):
    ends = hub.ends
    hub.grown([growth(A, 0, 3)])
    hub.tell_places({A: Place(uuid.uuid4(), 1)}, ends)
    assert listener.heard == [("grown", A, 3)]
