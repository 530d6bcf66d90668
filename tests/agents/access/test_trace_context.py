"""Which header of a client makes its runs part of its trace."""

from __future__ import annotations

import pytest

from agents.access.trace_context import traceparent_of

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("shown", "taken"),
    [
        ([GOOD], GOOD),
        ([], ""),
        ([GOOD, GOOD], ""),
        ([GOOD.upper()], ""),
        ([GOOD[:-1]], ""),
        ([f"{GOOD}-more"], ""),
        ([f"ff{GOOD[2:]}"], ""),
        ([f"00-{'0' * 32}-00f067aa0ba902b7-01"], ""),
        ([f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"], ""),
        (["x" * 100_000], ""),
    ],
)
def test_what_is_taken(shown, taken):
    assert traceparent_of({"headers": [(b"traceparent", value.encode()) for value in shown]}) == taken
