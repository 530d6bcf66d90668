"""The rules, a file for what they are about."""

from __future__ import annotations

from myagent.conformance.checks import (
    bad_requests,
    cancels,
    confirmations,
    connections,
    conversations,
    isolation,
    replay,
    states,
)
from myagent.conformance.verdict import Check

_FILES = (connections, bad_requests, conversations, replay, cancels, confirmations, states, isolation)
CHECKS = tuple(rule for file in _FILES for rule in vars(file).values() if isinstance(rule, Check))
"""All of them, in the order of the report."""
