"""People, tokens, and who did what, in the admin."""

from agents.admin import audit_log, people, tokens

__all__ = ["audit_log", "people", "tokens"]
