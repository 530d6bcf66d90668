"""Write an agent as a plain Python file; `python manage.py runagent` serves it."""

from myagent.agent import Agent, create_react_agent, create_toolcall_agent
from myagent.exceptions import AgentDefinitionError, MyAgentError, RetryTool, RunError, ToolFailed
from myagent.llm import LLM
from myagent.messages import Message
from myagent.run_context import RunContext, current_run
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tool.function_tool import tool

__version__ = "0.1.0"

__all__ = [
    "LLM",
    "Agent",
    "AgentDefinitionError",
    "BaseTool",
    "Message",
    "MyAgentError",
    "RetryTool",
    "RunContext",
    "RunError",
    "ToolFailed",
    "ToolResult",
    "create_react_agent",
    "create_toolcall_agent",
    "current_run",
    "tool",
]
