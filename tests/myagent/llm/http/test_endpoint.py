import re

import pytest

from myagent.exceptions import (
    ContextOverflow,
    LLMAuthError,
    LLMNotConfigured,
    LLMNotFound,
    LLMRejected,
    LLMUnavailable,
    LLMUnreachable,
)
from myagent.llm.http import endpoint as openai_endpoint
from myagent.llm.http.endpoint import Endpoint, setting

KEY = "sk-very-secret-key"
ENDPOINT = Endpoint("gpt-x", KEY, "https://user:pass@host.example:8443/v1?token=t#f")
VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_MODEL")


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """English, an empty environment, and a folder without `.env`."""
    monkeypatch.setattr("myagent.i18n._language", "en")
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what `.env` sets is undone
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    openai_endpoint._load_dotenv.cache_clear()
    yield
    openai_endpoint._load_dotenv.cache_clear()


def test_without_a_key_the_setting_is_named():
    with pytest.raises(LLMNotConfigured, match=r"OPENAI_API_KEY.*--llm demo"):
        Endpoint.resolve("m", None, None)


def test_without_a_key_a_local_server_still_asks_for_one():
    with pytest.raises(LLMNotConfigured, match=r"OPENAI_API_KEY.*http://localhost:8000/v1 needs no key, any text"):
        Endpoint.resolve("m", None, "http://u:p@localhost:8000/v1")


@pytest.mark.parametrize("key", ["你的密钥", "sk-a\nb"])
def test_a_key_that_cannot_be_one(key):
    with pytest.raises(LLMNotConfigured, match="OPENAI_API_KEY") as caught:
        Endpoint.resolve("m", key, None)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "/v1"])
def test_a_url_that_is_none(url):
    with pytest.raises(LLMNotConfigured, match="OPENAI_BASE_URL"):
        Endpoint.resolve("m", KEY, url)


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " k\n")
    monkeypatch.setenv("OPENAI_API_BASE", "http://old/v1")
    assert Endpoint.resolve("m", None, None) == Endpoint("m", "k", "http://old/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://new/v1")
    assert Endpoint.resolve("m", None, None).url == "http://new/v1"
    assert Endpoint.resolve("m", "mine", "http://given/v1") == Endpoint("m", "mine", "http://given/v1")


def test_dotenv_of_the_current_folder_is_read_and_overrides_nothing(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-dotenv\nLLM_MODEL=from-dotenv\n")
    monkeypatch.setenv("LLM_MODEL", "from-environment")
    assert setting("OPENAI_API_KEY") == "from-dotenv"
    assert setting("LLM_MODEL") == "from-environment"
    assert setting("OPENAI_BASE_URL", "OPENAI_API_BASE") is None


def test_nothing_shows_the_key_or_credentials():
    assert ENDPOINT.shown == "https://host.example:8443/v1"
    assert KEY not in repr(ENDPOINT)
    assert "pass" not in repr(ENDPOINT)
    assert ENDPOINT.address == "https://host.example:8443/v1?token=t"  # a fragment is never sent
    assert ENDPOINT.completions == "https://host.example:8443/v1/chat/completions?token=t"
    assert Endpoint("m", KEY).address is None
    assert Endpoint("m", KEY).shown == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("status", "error", "names"),
    [
        (401, LLMAuthError, "OPENAI_API_KEY"),
        (403, LLMAuthError, "OPENAI_API_KEY"),
        (404, LLMNotFound, "gpt-x.*LLM_MODEL and OPENAI_BASE_URL"),
        (405, LLMNotFound, "OPENAI_BASE_URL"),
        (408, LLMUnavailable, "408"),
        (413, ContextOverflow, "gpt-x"),
        (429, LLMUnavailable, "429"),
        (500, LLMUnavailable, "500"),
        (529, LLMUnavailable, "529"),
        (400, LLMRejected, "400"),
        (402, LLMRejected, "402"),
        (422, LLMRejected, "422"),
    ],
)
def test_statuses(status, error, names):
    caught = ENDPOINT.refused(status, {"error": {"message": f"no,  says\n{KEY}"}})
    assert type(caught) is error
    assert caught.args[0].endswith("It says: no, says ***")
    assert KEY not in str(caught)
    assert "pass" not in str(caught)
    assert re.search(names, str(caught))


@pytest.mark.parametrize(
    "body",
    [
        {"code": "context_length_exceeded", "message": "x"},
        {"message": "This model's maximum context length is 8192 tokens. However, you requested 9000"},
        {"error": {"message": "the request exceeds the available context size", "type": "exceed_context_size_error"}},
        {"message": "Range of input length should be [1, 30720]"},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
        {"detail": "Please reduce the length of the messages or completion."},
        {"error": {"code": "1261", "message": "Prompt 超长"}},
        "too many tokens in the prompt",
    ],
)
def test_a_history_that_is_too_long(body):
    for status in (None, 400, 422, 500):  # llama.cpp says it with 500
        assert type(ENDPOINT.refused(status, body)) is ContextOverflow
    assert type(ENDPOINT.refused(401, body)) is LLMAuthError


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": 400, "message": "bad", "type": "BadRequestError", "object": "error"}, LLMRejected),
        ({"code": "503", "message": "x"}, LLMUnavailable),
        ({"type": "server_error", "message": "x"}, LLMUnavailable),
        ({"type": "rate_limit_error", "message": "x"}, LLMUnavailable),
        ({"code": "insufficient_quota", "message": "x"}, LLMUnavailable),
        ({"code": "invalid_api_key", "message": "x"}, LLMAuthError),
        ({"type": "invalid_request_error", "message": "x"}, LLMRejected),
        ({"code": "context_length_exceeded", "message": "x"}, ContextOverflow),
        ("something broke", LLMUnavailable),
    ],
)
def test_errors_inside_a_stream(body, error):
    assert type(ENDPOINT.refused(None, body)) is error


@pytest.mark.parametrize(
    ("body", "quote"),
    [
        (None, ""),
        ("", ""),
        ("<html>Bad gateway</html>", ""),
        ({}, ""),
        ("plain", " It says: plain"),
        ({"detail": [{"msg": "field required", "loc": ["body", "top_k"]}]}, " It says: field required (body.top_k)"),
        ({"error": "text"}, " It says: text"),
        ({"message": "x" * 1000}, " It says: " + "x" * 300 + "…"),
    ],
)
def test_what_is_quoted(body, quote):
    assert str(ENDPOINT.refused(418, body)).partition("(HTTP 418).")[2] == quote


def test_a_placeholder_key_is_no_word_to_hide():
    assert "exact" in str(Endpoint("m", "x").refused(400, "exact"))


def test_reasons_for_no_connection():
    refused = RuntimeError("outer")
    refused.__cause__ = ConnectionRefusedError(111, "whatever")
    error = ENDPOINT.unreachable(refused)
    assert isinstance(error, LLMUnreachable)
    assert "https://host.example:8443/v1: Connection refused. Check OPENAI_BASE_URL" in str(error)
    assert "did not answer in time" in str(ENDPOINT.unreachable(TimeoutError()))
    assert "closed without an answer" in str(ENDPOINT.unreachable(ValueError()))
    assert "Name or service not known" in str(ENDPOINT.unreachable(OSError(-2, "Name or service not known")))
