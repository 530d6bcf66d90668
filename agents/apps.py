from __future__ import annotations

import logging

from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import m2m_changed, post_save
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
        from django.contrib.auth import get_user_model

        from agents.access.agent_permissions import keep_limited
        from agents.access.browser_logins import withdraw_links
        from agents.checks import check_config
        from agents.conf import get_config
        from agents.models import HostedAgent
        from agents.setting_values import ConfigError

        register(check_config)
        m2m_changed.connect(keep_limited, sender=HostedAgent.groups.through)
        post_save.connect(withdraw_links, sender=get_user_model())
        try:
            use_language(get_config().language)
        except ConfigError:
            logger.debug("The language is unchanged: check_config reports what is wrong.")
