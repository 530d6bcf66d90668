"""Agent files that do not come to an end."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from agents.loading import loading_watch
from agents.loading.agent_file_errors import AgentServesItself
from agents.loading.loader import load_agent

AGENT = "from myagent import create_react_agent\nagent = create_react_agent(name='a')\n"
SERVER = """
import time

class Server:
    ends = False

    def serve_forever(self):
        until = time.monotonic() + 60
        while not self.ends and time.monotonic() < until:
            time.sleep(0.01)

server = Server()
"""
USES = "from small_server import server\n"
SERVES = """
import asyncio

async def main():
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
        await server.serve_forever()

asyncio.run(main())
"""
LOOP = "import asyncio\nloop = asyncio.new_event_loop()\ntry:\n    loop.run_forever()\nfinally:\n    loop.close()\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(loading_watch, "LOOK_SECONDS", 1.0)  # it looks once: what serves has to have begun by then


@pytest.mark.parametrize(
    ("code", "line", "text"),
    [
        (f"{USES}server.serve_forever()\n", 2, "server.serve_forever()"),
        (f"{USES}try:\n    server.serve_forever()\nexcept KeyboardInterrupt:\n    pass\n", 3, "server.serve_forever()"),
        (f"{USES}def main():\n    server.serve_forever()\n\nmain()\n", 5, "main()"),
        (SERVER + "server.serve_forever()\n", 13, "server.serve_forever()"),
        (LOOP, 4, "loop.run_forever()"),
        (SERVES, 8, "asyncio.run(main())"),
    ],
)
def test_a_file_that_serves_something_itself_is_refused(write, caplog, code, line, text):
    write("small_server.py", SERVER)
    source = write("serving_agent.py", code + AGENT)
    with caplog.at_level(logging.WARNING, "myagent.agents"), pytest.raises(AgentServesItself) as caught:
        load_agent(source)
    assert caught.value.line == line
    assert text in caught.value.problem
    assert "__main__" in caught.value.cure


@pytest.mark.parametrize("wait", ["import time\ntime.sleep(2)", "import asyncio\nasyncio.run(asyncio.sleep(2))"])
def test_a_file_that_takes_long_is_told_of_and_loaded(write, caplog, wait):
    with caplog.at_level(logging.WARNING, "myagent.agents"):
        assert load_agent(write("slow_agent.py", f"{wait}\n{AGENT}")).name == "a"
    (said,) = caplog.messages
    assert "still being loaded" in said and "line 2" in said and wait.splitlines()[1] in said


def test_a_file_that_is_loaded_in_another_thread_is_only_told_of(write, caplog):
    write("small_server.py", SERVER)
    ends = "import threading\nthreading.Timer(2, setattr, (server, 'ends', True)).start()\n"
    code = f"{USES}{ends}server.serve_forever()\n"
    loaded = []
    source = write("thread_agent.py", code + AGENT)
    with caplog.at_level(logging.WARNING, "myagent.agents"):
        thread = threading.Thread(target=lambda: loaded.append(load_agent(source)))
        thread.start()
        thread.join(20)
    assert [agent.name for agent in loaded] == ["a"]
    assert "serve_forever()" in caplog.messages[0]


def test_nothing_is_said_of_a_file_that_is_loaded_in_time(write, caplog, monkeypatch):
    monkeypatch.setattr(loading_watch, "LOOK_SECONDS", 1.5)
    with caplog.at_level(logging.WARNING, "myagent.agents"):
        load_agent(write("quick_agent.py", AGENT))
        time.sleep(2)
    assert caplog.messages == []
