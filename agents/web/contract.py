"""`GET /api/asyncapi.json`: what goes over the WebSocket of this server, for programs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from agents.web.api_admission import admit, api_view
from agents.web.api_errors import json_answer
from myagent.protocol.asyncapi import asyncapi


@api_view("GET", "HEAD", words_key="error")
async def asyncapi_document(request: HttpRequest) -> HttpResponse:
    """The AsyncAPI document, with the address at which the caller asks."""
    await admit(request)
    return json_answer(
        asyncapi(host=request.get_host(), path=request.META.get("SCRIPT_NAME", ""), secure=request.is_secure())
    )
