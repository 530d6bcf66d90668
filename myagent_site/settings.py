"""Settings of the MyAgent server. The environment, and `.env` of the current folder, is read here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.utils.translation import gettext_lazy as _
from dotenv import load_dotenv

from agents.database.data_folder import DATABASE_FILE
from agents.log_format import as_warning, without_traceback
from myagent_site import environment

load_dotenv(Path.cwd() / ".env")
env = environ.Env()

# First, so that whatever is wrong with the rest is told in this language.
LANGUAGE_CODE = environment.language(env.str("MYAGENT_LANGUAGE", default=""))

PROJECT_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = environment.data_folder(env.str("MYAGENT_DATA_DIR", default=".myagent"))

SECRET_KEY = env.str("MYAGENT_SECRET_KEY", default="") or environment.secret(DATA_DIR)
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
    "agents.web.middleware.TrustedProxies",
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
DATABASES = {"default": environment.database(DATABASE_URL, DATA_DIR / DATABASE_FILE)}
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
            "()": "agents.log_format.ConsoleFormatter",
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
