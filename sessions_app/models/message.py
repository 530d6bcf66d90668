"""The tables of the history as the model reads it: messages, and the summaries that replace the oldest of them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from myagent.messages import Message as LibraryMessage
from myagent.messages import ProviderData
from myagent.messages import ToolCall as LibraryToolCall
from sessions_app.models.run import Run
from sessions_app.models.session import Session


class Message(models.Model):
    """One message as the model reads it. `position` is set when its run starts."""

    class Role(models.TextChoices):
        USER = "user", _("user")
        """Said by the person."""
        ASSISTANT = "assistant", _("assistant")
        """Said by the model, tool calls included."""
        TOOL = "tool", _("tool")
        """The result of a tool call."""

    session = models.ForeignKey(
        Session, models.CASCADE, related_name="messages", db_index=False, verbose_name=_("session")
    )
    run = models.ForeignKey(Run, models.CASCADE, related_name="messages", verbose_name=_("run"))
    position = models.BigIntegerField(_("position"), null=True, blank=True)
    role = models.CharField(_("role"), max_length=16, choices=Role)
    content = models.TextField(_("content"), blank=True)
    parts = models.JSONField(_("content parts"), null=True, blank=True)
    tool_calls = models.JSONField(_("tool calls"), null=True, blank=True)
    tool_call_id = models.CharField(_("tool call id"), max_length=200, blank=True)
    # For the endpoint that gave it alone: nobody said it, so no page shows it and no export has it.
    provider_data = models.JSONField(null=True, blank=True, editable=False)
    client_id = models.CharField(_("client's id"), max_length=200, null=True, blank=True)  # noqa: DJ001 - unique when set
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(
                fields=["session", "client_id"], condition=Q(client_id__isnull=False), name="client_id_once"
            ),
            # Messages without a position do not clash; unconditional, it serves as the index of `session`, too.
            models.UniqueConstraint(fields=["session", "position"], name="position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {Truncator(self.content[:1000]).chars(60)}"

    @classmethod
    def fields_of(cls, message: LibraryMessage) -> dict[str, Any]:
        """The columns that hold `message`."""
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
        return {
            "role": message.role,
            "content": message.text,
            "parts": None if isinstance(message.content, str) else [dict(part) for part in message.content],
            "tool_calls": calls or None,
            "tool_call_id": message.tool_call_id or "",
            "provider_data": message.provider_data.to_json() if message.provider_data is not None else None,
        }

    def to_library(self, *, with_provider_data: bool = False) -> LibraryMessage:
        """This row as the loop reads it."""
        data = self.provider_data if with_provider_data else None
        return LibraryMessage(
            role=self.role,  # type: ignore[arg-type]  # Role has the same words
            content=self.parts if self.parts is not None else self.content,
            tool_calls=tuple(LibraryToolCall(**call) for call in self.tool_calls or ()),
            tool_call_id=self.tool_call_id or None,
            provider_data=ProviderData.from_json(data) if data is not None else None,
        )


class Summary(models.Model):
    """A text that replaces the beginning of a history too long for the model; the messages themselves stay."""

    session = models.ForeignKey(
        Session, models.CASCADE, related_name="summaries", db_index=False, verbose_name=_("session")
    )
    upto_position = models.BigIntegerField(_("last message that is summarised"))
    content = models.TextField(_("content"))
    created_at = models.DateTimeField(_("created"))

    class Meta:
        verbose_name = _("summary")
        verbose_name_plural = _("summaries")
        constraints = [models.UniqueConstraint(fields=["session", "upto_position"], name="summary_once")]

    def __str__(self) -> str:
        return self.content[:60]
