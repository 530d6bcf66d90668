"""The model of a run with limits: asked within its time, and once more at a limit, for an answer without tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from myagent.events import AgentEvent, LimitUse, ReasoningDelta, StepReset, TextDelta
from myagent.llm import ToolSchema, Usage
from myagent.loop.context_window import estimate_usage
from myagent.loop.history import History
from myagent.loop.model_step import ModelSteps
from myagent.loop.pausable_timeout import PausableTimeout
from myagent.loop.run_clock import RunClock
from myagent.loop.run_limits import RunLimits

SUM_UP_PROMPT = (
    "You have reached the limit of %(what)s, and tools are no longer available. "
    "Answer the user now with what you know, and say what is still missing."
)
SUM_UP_VALUE_PROMPT = (
    "You have reached the limit of %(what)s, and other tools are no longer available. "
    "Call final_output now with what you know."
)
_WHAT = {
    "max_steps": "steps",
    "max_tokens": "tokens",
    "max_tool_calls": "tool calls",
    "max_seconds": "time",
    "repeat_limit": "equal tool calls",
}


def sum_up_prompt(reached: LimitUse, *, is_value: bool = False) -> str:
    """The instruction for the last call at this limit, where the answer has to be a value or not."""
    return (SUM_UP_VALUE_PROMPT if is_value else SUM_UP_PROMPT) % {"what": _WHAT[reached.which]}


class _OutOfTime(Exception):
    """The time is over before the events are."""


class LimitedModel:
    """Asks the model for a step, within what the run's limits leave."""

    def __init__(self, model: ModelSteps, history: History, limits: RunLimits) -> None:
        self.model = model
        self._history = history
        self._limits = limits
        self.was_stopped = False
        """Whether the newest call was stopped at the limit of time: then there is no reply."""

    def ask(self, step: int, tools: Sequence[ToolSchema]) -> AsyncGenerator[AgentEvent]:
        """Ask for a reply, which may call tools."""
        note = self._limits.note
        asking = self.model.ask(step, tools, note)
        # Without a limit of tokens or of time no generator of this class is between the model and the run.
        if self._limits.counts_tokens:
            asking = self._counted(asking, note)
        return asking if self._limits.seconds_left() is None else self._until_time_is_over(step, asking)

    async def _until_time_is_over(self, step: int, asking: AsyncGenerator[AgentEvent]) -> AsyncGenerator[AgentEvent]:
        has_shown, seconds = False, self._limits.seconds_left() or 0
        try:
            async with aclosing(_in_time(asking, seconds, self._limits.clock)) as events:
                async for event in events:
                    has_shown = has_shown or isinstance(event, TextDelta | ReasoningDelta)
                    yield event
        except _OutOfTime:
            self.was_stopped = True
            self.model.usage += Usage(llm_calls=1)
            if not has_shown:
                self.model.pass_on(seconds)
        if self.was_stopped and has_shown:
            yield StepReset(step=step, reason="limit")

    async def _counted(self, asking: AsyncGenerator[AgentEvent], note: str | None) -> AsyncGenerator[AgentEvent]:
        """Ask, and estimate what it took where the endpoint does not tell."""
        before, prompt = self.model.usage, self._history.prompt(note)
        async with aclosing(asking):
            async for event in asking:
                yield event
        after = self.model.usage
        if (after.input_tokens, after.output_tokens) == (before.input_tokens, before.output_tokens):
            self.model.usage += estimate_usage(prompt, self.model.reply)

    async def sum_up(
        self, step: int, tools: Sequence[ToolSchema], reached: LimitUse, *, is_value: bool = False
    ) -> AsyncGenerator[AgentEvent]:
        """Ask for the answer at the limit that was reached; a value is given by a call of its tool.

        Raises `RunLimitReached` where that would take the run far beyond it.
        """
        note = sum_up_prompt(reached, is_value=is_value)
        self._limits.check_affordable(self.model.usage)
        asking = self.model.ask(step, tools, note, may_call=is_value)
        if (seconds := self._limits.seconds_to_sum_up) is not None:
            asking = _in_time(asking, seconds, self._limits.clock)
        try:
            async with aclosing(asking) as events:
                async for event in events:
                    yield event
        except _OutOfTime:
            raise self._limits.out_of_time() from None


async def _in_time(events: AsyncGenerator[AgentEvent], seconds: float, clock: RunClock) -> AsyncGenerator[AgentEvent]:
    """The events of the next seconds, by the clock of the run. Raises `_OutOfTime` when there would be more."""
    until = clock.seconds + seconds
    async with aclosing(events):
        while True:
            # Around each event alone: between two of them the code of the caller runs, which is not stopped.
            limit = PausableTimeout(max(0.0, until - clock.seconds))
            try:
                async with limit:
                    with clock.stopping(limit):  # a hook may ask a person
                        event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if limit.expired:
                    raise _OutOfTime from None
                raise
            yield event
