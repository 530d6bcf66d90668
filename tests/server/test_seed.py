"""What the seed, the page that this project was asked for with, shows works as it stands there.

`seed/quick_start.txt` is that page word for word; the tests take its code blocks from it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from agents.loading.loader import load_agent
from myagent import create_react_agent
from myagent.protocol.codec import CLIENT_EVENT_NAMES, parse_frame
from myagent.tool.base_tool import BaseTool, ToolResult
from tests.myagent.cli.test_main import MODULE, environment, run, serving
from tests.support.markdown import blocks
from tests.support.model_server import ModelServer, text, tools
from tests.support.paths import ROOT
from tests.support.patience import WAIT_SECONDS
from tests.support.services import program

PAGE = "tests/server/seed/quick_start.txt"

BLOCKING = """
import asyncio

from myagent import create_react_agent
from myagent.tool.base_tool import BaseTool, ToolResult
from tests.support.patience import WAIT_SECONDS

class Wait(BaseTool):
    name = "wait"
    parameters = {
        "type": "object",
        "properties": {"what": {"type": "string", "examples": ["for ever"]}},
        "required": ["what"],
    }
    async def execute(self, what: str) -> ToolResult:
        await asyncio.Event().wait()

agent = create_react_agent(name="waiting", tools=[Wait()])
"""


def block(beginning: str) -> str:
    """The block of the page that begins so."""
    (found,) = [block.text for block in blocks(PAGE) if block.text.startswith(beginning)]
    return found


def seed_objects(beginning: str) -> dict[str, dict]:
    """The events of a block of the protocol, by name; what it leaves out with dots is empty."""
    plain = re.sub(r"^\s*//.*$", "", block(beginning), flags=re.MULTILINE).replace("{...}", "{}")
    objects = [json.loads(text) for text in re.split(r"\n(?=\{)", plain) if text.strip()]
    return {item["event"]: item for item in objects}


@pytest.fixture
def folder(tmp_path):
    """A folder as the reader of the page has it: the agent file, the examples, the scripts."""
    (tmp_path / "my_agent.py").write_text(block("# my_agent.py"), encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "myagent-ws").symlink_to(ROOT / "scripts" / "myagent-ws")
    programs = tmp_path / "bin"
    programs.mkdir()
    # What the installed command does, see [project.scripts].
    command = programs / "myagent-ws"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m myagent.cli.main "$@"\n')
    command.chmod(0o755)
    return tmp_path


def path_of(folder):
    return os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])


def chinese(folder, **extra):
    """The environment without a language, which makes it Chinese."""
    return {"MYAGENT_LANGUAGE": "", "PATH": path_of(folder), **extra}


def on_free_port(command: str) -> str:
    bare = re.sub(r" --port \d+", "", command)
    return f"{bare} --port 0"


@contextmanager
def serving_line(folder, line: str, **extra):
    """Serve with a line of shell from the page, on a free port."""
    with serving_command(folder, "sh", "-c", f"exec {on_free_port(line)}", **extra) as server:
        yield server


@contextmanager
def serving_command(folder, *command, **extra):
    with serving(folder, command=command, **chinese(folder, **extra)) as server:
        server.read_banner()
        yield server


def module_serving(folder, *arguments, **extra):
    """Serve as a line of the page does, without a shell; that the lines themselves serve is tested once."""
    return serving_command(folder, *MODULE, *arguments, "--port", "0", **extra)


class Talk:
    """A client that speaks the page's protocol."""

    def __init__(self, socket):
        self.socket = socket
        self.session_id = None

    def send(self, **event):
        if self.session_id is not None:
            event["session_id"] = self.session_id
        self.socket.send(json.dumps(event))

    def until(self, name):
        """The event of that name, and all the agent's events before it."""
        seen = {}
        while name not in seen:
            event = json.loads(self.socket.recv(timeout=WAIT_SECONDS))
            seen.setdefault(event["event"], event)
        return seen

    def begin(self):
        self.send(event="user.create_session", timestamp="2024-01-01T12:00:00Z")
        created = self.until("agent.session_created")
        self.session_id = created["agent.session_created"]["session_id"]
        return created

    def ask(self, content):
        self.send(event="user.message", content=content, timestamp="2024-01-01T12:01:00Z")


@contextmanager
def talking(server):
    with connect(f"ws://localhost:{server.port}", max_size=None) as socket:
        yield Talk(socket)


# --- agent files ------------------------------------------------------------------------------------------------------


def test_the_agent_file_loads(folder):
    agent = load_agent(str(folder / "my_agent.py"))
    sys.modules.pop("my_agent")
    assert (agent.name, agent.system_prompt, agent.max_steps) == ("hello-assistant", "你是一个友好的助手", 3)
    (schema,) = agent.tools.schemas()
    assert schema["function"] == {
        "name": "say_hello",
        "description": "向用户打招呼",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string", "description": "用户名称"}},
            "required": ["name"],
        },
    }


