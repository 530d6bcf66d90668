"""`GET /metrics` for Prometheus: closed to strangers, as the numbers tell who uses what and how much."""

from __future__ import annotations

import logging
from http import HTTPStatus

from django.contrib.auth import get_user_model
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from agents.access.decision import ConnectionRefused, Grant, HandshakeForbidden, authorize_request
from agents.conf import get_config
from agents.database.threads import in_thread, is_away

logger = logging.getLogger("myagent.server")

PERMISSION = "agents.view_hostedagent"
"""Who may see the agents in the admin may see their numbers."""


@csrf_exempt  # it changes nothing
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """The view. Open to the bearer of `METRICS_TOKEN`, to the user `local`, and to users with the permission."""
    try:
        is_allowed = _has_metrics_token(request) or await _may_read(
            await authorize_request(request.scope, get_config())  # type: ignore[attr-defined]  # ASGIRequest
        )
    except (HandshakeForbidden, ConnectionRefused):
        is_allowed = False
    except Error as error:
        if not is_away(error):
            raise
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer, so it is unknown who may ask.")
    if not is_allowed:
        return _plain(HTTPStatus.FORBIDDEN, "Show MYAGENT_METRICS_TOKEN, or the token of a user who may view agents.")
    engine = request.scope.get("state", {}).get("engine")  # type: ignore[attr-defined]
    if engine is None or engine.exporter is None:
        return _plain(HTTPStatus.NOT_FOUND, "There are no metrics here. Install: pip install 'myagent[metrics]'")
    try:
        kind, text = await engine.exporter.answer(request.headers.get("Accept", ""))
    except OSError as error:
        logger.warning("What the other workers have counted cannot be read: %s", error)
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "What the other workers have counted cannot be read.")
    return HttpResponse(text, content_type=kind, headers={"Cache-Control": "no-store"})


def _has_metrics_token(request: HttpRequest) -> bool:
    expected = get_config().metrics_token
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    return bool(expected) and kind.lower() == "bearer" and constant_time_compare(shown.strip(), expected or "")


async def _may_read(grant: Grant) -> bool:
    """A token that is limited to some agents is not for the numbers of all."""
    if grant.kind == "local":
        return True
    return grant.user_id is not None and grant.agents is None and await in_thread(_has_permission, grant.user_id)


def _has_permission(user_id: int) -> bool:
    user = get_user_model()._default_manager.filter(pk=user_id, is_active=True).first()
    return user is not None and user.has_perm(PERMISSION)


def _plain(status: HTTPStatus, words: str) -> HttpResponse:
    headers = {"Cache-Control": "no-store"}
    return HttpResponse(f"{words}\n", content_type="text/plain; charset=utf-8", status=status, headers=headers)
