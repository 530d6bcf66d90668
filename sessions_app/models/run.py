"""The tables of runs, of the tool calls that runs make, and of the confirmations that these ask for."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.models.session import Session


class RunQuerySet(models.QuerySet["Run"]):
    def unfinished(self) -> Self:
        """Queued, running or waiting."""
        return self.filter(status__in=Run.UNFINISHED, finished_at=None)

    def active(self) -> Self:
        """Running or waiting: owned by a process, which may have died."""
        # `finished_at` lets SQLite use the index of unfinished runs, which a list of statuses does not.
        return self.filter(status__in=Run.ACTIVE, finished_at=None)

    def going_of(self, agents: Collection[str]) -> Counter[str]:
        """How many runs of each of these agents are running; those that wait for a person do not count."""
        # Counted in Python: with the agents in the condition, SQLite would first read all of their sessions.
        going = self.filter(status=Run.Status.RUNNING, finished_at=None).values_list("session__agent", flat=True)
        return Counter(agent for agent in going if agent in agents)


class Run(models.Model):
    """All the work for one user message. Owner and epoch say which process may write for it."""

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

    class Limit(models.TextChoices):
        STEPS = "max_steps", _("limit of steps")
        """The model may use tools no more often."""
        TOKENS = "max_tokens", _("limit of model tokens")
        """The input and output of all calls of the model."""
        TOOL_CALLS = "max_tool_calls", _("limit of tool calls")
        """All calls that the model asked for."""
        SECONDS = "max_seconds", _("limit of time")
        """Without what it waited for people."""
        REPEATS = "repeat_limit", _("limit of equal tool calls")
        """The same call with equal arguments in a row."""

    class Finish(models.TextChoices):
        ANSWER = "answer", pgettext_lazy("run", "answered")
        """The model was done."""
        TERMINATE = "terminate", _("ended by a tool")
        """The agent called the tool that ends a run."""
        REFUSED = "refused", _("refused")
        """A hook of the agent ended the run; its words are the answer."""
        MAX_STEPS = "max_steps", _("summed up at the limit of steps")
        LIMIT = "limit", _("summed up at a limit")
        LENGTH = "length", _("cut off")
        """At the length that the model can write."""

    class Rating(models.TextChoices):
        UP = "up", _("good")
        """The user liked the answer."""
        DOWN = "down", _("bad")
        """The user did not."""

    ACTIVE = (Status.RUNNING, Status.WAITING)
    UNFINISHED = (Status.QUEUED, *ACTIVE)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, models.CASCADE, related_name="runs", verbose_name=_("session"))
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.QUEUED)
    owner = models.CharField(_("owner"), max_length=64, blank=True)
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    lease_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    token_id = models.BigIntegerField(null=True, blank=True, editable=False)
    """The access token with which its message was sent; no foreign key, as the token may be deleted before."""
    traceparent = models.CharField(max_length=55, blank=True, default="", db_default="", editable=False)
    """The trace that the request is part of which caused the run (W3C Trace Context)."""
    output_schema = models.JSONField(null=True, blank=True, editable=False)
    """What its answer has to be, where the message said so."""
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    steps = models.PositiveIntegerField(_("steps"), default=0)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    llm_calls = models.PositiveIntegerField(_("model calls"), default=0)
    cached_input_tokens = models.PositiveBigIntegerField(_("input tokens from the cache"), default=0, db_default=0)
    cache_write_tokens = models.PositiveBigIntegerField(_("input tokens put into the cache"), default=0, db_default=0)
    reasoning_tokens = models.PositiveBigIntegerField(_("output tokens of reasoning"), default=0, db_default=0)
    cost_nanos = models.PositiveBigIntegerField(_("cost in billionths"), default=0, db_default=0, editable=False)
    """What `priced_tokens` cost when they were used, in whole billionths: these add up exactly in SQLite, too."""
    priced_tokens = models.PositiveBigIntegerField(_("tokens with a price"), default=0, db_default=0, editable=False)
    currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="", editable=False)
    model = models.CharField(_("model"), max_length=200, blank=True, default="", db_default="", editable=False)
    """The model that its newest step asks, where models have prices: a step may be broken off before it cost anything
    that is stored.
    """
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    error_detail = models.TextField(_("error in detail"), blank=True, default="")
    """What those who run the server may read of the error, where that is more than the event says."""
    steers = models.BooleanField(default=False, db_default=False, editable=False)
    """Its message is read by the run that is active, before the model is asked again; else it is answered after it."""
    finish = models.CharField(
        _("finish"), max_length=16, choices=Finish, blank=True, default="", db_default="", editable=False
    )
    """How it came to its final answer; empty without one, and for runs from before it was kept."""
    limit = models.CharField(
        _("limit"), max_length=32, choices=Limit, blank=True, default="", db_default="", editable=False
    )
    """The limit at which an answer was asked for that sums up; empty where none was reached."""
    queued_at = models.DateTimeField(pgettext_lazy("moment", "queued"))
    started_at = models.DateTimeField(pgettext_lazy("moment", "started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    streamed_until = models.BigIntegerField(_("final answer with its pieces"), null=True, blank=True, editable=False)
    """`seq` of the final answer while its streamed deltas are still in the log, too; None once they are compacted."""
    end_state = models.JSONField(null=True, blank=True, editable=False)
    """The tools' state as the run left it; False where it did not change it, None for runs from before it was kept."""
    rating = models.CharField(_("rating"), max_length=8, choices=Rating, null=True, blank=True)  # noqa: DJ001 - absent
    comment = models.TextField(_("comment"), null=True, blank=True)  # noqa: DJ001 - absent while there is no rating
    rated_at = models.DateTimeField(pgettext_lazy("moment", "rated"), null=True, blank=True)

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
            models.Index(fields=["session", "-queued_at"], name="run_of_session"),
            models.Index(fields=["-rated_at"], condition=Q(rated_at__isnull=False), name="run_rated"),
            models.Index(fields=["finished_at"], condition=Q(streamed_until__isnull=False), name="run_to_compact"),
        ]

    def __str__(self) -> str:
        at = date_format(timezone.localtime(self.queued_at), "Y-m-d H:i:s")
        return f"{at} · {self.get_status_display()}"


class ToolCall(models.Model):
    """A call that the model asked for, from the request to the result. Only `started` without a result is in doubt."""

    class Status(models.TextChoices):
        ASKED = "asked", _("asked")
        """Stored, not started."""
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
    idempotent = models.BooleanField(default=False, db_default=False, editable=False)
    """Its tool may run again, as it was when the model called it."""
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
    """A question to the user that a run waits for, about a call of a tool or, from a hook, about anything."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="confirmations", verbose_name=_("run"))
    tool_call = models.ForeignKey(
        ToolCall, models.CASCADE, null=True, blank=True, related_name="confirmations", verbose_name=_("tool call")
    )
    step_id = models.CharField(_("step id"), max_length=64, primary_key=True)
    question = models.TextField(_("question"))
    by_hook = models.BooleanField(default=False, db_default=False, editable=False)
    """A hook asks: called again after a takeover, it has this answer, and is not asked for it again."""
    asked_at = models.DateTimeField(pgettext_lazy("moment", "asked"))
    expires_at = models.DateTimeField(_("expires"))
    answer = models.JSONField(_("answer"), null=True, blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)
    answered_by = models.CharField(_("answered by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("confirmation")
        verbose_name_plural = _("confirmations")

    def __str__(self) -> str:
        return Truncator(self.question).chars(60)
