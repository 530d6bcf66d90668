"""The confirmations that one run asks for, and the wait for their answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from myagent.exceptions import RunCancelled
from myagent.loop.host import ConfirmationRequest, Decision
from sessions_app.journal.entries.ending import SILENCE
from sessions_app.journal.entries.recovery import OpenQuestion
from sessions_app.journal.entries.runs import AskConfirmation, LapseConfirmation
from sessions_app.journal.refusal import Refused
from sessions_app.runs.run_writer import RunWriter
from sessions_app.runs.translate import confirmation

Answer = dict[str, Any]
CLOCK_CHECK_SECONDS = 5.0
"""Between two checks of the clock while a question is open."""


class Questions:
    """The open questions of one run. Lives on the event loop."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._open: dict[str, asyncio.Future[Answer]] = {}
        self._asked_before: dict[str, OpenQuestion] = {}

    def take_over(self, questions: Mapping[str, OpenQuestion]) -> None:
        """Take the questions of an earlier owner, by the `step_id` of their call, or their own where a hook has asked;
        they are not asked again.
        """
        self._asked_before = dict(questions)

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    def answered(self, step_id: str, answer: Answer) -> None:
        """A person answered; the answer is already stored."""
        question = self._open.get(step_id)
        if question is not None and not question.done():
            question.set_result(answer)
        for call_step_id, before in self._asked_before.items():
            if before.step_id == step_id:  # the resumed call has not asked for it yet
                self._asked_before[call_step_id] = replace(before, answer=answer)

    async def ask(self, request: ConfirmationRequest) -> Decision:
        """Store the question and wait for the answer; a timeout is a no. Raises `RunCancelled` if the run has ended."""
        step_id, before = self._known(request)
        if before is not None and before.answer is not None:
            return _decision(before.answer)
        question = self._open[step_id] = asyncio.get_running_loop().create_future()
        try:
            if before is None:
                await self._put(request, step_id)
                if request.occasion:
                    self._asked_before[step_id] = OpenQuestion(step_id, request.timeout, None)
                answer = await self._wait(step_id, question, request.timeout)
            else:
                answer = await self._wait(step_id, question, before.seconds_left)
        except Refused as refusal:
            raise RunCancelled(f"The run has ended or has another owner ({refusal}).") from refusal
        finally:
            del self._open[step_id]
        if request.occasion:
            self._asked_before[step_id] = OpenQuestion(step_id, 0.0, answer)
        return _decision(answer)

    def _known(self, request: ConfirmationRequest) -> tuple[str, OpenQuestion | None]:
        """The id of a question, and how it stands if it was asked before."""
        if request.occasion:
            # Whoever takes the run over finds it by the same id.
            step_id = uuid.uuid5(self._writer.fields["of_run"], f"{request.occasion}\n{request.question}").hex
            return step_id, self._asked_before.get(step_id)
        before = self._asked_before.pop(request.call_step_id, None) if request.starts_call else None
        return uuid.uuid4().hex if before is None else before.step_id, before

    async def _put(self, request: ConfirmationRequest, step_id: str) -> None:
        question = confirmation(request, str(self._writer.fields["of_run"]), step_id=step_id)
        await self._writer.record(
            AskConfirmation(
                **self._writer.fields,
                step_id=step_id,
                call_step_id=request.call_step_id,
                starts_call=request.starts_call,
                by_hook=bool(request.occasion),
                question=request.question,
                timeout=request.timeout,
                events=(question,),
            )
        )

    async def _is_answered(self, question: asyncio.Future[Answer], patience: float) -> bool:
        # By both clocks: the loop's stands still while the machine sleeps, the one that answers are judged by does not.
        loop = asyncio.get_running_loop()
        expires_at, until = timezone.now() + timedelta(seconds=patience), loop.time() + patience
        while not question.done():
            left = min(until - loop.time(), (expires_at - timezone.now()).total_seconds())
            if left <= 0:
                return False
            await asyncio.wait([question], timeout=min(left, CLOCK_CHECK_SECONDS))
        return True

    async def _wait(self, step_id: str, question: asyncio.Future[Answer], patience: float) -> Answer:
        if await self._is_answered(question, patience):
            return question.result()
        # An answer may have come first, here or through another process: the database decides.
        answer = await self._writer.record(LapseConfirmation(**self._writer.fields, step_id=step_id))
        return answer or SILENCE


def _decision(answer: Answer) -> Decision:
    return Decision(
        confirmed=answer["confirmed"],
        args=answer.get("args"),
        reason=answer.get("reason"),
        answered=answer.get("answered", True),
    )
