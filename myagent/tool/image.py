"""`Image`: a picture that a tool returns, and the values of other libraries that are pictures."""

from __future__ import annotations

import base64
import binascii
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from myagent.i18n import gettext as _

MEDIA_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What models and browsers show. No SVG: that is a document, with scripts."""
MAX_PICTURE_BYTES = 512 * 1024
"""Of all pictures of one result: clients are sent them in one frame, and many read frames of 1 MiB at most."""
_STARTS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in the result of a tool: return it alone, in a list or a dict, or as `ToolResult(images=[…])`.

    `data` are the bytes of a PNG, JPEG, GIF or WebP, or their base64. `media_type` is told by the bytes where it is not
    given. Raises `ValueError` for anything else.
    """

    data: bytes
    media_type: str = ""

    def __post_init__(self) -> None:
        given: Any = self.data
        content = _from_base64(given) if isinstance(given, str) else bytes(given)
        media_type = self.media_type or picture_type(content)
        if media_type not in MEDIA_TYPES:
            known = ", ".join(MEDIA_TYPES)
            raise ValueError(f"Image(media_type={media_type!r}): it should be one of {known}.")
        object.__setattr__(self, "data", content)
        object.__setattr__(self, "media_type", media_type)

    @property
    def base64(self) -> str:
        """The bytes as text."""
        return base64.b64encode(self.data).decode()

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:{self.media_type};base64,{self.base64}"

    def __str__(self) -> str:
        """What stands for it where there is only text."""
        size = _pixels(self.data)
        pixels = f" {size[0]}x{size[1]}" if size else ""
        return f"[image {self.media_type}{pixels}, {max(1, round(len(self.data) / 1024))} KB]"

    def __repr__(self) -> str:
        return f"Image({self.media_type}, {len(self.data)} bytes)"


def as_image(value: Any) -> Image | None:
    """The picture that `value` is, None for anything else; may run code of its library."""
    match value:
        case Image():
            return value
        case str():
            return _from_url(value) if value.startswith("data:image/") else None
        case bytes() | bytearray() | memoryview():
            content = bytes(value)
            return Image(content) if picture_type(content) else None
        case Mapping():
            return _from_part(value)
    kind = type(value)
    if hasattr(kind, "getbands") and hasattr(kind, "save"):  # Pillow
        return _from_pillow(value)
    figure: Any = getattr(value, "figure", None) if hasattr(kind, "plot") else value
    if hasattr(type(figure), "savefig"):  # matplotlib, and what is drawn with it
        return Image(_saved(lambda file: figure.savefig(file, format="png")))
    if hasattr(kind, "model_fields") and getattr(value, "type", None) == "image":  # the content of an MCP tool
        return _from_part({"type": "image", "data": value.data, "mimeType": getattr(value, "mimeType", "")})
    return None


def too_large(image: Image) -> str:
    """What the model and people are told of a picture that is not kept."""
    words = _("%(image)s is too large to be shown: a result may have %(limit)d KB of pictures. Save it smaller.")
    return words % {"image": str(image).strip("[]"), "limit": MAX_PICTURE_BYTES // 1024}


def _from_pillow(picture: Any) -> Image:
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        picture = picture.convert("RGB")
    image = Image(_saved(lambda file: picture.save(file, format="PNG")))
    if len(image.data) > MAX_PICTURE_BYTES and picture.mode in ("L", "RGB"):
        image = Image(_saved(lambda file: picture.save(file, format="JPEG", quality=_JPEG_QUALITY)))
    return image


def _saved(save: Any) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def _from_part(part: Mapping[Any, Any]) -> Image | None:
    """The picture of a content part as OpenAI's, Anthropic's and MCP's tools return it."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}} | {
            "type": "image_url" | "input_image",
            "image_url": str(url),
        }:
            return _from_url(url)
        case {"type": "image", "source": {"type": "base64", "data": str(data)}}:
            return _from_text(data)
        case {"type": "image", "data": str(data)}:
            return _from_text(data)
    return None


def _from_url(url: str) -> Image | None:
    head, _comma, data = url.partition(",")
    return _from_text(data) if head.endswith(";base64") else None


def _from_text(data: str) -> Image | None:
    try:
        return Image(data)  # type: ignore[arg-type]  # base64
    except ValueError:
        return None


def _from_base64(text: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("Image(data=…): it should be the bytes of a picture, or their base64.") from error


def picture_type(content: bytes) -> str:
    """The media type of the picture that begins with these bytes, empty for what is none of `MEDIA_TYPES`."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _STARTS if content.startswith(start)), "")


def _pixels(content: bytes) -> tuple[int, int] | None:
    """Width and height, where they are easily found."""
    try:
        if content.startswith(b"\x89PNG"):
            width, height = struct.unpack(">II", content[16:24])
            return width, height
        if content.startswith(b"GIF8"):
            width, height = struct.unpack("<HH", content[6:10])
            return width, height
        return _pixels_of_jpeg(content) if content.startswith(b"\xff\xd8") else None
    except struct.error:
        return None


def _pixels_of_jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = struct.unpack(">BH", content[at + 1 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
