"""For tests of agents: a model that follows a script, and the real server with an agent file.

A test without a server, and one with it:

    llm = ScriptedLLM([call("weather", city="北京"), "It is sunny."])

    agent = create_react_agent(tools=[Weather()], llm=llm)              # without a server
    assert await agent.arun("How is the weather?") == "It is sunny."

    async with serve("my_agent.py", llm=llm) as client:                 # with one
        turn = await ask(client, "How is the weather?")
        assert turn.answer == "It is sunny."
"""

from __future__ import annotations

from myagent.testing.scripted_llm import Line, Request, Say, Script, ScriptedLLM, ScriptExhausted, call, cut, output
from myagent.testing.server_process import ServerFailed
from myagent.testing.serving import AgentServer, serve
from myagent.testing.turn import Turn, ask

__all__ = [
    "AgentServer",
    "Line",
    "Request",
    "Say",
    "Script",
    "ScriptExhausted",
    "ScriptedLLM",
    "ServerFailed",
    "Turn",
    "ask",
    "call",
    "cut",
    "output",
    "serve",
]
