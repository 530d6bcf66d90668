"""What all views behind `/v1/` have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from agents.web.api_admission import api_view
from myagent.protocol.codec import parse_body
from sessions_app.services.heavy_work import beside_the_loop, is_light
from sessions_app.web.api_call import Body, Call
from sessions_app.web.openai_door.error_answers import refusal_answer

Asked = TypeVar("Asked")
PAGE_HEADERS = (
    *("x-myagent-session", "x-myagent-conversation", "x-openwebui-chat-id", "x-task"),
    # What OpenAI's own client for JavaScript tells of itself.
    *(f"x-stainless-{name}" for name in ("arch", "helper-method", "lang", "os", "package-version", "retry-count")),
    *(f"x-stainless-{name}" for name in ("runtime", "runtime-version", "timeout")),
)
"""What pages of other origins may send here besides."""
door_view = partial(api_view, refusal_answer=refusal_answer, page_headers=PAGE_HEADERS)


async def asked_by(call: Call, read: Callable[[Body], Asked]) -> Asked:
    """The request that `read` finds in the body. Raises `ProtocolError`."""

    def work() -> Asked:
        return read(parse_body(call.body))

    return work() if is_light(call.body.decode("latin-1")) else await beside_the_loop(work)
