from __future__ import annotations

from agents.supervisor.restart_pace import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, RestartPace


def test_pauses_grow_until_a_worker_is_steady():
    pace = RestartPace()
    assert pace.pause(STEADY_SECONDS) == 0
    assert pace.pause(1) == 2 * FIRST_SECONDS
    assert pace.pause(0) == 4 * FIRST_SECONDS
    pauses = [pace.pause(0) for _ in range(20)]
    assert pauses == sorted(pauses) and pauses[-1] == LONGEST_SECONDS
    assert pace.pause(STEADY_SECONDS) == 0


def test_one_that_never_served_is_not_started_again_at_once():
    assert RestartPace().pause(0) == FIRST_SECONDS
    assert RestartPace().pause(1) == 0
