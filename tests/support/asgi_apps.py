"""A server process for the tests of `agents.hosting.daphne_server`: `python -m tests.support.asgi_apps '{"host": …}'`.

What happened is told on stdout, one JSON object a line; logs go to stderr. The path of a request chooses what the
application does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
import sys
import threading
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

LIMITS = {
    "max_file_bytes": 1_000_000,
    "max_frame_bytes": 4 * 1024 * 1024,
    "inbound_frames": 32,
    "inbound_bytes": 8 * 1024 * 1024,
    "stall_seconds": 30,
    "drain_seconds": 10,
}

POURED_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024

events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
options: dict[str, Any] = {}


def report(event: str, **fields: Any) -> None:
    """Tell the test that something happened."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def resident_kib() -> int:
    """Memory of this process in KiB."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(next(line for line in rollup.splitlines() if line.startswith("Rss:")).split()[1])


# --- lifespan


async def lifespan(scope, receive, send):
    kind = options.get("lifespan", "plain")
    if kind == "unsupported":
        raise ValueError("no lifespan here")
    assert (await receive())["type"] == "lifespan.startup"
    report("startup")
    if kind == "fails":
        await send({"type": "lifespan.startup.failed", "message": "the database is on fire"})
        return
    if kind == "waits":
        await events["start"].wait()
    scope["state"]["colour"] = "blue"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    report("shutdown")
    if kind == "drains":
        await events["drained"].wait()
    report("stopped")
    await send({"type": "lifespan.shutdown.complete"})


# --- WebSockets


async def echo(scope, receive, send):
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") in events:
            events[message["text"]].set()
        kind = "text" if "text" in message else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})
    report("disconnect", code=message["code"], reason=message["reason"])
    events["disconnected"].set()


async def decide_late(scope, receive, send):
    """An echo that accepts when it is told to."""
    report("deciding")
    await events["accept"].wait()
    await echo(scope, receive, send)


async def show_scope(scope, receive, send):
    await send({"type": "websocket.accept", "subprotocol": "two", "headers": [(b"x-one", b"1"), (b"x-one", b"2")]})
    shown = {key: scope.get(key) for key in ("client", "root_path", "scheme", "state", "path", "subprotocols")}
    await send({"type": "websocket.send", "text": json.dumps(shown)})
    await receive()


async def flood(scope, receive, send):
    """Sends as fast as `send` lets it, until the client has gone."""
    await send({"type": "websocket.accept"})
    before, sent, text = resident_kib(), 0, "x" * 1000
    disconnected = asyncio.ensure_future(receive())
    while not disconnected.done():
        await send({"type": "websocket.send", "text": text})
        sent += 1
        await asyncio.sleep(0)
    grown = resident_kib() - before
    report("disconnect", code=disconnected.result()["code"], sent=sent, grown_kib=grown)


async def fill(scope, receive, send):
    """Sends until the kernel has taken as much as makes its socket unwritable, and not more; then waits for the end."""
    await send({"type": "websocket.accept"})
    (client,) = server.connections
    refused = 0
    while refused < 10:  # the client's kernel may still take some
        if select.select([], [client.transport.fileno()], [], 0)[1]:
            refused = 0
            await send({"type": "websocket.send", "text": "x" * 1000})
            await asyncio.sleep(0)
        else:
            refused += 1
            await asyncio.sleep(0.05)
    report("full", unsent=client.send_buffer.unsent)
    report("disconnect", code=(await receive())["code"])


async def listen_while_flooding(scope, receive, send):
    """Like `flood`, but receives; tells what waits for the client when that says "end"."""
    await send({"type": "websocket.accept"})

    async def pour():
        while True:
            await send({"type": "websocket.send", "text": "x" * 1000})
            await asyncio.sleep(0)

    pouring = asyncio.ensure_future(pour())
    while (await receive()).get("text") != "end":
        pass
    report("end", unsent=sum(client.send_buffer.unsent for client in server.connections))
    pouring.cancel()


async def deaf(scope, receive, send):
    """Receives nothing until it is released, then everything up to the message "end"."""
    await send({"type": "websocket.accept"})
    report("deaf")
    await events["hear"].wait()
    if scope["query_string"] == b"close":
        await send({"type": "websocket.close", "code": 4000})
        await asyncio.Event().wait()
    heard = []
    while (message := await receive()).get("text") != "end":
        heard.append(message["text"][:8])
    report("heard", messages=heard)


async def close(scope, receive, send):
    await send({"type": "websocket.accept"})
    query = parse_qs(scope["query_string"].decode())
    await send({"type": "websocket.close", "code": int(query["code"][0]), "reason": query.get("reason", [""])[0]})
    report("disconnect", code=(await receive())["code"])
    await send({"type": "websocket.send", "text": "nobody hears this"})


async def fail(scope, receive, send):
    await send({"type": "websocket.accept"})
    raise RuntimeError("the consumer is broken")


async def fail_early(scope, receive, send):
    raise RuntimeError("the handshake is broken")


async def leave(scope, receive, send):
    await send({"type": "websocket.accept"})


async def leave_early(scope, receive, send):
    return


async def refuse(scope, receive, send):
    await send({"type": "websocket.close"})
    report("disconnect", code=(await receive())["code"])


async def hesitate(scope, receive, send):
    """Accepts when the client has long gone."""
    report("hesitating")
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "too late"})
    report("sent")


async def stubborn(scope, receive, send):
    """Does not care that its client has gone, and fails when it is cancelled."""
    await send({"type": "websocket.accept"})
    try:
        await asyncio.Event().wait()
    finally:
        report("cancelled")
        raise RuntimeError("cannot even stop properly")


# --- HTTP


async def respond(send, body=b"ok", status=200, more_body=False):
    length = [] if more_body else [(b"content-length", str(len(body)).encode())]
    headers = [(b"content-type", b"text/plain"), *length]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})


async def ok(scope, receive, send):
    await respond(send, scope["root_path"].encode() or b"ok")


async def release(scope, receive, send):
    events[scope["query_string"].decode()].set()
    await respond(send)


async def slow(scope, receive, send):
    """Answers once a WebSocket has been closed."""
    report("working")
    await events["disconnected"].wait()
    await respond(send, b"done")


async def fail_http(scope, receive, send):
    raise RuntimeError("the view is broken")


async def fail_half(scope, receive, send):
    await respond(send, b"half", more_body=True)
    raise RuntimeError("the view broke off")


async def pour(scope, receive, send):
    """Answers at length until its client has gone."""
    await receive()
    gone = asyncio.create_task(receive())
    await respond(send, more_body=True)
    sent = 0
    while not gone.done() and sent < POURED_BYTES:
        await send({"type": "http.response.body", "body": bytes(PIECE_BYTES), "more_body": True})
        sent += PIECE_BYTES
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})
    report("poured", sent=sent)


async def lump(scope, receive, send):
    """Answers as much at once."""
    await receive()
    await respond(send, more_body=True)
    await send({"type": "http.response.body", "body": bytes(POURED_BYTES)})
    report("poured", sent=POURED_BYTES)


async def stop_from_thread(scope, receive, send):
    threading.Thread(target=server.stop).start()
    await respond(send)


async def held(scope, receive, send):
    """How many connections are not read at the moment."""
    count = sum(getattr(client, "is_held", False) for client in server.connections)
    await respond(send, str(count).encode())


async def connections(scope, receive, send):
    """How many WebSockets the server knows."""
    await respond(send, str(sum(hasattr(client, "is_held") for client in server.connections)).encode())


WEBSOCKETS = {
    "/echo": echo,
    "/late": decide_late,
    "/scope": show_scope,
    "/fill": fill,
    "/flood": flood,
    "/listen-while-flooding": listen_while_flooding,
    "/deaf": deaf,
    "/close": close,
    "/fail": fail,
    "/fail-early": fail_early,
    "/leave": leave,
    "/leave-early": leave_early,
    "/refuse": refuse,
    "/hesitate": hesitate,
    "/stubborn": stubborn,
}
PAGES = {
    "/": ok,
    "/release": release,
    "/slow": slow,
    "/fail": fail_http,
    "/half": fail_half,
    "/nothing": leave_early,
    "/stop": stop_from_thread,
    "/pour": pour,
    "/lump": lump,
    "/held": held,
    "/connections": connections,
}


async def application(scope, receive, send):
    """The application of the tests."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        await WEBSOCKETS[scope["path"]](scope, receive, send)
    else:
        await PAGES[scope["path"]](scope, receive, send)


