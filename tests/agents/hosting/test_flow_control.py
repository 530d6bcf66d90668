"""What may wait in one connection, and for whom."""

import asyncio
from types import SimpleNamespace

import pytest

from agents.hosting.flow_control import CORK_BYTES, Gate, Inbox, SendBuffer


class TestGate:
    async def test_everybody_passes_when_it_opens(self):
        gate = Gate(is_open=False)
        waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        gate.open()
        await asyncio.gather(*waiting)
        await gate.wait()

    async def test_whoever_gives_up_leaves_nothing_behind(self):
        gate = Gate(is_open=False)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(gate.wait(), 0)
            waiting = asyncio.create_task(gate.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert gate._waiting is None


def new_inbox(handled, *, frames=4, size=100, largest=50):
    limits = SimpleNamespace(inbound_frames=frames, inbound_bytes=size, max_frame_bytes=largest)
    return Inbox(limits, on_handled=lambda: handled.append(True))


class TestInbox:
    async def test_messages_come_out_in_order(self):
        inbox = new_inbox([])
        inbox.put_nowait({"type": "websocket.connect"})
        inbox.put_frame({"text": "a"}, 1)
        waiting = [await inbox.get(), await inbox.get()]
        assert waiting == [{"type": "websocket.connect"}, {"text": "a"}]

    async def test_it_waits_for_a_message(self):
        inbox = new_inbox([])
        getting = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        inbox.put_frame({"text": "a"}, 1)
        assert await getting == {"text": "a"}

    async def test_a_frame_is_handled_when_the_next_one_is_asked_for(self):
        handled = []
        inbox = new_inbox(handled, frames=2)
        inbox.put_nowait({"type": "websocket.connect"})
        inbox.put_frame({"text": "a"}, 1)
        inbox.put_frame({"text": "b"}, 1)
        assert inbox.is_full
        await inbox.get()
        await inbox.get()
        assert inbox.is_full
        assert not handled
        await inbox.get()
        assert not inbox.is_full
        assert handled == [True]
        assert (inbox.unhandled_frames, inbox.unhandled_bytes) == (1, 1)

    @pytest.mark.parametrize(
        ("sizes", "is_full"),
        [([], False), ([50], False), ([51], True), ([50, 1], True), ([0] * 3, False), ([0] * 4, True)],
    )
    def test_it_is_full_when_the_largest_frame_would_not_fit(self, sizes, is_full):
        inbox = new_inbox([])
        for size in sizes:
            inbox.put_frame({}, size)
        assert inbox.is_full is is_full

    @pytest.mark.parametrize(("sizes", "is_roomy"), [([0, 0], True), ([0] * 3, False), ([25], True), ([26], False)])
    def test_it_is_roomy_at_half(self, sizes, is_roomy):
        inbox = new_inbox([])
        for size in sizes:
            inbox.put_frame({}, size)
        assert inbox.is_roomy is is_roomy

    def test_a_frame_fits_even_when_the_limit_is_smaller(self):
        inbox = new_inbox([], size=10, largest=50)
        assert not inbox.is_full
        inbox.put_frame({}, 50)
        assert inbox.is_full


class FakeTransport:
    """A transport whose client takes `takes` bytes at once, and the rest when `drain` is called."""

    def __init__(self, takes):
        self.takes = takes
        self.connected = True
        self.taken, self.calls = b"", 0
        self.dataBuffer, self._tempDataBuffer, self._tempDataLen, self.offset = b"", [], 0, 0

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def writeSomeData(self, data):
        self.calls += 1
        if self.takes is None:
            return ConnectionError("lost")
        self.taken += data[: self.takes]
        size = min(len(data), self.takes)
        self.takes -= size
        return size

    def write(self, data):
        self._tempDataBuffer.append(data)
        self._tempDataLen += len(data)
        self.producer.pauseProducing()

    def drain(self, size):
        waiting = b"".join(self._tempDataBuffer)
        self.taken += waiting[:size]
        self._tempDataBuffer = [waiting[size:]] if waiting[size:] else []
        self._tempDataLen = len(waiting[size:])
        if not self._tempDataLen:
            self.producer.resumeProducing()


class TestSendBuffer:
    async def test_one_turn_of_the_loop_is_one_system_call(self):
        transport = FakeTransport(takes=1000)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        buffer.write(b"one ")
        buffer.write(b"two")
        assert buffer.unsent == 7
        await asyncio.sleep(0)
        assert transport.taken == b"one two"
        assert transport.calls == 1
        assert buffer.unsent == 0

    async def test_much_is_written_at_once(self):
        transport = FakeTransport(takes=10**9)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        buffer.write(bytes(CORK_BYTES))
        assert not transport.calls
        buffer.write(b"x")
        assert len(transport.taken) == CORK_BYTES + 1

    async def test_what_the_socket_does_not_take_closes_the_room_and_keeps_its_order(self):
        transport = FakeTransport(takes=3)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        buffer.write(b"abcde")
        buffer.flush()
        assert buffer.unsent == 2
        assert not buffer.room.is_open
        transport.takes = 100
        buffer.write(b"fgh")
        buffer.flush()
        assert transport.taken == b"abc"
        transport.drain(100)
        assert transport.taken == b"abcdefgh"
        assert buffer.room.is_open

    async def test_a_lost_connection_is_left_to_twisted(self):
        transport = FakeTransport(takes=None)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        buffer.write(b"abc")
        buffer.flush()
        assert transport._tempDataBuffer == [b"abc"]
        buffer.stopProducing()
        assert buffer.room.is_open

    async def test_stalled_means_that_nothing_is_taken(self):
        transport = FakeTransport(takes=3)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        assert buffer.stalled_for(100) == 0
        assert buffer.stalled_for(150) == 0  # nothing waits
        buffer.write(b"abcdefgh")
        buffer.flush()
        assert buffer.stalled_for(200) == 0
        assert buffer.stalled_for(210) == 10
        buffer.write(b"more")
        buffer.flush()
        assert buffer.stalled_for(220) == 20
        transport.drain(1)
        assert buffer.stalled_for(230) == 0
        assert buffer.stalled_for(231) == 1
        transport.drain(100)
        assert buffer.stalled_for(300) == 0

    @pytest.mark.parametrize(
        ("size", "header"),
        [
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (65_535, b"\x81\x7e\xff\xff"),
            (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ],
    )
    async def test_the_header_of_a_frame(self, size, header):
        transport = FakeTransport(takes=10**9)
        buffer = SendBuffer(transport, asyncio.get_running_loop())
        buffer.write_frame(0x81, b"x" * size)
        buffer.flush()
        assert transport.taken == header + b"x" * size
