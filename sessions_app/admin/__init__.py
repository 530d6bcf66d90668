"""Conversations in the admin: to be looked at and searched, never changed. The journal alone writes them."""

from sessions_app.admin import calls, events, messages, runs, sessions, spans

__all__ = ["calls", "events", "messages", "runs", "sessions", "spans"]
