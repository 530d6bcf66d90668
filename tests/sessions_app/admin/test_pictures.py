"""Pictures in messages: shown as nothing but pictures, to whoever may see the message; others are not fetched."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace

import pytest

from tests.support.admin_pages import (
    Visitor,
    call,
    in_order,
    make_run,
    make_session,
    page_path,
    queries,
    say,
    staff,
)
from tests.support.entries import database

pytestmark = database
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PNG = base64.b64decode(_PNG)


def data_url(content, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image(url):
    return {"type": "image_url", "image_url": {"url": url}}


pictures = pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)


def picture_path(message, index):
    return f"/admin/sessions_app/message/{message.pk}/picture/{index}/"


@pictures
def test_a_picture_is_only_that(boss, content, kind):
    message = say(make_run(make_session()), "user", "look", 1, parts=[image(data_url(content, "text/html"))])
    answer = boss.get(picture_path(message, 0))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, content, kind)
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "hi"},
        image("https://a.example/x.png"),
        image(data_url(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml")),
        image(data_url(b"<script>alert(1)</script>")),
        image("data:image/png;base64,not base64!"),
        image(None),
        {"type": "image_url"},
        image("data:image/png;base64,图片"),
        {"type": "image_url", "image_url": data_url(b"")},
    ],
)
def test_what_is_no_picture_is_not_sent_as_one(boss, part):
    message = say(make_run(make_session()), "user", "look", 1, parts=[part])
    assert boss.get(picture_path(message, 0)).status_code == 404
    assert boss.get(picture_path(message, 7)).status_code == 404
    boss.read(page_path(message))
    boss.read(page_path(message.session))


def test_a_picture_needs_the_permission_of_its_message(boss):
    message = say(make_run(make_session()), "user", "look", 1, parts=[image(data_url(PNG))])
    assert staff("view_session", "view_run").get(picture_path(message, 0)).status_code == 403
    assert Visitor().get(picture_path(message, 0)).status_code == 302
    assert boss.get(picture_path(SimpleNamespace(pk=message.pk + 1), 0)).status_code == 404


def test_pictures_are_shown_where_they_were_said_and_those_elsewhere_are_not_fetched(boss):
    run = make_run(make_session())
    parts = [{"type": "text", "text": "look"}, image(data_url(PNG)), image("https://a.example/x.png")]
    message = say(run, "user", "look", 1, parts=[*parts, image("javascript:alert(1)"), {"type": "input_audio"}])
    for path in (page_path(run), page_path(message)):
        page = boss.read(path)
        assert f'<img src="{picture_path(message, 1)}"' in page
        assert '<a href="https://a.example/x.png" rel="noopener noreferrer nofollow"' in page
        assert 'href="javascript' not in page
        assert "input_audio" in page
        assert page.count("<img ") == 1


def test_large_pictures_are_linked_and_left_in_the_database(boss, monkeypatch):
    monkeypatch.setattr("sessions_app.admin.pictures.READ_AT_MOST", 500)
    run = make_run(make_session())
    small = say(run, "user", "small", 1, parts=[image(data_url(PNG))])
    large = say(run, "user", "large", 2, parts=[image(data_url(PNG * 20))])
    later = say(run, "user", "small again", 3, parts=[image(data_url(PNG))])
    page = boss.read(page_path(run))
    assert picture_path(small, 0) in page and picture_path(later, 0) in page
    assert picture_path(large, 0) not in page
    assert in_order(page, "large", page_path(large), "With content that is not text")
    (read,) = [sql for sql in queries(boss, page_path(run)) if '"parts" FROM' in sql]
    assert str(large.pk) not in re.search(r"IN \(([^)]*)\)", read)[1].split(", ")
    assert "… (1,8" in boss.read(page_path(large)), "the size stands for the bytes"


def test_pictures_of_a_tools_result_are_shown_with_its_call(boss, monkeypatch):
    run = make_run(make_session())
    call(run, 2, tool="plot", result="plotted")
    result = say(run, "tool", "plotted", 2, parts=[{"type": "text", "text": "plotted"}, image(data_url(PNG))])
    assert f'<img src="{picture_path(result, 1)}"' in boss.read(page_path(run))
    monkeypatch.setattr("sessions_app.admin.pictures.READ_AT_MOST", 10)
    assert in_order(boss.read(page_path(run)), "plotted", page_path(result), "With content that is not text")
