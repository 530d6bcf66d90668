"""What the silence of a client calls for."""

import pytest

from agents.hosting.keepalive import Keepalive, KeepaliveAction

TIMES = {"interval": 20, "timeout": 30}


@pytest.mark.parametrize(
    ("silence", "action"),
    [
        (0, KeepaliveAction.NONE),
        (20, KeepaliveAction.NONE),
        (20.1, KeepaliveAction.PING),
        (50, KeepaliveAction.PING),
        (50.1, KeepaliveAction.DROP),
    ],
)
def test_the_action_depends_on_the_silence(silence, action):
    keepalive = Keepalive(1000)
    assert keepalive.silence(1000 + silence) == pytest.approx(silence)
    assert keepalive.check(1000 + silence, **TIMES) is action


def test_each_silence_is_pinged_once():
    keepalive = Keepalive(0)
    assert keepalive.check(21, **TIMES) is KeepaliveAction.PING
    assert keepalive.check(22, **TIMES) is KeepaliveAction.NONE
    keepalive.heard(23)
    assert keepalive.check(40, **TIMES) is KeepaliveAction.NONE
    assert keepalive.check(44, **TIMES) is KeepaliveAction.PING
    assert keepalive.check(74, **TIMES) is KeepaliveAction.DROP
