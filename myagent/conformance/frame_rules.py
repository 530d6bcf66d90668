"""What holds of every frame that a connection receives, whatever it was opened for."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from myagent.conformance.verdict import Broken, expect
from myagent.protocol.frame_schemas import DIRECT, LOGGED, json_schema
from myagent.protocol.server_events import TERMINAL_EVENTS

Frame = dict[str, Any]
_CLASSES = {(kind.model_fields["event"].default, kind in LOGGED): kind.__name__ for kind in (*LOGGED, *DIRECT)}


class FrameRules:
    """The rules, and what they have to remember of one connection: how far it has each session, which runs are over."""

    def __init__(self) -> None:
        self._seqs: dict[str, int] = {}
        self._over: set[str] = set()

    def read_again(self, session_id: str, after: int) -> None:
        """From now on the events behind `after` may come, once more."""
        self._seqs[session_id] = after
        self._over.clear()

    def check(self, received: str | bytes) -> Frame:
        """The frame. Raises `Broken`."""
        expect(isinstance(received, str), "a binary frame came; every frame is text")
        try:
            frame: Frame = json.loads(received)
        except ValueError as error:
            raise Broken(f"a frame is not JSON: {error}") from error
        expect(isinstance(frame, dict), f"a frame is a {type(frame).__name__}, not an object")
        problem = problem_of(frame)
        expect(not problem, f"{frame.get('event')}: {problem}")
        if "seq" in frame:
            self._check_logged(frame)
        return frame

    def _check_logged(self, frame: Frame) -> None:
        event, session_id, seq = frame["event"], frame["session_id"], frame["seq"]
        expect(
            frame["event_id"] == f"{session_id}-{seq}", f"{event} with seq {seq} has the event_id {frame['event_id']}"
        )
        before = self._seqs.get(session_id, 0)
        expect(seq > before, f"{event} with seq {seq} came after seq {before}")
        self._seqs[session_id] = seq
        run_id = frame["metadata"].get("run_id")
        if run_id is not None:
            expect(run_id not in self._over, f"{event} with seq {seq} came after the end of its run")
            if event in TERMINAL_EVENTS:
                self._over.add(run_id)


def problem_of(frame: Frame) -> str:
    """What is wrong with the form of a frame; of an event that this version does not know, nothing but its envelope."""
    name = _CLASSES.get((frame.get("event"), "seq" in frame))
    if name is None and not isinstance(frame.get("event"), str):
        return "the frame names no event"
    if name is None and any(frame["event"] == event for event, _is_logged in _CLASSES):
        return (
            "it has no seq, but is an event of the log"
            if "seq" not in frame
            else "it has a seq, but is no logged event"
        )
    error = best_match(_validator(name).iter_errors(frame)) if name else None
    return f"{error.message} (at {error.json_path})" if error else ""


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": json_schema()["$defs"]})
