"""`provider_data`: collects what an endpoint adds to a reply beyond the standard fields, and puts it back on requests.

Thinking models refuse a history of tool calls without the reasoning or the signatures that came with the calls. Which
fields those are differs by vendor and year, so everything that is not standard is kept, opaquely.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson

from myagent.messages import Message, ProviderData
from myagent.text import clean_value

logger = logging.getLogger("myagent.model")

MAX_BYTES = 256 * 1024
"""Of one reply's additions, as JSON."""

_MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "function_call", "refusal", "name", "index"})
# Some leave out the level of `function`.
_CALL_FIELDS = frozenset({"id", "type", "index", "function", "name", "arguments"})
_FUNCTION_FIELDS = frozenset({"name", "arguments"})
# Reasoning as plain text is needed beside tool calls only; beside an answer it would just fill the model's window.
_REASONING_TEXTS = ("reasoning_content", "reasoning")
# Fields that are repeated whole in every piece of a stream, and those that are streamed in pieces.
_LABELS = frozenset({"id", "type", "index", "format", "name", "role", "status", "object"})
_STREAMED = frozenset({"reasoning_content", "reasoning", "text", "thinking", "summary", "content"})
_DEEPEST = 32
_LOOKED_BACK = 16
_Tree = dict[str, Any]


class Additions:
    """What the deltas of one message, or of one tool call, hold beyond the standard fields; joined as they come."""

    __slots__ = ("_is_too_deep", "_tree")

    def __init__(self) -> None:
        self._tree: _Tree = {}
        self._is_too_deep = False

    def add_message(self, delta: Mapping[str, Any]) -> None:
        """Take a delta of the message."""
        for name in delta:
            if name not in _MESSAGE_FIELDS and delta[name]:
                self._add(name, delta[name])

    def add_call(self, part: Mapping[str, Any]) -> None:
        """Take a part of the tool call."""
        for name in part:
            if name not in _CALL_FIELDS and part[name]:
                self._add(name, part[name])
        function = part.get("function")
        if isinstance(function, dict) and not _FUNCTION_FIELDS.issuperset(function):
            added = {name: value for name, value in function.items() if name not in _FUNCTION_FIELDS and value}
            if added:
                self._add("function", added)

    def _add(self, name: str, value: Any) -> None:
        try:
            self._tree[name] = _grown(self._tree.get(name), value, _DEEPEST)
        except RecursionError:
            self._is_too_deep = True

    def collected(self) -> _Tree | None:
        """All of it as JSON values, None when it is nested too deeply to be kept."""
        return None if self._is_too_deep else {name: _whole(name, value) for name, value in self._tree.items()}


def provider_data(message: Additions, calls: Sequence[Additions], *, endpoint: str, model: str) -> ProviderData | None:
    """The additions to a reply of `model` at `endpoint`; None when there are none, or more than can be kept."""
    of_message, of_calls = message.collected(), [call.collected() for call in calls]
    if of_message is not None and not calls:
        for name in _REASONING_TEXTS:
            of_message.pop(name, None)
    kept = clean_value([of_message, *of_calls])
    if not any(kept) and None not in kept:
        return None
    try:
        size = len(orjson.dumps(kept))
    except TypeError:  # a number of more than 64 bits
        size = MAX_BYTES + 1
    if None in kept or size > MAX_BYTES:
        logger.warning(
            "%s at %s added more to its reply than is kept (at most %d KiB): it is left out of later requests.",
            model,
            endpoint,
            MAX_BYTES // 1024,
        )
        return None
    return ProviderData(endpoint=endpoint, model=model, message=kept[0], calls=tuple(kept[1:]), size=size)


def with_provider_data(wire: dict[str, Any], message: Message) -> dict[str, Any]:
    """`wire`, the form of `message` in a request, with what was added to the message and its calls."""
    data = message.provider_data
    if data is None:
        return wire
    wire = {**data.message, **wire}
    if any(data.calls):
        calls = [dict(call) for call in wire.get("tool_calls", ())]
        for call, added in zip(calls, data.calls, strict=False):
            function = {**added.get("function", {}), **call["function"]}
            call |= {name: value for name, value in added.items() if name not in call} | {"function": function}
        wire["tool_calls"] = calls
    return wire


# --- joining the pieces of a stream ---


class _Pieces(list[str]):
    """The pieces of a text, joined when all have come."""


def _grown(known: Any, new: Any, depth: int) -> Any:
    """`known` with `new` joined to it: texts are pieces, objects grow by their fields, lists by their items."""
    if not depth:
        raise RecursionError
    match new:
        case None:
            return known
        case str():
            known = known if isinstance(known, _Pieces) else _Pieces()
            known.append(new)
            return known
        case dict():
            known = known if isinstance(known, dict) else {}
            for name, value in new.items():
                is_label = name in _LABELS and isinstance(value, str | int)
                known[name] = value if is_label else _grown(known.get(name), value, depth - 1)
            return known
        case list():
            known = known if isinstance(known, list) and not isinstance(known, _Pieces) else []
            before = len(known)
            for item in new:
                begun = _continued(known, before, item)
                if begun is None:
                    known.append(_grown(None, item, depth - 1))
                else:
                    _grown(begun, item, depth - 1)
            return known
    return new


def _continued(items: list[Any], before: int, item: Any) -> _Tree | None:
    """The one of the first `before` items that `item`, which came in a later piece, continues; None for a new one."""
    if not isinstance(item, dict) or not before:
        return None
    if "index" not in item:
        last = items[before - 1]
        # Without an index only the order tells: a signature or opaque data ends an item.
        is_open = isinstance(last, dict) and not (last.get("signature") or last.get("data") or "index" in last)
        return last if is_open and _is_same(last, item) else None
    for known in reversed(items[max(0, before - _LOOKED_BACK) : before]):
        if isinstance(known, dict) and known.get("index") == item["index"] and _is_same(known, item):
            return None if known.get("data") and item.get("data") else known
    return None


def _is_same(known: _Tree, item: Mapping[str, Any]) -> bool:
    return all(
        known.get(label) is None or item.get(label) is None or known[label] == item[label] for label in ("type", "id")
    )


def _whole(name: str, value: Any) -> Any:
    if isinstance(value, _Pieces):
        return _joined(name, value)
    if isinstance(value, dict):
        return {key: _whole(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(name, item) for item in value]
    return value


def _joined(name: str, pieces: _Pieces) -> str:
    """The whole text. Some send it again from its beginning in every piece, or repeat it unchanged."""
    if len(pieces) == 1:
        return pieces[0]
    if name not in _STREAMED and len(set(pieces)) == 1:
        return pieces[0]
    if len(pieces[-2].strip()) >= 4 and all(later.startswith(earlier) for earlier, later in pairwise(pieces)):
        return pieces[-1]
    return "".join(pieces)
