"""A client of the fault suite: connects again and again, follows sessions, and checks what it is sent.

It is no `myagent.client`, which hides what this one is there to find: events that come twice, out of order or for
another connection. It also reconnects from old cursors and leaves in the middle of anything.
"""

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
from tests.faults.acts import Acts
from tests.faults.conversations import Conversations, State, Talk
from tests.faults.plan import Plan
from tests.faults.view import Attachment, Leave, View

REPLY_SECONDS = 30.0
OPEN_SECONDS = 5.0
RETRY_CODES = ("try_again",)
EXPECTED_CODES = (*RETRY_CODES, "session_busy", "no_pending_confirmation")


class FaultClient:
    """Lives until the round is settled and it has seen the end of every run of its sessions."""

    def __init__(self, name: str, url: str, random: Random, shared: Conversations) -> None:
        self.name = name
        self.view = View(name)
        self.shared = shared
        self.random = random
        self.known: list[str] = []
        """The messages that were accepted, by their tokens."""
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self._url = url
        self._socket: ClientConnection | None = None
        self._acts = Acts(self)
        self._said = 0
        self._pending: dict[str, tuple[str, str]] = {}
        self._questions: deque[tuple[str, str]] = deque()
        self._attached: dict[str, Attachment] = {}
        self._replies: dict[str, asyncio.Future[ServerFrame]] = {}
        self._replays: dict[str, str] = {}
        self._restoring: dict[str, tuple[State, bool]] = {}

    async def run(self) -> None:
        """Connect again and again."""
        while not self.is_settled:
            try:
                async with open_websocket(
                    self._url, open_timeout=OPEN_SECONDS, close_timeout=1, ping_interval=None, max_size=None
                ) as socket:
                    self.shared.counts["connections"] += 1
                    await self._converse(socket)
            except (OSError, TimeoutError, EOFError, WebSocketException) as error:
                self.shared.counts[f"connections ended by {type(error).__name__}"] += 1
            except Leave:
                self.shared.counts["clients left"] += 1
            await asyncio.sleep(self.random.uniform(0.02, 0.4))

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be done or to come."""
        return self.shared.is_settling and not self._pending and not self.missing

    @property
    def missing(self) -> list[str]:
        """The accepted runs of the followed sessions whose end was not seen."""
        talks = self.shared.followed(self.name)
        return [run_id for talk in talks for run_id in talk.runs if run_id not in self.view.ended]

    @property
    def unanswered(self) -> list[str]:
        """The messages that are neither accepted nor refused."""
        return list(self._pending)

    def is_attached(self, session_id: str) -> bool:
        """Whether this connection follows a session."""
        return session_id in self._attached

    # --- a connection ---

    async def _converse(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._attached, self._replies, self._replays, self._restoring = {}, {}, {}, {}
        self.is_reading.set()
        tasks = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._talk())]
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
            await self.is_reading.wait()
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
                self.shared.problems.append(f"{self.name} was sent an event of a session it did not ask for: {text}")
                return
            if self.view.take(attachment, frame, text) and frame.event == "agent.user_confirm" and frame.step_id:
                self._questions.append((frame.session_id, frame.step_id))
        elif frame.event == "agent.session_deleted" and frame.session_id is not None:
            self._forget(frame.session_id)
            # No replay of it comes to its end any more.
            for asked in [asked for asked, session_id in self._replays.items() if session_id == frame.session_id]:
                del self._replays[asked]
                self._replies.pop(asked).set_result(frame)
        elif frame.event == "agent.state_restored":
            self._follow_copy(frame, request_id)
            return  # the reply is the end of the replay that follows
        elif frame.is_refusal:
            self._count_refusal(frame)
        if (session_id := self._replays.pop(request_id, None)) and frame.event == "system.notice":
            self.view.replayed(self._attached[session_id], frame)
            self.shared.counts["replays"] += 1
        if (reply := self._replies.pop(request_id, None)) and not reply.done():
            reply.set_result(frame)

    def _count_refusal(self, frame: ServerFrame) -> None:
        self.shared.counts[f"refused {frame.code}"] += 1
        talk = self.shared.talks.get(frame.session_id or "")
        expected = frame.code in EXPECTED_CODES or self._acts.expects_refusal(frame)
        if talk is not None and frame.code == "session_not_found" and talk.may_be_deleted:
            expected = True
            self._forget(talk.session_id)
        if talk is not None and frame.code == "session_closed":
            expected = talk.may_be_closed
        if not expected:
            self.shared.problems.append(f"{self.name} was refused: {frame}")

    def _forget(self, session_id: str) -> None:
        """A session is gone, and all that was to be said in it."""
        self.shared.deleted(session_id)
        self._attached.pop(session_id, None)
        self._pending = {token: said for token, said in self._pending.items() if said[0] != session_id}

    async def ask(self, event: dict[str, Any], request_id: str = "") -> ServerFrame:
        """Send a request and wait for its reply."""
        request_id = request_id or uuid.uuid4().hex
        event["metadata"] = {**event.get("metadata", {}), "request_id": request_id}
        reply = self._replies[request_id] = asyncio.get_running_loop().create_future()
        await self.send(event)
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                return await reply
        except TimeoutError:
            self.shared.counts["requests without a reply in time"] += 1
            raise Leave from None

    async def send(self, event: dict[str, Any]) -> None:
        """Send a request that has no reply of its own."""
        assert self._socket is not None
        await self._socket.send(json.dumps(event))

    # --- what it does ---

    async def _talk(self) -> None:
        while not self.is_settled:
            for talk in self.shared.followed(self.name):
                if talk.session_id not in self._attached and not self._is_over(talk):
                    await self._attach(talk.session_id)
            await asyncio.gather(*(self._post(token) for token in list(self._pending)))
            while self._questions:
                await self._answer(*self._questions.popleft())
            await asyncio.sleep(self.random.uniform(0.05, 1.0))
            if not self.shared.is_settling:
                await self._acts.act()

    def _is_over(self, talk: Talk) -> bool:
        is_waited_for = any(session_id == talk.session_id for session_id, _ in self._pending.values())
        is_decided = talk.is_full and not talk.may_be_deleted
        return is_decided and not is_waited_for and all(run_id in self.view.ended for run_id in talk.runs)

    async def _attach(self, session_id: str) -> None:
        """Come back with the cursor, sometimes with an old one: what is sent again has to be the same."""
        cursor = self.view.cursor(session_id)
        if self.random.random() < 0.2:
            cursor = self.random.randint(0, cursor)
        name = self.random.choice(("last_seq", "last_event_id"))
        position = {name: cursor if name == "last_seq" else f"{session_id}-{cursor}"}
        states = [state for state in self.shared.states if state.session_id == session_id]
        state = self.random.choice(states) if states and self.random.random() < 0.3 else None
        await self.replay(session_id, cursor, position, state)

    async def replay(self, session_id: str, cursor: int, position: dict[str, Any], state: State | None) -> None:
        """Have sent again what lies behind `cursor` of a session that this connection does not follow yet."""
        self._attached[session_id] = Attachment(cursor)
        request_id = uuid.uuid4().hex
        self._replays[request_id] = session_id
        if state is None:
            event = {"event": "user.reconnect", "session_id": session_id}
        else:
            event = {"event": "user.reconnect_with_state", "signed_state": state.sealed}
            self._restoring[request_id] = state, self.shared.talks[session_id].is_deleted
        if (await self.ask({**event, **position}, request_id)).is_refusal and session_id in self._attached:
            raise Leave

    def _follow_copy(self, frame: ServerFrame, request_id: str) -> None:
        """A state was taken: for its session, or, when that is gone, for a new one that begins with its history."""
        (state, was_gone), session_id = self._restoring.pop(request_id), frame.session_id
        assert session_id is not None
        self.shared.counts["states restored"] += 1
        if frame.metadata["original_session_id"] != state.session_id:
            self.shared.problems.append(f"{self.name} sent the state of {state.session_id} and was given: {frame}")
        elif session_id == state.session_id:
            if was_gone:
                self.shared.problems.append(f"session {session_id} is there, although it was deleted: {frame}")
        else:
            self._forget(state.session_id)
            self._attached[session_id] = Attachment(0)
            self._replays[request_id] = session_id
            self.shared.add(session_id, self.name)
            self.shared.copies[session_id] = state
            self.shared.counts["sessions made from the state of a deleted one"] += 1

    async def _post(self, token: str) -> None:
        session_id, text = self._pending.get(token, ("", ""))
        if session_id not in self._attached:
            if session_id and self.shared.talks[session_id].is_deleted:
                del self._pending[token]
            return
        self._attached[session_id].own.add(token)
        event = {"event": "user.message", "session_id": session_id, "content": text, "metadata": {"message_id": token}}
        reply = await self.ask(event)
        if not reply.is_refusal:
            self.shared.accept(token, reply.metadata["run_id"], is_duplicate=reply.metadata.get("duplicate", False))
            self.known.append(token)
        if not (reply.is_refusal and reply.code in RETRY_CODES):
            self._pending.pop(token, None)

    async def _answer(self, session_id: str, step_id: str) -> None:
        if session_id not in self._attached or self.random.random() < 0.4:
            return
        confirmed = self.random.random() < 0.75
        self.shared.answers[step_id].append(confirmed)
        self._attached[session_id].own.add(step_id)
        content = {"confirmed": confirmed}
        await self.send({"event": "user.response", "session_id": session_id, "step_id": step_id, "content": content})

    def say(self, talk: Talk) -> None:
        """Have a message sent, and sent again on later connections until it is answered."""
        if not talk.is_full:
            talk.said += 1
            self._said += 1
            plan = Plan.draw(f"{self.name}m{self._said}", self.random)
            self._pending[plan.token] = talk.session_id, plan.text
            self.shared.session_of[plan.token] = talk.session_id
