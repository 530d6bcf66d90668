"""Parts of messages that are not text. Embedded pictures are shown; linked ones are named and not fetched."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.template.loader import get_template
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from myagent.tool.image import MEDIA_TYPES
from sessions_app.admin.markdown import is_harmless
from sessions_app.admin.show import excerpt
from sessions_app.files.file_parts import file_of
from sessions_app.models import Message

READ_AT_MOST = 8_000_000
"""Characters of parts that are read for one page; a larger message shows them on its own page."""
_DATA = "data:image/"
# By their first bytes, not by what the sender claims. No SVG: that is a document, with scripts.
_KINDS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"))


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message: a picture at `src`, a link to one elsewhere, a file to save, or only a description."""

    words: str
    src: str = ""
    href: str = ""
    file: str = ""


def parts_of(messages: Iterable[Any]) -> dict[int, list[Part]]:
    """The parts of these messages that are not text, by message; one query, without messages too large for a page.

    The messages know the `size` of their parts.
    """
    wanted, room = [], READ_AT_MOST
    for message in messages:
        if message.size is not None and message.size <= room:
            room -= message.size
            wanted.append(message.pk)
    if not wanted:
        return {}
    rows = Message.objects.filter(pk__in=wanted).values_list("pk", "parts")
    return {pk: list(_parts(pk, parts or ())) for pk, parts in rows}


def _parts(pk: int, parts: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    for index, part in enumerate(parts):
        kind = str(part.get("type", ""))
        if kind == "text":
            continue
        url = _url(part)
        if (file_id := file_of(part)) is not None:
            yield _of_file(file_id, part[kind])
        elif url.startswith(_DATA):
            src = reverse("admin:sessions_app_message_picture", args=[pk, index])
            yield Part(words=url[:40].partition(";")[0].removeprefix("data:"), src=src)
        elif is_harmless(url):
            yield Part(words=excerpt(url), href=url)
        else:
            yield Part(words=excerpt(f"{kind} {url}"))


def _of_file(file_id: UUID, facts: Mapping[str, Any]) -> Part:
    """A file that the server keeps: shown if it is a picture, else to be saved, by whoever may see it."""
    at = reverse("admin:sessions_app_sessionfile_content", args=[file_id])
    words = excerpt(str(facts.get("name") or file_id))
    return Part(words=words, src=at) if str(facts.get("type")) in MEDIA_TYPES else Part(words=words, file=at)


def _url(part: Mapping[str, Any]) -> str:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    return url if isinstance(url, str) else ""


def picture(message: Message, index: int) -> HttpResponse:
    """The picture in this part of a message, as a response that a browser can only display. Raises `Http404`."""
    parts = message.parts or []
    url = _url(parts[index]) if index < len(parts) else ""
    try:
        content = base64.b64decode(url.partition(";base64,")[2], validate=True)
    except ValueError as error:
        raise Http404 from error
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    kind = "webp" if is_webp else next((kind for start, kind in _KINDS if content.startswith(start)), None)
    if kind is None:
        raise Http404
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=3600"}
    return HttpResponse(content, content_type=f"image/{kind}", headers=headers)


def shown(message: Message) -> SafeString:
    """The embedded pictures of one message and links to the others, for its own page."""
    parts = [{"part": part} for part in _parts(message.pk, message.parts or ())]
    template = get_template("sessions_app/part.html")
    return mark_safe("".join(map(template.render, parts)) or "-")


def without_pictures(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`parts` with the size of each embedded picture instead of its bytes."""
    return [{name: _shortened(value) for name, value in part.items()} for part in parts]


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, str) and value.startswith("data:") and len(value) > 200:
        return f"{value[:60]}… ({len(value):,})"
    return value
