"""What a client of the fault suite does by chance."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from myagent.client import ServerFrame
from tests.faults.conversations import State, Talk
from tests.faults.view import Leave

if TYPE_CHECKING:
    from tests.faults.client import FaultClient

LIVELY_SESSIONS = 3
"""Sessions with room for messages that a client wants to follow; it creates one when it has fewer."""
ACTS = {
    "look": 100,
    "say": 140,
    "acknowledge": 60,
    "cancel": 25,
    "leave": 25,
    "repeat": 20,
    "rename": 25,
    "export": 40,
    "tamper": 20,
    "copy": 15,
    "knock": 15,
    "close": 8,
    "delete": 10,
    "doze": 10,
}
"""How often each is done."""
KEPT_STATES = 60


class Acts:
    """The acts of one client, each on a session that it follows."""

    def __init__(self, client: FaultClient) -> None:
        self._client = client
        self._shared = client.shared
        self._random = client.random
        self._refused: dict[str, str] = {}
        """The requests that have to be refused, and the code with which."""

    def expects_refusal(self, frame: ServerFrame) -> bool:
        """Whether that was to be refused, and like that."""
        return self._refused.get(frame.metadata.get("request_id", "")) == frame.code

    async def act(self) -> None:
        """Do something."""
        lively = [talk for talk in self._shared.followed(self._client.name) if not talk.is_full]
        if len(lively) < LIVELY_SESSIONS:
            await self._create()
            return
        talk = self._random.choice(lively)
        (act,) = self._random.choices(list(ACTS), list(ACTS.values()))
        if self._client.is_attached(talk.session_id):
            await getattr(self, act)(talk)

    async def _create(self) -> None:
        reply = await self._client.ask({"event": "user.create_session"})
        if reply.session_id is not None and not reply.is_refusal:
            self._shared.add(reply.session_id, self._client.name)

    async def look(self, talk: Talk) -> None:
        """Nothing."""

    async def leave(self, talk: Talk) -> None:
        """Close the connection."""
        raise Leave

    async def doze(self, talk: Talk) -> None:
        """Do not read for a while."""
        self._client.is_reading.clear()
        await asyncio.sleep(self._random.uniform(1, 8))
        self._client.is_reading.set()

    # --- messages ---

    async def say(self, talk: Talk) -> None:
        """Have up to three messages sent."""
        for _ in range(self._random.choice((1, 1, 2, 3))):
            self._client.say(talk)

    async def repeat(self, talk: Talk) -> None:
        """Say something a second time, as a client does that did not hear the answer; it stays one message."""
        known = [token for token in self._client.known if self._shared.session_of[token] == talk.session_id]
        if not known:
            return
        token, session_id = self._random.choice(known), talk.session_id
        event = {"event": "user.message", "session_id": session_id, "content": "?", "metadata": {"message_id": token}}
        reply = await self._client.ask(event)
        if not reply.is_refusal:
            if not reply.metadata.get("duplicate"):
                self._shared.problems.append(f"message {token} (session {session_id}) was taken twice: {reply}")
            self._shared.accept(token, reply.metadata["run_id"], is_duplicate=True)

    async def acknowledge(self, talk: Talk) -> None:
        """Say how far it has come."""
        seq = self._client.view.cursor(talk.session_id)
        await self._client.send({"event": "user.ack", "session_id": talk.session_id, "last_seq": seq})

    async def cancel(self, talk: Talk) -> None:
        """Stop what goes on."""
        self._shared.counts["cancels"] += 1
        await self._client.send({"event": "user.cancel", "session_id": talk.session_id})

    # --- the session ---

    async def rename(self, talk: Talk) -> None:
        """Give it a title that nobody else gives."""
        talk.titles.append(title := uuid.uuid4().hex)
        self._shared.counts["sessions renamed"] += 1
        content = {"title": title, "metadata": {"title": title}}
        await self._client.send({"event": "user.update_session", "session_id": talk.session_id, "content": content})

    async def close(self, talk: Talk) -> None:
        """End it; what others say at the same moment is before or behind that."""
        talk.may_be_closed = True
        self._shared.counts["sessions closed"] += 1
        await self._client.send({"event": "user.close_session", "session_id": talk.session_id})

    async def delete(self, talk: Talk) -> None:
        """Delete it; all that follow it learn of that, sooner or later."""
        talk.may_be_deleted = True
        self._shared.counts["sessions deleted"] += 1
        await self._client.ask({"event": "user.delete_session", "session_id": talk.session_id})

    async def knock(self, talk: Talk) -> None:
        """Ask for a session that is known to be gone."""
        gone = [talk.session_id for talk in self._shared.talks.values() if talk.is_deleted]
        if gone:
            session_id = self._random.choice(gone)
            await self._refuse({"event": "user.reconnect", "session_id": session_id}, "session_not_found")

    # --- its state ---

    async def export(self, talk: Talk) -> None:
        """Take it along."""
        reply = await self._client.ask({"event": "user.request_state", "session_id": talk.session_id})
        if reply.is_refusal:
            return
        state = State(talk.session_id, reply.metadata["signed_state"])
        messages = state.content["messages"]
        if state.content["session_id"] != talk.session_id or len(messages) != reply.metadata["message_count"]:
            self._shared.problems.append(f"the state of session {talk.session_id} is another: {reply}")
        self._shared.states = [*self._shared.states, state][-KEPT_STATES:]
        self._shared.counts["states exported"] += 1

    async def tamper(self, talk: Talk) -> None:
        """Send a state in which one character is another."""
        if self._shared.states:
            sealed = dict(self._random.choice(self._shared.states).sealed)
            part = self._random.choice(sorted(sealed))
            at = self._random.randrange(len(sealed[part]))
            other = "0" if sealed[part][at] != "0" else "1"
            sealed[part] = sealed[part][:at] + other + sealed[part][at + 1 :]
            await self._refuse({"event": "user.reconnect_with_state", "signed_state": sealed}, "invalid_state")

    async def copy(self, talk: Talk) -> None:
        """Go on from the state of a session that is gone."""
        gone = [state for state in self._shared.states if self._shared.talks[state.session_id].is_deleted]
        if gone:
            state = self._random.choice(gone)
            await self._client.replay(state.session_id, 0, {}, state)

    async def _refuse(self, event: dict[str, object], code: str) -> None:
        """Ask for something that must not be had."""
        request_id = uuid.uuid4().hex
        self._refused[request_id] = code
        reply = await self._client.ask(event, request_id)
        if reply.code not in (code, "try_again"):  # while the database is away nothing is had either
            self._shared.problems.append(f"{self._client.name} was to be refused with {code}: {reply}")
