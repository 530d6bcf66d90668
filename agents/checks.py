"""System checks of the configuration: what `manage.py check` and every command say before they do anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning

from agents.conf import Config, ConfigError, UnknownKey, WrongType, get_config
from myagent.i18n import gettext as _

_IDS: dict[type[ConfigError], str] = {UnknownKey: "agents.E001", WrongType: "agents.E002"}
_WRONG_VALUE = "agents.E003"


def check_config(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 unknown key, E002 wrong type, E003 value that cannot be used; W001 to W003 for what is rarely meant."""
    try:
        config = get_config()
    except ConfigError as error:
        return [Error(error.what, hint=error.hint, id=_IDS.get(type(error), _WRONG_VALUE))]
    return _doubts(config)


def _doubts(config: Config) -> list[CheckMessage]:
    doubts: list[CheckMessage] = []
    if config.allow_anonymous and config.require_auth:
        doubts.append(
            Warning(
                _("REQUIRE_AUTH has no effect together with ALLOW_ANONYMOUS."),
                hint=_("Leave one of them out."),
                id="agents.W001",
            )
        )
    if config.inbound_bytes < config.max_frame_bytes:
        doubts.append(
            Warning(
                _("INBOUND_BYTES is smaller than MAX_FRAME_BYTES: one large frame stops its connection."),
                hint=_("Let INBOUND_BYTES be at least MAX_FRAME_BYTES."),
                id="agents.W002",
            )
        )
    if config.jwt_keys and config.jwt_audience is None:
        doubts.append(
            Warning(
                _("JWT_KEYS is set and JWT_AUDIENCE is not: tokens count that were made for another application."),
                hint=_("Let the single sign-on name an audience in its tokens, and set it here."),
                id="agents.W003",
            )
        )
    return doubts
