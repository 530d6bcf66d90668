"""A client of the API for programs: JSON, and the events of a session live (server-sent events)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from myagent.client import ServerFrame
from tests.support.patience import WAIT_SECONDS


@dataclass(frozen=True)
class Told:
    """One server-sent event: the id that it came with, empty for one that is not logged, and the frame."""

    id: str
    frame: ServerFrame


class _Parser:
    """Makes events of lines."""

    def __init__(self) -> None:
        self._id = ""
        self._data: list[str] = []

    def take(self, line: str) -> Told | None:
        if line.startswith("id: "):
            self._id = line[4:]
        elif line.startswith("data: "):
            self._data.append(line[6:])
        elif line == "":
            assert self._data, "httpx-sse makes an event of every blank line behind an id or a retry"
            told = Told(self._id, ServerFrame.parse("\n".join(self._data)))
            self._id, self._data = "", []
            return told
        return None


class Stream:
    """An answer that goes on. `comments` counts what clients ignore."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.comments = 0
        self._lines = response.aiter_lines()

    async def __aiter__(self) -> AsyncIterator[Told]:
        parser = _Parser()
        async for line in self._lines:
            self.comments += line.startswith(":")
            if (told := parser.take(line)) is not None:
                yield told

    async def some(self, size: int) -> list[Told]:
        """What so many bytes hold, fewer where the answer does not go on for as long; the last event may be cut."""
        got = b""
        async with asyncio.timeout(WAIT_SECONDS):
            async for piece in self.response.aiter_raw():
                got += piece
                if len(got) >= size or b'"event":"agent.final_answer"' in got:
                    break
        parser = _Parser()
        whole = got[:size].decode(errors="replace").split("\n")[:-1]
        return [told for told in map(parser.take, whole) if told is not None]

    async def silence(self) -> None:
        """Wait for the next comment, which says that the server is there and has nothing to tell."""
        before = self.comments
        async with asyncio.timeout(WAIT_SECONDS):
            async for line in self._lines:
                self.comments += line.startswith(":")
                if self.comments > before:
                    return
        raise AssertionError("the stream ended")

    async def until(self, matches: Any) -> list[Told]:
        """Everything up to the first event that matches: a name, or a function of its frame."""
        told = []
        async with asyncio.timeout(WAIT_SECONDS):
            async for one in self:
                told.append(one)
                if one.frame.event == matches if isinstance(matches, str) else matches(one.frame):
                    return told
        raise AssertionError(f"the stream ended after {told[-3:]}")


class HttpDoor:
    """Whoever has this token, or none; a context manager."""

    def __init__(self, server: Any, token: str | None = None, **headers: str) -> None:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        self.client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", headers=sent, timeout=WAIT_SECONDS, trust_env=False
        )

    @classmethod
    def of(cls, client: httpx2.AsyncClient) -> Self:
        """Whoever this client speaks for, which somebody else closes."""
        door = cls.__new__(cls)
        door.client = client
        return door

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.client.__aexit__(*error)

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        """Ask an address behind `/api/`, with a body in JSON."""
        return await self.client.request(method, f"/api/{path}", json=body, **options)

    async def told(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """What is answered to a request that is granted."""
        answer = await self.ask(method, path, body, **options)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def create(self, **body: Any) -> str:
        return str((await self.told("POST", "sessions/", body))["session_id"])

    async def say(self, session_id: str, content: Any, key: str | None = None) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.told("POST", f"sessions/{session_id}/messages", {"content": content}, headers=headers)

    async def log(self, session_id: str, after: int = 0, limit: int | None = None) -> list[ServerFrame]:
        """All events after that one, page by page."""
        frames: list[ServerFrame] = []
        while True:
            asked = {"after": after} | ({} if limit is None else {"limit": limit})
            page = await self.told("GET", f"sessions/{session_id}/events", params=asked)
            frames += [ServerFrame.parse(json.dumps(event)) for event in page["events"]]
            if page["next"] is None:
                return frames
            after = page["next"]

    @asynccontextmanager
    async def events(self, session_id: str, after: int | None = None, last: str = "") -> AsyncIterator[Stream]:
        """The events of a session, live: from the beginning, after a number, or after an id."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        path = f"/api/sessions/{session_id}/events" + ("" if after is None else f"?after={after}")
        async with self.client.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield Stream(response)
