"""A session that is made from an exported one, and what is exported of a session."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from myagent.messages import Message, ToolCall
from myagent.protocol.error_codes import ProtocolError
from sessions_app import models, queries
from sessions_app.journal.entries.restore import OpenThread, RestoreSession
from sessions_app.journal.entries.sessions import CancelRuns, DeleteSession
from sessions_app.state_export import reader as exports
from sessions_app.state_export.seal import LIMIT_BYTES, size_of, unseal
from tests.support import entries as e

pytestmark = e.database

CALL = ToolCall(id="call_1", name="weather", arguments="{}")
HISTORY = [
    Message.user([{"type": "text", "text": "How is it?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]),
    Message.assistant("", [CALL]),
    Message.tool("sunny", tool_call_id="call_1"),
    Message.assistant("It is sunny."),
]


def restore(**changes) -> uuid.UUID:
    session_id = uuid.uuid4()
    given = {
        "agent": "tester",
        "user_id": None,
        "connection_id": "c",
        "title": "A trip",
        "metadata": {"page": 1},
        "new_run_id": uuid.uuid4(),
        "messages": HISTORY,
        "tool_state": {"words": ["a"]},
        "steps": 2,
    }
    assert e.commit_one(RestoreSession(session_id=session_id, **(given | changes))) is None
    return session_id


def exported(session_id, user=None):
    saved, sealed = exports.export(session_id, user)
    assert unseal(sealed, user=user, now=datetime.now(UTC)) == saved
    assert size_of(sealed) <= LIMIT_BYTES
    e.assert_model_takes(saved.messages)
    return saved


# --- restoring ---


def test_the_new_session_holds_what_was_exported():
    session_id = restore()
    conversation = queries.conversation(session_id)
    assert conversation.messages == HISTORY
    assert conversation.state == {"words": ["a"]}
    session = models.Session.objects.get(pk=session_id)
    assert (session.title, session.metadata, session.last_position) == ("A trip", {"page": 1}, 4)
    assert [frame["event"] for frame in e.events(session_id)] == ["agent.session_created"]
    run = models.Run.objects.get(session_id=session_id)
    assert (run.status, run.steps, run.owner) == ("succeeded", 2, "")
    assert run.finished_at is not None


def opening(thread, *words):
    given = {"session_id": uuid.uuid4(), "agent": "tester", "user_id": None, "connection_id": "c", "thread": thread}
    return OpenThread(**given, new_run_id=uuid.uuid4(), messages=[Message.user(text) for text in words])


def test_of_those_that_open_a_thread_at_once_one_brings_its_history():
    entries = [opening("t-1", words) for words in ("a", "b", "c")]
    assert e.commit(*entries) == [entries[0].session_id] * 3
    assert e.commit_one(opening("t-1", "d")) == entries[0].session_id
    assert queries.conversation(entries[0].session_id).messages == [Message.user("a")]
    empty = opening("t-2")
    assert e.commit(empty, opening("t-2", "late")) == [empty.session_id] * 2
    assert queries.conversation(empty.session_id).messages == []
    nameless = [opening(None, "a") for _ in range(2)]
    assert e.commit(*nameless) == [one.session_id for one in nameless]


def test_the_conversation_goes_on_behind_the_restored_history():
    session_id = restore()
    ref = e.running(session_id, "and tomorrow?")
    e.commit_one(e.answer(ref, "Rain."))
    assert [text for _, text in e.history(session_id)] == [
        "How is it?", "", "sunny", "It is sunny.", "and tomorrow?", "Rain.",
    ]  # fmt: skip
    assert e.names(session_id) == ["user.message", "agent.final_answer"]


def test_an_empty_history_needs_no_run():
    session_id = restore(messages=[], tool_state={})
    assert not models.Run.objects.filter(session_id=session_id).exists()
    assert e.history(session_id) == []
    assert e.running(session_id).history_end == 0


def test_several_in_one_batch_with_others():
    first, second = uuid.uuid4(), uuid.uuid4()
    options = {"agent": "tester", "user_id": None, "connection_id": "c", "messages": HISTORY}
    e.commit(
        RestoreSession(session_id=first, new_run_id=uuid.uuid4(), **options),
        RestoreSession(session_id=second, new_run_id=uuid.uuid4(), **options),
        CancelRuns(session_id=first),
        DeleteSession(session_id=second),
    )
    assert queries.conversation(first).messages == HISTORY
    assert queries.session_facts(second, None) is None
    assert not models.Message.objects.filter(session_id=second).exists()


def test_what_is_restored_is_exported_alike():
    first = exported(restore())
    assert first.messages == HISTORY
    again = exported(restore(messages=first.messages, tool_state=first.tool_state, steps=first.step))
    assert (again.messages, again.tool_state, again.step, again.title) == (
        first.messages, first.tool_state, first.step, first.title,
    )  # fmt: skip


# --- exporting ---


def test_an_empty_session():
    session_id = e.new_session(title="Nothing", metadata={"a": 1})
    saved = exported(session_id, "ann")
    assert (saved.session_id, saved.user, saved.agent, saved.title) == (session_id, "ann", "tester", "Nothing")
    assert (saved.metadata, saved.tool_state, saved.messages) == ({"a": 1}, {}, [])
    assert (saved.last_seq, saved.step, saved.is_cut, saved.is_answered) == (1, 0, False, True)


def test_messages_calls_and_state():
    session_id = e.new_session()
    ref, call = e.running(session_id, "weather?"), e.call_of(city="北京")
    first = e.commit_one(e.reply(ref, call))
    e.commit(e.result(ref, call, first, "sunny", state={"seen": ["北京"]}), e.answer(ref, "It is sunny."))
    saved = exported(session_id)
    assert [(message.role, message.text) for message in saved.messages] == e.history(session_id)
    assert saved.messages[1].tool_calls[0].id == saved.messages[2].tool_call_id == call.call_id
    assert (saved.tool_state, saved.step, saved.is_answered) == ({"seen": ["北京"]}, 1, True)
    assert saved.last_seq == len(e.events(session_id))


def test_a_run_that_goes_on_is_in_it_with_its_calls_closed(in_english):
    session_id = e.new_session()
    ref, done, open_call = e.running(session_id, "both"), e.call_of(0), e.call_of(1, waits=True)
    first = e.commit_one(e.reply(ref, done, open_call))
    e.commit(e.question(ref, open_call), e.result(ref, done, first, "sunny"))
    before = e.events(session_id)
    saved = exported(session_id)
    assert [message.role for message in saved.messages] == ["user", "assistant", "tool", "tool"]
    assert saved.messages[2].text == "sunny" and "unknown" in saved.messages[3].text
    assert (saved.step, saved.is_answered) == (1, False)
    assert e.events(session_id) == before, "an export changes nothing"
    assert models.ToolCall.objects.get(pk=open_call.step_id).status == "confirming"


def test_messages_that_wait_are_in_it():
    session_id = e.new_session()
    e.running(session_id, "first")
    e.post(session_id, "second")
    e.post(session_id, "third")
    saved = exported(session_id)
    assert [message.text for message in saved.messages] == ["first", "second", "third"]
    assert not saved.is_answered


def test_a_large_history_is_cut_to_whole_exchanges():
    session_id = e.new_session()
    for number in range(150):
        ref, call = e.running(session_id, f"question {number}"), e.call_of()
        first = e.commit_one(e.reply(ref, call))
        e.commit(e.result(ref, call, first, '"' * 1500), e.answer(ref, f"answer {number}"))
    saved = exported(session_id)
    assert saved.is_cut
    assert 40 < len(saved.messages) < 4 * 150 and len(saved.messages) % 4 == 0
    assert saved.messages[0].text == f"question {150 - len(saved.messages) // 4}"
    assert saved.messages[-1].text == "answer 149"


def test_a_history_of_many_pages_that_has_room_is_whole():
    session_id = e.new_session()
    for number in range(130):
        e.commit_one(e.answer(e.running(session_id, f"{number}"), f"answer {number}"))
    saved = exported(session_id)
    assert (len(saved.messages), saved.is_cut) == (260, False)
    assert [message.text for message in saved.messages[:2]] == ["0", "answer 0"]


def test_what_tools_keep_must_fit():
    session_id = restore(tool_state={"much": "x" * LIMIT_BYTES})
    with pytest.raises(ProtocolError) as raised:
        exports.export(session_id, None)
    assert raised.value.code == "state_too_large"


def test_a_session_that_is_gone():
    with pytest.raises(queries.SessionGone):
        exports.export(uuid.uuid4(), None)


def test_what_changes_while_it_is_read_is_read_again(monkeypatch):
    session_id = e.new_session()
    e.commit_one(e.answer(e.running(session_id, "first"), "one"))
    newest, reads = exports._newest, []

    def read(asked):
        found = newest(asked)
        if not reads:
            e.commit_one(e.answer(e.running(session_id, "second"), "two"))
        reads.append(len(found[0]))
        return found

    monkeypatch.setattr(exports, "_newest", read)
    saved = exported(session_id)
    assert reads == [2, 4]
    assert (len(saved.messages), saved.last_seq) == (4, 5)


def test_a_session_that_never_rests_is_exported_all_the_same(monkeypatch):
    session_id = e.new_session()
    newest = exports._newest
    monkeypatch.setattr(
        exports, "_newest", lambda asked: (e.commit_one(e.answer(e.running(session_id), "x")), newest(asked))[1]
    )
    assert len(exported(session_id).messages) == 2 * exports._ATTEMPTS


def test_the_extent_of_a_session():
    session_id = restore()
    assert exports.extent(session_id) == exports.Extent(4, 2, is_open=True)
    assert exports.extent(uuid.uuid4()) == exports.Extent(0, 0, is_open=False)
