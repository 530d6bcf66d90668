"""What a user says to steer a run, on its way to the loop."""

from __future__ import annotations

from myagent.messages import Message
from sessions_app.journal.entries.steering import TakeSteering
from sessions_app.runs.run_writer import RunWriter


class Steering:
    """Asks the database only after somebody has said that there is something: a run that nobody steers costs nothing.

    What is never looked for, because a process was not told in time, is answered after the run.
    """

    def __init__(self, writer: RunWriter, *, may_be_waiting: bool) -> None:
        self._writer = writer
        self._may_be_waiting = may_be_waiting

    def note(self) -> None:
        """There may be a message."""
        self._may_be_waiting = True

    async def take(self) -> list[Message]:
        """The messages that wait, which are the run's own after this."""
        if not self._may_be_waiting:
            return []
        self._may_be_waiting = False
        messages: list[Message] = await self._writer.record(TakeSteering(**self._writer.fields))
        return messages
