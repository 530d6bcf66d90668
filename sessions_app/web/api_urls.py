"""The addresses behind `/api/`: each with a slash at the end, and without."""

from __future__ import annotations

from django.urls import path

from agents.web.api import list_agents
from agents.web.api_admission import unknown_path
from agents.web.contract import asyncapi_document
from sessions_app.web.agui.agui_views import agui, stop
from sessions_app.web.api_operations import both_ways, routes
from sessions_app.web.chat import chat_views as chat
from sessions_app.web.downloads import download
from sessions_app.web.openapi import openapi
from sessions_app.web.uploads import take_back, upload

urlpatterns = [
    *both_ways("agents", list_agents, "agents"),
    *both_ways("openapi.json", openapi, "openapi"),
    *both_ways("asyncapi.json", asyncapi_document, "asyncapi"),
    *both_ways("sessions/<str:session_id>/files", upload, "upload"),
    *both_ways("sessions/<str:session_id>/files/<str:file_id>", take_back, "take_back"),
    *both_ways("files/<str:file_id>", download, "file"),
    *both_ways("agui/<str:agent>", agui, "agui"),
    *both_ways("agui/<str:agent>/stop", stop, "agui_stop"),
    *both_ways("chat/<str:agent>", chat.chat, "chat"),
    *both_ways("chat/<str:agent>/<str:chat_id>", chat.history, "chat_history"),
    *both_ways("chat/<str:agent>/<str:chat_id>/stream", chat.resume, "chat_resume"),
    # What the SDK makes of an address with a slash at its end.
    path("chat/<str:agent>//<str:chat_id>/stream", chat.resume),
    *both_ways("chat/<str:agent>/<str:chat_id>/stop", chat.stop, "chat_stop"),
    *routes(),
    path("", unknown_path),
    path("<path:rest>", unknown_path),
]
