"""A real `DaphneServer` in a process of its own, with real clients."""

import asyncio
import contextlib
import errno
import json
import signal
import socket
import struct
import sys

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.asgi_apps import POURED_BYTES
from tests.support.forked import AsyncProcess

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extra}\r\n"
)


class Served:
    """A running server: what it reports, where it listens, what it logged."""

    def __init__(self, process):
        self.process = process
        self.host = self.port = None
        self.log = ""
        self.writers = []

    async def reported(self, event):
        """The next report named `event`; other reports before it are dropped."""
        while line := await self.process.stdout.readline():
            report = json.loads(line)
            if report["event"] == event:
                return report
        raise AssertionError(f"the server ended without reporting {event!r}:\n{await self.ended()}")

    async def ended(self):
        """Everything it logged, once it has ended."""
        self.log += (await self.process.stderr.read()).decode()
        await self.process.wait()
        return self.log

    def url(self, path):
        return f"ws://{self.host}:{self.port}{path}"

    async def open(self, path="/echo", extra="", **socket_options):
        """A raw connection, after the handshake when the path is a WebSocket's."""
        reader, writer = await asyncio.open_connection(self.host, self.port, **socket_options)
        self.writers.append(writer)
        writer.write(HANDSHAKE.format(path=path, extra=extra).encode())
        return reader, writer, await reader.readuntil(b"\r\n\r\n")

    async def get(self, path="/", extra=""):
        """The whole raw answer to a GET."""
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{extra}\r\n".encode())

    async def ask(self, data):
        """What comes back until the server ends the connection."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(data)
        try:
            return await reader.read()
        finally:
            writer.close()


@pytest.fixture
async def serve():
    """Starts servers; `ready=False` does not wait until one listens."""
    started = []

    async def start(*, ready=True, **options):
        process = await AsyncProcess.start(sys.executable, "-m", "tests.support.asgi_apps", json.dumps(options))
        served = Served(process)
        started.append(served)
        if ready:
            served.addresses = (await served.reported("listening"))["addresses"]
            served.host, served.port = served.addresses[0]
        return served

    yield start
    for served in started:
        if served.process.returncode is None:
            served.process.kill()
        await served.ended()
        for writer in served.writers:
            writer.close()


def client_frame(payload, opcode=1, fin=True):
    """A masked frame; the mask is zero, so that the payload stays readable."""
    assert len(payload) < 65536
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([fin << 7 | opcode]) + size + bytes(4) + payload


async def closed(websocket):
    """Code and reason of the close frame that the client got."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await websocket.recv()
    return websocket.close_code, websocket.close_reason


# --- messages


async def test_messages_go_both_ways(serve):
    served = await serve()
    async with connect(served.url("/echo"), max_size=None) as websocket:
        for message in ("", "grüß dich", b"", b"\x00\xff", "x" * 125, "x" * 126, "x" * 70_000, b"y" * 3_000_000):
            await websocket.send(message)
            assert await websocket.recv() == message
    assert await served.reported("disconnect") == {"event": "disconnect", "code": 1000, "reason": ""}


async def test_the_order_holds_when_more_is_sent_than_fits(serve):
    served = await serve()
    messages = [f"{number} " * (1 + number * 37 % 3000) for number in range(500)]
    async with connect(served.url("/echo")) as websocket:
        sending = asyncio.create_task(send_all(websocket, messages))
        assert [await websocket.recv() for _ in messages] == messages
        await sending


async def send_all(websocket, messages):
    for message in messages:
        await websocket.send(message)


async def test_the_scope_and_the_handshake(serve):
    served = await serve()
    headers = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "Daphne-Root-Path": "/evil"}
    async with connect(served.url("/scope"), subprotocols=["one", "two"], additional_headers=headers) as websocket:
        scope = json.loads(await websocket.recv())
        assert websocket.subprotocol == "two"
        assert websocket.response.headers.get_all("x-one") == ["1", "2"]
        assert websocket.response.headers["Server"] == "MyAgent"
    assert scope["client"] == list(websocket.local_address)
    assert scope["root_path"] == ""
    assert scope["scheme"] == "ws"
    assert scope["state"] == {"colour": "blue"}
    assert scope["subprotocols"] == ["one", "two"]


