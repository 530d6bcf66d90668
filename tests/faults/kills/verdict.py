"""What must hold of a round, by its log and by what its models were asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

import orjson
from pydantic import TypeAdapter, ValidationError

from myagent.client import ServerFrame
from tests.faults.kills.killed_round import Outcome
from tests.faults.kills.model_verdict import ModelVerdict
from tests.faults.kills.script import FIRST, KEY
from tests.faults.kills.terms import CLOSED, FORBIDDEN, LIMITS, SECRET, Total
from tests.support.log_promises import check_log, text_of

MOST_REJECTED = 3
WITHDRAWN = "withdrawn"


class Verdict:
    """Judges one round; `effects` is how often each call took effect, by its key."""

    def __init__(self, outcome: Outcome, effects: Counter[str]) -> None:
        self._outcome = outcome
        self._options = outcome.drawn.options
        self._effects = effects
        said = [frame for frame in outcome.frames if frame.event == "user.message"]
        self._logged = Counter(frame.metadata["message_id"] for frame in said)
        # A message that was taken back while it queued is in the log, and is read by nobody.
        self._withdrawn = {frame.run_id for frame in outcome.frames if frame.metadata.get("reason") == WITHDRAWN}
        run_of = {frame.metadata["message_id"]: frame.run_id or "" for frame in said}
        self._run_of = {name: run_id for name, run_id in run_of.items() if run_id not in self._withdrawn}
        self._frames: dict[str, list[ServerFrame]] = defaultdict(list)
        for frame in outcome.frames:
            if frame.run_id is not None:
                self._frames[frame.run_id].append(frame)
        self._model = ModelVerdict(outcome, self._run_of)

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        yield from self._outcome.problems
        try:
            check_log(self._outcome.frames)
        except AssertionError as error:
            yield f"the log breaks a promise: {error}"
        yield from self._of_messages()
        yield from self._model.problems()
        for run_id, frames in self._frames.items():
            for words in (*self._of_end(run_id, frames), *self._of_limits(frames), *self._of_turn(run_id, frames)):
                yield f"run {run_id}: {words}"
        yield from self._of_effects()

    def _of_messages(self) -> Iterator[str]:
        """Each is logged once, unless it was taken back; a logged one that was taken back is read by nobody."""
        outcome = self._outcome
        certain = outcome.accepted - outcome.taken_back - outcome.perhaps_taken_back
        wrong = {name for name, count in self._logged.items() if count != 1}
        if wrong or outcome.taken_back & self._run_of.keys() or certain - self._run_of.keys():
            yield f"logged are {dict(self._logged)}, of {certain} and perhaps {outcome.perhaps_taken_back}"

    def _of_end(self, run_id: str, frames: list[ServerFrame]) -> Iterator[str]:
        ends = [frame for frame in frames if frame.ends_run]
        if len(ends) != 1:
            yield f"it has {len(ends)} ends: {ends}"
            return
        (end,) = ends
        forbidden = [name for name, run in self._run_of.items() if run == run_id and self._is_forbidden(name)]
        if forbidden and end.event == "agent.final_answer" and end.metadata["finish"] != "refused":
            yield f"{forbidden} was to be refused: {end}"
        match end.event:
            case "agent.final_answer":
                yield from self._of_answer(run_id, frames, end)
            case "agent.error":
                yield from self._of_error(run_id, end)
            case "agent.interrupted":
                if not self._outcome.cancels and run_id not in self._withdrawn:
                    yield f"nobody cancelled it: {end}"

    def _is_forbidden(self, name: str) -> bool:
        return "hooks" in self._options and FORBIDDEN in self._outcome.drawn.texts.get(name, "")

    def _of_answer(self, run_id: str, frames: list[ServerFrame], end: ServerFrame) -> Iterator[str]:
        if end.metadata["finish"] == "refused":
            return
        replies = self._model.replies(run_id)
        if "output" in self._options:
            try:
                TypeAdapter(Total).validate_json(orjson.dumps(end.output), strict=True)
            except ValidationError as error:
                yield f"its output is {end.output}: {error}"
            given = [asked.model for asked in replies if end.output and asked.value == end.output["total"]]
        else:
            given = [asked.model for asked in replies if asked.text == end.content]
            if "hooks" not in self._options and text_of(frames) != end.content:
                yield f"shown was {text_of(frames)!r}, the answer is {end.content!r}"
        if not given:
            yield f"no reply holds the answer {end.content!r}, {end.output}: {[reply.text for reply in replies]}"
        elif "fallback" in self._options and end.metadata["usage"]["model"] not in given:
            yield f"the answer came from {given}, it names {end.metadata['usage']}"
        if end.metadata["usage"]["llm_calls"] > len(self._model.of_run(run_id)):
            yield f"it counts more calls of the model than there were: {end.metadata['usage']}"

    def _of_error(self, run_id: str, end: ServerFrame) -> Iterator[str]:
        """Each has its reason."""
        rejected = [asked for asked in self._model.replies(run_id) if asked.value is None]
        excused = {
            "llm_auth": any(asked.fault == KEY for asked in self._model.of_run(run_id)),
            "output_invalid": "output" in self._options and len(rejected) >= MOST_REJECTED,
        }
        if not excused.get(end.code or ""):
            yield f"it failed with {end.code}: {end.content}"

    def _of_turn(self, run_id: str, frames: list[ServerFrame]) -> Iterator[str]:
        """A run that has turned to the second model stays with it, whoever takes it over."""
        turned = next((frame for frame in frames if frame.metadata.get("reason") == "fallback"), None)
        if turned is not None:
            since = datetime.fromisoformat(turned.timestamp).timestamp()
            if late := [asked.at for asked in self._model.of_run(run_id) if asked.model == FIRST and asked.at > since]:
                yield f"the first model was asked at {late}, although it had turned to the second one at {since}"

    def _of_limits(self, frames: list[ServerFrame]) -> Iterator[str]:
        """No more calls take effect than a run may make, and nothing is shown that hooks refuse."""
        if "limits" in self._options:
            keys = {frame.metadata["args"]["key"] for frame in frames if frame.event == "agent.tool_call"}
            done = [key for key in keys if self._effects[key]]
            if len(done) > (most := LIMITS["max_tool_calls"]):
                yield f"{len(done)} calls took effect, {most} are allowed"
        if "hooks" in self._options and (shown := [frame for frame in frames if SECRET in str(frame.content)]):
            yield f"what hooks refuse was shown: {shown}"

    def _of_effects(self) -> Iterator[str]:
        """Calls that may not be repeated are not, and closed ones are not run."""
        calls = [frame.metadata for frame in self._outcome.frames if frame.event == "agent.tool_call"]
        keys = Counter((call["tool"], call["args"]["key"]) for call in calls)
        for (tool, key), count in keys.items():
            allowed = count if tool == "once" else count + len(self._outcome.kills)
            allowed = 0 if "hooks" in self._options and CLOSED in key else allowed
            if self._effects[key] > allowed:
                yield f"{tool} {key} took effect {self._effects[key]} times, allowed are {allowed}"
