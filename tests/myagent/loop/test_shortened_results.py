from hypothesis import given
from hypothesis import strategies as st

from myagent.loop.context_window import estimate_tokens
from myagent.loop.shortened_results import PICTURES_LEFT_OUT, shorten_results
from myagent.messages import Message


def exchange(*sizes):
    return [Message.user("q"), *(Message.tool("x" * size, tool_call_id=str(at)) for at, size in enumerate(sizes))]


def tokens(messages):
    return sum(map(estimate_tokens, messages))


def test_what_fits_stays_as_it_is():
    messages = exchange(5_000, 5_000)
    assert shorten_results(messages, 5_000) == messages


def test_the_oldest_are_shortened_first_and_say_so():
    messages = exchange(5_000, 5_000, 5_000)
    shortened = shorten_results(messages, 3_600)
    assert tokens(shortened) <= 3_600
    assert shortened[0] == messages[0] and shortened[2:] == messages[2:]
    left_out = 5_000 - shortened[1].text.count("x", 0, shortened[1].text.index("\n"))
    assert f"shortened: {left_out} more characters" in shortened[1].text
    assert shortened[1].tool_call_id == "0"


def test_what_was_shortened_can_be_shortened_more_and_counts_all_that_is_missing():
    once = shorten_results(exchange(5_000), 1_000)
    twice = shorten_results(once, 300)
    text = twice[1].text
    assert len(text) < len(once[1].text) and text.count("shortened:") == 1
    assert f"shortened: {5_000 - text.index(chr(10))} more" in text


def test_short_results_and_what_users_said_are_never_cut():
    messages = [Message.user("y" * 9_000), *exchange(150)[1:]]
    assert shorten_results(messages, 1) == messages


@given(st.lists(st.integers(0, 9_000), max_size=5), st.integers(1, 9_000))
def test_it_never_becomes_longer(sizes, room):
    messages = exchange(*sizes)
    shortened = shorten_results(messages, room)
    assert len(shortened) == len(messages)
    assert all(
        estimate_tokens(after) <= estimate_tokens(before) for before, after in zip(messages, shortened, strict=True)
    )


def test_pictures_are_left_out_before_words():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    pictured = Message.tool([{"type": "text", "text": "x" * 2_000}, picture], tool_call_id="0")
    messages = [Message.user("q"), pictured, *exchange(100)[1:]]
    shortened = shorten_results(messages, tokens(messages) - 500)
    assert shortened[1].content == f"{'x' * 2_000}\n{PICTURES_LEFT_OUT}"
    assert shortened[2:] == messages[2:]
    assert len(shorten_results(messages, 500)[1].text) < 1_500