async def test_http_is_served_beside_websockets(serve):
    served = await serve()
    answer = await served.get("/", "Daphne-Root-Path: /evil\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"ok")
    assert b"Server: MyAgent" in answer


async def test_a_connection_may_become_a_websocket_after_other_requests(serve):
    served = await serve()
    with socket.create_connection((served.host, served.port)) as client:
        stream = client.makefile("rwb", buffering=0)
        for _ in range(2):
            stream.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while await asyncio.to_thread(stream.readline) != b"\r\n":
                pass
            assert await asyncio.to_thread(stream.read, 2) == b"ok"
        stream.write(HANDSHAKE.format(path="/echo", extra="").encode())
        while await asyncio.to_thread(stream.readline) != b"\r\n":
            pass
        stream.write(client_frame(b"hello"))
        assert await asyncio.to_thread(stream.read, 7) == b"\x81\x05hello"


async def test_a_message_in_many_fragments_is_one_message(serve):
    served = await serve()
    reader, writer, _ = await served.open()
    writer.write(client_frame(b"a", fin=False))
    for _ in range(5000):
        writer.write(client_frame(b"", opcode=0, fin=False))
    writer.write(client_frame(b"b", opcode=9) + client_frame(b"c", opcode=0))
    assert await reader.readexactly(3 + 4) == b"\x8a\x01b" + b"\x81\x02ac"


async def test_what_is_sent_before_the_application_accepts_is_no_second_handshake(serve):
    served = await serve()
    reader, writer = await asyncio.open_connection(served.host, served.port)
    served.writers.append(writer)
    writer.write(HANDSHAKE.format(path="/late", extra="").encode())
    await served.reported("deciding")
    text = HANDSHAKE.format(path="/late", extra="").encode()
    writer.write(client_frame(text))
    await served.get("/release?accept")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert (await reader.readexactly(4 + len(text)))[4:] == text


# --- listening


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


async def test_localhost_is_both_families_on_one_port(serve):
    served = await serve(host="localhost")
    assert [host for host, _ in served.addresses] == ["127.0.0.1"] + ["::1"] * has_ipv6()
    assert len({port for _, port in served.addresses}) == 1
    for host, port in served.addresses:
        bracketed = f"[{host}]" if ":" in host else host
        async with connect(f"ws://{bracketed}:{port}/echo") as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "hello"


async def test_a_taken_port_is_a_failure_before_the_application_starts(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        served = await serve(ready=False, port=taken.getsockname()[1], host="localhost")
        first = json.loads(await served.process.stdout.readline())
        assert first["event"] == "ended"
    assert first["failure"].splitlines()[0] == f"[Errno {errno.EADDRINUSE}] Address already in use"
    await served.ended()
    assert served.process.returncode == 0


async def test_an_unknown_host_is_a_failure(serve):
    served = await serve(ready=False, host="no-such-host.invalid")
    assert (await served.reported("ended"))["failure"].startswith("[Errno -")


async def test_a_broken_banner_ends_the_server_in_order_with_its_traceback(serve):
    served = await serve(banner="broken")
    await served.reported("stopped")
    assert "RuntimeError: cannot print the banner" in await served.ended()
    assert served.process.returncode == 1


# --- lifespan


async def test_a_failed_startup_is_a_failure(serve):
    served = await serve(ready=False, lifespan="fails")
    await served.reported("startup")
    assert (await served.reported("ended"))["failure"] == "the database is on fire"


async def test_an_application_without_lifespan_is_served(serve):
    served = await serve(lifespan="unsupported")
    assert (await served.get()).endswith(b"ok")
    served.process.terminate()
    assert (await served.reported("ended"))["failure"] is None
    assert "does not support the lifespan protocol" in await served.ended()


async def test_nothing_listens_before_the_startup_is_complete(serve):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = await serve(ready=False, port=port, lifespan="waits")
    await served.reported("startup")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    served.process.terminate()
    assert (await served.reported("ended"))["failure"] is None


# --- back-pressure to the client


async def test_a_client_that_does_not_read_stops_the_sender_and_is_closed_with_4408(serve):
    served = await serve(stall_seconds=1, close_seconds=30)
    reader, writer, _ = await served.open("/flood", limit=1024)
    writer.transport.pause_reading()
    report = await served.reported("disconnect")
    assert report["code"] == 4408
    assert report["sent"] < 20_000  # what the kernels of both sides take; a sender that is not stopped goes on for ever
    assert report["grown_kib"] < 4_000
    # It wakes up late, but within the time for closing: then it sees why.
    writer.transport.resume_reading()
    received = bytearray()
    while not received.endswith(b"\x88\x0d" + struct.pack("!H", 4408) + b"not reading"):
        received += await reader.read(65_536)
    assert received.count(b"x" * 1000) == pytest.approx(report["sent"], abs=200)


async def test_a_client_that_never_reads_is_cut_off(serve):
    served = await serve(stall_seconds=0.5, close_seconds=0.5)
    reader, writer, _ = await served.open("/flood", limit=1024)
    writer.transport.pause_reading()
    assert (await served.reported("disconnect"))["code"] == 4408
    served.process.terminate()
    await served.reported("ended")
    writer.transport.resume_reading()
    with contextlib.suppress(ConnectionResetError):
        assert not (await reader.read()).endswith(b"not reading")


async def test_sending_ends_when_the_client_vanishes(serve):
    served = await serve()
    _, writer, _ = await served.open("/flood", limit=1024)
    writer.transport.pause_reading()
    writer.transport.abort()
    assert (await served.reported("disconnect"))["code"] == 1006


async def test_a_long_answer_waits_for_its_reader_and_whoever_reads_nothing_is_cut_off(serve):
    patient = await serve()
    whole = await patient.get("/pour")
    assert (await patient.reported("poured"))["sent"] == POURED_BYTES < len(whole)
    served = await serve(stall_seconds=0.5)
    _, writer = await asyncio.open_connection(served.host, served.port, limit=1024)
    served.writers.append(writer)
    writer.transport.pause_reading()
    writer.write(b"GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # What the kernels of both sides take.
    assert (await served.reported("poured"))["sent"] < POURED_BYTES / 4


async def test_an_answer_that_is_given_as_a_whole_waits_no_longer_for_its_reader(serve):
    assert len(await (await serve()).get("/lump")) > POURED_BYTES
    served = await serve(stall_seconds=0.5)
    reader, writer = await asyncio.open_connection(served.host, served.port, limit=1024)
    served.writers.append(writer)
    writer.transport.pause_reading()
    writer.write(b"GET /lump HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await served.reported("poured")
    writer.transport.resume_reading()
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while (piece := await reader.read(65_536)) and got < POURED_BYTES:
            got += len(piece)
    assert got < POURED_BYTES / 4


async def test_pongs_do_not_pile_up_for_a_client_that_only_pings(serve):
    served = await serve()
    _, writer, _ = await served.open("/listen-while-flooding", limit=1024)
    writer.transport.pause_reading()
    await asyncio.to_thread(wait_until_full, writer.get_extra_info("socket"))
    for _ in range(200):
        writer.write(client_frame(b"p" * 125, opcode=9) * 100)
        await writer.drain()
    writer.write(client_frame(b"end"))
    assert (await served.reported("end"))["unsent"] < 500_000


# --- back-pressure to the application


async def held_connections(served, count):
    while not (await served.get("/held")).endswith(b"\r\n\r\n%d" % count):
        await asyncio.sleep(0.01)


async def test_a_client_is_not_read_while_the_application_does_not_receive(serve):
    served = await serve(inbound_frames=4, ping_interval=0.2, ping_timeout=0.2, stall_seconds=0.4)
    reader, writer, _ = await served.open("/deaf")
    await served.reported("deaf")
    messages = [f"{number:08}" for number in range(3000)]
    for message in messages:
        writer.write(client_frame(message.encode()))
    await held_connections(served, 1)
    # A client that comes later and answers no ping is dropped; by then this one would have been, too.
    silent, _, _ = await served.open("/echo")
    assert await silent.readexactly(2) == b"\x89\x00"
    with contextlib.suppress(ConnectionResetError):
        assert await silent.read() == b""
    await held_connections(served, 1)
    await served.get("/release?hear")
    writer.write(client_frame(b"end"))
    assert (await served.reported("heard"))["messages"] == messages


async def test_a_deaf_application_bounds_what_a_client_can_send(serve):
    served = await serve(inbound_bytes=200_000, max_frame_bytes=100_000, inbound_frames=1000)
    with socket.create_connection((served.host, served.port)) as client:
        client.sendall(HANDSHAKE.format(path="/deaf", extra="").encode())
        await served.reported("deaf")
        client.settimeout(1)
        piece = client_frame(b"x" * 60_000)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 200_000_000:
                sent += await asyncio.to_thread(client.send, piece)
    assert sent < 20_000_000  # the buffers of the kernel


async def test_a_held_client_still_learns_that_it_is_closed(serve):
    served = await serve(inbound_frames=1)
    async with connect(served.url("/deaf")) as websocket:
        await served.reported("deaf")
        await websocket.send("one")
        await websocket.send("two")
        await held_connections(served, 1)
        served.process.terminate()
        assert await closed(websocket) == (1012, "service restart")


async def test_the_goodbye_of_a_held_client_is_read(serve):
    served = await serve(inbound_frames=1, close_seconds=1000)
    reader, writer, _ = await served.open("/deaf?close")
    await served.reported("deaf")
    writer.write(client_frame(b"one") * 20_000)
    await held_connections(served, 1)
    await served.get("/release?hear")
    assert await reader.readexactly(4) == b"\x88\x02" + struct.pack("!H", 4000)
    writer.write(client_frame(struct.pack("!H", 4000), opcode=8))
    assert await reader.read() == b""


# --- closing


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4401, 4999])
async def test_the_application_chooses_the_close_code(serve, code):
    served = await serve()
    async with connect(served.url(f"/close?code={code}&reason=bye")) as websocket:
        assert await closed(websocket) == (code, "bye")
    assert (await served.reported("disconnect"))["code"] == code


async def test_a_long_reason_is_cut(serve):
    served = await serve()
    async with connect(served.url(f"/close?code=4000&reason={'x' * 200}")) as websocket:
        assert await closed(websocket) == (4000, "x" * 123)


async def test_a_code_that_must_not_be_sent_is_the_applications_error(serve):
    served = await serve()
    async with connect(served.url("/close?code=1006")) as websocket:
        assert await closed(websocket) == (1011, "internal error")


async def test_a_client_that_does_not_complete_the_closing_handshake_is_dropped(serve):
    served = await serve(close_seconds=0.3)
    reader, writer, _ = await served.open("/close?code=4000")
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b"\x88\x02" + struct.pack("!H", 4000)
    assert (await served.reported("disconnect"))["code"] == 4000


async def test_a_client_that_closes_but_does_not_read_is_dropped(serve):
    served = await serve(close_seconds=0.3)
    reader, writer, _ = await served.open("/flood", limit=1024)
    writer.transport.pause_reading()
    await asyncio.to_thread(wait_until_full, writer.get_extra_info("socket"))
    writer.write(client_frame(struct.pack("!H", 1000), opcode=8))
    assert (await served.reported("disconnect"))["code"] == 1000


async def test_a_client_that_closes_a_full_socket_without_reading_is_dropped(serve):
    """Nothing waits in our buffers then, but Twisted would wait for the socket, and so for the client."""
    served = await serve(close_seconds=0.3)
    _, writer, _ = await served.open("/fill", limit=1024)
    writer.transport.pause_reading()
    assert (await served.reported("full"))["unsent"] == 0
    writer.write(client_frame(struct.pack("!H", 1000), opcode=8))
    assert (await served.reported("disconnect"))["code"] == 1000


def wait_until_full(sock):
    """Return when the other side has filled the receive buffer of `sock`."""
    import array
    import fcntl
    import termios
    import time

    waiting, before = array.array("i", [0]), -1
    while waiting[0] == 0 or waiting[0] != before:
        before = waiting[0]
        time.sleep(0.1)
        fcntl.ioctl(sock.fileno(), termios.FIONREAD, waiting)


async def test_the_code_of_a_client_reaches_the_application(serve):
    served = await serve()
    async with connect(served.url("/echo")) as websocket:
        await websocket.close(4321, "enough")
    assert await served.reported("disconnect") == {"event": "disconnect", "code": 4321, "reason": "enough"}


async def test_a_client_without_a_code_and_one_without_a_goodbye(serve):
    served = await serve()
    _, writer, _ = await served.open()
    writer.write(client_frame(b"", opcode=8))
    assert (await served.reported("disconnect"))["code"] == 1005
    _, writer, _ = await served.open()
    writer.transport.abort()
    assert (await served.reported("disconnect"))["code"] == 1006


@pytest.mark.parametrize("size", [100_001, 20_000_000])
async def test_a_frame_that_is_too_big_is_closed_with_1009(serve, size):
    served = await serve(max_frame_bytes=100_000)
    async with connect(served.url("/echo")) as websocket:
        await websocket.send("x" * 100_000)
        assert await websocket.recv() == "x" * 100_000
        with contextlib.suppress(ConnectionClosed):
            await websocket.send("x" * size)
        assert (await closed(websocket))[0] == 1009
    assert (await served.reported("disconnect"))["code"] == 1009


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(b"\xff\xfe"), 1007),
        (b"\x81\x02hi", 1002),  # not masked
        (client_frame(b"", opcode=3), 1002),
        (client_frame(b"x", opcode=0), 1002),
    ],
)
async def test_what_is_no_websocket_message_is_closed_with_the_right_code(serve, data, code):
    served = await serve(close_seconds=0.3)
    reader, writer, _ = await served.open()
    writer.write(data)
    answer = await reader.readexactly(4)
    assert answer[0] == 0x88
    assert struct.unpack("!H", answer[2:]) == (code,)
    assert (await served.reported("disconnect"))["code"] == code


