"""A server that has only the paths of its host that begin with `/chat`, say, and finds its own paths behind that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix

from agents.access.arrival import Arrival
from agents.conf import get_config

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class Mounted:
    """An ASGI application that is told in each request where its paths begin (`root_path`).

    It makes no difference whether the proxy before us leaves that beginning in the path or takes it away.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self.application(mounted(scope) if "path" in scope else scope, receive, send)


def mounted(scope: Scope) -> Scope:
    """The scope with its `root_path`, and a `path` that begins with it, as the specification of ASGI wants it."""
    root_path = Arrival.of_scope(scope, get_config()).root_path or scope.get("root_path", "")
    path = scope["path"]
    if root_path and path != root_path and not path.startswith(f"{root_path}/"):
        path = root_path + path
    told = {"root_path": root_path, "path": path}
    # The same one, where there is nothing to tell: it lives as long as the connection.
    return scope if told.items() <= scope.items() else {**scope, **told}


class MountedFiles(StaticFilesStorage):
    """Static files, whose URLs begin where this request's paths do."""

    def url(self, name: str | None) -> str:
        url = super().url(name)
        return get_script_prefix().rstrip("/") + url if url.startswith("/") else url
