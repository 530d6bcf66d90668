"""Cutting a history to the model's window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.loop.context_window import estimate_tokens, fit
from myagent.messages import Message, ToolCall


def exchange(number, calls=0):
    asked = [ToolCall(id=f"{number}-{index}", name="t", arguments="{}") for index in range(calls)]
    results = [Message.tool("r" * 20, tool_call_id=call.id) for call in asked]
    middle = [Message.assistant("", asked), *results] if calls else []
    return [Message.user(f"question {number}"), *middle, Message.assistant(f"answer {number}")]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (Message.user("a"), Message.user("a" * 100)),
        (Message.user("a" * 30), Message.user("天" * 30)),
        (Message.user("x"), Message.user([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}])),
        (Message.assistant("x"), Message.assistant("x", [ToolCall(id="1", name="weather", arguments='{"a": 1}')])),
    ],
)
def test_more_to_read_is_more_tokens(smaller, larger):
    assert 0 < estimate_tokens(smaller) < estimate_tokens(larger)


def test_what_fits_stays_whole():
    history = [*exchange(1), *exchange(2, calls=2)]
    assert fit(history, 10_000) == history
    assert fit([], 10) == []


def test_the_oldest_exchanges_go_first():
    history = [*exchange(1), *exchange(2), *exchange(3)]
    budget = sum(map(estimate_tokens, history[2:]))
    assert fit(history, budget) == history[2:]
    assert fit(history, budget - 1) == history[4:]


@pytest.mark.parametrize("budget", [-5, 0, 1])
def test_the_last_exchange_always_stays(budget):
    history = [*exchange(1), *exchange(2, calls=3)]
    assert fit(history, budget) == history[2:]


def test_what_precedes_the_first_message_of_the_user_is_an_exchange_too():
    history = [Message.assistant("welcome"), *exchange(1)]
    assert fit(history, 0) == history[1:]
    assert fit(history, 10_000) == history


@given(st.lists(st.integers(0, 3), max_size=8), st.integers(-10, 400))
def test_what_is_kept_is_whole_newest_and_fits(sizes, budget):
    exchanges = [exchange(number, calls) for number, calls in enumerate(sizes)]
    kept = fit([message for item in exchanges for message in item], budget)
    starts = [[message for item in exchanges[index:] for message in item] for index in range(len(exchanges) + 1)]
    assert kept in starts
    if sizes:
        assert len(kept) >= len(exchanges[-1])
        assert sum(map(estimate_tokens, kept)) <= budget or kept == exchanges[-1]


def test_a_file_counts_by_what_the_model_is_sent_of_it():
    def tokens(kind, size):
        file = {"file_id": "f", "name": "a", "type": kind, "size": size}
        return estimate_tokens(Message.user([{"type": "file", "file": file}]))

    assert tokens("text/csv", 30_000) > 10_000 > 1_000 > tokens("application/pdf", 30_000)
    assert tokens("text/csv", 10**9) == tokens("application/json", 10**9) < 100_000
    picture = {"url": "/api/files/f", "file_id": "f", "type": "image/png", "size": 10**7}
    assert 1_000 <= estimate_tokens(Message.user([{"type": "image_url", "image_url": picture}])) < 1_100
