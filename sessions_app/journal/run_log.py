"""One line of the log for every run: how it ended, what it cost, how long it took."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

from agents.log_format import FACTS
from agents.metrics import measures
from myagent.llm import Usage
from myagent.text import short_id

logger = logging.getLogger("myagent.runs")


_PARTS = ("cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
"""What the line says only where the endpoint has told it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """The end of a run. `outcome` is what `finish` of the final answer says, or `error`, `cancelled`, `deleted`.

    `reason` is an error's code or why it was cancelled, `user` None for an anonymous session.
    """

    session_id: uuid.UUID
    run_id: uuid.UUID
    agent: str
    user: str | None
    outcome: str
    reason: str = ""
    steps: int
    tool_calls: int
    usage: Usage
    seconds: float

    def fields(self, model: str) -> dict[str, object]:
        """What the line says, in its order. A session is named by the beginning of its id: with the whole id
        of an anonymous one, anybody may use it.
        """
        reason = {"reason": self.reason} if self.reason else {}
        return {
            "outcome": self.outcome,
            **reason,
            "agent": self.agent,
            "model": model or "-",
            "user": self.user or "-",
            "session": short_id(self.session_id),
            "run": self.run_id,
            "steps": self.steps,
            "tool_calls": self.tool_calls,
            "model_calls": self.usage.llm_calls,
            "tokens_in": self.usage.input_tokens,
            "tokens_out": self.usage.output_tokens,
            "seconds": f"{self.seconds:.2f}",
            **{name: count for name in _PARTS if (count := getattr(self.usage, name))},
            **({} if (cost := self.usage.cost) is None else {"cost": f"{cost:f}", "currency": self.usage.currency}),
        }


_INTERRUPTED = ("cancelled", "deleted")


def log_end(end: RunEnd, *, model: str) -> None:
    """Write the line, and count; to be called once, when the end is committed. It contains nothing of what was said."""
    measures.RUNS_ENDED.add(end.agent, "interrupted" if end.outcome in _INTERRUPTED else end.outcome)
    measures.RUN_DURATION.observe(end.seconds, end.agent)
    if end.outcome == "error":
        measures.RUN_ERRORS.add(end.agent, end.reason)
    if logger.isEnabledFor(logging.INFO):
        fields = end.fields(model)
        facts = " ".join(f"{name}={_one_word(str(value))}" for name, value in fields.items())
        logger.info("Run ended: %s", facts, extra={FACTS: fields})


def _one_word(value: str) -> str:
    """`value` so that it cannot be read as two values, or as another line."""
    return value if value.isprintable() and not set(value) & {" ", '"', "="} else repr(value)
