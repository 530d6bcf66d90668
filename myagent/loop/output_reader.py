"""`OutputReader`: the value of the answer, read from the model's replies; and what people see of it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

import orjson

from myagent.events import AgentEvent, ReplyRejected, RunFinished, StepReset, StepStarted, TextDelta
from myagent.exceptions import OutputInvalid, RetryTool
from myagent.i18n import gettext as _
from myagent.llm import ToolSchema, Usage
from myagent.llm.output_tool import OUTPUT_TOOL, OutputTool
from myagent.loop.history import History
from myagent.loop.output_text import JSONHider, readable, split_value
from myagent.messages import Message, ToolCall
from myagent.protocol.server_base import Finish
from myagent.tool.arguments import MOST_PROBLEMS, parse_arguments
from myagent.tool.output_form import OutputForm, OutputMismatch, OutputValue

MOST_REJECTED = 3
"""Replies of one run whose value does not fit: of the first two the model is told, the third ends the run."""
_BULLET = "- "


class OutputReader:
    """Reads the value of one run's answer. What was rejected before is in `history`, also after a takeover."""

    def __init__(self, form: OutputForm, history: History) -> None:
        self._form = form
        self._history = history
        self._hider = JSONHider()

    def schemas(self, tools: Sequence[ToolSchema]) -> list[ToolSchema]:
        """`tools`, and the tool that takes the value.

        It is one to call where the model has others: endpoints that force the format of a reply would let it call none
        of them. So it is where an answer in the format was wrong, and where the messages have calls, which some
        endpoints take from requests with tools only.
        """
        may_be_native = not tools and not self._history.has_calls
        return [*tools, OutputTool(self._form.schema, may_be_native=may_be_native)]

    def check_tries(self, most: int = MOST_REJECTED) -> None:
        """Raise `OutputInvalid` after so many replies that did not fit."""
        rejected = self._history.results_of(OUTPUT_TOOL)
        if len(rejected) >= most:
            raise OutputInvalid(_problems_told(rejected[-1].text))

    def calls_of_tools(self, reply: Message) -> Message | None:
        """`reply` with its calls of tools alone, as they come first; None where it has none."""
        kept = [index for index, call in enumerate(reply.tool_calls) if call.name != OUTPUT_TOOL]
        if not kept:
            return None
        return reply if len(kept) == len(reply.tool_calls) else _with_calls(reply, kept)

    def take(
        self, reply: Message, *, step: int, usage: Usage, finish: Finish, is_cut_short: bool, is_last: bool = False
    ) -> Iterator[StepReset | ReplyRejected | RunFinished]:
        """The answer in `reply`, or that it has none: then the history is told why. Calls of tools do not count.

        `is_cut_short` says that it ended at its length limit, `is_last` that the model is not asked again. Raises
        `OutputInvalid` then, and the third time.
        """
        call = next((call for call in reply.tool_calls if call.name == OUTPUT_TOOL), None)
        said, given = split_value(reply.text) if call is None else (reply.text.strip(), call.arguments)
        try:
            value = self._form.check(parse_arguments(given))
        except (RetryTool, OutputMismatch) as error:
            problems = list(error.problems) if isinstance(error, OutputMismatch) else [str(error)]
        else:
            yield _answer(said, value, step=step, usage=usage, finish=finish)
            return
        if is_cut_short:
            problems.insert(0, _("it was cut off at the length limit of the answer"))
        elif not given:
            problems.insert(0, _("there is no value in it"))
        if self._hider.has_shown:
            yield StepReset(step=step, reason=OutputInvalid.code)
        messages = self._rejected(said, given, call, problems)
        yield ReplyRejected(step=step, messages=messages, usage=usage)
        self._history.add(*messages)
        self.check_tries(1 if is_last else MOST_REJECTED)

    def _rejected(
        self, said: str, given: str, call: ToolCall | None, problems: Sequence[str]
    ) -> tuple[Message, Message]:
        """The reply as a call of the output's tool, and its result."""
        if call is None:
            number = len(self._history.results_of(OUTPUT_TOOL)) + 1
            call = ToolCall(id=f"output_{number}", name=OUTPUT_TOOL, arguments=given or "{}")
        lines = [
            _("The answer does not fit its schema:"),
            *(_BULLET + " ".join(problem.split()) for problem in problems[:MOST_PROBLEMS]),
            _("Call %(tool)s with the whole value, corrected.") % {"tool": OUTPUT_TOOL},
        ]
        return Message.assistant(said, [call]), Message.tool("\n".join(lines), tool_call_id=call.id)

    # --- what people see ---

    async def shown(self, events: AsyncGenerator[AgentEvent]) -> AsyncGenerator[AgentEvent]:
        """The events of a step without the text from the line on that begins as JSON, which nobody wants to read."""
        async with aclosing(events):
            async for event in events:
                if isinstance(event, StepStarted | StepReset):
                    self._hider = JSONHider()
                if not isinstance(event, TextDelta):
                    yield event
                elif text := self._hider.take(event.text):
                    yield replace(event, text=text)


def _answer(said: str, value: OutputValue, *, step: int, usage: Usage, finish: Finish) -> RunFinished:
    # The history has the value as text: a call would need its tool declared by all later requests.
    stored = "\n\n".join(filter(None, [said, orjson.dumps(value.json).decode()]))
    return RunFinished(
        step=step,
        text=said or readable(value.json),
        finish=finish,
        message=Message.assistant(stored),
        usage=usage,
        output=value.json,
        instance=value.instance,
    )


def _with_calls(reply: Message, kept: Sequence[int]) -> Message:
    data = reply.provider_data
    if data is not None and data.calls:
        data = replace(data, calls=tuple(data.calls[index] for index in kept if index < len(data.calls)))
    return replace(reply, tool_calls=tuple(reply.tool_calls[index] for index in kept), provider_data=data)


def _problems_told(text: str) -> list[str]:
    return [line.removeprefix(_BULLET) for line in text.splitlines() if line.startswith(_BULLET)]
