"""Files in the content of messages: which ones a part means, and how it is stored. Pure.

A picture is a part `image_url` with a URL of ours, any file a part `file` with its id. Both are stored with the name,
the type and the size of the file, and never with its bytes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from myagent.messages import Content, ContentPart
from sessions_app.files.file_store import FileFacts

PATH = "/api/files/"
_OURS = re.compile(r"/(?:[\w.~%!$&'()*+,;=:@-]+/)*api/files/([0-9a-f-]{36})")
"""A path without a host: one with a host is somebody else's, however it ends. Browsers take a backslash for a slash,
and leave out a tab: with these, too, a host could begin here.
"""


def url_of(file_id: uuid.UUID, root_path: str = "") -> str:
    """Where the bytes of a file are, on this host."""
    return f"{root_path}{PATH}{file_id}"


def file_of(part: ContentPart) -> uuid.UUID | None:
    """The file that a content part means, None for one that means none."""
    match part:
        case {"type": "file", "file": {"file_id": str(file_id)}}:
            return _parsed(file_id)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            found = _OURS.fullmatch(url)
            return _parsed(found[1]) if found else None
    return None


def is_dangling(part: ContentPart) -> bool:
    """Whether a part means something of ours that no file can be."""
    if part.get("type") == "image_url":
        url = str(part["image_url"]["url"])
        return url.startswith("/") and not url.startswith("//") and file_of(part) is None
    return part.get("type") == "file" and file_of(part) is None


def files_in(content: Content) -> Iterator[uuid.UUID]:
    """The files that are meant in the content of a message."""
    if not isinstance(content, str):
        yield from filter(None, map(file_of, content))


def with_facts(parts: Iterable[ContentPart], known: Mapping[uuid.UUID, FileFacts]) -> list[dict[str, Any]]:
    """The parts as they are stored."""
    return [_with_facts(part, known) for part in parts]


def _with_facts(part: ContentPart, known: Mapping[uuid.UUID, FileFacts]) -> dict[str, Any]:
    file_id = file_of(part)
    if file_id is None:
        return dict(part)
    facts = known[file_id]
    told = {"file_id": str(file_id), "name": facts.name, "type": facts.kind.type, "size": facts.size}
    kind = str(part["type"])
    return {"type": kind, kind: {**part[kind], **told}}


def _parsed(text: str) -> uuid.UUID | None:
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None  # only as it was given
