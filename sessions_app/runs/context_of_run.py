"""What the tools of a run are told of it."""

from __future__ import annotations

import copy

from myagent.run_context import RunContext, RunFile
from sessions_app.files.run_files import files_of_run
from sessions_app.journal.entry import RunRef
from sessions_app.queries import Conversation
from sessions_app.runs.user_memory import UserMemory


async def context_of_run(ref: RunRef, agent: str, conversation: Conversation, files: list[RunFile]) -> RunContext:
    """The context of a run of `agent`, with a state of its own. Its `files` are this list, which may change."""
    files[:] = await files_of_run(ref.session_id, conversation.messages, may_have_more=conversation.is_cut)
    return RunContext(
        session_id=str(ref.session_id),
        run_id=str(ref.run_id),
        agent=agent,
        user=conversation.username,
        state=copy.deepcopy(conversation.state),
        files=files,
        memory=UserMemory(ref.user_id, agent) if ref.user_id is not None else None,
    )
