"""What a message says of the form of its answer: only where its agent accepts that, and only what can be checked."""

from __future__ import annotations

from typing import Any

from myagent.agent import Agent
from myagent.i18n import gettext as _
from myagent.protocol.error_codes import ErrorCode, ProtocolError
from myagent.tool.output_schema import strangers_schema_problem


def accepted_schema(agent: Agent, schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """`schema`, to be stored with the run. Raises `ProtocolError` where it cannot be taken."""
    if schema is None:
        return None
    if "output_schema" not in agent.accepts:
        words = _("This agent takes no output_schema with a message.")
        raise ProtocolError(ErrorCode.UNSUPPORTED_TYPE, words)
    if (problem := strangers_schema_problem(schema)) is not None:
        words = _("output_schema: %(problem)s.") % {"problem": problem}
        raise ProtocolError(ErrorCode.BAD_FIELD, words)
    return schema
