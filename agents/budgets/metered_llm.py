"""A model that is called only while the user's budget has something left, and whose replies say what they cost."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from django.utils import timezone

from agents.budgets.allowances import Allowances
from agents.budgets.level import BudgetExceeded, Level, end_of_day
from agents.budgets.prices import stored_name
from agents.budgets.reservations import reservations_of
from agents.database.threads import in_thread_patiently
from myagent.llm import LLM, Chunk, Reply, ToolSchema, Usage
from myagent.llm.wrapped_llm import WrappedLLM
from myagent.loop.context_window import estimate_tokens, estimate_usage
from myagent.messages import Message


class MeteredLLM(WrappedLLM):
    """The model of one run of `user_id` with `agent`. Raises `BudgetExceeded` instead of asking it once too often."""

    def __init__(self, llm: LLM, allowances: Allowances, user_id: int | None, agent: str) -> None:
        super().__init__(llm)
        self._allowances = allowances
        self._user_id = user_id
        self._agent = agent
        self._prices = allowances.prices
        self._was_asked = False
        self._reservations = reservations_of(allowances)
        self._reserved: uuid.UUID | None = None

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask, if there is anything left."""
        is_limited = self._allowances.may_limit(self._agent)
        if not is_limited and not self._prices.are_needed:
            self._was_asked = True
            return super().stream(messages, tools=tools, tool_choice=tool_choice)
        return self._checked(messages, tools, tool_choice, is_limited=is_limited)

    async def _checked(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], tool_choice: str | None, *, is_limited: bool
    ) -> AsyncGenerator[Chunk]:
        self.settle()  # what the call before took is stored by now
        if not self._prices.are_known:
            await in_thread_patiently(self._prices.refresh)
        if is_limited:
            await self._reserve(messages)
        self._was_asked = True
        async with aclosing(super().stream(messages, tools=tools, tool_choice=tool_choice)) as chunks:
            async for chunk in chunks:
                yield self._counted(chunk, messages, is_limited) if isinstance(chunk, Reply) else chunk

    async def _reserve(self, messages: Sequence[Message]) -> None:
        tokens = sum(map(estimate_tokens, messages))
        found = await self._reservations.reserve(self._user_id, self._agent, tokens, self._priced)
        if isinstance(found, Level):
            raise BudgetExceeded(found, end_of_day(timezone.now()), refused=not self._was_asked)
        self._reserved = found

    def _counted(self, reply: Reply, messages: Sequence[Message], is_limited: bool) -> Reply:
        """`reply` with what it cost, and with an estimate of its tokens where the endpoint does not tell."""
        usage = reply.usage
        is_counted = is_limited or self._prices.has(self.model, timezone.now())
        if is_counted and not (usage.input_tokens or usage.output_tokens):
            usage = replace(estimate_usage(messages, reply.message), llm_calls=usage.llm_calls)
        usage = self._priced(usage)
        if is_limited:
            self._reservations.note(self._agent, usage)
        return reply if usage is reply.usage else replace(reply, usage=usage)

    def _priced(self, usage: Usage) -> Usage:
        """`usage` at the price of the model that answers; of several, the run has turned to that one by now."""
        return self._prices.priced(usage, self.model, timezone.now())

    @property
    def priced_model(self) -> str:
        """The name by which the run's row tells what a call costs that is broken off; empty without any prices."""
        return stored_name(self.model) if self._prices.are_needed else ""

    def settle(self) -> None:
        """What the last call took is stored: it is set aside no more. To be called when the run is over."""
        if self._reserved is not None:
            self._reservations.release(self._reserved)
            self._reserved = None
