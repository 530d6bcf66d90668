"""What all views behind `/v1/` have in common."""

from __future__ import annotations

from functools import partial

from agents.web.api_admission import api_view
from sessions_app.web.openai_door.error_answers import refusal_answer

PAGE_HEADERS = (
    *("x-myagent-session", "x-myagent-conversation", "x-openwebui-chat-id", "x-task"),
    # What OpenAI's own client for JavaScript tells of itself.
    *(f"x-stainless-{name}" for name in ("arch", "helper-method", "lang", "os", "package-version", "retry-count")),
    *(f"x-stainless-{name}" for name in ("runtime", "runtime-version", "timeout")),
)
"""What pages of other origins may send here besides."""
door_view = partial(api_view, refusal_answer=refusal_answer, page_headers=PAGE_HEADERS)
