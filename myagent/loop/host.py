"""`Host`, the protocol between the loop and what runs it: the server, or `Agent.arun`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from myagent.messages import Message
from myagent.tool.base_tool import BaseTool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """A question to the user about the tool call `call_id`. No answer within `timeout` seconds is a no.

    `starts_call` is true when the call begins only after a yes, false when its code asks while it runs. A hook asks
    on an `occasion`: the same question on the same one has the same answer, also when the hook is called again after a
    takeover. A hook that is about no call has neither of its ids.
    """

    call_id: str
    call_step_id: str
    question: str
    tool_name: str
    tool_description: str
    tool_args: Mapping[str, Any]
    timeout: float
    starts_call: bool
    occasion: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The user's answer; without one `answered` is false.

    `args` replaces the call's arguments, `reason` is for the model.
    """

    confirmed: bool
    args: dict[str, Any] | None = None
    reason: str | None = None
    answered: bool = True


class Host(Protocol):
    """What the loop needs of its surroundings."""

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        """Ask the user and wait for the answer."""
        ...

    async def said_meanwhile(self) -> Sequence[Message]:
        """What the user has said to steer the run and the model has not read; each message is handed out once.

        Asked before each request for a step, when every call has its result.
        """
        ...

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        """Run a tool's code and return what it returns; cancelling this gives the code up.

        `call` takes no arguments and returns a value or an awaitable; it must be called, and awaited, where the
        tool's code may block without harm.
        """
        ...
