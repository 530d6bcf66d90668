"""The pages with forms: log in, the own account. In the look of the chat page, of one file each, without a script."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.safestring import SafeString, mark_safe

_FILE = Path(__file__).resolve().parent / "pages" / "forms.css"


def form_page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """The page: one visitor's, with nothing from elsewhere."""
    response = render(request, template, context | {"style": _style()}, status=status)
    response.headers["Content-Security-Policy"] = _policy()
    # Its address may hold a secret. `no-referrer` would make browsers send `Origin: null` with the form, too.
    response.headers["Referrer-Policy"] = "strict-origin"
    add_never_cache_headers(response)
    return response


@cache
def _style() -> SafeString:
    return mark_safe(_FILE.read_text(encoding="utf-8"))  # a file of ours


@cache
def _policy() -> str:
    style = b64encode(sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
