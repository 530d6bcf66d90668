"""Agents in the admin, and conversations: these to be looked at, never changed. The journal alone writes them."""

from sessions_app.admin import agents, calls, events, messages, runs, sessions, spans

__all__ = ["agents", "calls", "events", "messages", "runs", "sessions", "spans"]
