"""What the loop of one run asks of this server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.loading.registry import LoadedAgent
from agents.tool_runner.tool_runner import ToolRunner
from myagent.loop.host import ConfirmationRequest, Decision
from myagent.messages import Message
from myagent.run_context import RunFile
from myagent.tool.base_tool import BaseTool
from sessions_app.files.run_files import files_of_run
from sessions_app.journal.entries.recovery import OpenQuestion
from sessions_app.journal.entries.steering import TakeSteering
from sessions_app.journal.entry import RunRef
from sessions_app.runs.questions import Questions
from sessions_app.runs.run_meter import RunMeter
from sessions_app.runs.run_writer import RunWriter


class RunHost:
    """Runs the tools of `loaded`, asks the user, and hands on what the user says meanwhile: to `heard` first.

    `asked_before` are the questions of an earlier owner of the run, None where there was none.
    """

    def __init__(
        self,
        ref: RunRef,
        loaded: LoadedAgent,
        tool_runner: ToolRunner,
        writer: RunWriter,
        meter: RunMeter,
        *,
        asked_before: Mapping[str, OpenQuestion] | None,
        heard: Callable[[list[Message]], None],
    ) -> None:
        self._ref = ref
        self._loaded = loaded
        self._tool_runner = tool_runner
        self._meter = meter
        self._heard = heard
        self.files: list[RunFile] = []
        """What tools may read; it grows with what the user says."""
        self._writer = writer
        # A run that nobody steers costs nothing: the database is asked only when there may be a message. One that this
        # process was not told of in time is answered after the run.
        self._may_be_steered = asked_before is not None
        self.questions = Questions(writer)
        self.questions.take_over(asked_before or {})

    def steered(self) -> None:
        """There may be a message for the run."""
        self._may_be_steered = True

    async def execute(self, tool: BaseTool, call: Callable[[], Any]) -> Any:
        loaded = self._loaded
        return await self._tool_runner.execute(loaded.agent.name, tool, call, version=loaded.version)

    async def confirm(self, request: ConfirmationRequest) -> Decision:
        return await self._meter.asked(self.questions.ask(request))

    async def said_meanwhile(self) -> list[Message]:
        if not self._may_be_steered:
            return []
        self._may_be_steered = False
        messages: list[Message] = await self._writer.record(TakeSteering(**self._writer.fields))
        self._heard(messages)
        if any(message.attachments for message in messages):
            self.files[:] = await files_of_run(self._ref.session_id, messages, may_have_more=False)
        return messages
