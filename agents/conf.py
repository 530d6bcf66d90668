"""The configuration of this server: the only reader of `settings.MYAGENT`.

The keys of the dict are the fields of `Config` in capitals; what is left out has the default. The command's options go
on top, by `configure()`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.core.signals import setting_changed

from agents.addresses import Network, PublicAddress, parse_network, split_origin
from agents.setting_values import UnknownKey, check_values, converted
from myagent.i18n import find_language
from myagent.i18n import gettext as _

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting with its default. Checked when it is built; raises `ConfigError`."""

    agents: tuple[str, ...] = ()
    """Agent files, folders of them, or dotted names of modules; the first one is the default agent."""
    llm: Literal["openai", "demo"] = "openai"
    """`openai`: each agent's own model, or the endpoint that the environment names; `demo`: the offline one for all."""
    language: Literal["zh-hans", "en"] = "zh-hans"
    """The language of what the server says to people."""
    page_title: str = "MyAgent"
    """What the chat page is called."""
    page_logo: str | None = None
    """The address of the picture beside that name: a path of this server, or `data:`."""
    data_dir: Path = Path(".myagent")
    """The folder of the embedded database, the secret and the locks."""
    group_access: bool = False
    """Whether the UNIX group of the data folder's files may read and write them, too."""
    embedded_database: bool = True
    """Whether the database is the server's own SQLite file, which the command migrates by itself."""
    debug: bool = False
    """Whether everything is logged, and tracebacks are shown."""
    telemetry: Literal["off", "otlp", "otlp-grpc", "console"] = "off"
    """How the spans of traced agents leave, for where OpenTelemetry's own variables say; needs the extra `otel`."""
    telemetry_metrics: Literal["off", "otlp", "otlp-grpc", "console"] = "off"
    """How the metrics of OpenTelemetry leave, likewise."""
    metrics_token: str | None = dataclasses.field(default=None, repr=False)
    """Who shows it may read `/metrics`, beside the user `local` and users who may view agents."""
    worker: int | None = None
    """Which of the processes of a supervisor this is, from 0; set by it."""
    workers_dir: Path | None = None
    """A private folder that the processes of one supervisor share; set by it."""

    require_auth: bool = False
    """Whether connections from this machine need credentials too."""
    allow_anonymous: bool = False
    """Whether everybody who can reach the server may use it without credentials."""
    allow_origins: tuple[str, ...] = ()
    """Origins of further pages that may connect, with credentials of their own; `null` for pages opened from a file."""
    allowed_hosts: tuple[str, ...] = ()
    """The names that the operator said the server has (`ALLOWED_HOSTS`)."""
    public_url: str | None = None
    """The URL of the server's pages as people write it, behind a proxy, such as `https://agents.example.com/chat`."""
    root_path: str | None = None
    """Where the paths of the server begin, such as `/chat`; by default what `public_url` has after the name."""
    served_hosts: tuple[str, ...] = ()
    """The concrete name or address given as `--host`; accepted as `Host` beside the others."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose forwarding headers count; not empty turns the local rule off."""
    jwt_keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """Secrets or public keys (PEM) of a single sign-on whose tokens let people in; several while one takes over."""
    jwt_jwks_url: str | None = None
    """Where the public keys of the single sign-on are fetched (JWKS), beside `jwt_keys`."""
    jwt_algorithm: Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] = (
        "HS256"
    )
    """How these tokens are signed, whatever they say themselves."""
    jwt_issuer: str | None = None
    """Who must have issued them (`iss`); None for anybody with the key."""
    jwt_audience: str | None = None
    """For whom they must be (`aud`); None for tokens that do not say it."""
    jwt_max_age_seconds: float = 86_400
    """Seconds after its issue at which a token ends, whatever it says itself."""
    jwt_leeway_seconds: float = 10
    """By how many seconds the clocks of the two may differ."""
    jwt_username_claim: str = "sub"
    """Which claim is the name of a user that is made."""
    jwt_create_users: bool = False
    """Whether a user is made for an identity that is linked to none yet."""
    jwt_groups: Mapping[str, str] | None = dataclasses.field(default=None, hash=False)
    """Groups as the single sign-on names them, and ours in which their members are put, and no others."""
    jwt_groups_claim: str = "groups"
    """Which claim names them; a dot leads into a claim, as in `realm_access.roles`."""

    user_tokens_per_day: int | None = None
    """Tokens of the model that one user may use in a day; all anonymous users count as one."""
    group_tokens_per_day: int | None = None
    """Tokens of the model that the members of one group may use in a day, all together."""
    agent_tokens_per_day: int | None = None
    """Tokens of the model that one agent may use in a day, for all users together."""
    user_cost_per_day: float | None = None
    """What one user's use of models may cost in a day, as *Model prices* say; all anonymous users count as one."""
    group_cost_per_day: float | None = None
    """The same for the members of one group, all together."""
    currency: str = "USD"
    """The currency of prices, costs and budgets, as ISO 4217 has it."""
    user_max_runs: int | None = None
    """Sessions of one user in which an answer may be under way at once."""
    user_messages_per_minute: int | None = None
    """Messages that one user may send in a minute."""

    limit_local: bool = False
    """Whether the shares below hold for the user `local`, too."""
    user_stored_bytes: int | None = 1 * GIB
    """Bytes of the conversations of one user in the database."""
    user_sessions: int | None = 10_000
    """Sessions that one user may have."""
    user_queued: int | None = 100
    """Messages that may wait in all sessions of one user together."""
    user_requests_per_second: float | None = 100
    """Requests of one user to one process; what was not used of ten seconds may come at once."""
    user_bytes_per_second: int | None = 4 * MIB
    """Bytes of these requests, likewise."""
    address_stored_bytes: int | None = 100 * MIB
    """Bytes of the conversations that anonymous visitors of one address began; of IPv6, of one network of 64 bits."""
    address_sessions: int | None = 1_000
    """Their sessions."""
    address_queued: int | None = 50
    """Messages that may wait in all of their sessions together."""
    address_requests_per_second: float | None = 50
    """Their requests to one process; what was not used of ten seconds may come at once."""
    address_bytes_per_second: int | None = 1 * MIB
    """Bytes of these requests, likewise."""
    anonymous_stored_bytes: int | None = 5 * GIB
    """Bytes of the conversations of all anonymous visitors together."""
    anonymous_sessions: int | None = 50_000
    """Sessions of all anonymous visitors together."""
    anonymous_requests_per_second: float | None = 500
    """Requests of all anonymous visitors together to one process."""
    anonymous_bytes_per_second: int | None = 8 * MIB
    """Bytes of these requests."""
    grants_seconds: float = 2
    """Seconds between two looks at whether open connections are still allowed."""

    workers: int | None = None
    """Processes that serve on one port, under a supervisor; None for one process without."""
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
    mcp_wait_seconds: float = 25
    """Seconds after which a call of an agent over MCP returns that the agent is still working."""
    stall_seconds: float = 30
    """Seconds after which a client that does not read is cut off."""
    memory_percent: float | None = 90
    """How much of the memory that it can have the process takes when it refuses new connections and messages."""
    max_connections: int = 5_000
    """WebSocket connections at once to one process."""
    max_attached: int = 1_000
    """Sessions that one connection may follow at once."""
    max_file_bytes: int = 10 * MIB
    """Bytes of the largest file that a user may attach."""
    max_files: int = 500
    """Files that one session may have."""

    compact_seconds: float | None = 3_600
    """Seconds after a final answer at which the pieces in which it was streamed leave the log; None for never."""
    idle_close_days: float | None = None
    """Days without activity after which a session is closed; None for never."""

    def __post_init__(self) -> None:
        check_values({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @property
    def has_sso(self) -> bool:
        """Whether tokens of a single sign-on let people in."""
        return bool(self.jwt_keys) or self.jwt_jwks_url is not None

    @cached_property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(parse_network(proxy) for proxy in self.trusted_proxies)

    @cached_property
    def public_address(self) -> PublicAddress | None:
        """`public_url`, parsed."""
        return PublicAddress.parse(self.public_url) if self.public_url is not None else None

    @property
    def outer_path(self) -> str:
        """Where the paths of the server begin, as far as the configuration says it."""
        if self.root_path is not None:
            return self.root_path
        return self.public_address.path if self.public_address is not None else ""

    def allows_origin(self, origin: str) -> bool:
        """Whether `origin` is one of `allow_origins`, however it is written."""
        return origin in self.allow_origins or (
            (parts := split_origin(origin)) is not None and parts in map(split_origin, self.allow_origins)
        )


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
        fields[name] = converted(key, value, _TYPES[name])
    return Config(**fields)


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
