"""The HTTP side: the chat page, health and metrics, the APIs, MCP, the login and the account, the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, reverse_lazy
from django.utils.translation import gettext_lazy as _

from agents.web import metrics_page, views

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
]
