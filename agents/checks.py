"""System checks of the configuration: what `manage.py check` and every command say before they do anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.urls import get_resolver

from agents.addresses import is_loopback, parse_address
from agents.conf import Config, get_config
from agents.setting_values import ConfigError, UnknownKey, WrongType
from myagent.i18n import gettext as _

_IDS: dict[type[ConfigError], str] = {UnknownKey: "agents.E001", WrongType: "agents.E002"}
_WRONG_VALUE = "agents.E003"

Doubt = tuple[str, bool, str, str]
"""The number of a warning, whether there is reason for it, what it says and what to do about it."""


def check_config(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E001 unknown key, E002 wrong type, E003 value that cannot be used; W001 to W006 for what is rarely meant."""
    try:
        config = get_config()
    except ConfigError as error:
        return [Error(error.what, hint=error.hint, id=_IDS.get(type(error), _WRONG_VALUE))]
    return _doubts(config)


def _doubts(config: Config) -> list[CheckMessage]:
    doubts = (*_without_effect(config), *_halves(config))
    return [Warning(what, hint=hint, id=f"agents.{number}") for number, is_so, what, hint in doubts if is_so]


def _without_effect(config: Config) -> Iterator[Doubt]:
    yield (
        "W001",
        config.allow_anonymous and config.require_auth,
        _("REQUIRE_AUTH has no effect together with ALLOW_ANONYMOUS."),
        _("Leave one of them out."),
    )
    yield (
        "W002",
        config.inbound_bytes < config.max_frame_bytes,
        _("INBOUND_BYTES is smaller than MAX_FRAME_BYTES: one large frame stops its connection."),
        _("Set INBOUND_BYTES to at least MAX_FRAME_BYTES."),
    )
    yield (
        "W003",
        config.has_sso and config.jwt_audience is None,
        _("JWT_AUDIENCE is not set: tokens that the single sign-on issued for another application are accepted too."),
        _("Let the single sign-on name an audience in its tokens, and set it here."),
    )
    yield (
        "W006",
        config.outer_path.strip("/").partition("/")[0] in _first_segments(),
        _("The path under which the server is to be found begins like one of its own: %(path)s")
        % {"path": config.outer_path},
        _("Choose another one in MYAGENT_PUBLIC_URL or --root-path, such as /chat."),
    )


def _halves(config: Config) -> Iterator[Doubt]:
    """What WebSockets learn from the dict and pages from Django's own settings."""
    has_tls = config.public_address is not None and config.public_address.scheme == "https"
    yield (
        "W004",
        {name.lower() for name in config.allowed_hosts} != _names_of_pages(config),
        _("MYAGENT['ALLOWED_HOSTS'] and Django's ALLOWED_HOSTS differ: some names work for pages or WebSockets only."),
        _("Set the variable ALLOWED_HOSTS, from which both come, or both of them."),
    )
    yield (
        "W005",
        (settings.SECURE_PROXY_SSL_HEADER is not None, settings.USE_X_FORWARDED_HOST)
        != (bool(config.trusted_proxies) or has_tls, bool(config.trusted_proxies)),
        _(
            "WebSockets go by MYAGENT['TRUSTED_PROXIES'], pages also by Django's SECURE_PROXY_SSL_HEADER and "
            "USE_X_FORWARDED_HOST, and only some of them are set."
        ),
        _("Set the variable MYAGENT_TRUSTED_PROXIES, from which all three come, or all three."),
    )


def _first_segments() -> set[str]:
    """How the paths of pages and WebSockets begin."""
    patterns = [str(entry.pattern) for entry in get_resolver().url_patterns]
    return {"ws", settings.STATIC_URL.strip("/"), *(pattern.partition("/")[0] for pattern in patterns)} - {""}


def _names_of_pages(config: Config) -> set[str]:
    """The names that Django answers to, but for those that `access.host_rule` accepts by itself."""
    names = {name.lower() for name in settings.ALLOWED_HOSTS} - {name.lower() for name in config.served_hosts}
    names.discard("testserver")  # Django adds it while tests run
    if config.allowed_hosts:
        return names
    return {name for name in names if not is_loopback(name) and parse_address(name) is None}
