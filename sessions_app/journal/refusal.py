"""How an entry is refused."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A precondition of an entry does not hold: this entry is dropped, alone. `code` says why, for programs."""

    def __init__(self, code: str, **data: Any) -> None:
        self.code = code
        self.data = data
        super().__init__(code)


STALE_RUN = "stale_run"
"""The code for an owner of a run that does not own it any more."""
