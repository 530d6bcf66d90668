"""What holds of the whole log of a session in which every run has ended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from myagent.conformance.frame_rules import Frame
from myagent.conformance.verdict import expect
from myagent.protocol.server_events import TERMINAL_EVENTS

_PARTIAL = "agent.partial_answer"


def check_log(log: Sequence[Frame]) -> None:
    """Raises `Broken`."""
    expect(log[0]["event"] == "agent.session_created" and log[0]["seq"] == 1, "the log does not begin with its session")
    runs: dict[str, list[Frame]] = {}
    for frame in log:
        if run_id := frame["metadata"].get("run_id"):
            runs.setdefault(run_id, []).append(frame)
    going = [run_id for run_id, _ in groupby(_of_runs(log))]
    expect(len(going) == len(set(going)), "the events of two runs are mixed; runs go one after the other")
    for run_id, frames in runs.items():
        _check_run(run_id, frames)


def _of_runs(log: Sequence[Frame]) -> list[str]:
    """The runs of all events but the messages, which may wait behind another run."""
    return [
        frame["metadata"]["run_id"]
        for frame in log
        if "run_id" in frame["metadata"] and frame["event"] != "user.message"
    ]


def _check_run(run_id: str, frames: list[Frame]) -> None:
    expect(frames[0]["event"] == "user.message", f"run {run_id} begins with {frames[0]['event']}, not with its message")
    ends = [frame["event"] for frame in frames if frame["event"] in TERMINAL_EVENTS]
    expect(len(ends) == 1, f"run {run_id} has {len(ends)} ends {ends}; it has exactly one")
    expect(frames[-1]["event"] in TERMINAL_EVENTS, f"{frames[-1]['event']} follows the end of run {run_id}")
    _check_calls(run_id, frames)
    _check_text(run_id, frames)


def _check_calls(run_id: str, frames: list[Frame]) -> None:
    called = [frame["step_id"] for frame in frames if frame["event"] == "agent.tool_call"]
    returned = [frame["step_id"] for frame in frames if frame["event"] == "agent.tool_result"]
    expect(len(set(called)) == len(called), f"two calls of run {run_id} have one step_id")
    expect(sorted(called) == sorted(returned), f"run {run_id} has the calls {called} and the results {returned}")


def _check_text(run_id: str, frames: list[Frame]) -> None:
    """Pieces are numbered from 0 within their step, and those of the last one are the answer."""
    pieces: list[str] = []
    step = 0
    for frame in frames:
        metadata = frame["metadata"]
        if frame["event"] == "agent.step_reset" or metadata.get("step", step) != step:
            pieces, step = [], metadata["step"]
        if frame["event"] == _PARTIAL:
            expect(
                metadata["index"] == len(pieces),
                f"piece {metadata['index']} follows {len(pieces)} pieces in step {step} of run {run_id}",
            )
            pieces.append(frame["content"])
    end = frames[-1]
    is_text = end["metadata"].get("finish") == "answer" and "output" not in end["metadata"]
    if is_text and pieces:
        expect("".join(pieces) == end["content"], f"the pieces of run {run_id} are not its answer")
