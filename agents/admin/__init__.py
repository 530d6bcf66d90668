"""Tokens, users, groups, budgets and the audit in the admin; that of agents is in `sessions_app`, beside their runs."""

from agents import admin_audit, admin_people, admin_tokens

__all__ = ["admin_audit", "admin_people", "admin_tokens"]
