"""One user never sees another's data, nor that there is any."""

from __future__ import annotations

from myagent.conformance.asked_server import Server, unknown_id
from myagent.conformance.checks.bad_requests import SESSION_EVENTS
from myagent.conformance.frame_rules import Frame
from myagent.conformance.peer import Peer
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop


@check(
    gettext_noop("a session of another user looks as one that does not exist, to every request"), heading="error-codes"
)
async def foreign_sessions(server: Server) -> None:
    _two_users(server)
    async with server.connect() as owner, server.connect(as_other=True) as stranger:
        session_id = await owner.create_session()
        await owner.turn(session_id, server.say)
        for event, fields in SESSION_EVENTS.items():
            foreign = await _refusal(stranger, event, session_id, fields)
            none = await _refusal(stranger, event, unknown_id(), fields)
            expect(foreign == none, f"{event} of another's session is answered {foreign}, of none {none}")
        expect(
            bool((await owner.replay(session_id))[0]), "the session of its owner is gone after a stranger's requests"
        )


@check(gettext_noop("lists have the caller's own sessions alone"), heading="userlist_sessions")
async def foreign_lists(server: Server) -> None:
    _two_users(server)
    title = f"Conformance {unknown_id()}"
    async with server.connect() as owner, server.connect(as_other=True) as stranger:
        session_id = await owner.create_session()
        await owner.changed("user.update_session", "agent.session_updated", session_id, content={"title": title})
        for content in ({"limit": 100}, {"query": title}, {"family_id": session_id}):
            listed = await stranger.granted("user.list_sessions", content=content)
            found = [entry["session_id"] for entry in listed["metadata"]["sessions"]]
            expect(session_id not in found, f"a list by {content} has another user's session")


def _two_users(server: Server) -> None:
    server.needed(server.other_token, "--other-token", "the token of another user")


async def _refusal(peer: Peer, event: str, session_id: str, fields: Frame) -> Frame:
    """What a refusal says, without what differs between any two."""
    reply = await peer.request(event, session_id=session_id, **fields)
    metadata = {key: value for key, value in reply["metadata"].items() if key != "request_id"}
    return {"event": reply["event"], "content": str(reply["content"]).replace(session_id, "…"), "metadata": metadata}
