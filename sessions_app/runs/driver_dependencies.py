"""What the drivers of a process share."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from agents.tool_runner.tool_runner import ToolRunner
from myagent.protocol.server_base import ServerEvent
from sessions_app.journal.writer import Journal
from sessions_app.runs.history_cache import RecentConversations

Tell = Callable[[uuid.UUID, Callable[[], ServerEvent]], None]
"""Sends an event that is not logged to the connections that follow a session; it is made for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverDependencies:
    """What all drivers of this process share. `delta_interval` is in seconds."""

    journal: Journal
    tool_runner: ToolRunner
    recent: RecentConversations
    tell: Tell
    delta_interval: float
    max_output_bytes: int