# --- applications that fail


async def test_an_exception_is_1011_and_a_logged_traceback(serve):
    served = await serve()
    async with connect(served.url("/fail?token=secret")) as websocket:
        assert await closed(websocket) == (1011, "internal error")
    served.process.terminate()
    log = await served.ended()
    assert "Traceback" in log
    assert "RuntimeError: the consumer is broken" in log
    assert "secret" not in log


@pytest.mark.parametrize(("path", "status"), [("/fail-early", 500), ("/leave-early", 500), ("/refuse", 403)])
async def test_a_handshake_may_be_refused(serve, path, status):
    served = await serve()
    with pytest.raises(InvalidStatus) as caught:
        await connect(served.url(path))
    assert caught.value.response.status_code == status
    if path == "/refuse":
        assert (await served.reported("disconnect"))["code"] == 1006


async def test_an_application_that_does_not_answer_the_handshake_in_time(serve):
    served = await serve(websocket_connect_timeout=0.1, stall_seconds=0.2)
    with pytest.raises(InvalidStatus) as caught:
        await connect(served.url("/hesitate"))
    assert caught.value.response.status_code == 503


async def test_accepting_a_client_that_has_left_does_nothing(serve):
    served = await serve()
    with contextlib.closing(socket.create_connection((served.host, served.port))) as client:
        client.sendall(HANDSHAKE.format(path="/hesitate", extra="").encode())
        await served.reported("hesitating")
    await served.reported("sent")
    served.process.terminate()
    assert "Traceback" not in await served.ended()


