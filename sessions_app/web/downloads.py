"""`GET /api/files/<id>`: the bytes of a file, for whoever may use a session that has it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

from agents.access.decision import Grant
from agents.database.threads import in_thread
from agents.web.api_admission import admit, api_view
from sessions_app.files import file_store
from sessions_app.files.file_headers import file_headers
from sessions_app.files.file_store import FileFacts
from sessions_app.services.refusals import file_not_found

BLOCK_BYTES = 256 * 1024


@api_view("GET", "HEAD")
async def download(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """The view."""
    return await _answer(request, await _facts(await admit(request), file_id))


async def _facts(grant: Grant, text: str) -> FileFacts:
    try:
        file_id = uuid.UUID(text)
    except ValueError:
        raise file_not_found() from None
    facts = await in_thread(file_store.usable_file, file_id, grant.user_id, grant.allows)
    if facts is None:
        raise file_not_found()
    return facts


async def _answer(request: HttpRequest, facts: FileFacts) -> HttpResponseBase:
    mark = f'"{facts.sha256}"'
    if mark in parse_etags(request.headers.get("If-None-Match", "")):
        return _marked(HttpResponseNotModified(), mark)
    headers = file_headers(facts)
    if request.method == "HEAD":
        return _marked(HttpResponse(headers=headers), mark)
    try:
        file = await in_thread(file_store.storage().open, facts.location)
    except OSError as error:
        raise file_not_found() from error
    return _marked(StreamingHttpResponse(_blocks(file), headers=headers), mark)


def _marked(answer: HttpResponseBase, mark: str) -> HttpResponseBase:
    answer.headers["ETag"] = mark
    # Kept by the browser alone, which asks each time whether it may still show it.
    answer.headers["Cache-Control"] = "private, no-cache"
    patch_vary_headers(answer, ("Authorization", "Cookie", "Origin"))
    return answer


async def _blocks(file: File) -> AsyncIterator[bytes]:
    while block := await in_thread(file.read, BLOCK_BYTES):
        yield block
    await in_thread(file.close)
