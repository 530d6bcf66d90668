"""The addresses behind `/api/`: each with a slash at the end, and without."""

from __future__ import annotations

from django.urls import path

from agents.web.api import list_agents
from agents.web.api_admission import unknown_path
from sessions_app.web.agui.views import agui, stop
from sessions_app.web.api_operations import both_ways, routes
from sessions_app.web.downloads import download
from sessions_app.web.openapi import openapi
from sessions_app.web.uploads import take_back, upload

urlpatterns = [
    *both_ways("agents", list_agents, "agents"),
    *both_ways("openapi.json", openapi, "openapi"),
    *both_ways("sessions/<str:session_id>/files", upload, "upload"),
    *both_ways("sessions/<str:session_id>/files/<str:file_id>", take_back, "take_back"),
    *both_ways("files/<str:file_id>", download, "file"),
    *both_ways("agui/<str:agent>", agui, "agui"),
    *both_ways("agui/<str:agent>/stop", stop, "agui_stop"),
    *routes(),
    path("", unknown_path),
    path("<path:rest>", unknown_path),
]
