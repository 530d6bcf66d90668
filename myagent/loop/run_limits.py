"""The limits of one run: what it has used of each, when one is reached, and which calls are refused for it.

Pure: counts what it is told, and asks nothing but the clock. A run that is taken over counts on from its checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from myagent.agent_definition import AgentDefinition
from myagent.events import LimitUse
from myagent.exceptions import RunLimitReached
from myagent.i18n import gettext as _
from myagent.llm import Usage
from myagent.loop.checkpoint import AskedCall, Checkpoint
from myagent.loop.prepared_calls import PreparedCall
from myagent.loop.run_clock import RunClock
from myagent.protocol.server_base import Limit
from myagent.tool.terminate import Terminate

NEAR = 0.8
"""The part of a limit from which on people are told of it."""
REPEATED_NOTE = (
    "You have made the same call with the same arguments %(count)d times in a row (%(tools)s). It is not run again. "
    "Do something else, or answer the user with what you know."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What an operator allows each run of an agent, where that is less than its author does; None is no limit."""

    max_steps: int | None = None
    max_tokens: int | None = None
    max_tool_calls: int | None = None
    max_seconds: int | None = None


NO_CEILINGS = Ceilings()


def limits_of(agent: AgentDefinition, ceilings: Ceilings = NO_CEILINGS) -> dict[Limit, float]:
    """What each run of the agent may use at most: the lower of its own limits and the `ceilings`."""
    limits: dict[Limit, float | None] = {
        "max_steps": _lower(agent.max_steps, ceilings.max_steps or None),
        "max_tokens": _lower(agent.max_tokens, ceilings.max_tokens),
        "max_tool_calls": _lower(agent.max_tool_calls, ceilings.max_tool_calls),
        "max_seconds": _lower(agent.max_seconds, ceilings.max_seconds),
        "repeat_limit": agent.repeat_limit,
    }
    return {which: limit for which, limit in limits.items() if limit is not None}


