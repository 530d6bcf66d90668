"""Every door for programs, spoken to without its clients: say something, answer what is asked, come back, read it all.

Tests that have to hold for each of them go through `DOORS`; a new door is a class here.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.support.mcp_client import called
from tests.support.program_door import Event, Hearing, NativeDoor, ProgramDoor, Told


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
