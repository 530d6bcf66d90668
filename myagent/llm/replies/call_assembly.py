"""Puts the parts of streamed tool calls together: which call a part continues, and where a new one begins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from myagent.llm.requests.provider_data import Additions
from myagent.messages import ToolCall
from myagent.text import clean, clean_json

_LONGEST_ID = 200
"""Characters of a call's id; a longer one is replaced, since it has to be stored."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one chunk says of one call. `index` None and an empty `id` are left out by the endpoint."""

    index: int | None
    id: str
    name: str
    arguments: str

    @property
    def begins_object(self) -> bool:
        return self.arguments.lstrip().startswith("{")


@dataclass(slots=True)
class _PartialCall:
    """A tool call, as far as it has come."""

    id: str
    name: str
    index: int | None
    is_echo: bool = False
    """It may be the call before, named once more: a call only if arguments come."""
    additions: Additions = field(default_factory=Additions)
    _arguments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        if len(self._arguments) > 1:
            self._arguments = ["".join(self._arguments)]
        return self._arguments[0] if self._arguments else ""

    def append(self, arguments: str) -> None:
        if arguments:
            self._arguments.append(arguments)

    @property
    def is_complete(self) -> bool:
        """Whether the arguments are a whole JSON object, so that nothing can follow."""
        text = self.arguments.rstrip()
        return text.endswith(("}", '"')) and is_json(text)


class CallAssembler:
    """Takes the `tool_calls` of each chunk; `names` are the tools that the model was offered.

    Endpoints leave out ids, indexes or both, say index 0 for every call, repeat name and id in every part, or make up a
    new id for each. A part that has another name, or that begins an object behind a complete one, begins a new call.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = names
        self._calls: list[_PartialCall] = []
        self._by_index: dict[int, _PartialCall] = {}
        self._by_id: dict[str, _PartialCall] = {}

    def add(self, parts: object) -> None:
        """Add the parts of one chunk."""
        named: list[_PartialCall] = []
        for item in parts if isinstance(parts, list) else [parts]:
            part = _part(item)
            if part.id or part.name or part.arguments:
                call = self._add(part, named)
                if isinstance(item, dict):
                    call.additions.add_call(item)
                if part.name:
                    named.append(call)

    @property
    def _kept(self) -> list[_PartialCall]:
        return [call for call in self._calls if call.arguments.strip() or (call.name.strip() and not call.is_echo)]

    @property
    def additions(self) -> list[Additions]:
        """What the endpoint added to each of the calls, in their order."""
        return [call.additions for call in self._kept]

    def finished(self) -> list[ToolCall]:
        """The calls, with ids that are unique among them."""
        seen: set[str] = set()
        finished = []
        for call in self._kept:
            written = call.arguments
            call_id = clean(call.id)
            if not call_id or call_id in seen or len(call_id) > _LONGEST_ID:
                call_id = f"call_{uuid.uuid4().hex}"
            seen.add(call_id)
            # A call without arguments often comes as an empty text, which is not JSON.
            arguments = clean_json(written) if written.strip() else "{}"
            finished.append(ToolCall(id=call_id, name=clean(call.name), arguments=arguments))
        return finished

    def are_whole(self, *, may_be_empty: bool) -> bool:
        """Whether the arguments of all calls are JSON. `may_be_empty`: so are arguments of which nothing has come."""
        written = (call.arguments for call in self._kept)
        return all(is_json(text) if text.strip() else may_be_empty for text in written)

    def _add(self, part: _Part, named: list[_PartialCall]) -> _PartialCall:
        known = self._addressed(part)
        if known is None or not self._continues(part, known, named):
            # Named again without a word behind it: the same call to some endpoints, another one to others.
            is_echo = known is not None and part.name == known.name and not (part.id or part.arguments)
            known = _PartialCall(part.id, part.name, part.index, is_echo and known not in named)
            self._calls.append(known)
        elif part.name and part.name != known.name:
            known.name += part.name
        known.id = known.id or part.id
        if part.index is not None:
            self._by_index[part.index] = known
        if part.id:
            self._by_id[part.id] = known
        if not (part.name and part.id and part.arguments == known.arguments and known.is_complete):  # said twice
            known.append(part.arguments)
        return known

    def _addressed(self, part: _Part) -> _PartialCall | None:
        """The call that index and id point to, or else the newest."""
        by_id = self._by_id.get(part.id) if part.id else None
        if by_id is not None and (part.index is None or by_id.index in (None, part.index)):
            return by_id
        if part.index is not None and (by_index := self._by_index.get(part.index)) is not None:
            return by_index
        newest = self._calls[-1] if self._calls else None
        if part.index is None and part.name:
            return newest
        # A new index or id is that of a new call, unless there is nothing but arguments.
        return newest if part.arguments and not part.name else None

    def _continues(self, part: _Part, known: _PartialCall, named: list[_PartialCall]) -> bool:
        """Whether `part` belongs to `known`, which its index and id point to."""
        has_other_id = bool(part.id and known.id and part.id != known.id)
        if not part.name:
            return bool(part.arguments) or not has_other_id
        if not known.name:
            return not has_other_id
        if known in named:
            return False  # what stands side by side in one chunk are different calls
        if part.name != known.name:
            return known.name + part.name in self._names and part.name not in self._names and not known.arguments
        if known.is_complete:
            is_repeated = bool(part.id) and part.id == known.id
            return is_repeated and (not part.arguments.strip() or part.arguments == known.arguments)
        return not has_other_id or bool(known.arguments and part.arguments and not part.begins_object)


def is_json(text: str) -> bool:
    """Whether `text` is JSON."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _part(item: object) -> _Part:
    fields: Mapping[str, Any] = item if isinstance(item, dict) else {}
    function = fields.get("function")
    if not isinstance(function, dict):
        function = fields  # some leave out that level
    return _Part(
        _index(fields.get("index")),
        _word(fields.get("id")),
        _word(function.get("name")),
        _json(function.get("arguments")),
    )


def _index(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _json(value: object) -> str:
    """The JSON text of arguments that may come as an object."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates, numbers of more than 64 bits, or too deep
        try:
            return json.dumps(value)
        except (ValueError, RecursionError):
            return str(type(value).__name__)
