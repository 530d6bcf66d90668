"""The model of the fault suite: follows the plan in the newest message, fails by chance, records what it was asked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.plan import BETWEEN_MESSAGES, PREFIX, Plan, Step
from tests.support.model_replies import Behaviour, Reply, Silence, Status

FAILURE_RATE = 0.15
OUTAGE = "outage"
_SOON = {"Retry-After-Ms": "50"}
"""What makes the client of the model ask again soon, so that a failure costs the suite no seconds."""
_LATER = {"Retry-After-Ms": "500"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: the `attempt`-th (from 0) for that step of the plan, at that time.

    `fault` says how it was failed, "" for a whole reply.
    """

    at: float
    token: str
    step: int
    attempt: int
    messages: tuple[dict[str, Any], ...]
    fault: str


class FaultyModel:
    """The `default` of a `ModelServer`, called in its thread. Failures depend on the seed, the plan and the attempt."""

    def __init__(self, seed: int) -> None:
        self.asked: list[Asked] = []
        self.problems: list[str] = []
        self.is_out = False
        """While it is set every request is refused."""
        self._is_settling = False
        self._replies: list[Reply] = []
        self._seed = seed
        self._attempts: Counter[tuple[str, int]] = Counter()

    def __call__(self, body: dict[str, Any]) -> Behaviour:
        messages = tuple(message for message in body["messages"] if message["role"] != "system")
        said = max(at for at, message in enumerate(messages) if message["role"] == "user")
        # One that follows a message without an answer stands in the same message of the request, behind it.
        plan = Plan.parse(messages[said]["content"].rpartition(BETWEEN_MESSAGES)[2])
        number = sum(message["role"] == "assistant" for message in messages[said:])
        attempt = self._attempts[plan.token, number]
        self._attempts[plan.token, number] += 1
        if number >= len(plan.steps):
            self.problems.append(f"the model was asked for step {number} of {plan.token}, which has {len(plan.steps)}")
            return Status(400, "beyond the plan")
        reply = reply_of(plan.token, number, attempt, plan.steps[number])
        self._replies.append(reply)
        if self._is_settling:
            reply.delay = 0
        fault, behaviour = self._fail(reply, Random(f"{self._seed}/{plan.token}/{number}/{attempt}"))
        self.asked.append(
            Asked(at=time.time(), token=plan.token, step=number, attempt=attempt, messages=messages, fault=fault)
        )
        return behaviour

    def settle(self) -> None:
        """From now on answer every request, and everything at once."""
        self._is_settling = True
        for reply in self._replies:
            reply.delay = 0

    def _fail(self, reply: Reply, random: Random) -> tuple[str, Behaviour]:
        if self.is_out:
            return OUTAGE, Status(503, "away", headers=_LATER)
        if self._is_settling or random.random() > FAILURE_RATE:
            return "", reply
        match fault := random.choice(("status", "cut", "silence", "hang")):
            case "status":
                return fault, Status(random.choice((429, 500, 503)), "by chance", headers=_SOON)
            case "cut":
                reply.cut = random.randrange(sum(1 for _ in reply.deltas()))
                return fault, reply
            case "silence":
                silence = Silence()
                _later(random.uniform(0.2, 3), silence)
                return fault, silence
        # Slow, and a whole reply all the same.
        reply.hang = random.randrange(sum(1 for _ in reply.deltas()))
        _later(random.uniform(0.2, 3), reply)
        return "", reply


def reply_of(token: str, number: int, attempt: int, step: Step) -> Reply:
    """A whole reply; every word names its place, so that none can be lost, doubled or mixed up unseen."""
    return Reply(
        tokens=words_of(token, number, attempt, step.words),
        reasoning=[f"r{at} " for at in range(step.reasoning)],
        delay=step.delay,
        calls=step.calls,
        call_ids=[f"call-{token}-{number}-{attempt}-{index}" for index in range(len(step.calls))],
    )


def words_of(token: str, number: int, attempt: int, count: int) -> list[str]:
    """The words of a reply."""
    return [f"{token}.{number}.{attempt}.{at} " for at in range(count)]


def is_plan(content: object) -> bool:
    """Whether a message is one of ours."""
    return isinstance(content, str) and content.startswith(PREFIX)


def _later(seconds: float, held: Reply | Silence) -> None:
    timer = threading.Timer(seconds, held.gate.open)
    timer.daemon = True
    timer.start()
