"""`Parameter`: what the model may fill, with all that its annotation and its default say of it in pydantic's words."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that the model may fill.

    `default` is Python's own, `MISSING` when there is none; `field` is what pydantic's `Field`s say, None when there
    are none. `unknown_name` is set when the annotation names something that cannot be found.
    """

    name: str
    annotation: Any
    default: Any
    field: FieldInfo | None = None
    unknown_name: str | None = None

    @property
    def is_required(self) -> bool:
        """Whether the model has to give a value."""
        return self.default is MISSING and (self.field is None or self.field.is_required())

    @property
    def makes_default(self) -> bool:
        """Whether the code has no default of its own, but its `Field` has."""
        return self.default is MISSING and not self.is_required

    def make_default(self, others: Mapping[str, Any]) -> Any:
        """The value that `Field` says, a new one for each call; `others` are the arguments before it."""
        assert self.field is not None
        return self.field.get_default(call_default_factory=True, validated_data=dict(others))

    @property
    def only_default_is_null(self) -> bool:
        """Whether the annotation takes no null, although it is the default."""
        default = self.field.default if self.field is not None and self.makes_default else self.default
        return default is None and not self._has_factory and not _takes_null(self.annotation)

    def for_model(self, description: str | None) -> Any:
        """This as the field of a pydantic model; `description` is the docstring's.

        What the author wrote in the annotation comes after it, and wins.
        """
        base: Any = self.annotation
        metadata: tuple[Any, ...] = ()
        if _is_annotated(self.annotation):
            base, metadata = _parts(self.annotation)
        if self.only_default_is_null:
            base = Union[base, None]  # noqa: UP007 - not every annotation has the operator
        said = Field(alias=self.name, description=_inner_description(base) or description)
        # The code's factory runs where the tool may block, not where its arguments are checked.
        factory = (Field(default_factory=lambda: None),) if self._has_factory else ()
        annotation: Any = Annotated[(base, said, *metadata, *factory)]
        return annotation if self.default is MISSING else (annotation, self.default)

    @property
    def _has_factory(self) -> bool:
        return self.makes_default and self.field is not None and self.field.default_factory is not None


def make_parameter(name: str, annotation: Any, default: Any, unknown_name: str | None) -> Parameter:
    """The parameter of that annotation and default, where both may hold pydantic's `Field`."""
    annotation = with_fields(annotation)
    if isinstance(default, dataclasses.Field):
        default = _as_pydantic(default)
    if isinstance(default, FieldInfo):
        annotation, default = Annotated[annotation, default], MISSING
    elif default is ... or default is PydanticUndefined:
        default = MISSING
    has_field = _is_annotated(annotation) and any(isinstance(item, FieldInfo) for item in _parts(annotation)[1])
    field = FieldInfo.from_annotation(annotation) if has_field else None
    return Parameter(name=name, annotation=annotation, default=default, field=field, unknown_name=unknown_name)


def is_foreign_field(default: Any) -> bool:
    """Whether a default is a `Field` of something that only looks like pydantic 2, such as `pydantic.v1`."""
    return type(default).__name__ == "FieldInfo" and not isinstance(default, FieldInfo)


def with_fields(annotation: Any) -> Any:
    """`annotation` with pydantic's `Field` for each text in an `Annotated`, be it the text itself or `Doc`."""
    if _is_annotated(annotation):
        base, metadata = _parts(annotation)
        texts = " ".join(filter(None, map(_text, metadata)))
        described = (Field(description=texts),) if texts else ()
        rest = (item for item in metadata if not isinstance(item, str))
        return Annotated[(with_fields(base), *described, *rest)]
    args = get_args(annotation)
    origin = get_origin(annotation)
    if not args or origin is Literal:
        return annotation
    changed = tuple(with_fields(item) if get_origin(item) is not None else item for item in args)
    if all(new is old for new, old in zip(changed, args, strict=True)):
        return annotation
    if origin in (Union, UnionType):
        return Union[changed]  # noqa: UP007 - made of a tuple
    return origin[changed] if callable(getattr(origin, "__class_getitem__", None)) else annotation


def _text(metadata: Any) -> str | None:
    """What a part of `Annotated` says in words: a plain text, or what `Doc` and its like hold."""
    if isinstance(metadata, FieldInfo):
        return None
    text = metadata if isinstance(metadata, str) else getattr(metadata, "documentation", None)
    return text.strip() if isinstance(text, str) else None


def _inner_description(base: Any) -> str | None:
    """The description of the one type in an optional that has any: `Annotated[str, "the city"] | None`."""
    if get_origin(base) not in (Union, UnionType):
        return None
    choices = [item for item in get_args(base) if item is not NoneType]
    fields = [item for item in choices if _is_annotated(item)]
    if len(choices) != 1 or not fields:
        return None
    return FieldInfo.from_annotation(fields[0]).description


def _takes_null(annotation: Any) -> bool:
    if _is_annotated(annotation):
        return _takes_null(_parts(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return any(map(_takes_null, get_args(annotation)))
    if get_origin(annotation) is Literal:
        return None in get_args(annotation)
    return annotation in (Any, object, None, NoneType)


def _is_annotated(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated


def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    return annotation.__origin__, annotation.__metadata__


def _as_pydantic(field: dataclasses.Field[Any]) -> FieldInfo:
    if field.default_factory is not dataclasses.MISSING:
        made: FieldInfo = Field(default_factory=field.default_factory)
        return made
    made = Field(... if field.default is dataclasses.MISSING else field.default)
    return made
