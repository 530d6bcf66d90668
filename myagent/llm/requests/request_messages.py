"""`normalise`: the messages of a request in the form that the strictest endpoints take. Pure.

The history keeps what was said, broken calls and all, and is never changed; this stands between it and the request. In
what comes out there is one system message at most, and it is first; user and assistant alternate; after the results of
tools comes the assistant, or the end; the last word is the user's or a tool's; no message is empty; every call has a
plain name, the JSON text of an object, an id of its own and one result right behind it.

Only the end of the messages decides what becomes of the end, so that a longer history begins with the same messages and
the prompt caches of endpoints hold. What is found out about a message by itself is remembered with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from myagent.llm.requests.normal_form import NO_OUTPUT, PLAIN_ID, NormalForm, is_blank, normal_form
from myagent.messages import Content, ContentPart, Message, ToolCall

# Fixed lines that fill a place in the order of roles. For the model, so in one language.
OPENING = "[The beginning of the conversation was left out.]"
GO_ON = "Go on."
RESULTS_SEEN = "I have the results."
PICTURES = "[The pictures in the result of {name}:]"
NO_RESULT = "[There is no result: the call was broken off.]"

# Nine letters and digits are what the strictest endpoint takes.
_ID_LENGTH = 9
_ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def normalise(messages: Iterable[Message]) -> list[Message]:
    """`messages` in the order and the form that every endpoint takes; nothing that was said is lost."""
    out = _Request()
    waiting = list(messages)
    at, count = 0, len(waiting)
    while at < count:
        message = waiting[at]
        at += 1
        if message.role == "user":
            out.add_user(normal_form(message).message)
        elif message.role == "assistant":
            if message.tool_calls:
                begin = at
                while at < count and waiting[at].role == "tool":
                    at += 1
                out.add_exchange(normal_form(message), message.tool_calls, waiting[begin:at])
            elif message.provider_data is not None or not is_blank(message.content):
                out.add_assistant(normal_form(message).message)
        elif message.role == "system":
            out.add_system(message)
        else:
            out.add_user(_orphan(message))
    return out.finished()


def calls_in_words(messages: Iterable[Message], *, keep: Callable[[Message], bool]) -> list[Message]:
    """`messages` with calls and results told in words, but for those of the messages to `keep`."""
    told: list[Message] = []
    names: dict[str, str] = {}
    for message in messages:
        if message.tool_calls and not keep(message):
            names = {call.id: call.name for call in message.tool_calls}
            lines = [f"[I called {call.name} with {call.arguments}]" for call in message.tool_calls]
            told.append(Message.assistant("\n".join(filter(None, (message.text, *lines)))))
        elif message.role == "tool" and message.tool_call_id in names:
            name = names[message.tool_call_id]
            told.append(Message.user(f"[The result of {name}] {message.text.strip() or NO_OUTPUT}"))
        else:
            names = {}
            told.append(message)
    return told


def without_tools_pictures(messages: Iterable[Message]) -> list[Message]:
    """`messages` without the pictures in results, for a model that takes none; the texts tell that there were some."""
    return [
        replace(message, content=message.text) if message.role == "tool" and message.pictures else message
        for message in messages
    ]


class _Request:
    """The messages so far. `_ids` are those of all calls."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._last: str = ""
        self._ids: set[str] = set()

    def finished(self) -> list[Message]:
        if self._last not in ("user", "tool"):
            self.add_user(Message.user(GO_ON))
        return self._messages

    def add_system(self, message: Message) -> None:
        """One in the middle would have to change the beginning, so it takes the place of a user's message."""
        if is_blank(message.content):
            return
        if not self._messages:
            self._append(message)
        elif self._last == "system":
            self._merge(message)
        else:
            self.add_user(Message.user(message.content))

    def add_user(self, message: Message) -> None:
        if self._last == "user":
            self._merge(message)
            return
        if self._last == "tool":
            self._append(Message.assistant(RESULTS_SEEN))
        self._append(message)

    def add_assistant(self, message: Message) -> None:
        if self._last == "assistant":
            last = self._messages[-1]
            if last.provider_data is None and message.provider_data is None:
                self._merge(message)
                return
            self._append(Message.user(GO_ON))
        elif self._last not in ("user", "tool"):
            self._append(Message.user(OPENING))
        self._append(message)

    def add_exchange(self, form: NormalForm, asked: Sequence[ToolCall], results: Sequence[Message]) -> None:
        """A message with calls, and the results behind it. `asked` are the calls with the ids of the results."""
        if form.ids and not form.notes and self._ids.isdisjoint(form.ids) and _answers(results, asked):
            # Nearly always.
            self._ids |= form.ids
            self.add_assistant(form.message)
            self._messages += [normal_form(result).message for result in results]
            self._last = "tool"
            self._add_pictures(asked, results)
            return
        calls = [self._with_own_id(call) for call in form.message.tool_calls]
        self.add_assistant(replace(form.message, tool_calls=tuple(calls)))
        notes = form.notes or [""] * len(calls)
        left = list(results)
        for call, was, note in zip(calls, asked, notes, strict=True):
            found = next((result for result in left if result.tool_call_id == was.id), None)
            if found is not None:
                left.remove(found)
            text = NO_RESULT if found is None else normal_form(found).message.text
            self._append(Message.tool(f"{text}\n{note}" if note else text, tool_call_id=call.id))
        for result in left:
            self.add_user(_orphan(result))
        self._add_pictures(asked, results)

    def _add_pictures(self, calls: Sequence[ToolCall], results: Sequence[Message]) -> None:
        """The pictures of results, which a tool's message cannot hold at most endpoints, in a user's message."""
        names = {call.id: call.name for call in calls}
        for result in results:
            if pictures := result.pictures:
                said = PICTURES.format(name=names.get(result.tool_call_id or "", "a tool"))
                self.add_user(Message.user([{"type": "text", "text": said}, *pictures]))

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        own, number = call.id, 0
        while own in self._ids or not PLAIN_ID.fullmatch(own):
            number += 1
            own = _made_id(call.id, number)
        self._ids.add(own)
        return call if own == call.id else replace(call, id=own)

    def _append(self, message: Message) -> None:
        self._messages.append(message)
        self._last = message.role

    def _merge(self, message: Message) -> None:
        last = self._messages[-1]
        calls = (*last.tool_calls, *message.tool_calls)
        data = message.provider_data
        content = _joined(last.content, message.content)
        self._messages[-1] = replace(last, content=content, tool_calls=calls, provider_data=data)


def _answers(results: Sequence[Message], calls: Sequence[ToolCall]) -> bool:
    """Whether these are the results of these calls, in their order."""
    if len(results) != len(calls):
        return False
    return all(result.tool_call_id == call.id for result, call in zip(results, calls, strict=True))


def _made_id(asked: str, number: int) -> str:
    """An id that depends on nothing but these two."""
    rest = int.from_bytes(hashlib.sha256(f"{asked}\n{number}".encode(errors="replace")).digest()[:8])
    letters = []
    for _ in range(_ID_LENGTH):
        rest, letter = divmod(rest, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[letter])
    return "".join(letters)


def _orphan(result: Message) -> Message:
    """A result without its call, which no endpoint takes as such."""
    return Message.user(f"[The result of a tool] {result.text.strip() or NO_OUTPUT}")


def _joined(first: Content, second: Content) -> Content:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}" if first and second else first or second
    return [*_parts(first), *_parts(second)]


def _parts(content: Content) -> Sequence[ContentPart]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content
