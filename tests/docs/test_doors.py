"""The programs of docs/http.md that speak other protocols, each run as it stands there against a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import httpx2
import pytest

from tests.support.agent_server import AgentServer
from tests.support.markdown import blocks
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import lacking, program

PAGE = "docs/http.md"
NODE_MODULES = ROOT / "console/node_modules"


@pytest.fixture(scope="module")
def door(tmp_path_factory, model):
    """A server, and the token of one of its users."""
    with AgentServer(tmp_path_factory.mktemp("door"), "tools.py", model=model) as server:
        server.token = server.manage("createtoken", "ann", "--create-user").strip()
        yield server


def program_of(name, server):
    """The program under this mark, which asks this server's agent."""
    (block,) = blocks(PAGE, mark=f"door: {name}")
    text = re.sub(r"https://agents\.example\.com|http://localhost:8080", f"http://127.0.0.1:{server.port}", block.text)
    return text.replace("weather-assistant", "tools")


def printed(*command, text="", **environ):
    done = subprocess.run(
        command,
        input=text,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def node(folder, text):
    """What a module prints that finds the packages of the page."""
    if not NODE_MODULES.exists():
        lacking("the packages of the page are not installed: run `make console`")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "door.mjs").write_text(text, encoding="utf-8")
    return printed(program("node"), str(folder / "door.mjs"))


def test_openai_with_curl(door):
    lines = printed("sh", "-e", text=program_of("shell", door), TOKEN=door.token).splitlines()
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line[6:]) for line in lines[:-2] if line.startswith("data: ")]
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(deltas).startswith("You said: How is")


def test_openai_in_python(door):
    text = f"TOKEN = {door.token!r}\n{program_of('python', door)}"
    said = printed(sys.executable, "-", text=text)
    assert re.fullmatch(r"You said: How is the weather in Beijing\? [0-9a-f-]{36}\n", said)


def test_mcp_in_python(door):
    text = f"TOKEN = {door.token!r}\n{program_of('mcp', door)}"
    said = printed(sys.executable, "-", text=text)
    assert re.fullmatch(r"You said: How is the weather in Beijing\? [0-9a-f-]{36}\n", said)


@pytest.mark.parametrize("page", [PAGE, "docs/http.zh.md"])
def test_the_files_of_mcp_clients(door, page):
    of_editors, of_desktop = (
        json.loads(block.text)["mcpServers"]["myagent"] for block in blocks(page, mark="mcp file")
    )
    *_program, url, option, header = of_desktop["args"]
    name, value = header.replace("${MYAGENT_AUTHORIZATION}", of_desktop["env"]["MYAGENT_AUTHORIZATION"]).split(":")
    assert (option, url, {name: value}) == ("--header", of_editors["url"], of_editors["headers"])
    info = {"name": "an editor", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
    answer = httpx2.post(
        url.replace("http://localhost:8080", f"http://127.0.0.1:{door.port}"),
        headers={name: value.replace("mya_…", door.token), "Accept": "application/json, text/event-stream"},
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        timeout=WAIT_SECONDS,
    )
    assert answer.status_code == 200 and '"name":"myagent"' in answer.text


def test_responses_in_python(door):
    text = f"TOKEN = {door.token!r}\n{program_of('responses', door)}"
    said = printed(sys.executable, "-", text=text)
    assert re.fullmatch(r"You said: How is the weather in Beijing\?You said: And tomorrow\? [0-9a-f-]{36}\n", said)


@pytest.mark.slow
def test_agui_in_javascript(door, tmp_path):
    head = f'const token = "{door.token}", threadId = "a thread";\n'
    imports, rest = program_of("agui", door).split("\n", 1)
    said = node(tmp_path, f"{imports}\n{head}{rest}\nconsole.log(agent.messages.at(-1).content);\n")
    assert said == "You said: How is the weather in Beijing?\n"


@pytest.mark.slow
def test_the_transport_of_usechat(door, tmp_path):
    """As React would use it, which has no place here: `useChat` is told how, and its transport asks."""
    text = program_of("chat", door).replace(
        'import { useChat } from "@ai-sdk/react";', "const useChat = (options) => options;"
    )
    head = f'const token = "{door.token}", id = "a chat";\n'
    asks = """
if (chat.messages || (await chat.transport.reconnectToStream({ chatId: id }))) throw Error("it has begun");
const said_now = [{ id: "m-1", role: "user", parts: [{ type: "text", text: "How is it?" }] }];
const stream = await chat.transport.sendMessages({ trigger: "submit-message", chatId: id, messages: said_now });
let said = "";
for await (const chunk of stream) if (chunk.type === "text-delta") said += chunk.delta;
console.log(said, chat.sendAutomaticallyWhen({ messages: said_now }));
"""
    assert node(tmp_path, head + text + asks) == "You said: How is it? false\n"
