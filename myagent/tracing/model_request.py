"""What is known of one request to a model when it is over, for those who count them: one report per request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from myagent.exceptions import MyAgentError
from myagent.llm import Usage

OK, INTERRUPTED, FAILED = "ok", "interrupted", "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request to `model`. `outcome` is `ok`, `interrupted`, or a code of what went wrong.

    `first_seconds` is how long the first piece of the reply took, None where there was none; `attempt` counts from 1
    within a step, `retries` are requests that the model's client repeated by itself. `response_model` is who answered,
    as far as the endpoint says it.
    """

    model: str
    purpose: Literal["reply", "summary"] = "reply"
    outcome: str
    seconds: float
    first_seconds: float | None = None
    attempt: int = 1
    retries: int = 0
    usage: Usage = Usage()
    response_model: str = ""


ReportRequest = Callable[[ModelRequest], None]


def unreported(request: ModelRequest) -> None:
    """Nobody counts requests."""


def outcome_of(error: BaseException | None) -> str:
    """How a request ended that was left by `error`."""
    match error:
        case None:
            return OK
        case MyAgentError():
            return error.code
        case asyncio.CancelledError() | GeneratorExit():
            return INTERRUPTED
        case _:
            return FAILED
