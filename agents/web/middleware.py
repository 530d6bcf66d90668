"""What HTTP requests go through on their way in."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware
from django.urls import reverse

from agents.access.handshake import browser_session
from agents.addresses import is_in
from agents.conf import get_config

FORWARDING_HEADERS = ("HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")


API = "/api/"


class Common(CommonMiddleware):
    """Django's own, which asks nothing of the `Host` where `agents.access` decides about it, as for WebSockets."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info.startswith(API) else super().process_request(request)


class BrowserSessions(SessionMiddleware):
    """Django's own, which asks the database for whatever a cookie holds, and fails where no database can hold it."""

    def process_request(self, request: HttpRequest) -> None:
        request.session = self.SessionStore(browser_session(request.COOKIES))


class TrustedProxies:
    """Takes forwarding headers from requests that do not come from a trusted proxy, so that they cannot be forged."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_in(request.META.get("REMOTE_ADDR") or "", get_config().trusted_networks):
            for header in FORWARDING_HEADERS:
                request.META.pop(header, None)
        return self.get_response(request)


class AdminPolicy:
    """Tells browsers that pages of the admin run no script but the admin's own and fetch nothing from elsewhere.

    They show what strangers have said. It is all escaped; this holds should that ever be forgotten.
    """

    # Styles in elements place the bars of timelines.
    POLICY = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(reverse("admin:index")):
            response.headers.setdefault("Content-Security-Policy", self.POLICY)
        return response
