"""The pages of the server itself."""

from __future__ import annotations

import sys
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.templatetags.static import static
from django.utils.html import escape
from django.views import defaults
from django.views.decorators.http import require_safe

from agents.database.threads import is_away
from agents.web import chat_page
from myagent.i18n import gettext as _


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The page to chat on."""
    return chat_page.respond(request)


@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """Where the picture is that browsers ask for by themselves."""
    return HttpResponseRedirect(static("sessions_app/icon.svg"))


@require_safe
async def health(request: HttpRequest) -> HttpResponse:
    """200 as long as the loop of this server turns, which has to pass this answer on; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@require_safe
async def ready(request: HttpRequest) -> HttpResponse:
    """200 while what clients send can be stored, 503 while it cannot, or while memory is scarce."""
    engine = getattr(request, "scope", {}).get("state", {}).get("engine")
    if engine is not None and engine.memory_watch.is_scarce:
        return JsonResponse({"status": "error", "memory": "scarce"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    if engine is not None and await engine.readiness.is_ready():
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "error", "database": "nothing can be stored"}, status=HTTPStatus.SERVICE_UNAVAILABLE)


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for an exception in a view: one that says to try again, where the database does not answer."""
    error = sys.exc_info()[1]
    if error is None or not is_away(error):
        return defaults.server_error(request)
    words = _("The database does not answer at the moment; please try again.")
    page = f'<!doctype html><meta charset="utf-8"><title>MyAgent</title><p>{escape(words)}</p>'
    return HttpResponse(page, status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
