"""Settings of the MyAgent server. The environment, and `.env` of the current folder, is read here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.utils.translation import gettext_lazy as _
from dotenv import load_dotenv

from agents.data_folder import DATABASE_FILE, make_data_folder, read_secret
from agents.logs import as_warning, without_traceback

load_dotenv(Path.cwd() / ".env")
env = environ.Env()

PROJECT_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = make_data_folder(Path(env.str("MYAGENT_DATA_DIR", default=".myagent")))

SECRET_KEY = env.str("MYAGENT_SECRET_KEY", default="") or read_secret(DATA_DIR)
SECRET_KEY_FALLBACKS: list[str] = env.list("MYAGENT_SECRET_KEY_FALLBACKS", default=[])
DEBUG = False

# Without ALLOWED_HOSTS only this machine's own names are answered, whatever address the server listens on; the command
# adds the name or address given as --host.
LOCAL_HOSTS = ["localhost", ".localhost", "127.0.0.1", "[::1]"]
CONFIGURED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
ALLOWED_HOSTS = [*CONFIGURED_HOSTS] or [*LOCAL_HOSTS]
TRUSTED_PROXIES: list[str] = env.list("MYAGENT_TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "agents",
    "sessions_app",
]

MIDDLEWARE = [
    "agents.middleware.TrustedProxies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "myagent_site.urls"
ASGI_APPLICATION = "myagent_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


# --- database -------------------------------------------------------------------------------------------------------


def _sqlite(database: dict[str, Any]) -> dict[str, Any]:
    """SQLite that several processes may write: no upgrade of read locks, commits that survive a power cut."""
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 5,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            # 16 MiB each: the indexes of many sessions are many pages, and a checkpoint writes each only once.
            "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-16384;"
        ),
        **database.get("OPTIONS", {}),
    }
    return {**database, "OPTIONS": options, "CONN_MAX_AGE": None}


def _postgresql(database: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL through psycopg's pool, since persistent connections leak under ASGI (Django ticket 33497)."""
    options = {
        # While the server is away requests are told so soon, and each of the next ones tries again; by its defaults the
        # pool would let them wait for half a minute and, later on, look for the server every few minutes only.
        "pool": {"min_size": 1, "max_size": 16, "timeout": 3, "reconnect_timeout": 2},
        "connect_timeout": 5,
        **database.get("OPTIONS", {}),
    }
    # A socket's folder is a percent-encoded host in libpq's URLs; environ leaves it encoded.
    return {
        **database,
        "HOST": unquote(database["HOST"]),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # a restart of the server leaves broken connections in the pool
    }


def _database(url: str) -> dict[str, Any]:
    if not url:
        return _sqlite({"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / DATABASE_FILE)})
    database: dict[str, Any] = environ.Env.db_url_config(url)
    if database["ENGINE"].endswith("sqlite3"):
        return _sqlite(database)
    if database["ENGINE"].endswith("postgresql"):
        return _postgresql(database)
    return database


DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Only hints travel through the layer (a log grew); the core layer loses its consumers with redis-py 8
# (django/channels_redis#422), the pub/sub layer does not.
REDIS_URL = env.str("REDIS_URL", default="")
CHANNEL_LAYERS: dict[str, Any] = (
    {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}}
    if REDIS_URL
    else {}
)


# --- language and time ----------------------------------------------------------------------------------------------

LANGUAGE_CODE = env.str("MYAGENT_LANGUAGE", default="") or "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [PROJECT_DIR / "myagent" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TZ", default="") or "UTC"


# --- web ------------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # the admin's style sheets are served from the installed packages, also without DEBUG

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

if TRUSTED_PROXIES:
    # Safe because the TrustedProxies middleware takes these headers from everybody else.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]


# --- log ------------------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "agents.logs.ConsoleFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        },
    },
    "filters": {
        "words_only": {"()": "django.utils.log.CallbackFilter", "callback": without_traceback},
        "as_warning": {"()": "django.utils.log.CallbackFilter", "callback": as_warning},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # Django's own handlers print only with DEBUG on, and mail to nobody.
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.security.DisallowedHost": {"filters": ["words_only"]},
        # Redis only hints: while it is away the polls find out, and each second of it is no error with a traceback.
        "channels_redis.pubsub": {"filters": ["as_warning"]},
        "myagent": {"level": "INFO"},
        "agents": {"level": "INFO"},
        "sessions_app": {"level": "INFO"},
    },
}


# --- OpenTelemetry, whose package reads the rest of its many variables itself -----------------------------------------


def _telemetry() -> str:
    """How spans leave, by OpenTelemetry's own variables."""
    exporter = env.str("OTEL_TRACES_EXPORTER", default="").strip()
    names = ("OTEL_EXPORTER_OTLP_TRACES_{}", "OTEL_EXPORTER_OTLP_{}")
    endpoint, protocol = (
        next(filter(None, (env.str(name.format(what), default="") for name in names)), "")
        for what in ("ENDPOINT", "PROTOCOL")
    )
    if exporter == "console":
        return "console"
    if exporter == "otlp" or (endpoint and not exporter):
        return "otlp-grpc" if protocol == "grpc" else "otlp"
    return "off"


# --- MyAgent: every key is a field of agents.conf.Config, in capitals -------------------------------------------------

MYAGENT: dict[str, Any] = {
    "AGENTS": env.list("MYAGENT_AGENTS", default=[]),
    "ALLOWED_HOSTS": CONFIGURED_HOSTS,
    "DATA_DIR": DATA_DIR,
    "EMBEDDED_DATABASE": not DATABASE_URL,
    "LANGUAGE": LANGUAGE_CODE,
    "TELEMETRY": _telemetry(),
    "TRUSTED_PROXIES": TRUSTED_PROXIES,
}
