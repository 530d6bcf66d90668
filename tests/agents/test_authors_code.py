"""Which line of an author's code is to blame."""

from __future__ import annotations

import json
import sys

from agents.authors_code import authors_place, is_authors


def test_the_innermost_line_outside_of_libraries_counts():
    places = []

    class Odd(json.JSONEncoder):
        def default(self, o):
            places.append(authors_place(sys._getframe(0)))
            places.append(authors_place(sys._getframe(1)))
            return ""

    json.dumps(object(), cls=Odd)
    own, called = places
    assert own.startswith(f"{__file__}:") and called.startswith(f"{__file__}:")
    assert own != called, "the second one is where the library was called"


def test_without_any_it_is_the_innermost_one():
    assert authors_place(None) == "(unknown)"
    assert not is_authors(json.__file__)
    assert not is_authors(sys.modules["agents.authors_code"].__file__)
    assert not is_authors(sys.modules["pytest"].__file__)
    assert is_authors(__file__)
