"""Requests that cannot be granted: each is answered, and harms nothing."""

from __future__ import annotations

from typing import Any

from myagent.conformance.asked_server import Server, unknown_id
from myagent.conformance.peer import Peer
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop

NO_EVENTS: dict[str, str | bytes] = {
    "text that is not JSON": "{",
    "an empty frame": "",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "a binary frame": b'{"event": "user.cancel"}',
    "NaN": '{"event": "user.ack", "seq": NaN}',
    "an object without an event": "{}",
    "an event that is a number": '{"event": 7}',
    "an unknown event": '{"event": "user.fly"}',
    "500 lists in one another": '{"event": "user.message", "content": ' + "[" * 500 + "]" * 500 + "}",
}
SESSION_EVENTS: dict[str, dict[str, Any]] = {
    "user.message": {"content": "hello"},
    "user.response": {"step_id": "1", "content": {"confirmed": True}},
    "user.cancel": {},
    "user.withdraw": {"message_id": "m"},
    "user.fork": {"at": 1},
    "user.feedback": {"content": {"run_id": "r", "rating": "up"}},
    "user.reconnect": {"last_seq": 0},
    "user.close_session": {},
    "user.update_session": {"content": {"title": "Mine"}},
    "user.delete_session": {},
    "user.request_state": {},
}
"""Events that name a session, with what they need beside it."""
NOT_STRINGS: tuple[Any, ...] = (7, None, [], {}, True)
NO_ACKNOWLEDGEMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"session_id": unknown_id(), "last_seq": 1},
    {"content": "rubbish"},
    {"seq": -1},
    {"seq": {}},
)


@check(
    gettext_noop("what is no event is answered with system.error, and the connection stays open"),
    heading="frames",
)
async def no_events(server: Server) -> None:
    async with server.connect() as peer:
        for words, sent in NO_EVENTS.items():
            await peer.send(sent)
            reply = await peer.wait_for(lambda frame: frame["event"] != "system.heartbeat", f"the answer to {words}")
            expect(reply["event"] == "system.error", f"{words} was answered with {reply['event']}")
        await _still_works(peer)


@check(
    gettext_noop("fields that are missing or of another type are refused, with the request id"), heading="error-codes"
)
async def bad_fields(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        for event, fields in SESSION_EVENTS.items():
            await peer.refused(event, "missing_field", **fields)
            for wrong in NOT_STRINGS:
                await peer.refused(event, "bad_field", "missing_field", session_id=wrong, **fields)
        await peer.refused("user.message", "missing_field", session_id=session_id)
        await peer.refused("user.message", "bad_field", session_id=session_id, content=7)
        await peer.refused("user.message", "empty_message", session_id=session_id, content="  ")
        await peer.refused("user.reconnect", "bad_field", session_id=session_id, last_seq=-1)
        await peer.refused("user.list_sessions", "bad_field", content={"limit": 1000})
        await _still_works(peer)


@check(
    gettext_noop("a session that does not exist is refused with session_not_found"),
    heading="error-codes",
)
async def unknown_sessions(server: Server) -> None:
    async with server.connect() as peer:
        for event, fields in SESSION_EVENTS.items():
            for session_id in (unknown_id(), "no id", ""):
                await peer.refused(event, "session_not_found", session_id=session_id, **fields)


@check(gettext_noop("keys that the server does not know are ignored"), heading="frames")
async def unknown_keys(server: Server) -> None:
    async with server.connect() as peer:
        await peer.granted("user.list_sessions", later={"key": [1]}, metadata={"later": 1})


@check(
    gettext_noop("an acknowledgement is never answered, not even one that cannot be used"),
    heading="userack",
)
async def acknowledgements(server: Server) -> None:
    async with server.connect() as peer:
        for fields in NO_ACKNOWLEDGEMENTS:
            await peer.send({"event": "user.ack", **fields})
        await peer.send({"event": "user.list_sessions"})
        reply = await peer.wait_for(lambda frame: frame["event"] != "system.heartbeat", "the list of sessions")
        expect(reply["event"] == "system.sessions", f"an acknowledgement was answered with {reply['event']}")


async def _still_works(peer: Peer) -> None:
    reply = await peer.granted("user.list_sessions")
    expect(reply["event"] == "system.sessions", f"user.list_sessions was answered with {reply['event']}")
