"""A client of the fault suite: talks, cancels, answers, leaves and comes back by chance, and checks what it is sent."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from random import Random
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import WebSocketException

from myagent.client import ServerFrame
from tests.faults.conversations import Conversations, Talk
from tests.faults.plan import Plan
from tests.faults.view import Attachment, View

REPLY_SECONDS = 30.0
OPEN_SECONDS = 5.0
LIVELY_SESSIONS = 3
"""Sessions with room for messages that a client wants to follow; it creates one when it has fewer."""
RETRY_CODES = ("try_again",)
ACTIONS = {"say": 14, "cancel": 3, "ack": 10, "repeat": 2, "leave": 3, "look": 30}


class Leave(Exception):
    """The client goes away, to come back soon."""


class FaultClient:
    """Lives until the round is settled and it has seen the end of every run of its sessions."""

    def __init__(self, name: str, url: str, random: Random, shared: Conversations) -> None:
        self.name = name
        self.view = View(name)
        self._url = url
        self._random = random
        self._shared = shared
        self._said = 0
        self._pending: dict[str, tuple[str, str]] = {}
        self._known: list[str] = []
        self._questions: deque[tuple[str, str]] = deque()
        self._attached: dict[str, Attachment] = {}
        self._replies: dict[str, asyncio.Future[ServerFrame]] = {}
        self._replays: dict[str, str] = {}

    async def run(self) -> None:
        """Connect again and again."""
        while not self.is_settled:
            try:
                async with open_websocket(
                    self._url, open_timeout=OPEN_SECONDS, close_timeout=1, ping_interval=None, max_size=None
                ) as socket:
                    self._shared.counts["connections"] += 1
                    await self._converse(socket)
            except (OSError, TimeoutError, EOFError, WebSocketException) as error:
                self._shared.counts[f"connections ended by {type(error).__name__}"] += 1
            except Leave:
                self._shared.counts["clients left"] += 1
            await asyncio.sleep(self._random.uniform(0.02, 0.4))

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be done or to come."""
        return self._shared.is_settling and not self._pending and not self.missing

    @property
    def missing(self) -> list[str]:
        """The accepted runs of the followed sessions whose end was not seen."""
        talks = self._shared.followed(self.name)
        return [run_id for talk in talks for run_id in talk.runs if run_id not in self.view.ended]

    @property
    def unanswered(self) -> list[str]:
        """The messages that are neither accepted nor refused."""
        return list(self._pending)

    # --- a connection ---

    async def _converse(self, socket: ClientConnection) -> None:
        self._attached, self._replies, self._replays = {}, {}, {}
        tasks = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._talk(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            text = await socket.recv()
            assert isinstance(text, str)
            self._take(ServerFrame.parse(text), text)

    def _take(self, frame: ServerFrame, text: str) -> None:
        request_id = frame.metadata.get("request_id", "")
        if frame.seq is not None and frame.session_id is not None:
            if frame.event == "agent.session_created" and request_id in self._replies:
                self._attached[frame.session_id] = Attachment(0)
            attachment = self._attached.get(frame.session_id)
            if attachment is None:
                self._shared.problems.append(f"{self.name} was sent an event of a session it did not ask for: {text}")
                return
            if self.view.take(attachment, frame, text) and frame.event == "agent.user_confirm" and frame.step_id:
                self._questions.append((frame.session_id, frame.step_id))
        elif frame.is_refusal:
            self._count_refusal(frame)
        if (session_id := self._replays.pop(request_id, None)) and not frame.is_refusal:
            self.view.replayed(self._attached[session_id], frame)
            self._shared.counts["replays"] += 1
        if (reply := self._replies.pop(request_id, None)) and not reply.done():
            reply.set_result(frame)

    def _count_refusal(self, frame: ServerFrame) -> None:
        self._shared.counts[f"refused {frame.code}"] += 1
        if frame.code not in ("try_again", "session_busy", "no_pending_confirmation"):
            self._shared.problems.append(f"{self.name} was refused: {frame}")

    async def _ask(self, socket: ClientConnection, event: dict[str, Any], request_id: str = "") -> ServerFrame:
        """Send a request and wait for its reply."""
        request_id = request_id or uuid.uuid4().hex
        event["metadata"] = {**event.get("metadata", {}), "request_id": request_id}
        reply = self._replies[request_id] = asyncio.get_running_loop().create_future()
        await socket.send(json.dumps(event))
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                return await reply
        except TimeoutError:
            self._shared.counts["requests without a reply in time"] += 1
            raise Leave from None

    # --- what it does ---

    async def _talk(self, socket: ClientConnection) -> None:
        while not self.is_settled:
            for talk in self._shared.followed(self.name):
                if talk.session_id not in self._attached and not self._is_over(talk):
                    await self._attach(socket, talk.session_id)
            await asyncio.gather(*(self._post(socket, token) for token in list(self._pending)))
            while self._questions:
                await self._answer(socket, *self._questions.popleft())
            await asyncio.sleep(self._random.uniform(0.05, 1.0))
            if not self._shared.is_settling:
                await self._act(socket)

    def _is_over(self, talk: Talk) -> bool:
        is_waited_for = any(session_id == talk.session_id for session_id, _ in self._pending.values())
        return talk.is_full and not is_waited_for and all(run_id in self.view.ended for run_id in talk.runs)

    async def _attach(self, socket: ClientConnection, session_id: str) -> None:
        """Come back with the cursor, sometimes with an old one: what is sent again has to be the same."""
        cursor = self.view.cursor(session_id)
        if self._random.random() < 0.2:
            cursor = self._random.randint(0, cursor)
        self._attached[session_id] = Attachment(cursor)
        request_id = uuid.uuid4().hex
        self._replays[request_id] = session_id
        name = self._random.choice(("last_seq", "last_event_id"))
        value = cursor if name == "last_seq" else f"{session_id}-{cursor}"
        event = {"event": "user.reconnect", "session_id": session_id, name: value}
        if (await self._ask(socket, event, request_id)).is_refusal:
            raise Leave

    async def _post(self, socket: ClientConnection, token: str) -> None:
        session_id, text = self._pending[token]
        if session_id not in self._attached:
            return
        self._attached[session_id].own.add(token)
        event = {"event": "user.message", "session_id": session_id, "content": text, "metadata": {"message_id": token}}
        reply = await self._ask(socket, event)
        if not reply.is_refusal:
            known = reply.metadata
            self._shared.accept(token, session_id, known["run_id"], is_duplicate=known.get("duplicate", False))
            self._known.append(token)
        if not (reply.is_refusal and reply.code in RETRY_CODES):
            del self._pending[token]

    async def _answer(self, socket: ClientConnection, session_id: str, step_id: str) -> None:
        if session_id not in self._attached or self._random.random() < 0.4:
            return
        confirmed = self._random.random() < 0.75
        self._shared.answers[step_id].append(confirmed)
        self._attached[session_id].own.add(step_id)
        content = {"confirmed": confirmed}
        answer = {"event": "user.response", "session_id": session_id, "step_id": step_id, "content": content}
        await socket.send(json.dumps(answer))

    async def _act(self, socket: ClientConnection) -> None:
        lively = [talk for talk in self._shared.followed(self.name) if not talk.is_full]
        if len(lively) < LIVELY_SESSIONS:
            reply = await self._ask(socket, {"event": "user.create_session"})
            if reply.session_id is not None and not reply.is_refusal:
                self._shared.add(reply.session_id, self.name)
            return
        talk = self._random.choice(lively)
        (action,) = self._random.choices(list(ACTIONS), list(ACTIONS.values()))
        match action:
            case "say":
                self._say(talk)
            case "repeat" if self._known:
                await self._repeat(socket)
            case "cancel" if talk.session_id in self._attached:
                self._shared.counts["cancels"] += 1
                await socket.send(json.dumps({"event": "user.cancel", "session_id": talk.session_id}))
            case "ack" if talk.session_id in self._attached:
                seq = self.view.cursor(talk.session_id)
                await socket.send(json.dumps({"event": "user.ack", "session_id": talk.session_id, "last_seq": seq}))
            case "leave":
                raise Leave

    def _say(self, talk: Talk) -> None:
        """Have up to three messages sent, and sent again on later connections until they are answered."""
        for _ in range(self._random.choice((1, 1, 2, 3))):
            if not talk.is_full:
                talk.said += 1
                self._said += 1
                plan = Plan.draw(f"{self.name}m{self._said}", self._random)
                self._pending[plan.token] = talk.session_id, plan.text

    async def _repeat(self, socket: ClientConnection) -> None:
        """Say something a second time, as a client does that did not hear the answer; it stays one message."""
        token = self._random.choice(self._known)
        session_id = self._shared.session_of[token]
        if session_id not in self._attached:
            return
        event = {"event": "user.message", "session_id": session_id, "content": "?", "metadata": {"message_id": token}}
        reply = await self._ask(socket, event)
        if not reply.is_refusal:
            if not reply.metadata.get("duplicate"):
                self._shared.problems.append(f"message {token} (session {session_id}) was taken twice: {reply}")
            self._shared.accept(token, session_id, reply.metadata["run_id"], is_duplicate=True)