def test_the_basic_structure_loads(tmp_path):
    file = tmp_path / "basic_structure.py"
    file.write_text(block("from myagent import create_react_agent\n"), encoding="utf-8")
    agent = load_agent(str(file))
    assert (agent.name, agent.tools.names, agent.max_steps) == ("your-agent", ("tool_name",), 5)


def test_the_advanced_options_work():
    def named(tool_name):
        async def execute(self):
            return ToolResult(output="done")

        return type(tool_name, (BaseTool,), {"name": tool_name, "execute": execute})

    names = {name: named(name) for name in ("Tool1", "Tool2", "Tool3")}
    scope = {"create_react_agent": create_react_agent, **names}
    exec(block('agent = create_react_agent(\n    name="advanced-agent"'), scope)
    agent = scope["agent"]
    assert agent.tools.names == ("Tool1", "Tool2", "Tool3")
    assert agent.next_step_prompt == "下一步操作提示..."
    assert (agent.max_steps, agent.enable_tracing) == (10, True)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["myagent-ws --help", "myagent-ws server --help", "./scripts/myagent-ws server --help"]
    + ["python -m myagent.cli.server --help"],
)
def test_help(folder, line):
    result = run(["sh", "-c", line], folder, **chinese(folder))
    assert (result.returncode, result.stderr) == (0, "")
    if line.startswith("myagent-ws --"):
        assert "server" in result.stdout
    else:
        assert all(option in result.stdout for option in ("--host", "--port", "--debug"))


def commands():
    """The commands of the page that serve an agent."""
    lines = [line for block in blocks(PAGE, language="bash") for line in block.commands]
    serve = [line for line in lines if re.match(r"(python -m myagent|\./scripts/|myagent-ws server [a-z])", line)]
    return [line for line in dict.fromkeys(serve) if "<agent_file>" not in line]


@pytest.mark.parametrize("line", commands())
def test_every_command_serves(folder, line):
    with serving_line(folder, line) as server:
        with talking(server) as talk:
            assert talk.begin()["agent.session_created"]["content"] == "会话创建成功"
        assert server.get("/healthz")[0] == 200
        code, log = server.interrupt()
    assert code == 0
    assert "Traceback" not in log


def test_the_page_has_the_commands_that_are_tested():
    assert len(commands()) == 6


def test_the_installed_command_is_the_one_that_is_tested():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"myagent-ws": "myagent.cli.main:main"}


def test_what_the_first_step_installs():
    lines = (ROOT / "requirements-ws.txt").read_text().splitlines()
    wanted = {re.split(r"[>\[]", line)[0] for line in lines}
    (line,) = [line for line in block("# 安装").splitlines() if line.startswith("pip install websockets")]
    assert set(line.split()[2:]) <= wanted
    assert "-e ." in wanted


