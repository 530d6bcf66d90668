"""What single settings may be: errors that say what to write instead, and the checks that raise them."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from agents.addresses import PublicAddress, is_loopback, is_root_path, parse_network, split_origin
from myagent.i18n import gettext as _

_ALSO_SET_BY = {
    "AGENTS": "MYAGENT_AGENTS",
    "ALLOW_ORIGINS": "--allow-origin",
    "ALLOWED_HOSTS": "ALLOWED_HOSTS",
    "DATA_DIR": "MYAGENT_DATA_DIR",
    "GROUP_ACCESS": "MYAGENT_GROUP_ACCESS",
    "LANGUAGE": "MYAGENT_LANGUAGE",
    "METRICS_TOKEN": "MYAGENT_METRICS_TOKEN",
    "PUBLIC_URL": "MYAGENT_PUBLIC_URL",
    "ROOT_PATH": "--root-path",
    "TRUSTED_PROXIES": "MYAGENT_TRUSTED_PROXIES",
    "WORKER": "MYAGENT_WORKER",
    "WORKERS": "MYAGENT_WORKERS",
    "WORKERS_DIR": "MYAGENT_WORKERS_DIR",
}
"""Where else than in the dict a value may come from: a variable of the environment or an option of the command."""
_MAY_BE_ZERO = frozenset({"worker", "drain_seconds", "max_queued", "delta_interval_ms", "jwt_leeway_seconds"})
MOST_WORKERS = 256
"""More processes than that on one machine are a slip of the keyboard."""
_CURRENCY = re.compile("[A-Z]{3}")
_SECRET = frozenset({"JWT_KEYS", "METRICS_TOKEN"})


class ConfigError(ImproperlyConfigured):
    """A value of the configuration that cannot be used; `key` names it, `hint` says what to write instead."""

    def __init__(self, key: str, problem: str, hint: str) -> None:
        self.key = key
        self.problem = problem
        self.hint = hint
        super().__init__(f"{self.what}\n   {hint}")

    @property
    def what(self) -> str:
        """What is wrong: the setting by its name, and how it may have been set, and the problem."""
        also = f" ({_ALSO_SET_BY[self.key]})" if self.key in _ALSO_SET_BY else ""
        return f"MYAGENT[{self.key!r}]{also} {self.problem}"


class UnknownKey(ConfigError):
    """The dict holds a key that is not a setting."""


class WrongType(ConfigError):
    """The value is of a type that the setting does not take."""


class WrongValue(ConfigError):
    """The value is of the right type and still cannot be used."""


def converted(key: str, value: Any, wanted: Any) -> Any:
    """`value` as the field has it: lists become tuples, text a path; anything else must be of the type already."""
    origin, options = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType or origin is typing.Union:
        if value is None and type(None) in options:
            return None
        return converted(key, value, next(option for option in options if option is not type(None)))
    if origin is Literal:
        if value not in options:
            raise WrongValue(key, _is(value), _("Choose one of: %(known)s") % {"known": ", ".join(map(repr, options))})
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            shown = type(value).__name__ if key in _SECRET else value
            raise WrongType(key, _is(shown), _("Write a list of texts."))
        return tuple(value)
    if origin is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise WrongType(key, _is(value), _("Write a dict of texts."))
        return dict(value)
    if wanted is Path and isinstance(value, str):
        return Path(value)
    accepted = int | float if wanted is float else wanted
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        raise WrongType(key, _is(value), _("Write a value of type %(type)s.") % {"type": wanted.__name__})
    return value


def _is(value: object) -> str:
    return _("is %(value)r.") % {"value": value}


def _holds(value: object) -> str:
    return _("holds %(value)r.") % {"value": value}


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse what cannot be used of the values of all settings, by the names of their fields."""
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            check_number(name, value)
    for origin in values["allow_origins"]:
        check_origin(origin)
    for proxy in values["trusted_proxies"]:
        check_proxy(proxy)
    if values["public_url"] is not None:
        check_public_url(values["public_url"])
    if values["root_path"] is not None:
        check_root_path(values["root_path"])
    if not _CURRENCY.fullmatch(values["currency"]):
        raise WrongValue("CURRENCY", _is(values["currency"]), _("Write the code of a currency, such as USD or CNY."))
    check_sso(values["jwt_keys"], values["jwt_jwks_url"], values["jwt_algorithm"])


def check_number(name: str, value: float) -> None:
    """Refuse a number that is too small, or no number at all."""
    if name == "workers" and value > MOST_WORKERS:
        raise WrongValue(name.upper(), _is(value), _("Write a number up to %(most)d.") % {"most": MOST_WORKERS})
    least = 0 if name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 0.001
    if not least <= value < float("inf"):
        raise WrongValue(name.upper(), _is(value), _("Write a number that is at least %(least)s.") % {"least": least})


def check_origin(origin: str) -> None:
    """Refuse what is no origin of pages."""
    if origin != "null" and (split_origin(origin) is None or origin.endswith("/")):
        hint = _("Write scheme, host and port, such as https://app.example, or null.")
        raise WrongValue("ALLOW_ORIGINS", _holds(origin), hint)


def check_public_url(url: str) -> None:
    """Refuse what is no URL of pages."""
    try:
        PublicAddress.parse(url)
    except ValueError as error:
        hint = _("Write scheme, name and path, such as https://agents.example.com/chat.")
        raise WrongValue("PUBLIC_URL", _is(url), hint) from error


def check_root_path(path: str) -> None:
    """Refuse what is no beginning of a path."""
    if not is_root_path(path):
        hint = _("Write a slash and a name of ASCII letters, digits and hyphens, such as /chat.")
        raise WrongValue("ROOT_PATH", _is(path), hint)


def check_sso(keys: Iterable[str], jwks_url: str | None, algorithm: str) -> None:
    """Refuse keys, or an address of keys, that a single sign-on with this algorithm cannot have."""
    for key in keys:
        _check_jwt_key(key, algorithm)
    if jwks_url is not None:
        _check_jwks_url(jwks_url, algorithm)


def _check_jwt_key(key: str, algorithm: str) -> None:
    """Refuse a key that the algorithm cannot use."""
    # Cryptography takes a tenth of a second to load, and most servers have no single sign-on.
    from agents.sso_keys import key_problem

    if (problem := key_problem(key, algorithm)) is not None:
        hint = _("Write what JWT_ALGORITHM needs, which is %(algorithm)s: a long secret, or a public key as PEM.")
        raise WrongValue("JWT_KEYS", problem, hint % {"algorithm": algorithm})


def _check_jwks_url(url: str, algorithm: str) -> None:
    """Refuse an address whose keys somebody on the way could replace, and a kind of key that is never published."""
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise WrongValue("JWT_JWKS_URL", _is(url), _("Write an address with https://, as the single sign-on names it."))
    if algorithm.startswith("HS"):
        hint = _("Write the one of the public keys there, such as RS256.")
        raise WrongValue("JWT_ALGORITHM", _is(algorithm), hint)


def check_proxy(proxy: str) -> None:
    """Refuse what is neither an address nor a network."""
    try:
        parse_network(proxy)
    except ValueError as error:
        raise WrongValue("TRUSTED_PROXIES", _holds(proxy), _("Write addresses or networks (10.0.0.0/8).")) from error
