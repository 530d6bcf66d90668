"""`/api/chat/<agent>/`: the door for `useChat` of the Vercel AI SDK (UI message stream, version 1)."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse

from agents.database.threads import in_thread
from agents.web.api_errors import no_content
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.http_answers import ChatAnswer
from sessions_app import queries
from sessions_app.services import named_sessions
from sessions_app.services.caller import UsableSession, usable_agent
from sessions_app.services.heavy_work import written
from sessions_app.services.opened_sessions import post_in
from sessions_app.upkeep.gauges import CHAT
from sessions_app.web.api_call import Call
from sessions_app.web.chat.chat_input import ChatInput, message_of, responses_of
from sessions_app.web.chat.run_chunks import Chunk, RunChunks
from sessions_app.web.chat.ui_messages import UiMessages
from sessions_app.web.live_log import check_room, stream
from sessions_app.web.run_stream import (
    RunStream,
    answer_questions,
    each_frame,
    has_to_answer_first,
    stopped,
    whole_json,
)


async def say_in_chat(call: Call, agent: str) -> HttpResponse:
    """Say something, or answer questions."""
    asked = await call.read_as(ChatInput)
    check_room(call)
    loaded = usable_agent(call.caller, agent)
    event = message_of(asked, when_busy="queue" if "queue" in loaded.agent.modes_when_busy else None)
    if event is None:
        return await _answered(call, await named_sessions.session_of_thread(call.caller, agent, asked.id), asked)
    opened = await named_sessions.open_thread(call.engine, call.caller, loaded, asked.id)
    facts = opened.facts
    if await has_to_answer_first(facts.id, event.message_id):
        words = _("The agent waits for an answer to its question. Answer it before you go on.")
        raise ProtocolError(ErrorCode.SESSION_BUSY, words)
    posted = await post_in(call.engine, call.caller, opened, event)
    if posted.duplicate or posted.steers:
        return await _replayed(call, facts, posted.run_id)
    return await _stream(call, facts, facts.last_seq, RunChunks(str(posted.run_id)))


async def _answered(call: Call, facts: queries.SessionFacts, asked: ChatInput) -> HttpResponse:
    """Go on with a run that asked: the client has what it was told before, so that only the rest is sent."""
    answers = responses_of(asked, str(facts.id))
    if not answers:
        raise ProtocolError(ErrorCode.NO_PENDING_CONFIRMATION, _("The last message answers no question."))
    run_id = await answer_questions(call, UsableSession(facts.id, facts.agent), answers)
    names = {answer.step_id for answer in answers}
    run, last_seq = RunChunks(run_id, brought=names), 0
    async for seq, frame in each_frame(facts.id, call):
        if frame["event"] == "user.response" and frame["step_id"] in names:
            break
        last_seq = seq
        if frame["metadata"].get("run_id") == run_id:
            run.take(frame)
    run.interrupted()
    return await _stream(call, facts, last_seq, run)


async def resume_chat(call: Call, agent: str, chat_id: str) -> HttpResponse:
    """What goes on, from its beginning; 204 where nothing does, as in a chat that has not begun."""
    facts = await named_sessions.thread_to_join(call.caller, agent, chat_id)
    if facts is None or (run_id := await in_thread(queries.unfinished_run, facts.id)) is None:
        return no_content()
    return await _replayed(call, facts, run_id)


async def show_chat(call: Call, agent: str, chat_id: str) -> HttpResponse:
    """The conversation so far, as the SDK's messages."""
    facts = await named_sessions.session_of_thread(call.caller, agent, chat_id)
    told = UiMessages()
    async for _seq, frame in each_frame(facts.id, call):
        told.take(frame)
    return await whole_json(ChatAnswer(id=chat_id, session_id=str(facts.id), messages=told.messages).model_dump())


async def stop_chat(call: Call, agent: str, chat_id: str) -> HttpResponse:
    """Cancel what goes on: the SDK's own stop only leaves."""
    facts = await named_sessions.session_of_thread(call.caller, agent, chat_id)
    return await stopped(call, facts)


async def _replayed(call: Call, facts: queries.SessionFacts, run_id: uuid.UUID) -> HttpResponse:
    begin = await in_thread(queries.begin_of_run, facts.id, run_id)
    return no_content() if begin is None else await _stream(call, facts, begin, RunChunks(str(run_id)))


async def _stream(call: Call, facts: queries.SessionFacts, after: int, run: RunChunks) -> HttpResponse:
    start: Chunk = run.begun()
    start["messageMetadata"]["session_id"] = str(facts.id)
    beginning = await _encoded([start])
    form = RunStream(CHAT, run, beginning, encoded=_encoded, beside=_beside)
    answer = await stream(call, facts, after, form)
    answer.headers["x-vercel-ai-ui-message-stream"] = "v1"
    return answer


async def _encoded(chunks: list[Chunk]) -> bytes:
    return b"".join([b"data: " + await written(chunk) + b"\n\n" for chunk in chunks])


def _beside(frame: dict[str, Any]) -> list[Chunk]:
    about = frame["metadata"]
    if frame["event"] == "agent.session_deleted":
        return [{"type": "error", "errorText": frame["content"]}]
    kind = about.get("action", "session_updated")
    return [{"type": f"data-{kind}", "data": {"text": frame["content"], **about}, "transient": True}]
