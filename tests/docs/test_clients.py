"""The clients of docs/clients.md, each run as it stands there against a real server; some over a broken connection."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.myagent.cli.test_main import environment, serving
from tests.support.agent_server import AgentServer
from tests.support.javascript_client import node_modules
from tests.support.markdown import Block, blocks
from tests.support.model_replies import text, tools
from tests.support.patience import WAIT_SECONDS
from tests.support.proxy import Proxy
from tests.support.services import program

PAGE = "docs/clients.md"
LANGUAGES = {
    # WebSocket is a global of node from 22 on; before, it has to be switched on.
    "javascript": lambda: [program("node"), "--experimental-websocket", "--no-warnings", "--input-type=module", "-"],
    "python": lambda: [sys.executable, "-u", "-"],
    "shell": lambda: ["sh", "-s"],
}


def clients(page: str = PAGE) -> list[tuple[Block, str]]:
    """The clients of a page, each with what it prints."""
    found = blocks(page)
    return [
        (block, following.text)
        for block, following in zip(found, found[1:], strict=False)
        if block.mark.startswith("client: ") and following.mark == "prints"
    ]


def as_parameters(found):
    """Clients as cases of a test; those that run on node are slow."""
    return [
        pytest.param(
            block,
            printed,
            id=f"line-{block.line}",
            marks=[pytest.mark.slow] if block.mark.startswith("client: javascript") else [],
        )
        for block, printed in found
    ]


def test_every_client_of_the_page_is_run():
    marked = [block for block in blocks(PAGE) if block.mark.startswith("client: ")]
    assert marked == [block for block, _printed in clients()]
    assert {block.mark.removeprefix("client: ").partition(",")[0] for block in marked} == set(LANGUAGES)
    unmarked = {block.language for block in blocks(PAGE) if not block.mark}
    assert unmarked <= {"bash"}, "code of the page that is not run"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The server of the page, with its agent file."""
    folder = tmp_path_factory.mktemp("shop")
    (file,) = blocks(PAGE, mark="file: shop.py")
    (line,) = [command for block in blocks(PAGE, mark="serves the clients") for command in block.commands]
    (folder / "shop.py").write_text(file.text, encoding="utf-8")
    command = [sys.executable, "-m", "myagent.cli.main", *line.split()[1:], "--port", "0"]
    with serving(folder, command=command) as server:
        server.read_banner()
        server.folder = folder
        yield server


@pytest.fixture(scope="module")
def shop_with_model(tmp_path_factory, model):
    """The same agent with a model that can be stopped in the middle of its answer."""
    folder = tmp_path_factory.mktemp("shop")
    (file,) = blocks(PAGE, mark="file: shop.py")
    (folder / "shop.py").write_text(file.text, encoding="utf-8")
    with AgentServer(folder, str(folder / "shop.py"), model=model) as server:
        yield server


@contextmanager
def running(block: Block, port: int, folder):
    """The client as a process that was handed its program on standard input."""
    language = block.mark.removeprefix("client: ").partition(",")[0]
    pipe = subprocess.PIPE
    command = LANGUAGES[language]()
    environ = environment(folder, PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder, env=environ)
    watchdog = threading.Timer(WAIT_SECONDS, process.kill)
    watchdog.start()
    try:
        assert "localhost:8080" in block.text
        if "myagent-client" in block.text and not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(node_modules())
        process.stdin.write(block.text.replace("localhost:8080", f"127.0.0.1:{port}"))
        process.stdin.close()
        process.stdin = None
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def ended(process):
    printed, errors = process.communicate()
    return printed, errors, process.returncode


@pytest.mark.parametrize(("block", "printed"), as_parameters(clients()))
def test_a_client_prints_what_the_page_says(shop, block, printed):
    prints_what_the_page_says(shop, block, printed)


def prints_what_the_page_says(shop, block, printed):
    with running(block, shop.port, shop.folder) as process:
        said, errors, code = ended(process)
    assert (said.strip(), errors, code) == (printed.strip(), "", 0)


COMING_BACK = [(block, printed) for block, printed in clients() if block.mark.endswith(", cut")]


CALLS = {
    "Are you open on Monday?": ("opening_hours", {"day": "Monday"}),
    "Please order bread": ("order", {"item": "bread"}),
}
"""What the demo model does with these questions; a model that stops in the middle of its answer has to do the same."""


@pytest.mark.parametrize(("block", "printed"), as_parameters(COMING_BACK))
def test_a_client_that_comes_back_prints_the_same_over_a_broken_connection(shop_with_model, model, block, printed):
    answers_over_a_broken_connection(shop_with_model, model, block, printed)


def answers_over_a_broken_connection(server, model, block, printed):
    (call,) = [call for question, call in CALLS.items() if question in block.text]
    model.reset()
    model.script(tools(call), answer := text("\n".join(printed.splitlines()[-3:]), hang=3))
    with Proxy("127.0.0.1", server.port) as proxy, running(block, proxy.port, server.folder) as process:
        assert answer.gate.entered.wait(WAIT_SECONDS)
        proxy.cut()
        proxy.mend()
        proxy.wait_accepted(1)
        answer.gate.open()
        said, errors, code = ended(process)
    assert (said.strip(), errors, code) == (printed.strip(), "", 0)


def test_there_are_clients_that_come_back_in_both_languages():
    assert {block.language for block, _printed in COMING_BACK} == {"javascript", "python"}
