import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.llm.stream import SSEReader


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
