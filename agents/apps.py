from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _


class AgentsConfig(AppConfig):
    """Finds, loads, holds and serves agents."""

    name = "agents"
    label = "agents"
    verbose_name = _("Agents")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models and settings are ready only now.
        from agents.checks import check_config

        register(check_config)
