"""An HTTP request to the views, as a server hands it on."""

from __future__ import annotations

import json
from wsgiref.headers import Headers

from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler

from tests.support.patience import WAIT_SECONDS


class Answer:
    """What came back."""

    def __init__(self, start, body):
        self.status = start["status"]
        self.headers = Headers([(name.decode(), value.decode()) for name, value in start["headers"]])
        self.body = body

    def json(self):
        return json.loads(self.body)


async def ask(
    query="",
    *,
    path="/api/agents/",
    state=None,
    method="GET",
    peer="127.0.0.1",
    host="localhost:8080",
    **headers,
):
    """Ask as a server hands it on; in the names of headers `_` stands for `-`. `state` is that of its lifespan."""
    headers = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.removeprefix("?").encode(),
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 8080),
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    } | ({} if state is None else {"state": state})
    application = ApplicationCommunicator(ASGIHandler(), scope)
    await application.send_input({"type": "http.request", "body": b""})
    start = await application.receive_output(WAIT_SECONDS)
    body = b""
    while (part := await application.receive_output(WAIT_SECONDS)).get("more_body"):
        body += part["body"]
    await application.wait(WAIT_SECONDS)
    return Answer(start, body + part["body"])
