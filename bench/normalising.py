"""What it costs to put a long history into the form of a request, which every step of a run does."""

from __future__ import annotations

import statistics
import time

from bench.measuring import OURS
from bench.report import Limit, Line
from myagent.llm.requests.request_messages import normalise
from myagent.messages import Message, ToolCall

MESSAGES = 400
BUDGET_MS = 1.0
_ROUNDS = 50


def history() -> list[Message]:
    """A conversation of so many messages, with a tool call in each exchange."""
    messages: list[Message] = []
    for number in range(MESSAGES // 4):
        call = ToolCall(id=f"call_{number}", name="lookup", arguments='{"what": "order"}')
        messages += [
            Message.user(f"question {number} " * 20),
            Message.assistant("", [call]),
            Message.tool("found " * 80, tool_call_id=call.id),
            Message.assistant(f"answer {number} " * 60),
        ]
    return messages


def milliseconds() -> list[float]:
    """The time of each of many requests with one more message; what was found out about the others is remembered."""
    known = history()
    normalise(known)
    rounds = []
    for number in range(_ROUNDS):
        known.append(Message.user(f"more {number}"))
        begun = time.perf_counter()
        normalise(known)
        rounds.append((time.perf_counter() - begun) * 1000)
        known.pop()
    return rounds


def line() -> Line:
    """The number for the report."""
    rounds = milliseconds()
    return Line(
        scenario=f"a history of {MESSAGES} messages",
        measure="put into the form of a request",
        unit="ms",
        values={OURS: statistics.median(rounds)},
        rounds={OURS: rounds},
        limit=Limit(of="ours", bound=BUDGET_MS),
    )
