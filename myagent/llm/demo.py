"""The demo model: no network, no key, deterministic. It shows that a server works."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

from myagent.i18n import gettext as _
from myagent.i18n import speaking
from myagent.llm import Chunk, Reply, TextChunk, ToolSchema, Usage
from myagent.llm.demo_calls import DemoCall, choose_calls, examples
from myagent.llm.demo_value import demo_value
from myagent.llm.output_tool import OUTPUT_TOOL, output_tool_of
from myagent.messages import Message, ToolCall
from myagent.text import clean, pieces

_SHOWN_VALUES = 6
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z']{2,}")
_WORDS_OF_A_SENTENCE = 3
"""A name alone says nothing of the language of who writes it."""


class DemoLLM:
    """A model without a network: calls the tools whose `enum` or `examples` values occur in the user's text.

    It answers with the results of the tools, or with a value that it makes up where the agent has an `output`; the same
    messages give the same answer. Satisfies `LLM`. `delay` is the
    pause before each piece of text, in seconds.
    """

    model = "demo"

    def __init__(self, *, delay: float = 0.015) -> None:
        self._delay = delay

    async def stream(self, messages: Sequence[Message], *, tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Chunk]:
        """Answer the newest message of the user; see `myagent.llm.LLM.stream`."""
        with speaking(_language_of(messages)):
            text, calls = _answer(messages, tools)
        for piece in pieces(text):
            await asyncio.sleep(self._delay)
            yield TextChunk(piece)
        # The length of the history makes the ids of a session differ, and be the same again next time.
        requested = [
            ToolCall(id=f"demo_{len(messages)}_{number}", name=call.tool, arguments=call.arguments)
            for number, call in enumerate(calls, 1)
        ]
        yield Reply(Message.assistant(text, requested), Usage(llm_calls=1))


def _answer(messages: Sequence[Message], tools: Sequence[ToolSchema]) -> tuple[str, list[DemoCall]]:
    """What it says to the newest message of the user, or which tools it calls."""
    asked = _asked(messages)
    results = [message.text for message in messages[asked:] if message.role == "tool"]
    question = clean(messages[asked].text) if messages else ""
    output = output_tool_of(tools)
    tools = tools if output is None else tools[:-1]
    calls = [] if results else choose_calls(question, tools)
    if output is not None and not calls:
        value = demo_value(output["function"]["parameters"], " ".join([question, *map(clean, results)]))
        return "", [DemoCall(OUTPUT_TOOL, value)]
    text = "" if calls else _from_results(results) if results else _introduction(tools)
    if text and messages and (pictures := _pictures(messages[asked])):
        seen = _("Pictures in your message: {count}. I cannot look at them, a real model can.")
        text = _paragraphs(seen.format(count=pictures), text)
    return text, calls


def _asked(messages: Sequence[Message]) -> int:
    return max((at for at, message in enumerate(messages) if message.role == "user"), default=0)


def _language_of(messages: Sequence[Message]) -> str | None:
    """That of the user's words, as far as their script tells: as a real model would, it answers in it."""
    question = messages[_asked(messages)].text if messages else ""
    if _CHINESE.search(question):
        return "zh-hans"
    return "en" if len(_LATIN_WORD.findall(question)) >= _WORDS_OF_A_SENTENCE else None


def _pictures(message: Message) -> int:
    parts = () if isinstance(message.content, str) else message.content
    return sum(part.get("type") == "image_url" for part in parts)


def _from_results(results: Sequence[str]) -> str:
    note = _("I am the demo model: I do not think, I only pass on what the tools say.")
    return _paragraphs(*map(clean, results), note)


def _introduction(tools: Sequence[ToolSchema]) -> str:
    who = _("I am the demo model. I do not think, but I call a tool when your message holds a value that it knows.")
    known = examples(tools)
    names = []
    for schema in tools:
        name = schema["function"]["name"]
        values = list(dict.fromkeys(example.text for example in known if example.tool == name))
        names.append(f"- {name}: {_listed(values)}" if values else f"- {name}")
    if known:
        hint = _("Try one of these values, for example: {value}").format(value=known[0].text)
    elif tools:
        hint = _("None of these tools names values of its parameters (`enum` or `examples`), so I cannot call them.")
    else:
        hint = _("This agent has no tools.")
    cure = _("For real answers, set OPENAI_API_KEY and start the server without --llm demo.")
    return _paragraphs(who, "\n".join(names), hint, cure)


def _paragraphs(*texts: str) -> str:
    """As Markdown, which is how clients show an answer, keeps them apart."""
    return "\n\n".join(filter(None, texts))


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:_SHOWN_VALUES]) + (", …" if len(values) > _SHOWN_VALUES else "")
