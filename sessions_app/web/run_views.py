"""What is said over HTTP, and what is done to the runs that answer it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from agents.web.api_errors import json_answer, no_content
from myagent.i18n import gettext as _
from myagent.protocol.client_events import UserResponse
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.http_answers import AcceptedAnswer, CancelledAnswer
from myagent.protocol.message_events import UserMessage, UserWithdraw
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import messages, runs
from sessions_app.web.api_call import Body, Call


async def post_message(call: Call, session_id: str) -> HttpResponse:
    """Say something; does not wait for the answer."""
    key = call.request.headers.get("Idempotency-Key")
    event = await call.read(UserMessage, lambda body: {**with_message_id(body, key), "session_id": session_id})
    posted = await messages.post_message(call.engine, call.caller, await call.session(session_id), event)
    return json_answer(accepted(posted).model_dump(exclude_none=True), status=HTTPStatus.ACCEPTED)


def with_message_id(body: Body, key: str | None) -> Body:
    """The body with the header Idempotency-Key as `metadata.message_id`. Raises `ProtocolError` if it has another."""
    metadata: Any = body.get("metadata")
    if not key or not isinstance(metadata, dict | None):
        return body
    given = {} if metadata is None else metadata
    if given.get("message_id") not in (None, key):
        words = _("The header Idempotency-Key and metadata.message_id are not the same.")
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    return {**body, "metadata": {**given, "message_id": key}}


def accepted(posted: Posted) -> AcceptedAnswer:
    """How a message was stored."""
    return AcceptedAnswer(
        message_id=posted.message_id,
        run_id=str(posted.run_id),
        position=posted.position,
        duplicate=posted.duplicate,
        mode="steer" if posted.steers else None,
    )


async def withdraw_message(call: Call, session_id: str, message_id: str) -> HttpResponse:
    """Take a message back that nobody has read."""
    event = call.asked(UserWithdraw, session_id=session_id, message_id=message_id)
    await messages.withdraw_message(call.engine, await call.session(session_id), event)
    return no_content()


async def cancel_runs(call: Call, session_id: str) -> HttpResponse:
    """Cancel the active run and all that wait."""
    ended = await runs.cancel_runs(call.engine, call.caller, await call.session(session_id))
    return json_answer(CancelledAnswer(run_ids=[str(run_id) for run_id in ended]).model_dump())


async def answer_confirmation(call: Call, session_id: str, step_id: str) -> HttpResponse:
    """Say yes or no to what a tool wants to do."""

    def shape(body: Body) -> Body:
        return {"session_id": session_id, "step_id": step_id, "content": body}

    event = await call.read(UserResponse, shape)
    await runs.answer_confirmation(call.engine, call.caller, await call.session(session_id), event)
    return no_content()
