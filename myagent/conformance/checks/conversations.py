"""What is said, and what becomes of a session."""

from __future__ import annotations

from myagent.conformance.asked_server import Server, unknown_id
from myagent.conformance.log_rules import check_log
from myagent.conformance.peer import ends
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop


@check(
    gettext_noop("a message starts one run, which ends once, and whose pieces are its answer"),
    heading="a-run",
)
async def runs(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        for _ in range(2):
            answered = await peer.turn(session_id, server.say)
            expect(answered[-1]["event"] == "agent.final_answer", f"the run ended with {answered[-1]['event']}")
            expect(
                not any(frame["event"] == "user.message" for frame in answered),
                "the sender of a message was sent it as well",
            )
    async with server.connect() as reader:
        log, _notice = await reader.replay(session_id)
    check_log(log)


@check(
    gettext_noop("messages that come during a run are answered in their order, one run each"),
    heading="usermessage",
)
async def queued_messages(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        run_ids = [await peer.say(session_id, server.say) for _ in range(3)]
        if len(set(run_ids)) == len(run_ids):  # otherwise the agent lets them steer
            for run_id in run_ids:
                await peer.wait_for(ends(run_id), "the end of each run")
    async with server.connect() as reader:
        log, _notice = await reader.replay(session_id)
    ended = [frame["metadata"]["run_id"] for frame in log if any(ends(run_id)(frame) for run_id in run_ids)]
    expect(ended == [run_id for run_id in run_ids if run_id in ended], f"runs {run_ids} ended in the order {ended}")


@check(
    gettext_noop("a message that is sent again under its message_id is one message and one run"), heading="usermessage"
)
async def repeated_messages(server: Server) -> None:
    async with server.connect() as peer:
        session_id, message_id = await peer.create_session(), unknown_id()
        first = await peer.say(session_id, server.say, message_id)
        async with server.connect() as other:
            again = await other.granted(
                "user.message", session_id=session_id, content=server.say, metadata={"message_id": message_id}
            )
        expect(again["metadata"].get("run_id") == first, "a message that was sent twice has two runs")
        expect(again["metadata"].get("duplicate") is True, "nothing says that the message was there already")
        await peer.wait_for(ends(first), "the end of the run")
    async with server.connect() as reader:
        log, _notice = await reader.replay(session_id)
    said = [frame for frame in log if frame["event"] == "user.message"]
    expect(len(said) == 1, f"a message that was sent twice is in the log {len(said)} times")


@check(gettext_noop("a run belongs to the server: it goes on without any client"), heading="a-run")
async def runs_without_clients(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        run_id = await peer.say(session_id, server.slow)
    async with server.connect() as reader:
        log, notice = await reader.replay(session_id)
        if notice["metadata"]["run_status"] != "idle":
            log += await reader.until(ends(run_id), "the end of the run")
    expect(any(frame["event"] == "agent.final_answer" for frame in log), "the run did not end with an answer")
    check_log(log)


@check(gettext_noop("every connection of a session receives its events"), heading="the-log-and-the-cursor")
async def second_connections(server: Server) -> None:
    async with server.connect() as peer, server.connect() as other:
        session_id = await peer.create_session()
        await other.replay(session_id)
        run_id = await peer.say(session_id, server.say)
        mine = await peer.until(ends(run_id), "the end of the run")
        theirs = await other.until(ends(run_id), "the end of the run, on another connection")
    logged = [frame for frame in theirs if "seq" in frame]
    expect(logged[0]["event"] == "user.message", "another connection was not sent the message")
    expect(
        [frame for frame in mine if "seq" in frame] == logged[1:],
        "two connections were sent different events of one run",
    )


@check(gettext_noop("a session is renamed, listed, closed and deleted"), heading="userupdate_session")
async def sessions(server: Server) -> None:
    title = f"Conformance {unknown_id()}"
    async with server.connect() as peer:
        session_id = await peer.create_session()
        changed = await peer.changed(
            "user.update_session", "agent.session_updated", session_id, content={"title": title}
        )
        expect(changed["metadata"]["title"] == title, "agent.session_updated has another title")
        listed = await peer.granted("user.list_sessions", content={"query": title})
        found = [entry["session_id"] for entry in listed["metadata"]["sessions"]]
        expect(found == [session_id], f"a list by the title has {found}")
        await peer.changed("user.close_session", "agent.session_end", session_id)
        await peer.refused("user.message", "session_closed", session_id=session_id, content=server.say)
        await peer.changed("user.delete_session", "agent.session_deleted", session_id)
    async with server.connect() as peer:
        await peer.refused("user.reconnect", "session_not_found", session_id=session_id, last_seq=0)
