"""The history of one run, and which part of it the model is sent. Pure: asks nothing and waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from myagent.agent_definition import AgentDefinition
from myagent.llm import LLM
from myagent.loop.context_window import estimate_tokens, fit
from myagent.loop.shortened_results import shorten_results
from myagent.loop.summary import as_messages
from myagent.messages import Message

DEFAULT_CONTEXT_WINDOW = 100_000
"""Tokens, where neither the agent nor the model says how many."""


class History:
    """The messages of a run, which grow step by step, and the summary of what came before them."""

    def __init__(self, agent: AgentDefinition, llm: LLM, messages: Sequence[Message], summary: str) -> None:
        self._messages = list(messages)
        self._next_step_prompt = agent.next_step_prompt
        self._window = 0
        # A function is called when the run begins, and `instruct` is told what it says.
        self._set_instructions("" if callable(agent.system_prompt) else agent.system_prompt)
        self._summary = as_messages(summary)
        self._set_window = agent.context_window
        self.budget: int
        """Tokens that the model can be sent beside the system prompt."""
        self._reductions: int
        self._take_window(agent.context_window or getattr(llm, "context_window", None) or DEFAULT_CONTEXT_WINDOW)

    def instruct(self, system_prompt: str) -> None:
        """From now on this is the system prompt."""
        self._set_instructions(system_prompt)
        self._take_window(self._window)

    def _set_instructions(self, system_prompt: str) -> None:
        # One message: many models' chat templates take a system message in no other place than the first.
        instructions = "\n\n".join(filter(None, (system_prompt, self._next_step_prompt)))
        self._system = [Message.system(instructions)] if instructions else []

    def take_window_of(self, llm: LLM) -> None:
        """From now on it is `llm` that is sent the messages. What the agent sets was set for the model before it."""
        known = (self._set_window, getattr(llm, "context_window", None))
        self._take_window(min(filter(None, known), default=DEFAULT_CONTEXT_WINDOW))

    def _take_window(self, window: int) -> None:
        self._window = window
        self.budget = window - sum(map(estimate_tokens, self._system))
        self._reductions = 0

    def prompt(self, note: str | None = None) -> list[Message]:
        """What the model is sent: as many messages as fit, and `note` as the last instruction."""
        notes = [Message.system(note)] if note else []
        return [*self._system, *self._summary, *self._fitting(), *notes]

    def add(self, *messages: Message) -> None:
        """Append messages."""
        self._messages += messages

    def add_results(self, results: Mapping[int, Message]) -> None:
        """Append the results of a reply's calls, in the order of the calls; the keys are their indexes."""
        self._messages += [results[index] for index in sorted(results)]

    def newest_said(self, count: int) -> list[tuple[int, Message]]:
        """The newest messages of the user, so many, with their places; fewer where the rest is not here."""
        said = [(at, message) for at, message in enumerate(self._messages) if message.role == "user"]
        return said[-count:]

    def replace(self, at: int, message: Message) -> None:
        """Put another message into this place."""
        self._messages[at] = message

    @property
    def has_calls(self) -> bool:
        """Whether any of the messages calls a tool."""
        return any(message.tool_calls for message in self._messages)

    def results_of(self, tool: str) -> list[Message]:
        """The results of this run's calls of `tool`."""
        ids: set[str] = set()
        results: list[Message] = []
        begins = max((at for at, message in enumerate(self._messages) if message.role == "user"), default=0)
        for message in self._messages[begins:]:
            if message.role == "tool" and message.tool_call_id in ids:
                results.append(message)
            elif message.role == "assistant":
                ids = {call.id for call in message.tool_calls if call.name == tool}
        return results

    # --- a run that is resumed ---

    def open_reply(self) -> Message | None:
        """The model's reply at the end of the history that asked for tools, whether or not they have answered."""
        replies = (message for message in reversed(self._messages) if message.role != "tool")
        newest = next(replies, None)
        return newest if newest is not None and newest.tool_calls else None

    def take_results(self) -> list[Message]:
        """Remove the tool results at the end of the history, and return them in their order."""
        count = len(self._messages)
        while count and self._messages[count - 1].role == "tool":
            count -= 1
        results = self._messages[count:]
        del self._messages[count:]
        return results

    # --- a history that is too long ---

    @property
    def is_too_long(self) -> bool:
        """Whether the oldest messages do not fit."""
        return len(self._fitting()) < len(self._messages)

    @property
    def summary(self) -> str:
        """The summary of what came before the messages, empty when there is none."""
        return self._summary[-1].text if self._summary else ""

    def oldest(self) -> list[Message]:
        """The messages to replace by a summary, so many that the rest has room to grow."""
        return self._messages[: len(self._messages) - len(fit(self._messages, self._room // 2))]

    def replace_oldest(self, count: int, summary: str) -> None:
        """Let `summary` stand for the `count` oldest messages and for the summary before them."""
        del self._messages[:count]
        self._summary = as_messages(summary)

    def send_less(self, limit: int | None = None) -> bool:
        """Send half as much from now on, and less when that was not enough; `limit` are the model's tokens, if known.

        The oldest exchanges are left out. In the newest one, which stays, results of tools are shortened. Returns False
        when that would be the same messages again.
        """
        sent = self._fitting()
        half = sum(map(estimate_tokens, [*self._summary, *sent])) // 2 ** (2 * self._reductions + 1)
        system = sum(map(estimate_tokens, self._system))
        self.budget = half if limit is None else max(1, min(half, limit * 3 // 4 - system))
        self._reductions += 1
        if len(fitting := self._fitting()) < len(sent):
            return True
        shortened = shorten_results(fitting, self._room)
        if shortened == fitting:
            return False
        self._messages[-len(fitting) :] = shortened
        return True

    @property
    def _room(self) -> int:
        """Tokens that the messages may take."""
        return self.budget - sum(map(estimate_tokens, self._summary))

    def _fitting(self) -> list[Message]:
        return fit(self._messages, self._room)
