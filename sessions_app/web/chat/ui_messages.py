"""A conversation as the messages of the Vercel AI SDK (`UIMessage`): chunks in, parts out. Pure."""

from __future__ import annotations

from typing import Any

from sessions_app.web.chat.run_chunks import RunChunks
from sessions_app.web.newest_runs import Message, NewestRuns, newest

Part = dict[str, Any]


class UiMessages:
    """The messages of a session, in the order in which they were said; of a long one the newest."""

    def __init__(self) -> None:
        self._said: list[tuple[str, Message]] = []
        """Each message with its run."""
        self._runs: dict[str, tuple[RunChunks, _Assistant]] = {}
        self._newest = NewestRuns()

    @property
    def messages(self) -> list[Message]:
        """Those that there are so far."""
        said = [[message] for _run_id, message in self._said]
        return newest(said, always=said[-1] if said else None)

    def take(self, frame: dict[str, Any]) -> None:
        """The next event of the log."""
        run_id = frame["metadata"].get("run_id")
        if run_id is None or self._newest.has_forgotten(run_id):
            return
        self._tell(run_id, frame)
        if forgotten := self._newest.take(run_id, frame):
            self._said = [one for one in self._said if one[0] not in forgotten]
            self._runs = {key: run for key, run in self._runs.items() if key not in forgotten}

    def _tell(self, run_id: str, frame: dict[str, Any]) -> None:
        if frame["event"] == "user.message":
            parts = _parts(frame["content"])
            self._said.append((run_id, {"id": frame["metadata"]["message_id"], "role": "user", "parts": parts}))
            return
        if run_id not in self._runs:
            self._runs[run_id] = RunChunks(run_id), _Assistant(run_id)
            self._said.append((run_id, self._runs[run_id][1].message))
        run, assistant = self._runs[run_id]
        for chunk in run.take(frame):
            assistant.take(chunk)


def _parts(content: str | list[Part]) -> list[Part]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part) for part in content]


def _part(part: Part) -> Part:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            kind = url[len("data:") : url.index(";")] if url.startswith("data:") and ";" in url else "image/*"
            return {"type": "file", "mediaType": kind, "url": url}
        case {"type": "file", "file": {"file_id": file_id, **facts}}:
            named = {"filename": facts["name"]} if "name" in facts else {}
            media_type = facts.get("type", "application/octet-stream")
            return {"type": "file", "mediaType": media_type, "url": f"/api/files/{file_id}", **named}
    return {"type": "text", "text": part.get("text", "")}


class _Assistant:
    """One message of the assistant, made of its chunks as the SDK makes it."""

    def __init__(self, run_id: str) -> None:
        self.message: Message = {"id": run_id, "role": "assistant", "metadata": {"run_id": run_id}, "parts": []}
        self._texts: dict[str, Part] = {}
        self._step_at = 0

    @property
    def _all(self) -> list[Part]:
        parts: list[Part] = self.message["parts"]
        return parts

    def take(self, chunk: dict[str, Any]) -> None:
        kind, _, what = chunk["type"].rpartition("-")
        match chunk["type"]:
            case "start-step":
                self._all.append({"type": "step-start"})
                self._step_at = len(self._all)
            case "reset-step":
                del self._all[self._step_at :]
            case "text-start" | "reasoning-start":
                self._texts[chunk["id"]] = {"type": kind, "text": "", "state": "streaming"}
                self._all.append(self._texts[chunk["id"]])
            case "text-delta" | "reasoning-delta":
                self._texts[chunk["id"]]["text"] += chunk["delta"]
            case "text-end" | "reasoning-end":
                self._texts[chunk["id"]]["state"] = "done"
            case "data-tool-progress":
                self._progress(chunk)
            case "finish" | "message-metadata":
                self.message["metadata"] |= chunk.get("messageMetadata", {})
            case _:
                self._tool(chunk)

    def _progress(self, chunk: dict[str, Any]) -> None:
        same = [part for part in self._all if part["type"] == chunk["type"] and part["id"] == chunk["id"]]
        if same:
            same[0]["data"] = chunk["data"]
        else:
            self._all.append({key: chunk[key] for key in ("type", "id", "data")})

    def _tool(self, chunk: dict[str, Any]) -> None:
        match chunk:
            case {"type": "tool-input-available", "toolCallId": call, "toolName": tool, "input": given}:
                kind = {"type": "dynamic-tool", "providerExecuted": True}
                self._all.append(
                    {**kind, "toolName": tool, "toolCallId": call, "state": "input-available", "input": given}
                )
            case {"type": "tool-approval-request", "toolCallId": call, "approvalId": name}:
                self._call(call).update(state="approval-requested", approval={"id": name})
            case {"type": "tool-approval-response", "approvalId": name, "approved": approved, **rest}:
                answer = {"id": name, "approved": approved, **{key: rest[key] for key in ("reason",) if key in rest}}
                asking = (part for part in self._all if part.get("approval", {}).get("id") == name)
                for part in asking:
                    part.update(state="approval-responded", approval=answer)
            case {"type": "tool-output-available", "toolCallId": call, "output": output}:
                self._call(call).update(state="output-available", output=output)
            case {"type": "tool-output-error", "toolCallId": call, "errorText": words}:
                self._call(call).update(state="output-error", errorText=words)
            case {"type": "tool-output-denied", "toolCallId": call}:
                self._call(call).update(state="output-denied")

    def _call(self, name: str) -> Part:
        return next(part for part in reversed(self._all) if part.get("toolCallId") == name)
