"""The admin pages of agents, and of conversations. The latter are read-only: only the journal writes them."""

from sessions_app.admin import agents, event_log, messages, runs, session_files, sessions, spans, tool_calls

__all__ = ["agents", "event_log", "messages", "runs", "session_files", "sessions", "spans", "tool_calls"]
