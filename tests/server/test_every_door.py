"""One conversation that goes through every door, over kills of the server, is read the same at each of them."""

from __future__ import annotations

import asyncio
import html
import json
import re
from contextlib import asynccontextmanager

import httpx2
import pytest
from playwright.sync_api import expect

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.browser import browsing
from tests.support.chat_tab import chatting, root
from tests.support.conversation import turn, whole_log
from tests.support.http_door import HttpDoor
from tests.support.model_replies import text
from tests.support.patience import WAIT_SECONDS
from tests.support.program_door import NativeDoor, told_by
from tests.support.program_doors import DOORS

AGENT = "recovering"
LOGIN = """
from django.test import Client
client = Client()
client.force_login(User.objects.create_superuser("boss"))
print("key:" + client.cookies["sessionid"].value)
"""


@pytest.fixture
def server(tmp_path, model):
    model.reset()
    with AgentServer(tmp_path / "server", f"{AGENT}.py", model=model, options=("--language", "en")) as server:
        yield server


@asynccontextmanager
async def entered(kind, server, session_id):
    base = f"http://127.0.0.1:{server.port}"
    async with httpx2.AsyncClient(base_url=base, timeout=WAIT_SECONDS, trust_env=False) as client:
        yield kind(client, AGENT, session_id)


async def conversation(server, model, folder):
    """Begin on the WebSocket and go on at each door. Returns the id of the session, and what was said in it."""
    async with connected(server) as client:
        session_id = await client.create_session(agent=AGENT)
        last = (await turn(client, session_id, "from the WebSocket"))[-1]
    spoken = [("user", "from the WebSocket"), ("assistant", last.content)]
    for kind in DOORS:
        spoken += await asks_and_writes(kind, server, session_id, folder / kind.name)
        spoken += await is_killed_in_the_middle(kind, server, model, session_id)
    return session_id, spoken


async def asks_and_writes(kind, server, session_id, path):
    """A tool that asks is told yes at this door, or beside it where its clients answer no questions."""
    words = "call:write " + json.dumps({"path": str(path), "text": kind.name})
    name = f"{kind.name}-asks"
    async with entered(kind, server, session_id) as door:
        async with door.say(words, name) as heard:
            question = (await heard.whole()).question
        assert question is not None and not path.exists()
        answering = door if kind.answers_questions else NativeDoor(door.client, AGENT, session_id)
        async with answering.approve(question, words, name) as heard:
            await heard.whole()
    assert (path.read_text(), heard.said) == (kind.name, f"Result: wrote {kind.name}")
    return [("user", words), ("tool", f"wrote {kind.name}"), ("assistant", heard.said)]


async def is_killed_in_the_middle(kind, server, model, session_id):
    """What was shown of an answer is void then, and the answer comes once more."""
    words, name, answer = f"tell {kind.name}", f"{kind.name}-killed", f"what {kind.name} is told in the end"
    model.script(text("void words of an answer", hang=2))
    async with entered(kind, server, session_id) as door:
        with pytest.raises(httpx2.TransportError):
            async with door.say(words, name) as heard:
                if kind.tells_pieces:
                    await heard.until(lambda so_far: so_far.said == "void words ")
                else:
                    await piece_is_logged(server, session_id)
                server.kill()
                await heard.whole()
    model.reset()
    held = text(answer, hang=1)
    model.script(held)
    await asyncio.to_thread(server.start)
    async with entered(kind, server, session_id) as door, door.rejoin(words, name) as heard:
        if kind.tells_pieces:
            await heard.until(lambda so_far: "what" in so_far.said)
        held.gate.open()
        await heard.whole()
    assert heard.said == answer if kind.takes_back else heard.said.endswith(answer), heard.said
    return [("user", words), ("assistant", answer)]


async def piece_is_logged(server, session_id):
    """Wait until something of an answer that is not whole was shown elsewhere."""
    async with connected(server) as client:
        await client.reconnect(session_id)
        await client.until(lambda frame: frame.event == "agent.partial_answer" and frame.content == "void words ")


@pytest.mark.database
async def test_one_conversation_is_read_the_same_at_every_door(server, model, tmp_path):
    session_id, spoken = await conversation(server, model, tmp_path)
    log = await whole_log(server, session_id)
    async with HttpDoor(server) as native:
        assert await native.log(session_id, limit=7) == log
    told = [told_by({"event": frame.event, "content": frame.content}) for frame in log]
    assert [one for one in told if one is not None] == spoken
    assert len([frame for frame in log if frame.event == "agent.step_reset"]) == len(DOORS)
    for kind in DOORS:
        async with entered(kind, server, session_id) as door:
            assert await door.read() in (spoken, None), kind.name
    page = await asyncio.to_thread(admin_page, server, session_id)
    assert [words for _role, words in spoken if words not in page] == []
    assert has_in_order(page, [words for _role, words in spoken])


def admin_page(server, session_id):
    """What somebody reads there."""
    key = server.manage("shell", "-c", LOGIN).rpartition("key:")[2].strip()
    url = f"http://127.0.0.1:{server.port}/admin/sessions_app/session/{session_id}/change/"
    answer = httpx2.get(url, headers={"Cookie": f"sessionid={key}", "Accept-Language": "en"}, trust_env=False)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", answer.text)).split())


def has_in_order(page, texts):
    at = page.index(texts[0])
    for words in texts:
        at = page.find(words, at) + len(words)
        if at < len(words):
            return False
    return True


@pytest.mark.slow
async def test_the_chat_page_shows_it(server, model, tmp_path):
    session_id, spoken = await conversation(server, model, tmp_path)
    said, answers = await asyncio.to_thread(seen_on_the_page, server, session_id)
    assert said == [words for role, words in spoken if role == "user"]
    assert answers == [words for role, words in spoken if role == "assistant"]


def seen_on_the_page(server, session_id):
    with browsing() as browser, chatting(browser, f"{root(server)}#{session_id}") as tab:
        tab.connected().finished()
        expect(tab.calls).to_have_count(len(DOORS))
        # Not the inner texts: what is far out of sight is not drawn.
        return tab.said_texts.all_text_contents(), [one.strip() for one in tab.texts.all_text_contents()]
