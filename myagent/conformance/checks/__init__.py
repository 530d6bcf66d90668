"""The rules, a file for what they are about."""

from __future__ import annotations

from myagent.conformance.checks import (
    cancels,
    confirmations,
    connections,
    conversations,
    isolation,
    refusals,
    replay,
    states,
)
from myagent.conformance.verdict import Check

_FILES = (connections, refusals, conversations, replay, cancels, confirmations, states, isolation)
CHECKS = tuple(rule for file in _FILES for rule in vars(file).values() if isinstance(rule, Check))
"""All of them, in the order of the report."""
