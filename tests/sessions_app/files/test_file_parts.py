"""Which files content parts mean."""

from __future__ import annotations

import uuid

import pytest

from sessions_app.files.file_kinds import FileKind
from sessions_app.files.file_parts import file_of, files_in, is_dangling, url_of, with_facts
from sessions_app.files.file_store import FileFacts

ID = uuid.UUID("0b6d7b1c-5b5e-4e0c-9c39-6a1f4f6f0a01")


def picture(url):
    return {"type": "image_url", "image_url": {"url": url}}


def attached(file_id):
    return {"type": "file", "file": {"file_id": file_id}}


@pytest.mark.parametrize("part", [picture(url_of(ID)), picture(url_of(ID, "/chat")), attached(str(ID))])
def test_a_part_of_ours_means_a_file(part):
    assert file_of(part) == ID and not is_dangling(part)


@pytest.mark.parametrize(
    ("part", "dangling"),
    [
        (picture(f"https://evil.example{url_of(ID)}"), False),
        (picture(f"//evil.example{url_of(ID)}"), False),
        (picture("data:image/png;base64,/api/files/"), False),
        ({"type": "text", "text": url_of(ID)}, False),
        (picture(f"/\\evil.example{url_of(ID)}"), True),
        (picture(f"/\t/evil.example{url_of(ID)}"), True),
        (picture(f"{url_of(ID)}/.."), True),
        (picture(url_of(ID).upper()), True),
        (picture(f"{url_of(ID)}?token=x"), True),
        (picture("/api/files/" + "-" * 36), True),
        (attached("x"), True),
        (attached(str(ID).upper()), True),
    ],
)
def test_other_parts_mean_none(part, dangling):
    assert file_of(part) is None and is_dangling(part) is dangling


def test_parts_are_stored_with_what_is_known_and_not_with_what_a_client_says():
    facts = FileFacts(ID, "点.png", FileKind("image/png"), 70, "…", "…")
    lie = {"type": "image_url", "image_url": {"url": url_of(ID), "size": 1, "detail": "low"}}
    text = {"type": "text", "text": "hi"}
    assert list(files_in([text, lie])) == [ID] and list(files_in("text")) == []
    stored = {"url": url_of(ID), "detail": "low", "file_id": str(ID), "name": "点.png", "type": "image/png", "size": 70}
    assert with_facts([text, lie], {ID: facts}) == [text, {"type": "image_url", "image_url": stored}]
