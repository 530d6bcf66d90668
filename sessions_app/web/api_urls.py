"""The addresses behind `/api/`: each with a slash at the end, and without."""

from __future__ import annotations

from agents.web.contract import asyncapi_document
from sessions_app.web.api_operations import both_ways, routes
from sessions_app.web.openapi import openapi

urlpatterns = [
    *both_ways("openapi.json", openapi),
    *both_ways("asyncapi.json", asyncapi_document),
    *routes(),
]
