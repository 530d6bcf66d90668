"""What HTTP requests go through on their way in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.request import HttpHeaders
from django.middleware.common import CommonMiddleware
from django.urls import reverse

from agents.access.arrival import Arrival
from agents.access.handshake import browser_session, read_cookies
from agents.access.host_rule import serves, why_not_served
from agents.addresses import split_host
from agents.conf import get_config
from myagent.i18n import gettext as _

logger = logging.getLogger("myagent.access")

FORWARDING_HEADERS = tuple(f"HTTP_X_FORWARDED_{name}" for name in ("PROTO", "HOST", "PORT", "PREFIX"))
APIS = ("/api/", "/v1/", "/mcp/")
"""What programs ask; these decide by themselves whom they answer."""
MCP = "/mcp"
"""One of them, without its slash."""
HEALTH = ("/healthz", "/readyz")
"""Paths for probes, which ask under any name."""
METRICS = "/metrics"

Respond = Callable[[HttpRequest], HttpResponse]


class TrustedProxies:
    """Writes into a request what counts of its forwarding headers: nothing, unless a trusted proxy sent them.

    `REMOTE_ADDR` is the client's address from then on, as far as trusted proxies tell it.
    """

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        arrival = Arrival.read(meta.get("REMOTE_ADDR") or "", HttpHeaders(meta), get_config())
        forwarded = "HTTP_X_FORWARDED_HOST" in meta and arrival.host != meta.get("HTTP_HOST", "")
        for header in FORWARDING_HEADERS:
            meta.pop(header, None)
        if arrival.scheme is not None:
            meta["HTTP_X_FORWARDED_PROTO"] = arrival.scheme
        if forwarded:
            meta["HTTP_X_FORWARDED_HOST"] = arrival.host
        meta["REMOTE_ADDR"] = arrival.client
        return self.get_response(request)


class KnownHosts:
    """Answers requests for a name of this server only, by the rule that counts for WebSockets, too.

    The API and the metrics decide by themselves, since a token may change it; probes are answered under any name.
    """

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = request._get_raw_host()  # type: ignore[attr-defined]  # as Django's own get_host begins
        if not (_decides_itself(request) or serves(host, get_config())):
            try:
                request.get_host()
            except DisallowedHost:
                return _unknown_host(request, host)
        # Django's own knows names and no addresses in general.
        request.get_host = lambda: host  # type: ignore[method-assign]
        return self.get_response(request)


def _decides_itself(request: HttpRequest) -> bool:
    return request.path_info.startswith(APIS) or request.path_info in (*HEALTH, METRICS, MCP)


def _unknown_host(request: HttpRequest, host: str) -> HttpResponse:
    logger.warning("Refused a request from %s: %s", request.META.get("REMOTE_ADDR"), why_not_served(host))
    parts = split_host(host)
    words = _("This is not a name of this server: %(host)s") % {"host": host[:200]}
    if parts is not None:
        words += "\n\n" + _(
            "If it is one, set ALLOWED_HOSTS=%(name)s in the environment of the server, or in its file .env, and start "
            "it again. Names are separated by commas. This does not change who needs credentials. By its address the "
            "server can be reached as it is."
        ) % {"name": parts[0]}
    return HttpResponse(f"{words}\n", status=HTTPStatus.BAD_REQUEST, content_type="text/plain; charset=utf-8")


class SubPath:
    """Keeps cookies to the paths of this server, where it has only a part of those of its host."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.COOKIES = read_cookies(request.META.get("HTTP_COOKIE", ""))
        response = self.get_response(request)
        root_path = request.META.get("SCRIPT_NAME", "")
        for cookie in response.cookies.values():
            if root_path and cookie["path"] == "/":
                cookie["path"] = quote(root_path)
        return response


class Common(CommonMiddleware):
    """Django's own, but for requests that need no slash and no session: those for programs."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if _decides_itself(request) else super().process_request(request)


class BrowserSessions(SessionMiddleware):
    """Django's own, which asks the database for whatever a cookie holds, and fails where no database can hold it."""

    def process_request(self, request: HttpRequest) -> None:
        request.session = self.SessionStore(browser_session(request.COOKIES))


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
