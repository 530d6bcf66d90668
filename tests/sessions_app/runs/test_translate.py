"""Which events of a run become server events by themselves, and which by the driver."""

import uuid
from typing import get_args

import pytest

from myagent import Image
from myagent.events import (
    AgentEvent,
    HistorySummarized,
    LimitNear,
    ModelWaiting,
    ReasoningDelta,
    ReplyRejected,
    RequestedCall,
    RunFinished,
    StepReset,
    TextDelta,
    ToolFinished,
    ToolStarted,
)
from myagent.llm.fallback import AnsweringModel
from myagent.messages import Message
from sessions_app.runs.translate import to_wire

RUN = str(uuid.uuid4())
BY_THE_DRIVER = {
    LimitNear,
    ModelWaiting,
    TextDelta,
    ReasoningDelta,
    HistorySummarized,
    ReplyRejected,
    ToolStarted,
    RunFinished,
}


def test_every_event_of_a_run_is_shown_or_left_to_the_driver():
    shown = set(get_args(AgentEvent)) & to_wire.registry.keys()
    assert shown.isdisjoint(BY_THE_DRIVER)
    assert shown | BY_THE_DRIVER == set(get_args(AgentEvent))


@pytest.mark.usefixtures("in_english")
def test_an_event_names_its_run():
    (shown,) = to_wire(StepReset(step=2, reason="stream"), RUN)
    assert (shown.event, shown.metadata.model_dump(exclude_none=True)) == (
        "agent.step_reset",
        {"run_id": RUN, "step": 2, "reason": "stream"},
    )


def test_a_fallback_names_the_model():
    (shown,) = to_wire(StepReset(step=2, reason="fallback", answering=AnsweringModel(1, "second")), RUN)
    assert (shown.metadata.model, shown.metadata.model_number) == ("second", 1)


def test_what_is_not_shown_by_itself_is_an_error():
    with pytest.raises(TypeError, match="TextDelta"):
        to_wire(TextDelta(step=1, text="a"), RUN)


def test_pictures_of_a_result_are_sent_as_base64():
    call = RequestedCall(index=0, call_id="c", step_id="s", name="plot", arguments={}, waits=False)
    message = Message.tool("x", tool_call_id="c")
    image = Image(b"\x89PNG\r\n\x1a\n")
    facts = {"step": 1, "call": call, "status": "success", "output": "x", "message": message, "duration_ms": 1}
    (sent,) = to_wire(ToolFinished(**facts, images=(image,)), "r")
    assert [dict(one) for one in sent.metadata.images] == [{"media_type": "image/png", "data": image.base64}]
    (sent,) = to_wire(ToolFinished(**facts), "r")
    assert sent.metadata.images is None
