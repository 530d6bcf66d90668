"""The language in which a client asked to be spoken to."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

from myagent.i18n import find_language


def asked_language(scope: Any) -> str | None:
    """That of `?lang=` in the URL of a WebSocket; None for one that there is not, which leaves it to the server."""
    query: str = scope.get("query_string", b"").decode("latin-1")
    return find_language(parse_qs(query).get("lang", [""])[-1])


def language_of(request: HttpRequest) -> str | None:
    """That of `?lang=`, else the one chosen on our pages, else the best of `Accept-Language`; None likewise."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    wanted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    names = (chosen, *(name for name, weight in wanted if weight > 0))
    found = filter(None, map(find_language, names))
    return asked_language(request.scope) or next(found, None)  # type: ignore[attr-defined]  # ASGIRequest
