"""The debug log lines about requests to the model, shortened."""

from __future__ import annotations

from collections.abc import Sequence

from myagent.llm import Reply, ToolSchema
from myagent.messages import Message
from myagent.text import short_id

_QUOTE = 200


def question_line(run_id: str, step: int, model: str, prompt: Sequence[Message], tools: Sequence[ToolSchema]) -> str:
    """The line before a request. It shows the newest message; lines before it have shown the others."""
    newest = f"; the newest: {prompt[-1].role} {_quoted(prompt[-1].text)}" if prompt else ""
    return f"{_place(run_id, step)}: asking {model} with {len(prompt)} messages and {len(tools)} tools{newest}"


def answer_line(run_id: str, step: int, model: str, reply: Reply, *, seconds: float, first: float | None) -> str:
    """The line after a reply, with the seconds until its end and until its first text (None: it had none)."""
    began = f", the first words after {first:.2f} s" if first is not None else ""
    said = [_quoted(reply.message.text)] if reply.message.text else []
    said += [f"{call.name}({_shortened(call.arguments)})" for call in reply.message.tool_calls]
    cost = f"{reply.usage.input_tokens} + {reply.usage.output_tokens} tokens"
    words = ", ".join(said) or "nothing"
    return f"{_place(run_id, step)}: {model} answered after {seconds:.2f} s ({cost}{began}): {words}"


def _place(run_id: str, step: int) -> str:
    return f"run={short_id(run_id)} step {step}"


def _quoted(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTE else f"{text[:_QUOTE]}…"
