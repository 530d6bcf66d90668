"""One run as a client of AG-UI 1.0 sees it: frames of the log in, events out. Pure.

https://docs.ag-ui.com/spec/1.0/ says which events there are and in which order they may come; what is opened here is
closed before the run ends, and no text that a client has is sent to it again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sessions_app.web.agui.agui_messages import (
    answer_id,
    assistant_id,
    interrupt_of,
    place_result,
    reasoning_id,
    result_of,
    tool_call,
    usage_of,
    user_message,
)

Event = dict[str, Any]
Frame = dict[str, Any]

VERSION = "1.0"


class RunTelling:
    """What a client was told of a run so far: the messages that it holds, and what is open.

    A `MESSAGES_SNAPSHOT` made here has the messages of this run alone; whoever sends it adds the rest of the
    conversation.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.messages: list[dict[str, Any]] = []
        self.questions: dict[str, dict[str, Any]] = {}
        """The open ones, as interrupts, by their ids."""
        self.end: Event | None = None
        """The event that ended it."""
        self._step = 0
        self._open_step = ""
        self._open_text = ""
        self._open_reasoning = ""
        self._progress: dict[str, Event] = {}
        self._lacks_message = False
        self._calls: set[str] = set()
        """Those that have no result yet."""

    def take(self, frame: Frame) -> list[Event]:
        """What a client is told of a logged event of this run."""
        told = _TELLERS[frame["event"]](self, frame) if frame["event"] in _TELLERS else []
        at = _milliseconds(frame["timestamp"])
        return [{**event, "timestamp": at} for event in told]

    def joined(self) -> list[Event]:
        """What a client is told that joins now, whatever it has of the run: all of it, and what is open."""
        events = [started(), self._snapshot()]
        self._lacks_message = not self.messages
        if self._open_step:
            events.append({"type": "STEP_STARTED", "stepName": self._open_step})
        events += self._progress.values()
        if self._open_reasoning:
            events += _reasoning_started(self._open_reasoning)
        if self._open_text:
            events.append({"type": "TEXT_MESSAGE_START", "messageId": self._open_text, "role": "assistant"})
        return [*events, *([self.end] if self.end is not None else self.interrupted())]

    def interrupted(self) -> list[Event]:
        """The end of the stream that open questions are; nothing where there are none."""
        if not self.questions:
            return []
        outcome = {"type": "interrupt", "interrupts": list(self.questions.values())}
        return [*self._closed(), {"type": "RUN_FINISHED", "outcome": outcome}]

    @property
    def may_ask_more(self) -> bool:
        """Whether it asks, and there are calls that neither ask nor have a result."""
        asking = {asked["toolCallId"] for asked in self.questions.values()}
        return bool(asking) and not self._calls <= asking

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.end is not None

    # --- what is said ---

    def _user_said(self, frame: Frame) -> list[Event]:
        is_known = not self.messages and not self._lacks_message
        self.messages.append(user_message(frame))
        # Its own message the client has; one that steers comes when it is read, by whomever it was sent.
        return [] if is_known else [*self._closed_texts(), self._snapshot()]

    def _thinking(self, frame: Frame) -> list[Event]:
        self._step = frame["metadata"]["step"]
        if frame["metadata"].get("reasoning"):
            return self._reasoning(frame["content"])
        events = self._closed()
        self._open_step = f"step {self._step}"
        return [*events, {"type": "STEP_STARTED", "stepName": self._open_step}]

    def _reasoning(self, delta: str) -> list[Event]:
        name = reasoning_id(self.run_id, self._step)
        events = []
        if not self._open_reasoning:
            events += [*self._closed_texts(), *_reasoning_started(name)]
            self._open_reasoning = name
        self._message(name, "reasoning")["content"] += delta
        return [*events, {"type": "REASONING_MESSAGE_CONTENT", "messageId": name, "delta": delta}] if delta else events

    def _answered_in_part(self, frame: Frame) -> list[Event]:
        self._step = frame["metadata"]["step"]
        events = self._text(assistant_id(self.run_id, self._step), frame["content"])
        return [*events, *self._closed_texts()] if frame["metadata"]["is_final"] else events

    def _text(self, name: str, delta: str) -> list[Event]:
        events = []
        if self._open_text != name:
            events = [*self._closed_texts(), {"type": "TEXT_MESSAGE_START", "messageId": name, "role": "assistant"}]
            self._open_text = name
        self._message(name, "assistant").setdefault("content", "")
        if delta:
            self._message(name, "assistant")["content"] += delta
            events.append({"type": "TEXT_MESSAGE_CONTENT", "messageId": name, "delta": delta})
        return events

    def _void(self, frame: Frame) -> list[Event]:
        self._step = frame["metadata"]["step"]
        events, was_shown = self._closed_texts(), False
        if (thought := self._find(reasoning_id(self.run_id, self._step))) is not None and thought["content"]:
            # A client keeps the reasoning that a snapshot leaves out.
            thought["content"], was_shown = "", True
        if (said := self._find(assistant_id(self.run_id, self._step))) is not None:
            was_shown = bool(said.pop("content", "")) or was_shown
            if "toolCalls" not in said:
                self.messages.remove(said)
        return [*events, self._snapshot()] if was_shown else events

    # --- what is done ---

    def _called(self, frame: Frame) -> list[Event]:
        self._step = frame["metadata"]["step"]
        call, parent = tool_call(frame), assistant_id(self.run_id, frame["metadata"]["step"])
        self._message(parent, "assistant").setdefault("toolCalls", []).append(call)
        name, function = call["id"], call["function"]
        self._calls.add(name)
        return [
            *self._closed_texts(),
            {
                "type": "TOOL_CALL_START",
                "toolCallId": name,
                "toolCallName": function["name"],
                "parentMessageId": parent,
            },
            {"type": "TOOL_CALL_ARGS", "toolCallId": name, "delta": function["arguments"]},
            {"type": "TOOL_CALL_END", "toolCallId": name},
        ]

    def _progressed(self, frame: Frame) -> list[Event]:
        call, percent = frame["step_id"], frame["metadata"].get("percent")
        content = {"text": frame["content"], "toolCallId": call} | ({} if percent is None else {"percent": percent})
        kind = {"activityType": "myagent.tool_progress", "content": content}
        self._progress[call] = {"type": "ACTIVITY_SNAPSHOT", "messageId": f"{call}:p", **kind}
        return [self._progress[call]]

    def _asked(self, frame: Frame) -> list[Event]:
        self.questions[frame["step_id"]] = interrupt_of(frame)
        return []

    def _heard(self, frame: Frame) -> list[Event]:
        self.questions.pop(frame["step_id"], None)
        return []

    def _returned(self, frame: Frame) -> list[Event]:
        result = result_of(frame)
        call = result["toolCallId"]
        place_result(self.messages, result)
        self._progress.pop(call, None)
        self._calls.discard(call)
        # A question whose time is up has no answer in the log; its call has a result.
        self.questions = {key: asked for key, asked in self.questions.items() if asked["toolCallId"] != call}
        told = {key: result[key] for key in ("toolCallId", "content", "metadata")}
        return [{"type": "TOOL_CALL_RESULT", "messageId": result["id"], "role": "tool", **told}]

    # --- how it ends ---

    def _finished(self, frame: Frame) -> list[Event]:
        about = frame["metadata"]
        events = self._told_in_full(frame["content"])
        facts = {key: about[key] for key in ("finish", "limit", "steps", "duration_ms") if key in about}
        self.end = {
            "type": "RUN_FINISHED",
            "outcome": {"type": "success"},
            "usage": [usage_of(about["usage"])],
            "metadata": facts,
        }
        if "output" in about:
            self.end["result"] = about["output"]
        return [*events, *self._over()]

    def _told_in_full(self, answer: str) -> list[Event]:
        """What the client lacks of the answer: it replaces what was shown of the last step."""
        name = assistant_id(self.run_id, self._step)
        said = self._find(name)
        if said is not None and "toolCalls" in said:
            if said.get("content") == answer:
                return []
            said, name = None, answer_id(self.run_id)
        before = said.get("content", "") if said is not None else ""
        if answer.startswith(before):
            return self._text(name, answer[len(before) :]) if answer != before else []
        assert said is not None
        said["content"] = answer
        return [*self._closed_texts(), self._snapshot()]

    def _cancelled(self, frame: Frame) -> list[Event]:
        self.end = {
            "type": "RUN_FINISHED",
            "outcome": {"type": "cancelled"},
            "metadata": {"reason": frame["metadata"]["reason"]},
        }
        return self._over()

    def _failed(self, frame: Frame) -> list[Event]:
        self.end = {"type": "RUN_ERROR", "message": frame["content"], "code": frame["metadata"]["code"]}
        return self._over()

    def _over(self) -> list[Event]:
        assert self.end is not None
        self.questions.clear()
        return [*self._closed(), self.end]

    # --- what is open ---

    def _closed_texts(self) -> list[Event]:
        events: list[Event] = []
        if name := self._open_text:
            events.append({"type": "TEXT_MESSAGE_END", "messageId": name})
        if name := self._open_reasoning:
            events += [{"type": kind, "messageId": name} for kind in ("REASONING_MESSAGE_END", "REASONING_END")]
        self._open_text = self._open_reasoning = ""
        return events

    def _closed(self) -> list[Event]:
        events = self._closed_texts()
        if self._open_step:
            events.append({"type": "STEP_FINISHED", "stepName": self._open_step})
            self._open_step = ""
        return events

    # --- what the client holds ---

    def _snapshot(self) -> Event:
        return {"type": "MESSAGES_SNAPSHOT", "messages": [dict(message) for message in self.messages]}

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((message for message in reversed(self.messages) if message["id"] == name), None)

    def _message(self, name: str, role: str) -> dict[str, Any]:
        if (found := self._find(name)) is None:
            found = {"id": name, "role": role} | ({"content": ""} if role == "reasoning" else {})
            self.messages.append(found)
        return found


def started() -> Event:
    """What a client is told first."""
    return {"type": "RUN_STARTED", "protocolVersion": VERSION}


def _reasoning_started(name: str) -> list[Event]:
    return [
        {"type": "REASONING_START", "messageId": name},
        {"type": "REASONING_MESSAGE_START", "messageId": name, "role": "reasoning"},
    ]


def _milliseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


_TELLERS = {
    "user.message": RunTelling._user_said,
    "user.response": RunTelling._heard,
    "agent.thinking": RunTelling._thinking,
    "agent.partial_answer": RunTelling._answered_in_part,
    "agent.step_reset": RunTelling._void,
    "agent.tool_call": RunTelling._called,
    "agent.tool_progress": RunTelling._progressed,
    "agent.user_confirm": RunTelling._asked,
    "agent.tool_result": RunTelling._returned,
    "agent.final_answer": RunTelling._finished,
    "agent.interrupted": RunTelling._cancelled,
    "agent.error": RunTelling._failed,
}
