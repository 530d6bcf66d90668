"""What went wrong is told with its cure."""

import pytest

from myagent import i18n
from myagent.client import ConnectionLost, HandshakeRefused
from myagent.protocol.error_codes import CloseCode, ErrorCode
from myagent.terminal.address import read_address
from myagent.terminal.error_words import cannot_connect, refused_words


@pytest.fixture(autouse=True)
def english():
    i18n.use_language("en")
    yield
    i18n.use_language(i18n.DEFAULT_LANGUAGE)


HERE, WITH_TOKEN = read_address("ws://localhost:8080/"), read_address("ws://localhost:8080/", token="mya_secret")


@pytest.mark.parametrize("code", sorted(value for key, value in vars(CloseCode).items() if key.isupper()) + [1006])
def test_every_close_code_has_words(code):
    words = cannot_connect(ConnectionLost(code, "because"), HERE)
    assert "because" not in words, "the reason is for programs"
    assert code in (1000, 1006) or f"({code})" in words


@pytest.mark.parametrize(
    ("error", "address", "words"),
    [
        (ConnectionLost(4401, "credentials_required"), HERE, "MYAGENT_TOKEN"),
        (ConnectionLost(4401, "bad_token"), WITH_TOKEN, "createtoken"),
        (ConnectionLost(4401, "revoked"), WITH_TOKEN, "revoked"),
        (ConnectionLost(4404, "no such agent"), HERE, "ws://localhost:8080/"),
        (ConnectionLost(4999, "new"), HERE, "code 4999 (new)"),
        (HandshakeRefused(403, "HTTP 403"), HERE, "banner"),
        (HandshakeRefused(404, "HTTP 404"), HERE, "is no MyAgent server (HTTP 404)"),
        (HandshakeRefused(None, "bad"), HERE, "is no MyAgent server (bad)"),
        (ConnectionRefusedError(111, "refused"), HERE, "Start one with: myagent-ws server my_agent.py"),
        (ConnectionRefusedError(111, "refused"), read_address(":9000"), "server my_agent.py --port 9000"),
        (OSError(-2, "Name or service not known"), HERE, "cannot be reached: Name or service not known"),
        (TimeoutError(), HERE, "cannot be reached: TimeoutError"),
        (
            OSError("Multiple exceptions: [Errno 113] No route, [Errno 111] Connect"),
            HERE,
            "cannot be reached: Multiple",
        ),
        (OSError("Multiple exceptions: [Errno 111] Connect (…), [Errno 111] Connect (…)"), HERE, "Start one with"),
    ],
)
def test_words(error, address, words):
    told = cannot_connect(error, address)
    assert words in told
    assert "mya_secret" not in told


def test_refusals():
    assert refused_words(ErrorCode.SESSION_NOT_FOUND, "x") == "There is no such session, or none of yours."
    assert refused_words(ErrorCode.SESSION_BUSY, "x") == "x"
    assert refused_words("of_a_later_version", "x") == "x"
