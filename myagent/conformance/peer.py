"""One connection of a client that believes nothing: every frame is held against the rules as it comes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from myagent.conformance.frame_rules import Frame, FrameRules
from myagent.conformance.verdict import Broken, expect
from myagent.protocol.server_events import TERMINAL_EVENTS

Match = Callable[[Frame], bool]


def ends(run_id: str) -> Match:
    """Matches the end of a run."""
    return lambda frame: frame["event"] in TERMINAL_EVENTS and frame["metadata"].get("run_id") == run_id


class Peer:
    """An open connection; made by `Server.connect`. `patience` is how many seconds an answer may take."""

    def __init__(self, socket: ClientConnection, patience: float) -> None:
        self.socket = socket
        self._patience = patience
        self._rules = FrameRules()
        self._unread: list[Frame] = []

    # --- frames ---

    async def send(self, frame: Mapping[str, Any] | str | bytes) -> None:
        """An event, or what is none. Raises `Broken`."""
        try:
            await self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))
        except ConnectionClosed as closed:
            raise Broken(f"the server closed the connection ({closed})") from closed

    async def wait_for(self, match: Match, awaited: str) -> Frame:
        """The first frame that matches, of those not yet handed out and those to come; `awaited` names it in words.

        Raises `Broken`, too when it does not come in time.
        """
        for number, frame in enumerate(self._unread):
            if match(frame):
                return self._unread.pop(number)
        try:
            async with asyncio.timeout(self._patience):
                while not match(frame := await self._receive()):
                    self._unread.append(frame)
        except TimeoutError as error:
            raise Broken(f"{awaited} did not come within {self._patience:g} s") from error
        return frame

    async def until(self, match: Match, awaited: str) -> list[Frame]:
        """Every frame up to and with the first that matches. Raises `Broken`."""
        frames = [await self.wait_for(lambda frame: True, awaited)]
        while not match(frames[-1]):
            frames.append(await self.wait_for(lambda frame: True, awaited))
        return frames

    async def _receive(self) -> Frame:
        try:
            return self._rules.check(await self.socket.recv())
        except ConnectionClosed as closed:
            raise Broken(f"the server closed the connection ({closed})") from closed

    # --- requests ---

    async def request(self, event: str, **fields: Any) -> Frame:
        """Send an event; returns the direct reply, which has its request id. Raises `Broken`."""
        request_id = uuid.uuid4().hex
        metadata = {**fields.pop("metadata", {}), "request_id": request_id}
        await self.send({"event": event, **fields, "metadata": metadata})
        return await self.wait_for(
            lambda frame: frame["metadata"].get("request_id") == request_id, f"the reply to {event}"
        )

    async def granted(self, event: str, **fields: Any) -> Frame:
        """The reply to a request that is not to be refused. Raises `Broken`."""
        reply = await self.request(event, **fields)
        expect(
            "code" not in reply["metadata"],
            f"{event} was refused: {reply['content']} ({reply['metadata'].get('code')})",
        )
        return reply

    async def refused(self, event: str, *codes: str, **fields: Any) -> Frame:
        """The refusal of a request, with one of these codes. Raises `Broken`."""
        reply = await self.request(event, **fields)
        code = reply["metadata"].get("code")
        expect(code in codes, f"{event} was answered with {reply['event']} {code or ''}; {' or '.join(codes)} was due")
        return reply

    async def changed(self, event: str, tells: str, session_id: str, **fields: Any) -> Frame:
        """The event `tells` that every connection of a session gets when a request changes it. Raises `Broken`."""
        await self.send({"event": event, "session_id": session_id, **fields})
        frame = await self.wait_for(
            lambda frame: frame["event"] == tells or frame["metadata"].get("request") == event, f"{tells} after {event}"
        )
        expect(frame["event"] == tells, f"{event} was refused: {frame['content']}")
        return frame

    # --- sessions ---

    async def create_session(self) -> str:
        """The id of a new session. Raises `Broken`."""
        created = await self.granted("user.create_session", content={"title": "Conformance"})
        expect(created["event"] == "agent.session_created", f"user.create_session was answered by {created['event']}")
        return str(created["session_id"])

    async def say(self, session_id: str, text: str, message_id: str | None = None) -> str:
        """Say something; returns the id of its run. Raises `Broken`."""
        metadata = {"message_id": message_id or uuid.uuid4().hex}
        accepted = await self.granted("user.message", session_id=session_id, content=text, metadata=metadata)
        expect(accepted["metadata"].get("action") == "accepted", f"the message was answered by {accepted['event']}")
        return str(accepted["metadata"]["run_id"])

    async def turn(self, session_id: str, text: str) -> list[Frame]:
        """Say something; returns all frames up to the end of its run. Raises `Broken`."""
        run_id = await self.say(session_id, text)
        return await self.until(ends(run_id), "the end of the run")

    async def replay(self, session_id: str, after: int = 0, **cursor: Any) -> tuple[list[Frame], Frame]:
        """The events of the log behind `after`, and the notice that follows them. Raises `Broken`."""
        self._rules.read_again(session_id, after)
        self._unread = [frame for frame in self._unread if frame.get("session_id") != session_id]
        request_id = uuid.uuid4().hex
        asked = cursor or {"last_seq": after}
        await self.send(
            {"event": "user.reconnect", "session_id": session_id, **asked, "metadata": {"request_id": request_id}}
        )
        frames = await self.until(
            lambda frame: frame["metadata"].get("request_id") == request_id, "the notice that ends a replay"
        )
        notice = frames.pop()
        expect(notice["metadata"].get("action") == "replay", f"user.reconnect was answered by {notice['event']}")
        return [frame for frame in frames if frame.get("session_id") == session_id and "seq" in frame], notice
