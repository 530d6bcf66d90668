"""Builds a reply from the chunks of a Chat Completions stream, in the dialects of many endpoints."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from myagent.exceptions import LLMRejected, StreamCut
from myagent.i18n import gettext as _
from myagent.llm import ReasoningChunk, Reply, TextChunk, Usage
from myagent.llm.provider_data import Additions, provider_data
from myagent.messages import Message, ProviderData, ToolCall
from myagent.text import clean, clean_json

_EMPTY: Mapping[str, Any] = {}


@dataclass(slots=True)
class _PartialCall:
    """A tool call, as far as it has come."""

    id: str
    name: str
    arguments: str
    additions: Additions = field(default_factory=Additions)


_LONGEST_ID = 200
"""Characters of a call's id; a longer one is replaced, since it has to be stored."""


class ReplyBuilder:
    """Takes the decoded chunks of one answer; a body that was not streamed is taken as its only chunk."""

    __slots__ = ("_additions", "_by_index", "_calls", "_finish", "_model", "_text", "_usage")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}
        self._finish: str | None = None
        self._model = ""
        self._usage: Mapping[str, Any] = _EMPTY
        self._additions = Additions()

    @property
    def finished(self) -> bool:
        """Whether the model has said that it has finished."""
        return self._finish is not None

    def add(self, chunk: Mapping[str, Any]) -> Iterator[TextChunk | ReasoningChunk]:
        """Add one chunk; yields what is to be shown of it."""
        if usage := _mapping(chunk.get("usage")):
            self._usage = usage
        for choice in chunk.get("choices") or ():
            if not isinstance(choice, dict) or choice.get("index"):  # only the first of several answers counts
                continue
            delta = _mapping(choice.get("delta") or choice.get("message"))
            self._additions.add_message(delta)
            if reasoning := _plain(delta.get("reasoning_content") or delta.get("reasoning")):
                yield ReasoningChunk(reasoning)
            if text := _plain(delta.get("content") or delta.get("refusal")):
                self._text.append(text)
                yield TextChunk(text)
            for part in delta.get("tool_calls") or ():
                self._add_call(_mapping(part))
            if finish := choice.get("finish_reason"):
                self._finish = str(finish)
                self._model = _plain(chunk.get("model"))

    def reply(self, *, retries: int = 0) -> Reply:
        """The whole reply; `retries` is passed on with it.

        Raises `StreamCut` when the model has not finished, and `LLMRejected` when a filter stopped it or when it
        reached its length limit within a tool call: running half a call would be wrong, and asking again would end the
        same way. Text that was cut at the limit is a reply.
        """
        if self._finish is None:
            raise StreamCut(_("The model's answer broke off."))
        if self._finish == "content_filter":
            raise LLMRejected(_("The content filter of the model's endpoint stopped the answer."))
        calls = self._finished_calls()
        text = "".join(self._text)
        if self._finish == "length" and not (text if not calls else all(map(_is_json, calls))):
            raise LLMRejected(
                _("The model reached its length limit before it had finished. Raise max_tokens or ask for less.")
            )
        usage = Usage(_count(self._usage, "prompt_tokens"), _count(self._usage, "completion_tokens"), 1)
        return Reply(Message.assistant(text, calls), usage, clean(self._finish), self._model, retries)

    def provider_data(self, *, endpoint: str, model: str) -> ProviderData | None:
        """What was added to the reply and its calls, None when nothing was."""
        return provider_data(self._additions, [call.additions for call in self._calls], endpoint=endpoint, model=model)

    def _add_call(self, part: Mapping[str, Any]) -> None:
        function = _mapping(part.get("function"))
        call_id, name = part.get("id") or "", function.get("name") or ""
        call = self._find_call(part.get("index"), call_id, name)
        call.additions.add_call(part)
        call.id = call.id or str(call_id)
        if name != call.name:  # some repeat the whole name in every part, others continue it
            call.name += str(name)
        arguments = function.get("arguments") or ""
        call.arguments += arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()

    def _find_call(self, index: object, call_id: object, name: object) -> _PartialCall:
        """The call that a part continues, or a new one. Some servers leave index or id out, or say 0 for every call."""
        if isinstance(index, int):
            known = self._by_index.get(index)
        else:
            known = self._calls[-1] if self._calls and not (name and call_id != self._calls[-1].id) else None
        if known is None or (name and call_id and known.id and call_id != known.id):
            known = _PartialCall("", "", "")
            self._calls.append(known)
        if isinstance(index, int):
            self._by_index[index] = known
        return known

    def _finished_calls(self) -> list[ToolCall]:
        seen: set[str] = set()
        finished = []
        for call in self._calls:
            call_id = clean(call.id)
            if not call_id or call_id in seen or len(call_id) > _LONGEST_ID:
                call_id = f"call_{uuid.uuid4().hex}"
            seen.add(call_id)
            # A call without arguments often comes as an empty text, which is not JSON and may not be sent back.
            arguments = clean_json(call.arguments) if call.arguments.strip() else "{}"
            finished.append(ToolCall(id=call_id, name=clean(call.name), arguments=arguments))
        return finished


def joined(items: Iterable[TextChunk | ReasoningChunk]) -> Iterator[TextChunk | ReasoningChunk]:
    """The same items with neighbours of one kind joined, which saves the work per token at every later stage."""
    for kind, group in groupby(items, key=type):
        yield kind("".join(item.text for item in group))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _EMPTY


def _plain(content: object) -> str:
    """The text of a delta; some send a list of parts."""
    if not content:
        return ""
    if isinstance(content, str):
        return clean(content)
    if isinstance(content, list):
        return "".join(_plain(_mapping(part).get("text")) for part in content)
    return ""


def _is_json(call: ToolCall) -> bool:
    try:
        orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return False
    return True


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0
