"""What can go wrong in an agent file and in a run.

MyAgentError
├── AgentDefinitionError      an agent file says something that cannot be
├── ToolError                 raised by a tool's author, on purpose
│   ├── RetryTool             the model should call again, with other arguments
│   └── ToolFailed            a result that the model must live with
├── RunError                  ends the run with `agent.error`
│   ├── LLMError              the model could not be asked
│   │   ├── LLMNotConfigured  no API key, or no usable endpoint, is set
│   │   ├── LLMNotAllowed     a test must not ask a real model
│   │   ├── LLMAuthError      the endpoint refuses the key
│   │   ├── LLMNotFound       the endpoint knows no such model or path
│   │   ├── LLMUnreachable    no connection
│   │   ├── LLMRejected       the endpoint refuses the request
│   │   ├── LLMUnavailable    429 or 5xx, after the client's own retries
│   │   ├── EmptyReply        the model says nothing, asked again as well
│   │   └── ContextOverflow   the history is longer than the model's window
│   ├── HookFailed            a hook has a bug, or took too long
│   ├── OutputInvalid         the answer does not fit the agent's output, told twice
│   ├── RunLimitReached       a limit of the run leaves no room for an answer
│   └── RunCancelled          the host has ended the run
├── Refuse                    raised by a hook that ends the run in words
└── StreamCut                 a model stream ended early; asked again by the loop
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from myagent.i18n import gettext as _


class SourceLine(Protocol):
    """A line of a file."""

    @property
    def file(self) -> str:
        """The file; empty when nobody knows it."""
        ...

    @property
    def line(self) -> int | None: ...


class MyAgentError(Exception):
    """Base class of all exceptions of this library. Do not raise it directly.

    `code` is a stable snake_case word for programs; `str(error)` is a sentence for people.
    """

    code = "error"


class AgentDefinitionError(MyAgentError):
    """An agent or a tool was defined in a way that cannot work.

    `file` and `line` say where, when it is not where the exception was raised.
    """

    code = "agent_definition"

    def __init__(self, message: str, *, at: SourceLine | None = None) -> None:
        super().__init__(message)
        self.file = at.file if at is not None else ""
        self.line = at.line if at is not None else None
        if self.file:
            self.add_note(f"  {self.file}, line {self.line}")


class ToolError(MyAgentError):
    """Base class of what a tool raises to tell the model something. Do not raise it directly."""

    code = "tool_error"


class RetryTool(ToolError):
    """Raised by a tool whose call was wrong. The message tells the model how to call it correctly."""

    code = "tool_retry"


class ToolFailed(ToolError):
    """Raised by a tool that cannot do what it was asked. The message is shown to the model and to the user."""

    code = "tool_failed"


class RunError(MyAgentError):
    """Ends a run. Its text holds no secret and no traceback, since it is shown to people.

    `public`, by default the same text, is what everybody on the session reads: it is part of the log for good. Where it
    differs, the text itself is for those who run the server, and may name addresses, settings and what others said.
    `details` are added to the metadata of `agent.error`.
    """

    code = "run_failed"
    details: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str = "", *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = message if public is None else public


class LLMError(RunError):
    """The model could not be asked."""

    code = "llm_error"


class LLMNotConfigured(LLMError):
    """A setting that is needed to reach the model is missing."""

    code = "llm_not_configured"


class LLMNotAllowed(LLMError):
    """A test was about to ask a real model without being allowed to."""

    code = "llm_not_allowed"


class LLMAuthError(LLMError):
    """The endpoint refuses the key (HTTP 401 or 403)."""

    code = "llm_auth"


class LLMNotFound(LLMError):
    """The endpoint knows no such model or path (HTTP 404)."""

    code = "llm_not_found"


class LLMUnreachable(LLMError):
    """No connection to the endpoint, or it did not answer in time."""

    code = "llm_unreachable"


class LLMRejected(LLMError):
    """The endpoint refuses the request as it stands (HTTP 400 or 422)."""

    code = "llm_rejected"


class LLMUnavailable(LLMError):
    """The endpoint is overloaded or broken (HTTP 429 or 5xx), also after retries."""

    code = "llm_unavailable"


class EmptyReply(LLMError):
    """The model replied with neither text nor a tool call, also when it was asked once more."""

    code = "empty_reply"


class ContextOverflow(LLMError):
    """The history does not fit the model's window, which has `limit` tokens where that is known."""

    code = "context_overflow"

    def __init__(self, message: str = "", *, public: str | None = None, limit: int | None = None) -> None:
        super().__init__(message, public=public)
        self.limit = limit


class OutputInvalid(RunError):
    """The answers of the model did not fit the schema that the output has: three of them, or the one at a limit.

    `details` has the `problems` of the last one, in words, each with the path of its field.
    """

    code = "output_invalid"

    def __init__(self, problems: Sequence[str]) -> None:
        words = _("The answer does not have the form that it should have: %(problems)s")
        super().__init__(words % {"problems": "; ".join(problems)})
        self.details = {"problems": list(problems)}


class RunLimitReached(RunError):
    """The run is so far beyond a limit that it is not even summed up.

    `which` names the agent's option, `used` and `allowed` are in its unit: tokens or seconds.
    """

    code = "run_limit"

    def __init__(self, message: str = "", *, which: str, used: float, allowed: float) -> None:
        super().__init__(message)
        self.details = {"limit": {"which": which, "used": used, "allowed": allowed}}


class HookFailed(RunError):
    """A hook, or another function of the agent's author that the run needs, raised, returned nonsense or took too long.

    What it raised is in the server's log; its text may hold what is not for everybody.
    """

    code = "hook_failed"


class RunCancelled(RunError):
    """Raised by a host in a run that has ended already: stop, and report nothing more."""

    code = "cancelled"


class Refuse(MyAgentError):
    """Raised by a hook to end the run. The message is the answer that the user reads."""

    code = "refused"


class StreamCut(MyAgentError):
    """The model's stream ended before the model had finished. What was streamed is not the answer."""

    code = "stream_cut"
