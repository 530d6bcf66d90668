"""`myagent.testing` around the real server: where the model stays in the test, and what becomes of the process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from myagent import create_react_agent
from myagent.llm import Usage
from myagent.testing import AgentServer, Say, ScriptedLLM, ScriptExhausted, ServerFailed, ask, call, cut, serve
from myagent.testing.server_process import ServerProcess
from tests.support import forked

AGENT = '''
from myagent import RunContext, create_react_agent, tool
from myagent.llm.openai import OpenAILLM

@tool
async def note(text: str, run: RunContext) -> str:
    """Notes something."""
    run.state.setdefault("notes", []).append(text)
    return f"{len(run.state['notes'])} noted"

@tool(requires_confirmation=True)
async def wipe() -> str:
    """Forgets all."""
    return "wiped"

# An endpoint of its own, which a test must not reach.
llm = OpenAILLM("real", api_key="sk-real", base_url="https://api.example.com/v1")
agent = create_react_agent(name="notes", tools=[note, wipe], llm=llm)
'''


@pytest.fixture
def file(tmp_path, monkeypatch):
    """An agent file in a project whose settings lead elsewhere; servers of it are forked."""
    monkeypatch.setattr(ServerProcess, "_popen", forked.Popen)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("MYAGENT_DATA_DIR", str(tmp_path / "not-here"))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no.such.settings")
    (tmp_path / ".env").write_text("REDIS_URL=redis://127.0.0.1:1/0\nALLOWED_HOSTS=app.example\n")
    (tmp_path / "noting.py").write_text(AGENT)
    return tmp_path / "noting.py"


async def test_the_script_stays_in_the_test(file, tmp_path):
    script = [
        call("note", text="milk"),
        Say(text="Noted: milk.", reasoning="hm", usage=Usage(30, 4, 1)),
        [call("note", text="a"), call("note", text="b")],
        "Two more.",
        call("wipe"),
        "Gone.",
        call("wipe"),
        cut("Ke"),
        "Kept.",
    ]
    llm = ScriptedLLM(script)
    with pytest.raises(ScriptExhausted, match="asked 10 times"):
        async with serve(file, llm=llm, language="en") as client:
            turn = await ask(client, "Note milk")
            assert turn.answer == "Noted: milk."
            assert [frame.content for frame in turn.all("agent.tool_result")] == ["1 noted"]
            assert turn.end.metadata["usage"]["input_tokens"] == 30
            assert "hm" in "".join(frame.content for frame in turn.all("agent.thinking"))
            assert [message.role for message in llm.requests[1].messages] == ["system", "user", "assistant", "tool"]
            assert llm.requests[1].messages[-1].text == "1 noted"
            assert [schema["function"]["name"] for schema in llm.requests[0].tools] == ["note", "wipe"]
            again = await ask(client, "Two more", session_id=turn.session_id)
            assert {frame.content for frame in again.all("agent.tool_result")} == {"2 noted", "3 noted"}
            wiped = await ask(client, "Wipe", session_id=turn.session_id, confirm=True)
            assert [frame.content for frame in wiped.all("agent.tool_result")] == ["wiped"]
            kept = await ask(client, "Wipe", session_id=turn.session_id, confirm=False)
            assert [frame.metadata["status"] for frame in kept.all("agent.tool_result")] == ["declined"]
            assert (len(kept.all("agent.step_reset")), kept.answer) == (1, "Kept.")
            assert llm.remaining == 0
            over = await ask(client, "More", session_id=turn.session_id)
            with pytest.raises(AssertionError, match=r"ended with agent\.error \(llm_unavailable\)"):
                assert over.answer
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == [".env", "noting.py"]


async def test_a_gate_and_a_cancel(file):
    gate = asyncio.Event()
    llm = ScriptedLLM(["never", "never"], gate=gate)
    async with serve(file, llm=llm) as client:
        session_id = await client.create_session()
        await client.say(session_id, "Hello")
        assert (await llm.asked()).messages[-1].text == "Hello"
        await client.cancel(session_id)
        assert (await client.wait_for("agent.interrupted")).run_id
        with pytest.raises(AssertionError, match=r"did not end within 0\.1 s\. Until then came:"):
            await ask(client, "Once more", seconds=0.1)
        await llm.asked(2)
    assert llm.closed == 2


def imported(path: Path, monkeypatch):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_an_agent_without_a_file():
    with pytest.raises(ValueError, match="'lost' is not the `agent` of any module"):
        AgentServer(create_react_agent(name="lost"))


def test_the_command_line(file):
    line = AgentServer(file, "more", llm="demo", language="en-US", options=["--debug"])._line(0)
    assert line[3:8] == [str(file), "more", "--llm", "demo", "--language"]


def test_what_cannot_be_meant():
    with pytest.raises(ValueError, match="Name at least one agent"):
        AgentServer()
    with pytest.raises(ValueError, match="choose one of zh-hans, en"):
        AgentServer("x.py", language="fr")


def test_a_server_that_does_not_start(file):
    file.write_text("x = 1")
    with pytest.raises(ServerFailed, match="did not start") as caught, AgentServer(file, language="en"):
        pass
    assert "❌ No 'agent' variable was found in" in str(caught.value)
    assert "Traceback" not in caught.value.log


def test_without_a_loop_and_through_a_crash(file, monkeypatch):
    monkeypatch.setenv("MYAGENT_TEST_LLM", "refuse")

    async def talk(server, text, session_id=None):
        async with server.connect("notes") as client:
            return await ask(client, text, session_id=session_id)

    llm = ScriptedLLM(["One.", "Two.", "Three."])
    agent = imported(file, monkeypatch).agent
    with AgentServer(agent, llm=llm) as server:
        first = asyncio.run(talk(server, "1"))
        assert first.answer == "One."
        data = Path(server._environment["MYAGENT_DATA_DIR"])
        assert data.is_dir()
        server.kill()
        server.start()
        assert asyncio.run(talk(server, "2", first.session_id)).answer == "Two."
        server.restart()
        assert asyncio.run(talk(server, "3", first.session_id)).answer == "Three."
        assert [message.text for message in llm.requests[2].messages[1:]] == ["1", "One.", "2", "Two.", "3"]
        pid = server._running.pid
    assert not data.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_real_model_is_refused_in_the_server_too(file, monkeypatch):
    monkeypatch.setattr(ServerProcess, "_popen", subprocess.Popen)  # as people have it
    assert os.environ["MYAGENT_TEST_LLM"] == "refuse"

    async def talk():
        async with serve(file, language="en") as client:
            return await ask(client, "Hello")

    end = asyncio.run(talk()).end
    assert end.code == "llm_not_allowed"
    assert "https://api.example.com/v1" in end.content
    assert "@pytest.mark.real_llm" in end.content
