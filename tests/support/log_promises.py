"""What must be true of every log of a session, and what its pieces of text come to. Needs no server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from myagent.client import ServerFrame

PARTIAL = "agent.partial_answer"


def text_of(frames: Iterable[ServerFrame]) -> str:
    """The deltas of the last step, joined; a reset makes them void."""
    pieces: list[str] = []
    step = 0
    for frame in frames:
        if frame.event == "agent.step_reset" or frame.metadata.get("step", step) != step:
            pieces, step = [], frame.metadata["step"]
        if frame.event == PARTIAL:
            pieces.append(frame.content)
    return "".join(pieces)


def check_log(frames: Sequence[ServerFrame]) -> None:
    """What the protocol promises of every log that is complete up to its end."""
    seqs = [frame.seq for frame in frames]
    assert seqs == sorted(set(seqs)), seqs
    assert all(frame.event_id == f"{frame.session_id}-{frame.seq}" for frame in frames)
    assert all(frame.timestamp.endswith("Z") for frame in frames)
    over: set[str] = set()
    for frame in frames:
        if frame.run_id is not None:
            assert frame.run_id not in over, f"{frame} came after the end of its run"
            over |= {frame.run_id} if frame.ends_run else set()
        else:
            assert frame.event.startswith(("agent.session_", "user.feedback")), frame
    _check_deltas(frames)
    _check_calls(frames)


def _check_deltas(frames: Sequence[ServerFrame]) -> None:
    steps = defaultdict(list)
    for frame in frames:
        if frame.event == PARTIAL:
            steps[frame.step_id].append(frame)
    for deltas in steps.values():
        assert [frame.metadata["index"] for frame in deltas] == list(range(len(deltas)))
        assert not any(frame.metadata["is_final"] for frame in deltas[:-1])


def _check_calls(frames: Sequence[ServerFrame]) -> None:
    over = {frame.run_id for frame in frames if frame.ends_run}
    calls = [frame.step_id for frame in frames if frame.event == "agent.tool_call"]
    results = [frame.step_id for frame in frames if frame.event == "agent.tool_result"]
    assert len(set(calls)) == len(calls)
    assert len(set(results)) == len(results) and set(results) <= set(calls)
    open_calls = {frame.step_id for frame in frames if frame.event == "agent.tool_call" and frame.run_id in over}
    assert open_calls <= set(results), "a run ended with an open call"