async def test_an_application_that_returns_closes_normally(serve):
    served = await serve()
    async with connect(served.url("/leave")) as websocket:
        assert await closed(websocket) == (1000, "")


async def test_an_application_that_goes_on_without_its_client_is_cancelled(serve):
    served = await serve(application_close_timeout=0.1, stall_seconds=0.4)
    async with connect(served.url("/stubborn")):
        pass
    await served.reported("cancelled")
    served.process.terminate()
    log = await served.ended()
    assert "still active 0.1 s after its client had left" in log
    assert "RuntimeError: cannot even stop properly" in log


@pytest.mark.parametrize("path", ["/fail", "/nothing"])
async def test_an_http_application_that_fails_is_a_500(serve, path):
    served = await serve()
    assert (await served.get(path)).startswith(b"HTTP/1.1 500")


async def test_a_response_that_breaks_off_tears_the_connection(serve):
    served = await serve()
    with contextlib.suppress(ConnectionResetError):
        answer = await served.get("/half")
        assert not answer.endswith(b"0\r\n\r\n")
    assert (await served.get()).endswith(b"ok")


# --- stopping


async def test_sigterm_drains_then_closes_with_1012(serve):
    served = await serve(lifespan="drains", events=["drained"])
    async with connect(served.url("/echo")) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        served.process.terminate()
        await served.reported("shutdown")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(served.host, served.port)
        await websocket.send("drained")  # open connections are served while the work goes on
        assert await websocket.recv() == "drained"
        await served.reported("stopped")
        assert await closed(websocket) == (1012, "service restart")
    assert (await served.reported("disconnect"))["code"] == 1012
    assert (await served.reported("ended"))["failure"] is None
    log = await served.ended()
    assert served.process.returncode == 0
    assert "Traceback" not in log
    assert "Error" not in log


