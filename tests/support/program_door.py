"""One conversation through a door for programs, spoken to without its clients: how it is heard, and our own door."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

import httpx2

from tests.support.patience import WAIT_SECONDS

Told = tuple[str, str]
"""Whose words these are, `user`, `tool` or `assistant`, and the words."""
Event = dict[str, Any]


class Hearing:
    """One answer as it comes. `said` is what a client shows of it, `question` the id of the one that it ended with."""

    def __init__(self, lines: AsyncIterator[str], take: Callable[[Hearing, Event], None]) -> None:
        self.texts: dict[str, str] = {}
        self.question: str | None = None
        self.is_over = False
        self.comments = 0
        self._lines = lines
        self._take = take

    @property
    def said(self) -> str:
        return list(self.texts.values())[-1] if self.texts else ""

    def add(self, name: str, words: str) -> None:
        """More of one of its texts."""
        self.texts[name] = self.texts.get(name, "") + words

    async def until(self, is_enough: Callable[[Hearing], bool]) -> Hearing:
        """Listen until that is so; the answer must not end before."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not is_enough(self):
                line = await anext(self._lines)
                self.comments += line.startswith(":")
                if line.startswith("data: {"):
                    self._take(self, json.loads(line[6:]))
        return self

    async def whole(self) -> Hearing:
        """Listen to the end, which is a question or the end of the run."""
        return await self.until(lambda heard: heard.is_over)


class ProgramDoor(ABC):
    """One conversation of an agent through one door."""

    name: ClassVar[str]
    answers_questions: ClassVar[bool] = True
    takes_back: ClassVar[bool] = True
    """Whether it can tell that text is void."""
    tells_pieces: ClassVar[bool] = True
    """Whether it tells an answer before that is whole."""

    def __init__(self, client: httpx2.AsyncClient, agent: str, session_id: str) -> None:
        self.client = client
        self.agent = agent
        self.session_id = session_id

    @abstractmethod
    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        """Say something, and hear what comes of it."""

    @abstractmethod
    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        """Hear what comes of a message that was said before, as a client does whose connection broke."""

    def approve(self, question: str, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        """Say yes, and hear what comes of it."""
        raise NotImplementedError(f"{self.name} answers no questions")

    async def read(self) -> list[Told] | None:
        """The conversation as a client reads it that comes later; None where it cannot."""
        return None

    @asynccontextmanager
    async def _hear(self, method: str, path: str, body: Any = None, **headers: str) -> AsyncIterator[Hearing]:
        sent = {"Accept": "text/event-stream", **{name.replace("_", "-"): text for name, text in headers.items()}}
        async with self.client.stream(method, path, json=body, headers=sent) as answer:
            assert answer.status_code == 200, (answer.status_code, await answer.aread())
            yield Hearing(answer.aiter_lines(), self._take)

    @abstractmethod
    def _take(self, heard: Hearing, event: Event) -> None: ...

    async def _json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.client.request(method, path, json=body, headers=headers)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json() if answer.content else None


class NativeDoor(ProgramDoor):
    """`/api/sessions/`: our own events."""

    name = "native"

    @property
    def _path(self) -> str:
        return f"/api/sessions/{self.session_id}"

    @asynccontextmanager
    async def say(self, words: str, message_id: str) -> AsyncIterator[Hearing]:
        after = (await self._json("GET", self._path))["last_seq"]
        await self._json("POST", f"{self._path}/messages", {"content": words}, **{"Idempotency-Key": message_id})
        async with self._hear("GET", f"{self._path}/events?after={after}") as heard:
            yield heard

    @asynccontextmanager
    async def rejoin(self, words: str, message_id: str) -> AsyncIterator[Hearing]:
        accepted = await self._json(
            "POST", f"{self._path}/messages", {"content": words}, **{"Idempotency-Key": message_id}
        )
        assert accepted["duplicate"] is True
        log = await self.log()
        begin = next(one["seq"] for one in log if one["metadata"].get("message_id") == message_id)
        async with self._hear("GET", f"{self._path}/events?after={begin - 1}") as heard:
            yield heard

    @asynccontextmanager
    async def approve(self, question: str, words: str, message_id: str) -> AsyncIterator[Hearing]:
        after = (await self._json("GET", self._path))["last_seq"]
        await self._json("POST", f"{self._path}/confirmations/{question}", {"confirmed": True})
        async with self._hear("GET", f"{self._path}/events?after={after}") as heard:
            yield heard

    async def log(self) -> list[Event]:
        """All that is logged, page by page."""
        found: list[Event] = []
        after: int | None = 0
        while after is not None:
            page = await self._json("GET", f"{self._path}/events?after={after}&limit=7")
            found, after = [*found, *page["events"]], page["next"]
        return found

    async def read(self) -> list[Told]:
        return [told for event in await self.log() if (told := told_by(event)) is not None]

    def _take(self, heard: Hearing, event: Event) -> None:
        match event:
            case {"event": "agent.partial_answer", "step_id": step, "content": words}:
                heard.add(step, words)
            case {"event": "agent.step_reset"}:
                heard.texts.clear()
            case {"event": "agent.user_confirm", "step_id": question}:
                heard.question, heard.is_over = question, True
            case {"event": "agent.final_answer", "content": words}:
                heard.texts, heard.is_over = {"answer": words}, True
            case {"event": "agent.error" | "agent.interrupted", **rest}:
                raise AssertionError(rest)


def told_by(event: Event) -> Told | None:
    """What an event of the log is to somebody who reads the conversation."""
    match event:
        case {"event": "user.message", "content": words}:
            return "user", words
        case {"event": "agent.tool_result", "content": words}:
            return "tool", words
        case {"event": "agent.final_answer", "content": words}:
            return "assistant", words
    return None
