"""The log: read from any number, at any time, it is the same."""

from __future__ import annotations

from myagent.conformance.asked_server import Server
from myagent.conformance.frame_rules import Frame
from myagent.conformance.log_rules import check_log
from myagent.conformance.peer import ends
from myagent.conformance.verdict import check, expect
from myagent.i18n import gettext_noop

CUTS = 30
"""How often a connection is cut within one answer, at most: as often as it has events."""


@check(
    gettext_noop("replay from every number gives the rest of the log, the same each time"),
    heading="userreconnect",
)
async def every_number(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        live = await peer.turn(session_id, server.say)
    async with server.connect() as reader:
        log, notice = await reader.replay(session_id)
        last = log[-1]["seq"]
        said = notice["metadata"]["last_seq"]
        expect(said == last, f"the log ends with {last}, but with {said} by the notice that follows it")
        by_seq = {frame["seq"]: frame for frame in log}
        for frame in live:
            same = by_seq.get(frame.get("seq")) in (frame, None)
            expect(same, f"{frame['event']} is replayed other than it was sent")
        for number in range(last + 1):
            rest = [frame for frame in log if frame["seq"] > number]
            again, _notice = await reader.replay(session_id, number)
            expect(again == rest, f"replay from {number} gives {_numbers(again)}, not {_numbers(rest)}")
            event_id = f"{session_id}-{number}"
            again, _notice = await reader.replay(session_id, number, content={"last_event_id": event_id})
            expect(again == rest, f"replay from the event id {event_id} gives {_numbers(again)}, not {_numbers(rest)}")
        ahead = await reader.refused("user.reconnect", "cursor_ahead", session_id=session_id, last_seq=last + 1)
        expect(ahead["metadata"].get("last_seq") == last, "cursor_ahead does not tell where the log ends")


@check(
    gettext_noop("a client that is cut within an answer misses nothing, and has nothing twice"),
    heading="userreconnect",
)
async def cuts(server: Server) -> None:
    async with server.connect() as peer:
        session_id = await peer.create_session()
        run_id = await peer.say(session_id, server.slow)
    read: list[Frame] = []
    for _cut in range(CUTS):
        async with server.connect() as peer:
            log, notice = await peer.replay(session_id, read[-1]["seq"] if read else 0)
            read += log
            if notice["metadata"]["run_status"] == "idle":
                break
            frame = await peer.wait_for(lambda frame: True, "the next event of a run")
            read += [frame] if frame.get("session_id") == session_id and "seq" in frame else []
    else:
        async with server.connect() as peer:
            log, notice = await peer.replay(session_id, read[-1]["seq"])
            read += log
            if notice["metadata"]["run_status"] != "idle":
                read += [frame for frame in await peer.until(ends(run_id), "the end of the run") if "seq" in frame]
    async with server.connect() as reader:
        whole, _notice = await reader.replay(session_id)
    # Pieces of an answer may be removed from the log, once it has the whole.
    kept = {frame["seq"] for frame in whole}
    expect(
        [frame for frame in read if frame["seq"] in kept] == whole,
        f"a client that was cut {CUTS} times read {_numbers(read)} of {_numbers(whole)}",
    )
    check_log(read)


def _numbers(frames: list[Frame]) -> str:
    return f"{len(frames)} events {[frame['seq'] for frame in frames[:20]]}"
