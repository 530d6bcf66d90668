"""Conversations as they are stored. Only the journal (`sessions_app.journal.writer`) writes these tables.

The bytes of files are beside them: `sessions_app.files` writes `StoredFile` and `FileChunk`. `Memory` belongs to no
conversation: tools and hooks write it, by `sessions_app.runs.user_memory`.
"""

from sessions_app.models.deleted_thread import DeletedThread
from sessions_app.models.event import Event
from sessions_app.models.memory import Memory
from sessions_app.models.message import Message, Summary
from sessions_app.models.run import Confirmation, Run, ToolCall
from sessions_app.models.session import Session
from sessions_app.models.span import Span
from sessions_app.models.stored_file import FileChunk, SessionFile, StoredFile

__all__ = [
    "Confirmation",
    "DeletedThread",
    "Event",
    "FileChunk",
    "Memory",
    "Message",
    "Run",
    "Session",
    "SessionFile",
    "Span",
    "StoredFile",
    "Summary",
    "ToolCall",
]
