"""The confirmations that one run waits for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from myagent.exceptions import RunCancelled
from myagent.loop.host import ConfirmationRequest, Decision
from sessions_app.journal.batch import Refused
from sessions_app.journal.entries.ending import SILENCE
from sessions_app.journal.entries.recovery import OpenQuestion
from sessions_app.journal.entries.runs import AskConfirmation, LapseConfirmation
from sessions_app.journal.entry import Entry
from sessions_app.runs.translate import Translator

Answer = dict[str, Any]
LOOK_SECONDS = 5.0
"""Between two looks at the clock while a question is open."""


class Questions:
    """`record` commits an entry and returns its outcome; `mine` are the fields that every entry of the run has."""

    def __init__(
        self, record: Callable[[Entry], Awaitable[Any]], mine: Mapping[str, Any], translate: Translator
    ) -> None:
        self._record = record
        self._mine = mine
        self._translate = translate
        self._open: dict[str, asyncio.Future[Answer]] = {}
        self._asked_before: dict[str, OpenQuestion] = {}

    def take_over(self, questions: Mapping[str, OpenQuestion]) -> None:
        """Questions of the run's earlier owner, by the `step_id` of their call; these are not asked anew."""
        self._asked_before = dict(questions)

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    def answered(self, step_id: str, answer: Answer) -> None:
        """A person answered; the answer is on record already."""
        question = self._open.get(step_id)
        if question is not None and not question.done():
            question.set_result(answer)
        for call_step_id, before in self._asked_before.items():
            if before.step_id == step_id:  # the call that waits for it has not got that far here
                self._asked_before[call_step_id] = replace(before, answer=answer)

    async def ask(self, request: ConfirmationRequest) -> Decision:
        """Put the question on record and wait; silence is a no. Raises `RunCancelled` when the run is over."""
        before = self._asked_before.pop(request.call_step_id, None) if request.starts_call else None
        step_id = uuid.uuid4().hex if before is None else before.step_id
        question = self._open[step_id] = asyncio.get_running_loop().create_future()
        try:
            if before is None:
                await self._put(request, step_id)
                answer = await self._wait(step_id, question, request.timeout)
            else:
                answer = before.answer or await self._wait(step_id, question, before.seconds_left)
        except Refused as refusal:
            raise RunCancelled(f"The run is somebody else's or over ({refusal}).") from refusal
        finally:
            del self._open[step_id]
        return Decision(
            confirmed=answer["confirmed"],
            args=answer.get("args"),
            reason=answer.get("reason"),
            answered=answer.get("answered", True),
        )

    async def _put(self, request: ConfirmationRequest, step_id: str) -> None:
        await self._record(
            AskConfirmation(
                **self._mine,
                step_id=step_id,
                call_step_id=request.call_step_id,
                starts_call=request.starts_call,
                question=request.question,
                timeout=request.timeout,
                events=(self._translate.confirmation(request, step_id),),
            )
        )

    async def _is_answered(self, question: asyncio.Future[Answer], patience: float) -> bool:
        # By both clocks: while the machine sleeps, the loop's stands still, and that which judges answers does not.
        loop = asyncio.get_running_loop()
        expires_at, until = timezone.now() + timedelta(seconds=patience), loop.time() + patience
        while not question.done():
            left = min(until - loop.time(), (expires_at - timezone.now()).total_seconds())
            if left <= 0:
                return False
            await asyncio.wait([question], timeout=min(left, LOOK_SECONDS))
        return True

    async def _wait(self, step_id: str, question: asyncio.Future[Answer], patience: float) -> Answer:
        if await self._is_answered(question, patience):
            return question.result()
        # Somebody may have been quicker, here or in another process: the database decides.
        quicker = await self._record(LapseConfirmation(**self._mine, step_id=step_id))
        return quicker or SILENCE
