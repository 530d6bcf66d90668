"""Builds a reply from the chunks of a Chat Completions stream, in the dialects of many endpoints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from myagent.exceptions import LLMRejected, StreamCut
from myagent.i18n import gettext as _
from myagent.llm import ReasoningChunk, Reply, TextChunk, TextWasReasoning
from myagent.llm.replies.call_assembly import CallAssembler
from myagent.llm.replies.finish import Ending, ending
from myagent.llm.replies.thinking import ContentSplitter, Shown
from myagent.llm.replies.token_counts import read_usage
from myagent.llm.requests.provider_data import Additions, provider_data
from myagent.messages import Message, ProviderData, ToolCall
from myagent.text import clean

_EMPTY: Mapping[str, Any] = {}


class ReplyBuilder:
    """Takes the decoded chunks of one answer; a body that was not streamed is taken as its only chunk.

    `tools` are the names of the tools that the model was offered. With `runs_text_calls`, calls that it writes into
    its text are calls.
    """

    __slots__ = (
        "_additions",
        "_calls",
        "_finish",
        "_model",
        "_old_calls",
        "_splitter",
        "_text",
        "_usage",
        "error",
    )

    def __init__(self, tools: Collection[str] = (), *, runs_text_calls: bool = False) -> None:
        self.error: object = None
        """What the endpoint says went wrong within the answer, if it does."""
        self._additions = Additions()
        self._text: list[str] = []
        self._splitter = ContentSplitter(runs_calls=runs_text_calls)
        self._calls = CallAssembler(tools)
        self._old_calls = CallAssembler(tools)
        self._finish = ""
        self._model = ""
        self._usage: Mapping[str, Any] = _EMPTY

    @property
    def finished(self) -> bool:
        """Whether the model has said that it has finished."""
        return bool(self._finish)

    def add(self, *chunks: Mapping[str, Any]) -> list[Shown]:
        """Add chunks that came together; returns what is to be shown of them."""
        shown: list[Shown] = []
        for chunk in chunks:
            self._add(chunk, shown)
        return joined(shown)

    def _add(self, chunk: Mapping[str, Any], shown: list[Shown]) -> None:
        if usage := _mapping(chunk.get("usage")):
            self._usage = usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index"):  # only the first of several answers counts
                continue
            delta = choice.get("delta")
            if not delta or not isinstance(delta, dict):
                delta = self._message(choice)
            self._additions.add_message(delta)
            if reasoning := _plain(delta.get("reasoning_content") or delta.get("reasoning")):
                self._splitter.has_reasoned = True
                shown.append(ReasoningChunk(reasoning))
            if content := delta.get("content") or delta.get("refusal"):
                if isinstance(content, list) and (thought := _thought(content)):
                    shown.append(ReasoningChunk(thought))
                text = _plain(content)
                if self._splitter.passes and text and "<" not in text:  # nearly always
                    self._text.append(text)
                    shown.append(TextChunk(text))
                elif text:
                    shown += self._keep(self._splitter.feed(text, self._text[-1] if self._text else ""))
            if parts := delta.get("tool_calls"):
                self._calls.add(parts)
            elif part := delta.get("function_call"):
                self._old_calls.add(part)
            if finish := choice.get("finish_reason"):
                self._take_finish(str(finish), choice, chunk)
            if error := choice.get("error"):
                self.error = error

    def close(self) -> list[Shown]:
        """End the answer; returns what is still to be shown of it."""
        return joined([*self._keep(self._splitter.close(has_calls=bool(self._finished_calls())))])

    def reply(self, *, is_whole: bool = False, retries: int = 0) -> Reply:
        """The whole reply, to be asked for after `close`; `retries` is passed on with it.

        `is_whole` says that the endpoint has ended the body as one does that leaves nothing out: then no finish reason
        is needed.

        Raises `StreamCut` when the model has not finished, and `LLMRejected` when a filter stopped it or when it
        reached its length limit within a tool call: running half a call would be wrong, and asking again would end the
        same way. Text that was cut at the limit is a reply.
        """
        calls = self._finished_calls()
        text = "".join(self._text)
        how = ending(self._finish)
        if how is Ending.FAILED:
            words = _("The model's endpoint gave up in the middle of the answer (%(finish)s).")
            raise StreamCut(words % {"finish": clean(self._finish)[:100]})
        if not self._finish and not (is_whole and self._says_all(text, calls, may_be_empty=True)):
            raise StreamCut(_("The model's answer broke off."))
        if how is Ending.FILTERED:
            raise LLMRejected(_("The content filter of the model's endpoint stopped the answer."))
        if how is Ending.CUT_SHORT and not self._says_all(text, calls, may_be_empty=False):
            raise LLMRejected(
                _("The model reached its length limit before it had finished. Raise max_tokens or ask for less.")
            )
        return Reply(Message.assistant(text, calls), read_usage(self._usage), clean(self._finish), self._model, retries)

    def provider_data(self, *, endpoint: str, model: str) -> ProviderData | None:
        """What was added to the reply and its calls, None when nothing was."""
        calls = self._calls.additions or self._old_calls.additions
        return provider_data(self._additions, calls, endpoint=endpoint, model=model)

    def _message(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole message of a body that is not streamed; some repeat it at the end of a stream."""
        return _EMPTY if self._text or self._finished_calls() else _mapping(choice.get("message"))

    def _keep(self, items: Iterable[Shown]) -> Iterator[Shown]:
        for item in items:
            if isinstance(item, TextChunk):
                self._text.append(item.text)
                yield item
            elif isinstance(item, TextWasReasoning):
                said = "".join(self._text)
                self._text.clear()
                if said.strip():
                    yield TextWasReasoning(said)
            else:
                yield item

    def _take_finish(self, finish: str, choice: Mapping[str, Any], chunk: Mapping[str, Any]) -> None:
        if ending(self._finish) is Ending.WHOLE:  # what went wrong stays wrong
            self._finish = finish
        self._model = _plain(chunk.get("model"))
        if usage := _mapping(choice.get("usage")):
            self._usage = usage

    def _finished_calls(self) -> list[ToolCall]:
        # Some servers say a call twice, in the shape of today and in the one before it.
        calls = self._calls.finished() or self._old_calls.finished()
        if self._splitter.calls:
            written = CallAssembler()
            written.add([{"function": call} for call in self._splitter.calls])
            calls += written.finished()
        return calls

    def _says_all(self, text: str, calls: list[ToolCall], *, may_be_empty: bool) -> bool:
        """Whether there are whole calls, or else text."""
        assemblers = (self._calls, self._old_calls)
        if calls:
            return all(assembler.are_whole(may_be_empty=may_be_empty) for assembler in assemblers)
        return bool(text.strip())


def joined(items: list[Shown]) -> list[Shown]:
    """The same items with neighbours of one kind joined, which saves the work per token at every later stage."""
    if len(items) < 2:
        return items
    return [kind("".join([item.text for item in group])) for kind, group in groupby(items, key=type)]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _EMPTY


def _plain(content: object) -> str:
    """The text of a delta; some send a list of parts."""
    if not content:
        return ""
    if isinstance(content, str):
        return clean(content)
    if isinstance(content, list):
        return "".join(_text_of(part) for part in content)
    return ""


def _text_of(part: object) -> str:
    text = _mapping(part).get("text")
    return clean(text) if isinstance(text, str) else ""


def _thought(parts: list[Any]) -> str:
    """The reasoning in a list of parts, as Mistral writes it."""
    thoughts = (thought for part in parts if isinstance(thought := _mapping(part).get("thinking"), list | str))
    return "".join(_plain(thought) for thought in thoughts)
