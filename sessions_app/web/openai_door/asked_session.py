"""The session that a request belongs to: one that is named, one that a user interface has begun, or a new one.

It is never looked for by what was said: two people may have said the same.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass, replace

from agents.database.threads import in_thread
from agents.loading.registry import LoadedAgent, get_registry
from myagent.i18n import gettext as _
from myagent.messages import Message
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.protocol.message_events import UserMessage
from sessions_app import queries
from sessions_app.journal.entries.messages import Posted
from sessions_app.services import named_sessions
from sessions_app.services.caller import usable_agent, usable_session
from sessions_app.services.message_files import with_files
from sessions_app.services.named_sessions import Beginning, Opened
from sessions_app.services.opened_sessions import post_in
from sessions_app.services.refusals import blank_message
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.asked_message import AskedMessage
from sessions_app.web.run_stream import has_to_answer_first

DOOR = "openai"
CONVERSATION_HEADERS = ("X-MyAgent-Conversation", "X-OpenWebUI-Chat-Id")
REQUEST = "idempotency-key:"
"""What the names of sessions begin with that one request has begun."""


@dataclass(frozen=True, slots=True)
class Target:
    """The session of a request: that of `facts`, or one that is made for it, and found by its name if it has one."""

    agent: LoadedAgent | None = None
    name: str | None = None
    facts: queries.SessionFacts | None = None

    async def opened(self, call: Call, asked: AskedMessage) -> Opened:
        """The session, made where there is none. Raises `ProtocolError`."""
        if self.facts is not None:
            return Opened(self.facts, is_new=False)
        agent = self.agent or usable_agent(call.caller, asked.model)
        beginning = Beginning(door=DOOR, history=[await storable(message, agent) for message in asked.history])
        return await named_sessions.open_thread(call.engine, call.caller, agent, self.name, beginning)


async def target_of(call: Call, asked: AskedMessage) -> Target:
    """The session that is meant. Raises `ProtocolError`."""
    named = call.request.headers.get("X-MyAgent-Session") or asked.session_id
    if named is not None:
        if asked.session_id not in (None, named):
            words = _("The request names two different sessions.")
            raise ProtocolError(ErrorCode.BAD_FIELD, words)
        facts = await usable_session(call.caller, named)
        check_model(facts, asked.model)
        return Target(facts=facts)
    agent = usable_agent(call.caller, asked.model)
    name = _conversation_name(call) or request_name(call)
    facts_now = None if name is None else await named_sessions.thread_if_any(call.caller, agent.name, name)
    return Target(agent, name, facts_now)


def check_model(facts: queries.SessionFacts, model: str) -> None:
    """Raise `ProtocolError` where a request to a session names another agent than it has."""
    if facts.agent != model:
        words = _("This session is one of the agent %(agent)s; model should say so.") % {"agent": facts.agent}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)


def names_conversation(call: Call, asked: AskedMessage) -> bool:
    """Whether a request says itself to which conversation it belongs, or that it belongs to none."""
    headers = call.request.headers
    named = headers.get("X-MyAgent-Session") or asked.session_id or _conversation_name(call)
    return named is not None or _is_aside(call)


def _is_aside(call: Call) -> bool:
    """Whether a user interface asks something for itself, as a title."""
    task = call.request.headers.get("X-Task", "")
    return bool(task) and not task.startswith("{{")


def _conversation_name(call: Call) -> str | None:
    """The id that a user interface has for the conversation; None where it tells none.

    It has to be a UUID. User interfaces send other texts for what has no id (yet), as `new`, which all such
    conversations would share; and of anonymous callers, it is all that tells one from the other.
    """
    headers = call.request.headers
    if _is_aside(call):
        return None
    for name in CONVERSATION_HEADERS:
        try:
            return str(uuid.UUID(headers.get(name, "")))
        except ValueError:
            continue
    return None


def request_name(call: Call) -> str | None:
    """What says that two requests are one and the same; None where nothing does."""
    key = call.request.headers.get("Idempotency-Key")
    return f"{REQUEST}{key}" if key and call.caller.grant.user_id is not None else None


async def say(
    call: Call, asked: AskedMessage, target: Target, *, after_answers: bool = False
) -> tuple[queries.SessionFacts, Posted]:
    """Store the newest message in its session, which is made where it is new.

    With `after_answers` a new message is refused as long as the session waits for an answer.
    """
    key = call.request.headers.get("Idempotency-Key")
    message_id = key or f"{_print_of(call)}{secrets.token_hex(8)}"
    about = {"message_id": message_id} | _asked_when_busy(asked)
    event = call.asked(UserMessage, session_id="", content=asked.content, metadata=about)
    if event.is_blank:
        raise blank_message()
    if target.facts is not None and not key and (joined := await joined_run(call, target.facts.id)):
        return target.facts, joined
    if after_answers and target.facts is not None and await has_to_answer_first(target.facts.id, message_id):
        words = _("The agent waits for an answer to its question. Answer it before you go on.")
        raise ProtocolError(ErrorCode.SESSION_BUSY, words)
    opened = await target.opened(call, asked)
    return opened.facts, await post_in(call.engine, call.caller, opened, event)


def _asked_when_busy(asked: AskedMessage) -> dict[str, str]:
    """Each request is to have an answer of its own, and so a run of its own, where its agent lets messages queue."""
    agent = get_registry().available(asked.model)
    return {"when_busy": "queue"} if agent is not None and "queue" in agent.agent.modes_when_busy else {}


async def storable(message: Message, agent: LoadedAgent) -> Message:
    """An earlier message as it is stored in a session that is made for it. Raises `ProtocolError`."""
    if message.role != "user" or isinstance(message.content, str):
        return message
    # A session that does not exist yet has no files.
    return replace(message, content=await with_files(uuid.uuid4(), message.content, agent.agent))


async def joined_run(call: Call, session_id: uuid.UUID) -> Posted | None:
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
