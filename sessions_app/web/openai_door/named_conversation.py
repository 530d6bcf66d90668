"""The session that a chat completion belongs to: one that is named, one that a user interface has begun, or a new one.

It is never looked for by what was said: two people may have said the same.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass, replace

from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage
from sessions_app import queries
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import imports, messages, sessions
from sessions_app.services.caller import (
    UsableSession,
    available_agent,
    facts_if_usable,
    usable_agent,
    usable_session,
)
from sessions_app.services.message_files import with_files
from sessions_app.services.refusals import blank_message
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.completion_request import CompletionRequest

DOOR = "openai"
NAMESPACE = uuid.UUID("6d1f3a52-2c1b-5e0f-9a51-0c6f0d6f7a10")
"""Of the ids of sessions that are made of ids of others."""
CONVERSATION_HEADERS = ("X-MyAgent-Conversation", "X-OpenWebUI-Chat-Id")


@dataclass(frozen=True, slots=True)
class Target:
    """The session of a request; with `agent` it does not exist yet and begins with what the client has posted."""

    id: uuid.UUID
    agent_name: str
    agent: LoadedAgent | None = None


async def target_of(call: Call, asked: CompletionRequest) -> Target:
    """The session that is meant. Raises `ProtocolError`."""
    named = call.request.headers.get("X-MyAgent-Session") or asked.session_id
    if named is not None:
        if asked.session_id not in (None, named):
            words = _("The header X-MyAgent-Session and metadata.session_id are not the same.")
            raise ProtocolError(ErrorCode.BAD_FIELD, words)
        facts = await usable_session(call.caller, named)
        if facts.agent != asked.model:
            words = _("This session is one of the agent %(agent)s; model should say so.") % {"agent": facts.agent}
            raise ProtocolError(ErrorCode.BAD_FIELD, words)
        return Target(facts.id, facts.agent)
    agent = usable_agent(call.caller, asked.model)
    key = _conversation_key(call)
    if key is None:
        return Target(uuid.uuid4(), agent.name, agent)
    session_id = uuid.uuid5(NAMESPACE, "\n".join((str(call.caller.grant.user_id), agent.name, key)))
    facts_now = await facts_if_usable(call.caller, session_id)
    return Target(session_id, agent.name, agent if facts_now is None else None)


def _conversation_key(call: Call) -> str | None:
    """What says that two requests are of one conversation, or one and the same; None where nothing does.

    An id of a conversation has to be a UUID. User interfaces send other texts for what has no id (yet), as `new`, which
    all such conversations would share; and of anonymous callers, it is all that tells one from the other.
    """
    headers = call.request.headers
    task = headers.get("X-Task", "")
    if not task or task.startswith("{{"):
        for name in CONVERSATION_HEADERS:
            try:
                return f"conversation:{uuid.UUID(headers.get(name, ''))}"
            except ValueError:
                continue
    key = headers.get("Idempotency-Key")
    return f"request:{key}" if key and call.caller.grant.user_id is not None else None


async def say(call: Call, asked: CompletionRequest, target: Target) -> Posted:
    """Store the newest message in its session, which is made where it is new."""
    key = call.request.headers.get("Idempotency-Key")
    message_id = key or f"{_print_of(call)}{secrets.token_hex(8)}"
    event = call.asked(
        UserMessage, session_id=str(target.id), content=asked.content, metadata={"message_id": message_id}
    )
    if event.is_blank:
        raise blank_message()
    session = UsableSession(target.id, target.agent_name)
    if target.agent is None:
        joined = None if key else await _joined(call, target.id)
        return joined or await messages.post_message(call.engine, call.caller, session, event)
    history = [await _storable(message, target) for message in asked.history]
    is_new = await imports.create_with_history(call.engine, call.caller, target.agent, target.id, history, DOOR)
    try:
        return await messages.post_message(call.engine, call.caller, session, event)
    except ProtocolError as error:
        if is_new and not error.data.get("maybe_stored"):
            await _delete_unused(call, session)
        raise


async def _delete_unused(call: Call, session: UsableSession) -> None:
    """What is refused leaves nothing; what another request has said in there meanwhile stays."""
    facts = await facts_if_usable(call.caller, session.id)
    if facts is not None and facts.last_seq == 1:
        await sessions.delete_session(call.engine, session)


async def _storable(message: Message, target: Target) -> Message:
    if message.role != "user" or isinstance(message.content, str):
        return message
    agent = available_agent(target.agent_name).agent
    return replace(message, content=await with_files(target.id, message.content, agent))


async def _joined(call: Call, session_id: uuid.UUID) -> Posted | None:
    """The run of the same request, which a client sends again by itself because the connection broke."""
    if call.request.headers.get("X-Stainless-Retry-Count", "0") == "0":
        return None
    last = await in_thread(queries.last_said, session_id)
    if last is None or not last[0].startswith(_print_of(call)):
        return None
    return Posted(last[1], last[0], 0, duplicate=True)


def _print_of(call: Call) -> str:
    """What the id of a message begins with that has none from its client: the same for the same body."""
    return f"openai-{hashlib.sha256(call.body).hexdigest()}-"
