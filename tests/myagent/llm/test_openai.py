import asyncio
import gc
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import traceback

import aiohttp
import pytest

from myagent.exceptions import (
    ContextOverflow,
    LLMAuthError,
    LLMError,
    LLMNotConfigured,
    LLMNotFound,
    LLMRejected,
    LLMUnavailable,
    LLMUnreachable,
    StreamCut,
)
from myagent.llm import ReasoningChunk, Reply, TextChunk, Usage, Waiting
from myagent.llm.http import endpoint as openai_endpoint
from myagent.llm.openai import OpenAILLM
from myagent.llm.replies.reply import joined
from myagent.messages import Message
from tests.support.model_server import ModelServer, NoStreaming, NoStreamOptions, Raw, Silence, Status, text, tools
from tests.support.patience import WAIT_SECONDS

KEY = "sk-very-secret-key"
QUESTION = [Message.system("You help."), Message.user("hi")]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
NOW = {"Retry-After-Ms": "1"}


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """English, an empty environment, and a folder without `.env`."""
    monkeypatch.setattr("myagent.i18n._language", "en")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    openai_endpoint._load_dotenv.cache_clear()
    yield
    openai_endpoint._load_dotenv.cache_clear()


@pytest.fixture(scope="module")
def running_server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def server(running_server):
    running_server.reset()
    return running_server


@pytest.fixture
async def llm(server):
    llm = OpenAILLM("gpt-test", api_key=KEY, base_url=server.url)
    yield llm
    await llm.aclose()


async def ask(llm, messages=QUESTION, **options):
    return [chunk async for chunk in llm.stream(messages, **options)]


async def reply_of(llm, messages=QUESTION, **options):
    *_, reply = await ask(llm, messages, **options)
    assert isinstance(reply, Reply)
    return reply


async def happened(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, WAIT_SECONDS)


# What is asked and what comes back


async def test_a_streamed_text(server, llm):
    server.script(text("你好 world"))
    *chunks, reply = await ask(llm)
    assert list(joined(chunks)) == [TextChunk("你好 world")]
    assert reply == Reply(Message.assistant("你好 world"), Usage(7, 4, 1), finish="stop", model="gpt-test")


async def test_the_request(server):
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url, temperature=0, max_tokens=9, extra={"top_p": 0.5})
    await ask(llm, tools=[WEATHER])
    request = server.request()
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": "hi"}],
        "tools": [WEATHER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 9,
        "top_p": 0.5,
    }
    await llm.aclose()


async def test_pieces_come_as_the_model_says_them(server, llm):
    behaviour = text("one two", hang=1)
    server.script(behaviour)
    stream = llm.stream(QUESTION)
    assert await anext(stream) == TextChunk("one ")
    behaviour.gate.open()
    assert await anext(stream) == TextChunk("two")
    assert isinstance(await anext(stream), Reply)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_reasoning(server, llm):
    server.script(text("yes", reasoning=["let me ", "see"]))
    *chunks, _reply = await ask(llm)
    assert list(joined(chunks)) == [ReasoningChunk("let me see"), TextChunk("yes")]


async def test_parallel_tool_calls(server, llm):
    server.script(tools(("weather", {"city": "北京"}), ("weather", {"city": "上海"})))
    reply = await reply_of(llm, tools=[WEATHER])
    assert [(call.name, call.arguments) for call in reply.message.tool_calls] == [
        ("weather", '{"city": "北京"}'),
        ("weather", '{"city": "上海"}'),
    ]
    assert reply.usage == Usage(7, 2, 1)


async def test_calls_and_results_go_back(server, llm):
    asked = [*QUESTION, Message.user('call:weather {"city": "北京"}')]
    reply = await reply_of(llm, asked, tools=[WEATHER])
    call = reply.message.tool_calls[0]
    answer = await reply_of(llm, [*asked, reply.message, Message.tool("sunny", tool_call_id=call.id)], tools=[WEATHER])
    assert answer.message.text == "Result: sunny"
    assert server.request(2).messages[-2:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "北京"}'},
                }
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": call.id},
    ]


