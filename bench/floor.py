"""The floor: the loop that one writes by hand when nothing has to be kept.

FastAPI, uvicorn, the openai package as its documentation shows it, histories in a dict. It speaks enough of the
protocol for the same client to drive it: no persistence, no replay, no cancel, no back-pressure of its own.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

SYSTEM_PROMPT = "You are a weather assistant."
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]

app = FastAPI()
model = AsyncOpenAI()
histories: dict[str, list[ChatCompletionMessageParam]] = {}


async def get_weather(city: str) -> str:
    """The tool."""
    return f"Sunny in {city}, 21 degrees."


async def send(
    socket: WebSocket,
    event: str,
    session_id: str | None,
    content: str | None,
    metadata: dict[str, Any],
    step_id: str | None = None,
) -> None:
    """Send one event."""
    frame: dict[str, Any] = {"event": event, "timestamp": datetime.now(UTC).isoformat(), "session_id": session_id}
    if step_id is not None:
        frame["step_id"] = step_id
    frame["content"] = content
    frame["metadata"] = metadata
    await socket.send_json(frame)


async def ask(socket: WebSocket, session_id: str, step: int) -> tuple[str, list[dict[str, Any]]]:
    """Ask the model, show its text as it comes; return the text and the tool calls."""
    stream = await model.chat.completions.create(
        model="bench",
        messages=histories[session_id],
        tools=TOOLS,
        stream=True,
        stream_options={"include_usage": True},
    )
    step_id = uuid4().hex
    parts: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    async for chunk in stream:
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        if delta.content:
            metadata = {"step": step, "index": len(parts), "is_final": False}
            await send(socket, "agent.partial_answer", session_id, delta.content, metadata, step_id)
            parts.append(delta.content)
        for part in delta.tool_calls or ():
            call = calls.setdefault(part.index, {"id": part.id, "name": "", "arguments": ""})
            if part.function:
                call["name"] += part.function.name or ""
                call["arguments"] += part.function.arguments or ""
    return "".join(parts), list(calls.values())


async def call_tool(socket: WebSocket, session_id: str, step: int, call: dict[str, Any]) -> None:
    """Run one tool call and put its result into the history."""
    step_id, arguments = uuid4().hex, json.loads(call["arguments"])
    metadata = {"tool": call["name"], "args": arguments, "status": "running", "step": step, "call_id": call["id"]}
    await send(socket, "agent.tool_call", session_id, f"Calling {call['name']}", metadata, step_id)
    output = await get_weather(**arguments)
    histories[session_id].append({"role": "tool", "tool_call_id": call["id"], "content": output})
    await send(socket, "agent.tool_result", session_id, output, {"tool": call["name"], "status": "success"}, step_id)


async def answer(socket: WebSocket, session_id: str, question: str) -> None:
    """Ask the model and run its tools until it answers."""
    history = histories[session_id]
    history.append({"role": "user", "content": question})
    step = 0
    while True:
        step += 1
        await send(socket, "agent.thinking", session_id, "Thinking...", {"step": step})
        text, calls = await ask(socket, session_id, step)
        if not calls:
            history.append({"role": "assistant", "content": text})
            await send(socket, "agent.final_answer", session_id, text, {"steps": step})
            return
        history.append(
            {
                "role": "assistant",
                "content": text,
                "tool_calls": [
                    {
                        "id": call["id"],
                        "type": "function",
                        "function": {"name": call["name"], "arguments": call["arguments"]},
                    }
                    for call in calls
                ],
            }
        )
        for call in calls:
            await call_tool(socket, session_id, step, call)


@app.websocket("/")
async def converse(socket: WebSocket) -> None:
    """Serve one connection."""
    await socket.accept()
    await send(socket, "system.connected", None, None, {"protocol": "1"})
    try:
        while True:
            frame = await socket.receive_json()
            match frame.get("event"):
                case "user.create_session":
                    session_id = uuid4().hex
                    histories[session_id] = [{"role": "system", "content": SYSTEM_PROMPT}]
                    await send(socket, "agent.session_created", session_id, "Session created", {})
                case "user.message" if frame.get("session_id") in histories:
                    await answer(socket, frame["session_id"], frame["content"])
                case _:
                    await send(socket, "system.error", None, "Unknown event or session", {"code": "unknown_event"})
    except WebSocketDisconnect:
        return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
