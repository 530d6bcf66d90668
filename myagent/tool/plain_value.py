"""What a tool returned, as JSON: whatever it is, as far as it says anything."""

from __future__ import annotations

import inspect
import json
import re
from collections import deque
from collections.abc import AsyncIterator, ItemsView, Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from myagent.i18n import gettext as _
from myagent.text import clean
from myagent.tool.foreign_values import UNKNOWN, left_out, simpler
from myagent.tool.image import MAX_PICTURE_BYTES, Image, as_image, too_large
from myagent.tool.storable_json import BIGGEST_INT, plain

MOST_ITEMS = 10_000
"""What is taken of all iterators in a result, which may have no end."""
MOST_CHARACTERS = 4_000_000
"""The same, in characters of text."""
_DEEPEST = 100
_TOO_DEEP = "[… nested too deeply]"
_LONGEST_PLACE = 200
_LISTS = (list, tuple, Set, deque, KeysView, ValuesView, ItemsView)
# What Python says of an object that says nothing of itself.
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_NAME = re.compile(r"[^\W\d]\w*")


class PlainValue:
    """Turns one result into JSON, and collects its `images`.

    `problem` says what could not be taken, and where; None when all went well. `raised` is what an iterator raised:
    that is the tool's own failure.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.raised: Exception | None = None
        self.images: list[Image] = []
        self._place: list[str | int] = []
        self._above: set[int] = set()
        self._items_left = MOST_ITEMS
        self._characters_left = MOST_CHARACTERS
        self._picture_bytes_left = MAX_PICTURE_BYTES

    def of(self, value: Any) -> Any:
        """The JSON of `value`, text for what has no other; None in place of what cannot be taken."""
        match value:
            case None | bool():
                return value
            case Enum():
                return self.of(value.value)
            case int():
                return _integer(value)
            case float():
                return plain(float(value))
            case Decimal():
                return _decimal(value)
            case date() | time():
                return self._moment(value)
        if isinstance(value, str | bytes | bytearray | memoryview):
            image = as_image(value)
            return self._text_or_bytes(value) if image is None else self.picture(image)
        if id(value) in self._above:
            return self._refuse(
                _("%(place)s is a %(type)s that contains itself, which could not be turned into text"), value
            )
        if len(self._above) >= _DEEPEST:
            return self._refuse_awaitable(value) if inspect.isawaitable(value) else _TOO_DEEP
        self._above.add(id(value))
        try:
            return self._compound(value)
        finally:
            self._above.discard(id(value))

    def picture(self, image: Image) -> str:
        """The text that stands for `image`, which is kept unless there are too many already."""
        self._picture_bytes_left -= len(image.data)
        if self._picture_bytes_left < 0:
            self._picture_bytes_left += len(image.data)
            return f"[{too_large(image)}]"
        self.images.append(image)
        return str(image)

    def items(self, iterator: Iterable[Any]) -> list[Any]:
        """What an iterator gives, unless it is too much: then the last item says so."""
        taken: list[Any] = []
        try:
            for item in iterator:
                if not self._has_room(item):
                    taken.append(left_out(0))
                    break
                taken.append(item)
            if inspect.isgenerator(iterator):
                iterator.close()
        except Exception as error:
            self.raised = error
            raise
        return taken

    async def items_of_async(self, iterator: AsyncIterator[Any]) -> list[Any]:
        """The same of an asynchronous one."""
        taken: list[Any] = []
        async for item in iterator:
            if not self._has_room(item):
                taken.append(left_out(0))
                break
            taken.append(item)
        if inspect.isasyncgen(iterator):
            await iterator.aclose()
        return taken

    def refuse_whole(self, value: Any) -> None:
        """Something of `value` raised where it was looked at."""
        self._refuse(_("%(place)s is a %(type)s, which could not be turned into text"), value)

    # --- values with values in them ---

    def _compound(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._refuse_awaitable(value)
        if isinstance(value, AsyncIterator):
            return self._refuse(
                _("%(place)s is a %(type)s, which gives its items with `async for` only: collect them"), value
            )
        if isinstance(value, Iterator):
            return self._list(self.items(value))
        if (image := as_image(value)) is not None:
            return self.picture(image)
        if isinstance(value, BaseModel) or hasattr(type(value), "__pydantic_serializer__"):
            return self._model(value)
        if is_dataclass(value) and not isinstance(value, type):
            return self._mapping({field.name: getattr(value, field.name) for field in fields(value)})
        if isinstance(value, Mapping):
            return self._mapping(value)
        if (known := simpler(value)) is not UNKNOWN:
            return self.of(known)
        if isinstance(value, _LISTS):
            return self._list(value)
        kind: Any = type(value)
        if hasattr(kind, "__iter__") and kind.__str__ is object.__str__:
            return self._list(self.items(value))
        return self._leaf(value)

    def _list(self, values: Iterable[Any]) -> list[Any]:
        found = []
        for index, item in enumerate(values):
            self._place.append(index)
            found.append(self.of(item))
            self._place.pop()
        return found

    def _mapping(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in values.items():
            name = self._key(key)
            number = 1
            while name in found:  # 1 and "1"
                number += 1
                name = f"{self._key(key)} ({number})"
            self._place.append(name)
            found[name] = self.of(item)
            self._place.pop()
        return found

    def _key(self, key: Any) -> str:
        if isinstance(key, bytes):
            return clean(key.decode(errors="replace"))
        if key is None or isinstance(key, float):
            return str(key)
        if isinstance(key, tuple):
            return ", ".join(map(self._key, key))
        plain_key = self.of(key)
        return plain_key if isinstance(plain_key, str) else json.dumps(plain_key, ensure_ascii=False)

    def _model(self, value: Any) -> Any:
        """A model of pydantic as it writes itself, or field by field where that fails."""
        before = self.problem
        try:
            found = to_jsonable_python(value, bytes_mode="base64", fallback=self.of)
            if self.problem == before:
                return plain(found)
        except Exception:
            if self.raised is not None:
                raise
        # Once more, to find the place of the problem, or a way around it.
        self.problem = before
        names = getattr(type(value), "model_fields", None) or [field.name for field in fields(value)]
        extra = getattr(value, "model_extra", None) or {}
        return self._mapping({**{name: getattr(value, name) for name in names}, **extra})

    # --- values without ---

    def _text_or_bytes(self, value: Any) -> Any:
        if isinstance(value, str):
            return clean(str.__str__(value))
        return to_jsonable_python(bytes(value), bytes_mode="base64")

    def _moment(self, value: date | time) -> Any:
        if type(value).__name__ == "NaTType":
            return None
        for read in (lambda: to_jsonable_python(value), value.isoformat, lambda: str(value)):
            try:
                return clean(read())
            except Exception:  # noqa: BLE001, S112 - a class of a library's own; the next way may do
                continue
        return self._refuse(_("%(place)s is a %(type)s, which could not be turned into text"), value)

    def _leaf(self, value: Any) -> Any:
        text = None if inspect.isroutine(value) else _text(value)
        if text is not None and not _ADDRESS.search(text):
            return clean(text)
        if text is None and not inspect.isroutine(value):
            return self._refuse(_("%(place)s is a %(type)s, which could not be turned into text"), value)
        return self._refuse(
            _("%(place)s is a %(type)s, which says nothing as text: return text, numbers, lists or dicts"), value
        )

    def _refuse_awaitable(self, value: Any) -> None:
        if inspect.iscoroutine(value):
            value.close()  # else Python complains later, somewhere else
        self._refuse(_("%(place)s is a %(type)s, not yet its value: an `await` is missing"), value)

    def _refuse(self, words: str, value: Any) -> None:
        if self.problem is None:
            name = getattr(value, "__qualname__", "") if not isinstance(value, type) else ""
            kind = f"{type(value).__name__} ({name})" if name else type(value).__name__
            self.problem = words % {"place": self._where(), "type": kind}

    def _where(self) -> str:
        where = ""
        for step in self._place:
            if isinstance(step, int):
                where += f"[{step}]"
            elif _NAME.fullmatch(step):
                where += f".{step}" if where else step
            else:
                where += f"[{step!r}]"
        return where[:_LONGEST_PLACE] or _("it")

    def _has_room(self, item: Any) -> bool:
        self._items_left -= 1
        self._characters_left -= len(item) if isinstance(item, str | bytes) else 0
        return self._items_left >= 0 and self._characters_left >= 0


def _text(value: Any) -> str | None:
    """The text of an object without parts, None where it has none."""
    try:
        known = to_jsonable_python(value, bytes_mode="base64", fallback=lambda _: None)
        return known if isinstance(known, str) else str(value)
    except Exception:  # noqa: BLE001 - code of the tool's
        return None


def _integer(value: int) -> int | str:
    if abs(value) <= BIGGEST_INT:
        return int(value)
    try:
        return str(int(value))
    except ValueError:  # more digits than Python writes
        return hex(int(value))


def _decimal(value: Decimal) -> int | float | str:
    """A number where that is exactly the same, else text."""
    if not value.is_finite() or abs(value.adjusted()) > 18:
        return str(value)
    if value == value.to_integral_value():
        return _integer(int(value))
    return float(value) if Decimal(repr(float(value))) == value else str(value)
