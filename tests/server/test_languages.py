"""Each connection is spoken to in the language that its client asked for; what is stored is in the server's."""

from __future__ import annotations

from tests.conftest import connected
from tests.support.conversation import refusal, turn, whole_log

SERVER = {"options": ("--language", "zh-hans")}
ASKED = {"?lang=en": True, "?lang=en-GB": True, "?lang=zh-CN": False, "?lang=xx": False, "": False}
"""Whether English is the answer."""


async def test_a_connection_is_answered_in_its_language(server):
    for asked, is_english in ASKED.items():
        async with connected(server, asked) as client, connected(server) as other:
            session_id = await client.create_session()
            blank = {"event": "user.message", "session_id": session_id, "content": " "}
            words = [(await refusal(client, blank)).content, (await refusal(client, {"event": "x"})).content]
            await turn(client, session_id, "hello")
            log = await whole_log(server, session_id)
            assert log[0].content == "会话创建成功"
            assert next(frame.content for frame in log if frame.event == "agent.thinking") == "正在分析您的问题..."
            await other.delete_session(session_id)
            words.append((await client.wait_for("agent.session_deleted")).content)
        assert [text.isascii() for text in words] == [is_english] * 3, (asked, words)
