"""Names of files, as people see them."""

from __future__ import annotations

import pytest

from sessions_app.files.file_names import LONGEST, clean_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("报告 2026.pdf", "报告 2026.pdf"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\ann\\照片.png", "照片.png"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("a\x00b\x1b[31mc\r\nd.txt", "ab[31mc d.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("..", "file"),
        ("", "file"),
        ("\u200b\u2066", "file"),
        (".env", "env"),
        ("a\ud800.txt", "a.txt"),
    ],
)
def test_a_name_says_what_it_is_and_no_more(given, shown):
    assert clean_name(given) == shown


def test_a_long_name_keeps_its_ending():
    assert clean_name("长" * 400 + ".txt") == "长" * (LONGEST - 4) + ".txt"
    assert len(clean_name("a" * 400)) == len(clean_name("a." + "b" * 400)) == LONGEST
