"""The client of the model is missing or broken: said at the start, and never the end of other runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import connected
from tests.support.agent_server import AgentServer
from tests.support.conversation import turn
from tests.support.paths import AGENT_FILES, ROOT

BROKEN_MODEL = '''
"""An agent whose model fails as soon as it is looked at, and one beside it."""
from myagent import create_react_agent


class Broken:
    model = "broken"

    @property
    def context_window(self):
        raise OSError("the disk with the model is gone")

    def stream(self, messages, *, tools=()):
        raise AssertionError("nobody gets here")


agent = create_react_agent(name="broken", llm=Broken(), tools=[])
'''


def start(folder, *, paths=(), file="second.py", **environment):
    """Start a server that is to refuse to start; what it says."""
    from tests.myagent.cli.test_main import environment as stranger

    variables = stranger(folder, OPENAI_API_KEY="k", **environment)
    variables["PYTHONPATH"] = ":".join([*map(str, paths), variables["PYTHONPATH"]])
    command = [sys.executable, str(ROOT / "manage.py"), "runagent", str(AGENT_FILES / file), "--port", "0"]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("content", ["", "raise RuntimeError('mine')", "AsyncOpenAI = None"])
def test_a_file_of_that_name_is_found_at_the_start(tmp_path, content):
    (tmp_path / "openai.py").write_text(content)
    ended = start(tmp_path, paths=[tmp_path])
    assert ended.returncode == 1, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("❌")]
    assert "openai" in line and "Traceback" not in ended.stderr
    assert str(tmp_path / "openai.py") in line


def test_a_stub_in_its_place_is_found_at_the_start(tmp_path):
    stub = tmp_path / "stubbed.py"
    stub.write_text(
        "import sys, types\n"
        "from myagent import create_react_agent\n"
        "sys.modules['openai'] = types.ModuleType('openai')\n"
        "agent = create_react_agent(name='stubbed', system_prompt='You answer.')\n"
    )
    ended = start(tmp_path, file=stub)
    assert ended.returncode == 1, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("❌")]
    assert "openai" in line and "Traceback" not in ended.stderr


@pytest.mark.parametrize("url", ["localhost:11434/v1", "https://<your-resource>.example/v1"])
def test_what_cannot_be_an_address_is_refused_at_the_start(tmp_path, url):
    ended = start(tmp_path, OPENAI_BASE_URL=url)
    assert ended.returncode == 1, ended.stderr
    assert "OPENAI_BASE_URL" in ended.stderr and "http://" in ended.stderr and "Traceback" not in ended.stderr


async def test_a_model_that_cannot_be_made_ends_its_run_and_no_other(tmp_path, model):
    broken = tmp_path / "broken_model.py"
    broken.write_text(BROKEN_MODEL)
    with AgentServer(tmp_path / "data", "tools.py", str(broken), model=model) as server:
        async with connected(server) as client:
            failing = await client.create_session("broken")
            frames = await turn(client, failing, "hi")
            assert frames[-1].event == "agent.error" and frames[-1].run_id
            # The next message waits in the queue until the run before it is over, and is started from there.
            runs = [await client.say(failing, "first"), await client.say(failing, "second")]
            ends = [await client.wait_for(lambda frame: frame.ends_run) for _ in runs]
            assert [end.run_id for end in ends] == [run.run_id for run in runs]
            sound = await client.create_session("tools")
            assert (await turn(client, sound, "hi"))[-1].content == "You said: hi"
