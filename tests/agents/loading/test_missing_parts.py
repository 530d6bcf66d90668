"""What agent files import from `myagent` that is not here: each is told what takes its place."""

from __future__ import annotations

import pytest

from agents.loading.agent_file_errors import AgentImportFailed
from agents.loading.loader import load_agent

pytestmark = pytest.mark.usefixtures("in_english")


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("from myagent.ws import server", "myagent-ws server"),
        ("from myagent.ws.server import AgentWebSocketServer", "myagent-ws server"),
        ("import myagent.ws.session", "myagent-ws server"),
        ("from myagent.trace import get_trace_manager", "enable_tracing=True"),
        ("from myagent import TraceManager, create_react_agent", "enable_tracing=True"),
        ("from myagent import create_deep_agent", "create_react_agent(tools="),
        ("from myagent import BaseAgent", "As a type use Agent"),
        ("from myagent.agent import BaseAgent", "As a type use Agent"),
        ("from myagent.agent.toolcall import ToolCallAgent", "ToolCallAgent"),
        ("from myagent.agent import create_plan_solver", "Plans are not made here"),
        ("from myagent.agent.plan_solver import PlanAgent", "Plans are not made here"),
        ("from myagent.manager import AgentManager", "serves many agents"),
        ("from myagent.middleware.deep_agent import DeepAgentMiddleware", "Plans are not made here"),
        ("from myagent.schema import Message", "from myagent import Message"),
        ("from myagent import ToolChoice", "The model decides"),
        ("from myagent.logger import logger", "from myagent import logger"),
        ("from myagent.config import settings", "OPENAI_API_KEY"),
        ("from myagent import settings", "OPENAI_API_KEY"),
        ("from myagent.tool.tool_collection import ToolCollection", "from myagent.tool import ToolCollection"),
        ("from myagent.tool.web_search import WebSearchTool", "@tool"),
        ("from myagent.tool.base_tool import CLIResult", "ToolResult(error="),
        ("from myagent.tool import Tool", "Did you mean tool?"),
        ("from myagent.tools import BaseTool", "Did you mean myagent.tool?"),
        ("from myagent.base_tool import BaseTool", "Did you mean myagent.tool.base_tool?"),
        ("from myagent import create_agent", "Did you mean create_react_agent?"),
        ("from myagent import RunContexts", "Did you mean RunContext?"),
        ("from myagent.tool.terminate import ToolCollection", "from myagent import ToolCollection"),
        ("from myagent.messages import tool", "from myagent import tool"),
        ("import myagent\nmyagent.AgentManager()", "serves many agents"),
        ("import myagent\nmyagent.create_reactagent()", "Did you mean create_react_agent?"),
        ("from myagent import something_else", "myagent has: Agent, "),
        ("import myagent.zzzzzz", "myagent has: Agent, "),
        ("from myagent import ToolCollection\nToolCollection().add_tool(1)", "tools=[…]"),
        ("from myagent import ToolCollection\nToolCollection().tool_map", ".get(name)"),
        ("from myagent import create_react_agent\ncreate_react_agent().memory", "RunContext.state"),
        ("from myagent import create_react_agent\nagent = create_react_agent()\nagent.name = 'x'", "when you make it"),
    ],
)
def test_a_file_is_told_what_to_write(tmp_path, code, cure):
    file = tmp_path / "moved.py"
    file.write_text(f"{code}\n", encoding="utf-8")
    with pytest.raises(AgentImportFailed) as caught:
        load_agent(str(file))
    assert cure in caught.value.cure
    assert "pip install" not in str(caught.value)
    assert caught.value.line == len(code.splitlines())
