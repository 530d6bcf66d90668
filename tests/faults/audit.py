"""A client that comes at the end and has everything sent again from the beginning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from websockets.asyncio.client import connect as open_websocket

from myagent.client import ServerFrame
from tests.faults.view import Attachment, View

REPLAY_SECONDS = 30.0


async def audit(name: str, url: str, session_ids: Iterable[str]) -> View:
    """What a new connection to the server at `url` is sent of these sessions; it must be their whole logs."""
    view = View(name)
    async with open_websocket(url, max_size=None) as socket:
        for session_id in session_ids:
            await socket.send(json.dumps({"event": "user.reconnect", "session_id": session_id}))
            attachment = Attachment(0)
            async with asyncio.timeout(REPLAY_SECONDS):
                while not await _take(view, attachment, session_id, str(await socket.recv())):
                    pass
            view.complete.add(session_id)
    return view


async def _take(view: View, attachment: Attachment, session_id: str, text: str) -> bool:
    """Check one frame; tells whether it ends the replay of this session."""
    frame = ServerFrame.parse(text)
    if frame.seq is not None:
        view.take(attachment, frame, text)
    elif frame.is_refusal:
        view.problems.append(f"{view.name}: session {session_id}: {frame}")
        return True
    elif frame.event == "system.notice":
        view.replayed(attachment, frame)
        if (status := frame.metadata["run_status"]) != "idle":
            view.problems.append(f"{view.name}: session {session_id} is {status} at the end")
        return True
    return False