async def test_pictures_are_sent(server, llm):
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    await ask(llm, [Message.user(parts)])
    assert server.request().messages[0]["content"] == parts


async def test_text_that_is_no_unicode_is_mended(server, llm):
    body = b'data: {"choices": [{"delta": {"content": "\\ud83d\\u0000"}, "finish_reason": "stop"}]}\n\n'
    server.script(Raw(body))
    assert (await reply_of(llm, [Message.user("\ud83d 你好")])).message.text == "\ufffd\ufffd"
    assert server.request().messages[0]["content"] == "\ufffd 你好"


async def test_the_environment_is_read_when_it_is_needed(server, monkeypatch):
    llm = OpenAILLM()
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert llm.model == "gpt-4o-mini"
    monkeypatch.setenv("LLM_MODEL", "qwen")
    assert llm.model == "qwen"
    await ask(llm)
    assert server.request().body["model"] == "qwen"
    await llm.aclose()


async def test_credentials_in_the_url_are_basic_authentication(server):
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url.replace("http://", "http://user:p%40ss@"))
    await ask(llm)
    assert server.request().headers["Authorization"] == "Basic dXNlcjpwQHNz"
    await llm.aclose()


async def test_without_a_key(server):
    with pytest.raises(LLMNotConfigured, match="OPENAI_API_KEY"):
        await ask(OpenAILLM())


async def test_what_is_logged_holds_no_key(server, llm, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("myagent"), "propagate", True)  # the server's settings may say otherwise
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "myagent.model"):
        server.script(Status(401, f"Incorrect API key provided: {KEY}"))
        with pytest.raises(LLMAuthError) as caught:
            await ask(llm)
        await ask(llm)
    assert "gpt-test" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in "".join(traceback.format_exception(caught.value))


# Failures


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_model_is_asked_again(server, llm, status):
    server.script(Status(status, headers=NOW), Status(status, headers=NOW), text("at last"))
    assert (await reply_of(llm)).message.text == "at last"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 500])
async def test_a_busy_model_is_given_up(server, llm, status):
    server.script(*[Status(status, "slow down", headers=NOW)] * 3)
    with pytest.raises(LLMUnavailable, match=f"{status}.*slow down"):
        await ask(llm)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("behaviour", "error", "names"),
    [
        (Status(401), LLMAuthError, "OPENAI_API_KEY"),
        (Status(403), LLMAuthError, "OPENAI_API_KEY"),
        (Status(404, "model 'gpt-test' not found"), LLMNotFound, "LLM_MODEL and OPENAI_BASE_URL"),
        (Status(404, body="<html>nothing here</html>"), LLMNotFound, "OPENAI_BASE_URL"),
        (Status(400, "temperature too high"), LLMRejected, "temperature too high"),
        (Status(422, body='{"detail": "bad field"}'), LLMRejected, "bad field"),
        (Status(400, "too long", "context_length_exceeded"), ContextOverflow, "gpt-test"),
        (Raw(b"<html>welcome</html>", "text/html"), LLMNotFound, "OPENAI_BASE_URL"),
        (Raw(b'data: {"error": {"message": "boom", "code": 500}}\n\n'), LLMUnavailable, "boom"),
        (Raw(b'data: {"error": {"message": "no", "code": "context_length_exceeded"}}\n\n'), ContextOverflow, "no"),
        (Raw(b'data: {"object": "error", "message": "bad", "code": 400}\n\n'), LLMRejected, "bad"),
        (Raw(b'{"error": {"message": "down", "type": "server_error"}}', "application/json"), LLMUnavailable, "down"),
    ],
)
async def test_errors_name_the_setting_or_the_cause(server, llm, behaviour, error, names):
    server.script(behaviour)
    with pytest.raises(error, match=names) as caught:
        await ask(llm)
    assert type(caught.value) is error
    assert len(server.requests) == 1


async def test_a_refused_connection_shows_the_url_without_credentials():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    llm = OpenAILLM(api_key=KEY, base_url=f"http://user:secret@127.0.0.1:{port}/v1", max_retries=0)
    with pytest.raises(LLMUnreachable, match=rf"http://127\.0\.0\.1:{port}/v1: Connection refused.*OPENAI_BASE_URL"):
        await ask(llm)
    await llm.aclose()


