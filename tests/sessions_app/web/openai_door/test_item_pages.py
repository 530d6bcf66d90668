"""Pages of the items of a conversation, of which no more is kept than a page."""

from __future__ import annotations

from itertools import product

import pytest

from sessions_app.web.openai_door.responses import conversation_items
from sessions_app.web.openai_door.responses.conversation_items import ItemPage

ITEMS = [{"id": f"item-{number}", "text": "x" * 100} for number in range(7)]


def page(after="", limit=3, *, is_rising, items=ITEMS):
    taken = ItemPage(after, limit, is_rising)
    for item in items:
        taken.take(item)
        if taken.is_full:
            break
    told, has_more = taken.told()
    return [item["id"] for item in told], has_more


@pytest.mark.parametrize("is_rising", [True, False])
def test_each_page_follows_the_one_before(is_rising):
    ordered = ITEMS if is_rising else ITEMS[::-1]
    names = [item["id"] for item in ordered]
    for limit, start in product((1, 2, 3, 7, 9), range(len(names))):
        after = names[start - 1] if start else ""
        expected = names[start : start + limit], len(names) > start + limit
        assert page(after, limit, is_rising=is_rising) == expected, (limit, after)
    assert page(names[-1], is_rising=is_rising) == ([], False)
    assert page(is_rising=is_rising, items=[]) == ([], False)


@pytest.mark.parametrize("is_rising", [True, False])
def test_a_page_has_so_many_bytes_or_one_item(monkeypatch, is_rising):
    monkeypatch.setattr(conversation_items, "MAX_SNAPSHOT_BYTES", 300)
    names, has_more = page(limit=7, is_rising=is_rising)
    assert (len(names), has_more) == (2, True)
    monkeypatch.setattr(conversation_items, "MAX_SNAPSHOT_BYTES", 10)
    names, has_more = page(limit=7, is_rising=is_rising)
    assert (names, has_more) == (["item-0" if is_rising else "item-6"], True)
