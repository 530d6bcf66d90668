"""What a client says of an answer that it has: that another one is wanted, or what its user thinks of it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from myagent.i18n import gettext as _
from myagent.protocol.client_fields import (
    MAX_MESSAGE_ID,
    MessageContent,
    Seq,
    SessionEvent,
    bad_field,
    check_message_id,
    given_message_id,
    message_content,
)


class UserFork(SessionEvent):
    """Continue a conversation in a new session: from before a message, said again or in other words, or from an event.

    `content` takes the place of the message; without it the same is said again. With `at` nothing is said.
    """

    event: Literal["user.fork"] = "user.fork"
    before: Annotated[StrictStr, Field(min_length=1, max_length=MAX_MESSAGE_ID)] | None = None
    at: Seq | None = None
    content: MessageContent | None = None

    @model_validator(mode="before")
    @classmethod
    def _unfold_content(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("content") is None:
            return data
        return {**data, "content": message_content(data["content"])}

    @property
    def message_id(self) -> str | None:
        """The id of the message in the new session: the given one, else that of the message that is said again."""
        return given_message_id(self.metadata) or (self.before if self.content is None else None)

    @model_validator(mode="after")
    def _one_point(self) -> Self:
        check_message_id(self.metadata)
        if (self.before is None) == (self.at is None):
            raise PydanticCustomError("missing", _("either before, the id of a message, or at, a seq, is needed"))
        if self.at is not None and self.content is not None:
            raise bad_field(_("content goes with before only"))
        return self


class UserFeedback(SessionEvent):
    """What the user thinks of the answer of a run that has ended; the newest counts, and null takes it back."""

    content_fields: ClassVar = {"run_id": "run_id", "rating": "rating", "comment": "comment"}

    event: Literal["user.feedback"] = "user.feedback"
    run_id: StrictStr
    rating: Literal["up", "down"] | None
    comment: Annotated[StrictStr, Field(max_length=2_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_content(cls, data: Any) -> Any:
        content = data.get("content") if isinstance(data, dict) else None
        if not isinstance(content, dict):
            return data
        # Not `lift`: a rating of null says something.
        return {**{key: content[key] for key in cls.content_fields if key in content}, **data}
