"""System checks of the configuration."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from agents.checks import check_config


def ids(**values):
    with override_settings(MYAGENT=values):
        return [message.id for message in check_config()]


def test_the_shipped_settings_are_in_order():
    assert not [message for message in run_checks() if message.id.startswith("agents.")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"MODEL": "x"}, "agents.E001"),
        ({"MAX_RUNS": "many"}, "agents.E002"),
        ({"MAX_RUNS": 0}, "agents.E003"),
        ({"ALLOW_ANONYMOUS": True, "REQUIRE_AUTH": True}, "agents.W001"),
        ({"INBOUND_BYTES": 1024}, "agents.W002"),
        ({"JWT_KEYS": ["x" * 32]}, "agents.W003"),
        ({"JWT_KEYS": ["x" * 31], "JWT_AUDIENCE": "myagent"}, "agents.E003"),
    ],
)
def test_a_mistake_has_its_own_id(values, expected):
    assert ids(**values) == [expected]


def test_the_check_is_registered():
    with override_settings(MYAGENT={"MODEL": "x"}):
        found = [message for message in run_checks() if message.id == "agents.E001"]
    assert len(found) == 1
    assert "MODEL" in found[0].msg
    assert "MAX_RUNS" in found[0].hint
