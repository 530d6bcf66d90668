"""`/v1/chat/completions`."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse

from agents.web.api_errors import ApiRefused
from sessions_app import queries
from sessions_app.services.refusals import try_again
from sessions_app.web import live_log
from sessions_app.web.api_call import Call
from sessions_app.web.openai_door.asked_session import say, target_of
from sessions_app.web.openai_door.completions.chat_completion import Completion, CompletionChunks, WholeCompletion
from sessions_app.web.openai_door.completions.completion_request import CompletionRequest
from sessions_app.web.openai_door.completions.run_text import RunText
from sessions_app.web.openai_door.door_view import asked_by, door_view
from sessions_app.web.openai_door.error_answers import failure_answer, refusal_answer
from sessions_app.web.run_stream import whole_json


@door_view("POST")
async def create_completion(request: HttpRequest) -> HttpResponse:
    """Say something, and tell the answer: as it comes, or as a whole. To leave cancels nothing."""
    call = await Call.admitted(request)
    asked = await asked_by(call, CompletionRequest.read)
    live_log.check_room(call)
    facts, posted = await say(call, asked, await target_of(call, asked))
    completion = Completion(
        session_id=str(facts.id), run_id=str(posted.run_id), model=asked.model, created=int(time.time())
    )
    text = RunText(completion.run_id, as_value=asked.as_value)
    after = await live_log.before_run(facts.id, posted)
    answer = await _answer(call, asked, facts, after, completion, text)
    answer.headers["X-MyAgent-Session"] = completion.session_id
    answer.headers["X-Request-Id"] = completion.run_id
    return answer


async def _answer(
    call: Call, asked: CompletionRequest, facts: queries.SessionFacts, after: int, completion: Completion, text: RunText
) -> HttpResponse:
    if asked.stream:
        chunks = CompletionChunks(text=text, completion=completion, include_usage=asked.include_usage)
        return await live_log.stream(call, facts, after, chunks)

    async def told(is_whole: bool) -> HttpResponse:
        ending = text.ending
        if not is_whole or ending is None:
            return refusal_answer(ApiRefused.of(try_again(is_certain=False)), None)
        if ending.kind == "error":
            return failure_answer(ending.content, ending.code, ending.facts)
        return await whole_json(completion.whole(text, ending))

    return await live_log.tell_whole(call, facts, after, WholeCompletion(text=text), told)
