"""What one client was sent of the sessions, and what must hold of it at every frame. Needs no socket."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from myagent.client import ServerFrame
from tests.faults.log_checker import MODEL_CODES

OWN_EVENTS = ("user.message", "user.response")
"""Not sent live to the connection that caused them."""


class Leave(Exception):
    """A client goes away, to come back soon."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers that were passed over on a connection, which had sent these messages and answers itself."""

    session_id: str
    seqs: range
    own: frozenset[str]


@dataclass(slots=True)
class Attachment:
    """Where one connection stands in one session: the last number it was sent, and how many since it attached."""

    position: int
    received: int = 0
    own: set[str] = field(default_factory=set)
    """The ids of the messages and of the confirmations' steps that this connection sent."""


class View:
    """All that a client saw, over all its connections."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames: dict[str, dict[int, str]] = defaultdict(dict)
        self.ended: dict[str, int] = {}
        self.holes: list[Hole] = []
        self.complete: set[str] = set()
        """The sessions of which everything was sent again from the beginning, at the end."""
        self.problems: list[str] = []
        self.checked = 0
        self._last_of_run: dict[str, int] = {}

    def cursor(self, session_id: str) -> int:
        """The last number that is known of a session, 0 for none."""
        return max(self.frames[session_id], default=0)

    def take(self, attachment: Attachment, frame: ServerFrame, text: str) -> bool:
        """Check one logged frame of a connection and remember it; tells whether it is new."""
        session_id, seq = frame.session_id, frame.seq
        assert session_id is not None and seq is not None
        self.checked += 1
        if frame.event_id != f"{session_id}-{seq}":
            self._problem(frame, f"has the event_id {frame.event_id}")
        if seq <= attachment.position:
            self._problem(frame, f"came twice or too late: {attachment.position} was sent on this connection before")
            return False
        if seq > attachment.position + 1:
            skipped = range(attachment.position + 1, seq)
            self.holes.append(Hole(session_id, skipped, frozenset(attachment.own)))
        attachment.position = seq
        attachment.received += 1
        known = self.frames[session_id].setdefault(seq, text)
        if known != text:
            self._problem(frame, f"was {known} before and is {text} now")
        if known is not text:
            return False
        self._follow_run(frame, seq)
        return True

    def replayed(self, attachment: Attachment, notice: ServerFrame) -> None:
        """Check the notice that ends a replay."""
        count, last_seq = notice.metadata["replayed"], notice.metadata["last_seq"]
        if count != attachment.received:
            self._problem(notice, f"says that {count} events were sent again, {attachment.received} came")
        if last_seq < attachment.position:
            self._problem(notice, f"says that the log ends at {last_seq}, but {attachment.position} was sent")

    def _follow_run(self, frame: ServerFrame, seq: int) -> None:
        run_id = frame.run_id
        if run_id is None:
            return
        end = self.ended.get(run_id)
        if end is not None and seq > end:
            self._problem(frame, f"came after the end of its run at {end}")
        if frame.ends_run:
            if (last := self._last_of_run.get(run_id, 0)) > seq:
                self._problem(frame, f"ends its run, of which {last} was sent before")
            self.ended[run_id] = seq
        self._last_of_run[run_id] = max(seq, self._last_of_run.get(run_id, 0))

    def _problem(self, frame: ServerFrame, words: str) -> None:
        where = f"session {frame.session_id}, seq {frame.seq}, run {frame.run_id}"
        self.problems.append(f"{self.name}: {frame.event} ({where}) {words}")

    # --- at the end ---

    def compare(self, session_id: str, log: dict[int, str]) -> None:
        """Check everything that was seen of a session against its whole `log`."""
        seen = self.frames[session_id]
        for seq, text in seen.items():
            if log.get(seq) != text and not _is_detail_of(text, log.get(seq)):
                self.problems.append(
                    f"{self.name}: session {session_id}, seq {seq}: the log has {log.get(seq)}, seen was {text}"
                )

        if session_id in self.complete and (lost := sorted(log.keys() - seen.keys())):
            self.problems.append(f"{self.name}: session {session_id}: {lost} were not sent again")

    def check_holes(self, logs: dict[str, dict[int, str]]) -> None:
        """Check that nothing was passed over but what the connection had sent itself."""
        for hole in self.holes:
            for seq in hole.seqs:
                text = logs.get(hole.session_id, {}).get(seq)
                if text is not None and not _is_own(ServerFrame.parse(text), hole.own):
                    self.problems.append(
                        f"{self.name}: session {hole.session_id}, seq {seq} was never sent to a connection"
                        f" that was sent {hole.seqs.stop}: {text}"
                    )


def _is_own(frame: ServerFrame, own: frozenset[str]) -> bool:
    names = {"user.message": frame.metadata.get("message_id"), "user.response": frame.step_id}
    return names.get(frame.event) in own


def _is_detail_of(seen: str, stored: str | None) -> bool:
    """Whether these are one error of the model, which the local user sees in the endpoint's own words."""
    frames = [json.loads(text) for text in (seen, stored or "{}")]
    contents = [frame.pop("content", None) for frame in frames]
    return all(contents) and frames[0] == frames[1] and frames[0]["metadata"].get("code") in MODEL_CODES
