"""What a user says, and takes back before it is read."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictStr, model_validator

from myagent.i18n import gettext as _
from myagent.protocol.client_fields import (
    MAX_MESSAGE_ID,
    MessageContent,
    SessionEvent,
    bad_field,
    check_message_id,
    given_message_id,
    is_blank,
    lift,
    message_content,
)

ASKED_WHEN_BUSY = ("queue", "steer", "interrupt")
"""What a message may ask for; the rest, `reject`, is the agent's to say."""


class UserMessage(SessionEvent):
    """The user says something; starts a run. `content` is text or a list of content parts, and may be blank here."""

    content_fields: ClassVar = {"content": "content", "output_schema": "output_schema"}

    event: Literal["user.message"] = "user.message"
    content: MessageContent
    output_schema: dict[str, Any] | None = None
    """The JSON schema of what the answer has to be."""

    @model_validator(mode="before")
    @classmethod
    def _unfold_content(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "content" not in data:
            return data
        given = data["content"]
        schema = (given if isinstance(given, dict) else data).get("output_schema")
        return {**data, "content": message_content(given), "output_schema": schema}

    @property
    def message_id(self) -> str | None:
        return given_message_id(self.metadata)

    @model_validator(mode="after")
    def _short_message_id(self) -> Self:
        check_message_id(self.metadata)
        return self

    @property
    def when_busy(self) -> str | None:
        """What it asks for where it comes during a run."""
        return self.metadata.get("when_busy")

    @model_validator(mode="after")
    def _known_when_busy(self) -> Self:
        if self.when_busy is not None and self.when_busy not in ASKED_WHEN_BUSY:
            raise bad_field(_("metadata.when_busy is one of %(known)s") % {"known": ", ".join(ASKED_WHEN_BUSY)})
        return self

    @property
    def is_blank(self) -> bool:
        return is_blank(self.content)


class UserWithdraw(SessionEvent):
    """Take a message back that nobody has read: one that is queued, or that waits to steer a run."""

    content_may_have: ClassVar = ("message_id",)

    event: Literal["user.withdraw"] = "user.withdraw"
    message_id: Annotated[StrictStr, Field(min_length=1, max_length=MAX_MESSAGE_ID)]

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        return lift(data, *cls.content_may_have)
