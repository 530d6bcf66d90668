"""The table of spans, which tracing records."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from sessions_app.models.run import Run


class Span(models.Model):
    """One call of the model, of a tool or of a hook in a run of a traced agent; open until it ends."""

    class Kind(models.TextChoices):
        REPLY = "reply", _("reply of the model")
        """The model was asked for the next step."""
        SUMMARY = "summary", _("summary by the model")
        """The model was asked to summarise what is too long for it."""
        TOOL = "tool", _("tool call")
        """A tool's code ran."""
        HOOK = "hook", _("hook")
        """A hook ran, or the function of an option; `name` begins with which."""

    class Outcome(models.TextChoices):
        OPEN = "open", _("going on")
        """Not over, or its process died and no other has noticed yet."""
        OK = "ok", _("succeeded")
        """It ended without an error."""
        FAILED = "failed", _("failed")
        """`finish` and `error` say how."""
        INTERRUPTED = "interrupted", _("broken off")
        """Its run or its process was stopped meanwhile; without a duration, the moment is unknown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, models.CASCADE, related_name="spans", db_index=False, verbose_name=_("run"))
    epoch = models.PositiveIntegerField(_("epoch"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    name = models.CharField(_("name"), max_length=200)
    step = models.PositiveIntegerField(_("step"))
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    step_id = models.CharField(_("step id"), max_length=64, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome, default=Outcome.OPEN)
    finish = models.CharField(_("finish"), max_length=64, blank=True)
    error = models.TextField(_("error"), blank=True)
    started_at = models.DateTimeField(pgettext_lazy("moment", "started"))
    duration_ms = models.PositiveBigIntegerField(_("duration (ms)"), null=True, blank=True)
    first_token_ms = models.PositiveBigIntegerField(_("first token (ms)"), null=True, blank=True)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), null=True, blank=True)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), null=True, blank=True)
    cached_input_tokens = models.PositiveBigIntegerField(_("input tokens from the cache"), default=0, db_default=0)
    cache_write_tokens = models.PositiveBigIntegerField(_("input tokens put into the cache"), default=0, db_default=0)
    reasoning_tokens = models.PositiveBigIntegerField(_("output tokens of reasoning"), default=0, db_default=0)
    retries = models.PositiveIntegerField(_("repeated requests"), default=0)

    class Meta:
        verbose_name = _("span")
        verbose_name_plural = _("spans")
        indexes = [
            models.Index(fields=["run", "started_at"], name="span_of_run"),
            models.Index(fields=["-started_at", "-id"], name="span_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
