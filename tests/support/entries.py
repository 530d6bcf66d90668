"""Sessions, runs and entries of the journal for tests, made through the journal as the server makes them.

Tests import it as a namespace: `from tests.support import entries as e`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from myagent.events import ModelReplied, RequestedCall, ToolFinished
from myagent.llm import Usage
from myagent.messages import Message, ToolCall
from myagent.protocol.server_base import ServerEvent
from myagent.protocol.server_events import (
    ConfirmMetadata,
    FinalAnswer,
    FinalMetadata,
    PartialAnswer,
    PartialMetadata,
    RunErrorMetadata,
    RunFailed,
    Thinking,
    ThinkingMetadata,
    ToolCalled,
    ToolCallMetadata,
    ToolResultMetadata,
    ToolReturned,
    UsageMetadata,
    UserConfirm,
)
from sessions_app import models, queries
from sessions_app.journal import commit as journal
from sessions_app.journal.entries.messages import Posted, PostMessage
from sessions_app.journal.entries.ownership import Lease
from sessions_app.journal.entries.runs import AskConfirmation, EndRun, FinishCall, LogDeltas, LogEvents, StoreReply
from sessions_app.journal.entries.sessions import CreateSession
from sessions_app.journal.entry import Entry, RunRef
from sessions_app.journal.refusal import Refused
from sessions_app.journal.stored_size import stored_bytes

database = [pytest.mark.database, pytest.mark.django_db]
"""The marks of a test that writes: it runs on SQLite, and on PostgreSQL when there is one. All is rolled back."""

threads = [pytest.mark.database, pytest.mark.django_db(transaction=True)]
"""The same for tests whose threads must see what others wrote: it is committed."""

LEASE = Lease("owner-of-the-tests", seconds=60)
USAGE = Usage(10, 5, 1, 4, 3, 2)
_USAGE = UsageMetadata(input_tokens=10, output_tokens=5, llm_calls=1)


# --- fixtures, for all tests of the folder sessions_app ---


@pytest.fixture
def session() -> uuid.UUID:
    """A stored session without messages."""
    return new_session()


@pytest.fixture
def ref(session: uuid.UUID) -> RunRef:
    """A run of `session` that has begun."""
    return running(session)


# --- commits ---


def commit(*entries: Entry) -> list[Any]:
    """The outcomes of entries that are committed in one batch; a refusal is one of them."""
    return journal.commit(entries).results


def commit_one(entry: Entry) -> Any:
    """The outcome of one entry. Raises `Refused`."""
    (outcome,) = commit(entry)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def refusals(outcomes: Iterable[Any]) -> list[str | None]:
    """The code of each outcome that is a refusal, None for the others."""
    return [str(outcome.code) if isinstance(outcome, Refused) else None for outcome in outcomes]


# --- entries ---


def new_session(*, user_id: int | None = None, agent: str = "tester", **options: Any) -> uuid.UUID:
    """A stored session without messages."""
    session_id = uuid.uuid4()
    commit_one(CreateSession(session_id=session_id, agent=agent, user_id=user_id, connection_id="c", **options))
    return session_id


def message(session_id: uuid.UUID, text: str | list[Any] = "hi", **options: Any) -> PostMessage:
    """The entry of a user's message; its run begins at once if it can, unless `lease` is None."""
    options = {"message_id": None, "origin": "c", "lease": LEASE, "new_run_id": uuid.uuid4()} | options
    return PostMessage(session_id=session_id, message=Message.user(text), **options)


def post(session_id: uuid.UUID, text: str = "hi", **options: Any) -> Posted:
    """A committed message."""
    posted: Posted = commit_one(message(session_id, text, **options))
    return posted


def running(session_id: uuid.UUID, text: str = "hi", **options: Any) -> RunRef:
    """A run that has begun, by its right to write."""
    ref = post(session_id, text, **options).begun
    assert ref is not None, "there was no room for the run"
    return ref


def mine(ref: RunRef) -> dict[str, Any]:
    """The fields by which the owner of a run identifies itself."""
    return {"session_id": ref.session_id, "of_run": ref.run_id, "epoch": ref.epoch}


def thinking(ref: RunRef, step: int = 1) -> LogEvents:
    event = Thinking(content="thinking", metadata=ThinkingMetadata(run_id=str(ref.run_id), step=step))
    return LogEvents(**mine(ref), events=(event,))


def partial(
    ref: RunRef, text: str, index: int = 0, *, step_id: str = "step", step: int = 1, is_final: bool = False
) -> PartialAnswer:
    metadata = PartialMetadata(run_id=str(ref.run_id), step=step, index=index, is_final=is_final)
    return PartialAnswer(step_id=step_id, content=text, metadata=metadata)


def deltas(ref: RunRef, *events: ServerEvent) -> LogDeltas:
    return LogDeltas(**mine(ref), events=events)


def call_of(index: int = 0, name: str = "weather", *, waits: bool = False, **arguments: Any) -> RequestedCall:
    """A call as the loop reports it, with ids of its own."""
    return RequestedCall(
        index=index,
        call_id=f"call_{uuid.uuid4().hex}",
        step_id=uuid.uuid4().hex,
        name=name,
        arguments=arguments,
        waits=waits,
    )


