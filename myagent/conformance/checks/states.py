"""Conversations that clients keep themselves."""

from __future__ import annotations

from typing import Any

from myagent.conformance.asked_server import Server
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop

RUBBISH: tuple[Any, ...] = ({}, [], "x", 7)


@check(
    gettext_noop("an exported state resumes its session; an altered one is refused"),
    heading="userreconnect_with_state",
)
async def states(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        await peer.turn(session_id, server.say)
        exported = await peer.granted("user.request_state", session_id=session_id)
        expect(exported["event"] == "agent.state_exported", f"it was answered with {exported['event']}")
        signed = exported["metadata"]["signed_state"]
        for key in ("state", "signature", "timestamp"):
            altered = {**signed, key: signed[key][:-1] + ("0" if signed[key][-1] != "0" else "1")}
            await peer.refused("user.reconnect_with_state", "invalid_state", content={"signed_state": altered})
        for rubbish in RUBBISH:
            await peer.refused(
                "user.reconnect_with_state", "invalid_state", "bad_field", content={"signed_state": rubbish}
            )
    async with server.connect() as other:
        await other.send({"event": "user.reconnect_with_state", "content": {"signed_state": signed}})
        restored = await other.wait_for(lambda frame: frame["event"] == "agent.state_restored", "agent.state_restored")
        expect(restored["session_id"] == session_id, "the state of a session that is there led to another one")
