"""Asks a model a handful of questions, and tells what works with its endpoint."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from myagent.exceptions import MyAgentError
from myagent.i18n import gettext as _
from myagent.llm import LLM, Reply, ToolSchema
from myagent.llm.openai import OpenAILLM
from myagent.llm.requests.dialect import Dialect
from myagent.messages import Message, ToolCall

Outcome = Literal["works", "around", "fails", "skipped"]

SYSTEM = Message.system("You are checked for whether you can be used. Do exactly what you are asked, in few words.")
PLAIN = "Answer with the one word: ready"
ONE_TOOL = "Which code has the city of Oslo? Call the tool city_code, and do not guess."
TWO_TOOLS = "Which codes have Oslo and Rome? Call the tool city_code once for each of them, both at the same time."
SECOND = "Thank you. Now answer with the one word: done"
CODES = {"oslo": "K7Q", "rome": "P2M"}
CITY_CODE: ToolSchema = {
    "type": "function",
    "function": {
        "name": "city_code",
        "description": "The secret code of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The name of the city, in English"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFinding:
    """What one question has shown: the outcome, what was seen, and how long it took."""

    name: str
    title: str
    outcome: Outcome
    words: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {"name": self.name, "outcome": self.outcome, "words": self.words, "seconds": round(self.seconds, 2)}


class _Unexpected(Exception):
    """The model answered, but not with what was asked for; the message says with what."""


class ModelCheck:
    """The questions, in their order; each yields a finding. `llm` answers all but the first one in pieces."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        self._history: list[Message] = [SYSTEM]
        self._code = ""

    async def findings(self) -> AsyncGenerator[ModelFinding]:
        """Ask. What needs an answer that did not come is skipped."""
        for name, title, ask in (
            ("plain", _("an answer in one piece"), self._plain),
            ("streamed", _("an answer in pieces"), self._streamed),
            ("tool", _("a tool"), self._one_tool),
            ("result", _("the result of a tool"), self._result),
            ("tools", _("two tools at once"), self._two_tools),
            ("second", _("a second message"), self._second),
        ):
            begun = time.monotonic()
            outcome, words = await self._outcome_of(ask)
            yield ModelFinding(name=name, title=title, outcome=outcome, words=words, seconds=time.monotonic() - begun)

    async def _outcome_of(self, ask: Callable[[], Awaitable[str | None]]) -> tuple[Outcome, str]:
        known = set(self._got_around())
        try:
            words = await ask()
        except (MyAgentError, _Unexpected) as error:
            return "fails", str(error)
        if words is None:
            return "skipped", _("nothing to ask it about")
        notes = [note for note in (*self._got_around(), words) if note and note not in known]
        return ("around" if notes else "works"), "; ".join(notes)

    # --- the questions; each returns what had to be got around, or None when it cannot be asked ---

    async def _plain(self) -> str | None:
        if not isinstance(self._llm, OpenAILLM):
            return None
        _text_of(await self._ask([SYSTEM, Message.user(PLAIN)], llm=self._llm.in_one_piece()))
        return ""

    async def _streamed(self) -> str:
        self._history.append(Message.user(PLAIN))
        reply = await self._ask(self._history)
        _text_of(reply)
        self._history.append(reply.message)
        return "" if reply.usage.output_tokens else _("no count of tokens, so that budgets count estimates")

    async def _one_tool(self) -> str:
        self._history.append(Message.user(ONE_TOOL))
        reply = await self._ask(self._history, [CITY_CODE])
        self._history.append(reply.message)
        self._code = _code_for(_calls_of(reply)[0])
        return ""

    async def _result(self) -> str | None:
        reply = self._history[-1]
        if not reply.tool_calls:
            return None
        self._history += _results(reply.tool_calls)
        answer = await self._ask(self._history, [CITY_CODE])
        if self._code.lower() not in _text_of(answer).lower():
            raise _Unexpected(_("the answer does not have the result in it: {words}").format(words=_cut(answer)))
        self._history.append(answer.message)
        return ""

    async def _two_tools(self) -> str:
        reply = await self._ask([SYSTEM, Message.user(TWO_TOOLS)], [CITY_CODE])
        calls = _calls_of(reply)
        for call in calls:
            _code_for(call)
        return "" if len(calls) > 1 else _("one after the other, each with a request of its own")

    async def _second(self) -> str | None:
        if self._history[-1].role != "assistant" or self._history[-1].tool_calls:
            return None
        _text_of(await self._ask([*self._history, Message.user(SECOND)], [CITY_CODE]))
        return ""

    async def _ask(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = (), *, llm: LLM | None = None
    ) -> Reply:
        reply: Reply | None = None
        async with aclosing((llm or self._llm).stream(messages, tools=tools)) as chunks:
            async for chunk in chunks:
                reply = chunk if isinstance(chunk, Reply) else reply
        if reply is None:
            raise _Unexpected(_("the stream ended without a reply"))
        return reply

    def _got_around(self) -> Iterator[str]:
        """What the endpoint has refused, and is asked without."""
        dialect = getattr(self._llm, "dialect", Dialect())
        if not dialect.streams:
            yield _("it takes no stream: answers come in one piece")
        elif not dialect.reports_usage:
            yield _("it takes no stream_options")
        if dialect.renames_token_limit:
            yield _("max_tokens is sent as max_completion_tokens")
        if dialect.plain_schemas:
            yield _("the schemas of tools are sent without $ref, additionalProperties and default")


def _text_of(reply: Reply) -> str:
    if not (text := reply.message.text.strip()):
        raise _Unexpected(_("no text in the answer (finish: {finish})").format(finish=reply.finish or "-"))
    return text


def _calls_of(reply: Reply) -> Sequence[ToolCall]:
    if not reply.message.tool_calls:
        raise _Unexpected(_("it called no tool, but said: {words}").format(words=_cut(reply)))
    return reply.message.tool_calls


def _code_for(call: ToolCall) -> str:
    try:
        arguments = orjson.loads(call.arguments)
        return CODES[str(arguments["city"]).strip().lower()]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        words = _("a call that cannot be used: {name}({arguments})")
        raise _Unexpected(words.format(name=call.name, arguments=call.arguments[:100])) from error


def _results(calls: Sequence[ToolCall]) -> Iterator[Message]:
    for call in calls:
        yield Message.tool(f"The code is {_code_for(call)}.", tool_call_id=call.id)


def _cut(reply: Reply) -> str:
    return reply.message.text.strip()[:100] or "-"
