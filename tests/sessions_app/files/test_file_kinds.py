"""What a file is, by its bytes."""

from __future__ import annotations

import io

import pytest

from sessions_app.files.file_kinds import claims_picture, kind_of
from tests.support.file_client import PNG, SVG, ZIP_BOMB


@pytest.mark.parametrize(
    ("name", "content", "kind", "encoding"),
    [
        ("a.txt", PNG, "image/png", ""),
        ("a", b"\xff\xd8\xff\xe0 jpeg", "image/jpeg", ""),
        ("a", b"GIF89a...", "image/gif", ""),
        ("a", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", ""),
        ("a.svg", SVG, "text/plain", "utf-8"),
        ("a.html", b"<script>alert(1)</script>", "text/html", "utf-8"),
        ("数据.csv", "城市,气温".encode("gbk"), "text/csv", "gb18030"),
        ("notes.md", "\ufeff# Title".encode(), "text/markdown", "utf-8"),
        ("a.json", b"{}", "application/json", "utf-8"),
        ("Makefile", b"all:\n\ttrue\n", "text/plain", "utf-8"),
        ("empty.txt", b"", "text/plain", "utf-8"),
        ("paper.pdf", b"%PDF-1.7\n%\xe2\xe3", "application/pdf", ""),
        ("bomb.zip", ZIP_BOMB, "application/octet-stream", ""),
        ("a.txt", b"nul \x00 in it", "application/octet-stream", ""),
        ("a.txt", "é".encode("latin-1") + b" ", "application/octet-stream", ""),
        ("cut.txt", "北京".encode()[:-1] + b"\xff", "application/octet-stream", ""),
    ],
)
def test_the_kind_is_that_of_the_bytes(name, content, kind, encoding):
    found = kind_of(io.BytesIO(content), name)
    assert (found.type, found.encoding) == (kind, encoding)
    assert found.is_picture is kind.startswith("image/") and found.is_text is bool(encoding)


def test_a_character_may_lie_across_the_pieces_that_are_read(monkeypatch):
    monkeypatch.setattr("sessions_app.files.file_kinds._READ_BYTES", 2)
    assert kind_of(io.BytesIO("城市".encode()), "a.txt").encoding == "utf-8"
    assert kind_of(io.BytesIO("城市".encode("gbk") + b"x"), "a.txt").encoding == "gb18030"


@pytest.mark.parametrize(
    ("name", "declared", "claims"),
    [("a.PNG", "", True), ("a", "image/jpeg; q=1", True), ("a.svg", "image/svg+xml", False), ("a.txt", "", False)],
)
def test_who_goes_for_a_picture(name, declared, claims):
    assert claims_picture(name, declared) is claims
