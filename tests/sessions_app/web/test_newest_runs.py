"""Of a long conversation the newest runs are kept, at each door that tells it as a whole."""

from __future__ import annotations

import pytest

from sessions_app.web import newest_runs
from sessions_app.web.agui.thread_messages import ThreadMessages
from sessions_app.web.chat.ui_messages import UiMessages
from tests.support.run_logs import final, said


@pytest.fixture(autouse=True)
def little_room(monkeypatch):
    monkeypatch.setattr(newest_runs, "MAX_SNAPSHOT_BYTES", 3_000)
    monkeypatch.setattr(newest_runs, "_READ_BYTES", 6_000)


def log(runs, size=1_000, unfinished=(), kind="run"):
    """Runs one after the other, each with a question and an answer of this size."""
    for number in range(runs):
        name = f"{kind}-{number}"
        yield said(f"{number} " + "q" * size, f"m-{number}", name)
        if number not in unfinished:
            end = final(f"{number} " + "a" * size)
            yield {**end, "metadata": {**end["metadata"], "run_id": name}}


def begins(texts):
    return [text.split()[0] for text in texts]


def test_a_thread_holds_its_newest_runs_and_those_that_are_wanted_or_going_on():
    thread = ThreadMessages("run-1")
    for frame in log(20, unfinished=(4,)):
        thread.take(frame)
    assert list(thread.runs) == ["run-1", "run-4", "run-19"]
    assert thread.current.run_id == "run-4"
    end = final("late")
    thread.take({**end, "metadata": {**end["metadata"], "run_id": "run-2"}})
    assert "run-2" not in thread.runs, "nothing of it counts any more"
    assert begins(one["content"] for one in thread.around("run-19", thread.runs["run-19"].messages)) == ["19", "19"]


def test_the_run_that_is_joined_is_shown_whatever_came_behind_it():
    thread = ThreadMessages("run-1")
    for frame in log(20):
        thread.take(frame)
    shown = thread.around("run-1", thread.runs["run-1"].messages)
    assert begins(one["content"] for one in shown) == ["1", "1"]
    little = [{"content": "1 little"}]
    assert begins(one["content"] for one in thread.around("run-1", little)) == ["1", "19", "19"]


def test_a_chat_shows_its_newest_messages_and_the_last_one_whatever_it_takes():
    chat = UiMessages()
    for frame in log(20):
        chat.take(frame)
    assert len(chat._said) < 10
    assert begins(one["parts"][-1]["text"] for one in chat.messages) == ["19", "19"]
    for frame in log(1, size=9_000, kind="long"):
        chat.take(frame)
    assert begins(one["parts"][-1]["text"] for one in chat.messages) == ["0"]
    assert UiMessages().messages == []
