"""The Markdown of the page to chat on, in a real browser: what models write becomes these nodes and no others."""

from __future__ import annotations

import re

import pytest

from agents.web import chat_page
from tests.support.browser import browsing

SHAPES = {
    "1. first\n2. second\n   - nested": "<ol><li>first</li><li>second<ul><li>nested</li></ul></li></ol>",
    "1. a\n  - b\n2. c": "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>",
    "- a\n  - b\n    1. c\n- d": "<ul><li>a<ul><li>b<ol><li>c</li></ol></li></ul></li><li>d</li></ul>",
    "- a\n\t- b\n - c": "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>",
    "* a\ngoes on\n* b\n\nend": "<ul><li>a<br>goes on</li><li>b</li></ul><p>end</p>",
    "* a\n\n  more\n\n* b": "<ul><li>a<p>more</p></li><li>b</li></ul>",
    "1. a\n- b\n2. c": '<ol><li>a</li></ol><ul><li>b</li></ul><ol start="2"><li>c</li></ol>',
    "- a\n  ```py\n  x\n    y\n  ```\n- b": "<ul><li>a<pre><code>x\n  y</code></pre></li><li>b</li></ul>",
    "text\n- a": "<p>text</p><ul><li>a</li></ul>",
    "in\n1999. it was\n-5 degrees": "<p>in<br>1999. it was<br>-5 degrees</p>",
    "> a\n> > b\n>\n> - c\n\nd": (
        "<blockquote><p>a</p><blockquote><p>b</p></blockquote><ul><li>c</li></ul></blockquote><p>d</p>"
    ),
    "a\n\n---\n\n* * *\nb": "<p>a</p><hr><hr><p>b</p>",
    "Title\n---\n## Two ##\n#### Four\n#no": "<h3>Title</h3><h3>Two</h3><h4>Four</h4><p>#no</p>",
    "so:\n| a | b |\n|:--|--:|\n| `x` | 1 |\n| y \\| z |\n\nend": (
        '<p>so:</p><table><thead><tr><th>a</th><th style="text-align: end;">b</th></tr></thead><tbody>'
        '<tr><td><code>x</code></td><td style="text-align: end;">1</td></tr>'
        '<tr><td>y | z</td><td style="text-align: end;"></td></tr></tbody></table><p>end</p>'
    ),
    "a | b\nc": "<p>a | b<br>c</p>",
    "```\n# no\n\n\t> no\n```\nafter": "<pre><code># no\n\n\t&gt; no</code></pre><p>after</p>",
    "```py\nis still written": "<pre><code>is still written</code></pre>",
    "**a `b`** *c* ~~d~~ 2 * 3 * 4": "<p><strong>a <code>b</code></strong> <em>c</em> <del>d</del> 2 * 3 * 4</p>",
    "> <b>x</b>\n\n|<i>|\n|--|": (
        "<blockquote><p>&lt;b&gt;x&lt;/b&gt;</p></blockquote>"
        "<table><thead><tr><th>&lt;i&gt;</th></tr></thead><tbody></tbody></table>"
    ),
    "[a](javascript:x) [b](https://b.org/c)": (
        '<p>[a](javascript:x) <a href="https://b.org/c" target="_blank" rel="noopener noreferrer">b</a></p>'
    ),
}
HOSTILE = {
    "quotes": "> " * 5_000,
    "lists": "- " * 5_000,
    "brackets": "[" * 50_000,
    "links": "[a](https://" * 8_000,
    "stars": "*a " * 20_000,
    "columns": "|-" * 20_000,
    "lines": "- a\n> b\n" * 5_000,
    "rules": "- " * 20_000 + "x",
}
DRAW = """text => {
    const box = document.createElement('div');
    box.append(markdown(text));
    return box.innerHTML;
}"""
TIME = """text => {
    const start = performance.now();
    markdown(`a\\n${text}\\n${text}`);
    return performance.now() - start;
}"""


@pytest.fixture(scope="module")
def page():
    with browsing() as browser:
        page = browser.new_page()
        page.goto(f"{chat_page.FILE.as_uri()}?server=ws://localhost:9/")
        yield page


@pytest.mark.parametrize("text", SHAPES)
def test_what_it_becomes(page, text):
    drawn = page.evaluate(DRAW, text).replace(' start="1"', "")
    # The text of an item is a paragraph, which is left out here to be shorter.
    assert re.sub(r"<li><p>(.*?)</p>", r"<li>\1", drawn) == SHAPES[text]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_drawn_at_once(page, name):
    assert page.evaluate(TIME, HOSTILE[name]) < 2_000
