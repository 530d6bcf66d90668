"""The files that a message names: only those that its session has, and only what its agent accepts."""

from __future__ import annotations

import uuid

from agents.database.threads import in_thread
from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.messages import Content
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from sessions_app.files.file_kinds import FileKind
from sessions_app.files.file_parts import file_of, files_in, is_dangling, with_facts
from sessions_app.files.file_store import files_of
from sessions_app.services.refusals import file_not_found


async def with_files(session_id: uuid.UUID, content: Content, agent: Agent) -> Content:
    """The content as it is stored. Raises `ProtocolError` for what the agent or the session does not have."""
    if isinstance(content, str):
        return content
    if any(map(is_dangling, content)):
        raise file_not_found()
    if any(part["type"] == "image_url" for part in content):
        check_accepted(agent, "images")
    wanted = set(files_in(content))
    if not wanted:
        return content
    known = {facts.id: facts for facts in await in_thread(files_of, session_id, wanted)}
    if known.keys() != wanted:
        raise file_not_found()
    for part in content:
        if (file_id := file_of(part)) is None:
            continue
        kind = known[file_id].kind
        if part["type"] == "image_url" and not kind.is_picture:
            words = _("%(name)s is no picture (PNG, JPEG, GIF or WebP). Send it as a file.")
            raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words % {"name": known[file_id].name})
        check_kind(agent, kind, known[file_id].name)
    return with_facts(content, known)


def check_kind(agent: Agent, kind: FileKind, name: str) -> None:
    """Raise `ProtocolError` for a file that the agent cannot take."""
    check_accepted(agent, "images" if kind.is_picture else "files")
    if not (kind.is_picture or kind.is_text or agent.tools or agent.tools.function is not None):
        words = _("%(name)s is neither a picture nor a text, and this agent has no tools that could read it.")
        raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words % {"name": name})


def check_accepted(agent: Agent, what: str) -> None:
    """Raise `ProtocolError` where the agent does not accept pictures (`images`), or other `files`."""
    if what in agent.accepts:
        return
    words = _("This agent takes no pictures.") if what == "images" else _("This agent takes no files.")
    raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
