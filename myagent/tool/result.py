"""`ToolResult`, and how any object that a tool returns becomes one."""

from __future__ import annotations

import json
import logging
from collections.abc import Set
from dataclasses import dataclass, is_dataclass
from datetime import date, time
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from myagent.i18n import gettext as _
from myagent.text import clean
from myagent.tool.storable_json import plain

logger = logging.getLogger("myagent.tools")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call: `ToolResult("text")`, or `ToolResult(error="why")` for one that failed.

    A tool may return any other object as well, which becomes the `output`.
    """

    output: Any = None
    """The output, for the model and for people. What is not a string becomes text: JSON where it can."""
    error: str | None = None
    """Why the call failed, for the model and for people; None when it did not."""
    data: Any = None
    """JSON for programs: clients receive it beside the text, the model does not see it. By default the output's."""

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return self.error is not None

    @property
    def text(self) -> str:
        """The output as clean text."""
        return self.output if isinstance(self.output, str) else str(to_result(self.output).output)


def to_result(value: Any) -> ToolResult:
    """The result for what a tool returned: `output` is clean text and `data` is JSON. Never raises.

    It may run code of the value's class (`__str__`, a serializer), so call it where the tool's code runs.
    """
    try:
        return _from_result(value) if isinstance(value, ToolResult) else ToolResult(*_text_and_data(value))
    except Exception:
        logger.exception("What a tool returned (%s) could not be turned into text.", type(value).__name__)
        words = _("The tool returned a %(type)s, which could not be turned into text.")
        return ToolResult("", words % {"type": type(value).__name__})


def collected(items: list[Any]) -> Any:
    """The result of a tool written as a generator: pieces of text joined, anything else as a list."""
    return "".join(items) if all(isinstance(item, str) for item in items) else items


def _from_result(result: ToolResult) -> ToolResult:
    text, _, data = _text_and_data(result.output)
    error: str | None = None
    if result.error:
        error = clean(str(result.error))
    elif result.error is not None and result.output is None:
        # ToolResult(error=str(e)) of an exception without a text is a failure all the same.
        error = "The tool failed and did not say why."
    return ToolResult(text, error, data if result.data is None else _json(result.data))


def _text_and_data(value: Any) -> tuple[str, None, Any]:
    match value:
        case None:
            return "", None, None
        case Enum():
            return _text_and_data(value.value)
        case str():
            return clean(value), None, None
        case bool():
            return json.dumps(value), None, None
        case date() | time():
            return value.isoformat(), None, None
        case bytes() | bytearray() | memoryview():
            size = memoryview(value).nbytes
            return f"The tool returned {size} bytes of binary data, which cannot be shown as text.", None, None
        case dict() | list() | tuple() | Set() | BaseModel():
            data = _json(value)
            return json.dumps(data, ensure_ascii=False), None, data
    if is_dataclass(value) and not isinstance(value, type):
        data = _json(value)
        return json.dumps(data, ensure_ascii=False), None, data
    return clean(str(value)), None, None


def _json(value: Any) -> Any:
    return plain(to_jsonable_python(value, bytes_mode="base64", fallback=str))
