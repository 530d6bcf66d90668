"""A short round of what `python -m tests.support.reply_streams` does at length."""

from random import Random

import pytest

from myagent.llm.replies.call_assembly import CallAssembler
from tests.support import reply_streams


@pytest.mark.parametrize("seed", range(5))
async def test_a_stream_in_any_dialect_says_what_it_was_made_of(seed):
    random = Random(seed)
    for _ in range(300):
        await reply_streams.check_whole(random)


@pytest.mark.parametrize("seed", range(5))
async def test_a_broken_stream_is_a_typed_error_or_a_sound_reply(seed):
    random = Random(seed)
    for _ in range(300):
        await reply_streams.check_broken(random)


async def test_the_checks_notice_what_is_wrong(monkeypatch):
    monkeypatch.setattr(CallAssembler, "_continues", lambda self, part, known, named: True)
    with pytest.raises((AssertionError, ValueError)):
        await reply_streams.check(400, seed=1)
