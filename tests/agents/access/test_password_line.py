"""The line in which passwords wait: one at a time, the probable owner first, the newest of equals, never endless."""

from __future__ import annotations

import threading
import time

import pytest

from agents.access.password_line import LineIsFull, PasswordLine
from tests.support.patience import WAIT_SECONDS


class People:
    """Threads that want a turn; `order` is who got one, `turned_away` who did not."""

    def __init__(self, line: PasswordLine) -> None:
        self.line = line
        self.order: list[str] = []
        self.turned_away: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self._threads: list[threading.Thread] = []

    def arrive(self, name: str, rank: int) -> None:
        before = len(self.line)
        thread = threading.Thread(target=self._take, args=(name, rank))
        self._threads.append(thread)
        thread.start()
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.line) == before and not self.turned_away:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def _take(self, name: str, rank: int) -> None:
        try:
            with self.line.turn(rank):
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                self.order.append(name)
                self.at_once -= 1
        except LineIsFull:
            self.turned_away.append(name)

    def leave(self) -> None:
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


def test_the_lowest_rank_is_next_and_of_equals_the_newest():
    people = People(PasswordLine())
    with people.line.turn(2):
        for name, rank in (("a", 2), ("b", 1), ("c", 2), ("d", 0), ("e", 1)):
            people.arrive(name, rank)
    people.leave()
    assert people.order == ["d", "e", "b", "c", "a"]
    assert people.most_at_once == 1
    with people.line.turn(2):
        pass  # and it is free again


def test_when_it_is_full_the_oldest_stranger_is_turned_away():
    people = People(PasswordLine(longest=2))
    with people.line.turn(2):
        for name, rank in (("known", 1), ("stranger", 2), ("newest", 2)):
            people.arrive(name, rank)
        people._threads[1].join(WAIT_SECONDS)
        assert people.turned_away == ["stranger"]
    people.leave()
    assert people.order == ["known", "newest"]


def test_a_wait_has_an_end_and_leaves_the_line_as_it_was():
    line = PasswordLine(seconds=0.01)
    people = People(line)
    with line.turn(0):
        people._take("late", 0)
    assert people.turned_away == ["late"]
    assert len(line) == 0
    people._take("later", 0)
    assert people.order == ["later"]


def test_an_error_in_a_turn_ends_it():
    line = PasswordLine()
    with pytest.raises(ZeroDivisionError), line.turn(0):
        raise ZeroDivisionError
    with line.turn(0):
        pass