async def test_a_connection_that_has_only_just_been_opened_gets_its_1012_too(serve):
    served = await serve()
    websockets = [await connect(served.url("/echo")) for _ in range(20)]
    served.process.send_signal(signal.SIGINT)
    assert [await closed(websocket) for websocket in websockets] == [(1012, "service restart")] * 20
    assert "KeyError" not in await served.ended()
    assert served.process.returncode == 0


async def test_a_handshake_in_progress_is_refused_when_the_server_stops(serve):
    served = await serve()
    connecting = asyncio.create_task(served.open("/hesitate"))
    await served.reported("hesitating")
    served.process.terminate()
    assert (await connecting)[2].startswith(b"HTTP/1.1 503")


async def test_an_application_that_does_not_end_is_cancelled_and_its_traceback_kept(serve):
    served = await serve(grace_seconds=0.2)
    async with connect(served.url("/stubborn")) as websocket:
        served.process.terminate()
        assert await closed(websocket) == (1012, "service restart")
        await served.reported("cancelled")
    log = await served.ended()
    assert "still being served" in log
    assert "RuntimeError: cannot even stop properly" in log
    assert served.process.returncode == 0


async def test_a_lifespan_that_does_not_end_is_cancelled(serve):
    served = await serve(lifespan="drains", drain_seconds=0.1, grace_seconds=0.2)
    served.process.terminate()
    log = await served.ended()
    assert "did not shut down within 0.3 s" in log
    assert served.process.returncode == 0


