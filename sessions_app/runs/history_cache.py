"""A cache of the histories of recently used sessions, so that their next run need not read them."""

from __future__ import annotations

import uuid
from collections import OrderedDict

import orjson

from agents.database.threads import in_thread_patiently
from myagent.messages import Message
from sessions_app import queries
from sessions_app.journal.entry import RunRef
from sessions_app.queries import Conversation

MAX_CHARACTERS = 16_000_000
"""Of text, in all conversations together; the least recently used one is dropped first."""


class RecentConversations:
    """A conversation is kept with the position of its last message, and returned only for that position.

    Positions only rise, and the journal tells a run, under its lock, where the history ended before it. So a message
    that any process has written meanwhile makes the cached history unused, never wrong.
    """

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._kept: OrderedDict[uuid.UUID, tuple[int, int, Conversation]] = OrderedDict()

    async def conversation(self, ref: RunRef, message: Message | None, *, summarized: bool) -> Conversation:
        """The conversation of a run with the message to answer at its end: from the cache, else read.

        `message` is that message, if it need not be read; with `summarized`, summaries replace what they sum up.
        """
        if ref.history_end is not None and message is not None:
            known = self.recall(ref.session_id, ref.history_end)
            if known is not None:
                known.messages.append(message)
                return known
        return await in_thread_patiently(queries.conversation, ref.session_id, summarized=summarized)

    def remember(self, session_id: uuid.UUID, history_end: int, conversation: Conversation) -> None:
        self._forget(session_id)
        size = _count(conversation) + len(conversation.summary)
        size += len(orjson.dumps(conversation.state)) if conversation.state else 0
        if size > self._max_characters:
            return
        self._kept[session_id] = history_end, size, conversation
        self._characters += size
        while self._characters > self._max_characters:
            self._forget(next(iter(self._kept)))

    def recall(self, session_id: uuid.UUID, history_end: int) -> Conversation | None:
        """The conversation, if its history still ends at `history_end`. It is returned once."""
        kept = self._kept.get(session_id)
        self._forget(session_id)
        return kept[2] if kept is not None and kept[0] == history_end else None

    def _forget(self, session_id: uuid.UUID) -> None:
        if (kept := self._kept.pop(session_id, None)) is not None:
            self._characters -= kept[1]


def _count(conversation: Conversation) -> int:
    """The characters of its messages; those that were counted before are not counted again."""
    count, size = conversation.counted
    size += sum(_characters(message) for message in conversation.messages[count:])
    conversation.counted = len(conversation.messages), size
    return size


def _characters(message: Message) -> int:
    # A picture in a message is text as well: a data URL.
    parts = 0 if isinstance(message.content, str) else sum(len(str(part)) for part in message.content)
    added = message.provider_data.size if message.provider_data is not None else 0
    return len(message.text) + parts + added + sum(len(call.arguments) for call in message.tool_calls) + 200
