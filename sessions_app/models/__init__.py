"""Conversations as they are stored. Only `sessions_app.journal.writer` writes these tables."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from myagent.messages import Message as LibraryMessage
from myagent.messages import ToolCall as LibraryToolCall
from sessions_app.models.span import Span

__all__ = ["Confirmation", "Event", "Message", "Run", "Session", "Span", "Summary", "ToolCall"]


class SessionQuerySet(models.QuerySet["Session"]):
    def of(self, user_id: int | None) -> Self:
        """The sessions that belong to this user; to nobody, for None."""
        return self.filter(user_id=user_id)


class Session(models.Model):
    """One conversation: its history, its state, and how far its event log goes."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        """Messages are accepted."""
        CLOSED = "closed", _("closed")
        """Readable only; `user.close_session` or staff ended it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.CharField(_("agent"), max_length=64, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,  # `session_of_user` begins with it
        related_name="agent_sessions",
        verbose_name=_("user"),
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.OPEN)
    state = models.JSONField(pgettext_lazy("what tools keep", "state"), default=dict, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    last_seq = models.BigIntegerField(_("last event"), default=0)
    last_position = models.BigIntegerField(_("last message"), default=0)
    acked_seq = models.BigIntegerField(_("acknowledged event"), default=0)
    created_at = models.DateTimeField(_("created"))
    active_at = models.DateTimeField(_("last active"))

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        permissions = [
            ("view_any_session", "Can view the sessions of other users"),
            ("export_session", "Can export sessions that may be viewed"),
        ]
        indexes = [models.Index(fields=["user", "-active_at", "-id"], name="session_of_user")]

    def __str__(self) -> str:
        return self.title or str(self.id)


class RunQuerySet(models.QuerySet["Run"]):
    def unfinished(self) -> Self:
        """Queued, running or waiting."""
        return self.filter(status__in=Run.UNFINISHED, finished_at=None)

    def active(self) -> Self:
        """Running or waiting: somebody owns them, or died owning them."""
        # An index for the few that are not over needs the time: SQLite cannot tell it by a list of statuses.
        return self.filter(status__in=Run.ACTIVE, finished_at=None)

    def going_of(self, agents: Collection[str]) -> Counter[str]:
        """How many runs of these agents go on, without those that wait for a person."""
        # Counted here: with the agents in its condition, SQLite would look at all of their sessions first.
        going = self.filter(status=Run.Status.RUNNING, finished_at=None).values_list("session__agent", flat=True)
        return Counter(agent for agent in going if agent in agents)


class Run(models.Model):
    """All the work for one user message. Who writes for it is settled by owner and epoch."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        """Waits for the run before it, or for a place."""
        RUNNING = "running", _("running")
        """Its owner works on it."""
        WAITING = "waiting", _("waiting for a person")
        """Its owner waits for the answer to a confirmation."""
        SUCCEEDED = "succeeded", _("succeeded")
        """Ended with a final answer."""
        FAILED = "failed", _("failed")
        """Ended with an error."""
        CANCELLED = "cancelled", _("cancelled")
        """Ended by the user."""

    ACTIVE = (Status.RUNNING, Status.WAITING)
    UNFINISHED = (Status.QUEUED, *ACTIVE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, models.CASCADE, related_name="runs", verbose_name=_("session"))
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    owner = models.CharField(_("owner"), max_length=64, blank=True)
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    lease_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    steps = models.PositiveIntegerField(_("steps"), default=0)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    llm_calls = models.PositiveIntegerField(_("model calls"), default=0)
    cached_input_tokens = models.PositiveBigIntegerField(_("input tokens from the cache"), default=0, db_default=0)
    cache_write_tokens = models.PositiveBigIntegerField(_("input tokens put into the cache"), default=0, db_default=0)
    reasoning_tokens = models.PositiveBigIntegerField(_("output tokens of reasoning"), default=0, db_default=0)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    queued_at = models.DateTimeField(pgettext_lazy("moment", "queued"))
    started_at = models.DateTimeField(pgettext_lazy("moment", "started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    streamed_until = models.BigIntegerField(_("final answer with its pieces"), null=True, blank=True, editable=False)
    """The number of the final answer for as long as the pieces in which it was streamed are in the log, too."""

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        permissions = [("cancel_any_run", "Can cancel runs that may be viewed")]
        constraints = [
            models.UniqueConstraint(
                fields=["session"], condition=Q(status__in=["running", "waiting"]), name="one_active_run_per_session"
            )
        ]
        indexes = [
            models.Index(fields=["queued_at"], condition=Q(status="queued"), name="run_queue"),
            models.Index(fields=["status"], condition=Q(finished_at__isnull=True), name="run_unfinished"),
            models.Index(fields=["-queued_at", "-id"], name="run_newest"),
            models.Index(fields=["finished_at"], condition=Q(streamed_until__isnull=False), name="run_to_compact"),
        ]

    def __str__(self) -> str:
        return str(self.id)


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
        return f"{self.role}: {self.content[:60]}"

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
        }

    def to_library(self) -> LibraryMessage:
        """This row as the loop reads it."""
        return LibraryMessage(
            role=self.role,  # type: ignore[arg-type]  # Role has the same words
            content=self.parts if self.parts is not None else self.content,
            tool_calls=tuple(LibraryToolCall(**call) for call in self.tool_calls or ()),
            tool_call_id=self.tool_call_id or None,
        )


class Summary(models.Model):
    """What stands for the beginning of a history that is too long for the model; the messages themselves stay."""

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


class ToolCall(models.Model):
    """A call the model asked for, from the request to the result. Only `started` without a result is in doubt."""

    class Status(models.TextChoices):
        ASKED = "asked", _("asked")
        """On record, not begun."""
        CONFIRMING = "confirming", _("waiting for a person")
        """A confirmation is open."""
        STARTED = "started", _("started")
        """Committed before the tool's code runs; after a crash its effect is unknown."""
        DONE = "done", _("done")
        """Has a result."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="tool_calls", db_index=False, verbose_name=_("run"))
    step = models.PositiveIntegerField(_("step"))
    index = models.PositiveIntegerField(_("index"))
    call_id = models.CharField(_("call id"), max_length=200)
    step_id = models.CharField(_("step id"), max_length=64, primary_key=True)
    position = models.BigIntegerField(_("position of the result"))
    tool = models.CharField(_("tool"), max_length=200)
    arguments = models.JSONField(_("arguments asked"), default=dict)
    arguments_run = models.JSONField(_("arguments run"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status)
    outcome = models.CharField(_("outcome"), max_length=16, blank=True)
    result = models.TextField(_("result"), blank=True)
    error = models.TextField(_("error"), blank=True)
    duration_ms = models.PositiveBigIntegerField(_("duration (ms)"), null=True, blank=True)
    asked_at = models.DateTimeField(pgettext_lazy("moment", "asked"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        constraints = [models.UniqueConstraint(fields=["run", "step", "index"], name="tool_call_once")]
        indexes = [models.Index(fields=["-asked_at", "-step_id"], name="tool_call_newest")]

    def __str__(self) -> str:
        return self.tool


class Confirmation(models.Model):
    """A question to the user that a run waits for."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="confirmations", verbose_name=_("run"))
    tool_call = models.ForeignKey(
        ToolCall, models.CASCADE, null=True, blank=True, related_name="confirmations", verbose_name=_("tool call")
    )
    step_id = models.CharField(_("step id"), max_length=64, primary_key=True)
    question = models.TextField(_("question"))
    asked_at = models.DateTimeField(pgettext_lazy("moment", "asked"))
    expires_at = models.DateTimeField(_("expires"))
    answer = models.JSONField(_("answer"), null=True, blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    answered_by = models.CharField(_("answered by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("confirmation")
        verbose_name_plural = _("confirmations")

    def __str__(self) -> str:
        return self.question[:60]


class EventQuerySet(models.QuerySet["Event"]):
    def after(self, session_id: uuid.UUID, seq: int) -> Self:
        """What the log of a session holds behind `seq`, in order."""
        return self.filter(session_id=session_id, seq__gt=seq).order_by("seq")


class Event(models.Model):
    """One logged event; `frame` is the exact text that goes over the wire."""

    session = models.ForeignKey(
        Session, models.CASCADE, related_name="events", db_index=False, verbose_name=_("session")
    )
    seq = models.BigIntegerField(_("seq"))
    name = models.CharField(_("event"), max_length=48)
    step_id = models.CharField(_("step id"), max_length=64, blank=True)
    frame = models.TextField(_("frame"))
    created_at = models.DateTimeField(_("created"))

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [models.UniqueConstraint(fields=["session", "seq"], name="event_seq_once")]

    def __str__(self) -> str:
        return f"{self.seq} {self.name}"
