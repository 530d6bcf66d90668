"""Where people reach this server, for links that are made on its command line."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.core.management.base import CommandError
from django.urls import get_script_prefix, reverse

from agents.conf import get_config
from myagent.i18n import gettext as _

DEFAULT_ROOT = "http://localhost:8080/"


def server_root(given: str = "") -> str:
    """The address that was given, else the one that the configuration tells. Raises `CommandError`."""
    root = given or _configured() or DEFAULT_ROOT
    parts = urlsplit(root)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        words = _("%(url)r is no address of a server; write one such as https://agents.example.com/")
        raise CommandError(words % {"url": root})
    return root.rstrip("/") + "/"


def invitation_link(root: str, secret: str) -> str:
    """The link with this secret. In the query, which no log of ours has, nor one of a proxy as we document it."""
    return f"{root}{reverse('invitation').removeprefix(get_script_prefix())}?token={secret}"


def _configured() -> str:
    config = get_config()
    if config.public_url is not None:
        return config.public_url
    names = [name for name in config.allowed_hosts if not name.startswith((".", "*"))]
    return f"https://{names[0]}/" if names else ""
