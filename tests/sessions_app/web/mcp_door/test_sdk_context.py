"""Which session of MCP a message is of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sessions_app.web.mcp_door.sdk_context import session_of


def message(version, *, is_checked, **headers):
    return SimpleNamespace(
        protocol_version=version,
        session=SimpleNamespace(can_send_request=is_checked),
        request=SimpleNamespace(headers=headers),
    )


@pytest.mark.parametrize(
    ("version", "is_checked", "session"),
    [("2025-11-25", True, "abc"), ("2025-11-25", False, ""), ("2026-07-28", True, ""), ("2026-07-28", False, "")],
)
def test_a_session_counts_where_somebody_has_checked_whose_it_is(version, is_checked, session):
    assert session_of(message(version, is_checked=is_checked, **{"mcp-session-id": "abc"})) == session