async def test_a_request_that_outlasts_the_websockets_is_finished(serve):
    served = await serve(lifespan="drains", events=["drained"], grace_seconds=30)
    async with connect(served.url("/echo")) as websocket:
        request = asyncio.create_task(served.get("/slow"))
        await served.reported("working")
        served.process.terminate()
        await served.reported("shutdown")
        await websocket.send("drained")
        assert await closed(websocket) == (1012, "service restart")
        assert (await request).endswith(b"done")
    await served.ended()
    assert served.process.returncode == 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_it_at_once(serve, signum, code):
    served = await serve(lifespan="drains", drain_seconds=1000)
    served.process.terminate()
    await served.reported("shutdown")
    served.process.send_signal(signum)
    assert "Stopping." in await served.ended()
    assert served.process.returncode == code


async def test_stop_may_be_called_from_another_thread(serve):
    served = await serve()
    assert (await served.get("/stop")).startswith(b"HTTP/1.1 200")
    assert (await served.reported("ended"))["failure"] is None
    await served.ended()
    assert served.process.returncode == 0


# --- strange clients, and what is logged


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        HANDSHAKE.format(path="/echo", extra="Host: other\r\n").encode(),
        HANDSHAKE.format(path="/echo", extra="Sec-WebSocket-Protocol: gr\u00fc\u00df\r\n").encode("latin-1"),
        HANDSHAKE.format(path="/echo", extra="Bad Name: x\r\n").encode(),
        HANDSHAKE.format(path="/echo?a=\u00fc", extra="").encode(),
        HANDSHAKE.format(path="/echo#x", extra="").encode(),
        HANDSHAKE.format(path="/echo", extra="Sec-WebSocket-Version: 99\r\n").encode(),
        b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17000000\r\n\r\n" + bytes(17_000_000),
    ],
)
async def test_a_strange_request_is_refused_and_harms_nobody(serve, request_bytes):
    served = await serve()
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        answer = await served.ask(request_bytes)
        assert answer.split()[1] in (b"400", b"413", b"500")
    while not (await served.get("/connections")).endswith(b"\r\n\r\n0"):
        await asyncio.sleep(0.01)
    async with connect(served.url("/echo")) as websocket:
        await websocket.send("still here")
        assert await websocket.recv() == "still here"
    served.process.terminate()
    assert "AttributeError" not in await served.ended()


async def test_the_access_log_holds_no_secrets(serve, tmp_path):
    served = await serve(access_log=str(tmp_path / "access.log"))
    async with connect(served.url("/echo?token=secret1")):
        pass
    await served.reported("disconnect")
    await served.get("/?token=secret2")
    with pytest.raises(InvalidStatus):
        await connect(served.url("/refuse?token=secret3"))
    served.process.terminate()
    log = await served.ended()
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert [line.split('"')[1:] for line in lines] == [
        ["WSCONNECT /echo", " 101 -"],
        ["WSDISCONNECT /echo", " 1000 -"],
        ["GET /", lines[2].split('"')[2]],
        ["WSREJECT /refuse", " 403 -"],
        ["WSDISCONNECT /refuse", " 1006 -"],
    ]
    assert all(line.startswith("127.0.0.1:") for line in lines)
    assert "secret" not in log + "".join(lines)
