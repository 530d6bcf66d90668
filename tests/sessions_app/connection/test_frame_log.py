"""Frames as the log shows them when everything is logged."""

from __future__ import annotations

import pytest

from sessions_app.connection.frame_log import frame_line

SESSION = "0f5a7d7c-98bd-4a8c-9c51-7bb2bb0e8f11"


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ('{"event": "user.create_session", "timestamp": "2024-01-01T12:00:00Z"}', "user.create_session"),
        (
            f'{{"event": "user.message", "session_id": "{SESSION}", "content": "你好\\nAda", "mood": 5}}',
            r'user.message session=0f5a7d7c "你好\nAda" {"mood":5}',
        ),
        (
            f'{{"event": "agent.thinking", "session_id": "{SESSION}", "content": "…", "seq": 3, "event_id": "x",'
            ' "metadata": {"run_id": "6b0ad1f5-0c3d", "step": 1}}',
            'agent.thinking session=0f5a7d7c run=6b0ad1f5 #3 "…" {"step":1}',
        ),
        ('{"event": "user.ack", "session_id": 5, "metadata": 7}', "user.ack 7"),
        ('{"event": "a\\nb", "session_id": "\\u001b[31m"}', r"a\nb session=\x1b[31m"),
        ("[1]", "'[1]'"),
        ("{", "'{'"),
        ('{"event": 5}', """'{"event": 5}'"""),
        (None, "None"),
        (b"\xff", r"b'\xff'"),
    ],
)
def test_what_matters_comes_first(frame, line):
    assert frame_line(frame) == line


def test_what_is_nested_too_deep_to_be_written_is_shown_as_it_came():
    frame = f'{{"event": "user.message", "content": {"[" * 500}{"]" * 500}}}'
    assert frame_line(frame) == repr(frame)
