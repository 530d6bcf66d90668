"""The stop button."""

from __future__ import annotations

from myagent.conformance.asked_server import Server
from myagent.conformance.log_rules import check_log
from myagent.conformance.peer import ends
from myagent.conformance.verdict import NotChecked, check, expect
from myagent.i18n import gettext_noop

TRIES = 10


@check(
    gettext_noop("a cancel ends the run, with agent.interrupted alone, and the next message is answered"),
    heading="usercancel",
)
async def cancels(server: Server) -> None:
    for number in range(TRIES):
        async with server.connect() as peer:
            session_id = await peer.create_session()
            run_id = await peer.say(session_id, server.slow)
            if number % 2 == 0:  # in the middle of it; otherwise as early as can be, where answers are short
                await peer.wait_for(lambda frame: frame["event"] == "agent.thinking", "the beginning of the run")
            await peer.send({"event": "user.cancel", "session_id": session_id})
            end = await peer.wait_for(ends(run_id), "the end of the run")
            after = (await peer.turn(session_id, server.say))[-1]
        async with server.connect() as reader:
            log, _notice = await reader.replay(session_id)
        check_log(log)
        expect(after["event"] == "agent.final_answer", f"the message after a cancel was answered with {after['event']}")
        if end["event"] == "agent.interrupted":
            expect(end["metadata"].get("reason") == "user", f"the reason is {end['metadata'].get('reason')}, not user")
            return
    raise NotChecked("every answer came before the cancel: name a message that takes longer with --slow")


@check(
    gettext_noop("a cancel where nothing goes on is answered, and logs nothing"),
    heading="agentinterrupted",
)
async def idle_cancels(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        reply = await peer.request("user.cancel", session_id=session_id)
        expect(reply["event"] == "agent.interrupted", f"it was answered with {reply['event']}")
        expect("seq" not in reply and "run_id" not in reply["metadata"], "it was answered with an event of a run")
    async with server.connect() as reader:
        log, _notice = await reader.replay(session_id)
    expect([frame["event"] for frame in log] == ["agent.session_created"], "it left something in the log")
