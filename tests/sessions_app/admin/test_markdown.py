"""Answers in the admin look as they were meant, and nothing in them is obeyed."""

from __future__ import annotations

import re

import pytest

from sessions_app.admin.markdown import AT_MOST, Markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**A1001** is `sent`", "<p><strong>A1001</strong> is <code>sent</code></p>"),
        ("line\nnext", "<p>line<br />\nnext</p>"),
        ("1. one\n2. two", "<ol>\n<li>one</li>\n<li>two</li>\n</ol>"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<td>1</td>"),
        ("```python\nif a < b: pass\n```", '<pre><code class="language-python">if a &lt; b: pass\n</code></pre>'),
        ("[site](https://a.example/?x=1&y=2)", '<a href="https://a.example/?x=1&amp;y=2" rel="noopener noreferrer'),
        ("~~old~~ 你好", "<s>old</s> 你好"),
    ],
)
def test_an_answer_looks_as_it_was_meant(text, html):
    assert html in Markdown().render(text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onmouseover=alert(1)>b</b>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&#58;alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](/admin/logout/)",
        "[x](//evil.example)",
        "<javascript:alert(1)>",
        '[x](https://a.example" onmouseover="alert(1))',
        "[x]: javascript:alert(1)\n\n[x]",
        "```</code></pre><script>alert(1)</script>\nx\n```",
        "| <script>alert(1)</script> |\n|---|\n| x |",
        "![x](https://evil.example/secret.png)",
        "![x](data:image/png;base64,AAAA)",
        "[![x](https://evil.example/secret.png)](https://a.example)",
    ],
)
def test_nothing_in_an_answer_is_obeyed(text):
    html = Markdown().render(text)
    tags = re.findall(r"<(/?)([a-z0-9]+)([^>]*)>", html)
    assert {name for _, name, _ in tags} <= {"p", "a", "br", "pre", "code", "table", "thead", "tbody", "tr", "th", "td"}
    for _, name, attributes in tags:
        if name == "a" and attributes:
            assert re.fullmatch(r' href="https://[^"]*" rel="noopener noreferrer nofollow" target="_blank"', attributes)
        else:
            assert attributes in ("", " /") or attributes.startswith(' class="language-')
    assert "<img" not in html


def test_of_very_much_text_the_rest_is_shown_as_it_stands():
    markdown = Markdown()
    assert markdown.render("x" * AT_MOST) is not None
    assert markdown.render("*y*") is None


@pytest.mark.parametrize("hostile", ["[" * 10_000, "*a" * 5_000, "![a](" * 2_000, ">" * 10_000, "|a" * 5_000 + "\n|-"])
def test_hostile_text_comes_to_an_end(hostile):
    assert Markdown().render(hostile)
