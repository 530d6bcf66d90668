import pytest

from myagent.llm.http.base_url import BaseURL


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://api.one.example", "https://api.one.example/chat/completions"),
        ("http://gateway", "http://gateway/chat/completions"),
        ("https://api.one.example/", "https://api.one.example/chat/completions"),
        ("https://one.example/openai/v1//", "https://one.example/openai/v1/chat/completions"),
        ("  https://one.example/v1\n", "https://one.example/v1/chat/completions"),
        ("https://one.example/v1#there", "https://one.example/v1/chat/completions"),
        ("https://one.example/a%2Fb?x=1&y=%20", "https://one.example/a%2Fb/chat/completions?x=1&y=%20"),
        ("https://one.example?key=/v1", "https://one.example/chat/completions?key=/v1"),
        ("https://one.example/v1/chat/completions", "https://one.example/v1/chat/completions"),
        ("https://one.example/v1/chat", "https://one.example/v1/chat/chat/completions"),
        ("http://u:p%40@[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
        ("http://my_container:8000/v1", "http://my_container:8000/v1/chat/completions"),
        ("HTTP://One.example:80", "http://One.example:80/chat/completions"),
    ],
)
def test_where_it_is_asked(url, asked):
    base = BaseURL.parse(url)
    assert base is not None and base.completions == asked


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "localhost:11434/v1",
            "/v1",
            "ftp://one.example",
            "one.example/v1",
            "http://",
            "http:///v1",
            "http:/x/v1",
        ),
        *("https://https://one.example/v1", "https://<name>.example/v1", "https://{name}.example", "https://$HOST/v1"),
        *("https://one..example", "https://one example/v1", "https://one\nexample", "https://one.example\\v1"),
        *("http://one.example:port", "http://one.example:0", "http://one.example:70000", "http://one.example:"),
        *("http://[::1", "http://[one]/v1", "http://u:p@/v1", "http://-one.example", f"http://{'a' * 64}.example"),
        '"https://one.example/v1"',
    ],
)
def test_what_cannot_be_an_address(url):
    assert BaseURL.parse(url) is None


def test_credentials_and_the_query_are_not_shown():
    base = BaseURL.parse("https://ann:secret@one.example:8443/v1?token=t#f")
    assert base is not None
    assert (base.shown, base.bare) == ("https://one.example:8443/v1", "https://one.example:8443/v1?token=t")
    assert base.server == ("one.example", 8443)
    assert base.basic_authentication == "Basic YW5uOnNlY3JldA=="
    assert not base.takes_key_header


def test_an_api_version_asks_for_the_key_in_a_header_of_its_own():
    base = BaseURL.parse("https://one.example/openai/deployments/gpt?api-version=2025-01-01")
    assert base is not None and base.takes_key_header
    assert base.completions == "https://one.example/openai/deployments/gpt/chat/completions?api-version=2025-01-01"
