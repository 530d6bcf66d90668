"""The admin pages of users and groups, of prices and use, of access tokens, of identities, and of the audit log."""

from agents.admin import audit_log, model_prices, people, sso_identities, tokens, use

__all__ = ["audit_log", "model_prices", "people", "sso_identities", "tokens", "use"]
