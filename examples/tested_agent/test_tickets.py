"""Tests of an agent by its author: a script plays the model, so nothing is asked and nothing costs. 用脚本扮演模型。

Needs pytest and pytest-asyncio. The fixture `scripted_llm` comes with myagent; no test asks a real model by mistake.
"""

from dataclasses import replace

import pytest
from tickets import agent

from myagent.testing import ask, call, serve

pytestmark = pytest.mark.asyncio


async def yes(question):
    return True


async def test_a_booking_without_a_server(scripted_llm):
    llm = scripted_llm([call("book", day="Friday"), "Done, see you on Friday."])
    assert await replace(agent, llm=llm).arun("Two for Friday", confirm=yes) == "Done, see you on Friday."
    # What the tool told the model:
    assert llm.requests[1].messages[-1].text == "2 seats for Friday are booked."


async def test_a_day_that_does_not_exist_never_reaches_the_tool(scripted_llm):
    llm = scripted_llm([call("book", day="Monday"), "On which day, Friday or Saturday?"])
    await replace(agent, llm=llm).arun("Two for Monday", confirm=yes)
    assert "'Friday' or 'Saturday'" in llm.requests[1].messages[-1].text


async def test_the_whole_way_through_a_real_server(scripted_llm):
    """Stored, streamed and confirmed as for a user; a later message finds what an earlier one left in the session."""
    llm = scripted_llm([call("book", day="Friday"), "Then not."])
    async with serve(agent, llm=llm) as client:
        declined = await ask(client, "Two for Friday", confirm=False)
        assert [result.metadata["status"] for result in declined.all("agent.tool_result")] == ["declined"]
        llm.extend([call("book", day="Friday"), "Booked.", call("book", day="Friday"), "Sorry, sold out."])
        booked = await ask(client, "Yes, two", session_id=declined.session_id, confirm=True)
        assert booked.answer == "Booked."
        more = await ask(client, "Two more", session_id=declined.session_id, confirm=True)
        assert "Friday has 0 seats left." in more.all("agent.tool_result")[0].content
