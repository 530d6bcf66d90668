from __future__ import annotations

import logging

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import m2m_changed
from django.utils.translation import gettext_lazy as _

from myagent.i18n import use_language

logger = logging.getLogger("myagent.server")


class AgentsConfig(AppConfig):
    """Finds, loads, holds and serves agents."""

    name = "agents"
    label = "agents"
    verbose_name = _("Agents")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Settings are ready only now.
        from agents.access.agent_permissions import keep_limited
        from agents.checks import check_config
        from agents.conf import ConfigError, get_config
        from agents.models import HostedAgent

        register(check_config)
        m2m_changed.connect(keep_limited, sender=HostedAgent.groups.through)
        try:
            use_language(get_config().language)
        except ConfigError:
            logger.debug("The language is unchanged: check_config reports what is wrong.")
