"""The Markdown of the page to chat on, in a real browser: what models write becomes these nodes and no others."""

from __future__ import annotations

import re

import pytest

from sessions_app.admin.markdown import Markdown
from tests.support.chat_tab import root

SHAPES = {
    "1. first\n2. second\n   - nested": "<ol><li>first</li><li>second<ul><li>nested</li></ul></li></ol>",
    "* a\ngoes on\n* b\n\nend": "<ul><li>a<br>goes on</li><li>b</li></ul><p>end</p>",
    "> a\n\nd": "<blockquote><p>a</p></blockquote><p>d</p>",
    "a\n\n---\n\n# One\n## Two": "<p>a</p><hr><h3>One</h3><h4>Two</h4>",
    "|a|b|\n|:--|--:|\n|`x`|1|": (
        '<div class="table" tabindex="0"><table><thead><tr><th class="align-left">a</th><th class="align-right">b</th>'
        '</tr></thead><tbody><tr><td class="align-left"><code>x</code></td><td class="align-right">1</td></tr></tbody>'
        "</table></div>"
    ),
    "**a `b`** *c* ~~d~~ 2 * 3": "<p><strong>a <code>b</code></strong> <em>c</em> <s>d</s> 2 * 3</p>",
    "> <b>x</b>": "<blockquote><p>&lt;b&gt;x&lt;/b&gt;</p></blockquote>",
    "[a](javascript:x) [b](https://b.org/c) ![d](https://e.org/f)": (
        '<p>[a](javascript:x) <a href="https://b.org/c" rel="noopener noreferrer nofollow" target="_blank">b</a> '
        '!<a href="https://e.org/f" rel="noopener noreferrer nofollow" target="_blank">d</a></p>'
    ),
    "costs $5 and $6": "<p>costs $5 and $6</p>",
}
HOSTILE = {
    "quotes": "> " * 5_000,
    "lists": "- " * 5_000,
    "brackets": "[" * 50_000,
    "links": "[a](https://" * 8_000,
    "stars": "*a " * 20_000,
    "columns": "|-" * 20_000,
    "lines": "- a\n> b\n" * 5_000,
    "formulae": "$a" * 20_000,
    "notes": "[^a]" * 10_000 + "\n\n[^a]: b",
}
DRAW = """text => new Promise((resolve) => {
    const view = document.createElement("myagent-markdown");
    Object.assign(view, { finished: true, text });
    document.body.append(view);
    const start = performance.now();
    setTimeout(() => {
        const took = performance.now() - start;
        // Colours come when they are loaded.
        setTimeout(() => { resolve([view.innerHTML.replace(/<\\/?span[^>]*>/g, ""), took]); view.remove(); }, 50);
    });
})"""
WRITE = """([text, size]) => new Promise((resolve) => {
    const view = document.createElement("myagent-markdown");
    Object.assign(view, { finished: false, text: "" });
    document.body.append(view);
    let at = 0;
    const next = () => {
        at += size;
        Object.assign(view, { text: text.slice(0, at), finished: at >= text.length });
        if (at < text.length) requestAnimationFrame(() => requestAnimationFrame(next));
        else setTimeout(() => { resolve(view.innerHTML.replace(/<\\/?span[^>]*>/g, "")); view.remove(); }, 100);
    };
    next();
})"""
EVERYTHING = """# All

Text with [a reference][r], a note[^n] and `code`
Under
=====

- one
- two

  more of it
    1. deep

```python
x = "```"
```

| a | b |
|---|---|
| 1 | 2 |

- [x] done

[r]: https://example.org/r
[^n]: The note.
"""


@pytest.fixture(scope="module")
def page(browser, running_server):
    page = browser.new_page(locale="en-US")
    page.goto(root(running_server))
    return page


def plain(drawn: str) -> str:
    """Without the directions of texts, the line ends, and the paragraphs of short items, which are left out here."""
    return re.sub(r' dir="auto"|\n', "", drawn)


@pytest.mark.parametrize("text", SHAPES)
def test_what_it_becomes(page, text):
    assert plain(page.evaluate(DRAW, text)[0]) == SHAPES[text]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_drawn_at_once(page, name):
    assert page.evaluate(DRAW, HOSTILE[name])[1] < 5_000


def test_in_pieces_it_becomes_the_same(page):
    numbers = re.compile(r"(fn|fnref)-?d?\d+-|-d\d+-")
    whole = numbers.sub("", page.evaluate(DRAW, EVERYTHING)[0])
    for size in (3, 17):
        assert numbers.sub("", page.evaluate(WRITE, [EVERYTHING, size])) == whole


def test_the_admin_reads_the_same(page):
    """One grammar for the page and the admin: the same text has the same blocks and the same emphasis in both."""
    text = "# A\n\n*b* **c** ~~d~~\n\n> e\n\n1. f\n2. g\n\n|h|i|\n|-|-|\n|j|k|\n\n[l](https://m.org) <n>\n"
    tags = re.compile(r"<(/?)(?!/?(?:h\d|div))(\w+)")
    admin = str(Markdown().render(text))
    assert tags.findall(page.evaluate(DRAW, text)[0]) == tags.findall(admin)
