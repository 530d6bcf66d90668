"""How many runs this process works on at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Places:
    """Decides whether one more run may start here. Pure: it is told which runs take places.

    `taken` counts the runs of this process by their agents, without those that wait for a person.
    """

    def __init__(self, max_runs: int, max_runs_per_agent: int | None) -> None:
        self._max_runs = max_runs
        self._max_runs_per_agent = max_runs_per_agent
        self._has_refused = False
        self.are_queued_for = False
        """Whether runs may be waiting because this process was full: then none starts before them."""
        self.is_closed = False
        """Whether no run may start any more, because the server is stopping."""

    def close(self) -> None:
        self.is_closed = True

    def is_free(self, agent: str, taken: Counter[str]) -> bool:
        """Whether one more run of `agent` may start; a refusal is remembered."""
        limit = self._max_runs_per_agent
        if self.is_closed:
            return False
        if not self.free(taken) or (limit is not None and taken[agent] >= limit):
            self.refuse()
            return False
        return True

    def free(self, taken: Counter[str]) -> int:
        """How many more runs may start, whatever their agents; that there are none is remembered."""
        if self.is_closed:
            return 0
        free = max(self._max_runs - taken.total(), 0)
        if not free:
            self.are_queued_for = True
            self.refuse()
        return free

    def left(self, limits: Mapping[str, int | None], active: Counter[str], taken: Counter[str]) -> dict[str, int]:
        """How many more runs of each limited agent may start; that there are none is remembered as a refusal.

        `limits` has every agent that is served here; `active` counts the runs of limited ones in all processes.
        """
        left = {name: limit - active[name] for name, limit in limits.items() if limit is not None}
        if (here := self._max_runs_per_agent) is not None:
            left |= {name: min(left.get(name, here), here - taken[name]) for name in limits}
        if any(count <= 0 for count in left.values()):
            self.refuse()
        return left

    def refuse(self) -> None:
        """A run was found that has to wait."""
        self._has_refused = True

    def none_waits(self) -> None:
        """No run was found that could start here, while there was a place for it."""
        self.are_queued_for = False

    def take_refusals(self) -> bool:
        """Whether a run was refused since this was asked last: it should be looked for again."""
        has_refused, self._has_refused = self._has_refused, False
        return has_refused
