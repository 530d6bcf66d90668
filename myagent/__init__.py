"""The library that agent files import: define an agent in a plain Python file, and `myagent-ws server` serves it."""

from myagent.startup import search_path as _search_path  # noqa: F401, I001 - first: it decides where all others come from
from myagent.startup import interrupts as _interrupts  # noqa: F401 - so that Ctrl-C is quiet while the rest is imported

import logging
import sys
from typing import TYPE_CHECKING, Any

from myagent.agent import Agent, create_react_agent, create_toolcall_agent
from myagent.agent import ToolCallAgent as ToolCallAgent
from myagent.exceptions import AgentDefinitionError, MyAgentError, Refuse, RetryTool, RunError, ToolFailed
from myagent.hooks import HookedAnswer, HookedCall, hook
from myagent.llm import LLM
from myagent.messages import Message
from myagent.run_context import RunContext, RunFile, current_run
from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tool.collection import ToolCollection as ToolCollection
from myagent.tool.function_tool import tool
from myagent.tool.image import Image
from myagent.tool.terminate import Terminate as Terminate

if TYPE_CHECKING:
    from myagent.llm.demo import DemoLLM
    from myagent.llm.openai import OpenAILLM

__version__ = "0.1.0"

logger = logging.getLogger("myagent.agent_files")
"""The log, for agent files."""

# ToolCallAgent, ToolCollection, Terminate and logger are left out: a star import should not bring them.
__all__ = [
    "LLM",
    "Agent",
    "AgentDefinitionError",
    "BaseTool",
    "DemoLLM",
    "HookedAnswer",
    "HookedCall",
    "Image",
    "Message",
    "MyAgentError",
    "OpenAILLM",
    "Refuse",
    "RetryTool",
    "RunContext",
    "RunError",
    "RunFile",
    "ToolFailed",
    "ToolResult",
    "create_react_agent",
    "create_toolcall_agent",
    "current_run",
    "hook",
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
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
