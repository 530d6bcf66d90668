"""The files of a run, for the code of tools, which is on other threads than the server's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from functools import partial

from agents.database.threads import in_thread, in_thread_patiently
from myagent.messages import Message
from myagent.run_context import RunFile
from sessions_app.files import file_store
from sessions_app.files.file_store import FileFacts


async def files_of_run(session_id: uuid.UUID, messages: Sequence[Message], *, may_have_more: bool) -> list[RunFile]:
    """The files of a session. They are asked for only where one of its messages names one, or with `may_have_more`,
    where there are messages beside these.
    """
    if not may_have_more and not any(message.attachments for message in messages):
        return []
    loop = asyncio.get_running_loop()
    found = await in_thread_patiently(file_store.files_of, session_id)
    return [RunFile(facts.name, facts.kind.type, facts.size, partial(_read, loop, facts)) for facts in found]


def _read(loop: asyncio.AbstractEventLoop, facts: FileFacts) -> bytes:
    """Called by tools, whose threads have no connection to the database."""
    return asyncio.run_coroutine_threadsafe(in_thread(file_store.read, facts), loop).result()
