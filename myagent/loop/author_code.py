"""Runs a hook, or another function of the agent's author that a run needs, where tools run."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from myagent.events import RequestedCall, ToolProgress
from myagent.exceptions import HookFailed, Refuse, RunCancelled, ToolError
from myagent.hooks import AuthorCode
from myagent.i18n import gettext as _
from myagent.loop.host import ConfirmationRequest, Decision, Host
from myagent.loop.prepared_calls import PreparedCall
from myagent.loop.running_tool import RunningTool, is_cancelled
from myagent.run_context import RunContext
from myagent.tool.base_tool import BaseTool
from myagent.tracing.spans import Trace

logger = logging.getLogger("myagent.hooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePlace:
    """Where in a run a function is called: the option or the point of a hook, the step, and the call it is about.

    With an `occasion` it may ask the user; this tells it from all other calls of functions in the run, also after a
    takeover.
    """

    point: str
    step: int
    call: PreparedCall | None = None
    occasion: str = ""


async def run_author_code(
    code: AuthorCode,
    values: Mapping[str, Any],
    *,
    place: CodePlace,
    host: Host,
    context: RunContext,
    trace: Trace,
    on_progress: Callable[[ToolProgress], None] | None = None,
) -> Any:
    """Call the function and return what it returns. With a call it may report progress, and raise `ToolError`.

    Raises `Refuse` as the function does, and `HookFailed` for anything else that it raises.
    """
    call = place.call

    def occasion() -> str:
        # A yes is one to what the hook was shown: the model may have written something else after a takeover.
        shown = hashlib.sha256(repr(tuple(values.values())).encode(errors="backslashreplace")).hexdigest()
        return f"{place.occasion}.{shown}"

    running = RunningTool(
        code,
        call or _no_call(code),
        host=host if place.occasion else _NobodyToAsk(host),
        context=context,
        on_progress=on_progress or _ignore,
        occasion=occasion,
    )
    try:
        return await _traced(running, code, values, place, trace)
    except (Refuse, RunCancelled):
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        if isinstance(error, ToolError) and call is not None:
            raise
        if running.limit.expired:
            words = _("The answer was stopped: the hook %(name)s took longer than %(seconds)g s.")
            raise HookFailed(words % {"name": code.name, "seconds": code.timeout}) from error
        # What it says may hold secrets, as with tools.
        logger.error("The hook %r of agent %r failed.", code.name, context.agent, exc_info=error)
        words = _("The answer was stopped: the hook %(name)s failed with an internal error (%(error)s).")
        raise HookFailed(words % {"name": code.name, "error": type(error).__name__}) from error


async def _traced(
    running: RunningTool, code: AuthorCode, values: Mapping[str, Any], place: CodePlace, trace: Trace
) -> Any:
    facts: dict[str, Any] = {"point": place.point, "step": place.step}
    if place.call is not None:
        facts["call"] = place.call.requested
    with trace.span("hook", code.name, **facts) as span, trace.inside(span):
        try:
            return await running.execute(values)
        except Refuse as refusal:
            span.take_refusal(refusal)
            raise


def wrong_value(code: AuthorCode, value: object) -> HookFailed:
    """The error of a function that returned what it may not."""
    logger.error("The hook %r returned %.200r, which is of no use there.", code.name, value)
    words = _("The answer was stopped: the hook %(name)s returned something of no use (%(kind)s).")
    return HookFailed(words % {"name": code.name, "kind": type(value).__name__})


class _NobodyToAsk:
    """A host that asks nobody: what a run needs before it begins is not kept, and so would be asked for again."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.said_meanwhile = host.said_meanwhile

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        raise RuntimeError("confirm() works only in tools and in hooks.")

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        return await self._host.execute(tool, call)


class HasAgreed(_NobodyToAsk):
    """A host whose user has said yes."""

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        return Decision(confirmed=True)


def _no_call(code: AuthorCode) -> PreparedCall:
    requested = RequestedCall(index=0, call_id="", step_id="", name=code.name, arguments={}, waits=False)
    return PreparedCall(requested=requested, arguments={})


def _ignore(progress: ToolProgress) -> None:
    """Progress is that of a call."""
