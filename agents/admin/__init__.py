"""The admin pages of users and groups, of access tokens, and of the audit log."""

from agents.admin import audit_log, people, tokens

__all__ = ["audit_log", "people", "tokens"]
