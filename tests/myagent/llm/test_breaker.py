"""What a process knows of models that do not answer."""

import gc

from myagent.llm.breaker import PROBE_SECONDS, Breaker, all_breakers, breaker_of


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_one_probe_in_thirty_seconds():
    clock = Clock()
    breaker = Breaker("m", clock=clock)
    assert [breaker.admit() for _ in range(3)] == [True] * 3, "a model that answers is asked by everybody"
    breaker.failed()
    assert breaker.is_open and breaker.away_since is not None
    admitted = []
    for _second in range(100):
        clock.now += 1
        admitted += [clock.now - 1000] * (breaker.admit() + breaker.admit())
    assert admitted == [PROBE_SECONDS, 2 * PROBE_SECONDS, 3 * PROBE_SECONDS]
    breaker.answered()
    assert not breaker.is_open and breaker.admit() and breaker.admit()


def test_a_slow_probe_that_failed_is_not_followed_by_the_next_one_at_once():
    clock = Clock()
    breaker = Breaker("m", clock=clock)
    breaker.failed()
    clock.now += PROBE_SECONDS
    assert breaker.admit()
    clock.now += PROBE_SECONDS
    breaker.failed()
    assert not breaker.admit() and breaker.seconds_left == PROBE_SECONDS


def test_patience_follows_what_the_model_ever_took():
    breaker = Breaker("m")
    quick = breaker.patience
    breaker.answered(0.2)
    assert breaker.patience == quick
    breaker.answered(60.0)
    breaker.answered(0.2)
    assert breaker.patience == 120.0


def test_an_endpoint_is_shared_and_forgotten_with_its_last_model():
    one = breaker_of("m", "http://a.example/v1")
    assert breaker_of("m", "http://a.example/v1") is one
    assert breaker_of("m", "http://b.example/v1") is not one and breaker_of("n", "http://a.example/v1") is not one
    assert breaker_of("m", "") is not breaker_of("m", ""), "nobody knows whether these are the same"
    one.failed()
    assert one in all_breakers()
    del one
    gc.collect()
    assert not breaker_of("m", "http://a.example/v1").is_open
