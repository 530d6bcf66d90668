"""Many stored conversations, for measuring how quickly they are found and read. The same every time."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from sessions_app.models import Event, Message, Run, Session, Span, ToolCall

AGENTS = ("weather", "shop", "helpdesk", "notes", "travel", "legal", "tutor", "plain")
USERS = 50
RUNS = 5
"""Per session, each with four messages, a call of a tool, three spans and eight events."""
NEEDLE = "zebra"
"""A word that stands in one message of a thousand."""
LONG = 200
"""Runs of the one session that is much longer than the others."""
_ENGLISH = (
    "the order was sent yesterday and arrives soon please look at the invoice number weather in Paris sunny with rain "
    "later refund account password reset train ticket to Berlin contract clause meeting notes summary"
)
_CHINESE = "订单 已经 发货 请 查看 物流 信息 北京 今天 天气 晴 退款 申请 合同 条款 会议 纪要 谢谢 帮助"
_WORDS = f"{_ENGLISH} {_CHINESE}".split()
_TOGETHER = 500
_ORDER = (Session, Run, Message, ToolCall, Span, Event)

_random = random.Random(20_261_126)


def fill(sessions: int, tell: Callable[[int], None]) -> None:
    """Store so many conversations; `tell` is called with how many there are already."""
    users = User.objects.bulk_create([User(username=f"user{number:03}") for number in range(USERS)])
    now = timezone.now()
    for first in range(0, sessions, _TOGETHER):
        rows: dict[type[Model], list[Any]] = defaultdict(list)
        for number in range(first, min(first + _TOGETHER, sessions)):
            owner = users[number % USERS] if number % 10 else None
            begun = now - timedelta(minutes=10 * (sessions - number))
            for row in _session(number, owner, begun, RUNS if number else LONG):
                rows[type(row)].append(row)
        for model in _ORDER:
            model._default_manager.bulk_create(rows[model], batch_size=1_000)
        tell(first + _TOGETHER)


def _session(number: int, owner: User | None, begun: datetime, runs: int) -> Iterator[Model]:
    session = Session(
        id=_uuid(),
        agent=AGENTS[number % len(AGENTS)],
        user=owner,
        title=_words(6),
        status="closed" if number % 20 == 0 else "open",
        last_position=4 * runs,
        last_seq=8 * runs,
        created_at=begun,
        active_at=begun + timedelta(seconds=10 * runs),
    )
    yield session
    for count in range(runs):
        yield from _run(session, count, begun + timedelta(seconds=10 * count), failed=_random.random() < 0.03)


def _run(session: Session, count: int, at: datetime, *, failed: bool) -> Iterator[Model]:
    run = Run(
        id=_uuid(),
        session=session,
        status="failed" if failed else "succeeded",
        error_code="llm_unavailable" if failed else "",
        steps=2,
        llm_calls=2,
        input_tokens=_random.randrange(5_000),
        output_tokens=_random.randrange(500),
        queued_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=4),
    )
    yield run
    call_id, step_id, place = f"call_{count}", f"{run.id}.1.0", 4 * count
    asked = [{"id": call_id, "name": "lookup", "arguments": '{"what": "order"}'}]
    said: list[dict[str, Any]] = [
        {"role": "user", "content": _words(25)},
        {"role": "assistant", "tool_calls": asked},
        {"role": "tool", "content": _words(120), "tool_call_id": call_id},
        {"role": "assistant", "content": f"**{_words(3)}**\n\n- {_words(30)}\n- {_words(30)}"},
    ]
    for index, columns in enumerate(said):
        yield Message(session=session, run=run, position=place + index + 1, created_at=at, **columns)
    yield ToolCall(
        run=run,
        step=1,
        index=0,
        call_id=call_id,
        step_id=step_id,
        position=place + 3,
        tool="lookup",
        arguments={"what": "order"},
        status="done",
        outcome="success",
        result=said[2]["content"],
        duration_ms=800,
        asked_at=at,
        finished_at=at + timedelta(seconds=2),
    )
    for kind, name, begins, lasts in (
        ("reply", "gpt", 0, 1100),
        ("tool", "lookup", 1.1, 800),
        ("reply", "gpt", 2, 1900),
    ):
        yield Span(
            run=run,
            epoch=1,
            kind=kind,
            name=name,
            step=1 if begins < 2 else 2,
            outcome="ok",
            started_at=at + timedelta(seconds=begins),
            duration_ms=lasts,
            first_token_ms=None if kind == "tool" else lasts // 4,
        )
    yield from _events(
        session, run, 8 * count, at, "agent.error" if failed else "agent.final_answer", said[3]["content"]
    )


def _events(session: Session, run: Run, before: int, at: datetime, last: str, answer: str) -> Iterator[Event]:
    names = ("user.message", "agent.thinking", "agent.tool_call", "agent.tool_result", "agent.thinking")
    for index, name in enumerate((*names, "agent.partial_answer", "agent.partial_answer", last), 1):
        frame = {
            "event": name,
            "session_id": str(session.pk),
            "seq": before + index,
            "content": answer,
            "metadata": {"run_id": str(run.pk)},
        }
        text = orjson.dumps(frame).decode()
        yield Event(session=session, seq=before + index, name=name, frame=text, created_at=at)


def _uuid() -> uuid.UUID:
    return uuid.UUID(int=_random.getrandbits(128), version=4)


def _words(number: int) -> str:
    words = _random.choices(_WORDS, k=number)
    if _random.random() < 0.0004:
        words[0] = NEEDLE
    return " ".join(words)