async def test_silence_is_unreachable(server):
    behaviour = Silence()
    server.script(behaviour)
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url, timeout=0.5, max_retries=0)
    with pytest.raises(LLMUnreachable, match="did not answer in time"):
        await ask(llm)
    await llm.aclose()
    assert await happened(server.request().disconnected)


async def cut_off(llm):
    """What was shown before the stream broke off."""
    shown = []
    with pytest.raises(StreamCut):
        async for chunk in llm.stream(QUESTION):
            shown.append(chunk)
    return shown


@pytest.mark.parametrize("behaviour", [text("a b c", cut=2), text("a b ", finish=None)], ids=["connection", "end"])
async def test_a_cut_stream_is_no_reply(server, llm, behaviour):
    server.script(behaviour)
    assert list(joined(await cut_off(llm))) == [TextChunk("a b ")]
    assert (await reply_of(llm)).message.text == "You said: hi"


async def test_a_stream_that_falls_silent_is_cut(server):
    behaviour = text("a b", hang=1)
    server.script(behaviour)
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url, timeout=0.1)
    assert await cut_off(llm) == [TextChunk("a ")]
    await llm.aclose()


@pytest.mark.parametrize(
    "body", [b"", b"data: [DONE]\n\n", b"data: {oops\n\n", b"data: []\n\n", b'data: "text"\n\n', b": ping\n\n"]
)
async def test_a_stream_without_a_reply_is_cut(server, llm, body):
    server.script(Raw(body))
    assert await cut_off(llm) == []


async def test_a_connection_that_breaks_after_the_last_word_is_a_reply(server, llm):
    server.script(Raw(b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}\n\ndata: {oops\n\n'))
    assert (await reply_of(llm)).message.text == "x"


# Endpoints that cannot do everything


async def test_an_endpoint_that_does_not_stream(server, llm):
    whole = NoStreaming(text("whole", reasoning=["hm"]))
    server.script(whole, whole, NoStreaming(tools(("weather", {"city": "北京"}))))
    assert await ask(llm) == [
        ReasoningChunk("hm"),
        TextChunk("whole"),
        Reply(Message.assistant("whole"), Usage(7, 1, 1), finish="stop"),
    ]
    assert [call.name for call in (await reply_of(llm, tools=[WEATHER])).message.tool_calls] == ["weather"]
    assert [request.body.get("stream") for request in server.requests] == [True, None, None]  # it remembers


async def test_an_endpoint_that_answers_json_to_a_stream(server, llm):
    server.script(text("whole", streams=False))
    assert (await reply_of(llm)).message.text == "whole"
    assert len(server.requests) == 1


async def test_an_endpoint_that_reports_no_usage(server, llm):
    server.script(*[NoStreamOptions(text("a b"))] * 3)
    *chunks, reply = await ask(llm)
    assert list(joined(chunks)) == [TextChunk("a b")]
    assert reply.usage == Usage(0, 0, 1)
    await ask(llm)
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False]


@pytest.mark.parametrize("model", ["renames-a", "renames-b"])
async def test_max_tokens_is_renamed_once_per_process_where_it_is_refused(server, model):
    def strict(body):
        if "max_tokens" in body:
            return Status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return text("ok")

    server.script(strict, strict, strict, strict)
    for _ in range(2):  # another client knows it already
        llm = OpenAILLM(model, api_key=KEY, base_url=server.url, max_tokens=9)
        await ask(llm)
        await llm.aclose()
    assert [request.body.get("max_tokens") for request in server.requests] == [9, None, None]
    assert [request.body.get("max_completion_tokens") for request in server.requests] == [None, 9, 9]


STRICT = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/A"}},
    "$defs": {"A": {"type": "string", "default": ""}},
}
NESTED = {"type": "function", "function": {"name": "nested", "parameters": STRICT | {"additionalProperties": False}}}
GEMINI = [
    {"error": {"code": 400, "message": "Unknown name \"$ref\" at 'tools[0].function_declarations[0].parameters'"}}
]


