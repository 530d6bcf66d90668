"""From the events of a session to the screen: what has ended becomes a block, what is in progress is kept here."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from myagent.client import ServerFrame
from myagent.i18n import gettext as _
from myagent.loop.output_text import as_code
from myagent.protocol import direct_events as direct
from myagent.protocol import server_events as events
from myagent.terminal.blocks import (
    Answer,
    Answered,
    Block,
    Failed,
    Finished,
    Note,
    Stopped,
    Thought,
    ToolOutcome,
    UserText,
    Voided,
)
from myagent.terminal.in_progress import Question, RunningCall, Step
from myagent.terminal.said_messages import said_text
from myagent.text import money
from myagent.tool.image import Image

AWAITED = frozenset(
    {"user.message", "user.create_session", "user.fork", "user.list_sessions", "user.update_session", "user.reconnect"}
)
"""Requests whose refusal is raised where they are made."""
EXPECTED_NOTICES = frozenset({"accepted", "replay"})
"""Notices that requests wait for; all others are for people."""


class Transcript:
    """One session. `take` every frame of it in order."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.agent = ""
        self.title = ""
        self.is_closed = False
        self.is_gone = False
        self.step: Step | None = None
        self.calls: dict[str, RunningCall] = {}
        self.questions: dict[str, Question] = {}
        self.ends: dict[str, ServerFrame] = {}
        """The terminal events of the runs, by their ids."""
        self.place = ""
        """Where the next run stands in the queue, in words; empty when it waits for no place."""
        self._active: dict[str, None] = {}
        self._shown = ""
        """The text of the newest step, once it was printed."""

    @property
    def is_busy(self) -> bool:
        """Whether a run is active or waits."""
        return bool(self._active)

    def expect(self, run_id: str) -> None:
        """Add a run that was accepted; its events are still to come."""
        if run_id not in self.ends:
            self._active[run_id] = None

    def settle(self) -> None:
        """Forget all runs: the server says that none is active."""
        self._active.clear()
        self.place = ""
        self._forget_run()

    def answered(self, step_id: str, args: dict[str, Any] | None = None) -> bool:
        """Close a question, whose call may have other arguments now; returns whether it was open."""
        question = self.questions.pop(step_id, None)
        if question is not None and args is not None and question.call_step_id in self.calls:
            self.calls[question.call_step_id].args = args
        return question is not None

    def take(self, frame: ServerFrame) -> list[Block]:
        """What is to be printed for good because of this frame."""
        if frame.seq is not None and frame.event != "user.message":
            self.place = ""  # the run has started, or has ended without
        if frame.event in ("agent.thinking", "agent.partial_answer", "agent.tool_call"):
            # The run has moved on, so no hook waits: a question that is about no call was not answered in time.
            self.questions = {key: asked for key, asked in self.questions.items() if asked.call_step_id}
        blocks = self._take(frame)
        if (run_id := frame.run_id) is None or frame.seq is None:
            return blocks
        if frame.ends_run:
            self._active.pop(run_id, None)
            self.ends[run_id] = frame
            self._forget_run()
        else:
            self.expect(run_id)
        return blocks

    def _take(self, frame: ServerFrame) -> list[Block]:
        match event := frame.typed():
            case events.UserSaid():
                return [*self._finish_step(frame), UserText(said_text(event.content))]
            case events.Thinking():
                return self._think(event, frame)
            case events.PartialAnswer():
                return self._stream(event, frame)
            case events.StepVoided():
                return self._void()
            case events.ToolCalled():
                return self._called(event, frame)
            case events.ToolProgressed():
                return self._progressed(event)
            case events.ToolReturned():
                return self._returned(event)
            case events.UserConfirm() | events.UserAnswered():
                return self._question(event)
            case events.FinalAnswer() | events.Interrupted() | events.RunFailed():
                return self._end(event, frame)
            case events.SessionCreated():
                self.agent = event.metadata.agent_name
            case direct.NothingInterrupted():
                self.settle()
            case direct.SystemNotice() if event.metadata.action == "queued":
                self.place = event.content
            case direct.SystemNotice() if event.content and event.metadata.action not in EXPECTED_NOTICES:
                return [Note(event.content, "warning")]
            case events.SessionUpdated() | events.SessionEnd() | direct.SessionDeleted():
                return self._session(event)
            case direct.RequestError() | direct.SystemError() if event.metadata.request not in AWAITED:
                return [Failed(event.content, event.metadata.code)]
            case _ if frame.ends_run:
                # Of a later version; whatever its fields are, it is the end.
                return [*self._finish_step(frame), Answer(str(frame.content or ""))]
        return []

    # --- the model ---

    def _step(self, number: int, frame: ServerFrame) -> Step:
        if self.step is None or self.step.number != number:
            self.step = Step(number, self.clock(), frame.timestamp)
        return self.step

    def _think(self, event: events.Thinking, frame: ServerFrame) -> list[Block]:
        blocks: list[Block] = []
        if self.step is None or self.step.number != event.metadata.step:
            blocks, self._shown = self._finish_step(frame), ""
        step = self._step(event.metadata.step, frame)
        if event.metadata.reasoning:
            step.reasoning += event.content
        return blocks

    def _stream(self, event: events.PartialAnswer, frame: ServerFrame) -> list[Block]:
        step = self._step(event.metadata.step, frame)
        blocks = self._finish_thought(frame) if event.content else []
        step.text += event.content
        return blocks

    def _void(self) -> list[Block]:
        if self.step is None:
            return []
        self.step.text = self.step.reasoning = ""
        return [Voided()]

    def _finish_thought(self, frame: ServerFrame) -> list[Block]:
        if self.step is None or not self.step.reasoning:
            return []
        gist, self.step.reasoning = self.step.reasoning, ""
        measured = seconds_between(self.step.began_at, frame.timestamp)
        return [Thought(self.clock() - self.step.began if measured is None else measured, gist)]

    def _finish_step(self, frame: ServerFrame) -> list[Block]:
        """The text of the step that is over, if it was not printed yet."""
        blocks = self._finish_thought(frame)
        if self.step is not None and self.step.text.strip():
            self._shown = self.step.text
            blocks.append(Answer(self.step.text, is_final=False))
        self.step = None
        return blocks

    # --- tools ---

    def _called(self, event: events.ToolCalled, frame: ServerFrame) -> list[Block]:
        blocks = self._finish_step(frame)
        self.calls[event.step_id or ""] = RunningCall(event.metadata.tool, event.metadata.args, self.clock())
        return blocks

    def _progressed(self, event: events.ToolProgressed) -> list[Block]:
        if (call := self.calls.get(event.step_id or "")) is not None:
            call.progress, call.percent = event.content, event.metadata.percent
        return []

    def _returned(self, event: events.ToolReturned) -> list[Block]:
        known = self.calls.pop(event.step_id or "", None)
        self.questions = {key: asked for key, asked in self.questions.items() if asked.call_step_id != event.step_id}
        return [
            ToolOutcome(
                tool=event.metadata.tool,
                args=known.args if known is not None else {},
                status=event.metadata.status,
                seconds=event.metadata.duration_ms / 1000,
                output=event.content,
                error=event.metadata.error or "",
                pictures=tuple(map(_picture, event.metadata.images or ())),
            )
        ]

    def _question(self, event: events.UserConfirm | events.UserAnswered) -> list[Block]:
        key = event.step_id or ""
        if isinstance(event, events.UserAnswered):
            args = event.content.get("args")
            if not self.answered(key, args if isinstance(args, dict) else None):
                return []
            return [Answered(bool(event.content.get("confirmed")), str(event.content.get("reason") or ""))]
        metadata = event.metadata
        self.questions[key] = Question(
            step_id=key,
            call_step_id=metadata.call_step_id,
            tool=metadata.tool_name,
            description=metadata.tool_description,
            args=metadata.tool_args,
            words=event.content,
            timeout_seconds=metadata.timeout_seconds,
        )
        return []

    # --- ends ---

    def _end(
        self, event: events.FinalAnswer | events.Interrupted | events.RunFailed, frame: ServerFrame
    ) -> list[Block]:
        match event:
            case events.Interrupted():
                return [*self._finish_step(frame), Stopped(event.content)]
            case events.RunFailed():
                return [*self._finish_step(frame), Failed(event.content, event.metadata.code)]
        # The final answer stands for the text of the last step, which may have been printed beside a last call.
        blocks = self._finish_thought(frame)
        if event.content.strip() and event.content.strip() != self._shown.strip():
            blocks.append(Answer(event.content))
        if event.metadata.output is not None:
            blocks.append(Answer(as_code(event.metadata.output)))
        used = event.metadata.usage
        blocks.append(
            Finished(
                steps=event.metadata.steps,
                seconds=event.metadata.duration_ms / 1000,
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                cost=None if used.cost is None else money(used.cost, used.currency or ""),
                finish=event.metadata.finish,
                limit=event.metadata.limit.which if event.metadata.limit is not None else "",
            )
        )
        return blocks

    def _forget_run(self) -> None:
        self.step, self._shown = None, ""
        self.calls.clear()
        self.questions.clear()

    def _session(self, event: events.SessionUpdated | events.SessionEnd | direct.SessionDeleted) -> list[Block]:
        match event:
            case events.SessionUpdated(metadata=metadata):
                changed, self.title = metadata.title != self.title, metadata.title
                return [Note(_("Title: %(title)s") % {"title": metadata.title})] if changed else []
            case events.SessionEnd():
                self.is_closed = True
                return [Note(_("The session is closed: it can be read and not continued. /new begins another one."))]
        self.is_closed = self.is_gone = True
        return [Note(_("The session was deleted; the next message begins a new one."), "warning")]


def seconds_between(start: str, end: str) -> float | None:
    """Between two times of the server, None when they cannot be read."""
    try:
        return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _picture(image: events.ImageFields) -> str:
    try:
        return str(Image(image.data, image.media_type))  # type: ignore[arg-type]  # base64
    except ValueError:  # of a later server
        return f"[image {image.media_type}]"
