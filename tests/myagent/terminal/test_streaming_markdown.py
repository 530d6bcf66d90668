"""Markdown that is printed piece by piece is the same as when it is printed at once."""

import pytest
from markdown_it import MarkdownIt

from myagent.terminal.streaming_markdown import Flow, ending, split

DOCUMENTS = {
    "paragraphs": "one\ntwo\n\nthree\n\n\nfour",
    "list that goes on after an empty line": "1. one\n\n2. two\n\n   more of two\n\n3. three\n\nend\n",
    "number at the end of a piece": "- a\n\n2\n\n- b\n",
    "code with empty lines and fences": "text\n\n```py\nif x:\n\n    # Title\n\n    y\n```\n\n~~~\n```\n~~~\nend",
    "code without an end": "text\n\n```\na\n\nb\n\nc",
    "table": "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\ntext\n\n| a |\n|---|\n",
    "headings of both kinds": "# One\ntext\n\nTwo\n---\n\nThree\n===\n# Four #\n",
    "quotes": "> one\n\n> two\nlazy\n\nthree",
    "nested list": "- a\n  - b\n\n    text\n  - c\n- d\n\n      code\n",
    "html and rules": "<div>\n\ntext\n\n</div>\n\n***\n\nend",
    "中文": "# 标题\n\n第一段，\n第二行。\n\n- 一\n- 二\n\n结束",
}


def blocks(*sources: str) -> list[tuple[str, str]]:
    parser = MarkdownIt("commonmark").enable("table")
    tokens = [token for source in sources for token in parser.parse(source)]
    return [(token.type, token.content) for token in tokens]


@pytest.mark.parametrize("source", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_pieces_are_the_whole(source, step):
    flow, printed = Flow(), []
    for end in range(step, len(source) + step, step):
        if piece := flow.overflow(source[:end], lambda rest: False):
            printed.append(piece)
    printed.append(flow.finish(source))
    assert "".join(printed) == source
    assert blocks(*printed) == blocks(source)
    assert flow.printed == ""


def test_nothing_is_printed_while_there_is_room():
    flow = Flow()
    assert flow.overflow("one\n\ntwo\n\nthree", lambda rest: True) == ""
    assert flow.finish("one\n\ntwo\n\nthree!") == "one\n\ntwo\n\nthree!"


def test_what_has_no_room_goes_and_the_rest_stays():
    flow = Flow()
    assert flow.overflow("one\n\ntwo\n\nthree", lambda rest: len(rest) < 8) == "one\n\n"
    assert flow.rest("one\n\ntwo\n\nthree") == "two\n\nthree"
    assert flow.overflow("one\n\ntwo\n\nthree\n", lambda rest: len(rest) < 8) == "two\n\n"
    assert flow.finish("one\n\ntwo\n\nthree\n\nfour") == "three\n\nfour"


@pytest.mark.parametrize(
    ("source", "end"),
    [
        ("one\ntwo\nthree", "one\ntwo\nthree"),
        ("- a\n- b\n- c\n- d\n- e", "- c\n- d\n- e"),
        ("```py\na\nb\nc\nd", "```py\nb\nc\nd"),
        ("  ~~~\na\nb\nc\nd", "  ~~~\nb\nc\nd"),
        ("| a | b |\n|---|:-:|\n| 1 |\n| 2 |\n| 3 |\n| 4", "| a | b |\n|---|:-:|\n| 2 |\n| 3 |\n| 4"),
    ],
)
def test_the_end_of_a_long_block_can_stand_for_it(source, end):
    assert ending(source, 3) == end


def test_text_that_becomes_void():
    flow = Flow()
    assert not flow.void(), "nothing was printed"
    flow.overflow("one\n\ntwo\n", lambda rest: False)
    assert not flow.is_void_for("one\n\ntwo, three")
    assert flow.is_void_for("eins\n\nzwei")
    assert flow.rest("eins\n\nzwei") == "eins\n\nzwei"
    assert flow.void()
    assert not flow.void()


@pytest.mark.parametrize(
    ("source", "finished"),
    [("", ""), ("one", ""), ("one\n\n", ""), ("one\n\ntwo", ""), ("one\n\ntwo\n", "one\n\n"), ("\n\n", "")],
)
def test_the_last_block_and_the_last_line_can_still_change(source, finished):
    assert split(source) == (finished, source[len(finished) :])