async def test_schemas_are_sent_plainly_where_they_are_refused(server):
    def strict(body):
        refused = any(word in str(body["tools"]) for word in ("$ref", "additionalProperties", "default"))
        return Status(400, body=json.dumps(GEMINI)) if refused else text("ok")

    server.script(*[strict] * 4)
    llm = OpenAILLM("gemini", api_key=KEY, base_url=server.url)
    await ask(llm, tools=[NESTED])
    await ask(llm, tools=[NESTED])
    await llm.aclose()
    told = OpenAILLM("gemini-too", api_key=KEY, base_url=server.url, plain_schemas=True)
    await ask(told, tools=[NESTED])
    await told.aclose()
    sent = [request.body["tools"][0]["function"]["parameters"] for request in server.requests]
    assert sent[0] == NESTED["function"]["parameters"]
    assert sent[1:] == [{"type": "object", "properties": {"a": {"type": "string"}}}] * 3


async def test_a_base_url_that_is_only_a_host(server):
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url.removesuffix("/v1") + "?tenant=7")
    with pytest.raises(LLMNotFound):  # of the server of the tests, which has a path
        await ask(llm)
    await llm.aclose()
    assert llm.server == ("127.0.0.1", int(server.url.split(":")[2].split("/")[0]))


@pytest.mark.real_llm  # nothing is sent
async def test_where_the_request_goes(monkeypatch):
    asked = []

    async def post(self, url, **_options):
        asked.append((url, self.headers.get("authorization"), self.headers.get("api-key")))
        raise aiohttp.ClientConnectionError("nobody sends anything")

    monkeypatch.setattr(aiohttp.ClientSession, "post", post)
    for url in ("https://one.example", "http://u:p@two.example/v1/", "https://three.example/x?api-version=1"):
        llm = OpenAILLM("m", api_key=f" {KEY}\n", base_url=url, max_retries=0)
        with pytest.raises(LLMUnreachable):
            await ask(llm)
        await llm.aclose()
    assert asked == [
        ("https://one.example/chat/completions", f"Bearer {KEY}", None),
        ("http://two.example/v1/chat/completions", "Basic dTpw", None),
        ("https://three.example/x/chat/completions?api-version=1", f"Bearer {KEY}", KEY),
    ]


@pytest.mark.parametrize("url", ["one.example/v1", "https://<name>.example"])
def test_a_base_url_that_cannot_be_one_is_refused_at_once(url):
    with pytest.raises(LLMNotConfigured, match="base_url"):
        OpenAILLM("m", api_key=KEY, base_url=url)


async def test_waits_are_told_before_the_reply(server, llm):
    server.script(Status(429, headers={"Retry-After": "1"}), text("now"))
    waiting, *_, reply = await ask(llm)
    assert waiting == Waiting(1.0) and reply.retries == 1


async def test_a_quota_that_is_used_up_is_not_asked_again(server, llm):
    server.script(Status(429, "see your billing page", "insufficient_quota"))
    with pytest.raises(LLMUnavailable, match="used up.*billing page") as caught:
        await ask(llm)
    assert len(server.requests) == 1
    assert "billing page" not in caught.value.public and server.url not in caught.value.public