async def listening(addresses: list[tuple[str, int]]) -> None:
    report("listening", addresses=addresses)
    if options.get("banner") == "broken":
        raise RuntimeError("cannot print the banner")


def main() -> None:
    """Serve with the options given as JSON; tell how it ended."""
    global server
    options.update(json.loads(sys.argv[1]))
    from agents.hosting import daphne_server, websocket

    logging.basicConfig(level="INFO", stream=sys.stderr)
    if close_seconds := options.get("close_seconds"):
        websocket.CLOSE_SECONDS = close_seconds
    daphne_server.GRACE_SECONDS = options.get("grace_seconds", daphne_server.GRACE_SECONDS)
    with Path(options.get("access_log", "/dev/null")).open("a", buffering=1) as access_log:
        server = daphne_server.DaphneServer(
            application,
            host=options.get("host", "127.0.0.1"),
            port=options.get("port", 0),
            on_listening=listening,
            access_log=access_log if "access_log" in options else None,
            config=SimpleNamespace(**{name: options.get(name, value) for name, value in LIMITS.items()}),
        )
        for name in ("ping_interval", "ping_timeout", "application_close_timeout", "websocket_connect_timeout"):
            setattr(server, name, options.get(name, getattr(server, name)))
        for name in options.get("events", ()):
            events[name].clear()
        server.run()
    report("ended", failure=server.failure)


if __name__ == "__main__":
    main()
