"""The lines of the access log."""

import io
import re

import pytest

from agents.hosting.access_log import AccessLog


def line(protocol, action, **details):
    stream = io.StringIO()
    details = {"client": "127.0.0.1:5", "path": "/", "status": 200, "size": 12, "method": "GET", **details}
    AccessLog(stream)(protocol, action, details)
    return stream.getvalue()


def test_a_request_is_one_line():
    assert re.fullmatch(
        r'127\.0\.0\.1:5 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /page" 200 12\n',
        line("http", "complete", path="/page"),
    )


def test_what_is_unknown_is_a_dash():
    assert line("websocket", "disconnected", client=None, status=None, size=None).startswith("- - - [")
    assert line("websocket", "disconnected", status=None, size=None).endswith('"WSDISCONNECT /" - -\n')


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/ws/?token=secret", "/ws/"),
        ("/ws/#token=secret", "/ws/"),
        ("/ws/#a?token=secret", "/ws/"),
        ('/" 200 1\n"', '/\\" 200 1\\n\\"'),
        ("/\x1b[31m", "/\\x1b[31m"),
    ],
)
def test_a_path_shows_no_secret_and_forges_no_line(path, shown):
    assert f'"GET {shown}" 200' in line("http", "complete", path=path)


@pytest.mark.parametrize(("protocol", "action"), [("websocket", "connecting"), ("http", "anything")])
def test_other_actions_have_no_line(protocol, action):
    assert line(protocol, action) == ""
