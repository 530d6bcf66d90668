"""Errors of runs with what only those who run the server may read: for the connections of the local user.

The log of a session holds what everybody on it may read. The words of the model's endpoint, its address and what to
look at are in the run's row.
"""

from __future__ import annotations

import orjson

from agents.access.decision import Grant
from agents.access.local_user import LOCAL_USERNAME
from agents.conf import Config
from agents.database.threads import in_thread_patiently
from sessions_app import queries

_MARK = '"agent.error"'
# The name of the event stands at the beginning of a frame; what is said in one never does.
_HEAD = 40


def may_read_details(grant: Grant, config: Config) -> bool:
    """Whether a connection is the local user's, who runs the server: by where it comes from, or by the banner's token.

    On a shared database the user of that name is one like any other.
    """
    return grant.kind == "local" or (grant.username == LOCAL_USERNAME and config.embedded_database)


async def with_details(frame: str) -> str:
    """The frame, with the details of a run's error in place of the sentence for everybody."""
    return await _detailed(frame) if _MARK in frame[:_HEAD] else frame


async def _detailed(frame: str) -> str:
    event = orjson.loads(frame)
    run_id = event["metadata"].get("run_id")
    detail = await in_thread_patiently(queries.error_detail, run_id) if run_id else ""
    return orjson.dumps(event | {"content": detail}).decode() if detail else frame
