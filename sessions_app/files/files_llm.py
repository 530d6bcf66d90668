"""A model that is sent the files of a conversation: messages only name them until a request is built."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from agents.database.threads import in_thread_patiently
from myagent.llm import LLM, Chunk, ToolSchema
from myagent.llm.wrapped_llm import WrappedLLM
from myagent.loop.context_window import FILE_TEXT_BYTES
from myagent.messages import ContentPart, Message
from myagent.tool.image import Image
from sessions_app.files import file_store
from sessions_app.files.file_parts import file_of, files_in
from sessions_app.files.file_store import FileFacts

logger = logging.getLogger("myagent.files")

PICTURE_BYTES = 20 * 1024 * 1024
"""Of the pictures of one request. The newest are sent; of the others the model is told that they were there."""


class FilesLLM(WrappedLLM):
    """The model of one run of a session. What it is sent names no file of any other session."""

    def __init__(self, llm: LLM, session_id: uuid.UUID) -> None:
        super().__init__(llm)
        self._session_id = session_id
        self._known: dict[uuid.UUID, FileFacts] = {}
        self._parts: dict[uuid.UUID, ContentPart] = {}

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = (), tool_choice: str | None = None
    ) -> AsyncGenerator[Chunk]:
        """Put the files in, if there are any."""
        wanted = {file_id for message in messages for file_id in _files_in(message)}
        if not wanted:
            return super().stream(messages, tools=tools, tool_choice=tool_choice)
        return self._with_files(wanted, messages, tools, tool_choice)

    async def _with_files(
        self,
        wanted: set[uuid.UUID],
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        tool_choice: str | None,
    ) -> AsyncGenerator[Chunk]:
        if unknown := wanted - self._known.keys():
            found = await in_thread_patiently(file_store.files_of, self._session_id, unknown)
            self._known |= {facts.id: facts for facts in found}
        filled: list[Message] = []
        room = PICTURE_BYTES
        for message in reversed(messages):
            if any(True for _ in _files_in(message)):
                message, room = await self._filled(message, room)
            filled.append(message)
        async with aclosing(super().stream(filled[::-1], tools=tools, tool_choice=tool_choice)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _filled(self, message: Message, room: int) -> tuple[Message, int]:
        parts: list[ContentPart] = []
        for part in message.content:
            assert not isinstance(part, str)  # a message with files is a list of parts
            if (file_id := file_of(part)) is None:
                parts.append(part)
                continue
            facts = self._known.get(file_id)
            if facts is not None and facts.kind.is_picture:
                room -= facts.size
            parts.append(await self._part(file_id, facts, has_room=room >= 0))
        return replace(message, content=parts), room

    async def _part(self, file_id: uuid.UUID, facts: FileFacts | None, *, has_room: bool) -> ContentPart:
        if facts is None:
            return _text("[A file was here that is not there any more.]")
        if not has_room and facts.kind.is_picture:
            return _text(f"[The picture {facts.name!r} was here; too many came after it.]")
        if file_id not in self._parts:
            try:
                self._parts[file_id] = await in_thread_patiently(_part_for_model, facts)
            except OSError as error:
                logger.warning("The file %s of session %s cannot be read (%s).", file_id, self._session_id, error)
                return _text(f"[The file {facts.name!r} cannot be read at the moment.]")
        return self._parts[file_id]


def _files_in(message: Message) -> list[uuid.UUID]:
    if message.role != "user" or isinstance(message.content, str):
        return []
    return list(files_in(message.content))


def _part_for_model(facts: FileFacts) -> ContentPart:
    """What the model is sent in the place of a file. Blocking."""
    kind = facts.kind
    if kind.is_picture:
        return {"type": "image_url", "image_url": {"url": Image(file_store.read(facts), kind.type).url}}
    if not kind.is_text:
        return _text(f"[The file {facts.name!r} ({kind.type}, {facts.size:,} bytes), which only tools can read.]")
    content = file_store.read(facts, FILE_TEXT_BYTES)
    text = content.decode(kind.encoding, errors="ignore").removeprefix("\ufeff")
    cut = f"\n[… cut off; the file has {facts.size:,} bytes]" if facts.size > len(content) else ""
    return _text(f"[The file {facts.name!r}:]\n{text}{cut}\n[The end of {facts.name!r}]")


def _text(words: str) -> ContentPart:
    return {"type": "text", "text": words}
