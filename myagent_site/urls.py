"""The HTTP side: a page that says the server runs, its health, the agents, the admin."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

from agents.web import api, views

admin.site.site_title = "MyAgent"
admin.site.site_header = "MyAgent"
admin.site.index_title = _("Administration")

urlpatterns = [
    path("", views.index, name="index"),
    path("favicon.ico", RedirectView.as_view(url=static("sessions_app/icon.svg")), name="icon"),
    path("healthz", views.health, name="health"),
    path("api/agents/", api.list_agents, name="agents"),
    path("admin/", admin.site.urls),
]
