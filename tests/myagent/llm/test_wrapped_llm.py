"""A model around another one: it looks like it from outside, and stands in nobody's way."""

from __future__ import annotations

import pytest

from myagent.llm import Reply, Usage, ask_for_words
from myagent.llm.wrapped_llm import WrappedLLM
from myagent.messages import Message

TOOLS = [{"type": "function", "function": {"name": "look"}}]


class Plain:
    """A model with nothing but what has to be there."""

    model = "plain"

    async def stream(self, messages, *, tools=()):
        self.asked = {"tools": list(tools)}
        yield Reply(Message.assistant("yes"), Usage())


class Full:
    """A model with all that may be there."""

    model, context_window, provider, server = "full", 1_000, "somebody", ("127.0.0.1", 8000)
    takes_tool_choice = True

    async def stream(self, messages, *, tools=(), tool_choice=None):
        self.asked = {"tools": list(tools), "tool_choice": tool_choice}
        yield Reply(Message.assistant("yes"), Usage())


def test_it_says_of_itself_what_the_other_one_says():
    full = WrappedLLM(WrappedLLM(Full()))
    assert (full.model, full.context_window, full.provider, full.server) == ("full", 1_000, "somebody", Full.server)
    plain = WrappedLLM(Plain())
    assert (plain.model, plain.context_window, plain.provider, plain.server) == ("plain", None, None, None)


@pytest.mark.parametrize(
    ("model", "asked", "asked_for_words"),
    [
        (Plain, {"tools": TOOLS}, {"tools": []}),
        (Full, {"tools": TOOLS, "tool_choice": None}, {"tools": TOOLS, "tool_choice": "none"}),
    ],
)
async def test_it_asks_as_if_it_was_not_there(model, asked, asked_for_words):
    inner = model()
    outer = WrappedLLM(WrappedLLM(inner))
    assert [type(chunk) async for chunk in outer.stream([Message.user("hi")], tools=TOOLS)] == [Reply]
    assert inner.asked == asked
    assert [type(chunk) async for chunk in ask_for_words(outer, [Message.user("hi")], TOOLS)] == [Reply]
    assert inner.asked == asked_for_words


def test_where_it_does_not_step_in_the_stream_is_the_other_ones():
    assert WrappedLLM(Plain()).stream([]).ag_code is Plain.stream.__code__
