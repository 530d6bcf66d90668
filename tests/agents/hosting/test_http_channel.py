"""A request has to be complete in time, however it trickles in."""

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.http import Request

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


def upload(connection, size):
    """Begin a request with a body of so many bytes."""
    connection.channel.dataReceived(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)


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
