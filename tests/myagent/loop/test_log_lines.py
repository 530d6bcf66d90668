"""What the log says of a call of the model when everything is logged."""

from __future__ import annotations

from myagent.llm import Reply, Usage
from myagent.loop.log_lines import answer_line, question_line
from myagent.messages import Message, ToolCall

RUN = "6b0ad1f5-0c3d-4c35-8f1a-02a76d7ce5a4"


def test_a_question_shows_the_newest_message():
    prompt = [Message.system("Be kind."), Message.user("你好\n" + "x" * 300)]
    line = question_line(RUN, 2, "gpt", prompt, [{"type": "function"}])
    assert line.startswith(r"run=6b0ad1f5 step 2: asking gpt with 2 messages and 1 tools; the newest: user '你好\nxxx")
    assert line.endswith("x…'") and len(line) < 300


def test_a_question_without_messages():
    assert question_line(RUN, 1, "gpt", [], []) == "run=6b0ad1f5 step 1: asking gpt with 0 messages and 0 tools"


def answer(text="", *calls, first=None):
    message = Message.assistant(text, [ToolCall(id="1", name=name, arguments=given) for name, given in calls])
    return answer_line(RUN, 1, "gpt", Reply(message, Usage(10, 5, 1)), seconds=1.5, first=first)


def test_an_answer_shows_its_text_and_when_it_began():
    assert answer("Hello.", first=0.25) == (
        "run=6b0ad1f5 step 1: gpt answered after 1.50 s (10 + 5 tokens, the first words after 0.25 s): 'Hello.'"
    )


def test_an_answer_shows_its_calls():
    assert answer("", ("add", '{"a": 1}'), ("now", "{}")) == (
        'run=6b0ad1f5 step 1: gpt answered after 1.50 s (10 + 5 tokens): add({"a": 1}), now({})'
    )


def test_an_empty_answer():
    assert answer().endswith("(10 + 5 tokens): nothing")
