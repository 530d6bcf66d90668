import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.text import clean, clean_json, clean_value, money, pieces, shorten, with_escapes, with_marks
from tests.support.paths import ROOT

HIDDEN = json.loads((ROOT / "tests/support/vectors/hidden_characters.json").read_text(encoding="utf-8"))

any_text = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain", "plain"),
        ("你好 👋", "你好 👋"),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("\udc00你", "\ufffd你"),
        ("\x00\ud800", "\ufffd\ufffd"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned


@given(any_text)
def test_clean_text_can_be_stored_and_is_clean(text):
    cleaned = clean(text)
    assert "\x00" not in cleaned
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned
    assert clean(cleaned) == cleaned
    assert len(cleaned) == len(text)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        (r'{"a": "\u4f60"}', r'{"a": "\u4f60"}'),
        (r'{"a": "\u0000"}', r'{"a": "\ufffd"}'),
        (r'{"a": "\ud83d\ude00"}', r'{"a": "\ud83d\ude00"}'),
        (r'{"a": "\ud83d"}', r'{"a": "\ufffd"}'),
        (r'{"a": "\ud83d\ud83d\ude00"}', r'{"a": "\ufffd\ud83d\ude00"}'),
        (r'{"a": "\\u0000"}', r'{"a": "\\u0000"}'),
        (r'{"a": "\\\u0000"}', r'{"a": "\\\ufffd"}'),
        ('{"a": "\x00"}', '{"a": "\ufffd"}'),
    ],
)
def test_clean_json(written, cleaned):
    assert clean_json(written) == cleaned


@given(any_text)
def test_clean_json_means_the_cleaned_value(text):
    # The standard library writes lone surrogates as escapes, and reads them back; a pair of them is one character.
    meant = json.loads(json.dumps(text))
    assert json.loads(clean_json(json.dumps(text))) == clean(meant)
    assert orjson.loads(clean_json(json.dumps(text))) == clean(meant)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("hello", 5, ("hello", False)),
        ("hello", 4, ("hell", True)),
        ("你好", 6, ("你好", False)),
        ("你好", 5, ("你", True)),
        ("你好", 2, ("", True)),
        ("", 0, ("", False)),
    ],
)
def test_shorten(text, limit, expected):
    assert shorten(text, limit) == expected


@given(any_text, st.integers(0, 40))
def test_shorten_keeps_a_beginning_within_the_limit(text, limit):
    text = clean(text)
    short, cut = shorten(text, limit)
    assert text.startswith(short)
    assert len(short.encode()) <= limit
    assert cut == (short != text)


@given(any_text)
def test_pieces_lose_nothing(text):
    assert "".join(pieces(text)) == text


def test_pieces_of_chinese_are_a_few_characters():
    assert pieces("北京今天晴天。") == ["北京今", "天晴天", "。"]


def test_clean_value_reaches_every_text():
    dirty = {"a\x00": ["b\ud800", {"c": "\x00"}, 1, None, True], "d": "fine"}
    assert clean_value(dirty) == {"a\ufffd": ["b\ufffd", {"c": "\ufffd"}, 1, None, True], "d": "fine"}


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("rm -rf", "rm -rf"),
        ("北京 🌦️ café", "北京 🌦️ café"),
        ("a\tb\nc", "a\tb\nc"),
        ("\u3000\u00a0", "\u3000\u00a0"),
        ("photo_\u202egnp.exe", "photo_⟨U+202E⟩gnp.exe"),
        ("a\u200bb\u2066c\ufeff", "a⟨U+200B⟩b⟨U+2066⟩c⟨U+FEFF⟩"),
        ("\x1b[2J\x7f\x9b\r", "⟨U+001B⟩[2J⟨U+007F⟩⟨U+009B⟩⟨U+000D⟩"),
        ("a\U000e0041\u3164\u2028\u00ad", "a⟨U+E0041⟩⟨U+3164⟩⟨U+2028⟩⟨U+00AD⟩"),
    ],
)
def test_what_is_hidden_has_a_mark(text, marked):
    assert with_marks(text) == marked
    assert with_marks(marked) == marked


@given(st.text())
def test_escapes_change_no_value(text):
    escaped = with_escapes(json.dumps([text], ensure_ascii=False))
    assert json.loads(escaped) == [text]
    assert with_marks(escaped) == escaped


def test_the_page_marks_the_same_characters():
    """By the list that the page's own marks are tested with; newer databases of characters may add to it."""
    hidden, newer = (
        {code for first, last in HIDDEN[name] for code in range(int(first, 16), int(last, 16) + 1)}
        for name in ("hidden", "since_unicode_15")
    )
    marked = {code for code in range(0x110000) if with_marks(chr(code)) != chr(code)}
    assert marked - newer == hidden


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0.00 USD"),
        (12345.678, "12,345.68 USD"),
        (0.5, "0.50 USD"),
        (0.0123456, "0.012 USD"),
        (0.00007, "0.000070 USD"),
        (1e-30, "0.000000000 USD"),
        (float("inf"), "Infinity USD"),
    ],
)
def test_an_amount_has_two_decimals_or_as_many_as_its_first_two_digits_need(amount, shown):
    assert money(amount, "USD") == shown
