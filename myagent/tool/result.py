"""`ToolResult`, and how any object that a tool returns becomes one."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from io import IOBase
from typing import Any

from pydantic.fields import FieldInfo

from myagent.i18n import gettext as _
from myagent.text import clean
from myagent.tool.image import Image, as_image
from myagent.tool.plain_value import PlainValue
from myagent.tool.pydantic_fields import default_of

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
    base64_image: str | None = field(default=None, kw_only=True)
    """A picture, as the base64 of its bytes; one of the `images`."""
    images: Sequence[Any] = field(default=(), kw_only=True)
    """Pictures for the model and for people, beside those in the output: `Image`, or Pillow's and matplotlib's."""
    system: str | None = field(default=None, kw_only=True)
    """A note for the model, after the output; people are not shown it."""

    def __init_subclass__(cls) -> None:
        # A class of an author's with more fields: without the decorator, and with fields of pydantic.
        for name, value in list(vars(cls).items()):
            if isinstance(value, FieldInfo):
                setattr(cls, name, field(default_factory=partial(default_of, value)))
        dataclass(frozen=True)(cls)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return self.error is not None

    @property
    def text(self) -> str:
        """The output as clean text."""
        return self.output if isinstance(self.output, str) else str(to_result(self.output).output)


def to_result(value: Any) -> ToolResult:
    """The result for what a tool returned: `output` is clean text, `data` is JSON, `images` are `Image`s.

    It runs code of the value's class (`__str__`, an iterator), so call it where the tool's code runs. Raises what an
    iterator raises, and nothing else.
    """
    reading = PlainValue()
    result = value if isinstance(value, ToolResult) else ToolResult(value)
    try:
        finished = _finished(result, reading)
    except Exception as error:
        if error is reading.raised:
            raise
        logger.exception("What a tool returned (%s) could not be turned into text.", type(value).__name__)
        reading.refuse_whole(value)
    if reading.problem is None:
        return finished
    words = _("The tool's result cannot be passed on: %(problem)s.") % {"problem": reading.problem}
    logger.error("What a tool returned is refused: %s.", reading.problem)
    return ToolResult("", words)


async def collected(pieces: AsyncIterator[Any]) -> ToolResult:
    """The result of a tool that is an asynchronous generator."""
    return to_result(_joined(await PlainValue().items_of_async(pieces)))


def _finished(result: ToolResult, reading: PlainValue) -> ToolResult:
    text, data = _text_and_data(result.output, reading)
    error: str | None = None
    if result.error:
        error = clean(str(result.error))
    elif result.error is not None and result.output is None:
        # ToolResult(error=str(e)) of an exception without a text is a failure all the same.
        error = "The tool failed and did not say why."
    if result.data is not None:
        data = reading.of(result.data)
    given = [Image(result.base64_image)] if result.base64_image else []  # type: ignore[arg-type]  # base64
    for image in map(_image, [*result.images, *given]):
        mark = reading.picture(image)
        if mark not in text:
            text = f"{text}\n{mark}" if text else mark
    # Not a copy of the object: its class may be an author's, with a constructor of its own.
    system = clean(str(result.system)) if result.system else None
    return ToolResult(text, error, data, images=tuple(reading.images), system=system)


def _image(value: Any) -> Image:
    image = as_image(value)
    if image is None:
        raise TypeError(f"{type(value).__name__} is no picture: ToolResult(images=[…]) takes Image(data=…).")
    return image


def _joined(items: list[Any]) -> Any:
    """The result of a tool written as a generator: pieces of text joined, anything else as a list."""
    return "".join(items) if all(isinstance(item, str) for item in items) else items


def _text_and_data(value: Any, reading: PlainValue) -> tuple[str, Any]:
    if isinstance(value, Iterator):
        is_text = inspect.isgenerator(value) or isinstance(value, IOBase)
        items = reading.items(value)
        value = _joined(items) if is_text else items
    if value is None:
        return "", None
    if isinstance(value, bytes | bytearray | memoryview) and as_image(value) is None:
        size = memoryview(value).nbytes
        return f"The tool returned {size} bytes of binary data, which cannot be shown as text.", None
    plain = reading.of(value)
    if isinstance(plain, dict | list):
        return json.dumps(plain, ensure_ascii=False), plain
    if isinstance(plain, str) and not isinstance(value, date | timedelta):
        return plain, None
    if isinstance(value, date | timedelta | Decimal) or plain is None:
        return clean(str(value.isoformat() if isinstance(value, date) else value)), None
    return json.dumps(plain), None
