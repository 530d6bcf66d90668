"""The admin pages of agents, of conversations, which only the journal writes, and of what agents remember."""

from sessions_app.admin import agents, event_log, memories, messages, runs, session_files, sessions, spans, tool_calls

__all__ = ["agents", "event_log", "memories", "messages", "runs", "session_files", "sessions", "spans", "tool_calls"]
