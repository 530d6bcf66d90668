"""A frame as one line of the debug log, with what matters most first."""

from __future__ import annotations

from typing import Any

import orjson

from myagent.text import short_id

_ENVELOPE = ("event", "timestamp", "session_id", "step_id", "content", "metadata", "seq", "event_id")


def frame_line(frame: str | bytes | None) -> str:
    """A frame of client or server: its event, session, number and run, then `content`, `metadata` and the rest.

    A frame that is no event is shown as it came.
    """
    try:
        event = orjson.loads(frame or b"")
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            return _event_line(event)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # no JSON, or nested too deeply to be encoded again
        return repr(frame)
    return repr(frame)


def _event_line(event: dict[str, Any]) -> str:
    rest = {key: value for key, value in event.items() if key not in _ENVELOPE}
    metadata = event.get("metadata")
    run_id = None
    if isinstance(metadata, dict):
        run_id = metadata.get("run_id")
        metadata = {key: value for key, value in metadata.items() if key != "run_id"}
    parts = [_plain(event["event"]), _id("session", event.get("session_id")), _id("run", run_id)]
    if "seq" in event:
        parts.append(f"#{event['seq']}")
    parts += [orjson.dumps(part).decode() for part in (event.get("content"), metadata, rest) if part]
    return " ".join(filter(None, parts))


def _id(name: str, value: object) -> str:
    return f"{name}={_plain(short_id(value))}" if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """`text` without what could forge a line of the log or steer a terminal."""
    return text.encode("unicode_escape").decode()
