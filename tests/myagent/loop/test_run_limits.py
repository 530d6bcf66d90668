"""The limits of a run: what counts, what is refused, and that a run which is resumed counts on."""

import pytest

from myagent import create_react_agent, tool
from myagent.events import LimitUse, RequestedCall
from myagent.exceptions import RunLimitReached
from myagent.llm import Usage
from myagent.loop.checkpoint import AskedCall, Checkpoint
from myagent.loop.prepared_calls import PreparedCall
from myagent.loop.run_limits import Ceilings, RunLimits
from myagent.tool.terminate import Terminate

pytestmark = pytest.mark.usefixtures("in_english")


@tool
def look(at: str) -> str:
    """Look."""
    return at


END = Terminate()


def asked(*words, using=look):
    return [
        PreparedCall(
            requested=RequestedCall(
                index=index,
                call_id=f"c{index}",
                step_id=f"s{index}",
                name=using.name,
                arguments={"at": word},
                waits=False,
            ),
            tool=using,
            arguments={"at": word},
        )
        for index, word in enumerate(words)
    ]


def limits_of(checkpoint=None, ceilings=None, **options):
    return RunLimits(create_react_agent(tools=[look], **options), ceilings or Ceilings(), checkpoint)


def refused(calls):
    return [call.problem is not None for call in calls]


def which(use):
    return None if use is None else use.which


def test_the_lower_of_author_and_operator_holds():
    limits = limits_of(max_steps=9, max_tokens=100, ceilings=Ceilings(max_steps=3, max_tokens=500, max_tool_calls=7))
    assert limits.reached(2, Usage(60, 39, 2)) is None
    assert limits.reached(3, Usage()) == LimitUse(which="max_steps", used=3, allowed=3)
    assert limits.reached(1, Usage(60, 40, 1)) == LimitUse(which="max_tokens", used=100, allowed=100)
    limits.take(asked(*"abcdefg"))
    assert limits.reached(1, Usage()) == LimitUse(which="max_tool_calls", used=7, allowed=7)


def test_each_limit_is_told_once_when_most_of_it_is_used():
    limits = limits_of(max_steps=10, max_tokens=100)
    assert limits.newly_near(7, Usage(79, 0, 1)) == []
    assert limits.newly_near(7, Usage(80, 0, 1)) == [LimitUse(which="max_tokens", used=80, allowed=100)]
    assert limits.newly_near(8, Usage(90, 0, 2)) == [LimitUse(which="max_steps", used=8, allowed=10)]
    assert limits.newly_near(9, Usage(99, 0, 3)) == []


def test_calls_beyond_their_number_are_not_run_and_wait_for_nothing():
    limits = limits_of(max_tool_calls=3)
    assert refused(limits.take(asked("a", "b"))) == [False, False]
    taken = limits.take(asked("c", "d", "e"))
    assert refused(taken) == [False, True, True]
    assert [call.requested.waits for call in taken] == [False, True, True], "their start is never stored"
    assert limits.reached(2, Usage()) == LimitUse(which="max_tool_calls", used=5, allowed=3)


def test_the_call_that_ends_a_run_is_never_refused():
    limits = limits_of(max_tool_calls=1)
    limits.take(asked("a"))
    assert refused(limits.take(asked("b", using=END))) == [False]


def test_of_equal_calls_the_model_is_told_once_and_then_they_are_a_limit():
    limits = limits_of(repeat_limit=3)
    for _ in range(2):
        assert refused(limits.take(asked("a", "a", "b"))) == [False] * 3, "within one reply it is no repetition"
        assert limits.note is None
    assert refused(limits.take(asked("a"))) == [False]
    assert limits.note is not None and "look" in limits.note and limits.reached(3, Usage()) is None
    assert refused(limits.take(asked("a", "b"))) == [True, False]
    assert limits.reached(4, Usage()) == LimitUse(which="repeat_limit", used=4, allowed=3)


def test_a_reply_without_the_call_begins_a_new_count():
    limits = limits_of(repeat_limit=2)
    for word in "aabaab":
        assert refused(limits.take(asked(word))) == [False]
    assert limits.reached(6, Usage()) is None


def test_without_a_limit_of_repetitions_nothing_is_counted():
    limits = limits_of(repeat_limit=None)
    for _ in range(9):
        assert refused(limits.take(asked("a"))) == [False]
    assert limits.note is None and limits.reached(9, Usage()) is None


def test_equal_arguments_are_equal_whatever_their_order():
    limits = limits_of(repeat_limit=2)
    for arguments in ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": [2]}):
        (call,) = asked("x")
        object.__setattr__(call.requested, "arguments", arguments)
        taken = limits.take([call])
    assert refused(taken) == [True]


def test_a_run_that_is_resumed_counts_on():
    calls = [AskedCall(step, "look", {"at": "a"}) for step in (1, 2, 3)]
    checkpoint = Checkpoint(step=3, usage=Usage(85, 0, 3), calls=calls, seconds=50.0)
    limits = limits_of(checkpoint, max_tokens=100, max_tool_calls=5, max_seconds=60, repeat_limit=3)
    assert limits.newly_near(3, Usage(85, 0, 3)) == [], "the process before has told it"
    assert limits.seconds_left() < 10
    limits.take(asked("a"))  # the reply at the checkpoint, as it is resumed
    assert limits.note is not None
    assert refused(limits.take(asked("a"))) == [True]
    assert limits.reached(4, Usage()) == LimitUse(which="repeat_limit", used=4, allowed=3)
    limits.take(asked("b"))
    assert which(limits.reached(5, Usage())) == "max_tool_calls"


def test_after_twice_the_tokens_a_last_call_is_not_affordable():
    limits = limits_of(max_tokens=100)
    limits.check_affordable(Usage(100, 99, 2))
    with pytest.raises(RunLimitReached, match="took 200 model tokens") as caught:
        limits.check_affordable(Usage(100, 100, 2))
    assert caught.value.details == {"limit": {"which": "max_tokens", "used": 200, "allowed": 100}}
