import json

import pytest
from markdown_it import MarkdownIt

from myagent.llm import Reply, TextChunk, Usage
from myagent.llm.demo import DemoLLM
from myagent.messages import Message
from tests.myagent.llm.test_demo_calls import CITY_INFO, HELLO, WEATHER

DEMO = DemoLLM(delay=0)


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr("myagent.i18n._language", "en")


async def ask(*messages, tools=()):
    """The pieces of text, and the whole reply, which must come last and once."""
    *chunks, reply = [chunk async for chunk in DEMO.stream(messages, tools=tools)]
    assert isinstance(reply, Reply)
    assert all(isinstance(chunk, TextChunk) for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks) == reply.message.text
    return [chunk.text for chunk in chunks], reply


async def test_it_calls_a_tool_and_answers_from_its_result():
    history = [Message.system("You help."), Message.user("北京今天天气怎么样？")]
    pieces, reply = await ask(*history, tools=[WEATHER, CITY_INFO])
    (call,) = reply.message.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "北京"})
    assert pieces == []
    assert reply.usage == Usage(0, 0, 1)

    history += [reply.message, Message.tool("北京：晴，21 度", tool_call_id=call.id), Message.system("next step")]
    pieces, reply = await ask(*history, tools=[WEATHER, CITY_INFO])
    assert reply.message.text.startswith("北京：晴，21 度\n")
    assert "演示模型" in reply.message.text
    assert reply.message.tool_calls == ()
    assert max(map(len, pieces)) <= 8


async def test_every_result_is_in_the_answer():
    calls = (await ask(Message.user("北京和上海的天气"), tools=[WEATHER]))[1].message
    assert len({call.id for call in calls.tool_calls}) == 2
    results = [Message.tool(call.arguments, tool_call_id=call.id) for call in calls.tool_calls]
    answer = (await ask(Message.user("北京和上海的天气"), calls, *results, tools=[WEATHER]))[1].message.text
    assert '{"city":"北京"}' in answer
    assert '{"city":"上海"}' in answer


async def test_results_of_an_earlier_question_are_not_the_answer():
    first = [Message.user("北京天气"), Message.tool("old news", tool_call_id="1")]
    _, reply = await ask(*first, Message.user("上海天气"), tools=[WEATHER])
    assert [json.loads(call.arguments) for call in reply.message.tool_calls] == [{"city": "上海"}]
    _, reply = await ask(*first, Message.user("hello"), tools=[WEATHER])
    assert "old news" not in reply.message.text


async def test_it_says_that_it_cannot_see():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    _, reply = await ask(Message.user([{"type": "text", "text": "What is this?"}, picture, picture]))
    assert reply.message.text.startswith("Pictures in your message: 2. I cannot look at them")
    _, reply = await ask(Message.user([picture]), reply.message, Message.user("And now?"))
    assert "Pictures" not in reply.message.text


async def test_it_says_what_can_be_asked():
    _, reply = await ask(Message.user("hello"), tools=[WEATHER, HELLO])
    assert "demo model" in reply.message.text
    assert "- get_weather: 北京, 上海, New York" in reply.message.text
    assert "- say_hello\n" in reply.message.text
    assert "OPENAI_API_KEY" in reply.message.text


async def test_a_tool_without_example_values_is_not_called():
    _, reply = await ask(Message.user("say hello to Ann"), tools=[HELLO])
    assert reply.message.tool_calls == ()
    assert "demo model" in reply.message.text
    assert "`examples`" in reply.message.text


@pytest.mark.parametrize("tools", [[WEATHER, HELLO], [HELLO]])
async def test_the_list_of_tools_is_a_list_of_its_own_in_markdown(tools):
    _, reply = await ask(Message.user("hello"), tools=tools)
    tokens = MarkdownIt().parse(reply.message.text)
    assert [token.type for token in tokens if token.level == 0 and token.nesting >= 0] == [
        "paragraph_open",
        "bullet_list_open",
        "paragraph_open",
        "paragraph_open",
    ]
    items = [token.content for token in tokens if token.type == "inline" and token.level == 3]
    assert [item.partition(":")[0] for item in items] == [tool["function"]["name"] for tool in tools]


async def test_results_are_paragraphs_in_markdown():
    results = [Message.tool(f"result {number}", tool_call_id=str(number)) for number in (1, 2)]
    _, reply = await ask(Message.user("hello"), *results)
    paragraphs = [token.content for token in MarkdownIt().parse(reply.message.text) if token.type == "inline"]
    assert paragraphs[:2] == ["result 1", "result 2"]
    assert len(paragraphs) == 3


async def test_it_answers_without_tools():
    _, reply = await ask(Message.user("Beijing"))
    assert "no tools" in reply.message.text


async def test_the_same_question_has_the_same_answer():
    question = Message.user("北京和上海的天气")
    assert await ask(question, tools=[WEATHER]) == await ask(question, tools=[WEATHER])


async def test_it_reads_the_text_of_content_parts():
    parts = [{"type": "text", "text": "北京天气"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    _, reply = await ask(Message.user(parts), tools=[WEATHER])
    assert [call.name for call in reply.message.tool_calls] == ["get_weather"]


def test_its_name():
    assert DEMO.model == "demo"


@pytest.mark.parametrize(
    ("question", "words"),
    [("How is it over there?", "I am the demo model"), ("你好", "我是演示模型"), ("Oslo", "我是演示模型")],
)
async def test_it_answers_in_the_language_of_the_question(monkeypatch, question, words):
    monkeypatch.setattr("myagent.i18n._language", "zh-hans")
    chunks = [chunk async for chunk in DemoLLM(delay=0).stream([Message.user(question)])]
    assert words in chunks[-1].message.text
