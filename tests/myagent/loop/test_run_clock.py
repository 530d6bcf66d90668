"""The time of a run, by a clock that the test moves."""

from myagent.loop.run_clock import RunClock


class Watch:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_it_counts_on_from_what_the_run_has_taken():
    watch = Watch()
    clock = RunClock(30.0, watch)
    watch.now += 5
    assert clock.seconds == 35


def test_waits_for_people_do_not_count_and_may_overlap():
    watch = Watch()
    clock = RunClock(0.0, watch)
    watch.now += 1
    with clock.waiting():
        watch.now += 10
        assert clock.seconds == 1
        with clock.waiting():
            watch.now += 10
        watch.now += 10
        assert clock.seconds == 1
    watch.now += 2
    assert clock.seconds == 3
    with clock.waiting():
        watch.now += 7
    assert clock.seconds == 3
