"""The rules of the client that comes back, by the vectors that its sister in TypeScript is tested with, too."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import orjson
import pytest

from myagent.client.errors import ConnectionLost, FrameTooLarge
from myagent.client.exchange import Exchange
from myagent.client.frames import ServerFrame
from myagent.client.reconnect_loop import Backoff
from tests.support.paths import ROOT

VECTORS = ROOT / "tests/support/vectors"
SCENARIOS = json.loads((VECTORS / "exchange.json").read_text(encoding="utf-8"))
RECONNECTING = json.loads((VECTORS / "reconnecting.json").read_text(encoding="utf-8"))


class Stage:
    """Does what the steps of a scenario say. A text that begins with `$` stands for an id that was given out."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.connection = 0
        self.ids: dict[str, str] = {}
        self.items: dict[str, Any] = {}
        self.waiting: dict[str, asyncio.Future[ServerFrame]] = {}
        self.settled: set[str] = set()

    def do(self, step: dict[str, Any]) -> None:
        getattr(self, "do_" + step["do"].replace(" ", "_"))(step)

    def do_connect(self, step):
        self.connection += 1
        self.do_flush(step)

    def do_flush(self, step):
        self.sent(list(self.exchange.unsent(self.connection)), step["sends"])

    def do_follow(self, step):
        self.waiting[step["name"]] = self.exchange.follow(step["session_id"], step["last_seq"])

    def do_put(self, step):
        reply = asyncio.get_running_loop().create_future() if step["waits"] else None
        if step.get("refused"):
            with pytest.raises(ValueError, match="is not followed"):
                self.exchange.put(step["event"], None, reply)
            return
        self.items[step["name"]] = self.exchange.put(step["event"], None, reply)
        if reply is not None:
            self.waiting[step["name"]] = reply

    def do_take(self, step):
        frame = ServerFrame.parse(orjson.dumps(self.known(step["frame"])))
        try:
            taken = "news" if self.exchange.take(frame, self.connection) else "known"
        except ConnectionLost:
            taken = "lags"
        # Of what nobody waits for, the next connection shows that it is sent no more.
        settled = {name for name, reply in self.waiting.items() if reply.done()} - self.settled
        self.settled |= settled
        assert (taken, settled) == (step["taken"], set(step["settles"]) & self.waiting.keys())

    def do_cursors(self, step):
        assert self.exchange.cursors == step["are"]

    def do_disown(self, step):
        self.exchange.disown(self.items[step["name"]])

    def do_drop(self, step):
        self.exchange.drop(self.items[step["name"]])

    def do_give_up_largest(self, step):
        self.exchange.give_up_largest(self.connection)
        given_up = [name for name, reply in self.waiting.items() if reply.done() and reply.exception() is not None]
        assert given_up == [name for name in [step["gives_up"]] if name]
        assert all(isinstance(self.waiting[name].exception(), FrameTooLarge) for name in given_up)

    def do_acknowledge(self, step):
        self.sent(list(self.exchange.acknowledgements(step["read"])), step["sends"])

    def sent(self, frames: list[Any], wanted: list[Any]) -> None:
        for frame, expected in zip(frames, wanted, strict=False):
            name = expected.get("metadata", {}).get("request_id")
            if name is not None:
                assert self.ids.setdefault(name, frame["metadata"]["request_id"]) == frame["metadata"]["request_id"]
        assert frames == [self.known(expected) for expected in wanted]
        assert len(set(self.ids.values())) == len(self.ids)

    def known(self, frame: dict[str, Any]) -> dict[str, Any]:
        metadata = frame.get("metadata", {})
        if "request_id" in metadata:
            metadata = {**metadata, "request_id": self.ids[metadata["request_id"]]}
        return {**frame, "metadata": metadata} if "metadata" in frame else frame


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
async def test_the_exchange(scenario):
    stage = Stage()
    for number, step in zip(count(1), scenario["steps"], strict=False):
        try:
            stage.do(step)
        except AssertionError as error:
            error.add_note(f"in step {number}: {step}")
            raise


@pytest.mark.parametrize("case", RECONNECTING["closings"], ids=lambda case: f"{case['code']} {case['reason']}")
def test_of_what_use_it_is_to_come_back(case):
    assert ConnectionLost(case["code"], case["reason"]).is_final == case["is_final"]


@pytest.mark.parametrize("case", RECONNECTING["pauses"], ids=lambda case: case["name"])
def test_the_pauses(case):
    backoff = Backoff(spread=lambda: case["spread"])
    for step in case["steps"]:
        lost = ConnectionLost(step["code"], step.get("reason", ""))
        assert backoff.pause(lost, step["lived"]) == step["pause"]
