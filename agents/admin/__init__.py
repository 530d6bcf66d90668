"""The admin pages of users and groups, of access tokens, of identities, and of the audit log."""

from agents.admin import audit_log, people, sso_identities, tokens

__all__ = ["audit_log", "people", "sso_identities", "tokens"]
