"""What a file is, told by its bytes and not by who sends it: a picture, a text, a PDF, or anything else."""

from __future__ import annotations

import codecs
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from myagent.loop.context_window import TEXT_TYPES
from myagent.tool.image import MEDIA_TYPES, picture_type

PDF = "application/pdf"
UNKNOWN = "application/octet-stream"
ENCODINGS = ("utf-8", "gb18030")
"""What texts are read as, the first that fits; the second one is that of Chinese Windows (GBK) and all beyond it."""
_READ_BYTES = 256 * 1024
_PICTURE_NAMES = {"image/jpg", "image/pjpeg", "image/x-png", *MEDIA_TYPES}
_NOT_IN_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"


@dataclass(frozen=True, slots=True)
class FileKind:
    """The media type of a file, and the encoding of a text."""

    type: str
    encoding: str = ""

    @property
    def is_picture(self) -> bool:
        """Whether models and browsers show it."""
        return self.type in MEDIA_TYPES

    @property
    def is_text(self) -> bool:
        return bool(self.encoding)


def kind_of(file: IO[bytes], name: str) -> FileKind:
    """What is in `file`, which is read to its end; of a text, `name` tells which kind of text."""
    file.seek(0)
    head = file.read(16)
    if picture := picture_type(head):
        return FileKind(picture)
    if head.startswith(b"%PDF-"):
        return FileKind(PDF)
    encoding = next((encoding for encoding in ENCODINGS if _is_text(file, encoding)), "")
    return FileKind(_text_type(name), encoding) if encoding else FileKind(UNKNOWN)


def claims_picture(name: str, declared: str) -> bool:
    """Whether a file goes for a picture of a kind that is shown, by its name or by what its sender says."""
    guessed, _encoding = mimetypes.guess_type(name)
    return declared.partition(";")[0].strip().lower() in _PICTURE_NAMES or guessed in _PICTURE_NAMES


def _is_text(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in _pieces(file):
            if len(piece.translate(None, _NOT_IN_TEXT)) != len(piece):
                return False
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_READ_BYTES):
        yield piece


def _text_type(name: str) -> str:
    guessed, compression = mimetypes.guess_type(name)
    if guessed is None or compression is not None or not (guessed.startswith("text/") or guessed in TEXT_TYPES):
        return "text/plain"
    return guessed
