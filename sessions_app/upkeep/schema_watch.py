"""Notices that a newer version of this program has changed the database's tables under this process."""

from __future__ import annotations

import logging

from agents.database.migrate import newer_schema, unknown_migrations
from agents.database.threads import in_thread

logger = logging.getLogger("myagent.server")


class SchemaWatch:
    """Says so once. What this process cannot store from then on waits for its end (`Journal`)."""

    interval = 60.0

    def __init__(self) -> None:
        self._has_said = False

    async def check(self) -> None:
        """Look for migrations that this program does not know."""
        if not self._has_said and (names := await in_thread(unknown_migrations)):
            self._has_said = True
            logger.warning("❌ %s", newer_schema(names))
