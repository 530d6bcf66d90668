"""The table of the agents that are served."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class HostedAgentQuerySet(models.QuerySet["HostedAgent"]):
    def disabled(self) -> HostedAgentQuerySet:
        """Agents that an operator switched off."""
        return self.filter(enabled=False)

    def request_reload(self) -> int:
        """Ask all servers to reload these agents, which they do within `grants_seconds`; returns how many."""
        return self.update(reload_requested_at=timezone.now())


class HostedAgent(models.Model):
    """An agent that a server loaded, and what an operator decided about it."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    description = models.TextField(_("description"), blank=True)
    source = models.CharField(_("source"), max_length=1000, blank=True, help_text=_("File or module it came from."))
    tools = models.JSONField(_("tools"), default=list, blank=True)
    dynamic_tools = models.BooleanField(_("tools chosen by each run"), default=False, db_default=False, editable=False)
    model = models.CharField(_("model"), max_length=200, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("Off: nobody can use it any more."))
    groups = models.ManyToManyField(
        Group, verbose_name=_("groups"), blank=True, help_text=_("Whose members may use it; none means everybody.")
    )
    # Kept by `agents.access.agent_permissions`: stays when a group is deleted, and the row in `groups` with it.
    limited = models.BooleanField(_("limited to groups"), default=False, editable=False)
    max_runs = models.PositiveIntegerField(
        _("runs at once"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("In all servers together; more wait. One that waits for a person takes no place."),
    )
    max_steps = models.PositiveIntegerField(
        _("steps"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("How often a run may use tools, where that is less than its author allows."),
    )
    max_tokens = models.PositiveBigIntegerField(
        _("model tokens per run"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Input and output of all calls of the model, where that is less than its author allows."),
    )
    max_tool_calls = models.PositiveIntegerField(
        _("tool calls per run"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Where that is less than its author allows."),
    )
    max_seconds = models.PositiveIntegerField(
        _("seconds per run"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Where that is less than its author allows. While it waits for a person, the clock stands still."),
    )
    tokens_per_day = models.PositiveBigIntegerField(_("model tokens per day"), null=True, blank=True)
    loaded_at = models.DateTimeField(_("loaded"), null=True, blank=True)
    failed_at = models.DateTimeField(pgettext_lazy("moment", "failed"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    blocking = models.JSONField(
        _("tools that block"),
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Found since it was loaded, with file and line."),
    )
    is_default = models.BooleanField(
        _("default"),
        default=False,
        editable=False,
        help_text=_("Whether it was the first one that its server was given."),
    )
    reload_requested_at = models.DateTimeField(
        pgettext_lazy("moment", "reload requested"), null=True, blank=True, editable=False
    )

    objects = HostedAgentQuerySet.as_manager()

    class State(models.TextChoices):
        ON = "on", _("on")
        """It can be used."""
        OFF = "off", _("off")
        """An operator switched it off."""
        FAILED = "failed", _("failed")
        """The last attempt to load it failed."""

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        ordering = ("name",)
        permissions = [("use_agent", "Can use agents that are limited to groups")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> State:
        """Whether it can be used, as far as the database knows."""
        if not self.enabled:
            return self.State.OFF
        return self.State.FAILED if self.error else self.State.ON
