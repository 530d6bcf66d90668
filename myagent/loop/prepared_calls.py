"""The tool calls of one reply before they run: looked up and checked, and whether a person has to agree."""

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
from myagent.loop.host import Host
from myagent.messages import Message
from myagent.tool.arguments import parse_arguments
from myagent.tool.base_tool import BaseTool
from myagent.tool.collection import ToolCollection

logger = logging.getLogger("myagent.tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A requested call and what it needs to run. With `problem` it cannot; the problem is its result.

    `reports_start` means that its start is not on record yet, and has to be before its tool runs.
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
    """Look up and check every call of a reply. Bad ones are kept, with the reason the model is told."""
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
        confirms = tool is not None and problem is None and await _must_confirm(tool, arguments, host)
        requested = RequestedCall(
            index=index,
            call_id=call.id,
            step_id=f"{run_id}.{step}.{index}",
            name=call.name,
            arguments=asked,
            waits=confirms or problem is not None,
        )
        prepared.append(
            PreparedCall(
                requested=requested, tool=tool, arguments=arguments, problem=problem, needs_confirmation=confirms
            )
        )
    return prepared


def still_open(calls: Sequence[PreparedCall], open_calls: Mapping[int, OpenCall]) -> list[PreparedCall]:
    """Those of `calls` that a checkpoint names, as they go on."""
    return [_go_on(call, open_calls[call.requested.index]) for call in calls if call.requested.index in open_calls]


def _go_on(call: PreparedCall, known: OpenCall) -> PreparedCall:
    if call.problem is not None:
        return call
    if known.agreed is not None:
        return replace(call, arguments=known.agreed, needs_confirmation=False)
    return replace(call, needs_confirmation=call.needs_confirmation or known.asked, reports_start=not known.begun)


async def _must_confirm(tool: BaseTool, arguments: Mapping[str, Any], host: Host) -> bool:
    rule = tool.requires_confirmation
    if not callable(rule) and type(tool).needs_confirmation is BaseTool.needs_confirmation:
        return bool(rule)
    # The author's own code: like a tool's, it runs where it can block nobody. In doubt a person is asked.
    try:
        async with asyncio.timeout(tool.timeout):
            return bool(await host.execute(tool, partial(tool.must_confirm, dict(arguments))))
    except TimeoutError:
        logger.warning("The confirmation rule of the tool %r took too long, so a person is asked.", tool.name)
        return True
