"""Which events of a run become server events by themselves, and which by the driver."""

import uuid
from typing import get_args

import pytest

from myagent.events import AgentEvent, HistorySummarized, ReasoningDelta, RunFinished, StepReset, TextDelta, ToolStarted
from sessions_app.runs.translate import to_wire

RUN = str(uuid.uuid4())
BY_THE_DRIVER = {TextDelta, ReasoningDelta, HistorySummarized, ToolStarted, RunFinished}


def test_every_event_of_a_run_is_shown_or_left_to_the_driver():
    shown = set(get_args(AgentEvent)) & to_wire.registry.keys()
    assert shown.isdisjoint(BY_THE_DRIVER)
    assert shown | BY_THE_DRIVER == set(get_args(AgentEvent))


@pytest.mark.usefixtures("in_english")
def test_an_event_names_its_run():
    (shown,) = to_wire(StepReset(step=2, reason="stream"), RUN)
    assert (shown.event, shown.metadata.model_dump()) == (
        "agent.step_reset",
        {"run_id": RUN, "step": 2, "reason": "stream"},
    )


def test_what_is_not_shown_by_itself_is_an_error():
    with pytest.raises(TypeError, match="TextDelta"):
        to_wire(TextDelta(step=1, text="a"), RUN)
