import pytest

from myagent.terminal.address import Address, AddressError, read_address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://localhost:8080/", "ws://localhost:8080/"),
        ("ws://localhost:8080", "ws://localhost:8080/"),
        (" ws://localhost:8080/ws/weather/ ", "ws://localhost:8080/ws/weather/"),
        ("http://localhost:8080/", "ws://localhost:8080/"),
        ("https://agents.example", "wss://agents.example/"),
        ("wss://agents.example/ws/a/?x=1&y=", "wss://agents.example/ws/a/?x=1&y="),
        ("localhost", "ws://localhost:8080/"),
        ("localhost:9000", "ws://localhost:9000/"),
        ("localhost:9000/ws/a/", "ws://localhost:9000/ws/a/"),
        (":9000", "ws://localhost:9000/"),
        ("[::1]", "ws://[::1]:8080/"),
        ("[::1]:9000", "ws://[::1]:9000/"),
    ],
)
def test_addresses_as_people_write_them(text, url):
    assert read_address(text) == Address(url=url)


def test_the_token_is_taken_out_of_the_address():
    address = read_address("http://localhost:8080/?a=1&token=mya_x%2By")
    assert (address.url, address.token) == ("ws://localhost:8080/?a=1", "mya_x+y")
    assert "mya_x" not in repr(address)
    assert read_address("ws://localhost/?token=mya_x", token="mya_given").token == "mya_given"


@pytest.mark.parametrize(
    "text", ["ftp://localhost/", "ws://", "ws://localhost:port/", "ws://me:secret@localhost/", "", "://"]
)
def test_what_is_no_address(text):
    with pytest.raises(AddressError) as raised:
        read_address(f"{text}?token=mya_secret" if text else text)
    assert "mya_secret" not in str(raised.value)


@pytest.mark.parametrize("token", ["你好", "mya_a\r\nX: y", "mya_a b"])
def test_what_is_no_token(token):
    with pytest.raises(AddressError, match="copy it once more|再复制一次") as raised:
        read_address("ws://localhost/", token=token)
    assert token not in str(raised.value)
    assert read_address("ws://localhost/", token=" ").token is None


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("ws://localhost:8080/ws/%E5%A4%A9%E6%B0%94/", ("localhost", 8080, "天气")),
        ("ws://localhost:8080/ws/", ("localhost", 8080, "")),
        ("wss://agents.example/", ("agents.example", 443, "")),
        ("wss://agents.example/chat/ws/a%20b/", ("agents.example", 443, "a b")),
        ("wss://agents.example/chat/", ("agents.example", 443, "")),
        ("ws://agents.example/", ("agents.example", 80, "")),
    ],
)
def test_parts(text, facts):
    address = read_address(text)
    assert (address.host, address.port, address.agent) == facts


def test_the_server_is_asked_to_speak_the_language_of_the_program(monkeypatch):
    monkeypatch.setattr("myagent.i18n._language", "en")
    assert read_address("ws://x/ws/a/?k=1").spoken_url == "ws://x/ws/a/?k=1&lang=en"
    assert read_address("ws://x/?lang=zh").spoken_url == "ws://x/?lang=zh"
