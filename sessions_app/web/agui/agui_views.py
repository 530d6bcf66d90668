"""`/api/agui/<agent>/`: the door for clients of AG-UI 1.0 (https://docs.ag-ui.com/spec/1.0/)."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponse

from agents.web.api_errors import json_answer, no_content
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.text import clean
from sessions_app.services import named_sessions
from sessions_app.services.caller import UsableSession, usable_agent
from sessions_app.services.opened_sessions import post_in
from sessions_app.web.agui.agui_messages import user_message
from sessions_app.web.agui.agui_stream import Outlet, error, follow, join
from sessions_app.web.agui.capabilities import capabilities_of
from sessions_app.web.agui.run_input import MAX_ID, RunInput, StopInput, message_of, response_of
from sessions_app.web.agui.run_telling import RunTelling
from sessions_app.web.api_call import Call
from sessions_app.web.live_log import check_room
from sessions_app.web.run_stream import answer_questions, has_to_answer_first, stopped

INTERRUPT_PENDING = "interrupt_pending"


async def join_thread(call: Call, agent: str) -> HttpResponse:
    """Join what goes on (with `threadId`), or ask what the agent can do."""
    if "threadId" in call.request.GET:
        return await _joined(call, agent)
    return json_answer(capabilities_of(usable_agent(call.caller, agent)))


async def stop_thread(call: Call, agent: str) -> HttpResponse:
    """Cancel what goes on in a thread: to close a stream leaves it going."""
    asked = await call.read_as(StopInput)
    facts = await named_sessions.session_of_thread(call.caller, agent, asked.thread_id)
    return await stopped(call, facts)


async def _joined(call: Call, agent: str) -> HttpResponse:
    thread_id, request_id = (clean(call.request.GET.get(name, "")) for name in ("threadId", "runId"))
    if max(len(thread_id), len(request_id)) > MAX_ID or not thread_id:
        words = _("threadId and runId are texts of at most %(limit)d characters.") % {"limit": MAX_ID}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    facts = await named_sessions.thread_to_join(call.caller, agent, thread_id)
    if facts is None:
        return no_content()
    return await join(call, facts, lambda run: Outlet(facts.id, thread_id, request_id or run.run_id, run))


async def run_agent(call: Call, agent: str) -> HttpResponse:
    """Say something or answer questions, and follow the run."""
    asked = await call.read_as(RunInput)
    check_room(call)
    if asked.resume:
        return await _resume(call, agent, asked)
    loaded = usable_agent(call.caller, agent)
    event = message_of(asked, "")
    opened = await named_sessions.open_thread(call.engine, call.caller, loaded, asked.thread_id)
    facts = opened.facts
    if await has_to_answer_first(facts.id, event.message_id):
        return error(_unanswered(), INTERRUPT_PENDING)
    posted = await post_in(call.engine, call.caller, opened, event)
    outlet_of = partial(Outlet, facts.id, asked.thread_id, asked.run_id)
    if not (posted.duplicate or posted.steers):
        return await follow(call, facts, outlet_of(RunTelling(str(posted.run_id))))

    def with_message(run: RunTelling) -> Outlet:
        outlet = outlet_of(run)
        if posted.steers:
            said = {"content": event.content, "metadata": {"message_id": event.message_id}}
            outlet.pending.append(user_message(said))
        return outlet

    return await join(call, facts, with_message, str(posted.run_id))


def _unanswered() -> ProtocolError:
    words = _("The agent waits for an answer to its question. Answer it (resume) before you go on.")
    return ProtocolError(ErrorCode.SESSION_BUSY, words)


async def _resume(call: Call, agent: str, asked: RunInput) -> HttpResponse:
    """Answer questions, and go on with their run. All of them are as they should be, or nothing is stored."""
    facts = await named_sessions.session_of_thread(call.caller, agent, asked.thread_id)
    try:
        answers = [response_of(answer, str(facts.id)) for answer in asked.resume]
        run_id = await answer_questions(call, UsableSession(facts.id, facts.agent), answers)
    except ProtocolError as refusal:
        return error(refusal)
    return await join(call, facts, partial(Outlet, facts.id, asked.thread_id, asked.run_id), run_id)
