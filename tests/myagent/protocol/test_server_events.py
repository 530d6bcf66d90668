"""What the server says: every event has its class, and a slip of ours fails when it is built."""

from typing import get_args

import pytest
from pydantic import ValidationError

from myagent.protocol import direct_events, server_events
from myagent.protocol.server_base import Metadata, RunMetadata, ServerEvent
from myagent.protocol.server_events import TERMINAL_EVENTS

LOGGED = {
    "agent.session_created", "agent.session_updated", "agent.session_end", "user.message", "user.response",
    "agent.thinking", "agent.partial_answer", "agent.step_reset", "agent.tool_call", "agent.tool_progress",
    "agent.user_confirm", "agent.tool_result", "agent.final_answer", "agent.interrupted", "agent.error",
}  # fmt: skip
DIRECT = {
    "system.connected", "system.heartbeat", "system.error", "system.notice", "system.sessions", "agent.error",
    "agent.session_deleted", "agent.interrupted",
}  # fmt: skip


def classes(module):
    found = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
    return [item for item in found if issubclass(item, ServerEvent)], [
        item for item in found if issubclass(item, Metadata)
    ]


EVENTS = [*classes(server_events)[0], *classes(direct_events)[0]]
METADATA = [*classes(server_events)[1], *classes(direct_events)[1]]


def name_of(kind):
    (name,) = get_args(kind.model_fields["event"].annotation)
    return name


@pytest.mark.parametrize(("module", "names"), [(server_events, LOGGED), (direct_events, DIRECT)])
def test_every_event_has_one_class(module, names):
    found = [name_of(kind) for kind in classes(module)[0]]
    assert len(found) == len(set(found))
    assert names <= set(found)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_the_name_of_an_event_is_its_default_and_nothing_else(kind):
    assert kind.model_fields["event"].default == name_of(kind)
    namespace, _, word = name_of(kind).partition(".")
    assert namespace in {"agent", "system", "user", "plan", "solver", "aggregate", "pipeline"}
    assert word.isidentifier()


@pytest.mark.parametrize("kind", [*EVENTS, *METADATA], ids=lambda kind: kind.__name__)
def test_unknown_fields_are_refused_and_events_do_not_change(kind):
    assert kind.model_config["frozen"]
    free = issubclass(kind, direct_events.FreeMetadata)
    assert kind.model_config["extra"] == ("allow" if free else "forbid")


def test_a_slip_fails_when_the_event_is_built():
    with pytest.raises(ValidationError, match="indx"):
        server_events.PartialMetadata(run_id="r", step=1, index=0, indx=1)
    with pytest.raises(ValidationError, match="seq"):
        direct_events.SystemNotice(metadata=direct_events.NoticeMetadata(action="x"), seq=5)


def test_every_event_of_a_run_bears_the_run():
    outside = {"agent.session_created", "agent.session_updated", "agent.session_end", "user.feedback"}
    for kind in classes(server_events)[0]:
        bears = issubclass(kind.model_fields["metadata"].annotation, RunMetadata)
        assert bears is (name_of(kind) not in outside), kind


def test_no_direct_event_bears_a_run():
    for kind in classes(direct_events)[0]:
        assert not issubclass(kind.model_fields["metadata"].annotation, RunMetadata)


def test_the_ends_of_a_run():
    assert {"agent.final_answer", "agent.interrupted", "agent.error"} == TERMINAL_EVENTS
