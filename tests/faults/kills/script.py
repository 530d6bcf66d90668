"""The two models of a round: what they answer to which message, when they fail, and all that they were asked."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from myagent.llm.output_tool import OUTPUT_TOOL
from myagent.llm.requests.request_messages import RESULTS_SEEN
from tests.faults.kills.terms import CLOSED, SECRET
from tests.faults.model import words_of
from tests.support.model_replies import Behaviour, Reply, Silence, Status

MARK = re.compile(r"\[(\w+)\]")
"""What every message begins with, in brackets: its id."""
MAIN = "m"
"""With what the ids begin of messages that are no steering ones."""
LIMIT_WORDS = "You have reached the limit"
FIRST, SECOND = "first", "second"
CUT, KEY, SILENT, BROKEN = "cut", "bad key", "silent", "broken"
DEAD = (CUT, SILENT, BROKEN)
"""The ways in which the first model may be dead: each of its streams breaks off, it says nothing, it answers 503."""
HICCUP = "cut by chance"
"""One stream that breaks off, of a model that is well."""
HICCUP_SHARE = 0.08


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request; `fault` says how it was failed, "" for a reply, which has this `text` or this `value`."""

    at: float
    model: str
    body: dict[str, Any]
    fault: str
    text: str = ""
    value: Any = None

    @property
    def said(self) -> dict[str, str]:
        """What users say in it, by the ids of their messages; one that comes twice has `TWICE` in its text."""
        found: dict[str, str] = {}
        for message in self.body["messages"]:
            if message["role"] == "user":
                _, *pieces = MARK.split(message["content"])
                for name, text in zip(pieces[::2], pieces[1::2], strict=True):
                    found[name] = f"{found[name]} {TWICE}" if name in found else text
        return found

    def step_since(self, name: str) -> int:
        """How many replies there are behind the message with that id."""
        return replies_since(self.body["messages"], f"[{name}]")


TWICE = "said twice"


def replies_since(messages: list[dict[str, Any]], mark: str) -> int:
    """The replies behind the newest message of users that has this in its text."""
    begin = max(
        (at for at, item in enumerate(messages) if item["role"] == "user" and mark in item["content"]), default=0
    )
    return sum(item["role"] == "assistant" and item["content"] != RESULTS_SEEN for item in messages[begin:])


class Script:
    """`plans` says what is done about each message: a letter for each step, the last is for all that follow.

    C calls tools, S calls one with equal arguments, B gives a bad value, A answers, X answers with what hooks refuse.
    The first model fails as `fails` says, from its request number `fails_from` on.
    """

    def __init__(self, random: Random, plans: dict[str, str], fails: str, fails_from: int) -> None:
        self.asked: list[Asked] = []
        self.happened: Callable[[str], None] = lambda name: None
        self.is_settling = False
        """While it is set both models answer at once, and plainly."""
        self._random = random
        self._plans = plans
        self._fails, self._fails_from = fails, fails_from
        self._counts: Counter[str] = Counter()

    def first(self, body: dict[str, Any]) -> Behaviour:
        """The `default` of the first model's server."""
        self._counts[FIRST] += 1
        if not self.is_settling and self._fails and self._counts[FIRST] >= self._fails_from:
            return self._fail(body)
        return self._reply(FIRST, body)

    def second(self, body: dict[str, Any]) -> Behaviour:
        """That of the second one's."""
        return self._reply(SECOND, body)

    def _fail(self, body: dict[str, Any]) -> Behaviour:
        if self._fails == CUT:
            return self._reply(FIRST, body, is_dead=True)
        self._keep(FIRST, body, self._fails)
        match self._fails:
            case "silent":
                return Silence()
            case "bad key":
                return Status(401, "Incorrect API key provided", "invalid_api_key")
        return Status(503, "away")

    def _keep(self, model: str, body: dict[str, Any], fault: str, text: str = "", value: Any = None) -> None:
        self.asked.append(Asked(at=time.time(), model=model, body=body, fault=fault, text=text, value=value))
        self.happened("request")

    def _reply(self, model: str, body: dict[str, Any], *, is_dead: bool = False) -> Behaviour:
        names = [name for message in body["messages"] if message["role"] == "user" for name in _ids_in(message)]
        name = next((name for name in reversed(names) if name.startswith(MAIN)), names[-1])
        number = replies_since(body["messages"], f"[{name}]")
        plan = self._plans.get(name, "A")
        kind = plan[min(number, len(plan) - 1)]
        self._counts[f"{name}.{number}"] += 1
        may_call = bool(body.get("tools")) and body.get("tool_choice") != "none"
        if (LIMIT_WORDS in str(body["messages"][-1]["content"]) or not may_call) and kind in "CS":
            kind = "A"
        reply = self._reply_of_kind(kind, f"{model}-{name}", number, body)
        if not self.is_settling:
            reply.delay = self._random.choice((0, 0.01, 0.03, 0.08))
        fault = CUT if is_dead else ""
        if not (is_dead or self.is_settling) and self._counts[f"{name}.{number}"] == 1:
            fault = HICCUP if self._random.random() < HICCUP_SHARE else ""
        if fault:
            reply.cut = self._random.randrange(sum(1 for _ in reply.deltas()))
        value = self._counts["value"] if reply.value_is_good else None
        self._keep(model, body, fault, "".join(reply.tokens), value)
        return reply

    def _reply_of_kind(self, kind: str, name: str, number: int, body: dict[str, Any]) -> _Reply:
        attempt = self._counts["reply"] = self._counts["reply"] + 1
        words = words_of(name, number, attempt, self._random.randint(1, 12))
        if kind == "C":
            keys = [f"{name}.{number}.{attempt}.{index}" for index in range(self._random.choice((1, 1, 2, 3)))]
            keys = [f"{key}.{CLOSED}" if self._random.random() < 0.15 else key for key in keys]
            calls = [(self._random.choice(("again", "once")), self._arguments(key)) for key in keys]
            return _Reply(tokens=words[: self._random.choice((0, 3))], calls=calls, call_ids=_ids(attempt, len(calls)))
        if kind == "S":
            calls = [("again", {"key": f"{name.partition('-')[2]}.same", "seconds": 0})]
            return _Reply(calls=calls, call_ids=_ids(attempt, 1))
        if kind == "X":
            return _Reply(tokens=[*words, SECRET])
        offered = [tool["function"]["name"] for tool in body.get("tools") or ()]
        if OUTPUT_TOOL not in offered:
            return _Reply(tokens=words)
        self._counts["value"] += 1
        value = {"total": self._counts["value"] if kind == "A" else "much"}
        if self._random.random() < 0.3:
            return _Reply(tokens=[orjson.dumps(value).decode()], value_is_good=kind == "A")
        call = (OUTPUT_TOOL, value)
        return _Reply(tokens=words[:3], calls=[call], call_ids=_ids(attempt, 1), value_is_good=kind == "A")

    def _arguments(self, key: str) -> dict[str, Any]:
        return {"key": key, "seconds": round(self._random.choice((0, self._random.uniform(0, 0.4))), 2)}


@dataclass(kw_only=True)
class _Reply(Reply):
    value_is_good: bool = False


def _ids(attempt: int, count: int) -> list[str]:
    return [f"call-{attempt}-{index}" for index in range(count)]


def _ids_in(message: dict[str, Any]) -> list[str]:
    return MARK.findall(message["content"])
