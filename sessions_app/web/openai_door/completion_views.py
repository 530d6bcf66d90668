"""`/v1/models` and `/v1/chat/completions`, for the clients of OpenAI's API."""

from __future__ import annotations

import time
from functools import partial
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from agents.loading.registry import LoadedAgent, get_registry
from agents.web.api_admission import admit, api_view
from agents.web.api_errors import ApiRefused, json_answer
from myagent.i18n import gettext as _
from myagent.protocol.codec import parse_body
from myagent.text import clean
from sessions_app import queries
from sessions_app.services.caller import usable_agent, usable_session
from sessions_app.services.heavy_work import beside_the_loop, is_light
from sessions_app.services.refusals import try_again
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.api_operations import both_ways
from sessions_app.web.openai_door.chat_completion import Completion, CompletionChunks, WholeCompletion
from sessions_app.web.openai_door.completion_request import CompletionRequest
from sessions_app.web.openai_door.error_answers import failure_answer, refusal_answer
from sessions_app.web.openai_door.named_conversation import say, target_of
from sessions_app.web.openai_door.run_text import RunText

PAGE_HEADERS = (
    *("x-myagent-session", "x-myagent-conversation", "x-openwebui-chat-id", "x-task"),
    # What OpenAI's own client for JavaScript tells of itself.
    *(f"x-stainless-{name}" for name in ("arch", "helper-method", "lang", "os", "package-version", "retry-count")),
    *(f"x-stainless-{name}" for name in ("runtime", "runtime-version", "timeout")),
)
"""What pages of other origins may send here besides."""
door_view = partial(api_view, refusal_answer=refusal_answer, page_headers=PAGE_HEADERS)


@door_view("GET", "HEAD")
async def list_models(request: HttpRequest) -> HttpResponse:
    """The agents that the caller may use, as models."""
    grant = await admit(request, in_url=False)
    registry = get_registry()
    usable = [loaded for name in registry.names if grant.allows(name) and (loaded := registry.get(name)) is not None]
    return json_answer({"object": "list", "data": [_model(loaded) for loaded in usable]})


@door_view("GET", "HEAD")
async def show_model(request: HttpRequest, name: str) -> HttpResponse:
    """One of them."""
    call = await Call.admitted(request)
    return json_answer(_model(usable_agent(call.caller, clean(name))))


def _model(loaded: LoadedAgent) -> dict[str, Any]:
    # Agents are files; when one began to exist is nobody's concern.
    return {
        "id": loaded.name,
        "object": "model",
        "created": 0,
        "owned_by": "myagent",
        "description": loaded.agent.description,
    }


@door_view("POST")
async def create_completion(request: HttpRequest) -> HttpResponse:
    """Say something, and tell the answer: as it comes, or as a whole. To leave cancels nothing."""
    call = await Call.admitted(request)
    asked = await _asked(call)
    live_log.check_room(call)
    target = await target_of(call, asked)
    posted = await say(call, asked, target)
    facts = await usable_session(call.caller, str(target.id))
    completion = Completion(
        session_id=str(target.id), run_id=str(posted.run_id), model=asked.model, created=int(time.time())
    )
    text = RunText(completion.run_id, as_value=asked.as_value)
    after = await live_log.before_run(target.id, posted)
    answer = await _answer(call, asked, facts, after, completion, text)
    answer.headers["X-MyAgent-Session"] = completion.session_id
    answer.headers["X-Request-Id"] = completion.run_id
    return answer


async def _asked(call: Call) -> CompletionRequest:
    def read() -> CompletionRequest:
        return CompletionRequest.read(parse_body(call.body))

    return read() if is_light(call.body.decode("latin-1")) else await beside_the_loop(read)


async def _answer(
    call: Call, asked: CompletionRequest, facts: queries.SessionFacts, after: int, completion: Completion, text: RunText
) -> HttpResponse:
    if asked.stream:
        chunks = CompletionChunks(text=text, completion=completion, include_usage=asked.include_usage)
        return await live_log.stream(call, facts, after, chunks)

    def told(is_whole: bool) -> HttpResponse:
        ending = text.ending
        if not is_whole or ending is None:
            return refusal_answer(ApiRefused.of(try_again(is_certain=False)), None)
        if ending.kind == "error":
            return failure_answer(ending.content, ending.code, ending.facts)
        return json_answer(completion.whole(text, ending))

    return await live_log.tell_whole(call, facts, after, WholeCompletion(text=text), told)


@door_view("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
async def unknown_path(request: HttpRequest, rest: str = "") -> HttpResponse:
    """The view for what of OpenAI's API there is not."""
    words = _("There is nothing at this address. What there is: /v1/models and /v1/chat/completions")
    raise ApiRefused(HTTPStatus.NOT_FOUND, "not_found", words)


urlpatterns = [
    *both_ways("models", list_models),
    *both_ways("models/<path:name>", show_model),
    *both_ways("chat/completions", create_completion),
    path("", unknown_path),
    path("<path:rest>", unknown_path),
]
