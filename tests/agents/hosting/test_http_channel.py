"""A request has to be complete in time, however it trickles in."""

from functools import partial
from unittest.mock import Mock

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.http import Request

from agents.hosting import http_channel
from agents.hosting.http import AgentHTTPFactory, AgentRequest
from agents.hosting.http_channel import LEAST_BYTES, MOST_PERIODS, REQUEST_SECONDS, AgentHTTPChannel


class Answering(Request):
    """Answers at once, or when the test says so."""

    waiting = []
    answers_at_once = True

    def process(self):
        if self.answers_at_once:
            self.finish()
        else:
            Answering.waiting.append(self)


class Connection:
    def __init__(self):
        self.clock, self.transport, self.channel = Clock(), StringTransport(), AgentHTTPChannel()
        self.channel.callLater = self.clock.callLater
        self.channel.timeOut = REQUEST_SECONDS
        self.channel.requestFactory = Answering
        self.channel.factory = type("Factory", (), {"log": lambda *_: None, "_logDateTime": ""})()
        self.channel.makeConnection(self.transport)

    def trickle(self, data, seconds):
        """Send `data` byte by byte over so many seconds, or until the server closes; returns what time it is."""
        for number in range(len(data)):
            if self.transport.disconnecting:
                break
            self.channel.dataReceived(data[number : number + 1])
            self.clock.advance(seconds / len(data))
        return self.clock.seconds()


@pytest.fixture
def connection(monkeypatch):
    monkeypatch.setattr(Answering, "answers_at_once", True)
    return Connection()


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n" + b"X-Y: z\r\n" * 90, POST + b"x" * 499], ids=["headers", "body"]
)
def test_bytes_now_and_then_do_not_prolong_a_request(connection, data):
    assert connection.trickle(data, 600) <= REQUEST_SECONDS + 5
    assert connection.transport.disconnecting and b" 408 " in connection.transport.value()


def upload(connection, size, headers=b""):
    """Begin a request with a body of so many bytes."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n"
    connection.channel.dataReceived(head % (headers, size))


def send(connection, pieces, size):
    """Send so many pieces of a body, one in each tenth of the time of a request; returns how many were taken."""
    for number in range(pieces):
        if connection.transport.disconnecting:
            return number
        connection.channel.dataReceived(bytes(size))
        connection.clock.advance(REQUEST_SECONDS / 10)
    return pieces


def test_a_slow_body_has_time_as_long_as_it_comes(connection):
    size = LEAST_BYTES // 10 + 1
    upload(connection, 100 * size)
    assert send(connection, 100, size) == 100
    assert connection.transport.value().count(b"HTTP/1.1 200") == 1
    assert connection.trickle(GET * 2, 1) and connection.transport.value().count(b"HTTP/1.1 200") == 3
    begun = connection.clock.seconds()
    assert connection.trickle(POST + b"x" * 499, 600) - begun <= REQUEST_SECONDS + 5, (
        "the next request has its own time"
    )


def test_a_body_that_comes_too_slowly_or_stops_is_ended(connection):
    size = LEAST_BYTES // 10 + 1
    upload(connection, 16 * LEAST_BYTES)
    assert send(connection, 12, size) == 12
    assert send(connection, 100, size // 2) < 20
    assert b" 408 " in connection.transport.value()


def test_no_body_takes_for_ever(connection):
    size = LEAST_BYTES // 10 + 1
    upload(connection, 16 * LEAST_BYTES)
    assert abs(send(connection, 1_000, size) - 10 * MOST_PERIODS) <= 1
    assert b" 408 " in connection.transport.value()


def test_silence_ends_a_connection_without_a_word(connection):
    connection.clock.advance(REQUEST_SECONDS + 1)
    assert connection.transport.disconnecting and connection.transport.value() == b""


def test_each_request_has_the_whole_time(connection):
    for _ in range(5):
        connection.clock.advance(REQUEST_SECONDS - 5)
        connection.trickle(GET, REQUEST_SECONDS - 5)
    assert connection.transport.value().count(b"HTTP/1.1 200") == 5
    assert not connection.transport.disconnecting


def test_an_answer_may_take_longer(connection, monkeypatch):
    monkeypatch.setattr(Answering, "answers_at_once", False)
    connection.channel.dataReceived(GET)
    connection.clock.advance(10 * REQUEST_SECONDS)
    assert not connection.transport.disconnecting
    Answering.waiting.pop().finish()
    assert b"HTTP/1.1 200" in connection.transport.value()
    connection.clock.advance(REQUEST_SECONDS + 1)
    assert connection.transport.disconnecting


class SlowLine:
    """A transport of whose waiting bytes the client takes some now and then."""

    def __init__(self, waiting):
        self.dataBuffer, self.offset, self._tempDataLen = b"", 0, waiting


async def test_a_client_has_stalled_when_it_reads_nothing_not_when_it_reads_slowly(monkeypatch):
    channel = AgentHTTPChannel()
    channel.transport = line = SlowLine(waiting=5_000)
    channel._taken.close()
    looks = []

    def taken_in_between(transport):
        looks.append(transport._tempDataLen)
        transport._tempDataLen = max(transport._tempDataLen - 500, 2_000)
        return looks[-1]

    monkeypatch.setattr(http_channel, "buffered_by_twisted", taken_in_between)
    assert await channel.taken(0.001) is False
    assert line._tempDataLen == 2_000 and len(looks) > 5
    channel._taken.open()
    assert await channel.taken(0.001) is True


class Kept(AgentRequest):
    """A request of which only the body counts."""

    bodies = []

    def process(self):
        self.bodies.append(self.content.read())
        self.finish()


@pytest.mark.parametrize(
    ("kind", "kept"), [("application/json", 101), ("text/plain", 101), ("Multipart/Form-Data; boundary=x", 5_000)]
)
def test_of_a_body_without_files_no_more_is_kept_than_shows_that_it_is_too_large(connection, monkeypatch, kind, kept):
    monkeypatch.setattr(Kept, "bodies", [])
    connection.channel.factory.server = Mock()
    connection.channel.requestFactory = partial(Kept, parsePOSTFormSubmission=False)
    connection.channel.max_text_bytes = 100
    upload(connection, 5_000, f"Content-Type: {kind}\r\n".encode())
    assert send(connection, 5, 1_000) == 5
    assert list(map(len, Kept.bodies)) == [kept]


@pytest.mark.parametrize(("setting", "kept"), [(2_000, 2_000), (10, 1_000), (None, None)])
def test_what_nobody_would_refuse_is_kept_whole(settings, setting, kept):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = setting
    server = Mock(limits=Mock(max_file_bytes=1, max_frame_bytes=1_000))
    assert AgentHTTPFactory(server).buildProtocol(None).max_text_bytes == kept
