"""Who gets a place here; which queued run is next is in `tests/sessions_app/test_run_queue.py`."""

import uuid

import pytest

from agents.conf import Config
from sessions_app.runs.place_leases import PlaceLeases


@pytest.fixture
def working():
    """The sessions whose runs take places here, with their agents."""
    return {}


@pytest.fixture
def places(tmp_path, working):
    return PlaceLeases(Config(data_dir=tmp_path, max_runs=2), "me", lambda: working)


def test_a_place_that_is_promised_is_given_to_nobody_else(places, working):
    first, second, third = (uuid.uuid4() for _ in range(3))
    with places.lend(first, "a") as one, places.lend(second, "a") as two, places.lend(third, "a") as none:
        assert (one.owner, two.owner, none) == ("me", "me", None)
        working[first] = "a"  # it is launched while its place is still promised
        assert places.free() == 0
        del working[first]
    assert places.free() == 2, "nothing was launched"


def test_nobody_overtakes_those_who_wait(places, working):
    running = [uuid.uuid4() for _ in range(2)]
    working.update(dict.fromkeys(running, "a"))
    with places.for_message(uuid.uuid4(), "a") as lease:
        assert lease is None
    assert not places.freed.is_set(), "there is nothing to look for"
    del working[running[0]]
    assert not places.free_one(has_more=True, is_limited=False), "its own session waits behind the others"
    assert places.freed.is_set()
    places.freed.clear()
    with places.for_message(uuid.uuid4(), "a") as lease:
        assert (lease, places.free()) == (None, 1)
    assert places.freed.is_set(), "it is looked at once for the one that is next"
    places.rules.none_waits()
    with places.for_message(uuid.uuid4(), "a") as lease:
        assert lease is not None


def test_where_nobody_waits_a_session_goes_on_at_once(places):
    assert places.free_one(has_more=True, is_limited=False)
    assert not places.free_one(has_more=False, is_limited=False)
    assert not places.free_one(has_more=True, is_limited=True)
    assert places.freed.is_set()


def test_a_server_that_stops_looks_for_nothing(places):
    places.rules.close()
    places.look_for_queued()
    assert (places.free(), places.freed.is_set()) == (0, False)
    with places.for_message(uuid.uuid4(), "a") as lease:
        assert lease is None
