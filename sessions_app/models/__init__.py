"""Conversations as they are stored. Only the journal (`sessions_app.journal.writer`) writes these tables."""

from sessions_app.models.event import Event
from sessions_app.models.message import Message, Summary
from sessions_app.models.run import Confirmation, Run, ToolCall
from sessions_app.models.session import Session
from sessions_app.models.span import Span

__all__ = ["Confirmation", "Event", "Message", "Run", "Session", "Span", "Summary", "ToolCall"]
