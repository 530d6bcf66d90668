"""Every door for programs, spoken to without its clients: say something, answer what is asked, come back, read it all.

Tests that have to hold for each of them go through `DOORS`; a new door is a class here.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

import httpx2

from tests.support.mcp_client import called
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


class AguiDoor(ProgramDoor):
    """`/api/agui/`: AG-UI 1.0."""

    name = "agui"

    @property
    def _path(self) -> str:
        return f"/api/agui/{self.agent}/"

    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._hear("POST", self._path, self._input(words, message_id))

    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._hear("GET", f"{self._path}?threadId={self.session_id}")

    def approve(self, question: str, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        yes = {"interruptId": question, "status": "resolved", "payload": {"approved": True}}
        return self._hear("POST", self._path, self._input(words, message_id) | {"resume": [yes]})

    def _input(self, words: str, message_id: str) -> Any:
        said = [{"id": message_id, "role": "user", "content": words}]
        given = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}
        return {"threadId": self.session_id, "runId": f"run of {message_id}", "messages": said, **given}

    async def read(self) -> list[Told]:
        snapshots: list[Any] = []

        def keep(heard: Hearing, event: Event) -> None:
            snapshots.extend(event["messages"] for _ in range(event["type"] == "MESSAGES_SNAPSHOT"))
            heard.is_over = event["type"] in ("RUN_FINISHED", "RUN_ERROR")

        async with self.rejoin("", "") as heard:
            heard._take = keep
            await heard.whole()
        said = [(message["role"], message.get("content", "")) for message in snapshots[-1]]
        return [(role, words) for role, words in said if words]

    def _take(self, heard: Hearing, event: Event) -> None:
        match event:
            case {"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": words}:
                heard.add(name, words)
            case {"type": "MESSAGES_SNAPSHOT", "messages": messages}:
                spoken = messages[max(at for at, one in enumerate(messages) if one["role"] == "user") :]
                heard.texts = {one["id"]: one["content"] for one in spoken if _is_assistants(one)}
            case {"type": "RUN_FINISHED", "outcome": {"type": "interrupt", "interrupts": [interrupt]}}:
                heard.question, heard.is_over = interrupt["id"], True
            case {"type": "RUN_FINISHED", "outcome": {"type": "success"}}:
                heard.is_over = True
            case {"type": "RUN_FINISHED" | "RUN_ERROR", **rest}:
                raise AssertionError(rest)


def _is_assistants(message: Event) -> bool:
    return message["role"] == "assistant" and bool(message.get("content"))


class ChatDoor(ProgramDoor):
    """`/api/chat/`: the Vercel AI SDK."""

    name = "chat"

    @property
    def _path(self) -> str:
        return f"/api/chat/{self.agent}/"

    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        said = {"id": message_id, "role": "user", "parts": [{"type": "text", "text": words}]}
        return self._hear("POST", self._path, self._input(said))

    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._hear("GET", f"{self._path}{self.session_id}/stream")

    def approve(self, question: str, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        approval = {"id": question, "approved": True}
        part = {"type": "dynamic-tool", "state": "approval-responded", "approval": approval}
        return self._hear("POST", self._path, self._input({"id": "any", "role": "assistant", "parts": [part]}))

    def _input(self, said: Event) -> Any:
        return {"id": self.session_id, "messages": [said], "trigger": "submit-message"}

    async def read(self) -> list[Told]:
        told = await self._json("GET", f"{self._path}{self.session_id}")
        return [said for message in told["messages"] for part in message["parts"] for said in _said(message, part)]

    def _take(self, heard: Hearing, event: Event) -> None:
        match event:
            case {"type": "text-delta", "id": name, "delta": words}:
                heard.add(name, words)
            case {"type": "reset-step"}:
                heard.texts.clear()
            case {"type": "tool-approval-request", "approvalId": question}:
                heard.question = question
            case {"type": "finish"}:
                heard.is_over = True
            case {"type": "error" | "abort", **rest}:
                raise AssertionError(rest)


def _said(message: Event, part: Event) -> list[Told]:
    match part:
        case {"type": "text", "text": words}:
            return [(message["role"], words)]
        case {"type": "dynamic-tool", "output": words}:
            return [("tool", words)]
    return []


class OpenaiDoor(ProgramDoor):
    """`/v1/chat/completions`: its clients answer no questions, and keep what was said themselves."""

    name = "openai"
    answers_questions = takes_back = False

    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._completion(words, message_id)

    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._completion(words, message_id, X_Stainless_Retry_Count="1")

    def _completion(self, words: str, message_id: str, **headers: str) -> AbstractAsyncContextManager[Hearing]:
        body = {"model": self.agent, "messages": [{"role": "user", "content": words}], "stream": True}
        named = {"X_MyAgent_Session": self.session_id, "Idempotency_Key": message_id}
        return self._hear("POST", "/v1/chat/completions", body, **named, **headers)

    def _take(self, heard: Hearing, event: Event) -> None:
        assert "error" not in event, event
        for question in event.get("myagent", {}).get("confirmations", ()):
            heard.question = question["step_id"]
        for choice in event["choices"]:
            heard.add("answer", choice["delta"].get("content") or "")
            heard.is_over = heard.is_over or choice["finish_reason"] is not None


class ResponsesDoor(ProgramDoor):
    """`/v1/responses`: OpenAI's other API."""

    name = "responses"

    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._response(words, message_id)

    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._response(words, message_id)

    def approve(self, question: str, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        yes = {"type": "mcp_approval_response", "approval_request_id": question, "approve": True}
        return self._response([yes], f"yes to {message_id}")

    def _response(self, said: Any, key: str) -> AbstractAsyncContextManager[Hearing]:
        body = {"model": self.agent, "conversation": self.session_id, "input": said, "stream": True}
        return self._hear("POST", "/v1/responses", body, Idempotency_Key=key)

    async def read(self) -> list[Told]:
        page = await self._json("GET", f"/v1/conversations/{self.session_id}/items?order=asc&limit=100")
        assert page["has_more"] is False
        return [told for item in page["data"] for told in _of_item(item)]

    def _take(self, heard: Hearing, event: Event) -> None:
        match event:
            case {"type": "response.output_text.delta", "item_id": name, "delta": words}:
                heard.add(name, words)
            case {"type": "response.completed", "response": {"output": output}}:
                asked = [item["id"] for item in output if item["type"] == "mcp_approval_request"]
                heard.question, heard.is_over = next(iter(asked), None), True
            case {"type": "response.incomplete" | "response.failed" | "error", **rest}:
                raise AssertionError(rest)


def _of_item(item: Event) -> list[Told]:
    match item:
        case {"type": "message", "role": role, "content": [{"text": words}]}:
            return [(role, words)]
        case {"type": "mcp_call", "output": words}:
            return [("tool", words)]
    return []


class McpDoor(ProgramDoor):
    """`/mcp/`: its clients hear how far the agent is, and the answer when it is whole; they read nothing later."""

    name = "mcp"
    tells_pieces = False

    def say(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._call(words)

    def rejoin(self, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        return self._call(words)

    def approve(self, question: str, words: str, message_id: str) -> AbstractAsyncContextManager[Hearing]:
        run_id, _name, step_id = question.partition(" ")
        yes = {step_id: {"action": "accept", "content": {"approved": True}}}
        return self._call(words, inputResponses=yes, requestState=run_id)

    def _call(self, words: str, **more: Any) -> AbstractAsyncContextManager[Hearing]:
        body, headers = called(f"ask_{self.agent}", message=words, session_id=self.session_id)
        body["params"] |= more
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {"form": {}}}
        return self._hear("POST", "/mcp/", body, **headers)

    def _take(self, heard: Hearing, event: Event) -> None:
        match event:
            case {"method": "notifications/progress"}:
                return
            case {"result": {"resultType": "input_required", "inputRequests": asked, "requestState": run_id}}:
                heard.question, heard.is_over = f"{run_id} {next(iter(asked))}", True
            case {"result": {"structuredContent": {"status": "completed", "answer": words}}}:
                heard.texts, heard.is_over = {"answer": words}, True
            case _:
                raise AssertionError(event)


DOORS: tuple[type[ProgramDoor], ...] = (NativeDoor, AguiDoor, ChatDoor, OpenaiDoor, ResponsesDoor, McpDoor)
