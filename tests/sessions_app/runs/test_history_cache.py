"""What is remembered of conversations is never older than what is stored."""

from __future__ import annotations

import uuid

import pytest

from myagent.messages import Message
from sessions_app.queries import Conversation
from sessions_app.runs.history_cache import RecentConversations

SESSION = uuid.uuid4()


def conversation(text: str = "hi") -> Conversation:
    return Conversation([Message.user(text)], {}, None)


def test_a_conversation_is_recalled_where_it_ended():
    recent = RecentConversations()
    kept = conversation()
    recent.remember(SESSION, 4, kept)
    assert recent.recall(SESSION, 4) is kept


def test_it_is_useless_once_somebody_else_has_written():
    recent = RecentConversations()
    recent.remember(SESSION, 4, conversation())
    assert recent.recall(SESSION, 5) is None


def test_it_is_handed_out_once():
    recent = RecentConversations()
    recent.remember(SESSION, 4, conversation())
    recent.recall(SESSION, 4)
    assert recent.recall(SESSION, 4) is None


def test_the_one_used_longest_ago_makes_room():
    recent = RecentConversations(max_characters=1_000)
    old, new = uuid.uuid4(), uuid.uuid4()
    recent.remember(old, 1, conversation("x" * 300))
    recent.remember(new, 1, conversation("y" * 300))
    assert recent.recall(old, 1) is not None
    recent.remember(old, 1, conversation("x" * 700))
    assert recent.recall(new, 1) is None
    assert recent.recall(old, 1) is not None


@pytest.mark.parametrize(("state", "summary"), [({"document": "x" * 1_000}, ""), ({}, "x" * 1_000)])
def test_all_that_is_kept_counts(state, summary):
    recent = RecentConversations(max_characters=1_500)
    other = uuid.uuid4()
    recent.remember(other, 1, conversation())
    recent.remember(SESSION, 1, Conversation([Message.user("hi")], state, None, summary))
    assert recent.recall(other, 1) is not None
    recent.remember(SESSION, 1, Conversation([Message.user("hi")], state, None, summary))
    recent.remember(other, 1, Conversation([Message.user("hi")], state, None, summary))
    assert recent.recall(SESSION, 1) is None


def test_what_is_too_large_takes_the_place_of_nothing():
    recent = RecentConversations(max_characters=1_000)
    other = uuid.uuid4()
    recent.remember(other, 1, conversation())
    recent.remember(SESSION, 1, conversation("x" * 2_000))
    assert (recent.recall(SESSION, 1), recent.recall(other, 1) is None) == (None, False)


def test_pictures_count():
    recent = RecentConversations(max_characters=1_000)
    picture = {"type": "image_url", "image_url": {"url": "data:" + "x" * 1_000}}
    recent.remember(SESSION, 1, Conversation([Message.user([picture])], {}, None))
    assert recent.recall(SESSION, 1) is None
