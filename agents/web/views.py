"""The pages of the server itself."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from agents.web import chat_page

logger = logging.getLogger("myagent.server")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The page to chat on. It is the same for everybody and names nothing; what it shows comes over its WebSocket."""
    socket = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    response = HttpResponse(chat_page.content())
    response["Content-Security-Policy"] = chat_page.policy(socket)
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 while the database answers, 503 when it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        logger.exception("The database does not answer.")
        return JsonResponse({"status": "error", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok"})
