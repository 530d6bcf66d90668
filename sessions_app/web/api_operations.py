"""The API for programs: every operation, and the routes that lead to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path

from agents.web.api import list_agents
from agents.web.api_admission import api_view
from myagent.protocol.http_answers import AgentsAnswer
from myagent.text import clean
from sessions_app.web.agui.agui_operations import AGUI_OPERATIONS
from sessions_app.web.api_call import Call
from sessions_app.web.api_operation import Operation, View
from sessions_app.web.chat.chat_operations import CHAT_OPERATIONS
from sessions_app.web.file_operations import FILE_OPERATIONS
from sessions_app.web.session_operations import SESSION_OPERATIONS

OPERATIONS = (
    Operation(
        method="GET",
        path="agents",
        text="The agents that the caller may use",
        own_view=list_agents,
        answer=AgentsAnswer,
    ),
    *SESSION_OPERATIONS,
    *FILE_OPERATIONS,
    *AGUI_OPERATIONS,
    *CHAT_OPERATIONS,
)


def routes() -> list[URLPattern]:
    """The routes of all of them, with a slash at the end and without."""
    by_path: dict[str, list[Operation]] = defaultdict(list)
    for operation in OPERATIONS:
        by_path[operation.path].append(operation)
    found: list[URLPattern] = []
    for name, operations in by_path.items():
        view = _view_of(operations)
        found += both_ways(_route(name), view)
        found += [path(_route(other), view) for operation in operations for other in operation.also_at]
    return found


def _route(name: str) -> str:
    return name.replace("{", "<str:").replace("}", ">")


def both_ways(route: str, view: View) -> Iterable[URLPattern]:
    """The route with a slash at the end, and without."""
    return (path(f"{route}/", view), path(route, view))


def _view_of(operations: list[Operation]) -> View:
    if (own := operations[0].own_view) is not None:
        assert len(operations) == 1, operations[0].path
        return own
    views = {operation.method: operation.view for operation in operations if operation.view is not None}
    if "GET" in views:
        views["HEAD"] = views["GET"]

    @api_view(*views)
    async def view(request: HttpRequest, /, **named: str) -> HttpResponseBase:
        call = await Call.admitted(request)
        answer = views[str(request.method)]
        return await answer(call, **{name: clean(text) for name, text in named.items()})

    return view
