"""The HTTP side: the chat page, health and metrics, the APIs, MCP, the login and the account, the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path, reverse_lazy
from django.utils.translation import gettext_lazy as _

from agents.web import api_admission, metrics_page, views
from sessions_app.web.mcp_door import mcp_views
from sessions_app.web.openai_door import openai_urls

admin.site.site_title = "MyAgent"
admin.site.site_header = "MyAgent"
# Django's own leaves out the last slash of a sub-path; lazy, since that is told by each request.
admin.site.site_url = reverse_lazy("index")  # type: ignore[assignment]
admin.site.index_title = _("Administration")

handler500 = views.server_error

urlpatterns = [
    path("", views.index, name="index"),
    path("favicon.ico", views.icon, name="icon"),
    path("healthz", views.health, name="health"),
    path("readyz", views.ready, name="ready"),
    path("metrics", metrics_page.metrics, name="metrics"),
    path("api/", include("sessions_app.web.api_urls")),
    path("v1/", include("sessions_app.web.openai_door.openai_urls")),
    path("", include("sessions_app.web.mcp_door.mcp_views")),
    path("", include("agents.web.login_urls")),
    path("admin/", admin.site.urls),
    # What is none of their addresses, as one with two slashes or without the last one: their clients read no page.
    re_path("^(?:/*)api(?:/|$)", api_admission.unknown_path),
    re_path("^(?:/*)v1(?:/|$)", openai_urls.unknown_path),
    re_path("^(?:/*)mcp(?:/|$)", mcp_views.unknown_path),
]
