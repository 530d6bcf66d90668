"""Attributes of a tool that are written as pydantic's `Field(…)` or `PrivateAttr(…)`: they stand for their values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo, ModelPrivateAttr
from pydantic_core import PydanticUndefined

from myagent.i18n import gettext as _

PydanticField = FieldInfo | ModelPrivateAttr
_PLAIN = (bool, int, float, str, bytes, type(None))


class FieldValue:
    """In the place of a field: what each instance is given at its first use, a copy of the default or a new object."""

    def __init__(self, name: str, field: PydanticField) -> None:
        self._name = name
        self._field = field

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if self.is_required:
            words = _("%(class)s.%(name)s has no value: give its field a default, or set it in __init__.")
            raise AttributeError(words % {"class": type(instance).__name__, "name": self._name})
        return vars(instance).setdefault(self._name, default_of(self._field))

    @property
    def is_required(self) -> bool:
        """Whether only the author's code can give it a value."""
        return self._field.default is PydanticUndefined and self._field.default_factory is None


def default_of(field: PydanticField) -> Any:
    """The default of a field that has one: a copy, or what its factory makes."""
    if field.default_factory is None:
        return field.get_default()
    make: Callable[..., Any] = field.default_factory
    return make({}) if getattr(field, "default_factory_takes_validated_data", False) else make()


def give_values(cls: type) -> None:
    """Put values in the place of the fields that `cls` has of its own or from classes beside the tool's."""
    if issubclass(cls, BaseModel):
        return  # pydantic does it
    for name, field in dict(_fields(cls)).items():
        is_plain = field.default_factory is None and type(field.default) in _PLAIN
        setattr(cls, name, field.default if is_plain else FieldValue(name, field))


def _fields(cls: type) -> Iterator[tuple[str, PydanticField]]:
    for klass in reversed(cls.__mro__):
        for name, value in vars(klass).items():
            if isinstance(value, FieldInfo | ModelPrivateAttr) and getattr(cls, name, None) is value:
                yield name, cast(PydanticField, value)
    for name, annotation in vars(cls).get("__annotations__", {}).items():
        if name not in vars(cls) and (field := _annotated(cls, annotation)) is not None:
            yield name, field


def _annotated(cls: type, annotation: Any) -> PydanticField | None:
    """The field in `Annotated[…, Field(default=…)]`, which gives a value where the class itself has none."""
    if isinstance(annotation, str):
        if "Annotated" not in annotation:
            return None
        holder = SimpleNamespace(__annotations__={"it": annotation})
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        try:
            annotation = get_type_hints(holder, dict(names), include_extras=True)["it"]
        except (NameError, SyntaxError, TypeError):
            return None
    if get_origin(annotation) is not Annotated:
        return None
    fields = [item for item in get_args(annotation)[1:] if isinstance(item, FieldInfo)]
    with_default = [
        item for item in fields if item.default is not PydanticUndefined or item.default_factory is not None
    ]
    return with_default[-1] if with_default else None
