"""One question to an agent without a server, shown step by step on a terminal."""

from __future__ import annotations

import sys
import time
import uuid
from contextlib import aclosing
from typing import Any

from rich.console import Console
from rich.text import Text

from myagent.agent import Agent
from myagent.daemon_threads import run_in_daemon_thread
from myagent.events import (
    AgentEvent,
    HistorySummarized,
    ModelReplied,
    ReasoningDelta,
    RunFinished,
    StepReset,
    StepStarted,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from myagent.i18n import gettext as _
from myagent.llm import LLM
from myagent.llm.fallback import for_run
from myagent.llm.replies.text_calls import looks_like_a_call
from myagent.loop import react
from myagent.loop.host import ConfirmationRequest
from myagent.loop.local_host import LocalHost
from myagent.messages import Message
from myagent.run_context import RunContext
from myagent.terminal.confirmation import Yes, read_choice
from myagent.terminal.safe_text import plain, signature
from myagent.text import shorten

_SHOWN_BYTES = 2_000


class TrialQuestion:
    """Asks, prints what happens, and keeps it; `calls` has the tool calls with their results."""

    def __init__(self, agent: Agent, llm: LLM, console: Console, *, can_ask: bool) -> None:
        self.calls: list[dict[str, Any]] = []
        self._agent = agent
        self._llm = llm
        self._console = console
        self._can_ask = can_ask
        self._in_line = False
        self._streamed = ""

    async def ask(self, question: str) -> dict[str, Any]:
        """Returns the answer and what it took, for programs. Raises `RunError` when the model cannot be asked."""
        begun = time.monotonic()
        self._line(Text(f"❯ {question}", style="bold"))
        context = RunContext(session_id="check", run_id=uuid.uuid4().hex, agent=self._agent.name, memory={})
        messages = [Message.user(question)]
        host = LocalHost(self._confirm)
        events = react.run(self._agent, messages, host=host, context=context, llm=for_run(self._llm))
        try:
            async with aclosing(events):
                async for event in events:
                    self._show(event)
                    if isinstance(event, RunFinished):
                        return self._finished(event, question, time.monotonic() - begun)
        finally:
            self._end_line()
        raise AssertionError("a run that ends without an error ends with RunFinished")

    def _show(self, event: AgentEvent) -> None:
        match event:
            case StepStarted(step=step):
                self._streamed = ""
                self._line(Text(_("Step %(step)d") % {"step": step}, style="dim"))
            case ReasoningDelta(text=text):
                self._piece(text, "dim italic")
            case TextDelta(text=text):
                self._streamed += text
                self._piece(text, "")
            case StepReset():
                self._streamed = ""
                self._line(Text(_reset_words(event), style="yellow"))
            case HistorySummarized():
                pass
            case ModelReplied(calls=calls):
                for call in calls:
                    self._line(Text(f"🔧 {signature(call.name, call.arguments)}", style="cyan"))
            case ToolStarted():
                pass
            case ToolProgress(call=call, text=text, percent=percent):
                done = "" if percent is None else f" {percent:g} %"
                self._line(Text(f"   {call.name}: {text}{done}", style="dim"))
            case ToolFinished():
                self._tool_finished(event)
            case RunFinished(text=text) if text != self._streamed:
                self._line(Text(text))
            case RunFinished():
                pass

    def _tool_finished(self, event: ToolFinished) -> None:
        call = {"tool": event.call.name, "args": dict(event.call.arguments), "status": event.status}
        self.calls.append(call | {"output": event.output, "error": event.error, "duration_ms": event.duration_ms})
        mark = "✅" if event.status == "success" else "❌"
        head = f"   {mark} {event.call.name} · {event.status} · {event.duration_ms} ms"
        self._line(Text(head, style="green" if event.status == "success" else "red"))
        if event.output:
            shown, is_cut = shorten(event.output, _SHOWN_BYTES)
            self._line(Text(shown + ("…" if is_cut else ""), style="dim"))

    def _finished(self, event: RunFinished, question: str, seconds: float) -> dict[str, Any]:
        usage = event.usage
        if event.finish == "length":
            words = _("The answer was cut off at the model's length limit; max_tokens may be too low.")
            self._line(Text(words, style="yellow"))
        tools = self._agent.tools
        if (tools.names or tools.function is not None) and looks_like_a_call(event.text):
            self._line(Text(_text_call_words(), style="yellow"))
        words = _("Steps: %(steps)d · seconds: %(seconds).1f · tokens: %(input)d in, %(output)d out")
        spent = {"input": usage.input_tokens, "output": usage.output_tokens}
        self._line(Text(words % {"steps": event.step, "seconds": seconds, **spent}, style="dim"))
        return {
            "agent": self._agent.name,
            "question": question,
            "answer": event.text,
            "finish": event.finish,
            "steps": event.step,
            "calls": self.calls,
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        }

    async def _confirm(self, request: ConfirmationRequest) -> bool:
        call = signature(request.tool_name, request.tool_args)
        self._line(Text.assemble("❓ ", (request.question, "bold"), f" {call}"))
        if not self._can_ask:
            self._line(Text(_("No user can be asked here, so it is declined."), style="yellow"))
            return False
        self._console.print(_("Allow it? [y/N]"), end=" ")
        # A daemon thread, so that Ctrl-C ends the program and does not wait for Enter.
        answer = await run_in_daemon_thread(sys.stdin.readline)
        return isinstance(read_choice(answer), Yes)

    # --- lines ---

    def _line(self, text: Text) -> None:
        self._end_line()
        text.plain = plain(text.plain)
        self._console.print(text, soft_wrap=True)

    def _piece(self, text: str, style: str) -> None:
        self._in_line = True
        self._console.print(Text(plain(text), style=style), end="", soft_wrap=True)

    def _end_line(self) -> None:
        if self._in_line:
            self._in_line = False
            self._console.print()


def _reset_words(event: StepReset) -> str:
    if event.answering is not None:
        return _("%(model)s answers from here on.") % {"model": event.answering.name}
    match event.reason:
        case "empty_reply":
            return _("The reply was empty and is requested once more.")
        case "reasoning":
            return _("What was shown as text was reasoning.")
    return _("The answer broke off and is requested again.")


def _text_call_words() -> str:
    return _(
        "The model writes tool calls into its text as <tool_call>…</tool_call>, which do not run. Start its server "
        "with a parser for tool calls, or give the agent OpenAILLM(text_tool_calls=True)."
    )
