"""A client that comes at the end and has everything sent again from the beginning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from websockets.asyncio.client import connect as open_websocket

from myagent.client import ServerFrame
from tests.faults.conversations import Talk
from tests.faults.view import Attachment, View

REPLAY_SECONDS = 30.0


async def audit(name: str, url: str, talks: Iterable[Talk]) -> View:
    """What a new connection to the server at `url` is sent of these sessions: their logs, or that they are gone."""
    view = View(name)
    async with open_websocket(url, max_size=None) as socket:
        for talk in talks:
            session_id = talk.session_id
            await socket.send(json.dumps({"event": "user.reconnect", "session_id": session_id}))
            attachment = Attachment(0)
            async with asyncio.timeout(REPLAY_SECONDS):
                while not await _take(view, attachment, talk, str(await socket.recv())):
                    pass
    return view


async def _take(view: View, attachment: Attachment, talk: Talk, text: str) -> bool:
    """Check one frame; tells whether it is the last one of this session."""
    frame = ServerFrame.parse(text)
    if frame.seq is not None:
        view.take(attachment, frame, text)
    elif frame.is_refusal:
        if not (frame.code == "session_not_found" and talk.may_be_deleted):
            view.problems.append(f"{view.name}: session {talk.session_id}: {frame}")
        return True
    elif frame.event == "system.notice":
        view.replayed(attachment, frame)
        view.complete.add(talk.session_id)
        if talk.is_deleted:
            view.problems.append(f"{view.name}: session {talk.session_id} is there, although it was deleted")
        if (status := frame.metadata["run_status"]) != "idle":
            view.problems.append(f"{view.name}: session {talk.session_id} is {status} at the end")
        return True
    return False
