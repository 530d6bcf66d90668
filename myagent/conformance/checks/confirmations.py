"""Tools that ask the user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from myagent.conformance.asked_server import Server
from myagent.conformance.frame_rules import Frame
from myagent.conformance.log_rules import check_log
from myagent.conformance.peer import Peer, ends
from myagent.conformance.verdict import NotChecked, check, expect
from myagent.i18n import gettext_noop


@check(
    gettext_noop("a question is answered once, by any connection, and its tool then runs"),
    heading="userresponse",
)
async def yes(server: Server) -> None:
    async with _asked(server) as (peer, session_id, run_id, question):
        async with server.connect() as other:
            log, notice = await other.replay(session_id)
            expect(question in log, "the question is not replayed")
            status = notice["metadata"]["run_status"]
            expect(status == "waiting", f"the session's run_status is {status}, not waiting")
            await _answer(other, session_id, question, confirmed=True)
            reply = await other.request(
                "user.response", session_id=session_id, step_id=question["step_id"], content={"confirmed": False}
            )
            expect(reply["metadata"].get("code") == "no_pending_confirmation", "a question was answered twice")
        await _until_end(server, peer, session_id, run_id)
    result = await _result(server, session_id, question)
    expect(result["metadata"]["status"] == "success", f"the call came to {result['metadata']['status']}")


@check(gettext_noop("a no is told to the model, and the run goes on"), heading="userresponse")
async def no(server: Server) -> None:
    async with _asked(server) as (peer, session_id, run_id, question):
        await _answer(peer, session_id, question, confirmed=False)
        await _until_end(server, peer, session_id, run_id)
    result = await _result(server, session_id, question)
    expect(result["metadata"]["status"] == "declined", f"the call came to {result['metadata']['status']}")


@check(gettext_noop("what is neither a yes nor a no leaves the question open"), heading="userresponse")
async def unclear(server: Server) -> None:
    async with _asked(server) as (peer, session_id, run_id, question):
        for content in ("yes", 1, {}, {"confirmed": "yes"}, {"confirmed": True, "approved": False}):
            await peer.refused(
                "user.response", "bad_field", session_id=session_id, step_id=question["step_id"], content=content
            )
        await peer.refused(
            "user.response",
            "no_pending_confirmation",
            session_id=session_id,
            step_id="none",
            content={"confirmed": True},
        )
        await _answer(peer, session_id, question, confirmed=False)
        await _until_end(server, peer, session_id, run_id)


@asynccontextmanager
async def _asked(server: Server) -> AsyncIterator[tuple[Peer, str, str, Frame]]:
    """A session, its run and the question that it asks."""
    text = server.needed(server.confirm, "--confirm", "a message that makes a tool ask")
    async with server.connect() as peer:
        session_id = await peer.create_session()
        run_id = await peer.say(session_id, text)
        question = await peer.wait_for(
            lambda frame: frame["event"] == "agent.user_confirm" or ends(run_id)(frame), "a question"
        )
        if question["event"] != "agent.user_confirm":
            raise NotChecked(f"{text!r} led to no question: name another message with --confirm")
        yield peer, session_id, run_id, question


async def _answer(peer: Peer, session_id: str, question: Frame, *, confirmed: bool) -> None:
    await peer.send(
        {
            "event": "user.response",
            "session_id": session_id,
            "step_id": question["step_id"],
            "content": {"confirmed": confirmed},
        }
    )


async def _until_end(server: Server, peer: Peer, session_id: str, run_id: str) -> None:
    """Say yes to whatever else is asked."""
    while True:
        frame = await peer.wait_for(
            lambda frame: frame["event"] == "agent.user_confirm" or ends(run_id)(frame), "the end of the run"
        )
        if ends(run_id)(frame):
            return
        await _answer(peer, session_id, frame, confirmed=True)


async def _result(server: Server, session_id: str, question: Frame) -> Frame:
    async with server.connect() as reader:
        log, _notice = await reader.replay(session_id)
    check_log(log)
    call_id = question["metadata"]["call_step_id"]
    return next(frame for frame in log if frame["event"] == "agent.tool_result" and frame["step_id"] == call_id)
