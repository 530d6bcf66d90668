"""One run in the UI message stream of the Vercel AI SDK, version 1: frames of the log in, chunks out. Pure.

A run is one message of the assistant, whose id is that of the run.
https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#ui-message-stream-protocol
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Chunk = dict[str, Any]
Frame = dict[str, Any]

_REASONS = {"max_steps": "other", "limit": "other", "length": "length", "refused": "stop"}


class RunChunks:
    """What a client was told of a run so far; the answers that it has `brought`, by their ids, it knows."""

    def __init__(self, run_id: str, *, brought: Collection[str] = ()) -> None:
        self.run_id = run_id
        self.is_over = False
        self.may_ask_more = False
        """Never: the client answers nothing before all other calls have results, so that they are waited for."""
        self._brought = brought
        self._questions: dict[str, str] = {}
        """The open ones, each with its call."""
        self._calls: set[str] = set()
        """Those without a result."""
        self._step = 0
        self._is_in_step = False
        self._said = ""
        """The text of the step."""
        self._has_called = False
        self._open_text = ""
        self._open_reasoning = ""

    def take(self, frame: Frame) -> list[Chunk]:
        """What a client is told of a logged event of this run."""
        teller = _TELLERS.get(frame["event"])
        return teller(self, frame) if teller is not None else []

    def begun(self) -> Chunk:
        """The first chunk of each answer."""
        return {"type": "start", "messageId": self.run_id, "messageMetadata": {"run_id": self.run_id}}

    def interrupted(self) -> list[Chunk]:
        """The end of an answer that open questions are, once no other call is going; nothing else."""
        if not self._questions or not self._calls <= set(self._questions.values()):
            return []
        return [*self._closed(), {"type": "finish", "finishReason": "tool-calls"}]

    # --- what is said ---

    def _thinking(self, frame: Frame) -> list[Chunk]:
        about = frame["metadata"]
        if about.get("reasoning"):
            return self._reasoning(frame["content"])
        if self._is_in_step and self._step == about["step"] and not self._has_called:
            return []  # it was reset, and is begun again by another process
        events = self._closed()
        self._step, self._is_in_step, self._said, self._has_called = about["step"], True, "", False
        return [*events, {"type": "start-step"}]

    def _reasoning(self, delta: str) -> list[Chunk]:
        name, events = f"{self._step}:r", []
        if not self._open_reasoning:
            events = [*self._closed_texts(), {"type": "reasoning-start", "id": name}]
            self._open_reasoning = name
        return [*events, {"type": "reasoning-delta", "id": name, "delta": delta}]

    def _answered_in_part(self, frame: Frame) -> list[Chunk]:
        events = self._text(frame["step_id"], frame["content"])
        return [*events, *self._closed_texts()] if frame["metadata"]["is_final"] else events

    def _text(self, name: str, delta: str) -> list[Chunk]:
        events: list[Chunk] = []
        self._said += delta
        if self._open_text != name:
            events = [*self._closed_texts(), {"type": "text-start", "id": name}]
            self._open_text = name
        return [*events, {"type": "text-delta", "id": name, "delta": delta}] if delta else events

    def _void(self, frame: Frame) -> list[Chunk]:
        # What was open is gone with the rest of the step: to end it would be a mistake.
        self._open_text = self._open_reasoning = self._said = ""
        return [{"type": "reset-step"}] if self._is_in_step else []

    # --- what is done ---

    def _called(self, frame: Frame) -> list[Chunk]:
        self._calls.add(frame["step_id"])
        self._has_called = True
        about = {"toolName": frame["metadata"]["tool"], "input": frame["metadata"]["args"]}
        kind = {"dynamic": True, "providerExecuted": True}
        call = {"type": "tool-input-available", "toolCallId": frame["step_id"], **about, **kind}
        return [*self._closed_texts(), call]

    def _progressed(self, frame: Frame) -> list[Chunk]:
        percent = frame["metadata"].get("percent")
        data = {"toolCallId": frame["step_id"], "text": frame["content"]}
        data |= {} if percent is None else {"percent": percent}
        return [{"type": "data-tool-progress", "id": frame["step_id"], "data": data}]

    def _asked(self, frame: Frame) -> list[Chunk]:
        call = frame["metadata"]["call_step_id"]
        self._questions[frame["step_id"]] = call
        about = {"approvalId": frame["step_id"], "toolCallId": call, "reason": frame["content"]}
        return [*self._closed_texts(), {"type": "tool-approval-request", **about}]

    def _heard(self, frame: Frame) -> list[Chunk]:
        self._questions.pop(frame["step_id"], None)
        if frame["step_id"] in self._brought:
            return []  # version 6 of the SDK has no chunk for it
        given = frame["content"]
        reason = {"reason": given["reason"]} if given.get("reason") else {}
        answer = {"approvalId": frame["step_id"], "approved": given["confirmed"], **reason}
        return [{"type": "tool-approval-response", **answer}]

    def _returned(self, frame: Frame) -> list[Chunk]:
        call, about = frame["step_id"], frame["metadata"]
        self._calls.discard(call)
        self._questions = {key: of for key, of in self._questions.items() if of != call}
        match about["status"]:
            case "success":
                return [{"type": "tool-output-available", "toolCallId": call, "output": _output(frame)}]
            case "declined":
                return [{"type": "tool-output-denied", "toolCallId": call}]
        words = about.get("error") or frame["content"] or about["status"]
        return [{"type": "tool-output-error", "toolCallId": call, "errorText": words}]

    # --- how it ends ---

    def _finished(self, frame: Frame) -> list[Chunk]:
        about = frame["metadata"]
        events = [*self._told_in_full(frame["content"]), *self._closed()]
        facts = {key: about[key] for key in ("usage", "finish", "limit", "output", "duration_ms") if key in about}
        self.is_over = True
        reason = _REASONS.get(about["finish"], "stop")
        return [*events, {"type": "finish", "finishReason": reason, "messageMetadata": facts}]

    def _told_in_full(self, answer: str) -> list[Chunk]:
        """What the client lacks of the answer: it replaces what was shown of the last step."""
        if answer == self._said:
            return []
        rest = answer
        events: list[Chunk] = []
        if not self._has_called and answer.startswith(self._said):
            rest = answer[len(self._said) :]
        elif not self._has_called:
            events = self._void({})
        return [*events, *self._text(self._open_text or f"{self.run_id}:answer", rest)]

    def _cancelled(self, frame: Frame) -> list[Chunk]:
        self.is_over = True
        abort = {"type": "abort", "reason": frame["metadata"]["reason"]}
        return [*self._closed(), abort, {"type": "finish", "finishReason": "interrupted"}]

    def _failed(self, frame: Frame) -> list[Chunk]:
        self.is_over = True
        code = frame["metadata"]["code"]
        failed = {"type": "error", "errorText": frame["content"] or code}
        return [*self._closed(), {"type": "message-metadata", "messageMetadata": {"code": code}}, failed]

    def _closed_texts(self) -> list[Chunk]:
        events = []
        if self._open_text:
            events.append({"type": "text-end", "id": self._open_text})
        if self._open_reasoning:
            events.append({"type": "reasoning-end", "id": self._open_reasoning})
        self._open_text = self._open_reasoning = ""
        return events

    def _closed(self) -> list[Chunk]:
        events: list[Chunk] = self._closed_texts()
        if self._is_in_step:
            events.append({"type": "finish-step"})
            self._is_in_step = False
        return events


def _output(frame: Frame) -> Any:
    """What a tool gave: its text, with pictures beside it if there are any."""
    if not (images := frame["metadata"].get("images")):
        return frame["content"]
    pictures = [f"data:{one['media_type']};base64,{one['data']}" for one in images]
    return {"text": frame["content"], "images": pictures}


_TELLERS = {
    "user.response": RunChunks._heard,
    "agent.thinking": RunChunks._thinking,
    "agent.partial_answer": RunChunks._answered_in_part,
    "agent.step_reset": RunChunks._void,
    "agent.tool_call": RunChunks._called,
    "agent.tool_progress": RunChunks._progressed,
    "agent.user_confirm": RunChunks._asked,
    "agent.tool_result": RunChunks._returned,
    "agent.final_answer": RunChunks._finished,
    "agent.interrupted": RunChunks._cancelled,
    "agent.error": RunChunks._failed,
}
