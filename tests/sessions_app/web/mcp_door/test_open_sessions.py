"""Sessions of MCP: nobody takes up the room of others."""

from __future__ import annotations

from sessions_app.web.mcp_door.open_sessions import IDLE_SECONDS, OpenSessions


def test_the_least_recently_used_session_ends_for_a_new_one():
    sessions = OpenSessions(2, lambda: 0.0)
    assert sessions.use("ann", "1") is None
    assert sessions.use("ann", "2") is None
    assert sessions.use("ann", "1") is None
    assert sessions.use("bob", "3") is None, "others do not count"
    assert sessions.use("ann", "4") == "2"
    sessions.end("ann", "4")
    sessions.end("ann", "unknown")
    assert sessions.use("ann", "5") is None
    assert len(sessions) == 3


def test_idle_ones_are_forgotten():
    now = [0.0]
    sessions = OpenSessions(2, lambda: now[0])
    for number in range(50):
        sessions.use(f"user {number}", "1")
    now[0] = IDLE_SECONDS + 1
    sessions.use("ann", "1")
    assert len(sessions) == 1
