"""Requests that a page of another site makes with the cookie of one of our users (CSRF)."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from agents.access.decision import Grant
from agents.web.api_errors import ApiRefused
from myagent.i18n import gettext as _


def check_forgery(request: HttpRequest, grant: Grant) -> None:
    """Raise `ApiRefused` where the credential is a cookie, and nothing shows that one of our pages asks.

    Of a form in the body the token is looked for there, too, which reads it: blocking.
    """
    if grant.kind == "cookie" and _CsrfCheck(_nothing).refuses(request):
        words = _("The page is out of date. Load it again, and try once more.")
        raise ApiRefused(HTTPStatus.FORBIDDEN, "csrf_failed", words)


class _CsrfCheck(CsrfViewMiddleware):
    """Django's own check, for a view that has to know first who asks."""

    def refuses(self, request: HttpRequest) -> bool:
        request.csrf_processing_done = False  # type: ignore[attr-defined]
        self.process_request(request)
        return self.process_view(request, _nothing, (), {}) is not None


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()
