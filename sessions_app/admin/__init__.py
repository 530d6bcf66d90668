"""Agents in the admin, and conversations: these to be looked at, never changed. The journal alone writes them."""

from sessions_app.admin import agents, event_log, messages, runs, sessions, spans, tool_calls

__all__ = ["agents", "event_log", "messages", "runs", "sessions", "spans", "tool_calls"]
