"""What a supervisor hands to a worker, from one program to another: open files and the facts that it starts with.

It travels in the environment. A later version of this program may be started by an older one that still runs, so names
are only added, and what is unknown is left alone.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

NUMBER = "MYAGENT_WORKER"
"""The variable that tells a worker its number."""
FOLDER = "MYAGENT_WORKERS_DIR"
"""The variable that names a folder of the workers of one supervisor, which goes with it."""
_HANDED = "MYAGENT_SUPERVISED"


@dataclass(frozen=True, kw_only=True)
class Handover:
    """`sockets` and `channel` are numbers of files: sockets that listen, and the one that leads to the supervisor."""

    number: int
    """Which worker this is, of those that are alive; from 0."""
    family: str
    """What the workers of one supervisor have in common."""
    folder: str
    sockets: Sequence[int]
    channel: int = -1
    is_first: bool = False
    """Whether it speaks for all: it shows the banner and what is wrong with the configuration."""

    is_successor: bool = False
    """Whether it takes over from a worker that serves; then it may not fail to load what that one serves."""
    known_failures: Sequence[str] = field(default_factory=list)
    """The agent files that the one before could not load either."""

    @property
    def files(self) -> list[int]:
        """The files that the worker has to inherit."""
        return [*self.sockets, self.channel]

    def environment(self) -> dict[str, str]:
        """The variables that a worker needs in addition."""
        return {NUMBER: str(self.number), FOLDER: self.folder, _HANDED: json.dumps(asdict(self))}

    @classmethod
    def take(cls) -> Handover | None:
        """What this process was handed, once; None when no supervisor started it.

        It is taken out of the environment and the files are kept from further programs: what a worker starts is no
        worker.
        """
        handed = os.environ.pop(_HANDED, None)
        if handed is None:
            return None
        known = {each.name for each in fields(cls)}
        handover = cls(**{name: value for name, value in json.loads(handed).items() if name in known})
        for number in handover.files:
            os.set_inheritable(number, False)
        return handover

    def listening(self) -> list[socket.socket]:
        """The sockets, as objects that close them."""
        return [socket.socket(fileno=number) for number in self.sockets]
