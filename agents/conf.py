"""The configuration of this server: the only reader of `settings.MYAGENT`.

The keys of the dict are the fields of `Config` in capitals; what is left out has the default. The command's options go
on top, by `configure()`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from agents.addresses import Network, parse_network, split_origin
from myagent.i18n import find_language
from myagent.i18n import gettext as _

KIB = 1024
MIB = 1024 * KIB
_ALSO_SET_BY = {
    "AGENTS": "MYAGENT_AGENTS",
    "ALLOW_ORIGINS": "--allow-origin",
    "ALLOWED_HOSTS": "ALLOWED_HOSTS",
    "DATA_DIR": "MYAGENT_DATA_DIR",
    "LANGUAGE": "MYAGENT_LANGUAGE",
    "TRUSTED_PROXIES": "MYAGENT_TRUSTED_PROXIES",
}
"""Where else than in the dict a value may come from: a variable of the environment or an option of the command."""
_MAY_BE_ZERO = frozenset({"drain_seconds", "max_queued", "delta_interval_ms", "jwt_leeway_seconds"})
_SECRET = frozenset({"JWT_KEYS"})


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


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting with its default. Checked when it is built; raises `ConfigError`."""

    agents: tuple[str, ...] = ()
    """Agent files, folders of them, or dotted names of modules; the first one is the default agent."""
    llm: Literal["openai", "demo"] = "openai"
    """`openai`: each agent's own model, or the endpoint that the environment names; `demo`: the offline one for all."""
    language: Literal["zh-hans", "en"] = "zh-hans"
    """The language of what the server says to people."""
    data_dir: Path = Path(".myagent")
    """The folder of the embedded database, the secret and the locks."""
    embedded_database: bool = True
    """Whether the database is the server's own SQLite file, which the command migrates by itself."""
    debug: bool = False
    """Whether everything is logged, and tracebacks are shown."""

    telemetry: Literal["off", "otlp", "otlp-grpc", "console"] = "off"
    """How the spans of traced agents leave, for where OpenTelemetry's own variables say; needs the extra `otel`."""

    require_auth: bool = False
    """Whether connections from this machine need credentials too."""
    allow_anonymous: bool = False
    """Whether everybody who can reach the server may use it without credentials."""
    allow_origins: tuple[str, ...] = ()
    """Origins of further pages that may connect, such as `https://app.example`; `null` for pages opened from a file."""
    allowed_hosts: tuple[str, ...] = ()
    """The names that the operator said the server has (`ALLOWED_HOSTS`); not empty turns the local rule off."""
    served_hosts: tuple[str, ...] = ()
    """The concrete name or address given as `--host`; accepted as `Host` beside the others."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose forwarding headers count; not empty turns the local rule off."""
    jwt_keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """Secrets or public keys (PEM) of a single sign-on whose tokens let people in; several while one takes over."""
    jwt_algorithm: Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] = (
        "HS256"
    )
    """How these tokens are signed, whatever they say themselves."""
    jwt_issuer: str | None = None
    """Who must have issued them (`iss`); None for anybody with the key."""
    jwt_audience: str | None = None
    """For whom they must be (`aud`); None for tokens that do not say it."""
    jwt_leeway_seconds: float = 10
    """By how many seconds the clocks of the two may differ."""
    jwt_username_claim: str = "sub"
    """Which claim is the name of the user."""
    jwt_create_users: bool = False
    """Whether a user who is not known yet is made."""

    user_tokens_per_day: int | None = None
    """Tokens of the model that one user may use in a day; all anonymous users count as one."""
    group_tokens_per_day: int | None = None
    """Tokens of the model that the members of one group may use in a day, all together."""
    agent_tokens_per_day: int | None = None
    """Tokens of the model that one agent may use in a day, for all users together."""
    user_max_runs: int | None = None
    """Sessions of one user in which an answer may be under way at once."""
    user_messages_per_minute: int | None = None
    """Messages that one user may send in a minute."""

    grants_seconds: float = 2
    """Seconds between two looks at whether open connections are still allowed."""

    drain_seconds: float = 10
    """Seconds that running work is given to finish when the server stops."""
    max_runs: int = 500
    """Runs at once in one process."""
    max_runs_per_agent: int | None = None
    """Runs at once of one agent in one process; None for no limit of its own."""
    max_queued: int = 10
    """Messages that may wait in one session behind the one that is being answered."""
    lease_seconds: float = 15
    """Seconds without a sign of life after which another process takes a run over."""
    delta_interval_ms: float = 40
    """Milliseconds over which pieces of streamed text are joined."""
    max_output_bytes: int = 256 * KIB
    """Bytes of one tool's output that are kept in the log."""

    max_frame_bytes: int = 4 * MIB
    """Bytes of the largest frame that a client may send."""
    inbound_frames: int = 32
    """Unhandled frames of one connection after which it is not read for a while."""
    inbound_bytes: int = 8 * MIB
    """Unhandled bytes of one connection after which it is not read for a while."""
    outbound_frames: int = 256
    """Unsent frames of one connection after which it is sent what comes from the database, when it reads again."""
    outbound_characters: int = 256 * KIB
    """Characters in unsent frames of one connection, likewise."""
    heartbeat_seconds: float = 25
    """Seconds between two heartbeats of a connection."""
    stall_seconds: float = 30
    """Seconds after which a client that does not read is cut off."""
    max_connections: int = 5_000
    """WebSocket connections at once to one process."""
    max_attached: int = 1_000
    """Sessions that one connection may follow at once."""

    compact_seconds: float | None = 3_600
    """Seconds after a final answer at which the pieces in which it was streamed leave the log; None for never."""
    idle_close_days: float | None = None
    """Days without activity after which a session is closed; None for never."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                _check_number(field.name, value)
        for origin in self.allow_origins:
            _check_origin(origin)
        for proxy in self.trusted_proxies:
            _check_proxy(proxy)
        for key in self.jwt_keys:
            _check_jwt_key(key, self.jwt_algorithm)

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(parse_network(proxy) for proxy in self.trusted_proxies)


_TYPES = typing.get_type_hints(Config)


def build(values: Mapping[str, Any]) -> Config:
    """A configuration from a dict such as `settings.MYAGENT`. Raises `ConfigError`."""
    fields: dict[str, Any] = {}
    for key, value in values.items():
        name = key.lower() if key.isupper() else None
        if name not in _TYPES:
            known = ", ".join(field.upper() for field in _TYPES)
            raise UnknownKey(key, _("is not a setting."), _("Known are: %(known)s.") % {"known": known})
        if name == "language" and isinstance(value, str):
            value = find_language(value) or value
        fields[name] = _converted(key, value, _TYPES[name])
    return Config(**fields)


def _converted(key: str, value: Any, wanted: Any) -> Any:
    """`value` as the field has it: lists become tuples, text a path; anything else must be of the type already."""
    origin, options = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType or origin is typing.Union:
        if value is None and type(None) in options:
            return None
        return _converted(key, value, next(option for option in options if option is not type(None)))
    if origin is Literal:
        if value not in options:
            raise WrongValue(key, _is(value), _("Choose one of: %(known)s") % {"known": ", ".join(map(repr, options))})
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            shown = type(value).__name__ if key in _SECRET else value
            raise WrongType(key, _is(shown), _("Write a list of texts."))
        return tuple(value)
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


def _check_number(name: str, value: float) -> None:
    least = 0 if name in _MAY_BE_ZERO else 1 if isinstance(value, int) else 0.001
    if not least <= value < float("inf"):
        raise WrongValue(name.upper(), _is(value), _("Write a number that is at least %(least)s.") % {"least": least})


def _check_origin(origin: str) -> None:
    if origin != "null" and (split_origin(origin) is None or origin.endswith("/")):
        hint = _("Write scheme, host and port, such as https://app.example, or null.")
        raise WrongValue("ALLOW_ORIGINS", _holds(origin), hint)


def _check_jwt_key(key: str, algorithm: str) -> None:
    # Cryptography takes a tenth of a second to load, and most servers have no single sign-on.
    from agents.sso_keys import key_problem

    if (problem := key_problem(key, algorithm)) is not None:
        hint = _("Write what JWT_ALGORITHM needs, which is %(algorithm)s: a long secret, or a public key as PEM.")
        raise WrongValue("JWT_KEYS", problem, hint % {"algorithm": algorithm})


def _check_proxy(proxy: str) -> None:
    try:
        parse_network(proxy)
    except ValueError as error:
        raise WrongValue("TRUSTED_PROXIES", _holds(proxy), _("Write addresses or networks (10.0.0.0/8).")) from error


_config: Config | None = None
_overrides: dict[str, Any] = {}


def get_config() -> Config:
    """The configuration of this process. Raises `ConfigError` when it cannot be used."""
    global _config
    if _config is None:
        _config = build({**getattr(settings, "MYAGENT", {}), **_overrides})
    return _config


def configure(**overrides: Any) -> Config:
    """Put the command's options (names of fields) on top of the settings, for this whole process."""
    global _config
    added = {name.upper(): value for name, value in overrides.items()}
    _config = build({**getattr(settings, "MYAGENT", {}), **_overrides, **added})
    _overrides.update(added)
    return _config


def reset_overrides() -> None:
    """Forget what `configure()` put on top."""
    global _config
    _overrides.clear()
    _config = None


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _config
    if setting == "MYAGENT":
        _config = None


setting_changed.connect(_forget, dispatch_uid="agents.conf")