class RunLimits:
    """What one run may use, the lower of its agent's limits and the `ceilings`, and what it has used.

    The calls of the reply at the checkpoint are not counted before `take` is told of them, or `count_newest`.
    """

    def __init__(
        self, agent: AgentDefinition, ceilings: Ceilings = NO_CEILINGS, checkpoint: Checkpoint | None = None
    ) -> None:
        limits = limits_of(agent, ceilings)
        self._steps = limits["max_steps"]
        self._tokens = limits.get("max_tokens")
        self._calls = limits.get("max_tool_calls")
        self._seconds = limits.get("max_seconds")
        self._repeats = agent.repeat_limit
        self._calls_made = 0
        self._streaks: dict[tuple[str, str], int] = {}
        """Of the calls of the newest reply: in how many replies in a row each was made."""
        self._told: set[str] = set()
        self._newest: list[AskedCall] = []
        """The calls of the reply at the checkpoint."""
        self.clock = RunClock(checkpoint.seconds if checkpoint else 0.0)
        if checkpoint is not None and checkpoint.step:
            self._restore(checkpoint)

    def _restore(self, checkpoint: Checkpoint) -> None:
        earlier = [call for call in checkpoint.calls if call.step < checkpoint.step]
        self._newest = [call for call in checkpoint.calls if call.step == checkpoint.step]
        for _step, calls in groupby(earlier, key=lambda call: call.step):
            self._count(list(calls))
        # What is near its limit by now was told by the process before.
        self.newly_near(checkpoint.step, checkpoint.usage)

    # --- before a call of the model ---

    def reached(self, step: int, usage: Usage) -> LimitUse | None:
        """The limit that ends the run after so many steps and such a usage, None while it may take another step."""
        return next((use for use in self._uses(step, usage) if use.used >= use.allowed), None) or self._repeated()

    def newly_near(self, step: int, usage: Usage) -> list[LimitUse]:
        """The limits of which the run has used most, each once."""
        near = [use for use in self._uses(step, usage) if NEAR * use.allowed <= use.used < use.allowed]
        new = [use for use in near if use.which not in self._told]
        self._told.update(use.which for use in new)
        return new

    @property
    def note(self) -> str | None:
        """What the model is told of calls that it must not make once more."""
        if not (repeated := [name for (name, _args), count in self._streaks.items() if count == self._repeats]):
            return None
        return REPEATED_NOTE % {"count": self._repeats, "tools": ", ".join(dict.fromkeys(repeated))}

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a limit of tokens."""
        return self._tokens is not None

    def seconds_left(self) -> float | None:
        """What the run may still take; None without a limit of time."""
        return None if self._seconds is None else max(0.0, self._seconds - self.clock.seconds)

    # --- the last call, which sums up ---

    @property
    def seconds_to_sum_up(self) -> float | None:
        """How long the last call may take: once more what the run might."""
        return self._seconds

    def check_affordable(self, usage: Usage) -> None:
        """Raise `RunLimitReached` where the run took twice the tokens that it may: then there is no last call."""
        if self._tokens is not None and _tokens_of(usage) >= 2 * self._tokens:
            words = _("The answer was stopped: it took %(used)d model tokens, and it may take %(allowed)d.")
            use = LimitUse(which="max_tokens", used=_tokens_of(usage), allowed=self._tokens)
            raise _too_far(words, use)

    def out_of_time(self) -> RunLimitReached:
        """The error of a last call that took too long."""
        words = _("The answer was stopped: it took %(used)d s, and it may take %(allowed)d s.")
        return _too_far(words, self.use_of_time())

    # --- the calls of a reply ---

    def count_newest(self) -> None:
        """Count the calls of the reply at the checkpoint, all of which are over: something was said behind them."""
        if self._newest:
            self._count(self._newest)

    def take(self, calls: Sequence[PreparedCall]) -> list[PreparedCall]:
        """Count the calls of a new reply. Those beyond a limit get a problem, so that they are not run."""
        before = self._calls_made
        self._count([AskedCall(0, call.requested.name, call.requested.arguments) for call in calls])
        return [self._checked(call, before + number) for number, call in enumerate(calls, 1)]

    def _checked(self, call: PreparedCall, number: int) -> PreparedCall:
        if call.problem is not None or isinstance(call.tool, Terminate):
            return call
        if self._calls is not None and number > self._calls:
            words = _("Not run: this answer may make %(count)d tool calls, and it has made them.")
            return _refused(call, words % {"count": self._calls})
        streak = self._streaks[_key(call.requested.name, call.requested.arguments)] if self._repeats else 0
        if self._repeats and streak > self._repeats:
            words = _("Not run: the same call with the same arguments was made %(count)d times in a row.")
            return _refused(call, words % {"count": self._repeats})
        return call

    def _count(self, calls: Sequence[AskedCall]) -> None:
        self._calls_made += len(calls)
        if self._repeats is not None:
            keys = {_key(call.name, call.arguments) for call in calls}
            self._streaks = {key: self._streaks.get(key, 0) + 1 for key in keys}

    # --- what is used ---

    def _uses(self, step: int, usage: Usage) -> Iterator[LimitUse]:
        yield LimitUse(which="max_steps", used=step, allowed=self._steps)
        if self._tokens is not None:
            yield LimitUse(which="max_tokens", used=_tokens_of(usage), allowed=self._tokens)
        if self._calls is not None:
            yield LimitUse(which="max_tool_calls", used=self._calls_made, allowed=self._calls)
        if self._seconds is not None:
            yield self.use_of_time()

    def use_of_time(self) -> LimitUse:
        """The use of the limit of time, which has to be set."""
        return LimitUse(which="max_seconds", used=round(self.clock.seconds, 3), allowed=self._seconds or 0)

    def _repeated(self) -> LimitUse | None:
        most = max(self._streaks.values(), default=0)
        if self._repeats is None or most <= self._repeats:
            return None
        return LimitUse(which="repeat_limit", used=most, allowed=self._repeats)


def _refused(call: PreparedCall, problem: str) -> PreparedCall:
    requested = replace(call.requested, waits=True)
    return replace(call, requested=requested, problem=problem, needs_confirmation=False)


def _too_far(words: str, use: LimitUse) -> RunLimitReached:
    about = {"used": round(use.used), "allowed": round(use.allowed)}
    return RunLimitReached(words % about, which=use.which, used=use.used, allowed=use.allowed)


def _lower(own: float | None, ceiling: float | None) -> float | None:
    return min((limit for limit in (own, ceiling) if limit is not None), default=None)


def _tokens_of(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def _key(name: str, arguments: object) -> tuple[str, str]:
    """What is equal for calls of the same tool with equal arguments."""
    return name, json.dumps(arguments, sort_keys=True, default=str)
