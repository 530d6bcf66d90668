"""Which part of a run's history the model is sent, and where results go."""

import pytest

from myagent import create_react_agent
from myagent.loop.history import DEFAULT_CONTEXT_WINDOW, History
from myagent.messages import Message, ToolCall
from myagent.testing import ScriptedLLM

HI = Message.user("hi")


def history(*messages, summary="", llm=None, **options):
    agent = create_react_agent(**{"system_prompt": "", **options})
    return History(agent, llm or ScriptedLLM([]), messages, summary)


def reply(*ids):
    return Message.assistant("", [ToolCall(id=each, name="echo", arguments="{}") for each in ids])


def result(call_id):
    return Message.tool(f"result of {call_id}", tool_call_id=call_id)


def exchange(number):
    return Message.user(f"question {number} " + "x" * 300), Message.assistant(f"answer {number}")


def test_the_prompt_is_made_of_one_system_message_the_messages_and_a_note():
    known = history(HI, system_prompt="Be kind.", next_step_prompt="Think.")
    assert known.prompt() == [Message.system("Be kind.\n\nThink."), HI]
    assert known.prompt("Sum up.") == [*known.prompt(), Message.system("Sum up.")]
    assert history(HI, next_step_prompt="Think.").prompt() == [Message.system("Think."), HI]
    assert history(HI).prompt() == [HI]


def test_a_summary_stands_before_the_messages():
    known = history(HI, summary="They met.")
    assert known.summary == "They met."
    assert [message.text for message in known.prompt()][1:] == ["They met.", "hi"]
    assert history(HI).summary == ""


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], None),
        ([HI], None),
        ([HI, Message.assistant("done")], None),
        ([HI, reply("a")], reply("a")),
        ([HI, reply("a", "b"), result("b")], reply("a", "b")),
        ([HI, reply("a"), result("a"), Message.assistant("done"), HI], None),
    ],
)
def test_the_reply_that_is_open(messages, expected):
    assert history(*messages).open_reply() == expected


def test_results_are_taken_out_and_put_in_by_the_order_of_the_calls():
    known = history(HI, reply("a", "b", "c"), result("b"))
    taken = known.take_results()
    assert taken == [result("b")]
    known.add_results({2: result("c"), 1: taken[0], 0: result("a")})
    assert known.prompt()[2:] == [result("a"), result("b"), result("c")]


@pytest.mark.parametrize("messages", [[], [HI], [HI, reply("a")]])
def test_where_there_are_no_results_none_are_taken(messages):
    known = history(*messages)
    assert known.take_results() == []
    assert known.prompt() == messages


def test_the_agents_window_goes_before_the_models_and_that_before_the_default():
    llm = ScriptedLLM([])
    assert history(llm=llm).budget == DEFAULT_CONTEXT_WINDOW
    llm.context_window = 5_000
    assert history(llm=llm).budget == 5_000
    assert history(llm=llm, context_window=2_000).budget == 2_000
    assert history(llm=llm, system_prompt="y" * 350).budget < 5_000 - 100


def test_the_oldest_messages_give_way_to_a_summary():
    messages = [message for number in range(10) for message in exchange(number)]
    known = history(*messages, context_window=600)
    assert known.is_too_long
    oldest = known.oldest()
    assert oldest == messages[: len(oldest)]
    assert 0 < len(oldest) < len(messages)
    known.replace_oldest(len(oldest), "Ten questions.")
    assert known.summary == "Ten questions."
    assert not known.is_too_long
    assert known.prompt()[2:] == messages[len(oldest) :]


def test_half_is_forgotten_until_a_single_exchange_is_left():
    known = history(*(message for number in range(8) for message in exchange(number)))
    sizes = [len(known.prompt())]
    while known.send_less():
        sizes.append(len(known.prompt()))
    assert sizes[0] == 16 and sizes[-1] == 2
    assert all(after < before for before, after in zip(sizes, sizes[1:], strict=False))