# --- the JavaScript client --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_javascript_client_gets_an_answer(folder):
    line = "python -m myagent.cli.server my_agent.py --host 0.0.0.0 --port 8080 --llm demo"
    with serving_line(folder, line) as server:
        client = folder / "client.js"
        client.write_text(block("// 前端").replace("8080", str(server.port)), encoding="utf-8")
        # WebSocket is a global of node from 22 on; before, it has to be switched on.
        node = [program("node"), "--experimental-websocket", "--no-warnings", str(client)]
        process = subprocess.Popen(node, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        watchdog = threading.Timer(WAIT_SECONDS, process.kill)
        watchdog.start()
        printed = ""
        try:
            for printed_line in process.stdout:
                printed += printed_line
                if "agent.final_answer" in printed and printed_line == "}\n":
                    break
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()
    assert printed.startswith("已连接到 MyAgent\n收到消息: {")
    assert "event: 'agent.session_created'" in printed
    assert "content: '会话创建成功'" in printed
    assert "content: '正在分析您的问题...'" in printed
    assert "event: 'agent.final_answer'" in printed
    assert "say_hello" in printed.partition("agent.final_answer")[2]


# --- the weather assistant --------------------------------------------------------------------------------------------


def sample_messages():
    """The three messages that the page sends to the weather assistant."""
    text = re.sub(r"^#.*$", "", block("# 服务启动后"), flags=re.MULTILINE)
    return [json.loads(item) for item in re.split(r"\n\s*\n(?=\{)", text) if item.strip()]


def test_the_sample_messages_are_answered(folder):
    create, weather, city = sample_messages()
    with (
        module_serving(folder, "examples/ws_weather_agent.py", "--llm", "demo") as server,
        talking(server) as talk,
    ):
        talk.send(**create)
        talk.session_id = talk.until("agent.session_created")["agent.session_created"]["session_id"]
        answers = []
        for message in (weather, city):
            assert message["session_id"] == "your-session-id"
            talk.send(**message)
            answers.append(talk.until("agent.final_answer"))
    called = [seen["agent.tool_call"] for seen in answers]
    assert [event["content"] for event in called] == ["调用工具: get_weather", "调用工具: get_city_info"]
    assert [event["metadata"]["args"] for event in called] == [{"city": "北京", "day": "今天"}, {"city": "上海"}]
    assert answers[0]["agent.final_answer"]["content"].startswith("北京今天（")
    assert answers[1]["agent.final_answer"]["content"].startswith("上海（Shanghai）")


# --- events -----------------------------------------------------------------------------------------------------------


def test_the_pages_requests_are_understood():
    for name, event in seed_objects("// 创建会话").items():
        assert parse_frame(json.dumps(event)).event == name
        assert name in CLIENT_EVENT_NAMES


def shows_all(shown, event) -> bool:
    """Whether `event` has every key that the page shows."""
    return all(
        key in event and (not isinstance(value, dict) or shows_all(value, event[key])) for key, value in shown.items()
    )


def test_the_events_are_as_the_page_shows_them(folder):
    shown = seed_objects("// 会话创建成功")
    with ModelServer() as model:
        model.script(tools(("say_hello", {"name": "小明"})), text("你好，小明"))
        environ = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": model.url}
        with module_serving(folder, "my_agent.py", **environ) as server, talking(server) as talk:
            seen = talk.begin()
            talk.ask("我是小明")
            seen |= talk.until("agent.final_answer")
            talk.session_id = "00000000-0000-4000-8000-000000000000"
            talk.ask("hello")
            seen |= talk.until("agent.error")
    for name in ("session_created", "thinking", "tool_call", "tool_result", "final_answer", "error"):
        event = f"agent.{name}"
        assert shows_all(shown.pop(event), seen[event]), seen[event]
    assert not shown, "the page shows an event that is not tested"
    assert seen["agent.session_created"]["content"] == "会话创建成功"
    assert seen["agent.session_created"]["metadata"]["agent_name"] == "hello-assistant"
    assert seen["agent.thinking"]["content"] == "正在分析您的问题..."
    assert seen["agent.tool_call"]["content"] == "调用工具: say_hello"
    assert seen["agent.tool_call"]["metadata"]["args"] == {"name": "小明"}
    assert seen["agent.tool_call"]["metadata"]["status"] == "running"
    assert seen["agent.tool_result"]["content"] == "你好, 小明! 很高兴认识你！"
    assert seen["agent.tool_result"]["metadata"]["status"] == "success"
    assert seen["agent.tool_result"]["step_id"] == seen["agent.tool_call"]["step_id"]
    assert seen["agent.final_answer"]["content"] == "你好，小明"


def test_cancelling_says_so(folder):
    (folder / "waiting.py").write_text(BLOCKING)
    with module_serving(folder, "waiting.py", "--llm", "demo") as server, talking(server) as talk:
        talk.begin()
        talk.ask("wait for ever")
        talk.until("agent.tool_call")
        talk.send(event="user.cancel", timestamp="2024-01-01T12:03:00Z")
        assert talk.until("agent.interrupted")["agent.interrupted"]["content"] == "执行已取消"


# --- troubleshooting --------------------------------------------------------------------------------------------------


def test_a_file_without_an_agent(folder):
    (folder / "my_agent.py").write_text("x = 1\n")
    result = run([*MODULE, "my_agent.py"], folder, **chinese(folder))
    assert result.returncode == 1
    assert block("❌ 在 my_agent.py").strip() == result.stderr.splitlines()[0]
    assert "Traceback" not in result.stderr


def test_a_taken_port(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = ["my_agent.py", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        result = run([*MODULE, *arguments], folder, **chinese(folder))
    assert result.returncode == 1
    # 48 is the number that macOS has for this.
    told = re.sub(r"Errno \d+", "Errno 48", result.stderr)
    assert block("❌ 服务器错误").strip() in told.splitlines()
    assert "Traceback" not in result.stderr


def test_asking_without_a_server(folder):
    (command,) = re.findall(r"^python -c .*", block("# 启用详细日志"), re.MULTILINE | re.DOTALL)
    with ModelServer() as model:
        model.script(tools(("say_hello", {"name": "小明"})), text("完成"))
        environ = environment(folder, **chinese(folder), OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=model.url)
        result = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert model.request(1).messages[-1] == {"role": "user", "content": "测试消息"}
        assert model.request(2).messages[-1]["content"] == "你好, 小明! 很高兴认识你！"
