"""One run at a time makes its last attempt."""

import uuid

from sessions_app.runs.last_attempt import LAST_ATTEMPT_SECONDS, LastAttempt

RUN, OTHER = uuid.uuid4(), uuid.uuid4()


def test_at_first_none_is_under_way():
    assert not LastAttempt().is_under_way([RUN], 0.0)
    assert not LastAttempt().is_under_way([], 0.0)


def test_it_is_under_way_while_its_run_works_and_for_a_while_only():
    last = LastAttempt()
    last.begin(RUN, 100.0)
    assert last.is_under_way([OTHER, RUN], 100.0)
    assert last.is_under_way([RUN], 100.0 + LAST_ATTEMPT_SECONDS - 0.1)
    assert not last.is_under_way([RUN], 100.0 + LAST_ATTEMPT_SECONDS)


def test_it_is_over_when_its_run_ended_or_waits_for_a_person():
    last = LastAttempt()
    last.begin(RUN, 100.0)
    assert not last.is_under_way([OTHER], 100.0)
    assert last.is_under_way([RUN], 101.0), "it works on after the answer"


def test_the_next_one_takes_its_turn():
    last = LastAttempt()
    last.begin(RUN, 100.0)
    last.begin(OTHER, 200.0)
    assert not last.is_under_way([RUN], 200.0)
    assert last.is_under_way([OTHER], 200.0)
