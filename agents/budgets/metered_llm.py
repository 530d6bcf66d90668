"""A model that is called only while the user's budget has tokens left."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from django.utils import timezone

from agents.budgets.allowances import Allowances, BudgetExceeded, Level, end_of_day
from agents.budgets.reservations import reservations_of
from myagent.llm import LLM, Chunk, Reply, ToolSchema
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
        self._was_asked = False
        self._reservations = reservations_of(allowances)
        self._reserved: uuid.UUID | None = None

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Ask, if there is anything left."""
        if not self._allowances.may_limit(self._agent):
            self._was_asked = True
            return super().stream(messages, tools=tools, tool_choice=tool_choice)
        return self._checked(messages, tools, tool_choice)

    async def _checked(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], tool_choice: str | None
    ) -> AsyncGenerator[Chunk]:
        self.settle()  # what the call before took is stored by now
        found = await self._reservations.reserve(self._user_id, self._agent, sum(map(estimate_tokens, messages)))
        if isinstance(found, Level):
            raise BudgetExceeded(found, end_of_day(timezone.now()), refused=not self._was_asked)
        self._reserved, self._was_asked = found, True
        async with aclosing(super().stream(messages, tools=tools, tool_choice=tool_choice)) as chunks:
            async for chunk in chunks:
                yield self._noted(_counted(chunk, messages)) if isinstance(chunk, Reply) else chunk

    def _noted(self, reply: Reply) -> Reply:
        self._reservations.note(self._agent, reply.usage.input_tokens + reply.usage.output_tokens)
        return reply

    def settle(self) -> None:
        """What the last call took is stored: it is set aside no more. To be called when the run is over."""
        if self._reserved is not None:
            self._reservations.release(self._reserved)
            self._reserved = None


def _counted(reply: Reply, messages: Sequence[Message]) -> Reply:
    """`reply` with an estimate of what it cost, where the endpoint does not tell."""
    if reply.usage.input_tokens or reply.usage.output_tokens:
        return reply
    usage = estimate_usage(messages, reply.message)
    return replace(reply, usage=replace(usage, llm_calls=reply.usage.llm_calls))
