"""The library that agent files import: define an agent in a plain Python file, and `myagent-ws server` serves it."""

from typing import TYPE_CHECKING, Any

from myagent.agent import Agent, create_react_agent, create_toolcall_agent
from myagent.exceptions import AgentDefinitionError, MyAgentError, RetryTool, RunError, ToolFailed
from myagent.llm import LLM
from myagent.messages import Message
from myagent.run_context import RunContext, current_run
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tool.function_tool import tool

if TYPE_CHECKING:
    from myagent.llm.demo import DemoLLM
    from myagent.llm.openai import OpenAILLM

__version__ = "0.1.0"

__all__ = [
    "LLM",
    "Agent",
    "AgentDefinitionError",
    "BaseTool",
    "DemoLLM",
    "Message",
    "MyAgentError",
    "OpenAILLM",
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


def __getattr__(name: str) -> Any:
    # Imported at first use: the openai package takes about a second, which `import myagent` should not.
    if name == "OpenAILLM":
        from myagent.llm.openai import OpenAILLM

        return OpenAILLM
    if name == "DemoLLM":
        from myagent.llm.demo import DemoLLM

        return DemoLLM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
