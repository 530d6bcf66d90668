"""The items of a response, as OpenAI's API has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from sessions_app.web.openai_door.responses.response_ids import question_id

Item = dict[str, Any]
Frame = dict[str, Any]
TEXT, REFUSAL, REASONING = "output_text", "refusal", "reasoning_text"
WORDS = {TEXT: "text", REFUSAL: "refusal", REASONING: "text"}
"""The kinds of parts, and where each has its words."""
SERVER = "myagent"
"""The label of the server that runs the tools."""


@dataclass(slots=True)
class Output:
    """The items of a response, by their `output_index`. One that became void keeps its index and is left out."""

    all: list[Item] = field(default_factory=list)
    void: set[int] = field(default_factory=set)

    def add(self, item: Item) -> int:
        self.all.append(item)
        return len(self.all) - 1

    @property
    def valid(self) -> list[Item]:
        return [dict(item) for index, item in enumerate(self.all) if index not in self.void]


def part_of(kind: str, words: str) -> dict[str, Any]:
    """A part of the content of a message, or of reasoning."""
    part = {"type": kind, WORDS[kind]: words}
    return part | {"annotations": [], "logprobs": []} if kind == TEXT else part


def message(name: str) -> Item:
    """A message that begins."""
    return {"id": name, "type": "message", "role": "assistant", "status": "in_progress", "content": []}


def reasoning(name: str) -> Item:
    """Reasoning that begins."""
    return {"id": name, "type": "reasoning", "status": "in_progress", "summary": [], "content": []}


def call_of(frame: Frame) -> Item:
    """A call of a tool that begins. Never a `function_call`: clients would run these themselves, and ask again."""
    about = frame["metadata"]
    return {
        "id": f"mcp_{frame['step_id']}",
        "type": "mcp_call",
        "server_label": SERVER,
        "name": about["tool"],
        "arguments": orjson.dumps(about["args"]).decode(),
        "status": "in_progress",
        "output": None,
        "error": None,
        "approval_request_id": None,
    }


def begun_call(item: Item, index: int, place: int) -> list[tuple[int, dict[str, Any]]]:
    """What is told of a call that begins, at four places: the item has no arguments before their delta."""
    about = {"item_id": item["id"], "output_index": index}
    return [
        (place, {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}}),
        (place + 1, {"type": "response.mcp_call_arguments.delta", **about, "delta": item["arguments"]}),
        (place + 2, {"type": "response.mcp_call_arguments.done", **about, "arguments": item["arguments"]}),
        (place + 3, {"type": "response.mcp_call.in_progress", **about}),
    ]


def outcome_of(frame: Frame) -> Item:
    """What the result of a call changes of its item."""
    about, content = frame["metadata"], frame["content"]
    if about["status"] == "success":
        return {"status": "completed", "output": content}
    words = about.get("error") or content or about["status"]
    failure = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": words}]}
    return {"status": "failed", "output": content or None, "error": failure, "myagent": {"status": about["status"]}}


def question_of(frame: Frame) -> Item:
    """What a run asks its user."""
    about = frame["metadata"]
    facts = {key: about[key] for key in ("call_step_id", "scope", "timeout_seconds") if key in about}
    return {
        "id": question_id(frame["step_id"]),
        "type": "mcp_approval_request",
        "server_label": SERVER,
        "name": about["tool_name"],
        "arguments": orjson.dumps(about.get("tool_args", {})).decode(),
        "myagent": {"step_id": frame["step_id"], "content": frame["content"], **facts},
    }


def answer_of(frame: Frame) -> Item:
    """An answer to a question, as an item of the input."""
    given = frame["content"]
    item = {
        "id": f"mcpa_{frame['step_id']}",
        "type": "mcp_approval_response",
        "approval_request_id": question_id(frame["step_id"]),
        "approve": given["confirmed"],
    }
    return item | ({"reason": given["reason"]} if given.get("reason") else {})


def said_by_user(frame: Frame) -> Item:
    """The message of a user, as an item of the input."""
    content = frame["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "id": f"msg_{frame['metadata']['run_id']}_{frame['seq']}",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [_input_part(part) for part in parts],
    }


def _input_part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url}}:
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case {"type": "file", "file": {"file_id": file_id, **about}}:
            return {"type": "input_file", "file_id": file_id, "filename": about.get("name")}
    return part
