"""What single variables of the environment become. Each raises `ImproperlyConfigured`, whose words name the variable
and what to write instead.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

from agents.addresses import PublicAddress
from agents.database.data_folder import make_data_folder, make_database_file, read_secret
from agents.database.private_files import NotPrivate
from agents.supervisor.cores import usable_cores
from myagent.i18n import DEFAULT_LANGUAGE, LANGUAGES, use_language
from myagent.i18n import gettext as _

_LOG_FORMATS = {"text": "line", "json": "json"}
"""The formatters in `settings.LOGGING`."""
_DATABASE_EXAMPLE = "postgres://user:password@localhost:5432/myagent"


def language(code: str) -> str:
    """The language of what the server says, and from now on of this process."""
    try:
        return use_language(code or DEFAULT_LANGUAGE)
    except ValueError as error:
        words = _("MYAGENT_LANGUAGE is %(code)r. Choose one of: %(known)s")
        raise ImproperlyConfigured(words % {"code": code, "known": ", ".join(LANGUAGES)}) from error


def data_folder(path: str, group_access: bool = False) -> Path:
    """The data folder, made unless it is there."""
    try:
        return make_data_folder(Path(path), group_access=group_access)
    except OSError as error:
        words = _("The data folder %(folder)s cannot be made: %(error)s\n   Name another one in MYAGENT_DATA_DIR.")
        raise ImproperlyConfigured(words % {"folder": path, "error": error.strerror or error}) from error


def secret(folder: Path, group_access: bool = False) -> str:
    """The secret that is kept in the data folder."""
    try:
        return read_secret(folder, group_access=group_access)
    except NotPrivate as error:
        raise ImproperlyConfigured(str(error)) from error
    except OSError as error:
        words = _(
            "The secret in the data folder %(folder)s cannot be read or made: %(error)s\n"
            "   Give this user the right to write there, or name another folder in MYAGENT_DATA_DIR."
        )
        raise ImproperlyConfigured(words % {"folder": folder, "error": error.strerror or error}) from error


def workers(text: str) -> int | str | None:
    """How many processes serve; None for one without a supervisor. What is no number is refused with the settings."""
    if text == "auto":
        return usable_cores()
    return int(text) if text.isdecimal() else text or None


def database(url: str, file: Path, group_access: bool = False) -> dict[str, Any]:
    """Django's settings of the database at `url`; without one, of the embedded SQLite in `file`."""
    if not url:
        return _sqlite({"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}, group_access)
    engine = environ.Env.DB_SCHEMES.get(url.partition(":")[0], "").rpartition(".")[2]
    with suppress(ValueError):  # a port that is no number
        if engine == "sqlite3":
            return _sqlite(environ.Env.db_url_config(url), group_access)
        if engine == "postgresql":
            return _postgresql(environ.Env.db_url_config(url))
    words = _("DATABASE_URL is no address of a PostgreSQL or SQLite database, such as %(example)s")
    raise ImproperlyConfigured(words % {"example": _DATABASE_EXAMPLE})


def _sqlite(found: dict[str, Any], group_access: bool) -> dict[str, Any]:
    """SQLite that several processes may write: no upgrade of read locks, commits that survive a power cut."""
    _make_private(str(found["NAME"]), group_access)
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            # 16 MiB each: the indexes of many sessions are many pages, and a checkpoint writes each only once.
            "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-16384;"
        ),
        **found.get("OPTIONS", {}),
    }
    return {**found, "OPTIONS": options, "CONN_MAX_AGE": None}


def _make_private(name: str, group_access: bool) -> None:
    """Make the database's file, since SQLite would make one that everybody can read."""
    if name == ":memory:":
        return
    try:
        make_database_file(Path(name), group_access=group_access)
    except NotPrivate as error:
        raise ImproperlyConfigured(str(error)) from error
    except OSError as error:
        words = _("The database %(file)s cannot be made: %(error)s")
        raise ImproperlyConfigured(words % {"file": name, "error": error.strerror or error}) from error


def _postgresql(found: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL through psycopg's pool, since persistent connections leak under ASGI (Django ticket 33497)."""
    if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
        raise ImproperlyConfigured(
            _("PostgreSQL needs its driver. Install it in this environment: %(command)s")
            % {"command": "pip install 'psycopg[binary,pool]'"}
        )
    # Its driver is only looked for above.
    from agents.database.bounded_connection import BoundedConnection

    options = {
        "pool": {
            # While the server is away requests are told so soon, and each of the next ones tries again; by its defaults
            # the pool would let them wait for half a minute and, later on, look for the server every few minutes only.
            **{"min_size": 1, "max_size": 16, "timeout": 3, "reconnect_timeout": 2},
            "connection_class": BoundedConnection,
        },
        "connect_timeout": 3,
        # What finds a machine that is gone; for a server that hangs there is `BoundedConnection`.
        **{"keepalives_idle": 10, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 12_000},
        **found.get("OPTIONS", {}),
    }
    # A socket's folder is a percent-encoded host in libpq's URLs; environ leaves it encoded.
    return {
        **found,
        "HOST": unquote(found["HOST"]),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # a restart of the server leaves broken connections in the pool
    }


def public_url(url: str) -> PublicAddress | None:
    """The parts of the URL under which the server is known outside, or nothing."""
    try:
        return PublicAddress.parse(url) if url else None
    except ValueError as error:
        words = _("MYAGENT_PUBLIC_URL is %(url)r. Write scheme, name and path, such as %(example)s")
        raise ImproperlyConfigured(words % {"url": url, "example": "https://agents.example.com/chat"}) from error


def log_format(name: str) -> str:
    """The formatter of the log."""
    if name not in _LOG_FORMATS:
        words = _("MYAGENT_LOG_FORMAT is %(code)r. Choose one of: %(known)s")
        raise ImproperlyConfigured(words % {"code": name, "known": ", ".join(_LOG_FORMATS)})
    return _LOG_FORMATS[name]


def redis(url: str) -> str:
    """The address of Redis, or nothing."""
    if url and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        words = _("REDIS_URL is no address of a Redis, such as %(example)s")
        raise ImproperlyConfigured(words % {"example": "redis://localhost:6379/0"})
    return url


def time_zone(name: str) -> str:
    """The time zone of the admin."""
    name = name or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown; no name at all; a folder of names
        words = _("TZ is %(name)r, which is no time zone of this system. Write a name such as Asia/Shanghai.")
        raise ImproperlyConfigured(words % {"name": name}) from error
    return name
