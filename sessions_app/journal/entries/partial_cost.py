"""The cost of a call of a model that is broken off. No model reports it, so it is estimated: stopping every answer just
before its end must not be a way around a budget.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from django.db.models import QuerySet, Sum
from django.db.models.functions import Length

from agents.budgets.prices import priced_now
from agents.conf import get_config
from myagent.llm import Usage
from myagent.loop.context_window import estimate_tokens
from myagent.messages import Message as LibraryMessage
from sessions_app.journal.batch import Batch
from sessions_app.journal.locked_rows import LockedRun, LockedSession
from sessions_app.journal.usage_ledger import usage_of
from sessions_app.models import Event, Message, Run

_CHARACTERS_PER_TOKEN = 2
"""A mean of English and Chinese."""


def charge_broken_off(batch: Batch, session: LockedSession, run: LockedRun) -> None:
    """Charge for the unfinished call of the model in a run that is about to be ended, if there is one."""
    if not run.is_active:
        return
    batch.writes.flush()
    step = _step_under_way(run)
    if step <= run.steps:
        return  # a tool is running
    streamed = "".join(reversed(list(_streamed(run, step))))
    output = estimate_tokens(LibraryMessage.assistant(streamed)) if streamed else 0
    usage = Usage(_input_of_a_call(session), output, 1)
    batch.charge(session, run, usage_of(run) + priced_now(usage, run.model, get_config().currency, batch.now))


def _step_under_way(run: LockedRun) -> int:
    """The newest step of the run that has begun; 0 for none."""
    newest = _newest_first(run).first()
    metadata = orjson.loads(newest)["metadata"] if newest else {}
    return int(metadata["step"]) if metadata.get("run_id") == str(run.id) else 0


def _streamed(run: LockedRun, step: int) -> Iterator[str]:
    """The pieces of the step's text and reasoning, the newest first."""
    for frame in map(orjson.loads, _newest_first(run).iterator(chunk_size=200)):
        metadata = frame["metadata"]
        if metadata["run_id"] != str(run.id) or metadata["step"] != step:
            return
        if frame["event"] == "agent.partial_answer" or metadata.get("reasoning"):
            yield frame["content"]


def _newest_first(run: LockedRun) -> QuerySet[Event, str]:
    events = Event.objects.filter(session_id=run.session_id, name__in=("agent.partial_answer", "agent.thinking"))
    return events.order_by("-seq").values_list("frame", flat=True)


def _input_of_a_call(session: LockedSession) -> int:
    """The mean input of the calls of this session's newest run that reported one, else an estimate from its history."""
    reported = Run.objects.filter(session_id=session.id, input_tokens__gt=0).order_by("-queued_at")
    if (newest := reported.values_list("input_tokens", "llm_calls").first()) is not None:
        return newest[0] // max(1, newest[1])
    characters = Message.objects.filter(session_id=session.id, position__isnull=False).aggregate(
        characters=Sum(Length("content"))
    )["characters"]
    return (characters or 0) // _CHARACTERS_PER_TOKEN
