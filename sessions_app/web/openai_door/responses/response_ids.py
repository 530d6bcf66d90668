"""The names that responses and their events have: made of the log, so that every process finds the same ones. Pure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError

EVENTS_OF_ONE = 16
"""Numbers that each logged event has for the events that are made of it."""
QUESTION = "mcpr_"
"""What the id of a question begins with here; its `step_id` follows."""
RUN_ITEMS = ("msg", "rs", "mcp")
"""What the ids of items begin with whose run follows."""
UUID_LENGTH = 36


@dataclass(frozen=True, slots=True)
class ResponseId:
    """The `part`-th part of a run, from 1. A part ends with the run, or with a question."""

    run_id: uuid.UUID
    part: int

    def __str__(self) -> str:
        return f"resp_{self.run_id}_{self.part}"

    @classmethod
    def parse(cls, text: str) -> ResponseId:
        """The id that a text is. Raises `ProtocolError` when no response can have it."""
        kind, _name, rest = text.partition("_")
        run_id, _name, part = rest.rpartition("_")
        try:
            parsed = cls(uuid.UUID(run_id), int(part) if part.isascii() and part.isdigit() and len(part) < 10 else 0)
        except ValueError:
            raise no_such_response() from None
        if kind != "resp" or str(parsed) != text or parsed.part < 1:
            raise no_such_response()
        return parsed

    def of_part(self, part: int) -> ResponseId:
        """Another part of the same run."""
        return ResponseId(self.run_id, part)


def no_such_response() -> ProtocolError:
    """The refusal of an id that no response has which the caller may see."""
    return ProtocolError(ErrorCode.RUN_NOT_FOUND, _("There is no response with this id."))


def number_of(seq: int, place: int) -> int:
    """The number of an event that is made of a logged one."""
    assert 0 <= place < EVENTS_OF_ONE
    return seq * EVENTS_OF_ONE + place


def seq_of(number: int) -> int:
    """The logged event that an event with this number is made of."""
    return number // EVENTS_OF_ONE


def place_of(number: int) -> int:
    """Its place among those that are made of the same one."""
    return number % EVENTS_OF_ONE


def question_id(step_id: str) -> str:
    """The id that a question has here."""
    return f"{QUESTION}{step_id}"


def run_of_item(name: str) -> uuid.UUID | None:
    """The run that an item with this id is of; None where the id does not say so: questions have ids of their own."""
    kind, _name, rest = name.partition("_")
    if kind not in RUN_ITEMS:
        return None
    try:
        return uuid.UUID(rest[:UUID_LENGTH])
    except ValueError:
        return None


def step_of(name: str) -> str:
    """The `step_id` of a question that is named so here."""
    return name.removeprefix(QUESTION)
