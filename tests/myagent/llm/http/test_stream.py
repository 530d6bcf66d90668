import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.exceptions import LLMAuthError, LLMNotFound, LLMUnavailable, StreamCut
from myagent.llm.http.stream import SSEReader
from tests.support.reply_streams import hear


def read(*chunks: bytes) -> list[bytes]:
    reader = SSEReader()
    payloads = [payload for chunk in chunks for payload in reader.feed(chunk)]
    return payloads + reader.close()


@pytest.mark.parametrize(
    ("body", "payloads"),
    [
        (b"", []),
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b"data: a\ndata\n\n", [b"a\n"]),
        (b": ping\n\n\n\ndata: a\n\n: ping\n\n", [b"a"]),
        (b"event: delta\nid: 7\nretry: 3\ndata: a\n\n", [b"a"]),
        (b"data: a\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"database: a\n\n", []),
        (b"data: [DONE]\n\n", [b"[DONE]"]),
        (b'data: {"a": 1}\ndata: {"b": 2}\ndata: [DONE]\n', [b'{"a": 1}', b'{"b": 2}', b"[DONE]"]),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
    ],
)
def test_payloads(body, payloads):
    assert read(body) == payloads
    assert read(*(body[at : at + 1] for at in range(len(body)))) == payloads


def test_an_event_is_given_as_soon_as_it_is_complete():
    reader = SSEReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\ndata: b") == [b"a"]
    assert reader.feed(b"c\n\n") == [b"bc"]
    assert reader.close() == []


lines = st.lists(
    st.sampled_from([b"data: x", b"data:", b"data", b": c", b"event: e", b"", b"junk", "data: 你".encode()])
)


@given(lines, st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.data())
def test_any_chunking_reads_the_same(lines, ending, ended, data):
    body = ending.join(lines) + (ending if ended else b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(*chunks) == read(body)


# Bodies

HELLO = b'data: {"choices": [{"delta": {"content": "hello"}, "finish_reason": "stop"}]}'
WHOLE = b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize("label", ["text/event-stream", "application/json", "text/plain", ""])
@pytest.mark.parametrize(
    "body",
    [
        HELLO,
        HELLO + b"\n\n",
        b"\xef\xbb\xbf" + HELLO + b"\n\n",
        b"\n\n\n" + HELLO + b"\n\n",
        b"data:\n\ndata: \n\n" + HELLO + b"\n\ndata: [DONE]\n\n",
        b"data: : waiting\n\ndata: ping\n\ndata: null\n\n" + HELLO + b"\n\n",
        b": comment\nevent: message\n" + HELLO + b"\n\ndata: [DONE] \n\n",
        b"data: \xef\xbb\xbf" + HELLO[6:] + b"\n\n",
        b"data: " + HELLO + b"\n\n",
        HELLO + b"\ndata: [DONE]\n",
        WHOLE,
        b"\xef\xbb\xbf\r\n" + WHOLE + b"\n",
        b"[" + WHOLE + b"]",
        WHOLE + b"\n" + WHOLE.replace(b"message", b"delta").replace(b"hello", b""),
    ],
)
async def test_a_body_is_read_whatever_its_label_and_noise(body, label):
    for cuts in ([], [1], [2, 3], list(range(1, len(body)))):
        heard = await hear(body, label, cuts)
        assert heard.text == "hello" and heard.reply is not None, (heard.error, cuts)


@pytest.mark.parametrize("body", [b"<html>", b" <!doctype html>", b"\xef\xbb\xbf<html>"])
async def test_a_page_is_no_answer_whatever_its_label(body):
    assert isinstance((await hear(body, "text/plain")).error, LLMNotFound)


@pytest.mark.parametrize("body", [b"", b"data: {\n\n", b'{"choices": [', b"data: ping\n\n", b"data: [DONE]\n\n"])
async def test_a_body_that_says_nothing_or_half_is_cut(body):
    assert isinstance((await hear(body)).error, StreamCut)


async def test_an_error_in_the_middle_of_an_answer_is_a_cut_with_a_cause():
    half = b'{"choices": [{"message": {"content": "he"}, "finish_reason": "error"%s}]%s}'
    error = (await hear(half % (b"", b', "error": {"code": 502, "message": "gone"}'))).error
    assert isinstance(error, StreamCut) and isinstance(error.__cause__, LLMUnavailable)
    error = (await hear(half % (b', "error": {"code": 502, "message": "gone"}', b""))).error
    assert isinstance(error, StreamCut) and isinstance(error.__cause__, LLMUnavailable)
    refused = (await hear(half % (b', "error": {"code": 401, "message": "no"}', b""))).error
    assert isinstance(refused, LLMAuthError)
