"""The page to chat on: what stands around its script, its settings as data, and its content security policy."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse

from agents.conf import Config, get_config


def respond(request: HttpRequest) -> HttpResponse:
    """The page. It is the same for everybody and names nobody; what it shows comes over its WebSocket."""
    config = get_config()
    response = render(request, "agents/chat.html", {"config": settings_of(config), "icon": config.page_logo or _icon()})
    response["Content-Security-Policy"] = policy(f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}")
    # The address of a conversation is a key where nobody has a name.
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-cache"
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        get_token(request)  # becomes a cookie: what a browser with a login uploads has to come with it
    return response


def settings_of(config: Config) -> dict[str, Any]:
    """What the page's script is told, as data that no browser executes."""
    return {"title": config.page_title, "logo": config.page_logo or "", "root": reverse("index")}


def policy(socket: str) -> str:
    """The Content-Security-Policy: this server's own scripts and styles, connections to it (`socket`), no more.

    So even a mistake in the page could not run what somebody wrote into a conversation, or send it anywhere.
    """
    # 'self' means the WebSocket of the same address, too, but older Safaris do not know that.
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _icon() -> str:
    return static("sessions_app/icon.svg")
