"""The tool calls of one reply before they run: looked up and checked, and whether they need a confirmation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from myagent.events import RequestedCall
from myagent.exceptions import RetryTool
from myagent.i18n import gettext as _
from myagent.loop.checkpoint import OpenCall
from myagent.loop.host import ConfirmationRequest, Host
from myagent.messages import Message
from myagent.tool.arguments import parse_arguments
from myagent.tool.base_tool import BaseTool, asks
from myagent.tool.collection import ToolCollection

logger = logging.getLogger("myagent.tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A requested call and what it needs to run. One with a `problem` does not run; the problem is its result.

    `reports_start` means that its start has to be stored before its tool runs.
    """

    requested: RequestedCall
    tool: BaseTool | None = None
    arguments: Mapping[str, Any]
    problem: str | None = None
    needs_confirmation: bool = False
    reports_start: bool = False


async def prepare_calls(
    message: Message, tools: ToolCollection, *, step: int, run_id: str, host: Host
) -> list[PreparedCall]:
    """Look up and check every call of a reply. Wrong ones are kept, with the reason for the model."""
    prepared = []
    for index, call in enumerate(message.tool_calls):
        tool = tools.get(call.name)
        arguments: Mapping[str, Any] = {}
        asked: Mapping[str, Any] = {}
        problem = None
        try:
            asked = parse_arguments(call.arguments)
            if tool is None:
                words = _("There is no tool %(tool)r. Available are: %(names)s.")
                raise RetryTool(words % {"tool": call.name, "names": ", ".join(tools.names) or _("none")})
            arguments = tool.check(dict(asked))
        except RetryTool as error:
            problem = str(error)
        confirms = tool is not None and problem is None and await must_confirm(tool, arguments, host)
        requested = RequestedCall(
            index=index,
            call_id=call.id,
            step_id=f"{run_id}.{step}.{index}",
            name=call.name,
            arguments=asked,
            waits=confirms or problem is not None,
            is_known=tool is not None,
            idempotent=tool is not None and tool.idempotent,
        )
        prepared.append(
            PreparedCall(
                requested=requested, tool=tool, arguments=arguments, problem=problem, needs_confirmation=confirms
            )
        )
    return prepared


def still_open(calls: Sequence[PreparedCall], open_calls: Mapping[int, OpenCall]) -> list[PreparedCall]:
    """The calls that a checkpoint names, prepared to be resumed."""
    return [_resumed(call, open_calls[call.requested.index]) for call in calls if call.requested.index in open_calls]


def _resumed(call: PreparedCall, known: OpenCall) -> PreparedCall:
    if call.problem is not None:
        return call
    if known.agreed is not None:
        return replace(call, arguments=known.agreed, needs_confirmation=False)
    return replace(call, needs_confirmation=call.needs_confirmation or known.asked, reports_start=not known.begun)


def confirmation_request(
    call: PreparedCall, tool: BaseTool, question: str, *, starts_call: bool
) -> ConfirmationRequest:
    """What the host is to ask the user about `call`, which runs `tool`."""
    return ConfirmationRequest(
        call_id=call.requested.call_id,
        call_step_id=call.requested.step_id,
        question=question,
        tool_name=tool.name,
        tool_description=tool.schema()["function"].get("description", ""),
        tool_args=call.arguments,
        timeout=tool.confirm_timeout,
        starts_call=starts_call,
    )


async def must_confirm(tool: BaseTool, arguments: Mapping[str, Any], host: Host) -> bool:
    """Whether the user has to agree to a call with these arguments."""
    if (settled := asks(tool)) is not None:
        return settled
    # Code of the tool's author: like the tool it runs where it may block. In doubt the user is asked.
    try:
        async with asyncio.timeout(tool.timeout):
            return bool(await host.execute(tool, partial(tool.must_confirm, dict(arguments))))
    except TimeoutError:
        logger.warning("The confirmation rule of the tool %r took too long, so the user is asked.", tool.name)
        return True
