"""Whether this process takes one more connection, by whichever door."""

from __future__ import annotations

import logging

from myagent.protocol.error_codes import ErrorCode
from sessions_app.engine import Engine

logger = logging.getLogger("myagent.connections")


def why_full(engine: Engine) -> str:
    """Why no further connection is accepted; empty while there is room."""
    if engine.memory_watch.is_scarce:
        return ErrorCode.BUSY
    limit = engine.config.max_connections
    if len(engine.connections) < limit:
        return ""
    logger.warning("Refused a connection: %d are open already (MAX_CONNECTIONS).", limit)
    return "too many connections"
