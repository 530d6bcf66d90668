"""`/api/sessions/<id>/files`: files for a session, from whoever may use it, and taken back before they are sent."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.template.defaultfilters import filesizeformat

from agents.access.decision import Grant
from agents.budgets.shares import shares_of
from agents.conf import Config
from agents.database.threads import in_thread
from agents.loading.registry import get_registry
from agents.web.api_admission import admit, api_view
from agents.web.api_errors import ApiRefused, database_away, json_answer, no_content
from agents.web.forgery import check_forgery
from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app import queries
from sessions_app.engine import Engine
from sessions_app.files import file_store
from sessions_app.files.file_kinds import FileKind, claims_picture, kind_of
from sessions_app.files.file_names import clean_name
from sessions_app.files.file_parts import url_of
from sessions_app.journal.entries.session_files import AddFiles, TakeBackFile
from sessions_app.models import StoredFile
from sessions_app.services.caller import parse_session_id, record
from sessions_app.services.message_files import check_kind
from sessions_app.services.refusals import agent_unavailable, file_not_found, not_found, try_again

logger = logging.getLogger("myagent.files")

FIELD = "file"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request, before it is stored."""

    content: UploadedFile
    name: str
    kind: FileKind


@api_view("POST")
async def upload(request: HttpRequest, session_id: str) -> HttpResponse:
    """The view. All files of a request are stored, or none."""
    grant = await admit(request, size=int(request.META.get("CONTENT_LENGTH") or 0), changes=True)
    return json_answer({"files": await _take(request, grant, session_id)}, status=HTTPStatus.CREATED)


@api_view("DELETE")
async def take_back(request: HttpRequest, session_id: str, file_id: str) -> HttpResponse:
    """The view for a file that no message names: it was chosen, and taken back before it was sent."""
    grant = await admit(request, changes=True)
    check_forgery(request, grant)
    facts = await _session(grant, session_id)
    try:
        parsed = uuid.UUID(file_id)
    except ValueError:
        raise file_not_found() from None
    await record(_engine(request), TakeBackFile(session_id=facts.id, file_id=parsed))
    return no_content()


async def _session(grant: Grant, text: str) -> queries.SessionFacts:
    facts = await in_thread(queries.session_facts, parse_session_id(text), grant.user_id)
    if facts is None or not grant.allows(facts.agent):
        raise not_found()
    return facts


def _engine(request: HttpRequest) -> Engine:
    engine: Engine | None = request.scope.get("state", {}).get("engine")  # type: ignore[attr-defined]  # ASGIRequest
    if engine is None:
        raise database_away()
    return engine


async def _take(request: HttpRequest, grant: Grant, text: str) -> list[dict[str, Any]]:
    facts = await _session(grant, text)
    loaded = get_registry().available(facts.agent)
    if loaded is None:
        raise agent_unavailable(facts.agent)
    engine = _engine(request)
    async with engine.uploads:
        uploads = await in_thread(_read, request, grant, loaded.agent, engine.config)
        try:
            rows = await in_thread(_store, uploads)
        except OSError as error:
            logger.error("A file cannot be stored: %s", error)
            raise try_again() from error
    names = {row.id: upload.name for row, upload in zip(rows, uploads, strict=True)}
    await _give(engine, facts.id, rows, names)
    root_path = request.META.get("SCRIPT_NAME", "")
    return [
        {
            "file_id": str(row.id),
            "name": names[row.id],
            "type": row.type,
            "size": row.size,
            "url": url_of(row.id, root_path),
        }
        for row in rows
    ]


async def _give(engine: Engine, session_id: uuid.UUID, rows: list[StoredFile], names: dict[uuid.UUID, str]) -> None:
    entry = AddFiles(
        session_id=session_id, names=names, max_files=engine.config.max_files, shares=shares_of(engine.config)
    )
    try:
        await record(engine, entry)
    except ProtocolError as error:
        # Where it is not certain that the session does not have them, they are deleted later or not at all.
        if error.code is not ErrorCode.TRY_AGAIN:
            await in_thread(file_store.discard, rows)
        raise


def _read(request: HttpRequest, grant: Grant, agent: Agent, config: Config) -> list[Upload]:
    """The files of the request; all of them are as they should be. Blocking: it reads the body."""
    try:
        given = request.FILES.getlist(FIELD)
    except (MultiPartParserError, UnreadablePostError, RequestDataTooBig, SuspiciousOperation) as error:
        logger.info("The body of an upload cannot be read: %s", error)
        words = _("The request should be multipart/form-data with files as the field %(field)r.")
        raise ApiRefused(HTTPStatus.BAD_REQUEST, "bad_form", words % {"field": FIELD}) from error
    check_forgery(request, grant)
    if not given:
        words = _("The request should be multipart/form-data with files as the field %(field)r.")
        raise ApiRefused(HTTPStatus.BAD_REQUEST, "bad_form", words % {"field": FIELD})
    return [_checked(content, agent, config) for content in given]


def _checked(content: UploadedFile, agent: Agent, config: Config) -> Upload:
    name = clean_name(content.name or "")
    if (content.size or 0) > config.max_file_bytes:
        words = _("%(name)s is too large: a file may have %(limit)s.")
        about = {"name": name, "limit": filesizeformat(config.max_file_bytes)}
        raise ProtocolError(ErrorCode.TOO_LARGE, words % about, limit=config.max_file_bytes)
    kind = kind_of(content.file, name)  # type: ignore[arg-type]  # of Django's own, a binary file
    if claims_picture(name, content.content_type or "") and not kind.is_picture:
        words = _("%(name)s is not the picture that it says it is. PNG, JPEG, GIF and WebP are taken.")
        raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words % {"name": name})
    check_kind(agent, kind, name)
    return Upload(content, name, kind)


def _store(uploads: list[Upload]) -> list[StoredFile]:
    rows: list[StoredFile] = []
    try:
        for upload in uploads:
            rows.append(file_store.store(upload.content, upload.kind))
    except BaseException:
        file_store.discard(rows)
        raise
    return rows