def reply(ref: RunRef, *calls: RequestedCall, text: str = "", step: int = 1) -> StoreReply:
    """The entry of a reply that asks for `calls`."""
    asked = [ToolCall(id=call.call_id, name=call.name, arguments="{}") for call in calls]
    event = ModelReplied(step=step, message=Message.assistant(text, asked), calls=calls, usage=USAGE)
    events = tuple(
        ToolCalled(
            step_id=call.step_id,
            content="calling",
            metadata=ToolCallMetadata(
                run_id=str(ref.run_id), tool=call.name, args=dict(call.arguments), step=step, call_id=call.call_id
            ),
        )
        for call in calls
    )
    return StoreReply(**mine(ref), reply=event, events=events)


def result(
    ref: RunRef, call: RequestedCall, first: int, text: str = "sunny", *, state: dict[str, Any] | None = None
) -> FinishCall:
    """The entry of a call's result; `first` is what its `reply` came to."""
    finished = ToolFinished(
        step=1,
        call=call,
        status="success",
        output=text,
        message=Message.tool(text, tool_call_id=call.call_id),
        duration_ms=7,
        state=state,
    )
    metadata = ToolResultMetadata(run_id=str(ref.run_id), tool=call.name, status="success", duration_ms=7)
    event = ToolReturned(step_id=call.step_id, content=text, metadata=metadata)
    return FinishCall(**mine(ref), finished=finished, position=first + call.index, events=(event,))


def question(ref: RunRef, call: RequestedCall, *, timeout: float = 60, starts_call: bool = True) -> AskConfirmation:
    """The entry of a question to the user about `call`."""
    step_id = uuid.uuid4().hex
    metadata = ConfirmMetadata(
        run_id=str(ref.run_id),
        tool_name=call.name,
        tool_description="",
        tool_args=dict(call.arguments),
        timeout_seconds=timeout,
        call_step_id=call.step_id,
    )
    return AskConfirmation(
        **mine(ref),
        step_id=step_id,
        call_step_id=call.step_id,
        starts_call=starts_call,
        question="Really?",
        timeout=timeout,
        events=(UserConfirm(step_id=step_id, content="Really?", metadata=metadata),),
    )


def answer(ref: RunRef, text: str = "Done.", *, said: bool = True) -> EndRun:
    """The entry of a final answer."""
    metadata = FinalMetadata(run_id=str(ref.run_id), steps=1, duration_ms=5, usage=_USAGE, finish="answer")
    return EndRun(
        **mine(ref),
        status=models.Run.Status.SUCCEEDED,
        message=Message.assistant(text) if said else None,
        steps=1,
        usage=USAGE,
        events=(FinalAnswer(content=text, metadata=metadata),),
    )


def failure(ref: RunRef, code: str = "run_failed") -> EndRun:
    """The entry of a run's end with an error."""
    error = RunFailed(content="It failed.", metadata=RunErrorMetadata(run_id=str(ref.run_id), code=code))
    status = models.Run.Status.FAILED
    return EndRun(**mine(ref), status=status, steps=1, usage=USAGE, error_code=code, events=(error,))


# --- what is stored ---


def events(session_id: uuid.UUID) -> list[dict[str, Any]]:
    """The log of a session, decoded, after checking that its numbers are as they must be."""
    rows = list(models.Event.objects.filter(session_id=session_id).order_by("seq"))
    frames = [orjson.loads(row.frame) for row in rows]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1)), "numbers with gaps or doubles"
    assert [frame["seq"] for frame in frames] == [row.seq for row in rows]
    assert [frame["event_id"] for frame in frames] == [f"{session_id}-{row.seq}" for row in rows]
    assert [frame["event"] for frame in frames] == [row.name for row in rows]
    assert {frame["session_id"] for frame in frames} <= {str(session_id)}
    session = models.Session.objects.filter(pk=session_id).first()
    assert (session.last_seq if session else 0) == len(rows)
    assert session is None or session.stored_bytes == stored_bytes(session_id)
    return frames


def names(session_id: uuid.UUID) -> list[str]:
    """The names of the logged events of a session, without `agent.session_created`."""
    return [frame["event"] for frame in events(session_id)][1:]


def history(session_id: uuid.UUID) -> list[tuple[str, str]]:
    """Role and text of the messages that the model would be sent, after checking that it would take them."""
    messages = queries.conversation(session_id).messages
    assert_model_takes(messages)
    return [(item.role, item.text) for item in messages]


def assert_model_takes(messages: Sequence[Message]) -> None:
    """Every call is followed by its results, in order, and by nothing else before them."""
    expected: list[str] = []
    for item in messages:
        if item.role == "tool":
            assert expected, f"a result without a call: {item}"
            assert item.tool_call_id == expected.pop(0)
            continue
        assert not expected, f"calls without results before {item}"
        expected = [call.id for call in item.tool_calls]
    assert not expected, "calls without results at the end"


def run_of(ref: RunRef | Posted) -> models.Run:
    """The row of a run."""
    return models.Run.objects.get(pk=ref.run_id)


def statuses(session_id: uuid.UUID) -> list[str]:
    """The statuses of a session's runs, the oldest first."""
    return list(
        models.Run.objects.filter(session_id=session_id).order_by("queued_at", "pk").values_list("status", flat=True)
    )


def lapse(ref: RunRef) -> None:
    """Let the lease of a run end a minute ago."""
    models.Run.objects.filter(pk=ref.run_id).update(lease_until=timezone.now() - timedelta(minutes=1))


def metadata(frame: Mapping[str, Any], *keys: str) -> tuple[Any, ...]:
    """Some values of a frame's metadata."""
    return tuple(frame["metadata"].get(key) for key in keys)
