"""The storage in the database: every process has its files, and so has every backup."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from django.core.files.base import File
from django.core.files.storage import Storage
from django.db.models.functions import Length
from django.utils.deconstruct import deconstructible

from sessions_app.models import FileChunk

CHUNK_BYTES = 64 * 1024
CHUNKS_PER_COMMIT = 16
"""Rows that are written at once: other writers, who wait on SQLite, come between."""


@deconstructible
class DatabaseStorage(Storage):
    """One of Django's storages, whose files are rows of `FileChunk`. Files are written once and never changed."""

    def _save(self, name: str, content: File) -> str:
        rows: list[FileChunk] = []
        for number, piece in enumerate(_pieces(content)):
            rows.append(FileChunk(name=name, number=number, data=piece))
            if len(rows) == CHUNKS_PER_COMMIT:
                FileChunk.objects.bulk_create(rows)
                rows = []
        FileChunk.objects.bulk_create(rows)
        return name

    def _open(self, name: str, mode: str = "rb") -> File:
        if mode != "rb":
            raise ValueError(f"{mode!r}: files in the database are only read, as 'rb'.")
        if not self.exists(name):
            raise FileNotFoundError(name)
        return File(io.BufferedReader(_ChunkReader(name), CHUNK_BYTES), name)

    def delete(self, name: str) -> None:
        rows = FileChunk.objects.filter(name=name)
        rows._raw_delete(rows.db)

    def exists(self, name: str) -> bool:
        return FileChunk.objects.filter(name=name, number=0).exists()

    def size(self, name: str) -> int:
        return sum(FileChunk.objects.filter(name=name).annotate(size=Length("data")).values_list("size", flat=True))


def _pieces(content: File) -> Iterator[bytes]:
    """The content in pieces of one size; one empty piece of an empty file, so that it exists."""
    content.seek(0)
    piece = content.read(CHUNK_BYTES)
    yield piece
    while piece := content.read(CHUNK_BYTES):
        yield piece


class _ChunkReader(io.RawIOBase):
    """The bytes of one file, of which a row is read at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = 0
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            found = FileChunk.objects.filter(name=self._name, number=self._next).values_list("data", flat=True).first()
            self._left, self._next = bytes(found or b""), self._next + 1
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)
