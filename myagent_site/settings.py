"""Settings of the MyAgent server. The environment, and `.env` of the current folder, is read here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.utils.translation import gettext_lazy as _
from dotenv import load_dotenv

from agents.database.data_folder import DATABASE_FILE
from agents.log_format import as_warning, outage_as_warning, refusal_of_api, without_traceback
from myagent_site import environment

# A supervisor starts its workers with these, so that each of them reads the file as it is then.
INHERITED_VARIABLES = frozenset(os.environ)
load_dotenv(Path.cwd() / ".env")
env = environ.Env()

# First, so that whatever is wrong with the rest is told in this language.
LANGUAGE_CODE = environment.language(env.str("MYAGENT_LANGUAGE", default=""))

PROJECT_DIR = Path(__file__).resolve().parent.parent
GROUP_ACCESS = env.bool("MYAGENT_GROUP_ACCESS", default=False)
DATA_DIR = environment.data_folder(env.str("MYAGENT_DATA_DIR", default=".myagent"), GROUP_ACCESS)

SECRET_KEY = env.str("MYAGENT_SECRET_KEY", default="") or environment.secret(DATA_DIR, GROUP_ACCESS)
SECRET_KEY_FALLBACKS: list[str] = env.list("MYAGENT_SECRET_KEY_FALLBACKS", default=[])
DEBUG = False

# Names. `localhost` and addresses are answered beside them (agents/access/host_rule.py), and the command adds the name
# or address given as --host.
LOCAL_HOSTS = ["localhost", ".localhost", "127.0.0.1", "[::1]"]
CONFIGURED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
ALLOWED_HOSTS = [*CONFIGURED_HOSTS] or [*LOCAL_HOSTS]
PUBLIC_URL: str = env.str("MYAGENT_PUBLIC_URL", default="")
PUBLIC_ADDRESS = environment.public_url(PUBLIC_URL)
TRUSTED_PROXIES: list[str] = env.list("MYAGENT_TRUSTED_PROXIES", default=[])

INSTALLED_APPS = [
    "agents",  # before Django's, whose templates it extends
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "sessions_app",
]

MIDDLEWARE = [
    "agents.web.middleware.TrustedProxies",
    "agents.web.middleware.KnownHosts",
    "agents.web.middleware.SubPath",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "agents.web.middleware.BrowserSessions",
    "django.middleware.locale.LocaleMiddleware",
    "agents.web.middleware.Common",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "agents.web.middleware.AdminPolicy",
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

DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASES = {"default": environment.database(DATABASE_URL, DATA_DIR / DATABASE_FILE, GROUP_ACCESS)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Only hints travel through the layer (a log grew); the core layer loses its consumers with redis-py 8
# (django/channels_redis#422), the pub/sub layer does not.
REDIS_URL = environment.redis(env.str("REDIS_URL", default=""))
CHANNEL_LAYERS: dict[str, Any] = (
    {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}}
    if REDIS_URL
    else {}
)


# --- language and time ----------------------------------------------------------------------------------------------

LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [PROJECT_DIR / "myagent" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = environment.time_zone(env.str("TZ", default=""))


# --- web ------------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "agents.web.sub_path.MountedFiles"},
    "myagent_files": {"BACKEND": "sessions_app.files.database_storage.DatabaseStorage"},
}
# Bodies of requests: what is longer is in a temporary file, however many of them come at once.
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
WHITENOISE_USE_FINDERS = True  # the admin's style sheets are served from the installed packages, also without DEBUG

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "index"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

HAS_TLS = PUBLIC_ADDRESS is not None and PUBLIC_ADDRESS.scheme == "https"
if TRUSTED_PROXIES or HAS_TLS:
    # Safe because the TrustedProxies middleware takes these headers from everybody else.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = bool(TRUSTED_PROXIES)
if PUBLIC_ADDRESS is not None:
    CSRF_TRUSTED_ORIGINS = [PUBLIC_ADDRESS.origin]
if HAS_TLS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 30 * 24 * 60 * 60
    SILENCED_SYSTEM_CHECKS = [
        "security.W005",  # the names below this one may be other servers, without TLS
        "security.W008",  # the proxy redirects to TLS; the operator on this machine needs none
        "security.W021",  # browsers keep their list of sites for ever: for the owner of the domain to decide
    ]

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

WORKER: int | None = env.int("MYAGENT_WORKER", default=None)
LOG_FORMATTER = environment.log_format(env.str("MYAGENT_LOG_FORMAT", default="") or "text")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "agents.log_format.ConsoleFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            "worker": WORKER,
        },
        "json": {"()": "agents.log_format.JsonFormatter", "worker": WORKER},
    },
    "filters": {
        "words_only": {"()": "django.utils.log.CallbackFilter", "callback": without_traceback},
        "as_warning": {"()": "django.utils.log.CallbackFilter", "callback": as_warning},
        "refusal_of_api": {"()": "django.utils.log.CallbackFilter", "callback": refusal_of_api},
        "outage_as_warning": {"()": "django.utils.log.CallbackFilter", "callback": outage_as_warning},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMATTER}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # Django's own handlers print only with DEBUG on, and mail to nobody.
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.security.DisallowedHost": {"filters": ["words_only"]},
        "django.request": {"filters": ["refusal_of_api", "outage_as_warning"]},
        # Each attempt of each of its threads, which those who ask the pool report once.
        "psycopg.pool": {"level": "ERROR"},
        # Redis only hints: while it is away the polls find out, and each second of it is no error with a traceback.
        "channels_redis.pubsub": {"filters": ["as_warning"]},
        "myagent": {"level": "INFO"},
    },
}


# --- OpenTelemetry, whose package reads the rest of its many variables itself -----------------------------------------


def _telemetry(signal: str) -> str:
    """How a signal (`TRACES`, `METRICS`) leaves, by OpenTelemetry's own variables."""
    exporter = env.str(f"OTEL_{signal}_EXPORTER", default="").strip()
    names = (f"OTEL_EXPORTER_OTLP_{signal}_{{}}", "OTEL_EXPORTER_OTLP_{}")
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
    "GROUP_ACCESS": GROUP_ACCESS,
    "LANGUAGE": LANGUAGE_CODE,
    "METRICS_TOKEN": env.str("MYAGENT_METRICS_TOKEN", default="") or None,
    "PUBLIC_URL": PUBLIC_URL or None,
    "TELEMETRY": _telemetry("TRACES"),
    "TELEMETRY_METRICS": _telemetry("METRICS"),
    "TRUSTED_PROXIES": TRUSTED_PROXIES,
    "WORKER": WORKER,
    "WORKERS_DIR": env.str("MYAGENT_WORKERS_DIR", default="") or None,
    "WORKERS": environment.workers(env.str("MYAGENT_WORKERS", default="")),
}