async def test_a_certificate_that_is_not_trusted(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {certificate}"
    await asyncio.to_thread(subprocess.run, command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    closed = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    llm = OpenAILLM("m", api_key=KEY, base_url=f"https://localhost:{closed.sockets[0].getsockname()[1]}/v1")
    with pytest.raises(LLMUnreachable, match="certificate is not trusted.*SSL_CERT_FILE") as caught:
        await ask(llm)
    assert "Operation not permitted" not in str(caught.value) and "localhost" not in caught.value.public
    await llm.aclose()
    closed.close()
    await closed.wait_closed()


async def test_a_refusal_of_something_else_is_not_taken_for_one_of_streaming(server, llm):
    server.script(Status(400, "upstream says no"))
    with pytest.raises(LLMRejected, match="upstream says no"):
        await ask(llm)
    assert len(server.requests) == 1


async def test_what_does_not_help_is_not_remembered(server, llm):
    server.script(Status(400, "stream: no"), Status(400, "stream: no"))
    with pytest.raises(LLMRejected):
        await ask(llm)
    await ask(llm)
    assert [request.body.get("stream") for request in server.requests] == [True, None, True]


# Connections


async def test_closing_early_closes_the_connection(server, llm):
    server.script(text("one two three", hang=2))
    stream = llm.stream(QUESTION)
    await anext(stream)
    await stream.aclose()
    assert await happened(server.request().disconnected)


@pytest.mark.parametrize("behaviour", [Silence(), text("one", hang=0), text("one two", hang=1)])
async def test_cancelling_closes_the_connection(server, llm, behaviour):
    server.script(behaviour)
    task = asyncio.create_task(ask(llm))
    assert await happened(behaviour.gate.entered)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await happened(server.request().disconnected)


async def test_a_finished_stream_leaves_its_connection_for_the_next(server, llm):
    for _ in range(3):
        await ask(llm)
    server.script(Status(400), tools(("weather", {})), text("whole", streams=False))
    with pytest.raises(LLMRejected):
        await ask(llm)
    await ask(llm, tools=[WEATHER])
    await ask(llm)
    await ask(llm)
    assert len({request.peer for request in server.requests}) == 1


async def test_a_body_that_does_not_end_does_not_hold_the_reply_up():
    """Some proxies keep the response open after the last event."""
    closed = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = b'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        closed.set()

    endless = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = endless.sockets[0].getsockname()[1]
    llm = OpenAILLM("m", api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1")
    assert (await reply_of(llm)).message.text == "x"
    await asyncio.wait_for(closed.wait(), WAIT_SECONDS)  # it cannot be used again, so it is closed
    await llm.aclose()
    endless.close()
    await endless.wait_closed()


async def test_many_streams_at_once(server, llm):
    behaviours = [text("a b", hang=1) for _ in range(200)]
    server.script(*behaviours)
    tasks = [asyncio.create_task(reply_of(llm)) for _ in behaviours]
    await asyncio.to_thread(server.request, len(behaviours))
    for behaviour in behaviours:
        behaviour.gate.open()
    assert {reply.message.text for reply in await asyncio.gather(*tasks)} == {"a b"}


def test_each_loop_has_its_own_connections_and_closes_them(server):
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url)
    for _ in range(3):
        asyncio.run(ask(llm))
    gc.collect()  # an unclosed session would warn here, and warnings are errors
    assert len({request.peer for request in server.requests}) == 3
    assert len(llm._clients._kept) == 1  # that of the last loop; those before are forgotten


def test_loops_in_several_threads(server):
    llm = OpenAILLM("m", api_key=KEY, base_url=server.url)
    failures = []

    def work():
        try:
            asyncio.run(ask(llm))
        except LLMError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert failures == []
    assert len(server.requests) == 4


async def test_it_can_be_used_again_after_it_was_closed(server, llm):
    await ask(llm)
    await llm.aclose()
    await llm.aclose()
    assert (await reply_of(llm)).message.text == "You said: hi"


async def test_a_forgotten_model_closes_its_connections(server):
    await ask(OpenAILLM("m", api_key=KEY, base_url=server.url))
    gc.collect()
    assert len(server.requests) == 1


@pytest.mark.parametrize("option", [pytest.param("-Wdefault", marks=pytest.mark.slow), "-Wdefault -Xdev"])
def test_a_process_ends_without_a_warning(server, option):
    program = (
        "import asyncio\n"
        "from myagent.messages import Message\n"
        "from myagent.llm.openai import OpenAILLM\n"
        "async def main():\n"
        "    async for chunk in OpenAILLM().stream([Message.user('hi')]): pass\n"
        "    print(chunk.message.text)\n"
        "asyncio.run(main())\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": server.url, "PYTHONPATH": paths}
    run = subprocess.run(
        [sys.executable, *option.split(), "-c", program], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (run.stdout, run.returncode) == ("You said: hi\n", 0)
    assert "ResourceWarning" not in run.stderr
    assert "Unclosed" not in run.stderr
